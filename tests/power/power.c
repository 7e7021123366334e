/* Simulates a disk that loses unsynced data at a power cut. The library is preloaded into a process (LD_PRELOAD).
 *
 * POWER_ROOT    directory on the simulated disk
 * POWER_SHADOW  its durable state: fsync and fdatasync copy the file there; fsync of a directory gives synced files
 *               their current names there, and removes entries that the directory no longer has. POWER_SHADOW.lock,
 *               POWER_SHADOW.tmp and POWER_SHADOW.inodes (synced files by inode number) are used too.
 *
 * To simulate a power cut, kill the processes and replace POWER_ROOT by POWER_SHADOW. */
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

/* Gives a synced file, identified by its inode number, a durable name. */
static void name_durably(ino_t inode, const char *to) {
    char known[PATH_MAX * 2];
    struct stat file, named;
    snprintf(known, sizeof known, "%s.inodes/%lu", getenv("POWER_SHADOW"), (unsigned long)inode);
    if (lstat(known, &file) != 0) return; /* The file was never synced. */
    if (lstat(to, &named) == 0) {
        if (named.st_ino == file.st_ino) return;
        unlink(to);
    }
    if (link(known, to) != 0) fail(to);
}

static void copy(const char *from, char *to, const char *temporary) {
    static const size_t size = 1 << 16;
    char buffer[size];
    ssize_t got;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return; /* The file was deleted while it was synced. */
    int out = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (out < 0) fail(temporary);
    while ((got = read(in, buffer, size)) > 0)
        if (write(out, buffer, (size_t)got) != got) fail("write");
    if (got < 0) fail("read");
    close(in);
    close(out);
    make_parents(to);
    if (rename(temporary, to) != 0) fail(to);
    struct stat file;
    char known[PATH_MAX * 2];
    if (stat(from, &file) != 0) return;
    snprintf(known, sizeof known, "%s.inodes", getenv("POWER_SHADOW"));
    mkdir(known, 0700);
    snprintf(known, sizeof known, "%s.inodes/%lu", getenv("POWER_SHADOW"), (unsigned long)file.st_ino);
    unlink(known);
    if (link(to, known) != 0) fail(known);
}

/* Gives the synced files of a directory their current names in it. */
static void name_all(const char *from, const char *to) {
    char entry[PATH_MAX * 3], named[PATH_MAX * 3];
    struct stat file;
    struct dirent *next;
    DIR *directory = opendir(from);
    if (!directory) return;
    while ((next = readdir(directory))) {
        snprintf(entry, sizeof entry, "%s/%s", from, next->d_name);
        snprintf(named, sizeof named, "%s/%s", to, next->d_name);
        if (lstat(entry, &file) == 0 && S_ISREG(file.st_mode)) name_durably(file.st_ino, named);
    }
    closedir(directory);
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
    /* The lock allows one copy at a time: an older copy must not replace a newer one. */
    int held = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (held < 0 || flock(held, LOCK_EX) != 0) fail(lock);
    if (S_ISREG(kind.st_mode)) {
        copy(from, to, temporary);
    } else if (S_ISDIR(kind.st_mode)) {
        make_parents(to);
        mkdir(to, 0700);
        name_all(from, to);
        forget(from, to);
    }
    close(held);
    return 0;
}

int fsync(int fd) { return make_durable(fd); }

int fdatasync(int fd) { return make_durable(fd); }
