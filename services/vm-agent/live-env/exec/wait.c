/* For tests, linked statically: nothing can be loaded into it. Says that it runs, and waits. */
#include <unistd.h>

int main(void) {
  write(1, "static\n", 7);
  for (;;) pause();
}
