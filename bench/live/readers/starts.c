/*
 * What starts cost: runs a program so many times, one after the other, in the environment that it was
 * given itself, and prints the processor time of each in ns, with that of making the process.
 * Usage: starts COUNT PROGRAM [ARGUMENT]...
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

static long long ns(struct timeval of) {
  return of.tv_sec * 1000000000LL + of.tv_usec * 1000LL;
}

int main(int count, char **words) {
  extern char **environ;
  if (count < 3) return 2;
  for (int left = atoi(words[1]); left > 0; left--) {
    pid_t pid;
    int status;
    struct rusage used;
    if (posix_spawnp(&pid, words[2], NULL, NULL, words + 2, environ) != 0) return 1;
    if (wait4(pid, &status, 0, &used) != pid || status != 0) return 1;
    printf("%lld\n", ns(used.ru_utime) + ns(used.ru_stime));
  }
  return 0;
}
