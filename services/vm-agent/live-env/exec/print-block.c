/* For tests: prints its block as `env -0` does, after changes of its own that must go well. */
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(void) {
  setenv("ADDED_BY_PROGRAM", "1", 1);
  unsetenv("ADDED_BY_PROGRAM");
  for (char **at = environ; *at; at++) {
    fputs(*at, stdout);
    putchar(0);
  }
  return 0;
}
