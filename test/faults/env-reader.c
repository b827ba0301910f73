/*
 * Reads an agent's env files in a tight loop, as its processes do: resolves ..data once, opens
 * beneath it, and checks that all files name one generation, whole, with the right owner and mode.
 *
 * usage: env-reader DIRECTORY UID        (runs until standard input ends)
 *
 * Says "." on standard output after each BATCH file reads, and at the end one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH 1000
#define KEPT 3
#define MAX_FILE (64 * 1024)

static const char *const FILES[] = {"env", "env.sh", "env.json", "files/CERT", "generation"};
#define FILE_COUNT (sizeof FILES / sizeof *FILES)

static long reads, rounds, mixed, absent, wrong, pruned, page_ahead, went_back;

/* The generation that ..data leads to, and its directory's name; -1 when there is none. */
static long long resolve(int agent, char *name, size_t size) {
    ssize_t length = readlinkat(agent, "..data", name, size - 1);
    if (length < 0) return -1;
    name[length] = 0;
    long long generation;
    return sscanf(name, "..g%lld-", &generation) == 1 ? generation : -1;
}

/* 0: checked. -1: not there. */
static int check(int directory, const char *file, long long generation, uid_t uid) {
    static char content[MAX_FILE + 1];
    char stamp[32], close_mark[32], number[32];
    int fd = openat(directory, file, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return -1;
    struct stat stat;
    ssize_t length = fstat(fd, &stat) == 0 ? read(fd, content, MAX_FILE) : -1;
    close(fd);
    content[length < 0 ? 0 : length] = 0;
    reads++;
    if (length != stat.st_size || !S_ISREG(stat.st_mode) || (stat.st_mode & 07777) != 0400 ||
        stat.st_uid != uid)
        wrong++;
    snprintf(stamp, sizeof stamp, "stamp-%06lld", generation);
    snprintf(close_mark, sizeof close_mark, "close-%06lld", generation);
    snprintf(number, sizeof number, "%lld\n", generation);
    int whole = strcmp(file, "generation") == 0
                    ? strcmp(content, number) == 0
                    : strstr(content, stamp) != NULL && strstr(content, close_mark) != NULL;
    if (!whole) mixed++;
    return 0;
}

static void round_of_reads(int agent, const volatile uint64_t *page, uid_t uid) {
    static long long newest;
    char name[256], again[256];
    long long shown = (long long)*page;
    long long generation = resolve(agent, name, sizeof name);
    if (generation < 0) {
        absent++;
        return;
    }
    if (shown > generation) page_ahead++;
    if (generation < newest) went_back++;
    newest = generation;
    int directory = openat(agent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    int missing = directory < 0;
    for (size_t i = 0; !missing && i < FILE_COUNT; i++)
        missing = check(directory, FILES[i], generation, uid) < 0;
    if (directory >= 0) close(directory);
    rounds++;
    if (!missing) return;
    /* Allowed only once the daemon had turned the link often enough to prune what we resolved. */
    if (resolve(agent, again, sizeof again) >= generation + KEPT)
        pruned++;
    else
        absent++;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    uid_t uid = (uid_t)atol(argv[2]);
    int agent = open(argv[1], O_RDONLY | O_DIRECTORY);
    int page_fd = agent < 0 ? -1 : openat(agent, "page", O_RDONLY | O_NOFOLLOW);
    if (page_fd < 0) return 3;
    const volatile uint64_t *page = mmap(NULL, 8, PROT_READ, MAP_SHARED, page_fd, 0);
    if (page == MAP_FAILED) return 4;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    long said = 0;
    while (poll(&input, 1, 0) == 0) {
        round_of_reads(agent, page, uid);
        if (reads / BATCH > said) {
            said = reads / BATCH;
            if (write(1, ".", 1) != 1) return 5;
        }
    }
    printf("\n{\"reads\":%ld,\"rounds\":%ld,\"mixed\":%ld,\"absent\":%ld,\"wrong\":%ld,"
           "\"pruned\":%ld,\"pageAhead\":%ld,\"wentBack\":%ld,\"page\":%llu}\n",
           reads, rounds, mixed, absent, wrong, pruned, page_ahead, went_back,
           (unsigned long long)*page);
    return 0;
}
