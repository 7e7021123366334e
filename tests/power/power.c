/* A disk that forgets at a power cut what was not synced, as a library that is preloaded into a process.
 *
 * POWER_ROOT    the directory that the disk stands for
 * POWER_SHADOW  its durable state: fsync and fdatasync copy the file there as it is, fsync of a directory removes there what
 *               the directory no longer has. Beside it, POWER_SHADOW.lock and POWER_SHADOW.tmp are used.
 *
 * A power cut is then: kill the processes, and replace POWER_ROOT by POWER_SHADOW. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    _exit(99);
}

static void make_parents(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

static void copy(const char *from, char *to, const char *temporary) {
    static const size_t size = 1 << 16;
    char buffer[size];
    ssize_t got;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return; /* It was deleted while it was synced. */
    int out = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (out < 0) fail(temporary);
    while ((got = read(in, buffer, size)) > 0)
        if (write(out, buffer, (size_t)got) != got) fail("write");
    if (got < 0) fail("read");
    close(in);
    close(out);
    make_parents(to);
    if (rename(temporary, to) != 0) fail(to);
}

/* Removes entries that the directory no longer has. */
static void forget(const char *from, const char *to) {
    char entry[PATH_MAX * 3];
    struct stat there;
    struct dirent *next;
    DIR *directory = opendir(to);
    if (!directory) return;
    while ((next = readdir(directory))) {
        if (!strcmp(next->d_name, ".") || !strcmp(next->d_name, "..")) continue;
        snprintf(entry, sizeof entry, "%s/%s", from, next->d_name);
        if (lstat(entry, &there) == 0) continue;
        snprintf(entry, sizeof entry, "%s/%s", to, next->d_name);
        remove(entry);
    }
    closedir(directory);
}

static int make_durable(int fd) {
    const char *root = getenv("POWER_ROOT"), *shadow = getenv("POWER_SHADOW");
    char link[64], from[PATH_MAX], to[PATH_MAX * 2], lock[PATH_MAX], temporary[PATH_MAX];
    struct stat kind;
    if (!root || !shadow || fstat(fd, &kind) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, from, sizeof from - 1);
    if (length < 0) return 0;
    from[length] = 0;
    size_t within = strlen(root);
    if (strncmp(from, root, within) != 0 || (from[within] != '/' && from[within] != 0)) return 0;
    snprintf(to, sizeof to, "%s%s", shadow, from + within);
    snprintf(lock, sizeof lock, "%s.lock", shadow);
    snprintf(temporary, sizeof temporary, "%s.tmp", shadow);
    /* One copy at a time: an older one must not replace a newer one. */
    int held = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (held < 0 || flock(held, LOCK_EX) != 0) fail(lock);
    if (S_ISREG(kind.st_mode)) {
        copy(from, to, temporary);
    } else if (S_ISDIR(kind.st_mode)) {
        make_parents(to);
        mkdir(to, 0700);
        forget(from, to);
    }
    close(held);
    return 0;
}

int fsync(int fd) { return make_durable(fd); }

int fdatasync(int fd) { return make_durable(fd); }
