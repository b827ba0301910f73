/*
 * The yardstick: what anyone would write who needs nothing but the news. Watches an agent's directory
 * and reads the value at each swap. Usage: inotify DIRECTORY. Each line: CLOCK_MONOTONIC in ns, value.
 * `inotify clock` prints how far CLOCK_REALTIME is ahead of that clock.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void tell(const char *directory) {
  char path[4096], text[65536];
  snprintf(path, sizeof path, "%s/..data/env", directory);
  int file = open(path, O_RDONLY);
  if (file < 0) return;
  long size = read(file, text, sizeof text - 1);
  close(file);
  text[size > 0 ? size : 0] = 0;
  char *value = strstr(text, "\nTOKEN=");
  if (value) printf("%lld %.*s\n", now(CLOCK_MONOTONIC), (int)strcspn(value + 7, "\n"), value + 7);
  fflush(stdout);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  if (strcmp(words[1], "clock") == 0) {
    printf("%lld\n", now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC));
    return 0;
  }
  int watch = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(watch, words[1], IN_MOVED_TO);
  char events[4096];
  for (tell(words[1]); read(watch, events, sizeof events) > 0;) tell(words[1]);
  return 1;
}
