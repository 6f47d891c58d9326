/* Stands before libc in the app, so that its disk and its clock do what they do on a bad day.
 *
 * FAULTS_CONTROL names a file of `struct state`, which is mapped: it can be changed at any time.
 * FAULTS_HOME is the folder on the bad disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct state {
    int32_t writing; /* the errno of whatever would change the disk; 0: none */
    int32_t reading;
    int64_t seconds; /* by which the clock is wrong */
};
static const struct state none;
static const volatile struct state *state = &none;
static char home[4096];

__attribute__((constructor)) static void begin(void) {
    const char *control = getenv("FAULTS_CONTROL"), *folder = getenv("FAULTS_HOME");
    int file = control ? open(control, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || !folder)
        return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED && realpath(folder, home))
        state = mapped;
}

static int is_home(const char *path) {
    size_t length = strlen(home);
    return length && !strncmp(path, home, length) && (!path[length] || path[length] == '/');
}

static int is_in_home(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 0 && (path[length] = 0, is_home(path));
}

/* A path beside a folder's descriptor, as `shutil.rmtree` has it, is left alone. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&name) real;                                                             \
        real = real ? real : (__typeof__(&name))dlsym(RTLD_NEXT, #name);                           \
    })
#define FAILS(which, holds)                                                                        \
    if (state->which && (holds)) {                                                                 \
        errno = state->which;                                                                      \
        return -1;                                                                                 \
    }
#define FILE_CALL(which, type, name, names, file, ...)                                             \
    type name(__VA_ARGS__) {                                                                       \
        FAILS(which, is_in_home(file))                                                             \
        return REAL(name) names;                                                                   \
    }
#define PATH_CALL(name, names, path, ...)                                                          \
    int name(__VA_ARGS__) {                                                                        \
        FAILS(writing, is_home(path))                                                              \
        return REAL(name) names;                                                                   \
    }
#define OPEN_CALL(name)                                                                            \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = va_arg(rest, mode_t);                                                        \
        va_end(rest);                                                                              \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))                                       \
            FAILS(writing, is_home(path))                                                          \
        FAILS(reading, is_home(path))                                                              \
        return REAL(name)(path, flags, mode);                                                      \
    }

OPEN_CALL(open)
OPEN_CALL(open64)
FILE_CALL(writing, ssize_t, write, (f, b, n), f, int f, const void *b, size_t n)
FILE_CALL(writing, ssize_t, pwrite, (f, b, n, o), f, int f, const void *b, size_t n, off_t o)
FILE_CALL(writing, ssize_t, pwrite64, (f, b, n, o), f, int f, const void *b, size_t n, off64_t o)
FILE_CALL(writing, ssize_t, writev, (f, v, n), f, int f, const struct iovec *v, int n)
FILE_CALL(writing, int, fsync, (f), f, int f)
FILE_CALL(writing, int, fdatasync, (f), f, int f)
FILE_CALL(writing, int, ftruncate, (f, n), f, int f, off_t n)
FILE_CALL(writing, int, ftruncate64, (f, n), f, int f, off64_t n)
FILE_CALL(reading, ssize_t, read, (f, b, n), f, int f, void *b, size_t n)
FILE_CALL(reading, ssize_t, pread, (f, b, n, o), f, int f, void *b, size_t n, off_t o)
FILE_CALL(reading, ssize_t, pread64, (f, b, n, o), f, int f, void *b, size_t n, off64_t o)
PATH_CALL(rename, (a, b), b, const char *a, const char *b)
PATH_CALL(link, (a, b), b, const char *a, const char *b)
PATH_CALL(unlink, (a), a, const char *a)
PATH_CALL(rmdir, (a), a, const char *a)
PATH_CALL(mkdir, (a, m), a, const char *a, mode_t m)
PATH_CALL(chmod, (a, m), a, const char *a, mode_t m)

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = REAL(clock_gettime)(clock, now);
    if (!done && clock == CLOCK_REALTIME)
        now->tv_sec += state->seconds;
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int done = REAL(gettimeofday)(now, zone);
    if (!done)
        now->tv_sec += state->seconds;
    return done;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return into ? (*into = now.tv_sec) : now.tv_sec;
}
