/*
 * Reads an agent's env set in a tight loop, as a careful process of it does: resolves ..data once,
 * opens beneath it, and checks that every form holds the same pair of values (tok-X and twin-X with
 * one X), that all is of one generation, whole, with the right owner and mode.
 *
 * usage: set-reader DIRECTORY UID        (runs until standard input ends, then one line of JSON)
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT 3
#define RANDOM_LENGTH 24
#define MAX_FILE (64 * 1024)

static const char *const FORMS[] = {"env", "env.sh", "env.json"};
#define FORM_COUNT (sizeof FORMS / sizeof *FORMS)

static long reads, rounds, mixed, absent, wrong, pruned, went_back, generations;

/* The generation that ..data leads to, and its directory's name; -1 when there is none. */
static long long resolve(int agent, char *name, size_t size) {
    ssize_t length = readlinkat(agent, "..data", name, size - 1);
    if (length < 0) return -1;
    name[length] = 0;
    long long generation;
    return sscanf(name, "..g%lld-", &generation) == 1 ? generation : -1;
}

/* The whole file; NULL when it is not there. */
static const char *content_of(int directory, const char *file, uid_t uid) {
    static char content[MAX_FILE + 1];
    int fd = openat(directory, file, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return NULL;
    struct stat stat;
    ssize_t length = fstat(fd, &stat) == 0 ? read(fd, content, MAX_FILE) : -1;
    close(fd);
    content[length < 0 ? 0 : length] = 0;
    reads++;
    if (length != stat.st_size || !S_ISREG(stat.st_mode) || (stat.st_mode & 07777) != 0400 ||
        stat.st_uid != uid)
        wrong++;
    return content;
}

/* Whether both values are there, and of the pair `random`, which the first form fills in. */
static int is_pair(const char *content, char *random) {
    const char *token = strstr(content, "tok-"), *twin = strstr(content, "twin-");
    if (!token || !twin) return 0;
    if (!*random) strncpy(random, token + 4, RANDOM_LENGTH);
    return strncmp(token + 4, random, RANDOM_LENGTH) == 0 &&
           strncmp(twin + 5, random, RANDOM_LENGTH) == 0;
}

static int check(int directory, long long generation, uid_t uid) {
    char random[RANDOM_LENGTH + 1] = "", number[32];
    for (size_t i = 0; i < FORM_COUNT; i++) {
        const char *content = content_of(directory, FORMS[i], uid);
        if (!content) return -1;
        if (!is_pair(content, random)) mixed++;
    }
    const char *content = content_of(directory, "generation", uid);
    if (!content) return -1;
    snprintf(number, sizeof number, "%lld\n", generation);
    if (strcmp(content, number) != 0) mixed++;
    return 0;
}

static void round_of_reads(int agent, uid_t uid) {
    static long long newest;
    char name[256], again[256];
    long long generation = resolve(agent, name, sizeof name);
    if (generation < 0) {
        absent++;
        return;
    }
    if (generation < newest) went_back++;
    if (generation != newest) generations++;
    newest = generation;
    int directory = openat(agent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    int missing = directory < 0 || check(directory, generation, uid) < 0;
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
    if (agent < 0) return 3;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    while (poll(&input, 1, 0) == 0) round_of_reads(agent, uid);
    printf("{\"reads\":%ld,\"rounds\":%ld,\"mixed\":%ld,\"absent\":%ld,\"wrong\":%ld,"
           "\"pruned\":%ld,\"wentBack\":%ld,\"generations\":%ld}\n",
           reads, rounds, mixed, absent, wrong, pruned, went_back, generations);
    return 0;
}
