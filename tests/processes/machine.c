/* A machine whose clock, disk and resolver do what a test says: preloaded into a process, told by a file.

   The file holds a `struct machine`, which a test writes while the process runs. Everybody who shares the three
   numbers of its beginning agrees on what time it is; only the offset is a machine's own. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct machine {
    int64_t began_ns;  /* CLOCK_MONOTONIC when it began, as the kernel counts */
    int64_t wall_ns;   /* what the wall clock said then */
    double speed;      /* how much faster its time goes */
    int64_t offset_ns; /* by how much its wall clock is wrong */
    int32_t sync_fails;
    int32_t names_hang;
};

static volatile struct machine *told;

/* The system's own NAME, found when it is first asked for: an allocator may read the clock before begin(). */
#define SYSTEMS_OWN(name)                                   \
    ({                                                      \
        static __typeof__(&name) found;                     \
        if (!found)                                         \
            found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        found;                                              \
    })

static int64_t in_ns(const struct timespec *at) { return at->tv_sec * 1000000000LL + at->tv_nsec; }

static void from_ns(int64_t ns, struct timespec *at)
{
    at->tv_sec = ns / 1000000000LL;
    at->tv_nsec = ns % 1000000000LL;
}

__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv("MACHINE"), O_RDONLY);
    told = mmap(NULL, sizeof *told, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *at)
{
    struct timespec now;
    if (!told || (which != CLOCK_REALTIME && which != CLOCK_MONOTONIC))
        return SYSTEMS_OWN(clock_gettime)(which, at);
    SYSTEMS_OWN(clock_gettime)(CLOCK_MONOTONIC, &now);
    int64_t passed_ns = (int64_t)((in_ns(&now) - told->began_ns) * told->speed);
    from_ns(which == CLOCK_REALTIME ? told->wall_ns + told->offset_ns + passed_ns : told->began_ns + passed_ns, at);
    return 0;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout_ms)
{
    if (told && timeout_ms > 0) {
        timeout_ms = (int)(timeout_ms / told->speed);
        timeout_ms = timeout_ms ? timeout_ms : 1;
    }
    return SYSTEMS_OWN(epoll_wait)(poll, events, most, timeout_ms);
}

int sem_clockwait(sem_t *lock, clockid_t which, const struct timespec *until)
{
    struct timespec real;
    if (!told || which != CLOCK_MONOTONIC)
        return SYSTEMS_OWN(sem_clockwait)(lock, which, until);
    from_ns(told->began_ns + (int64_t)((in_ns(until) - told->began_ns) / told->speed), &real);
    return SYSTEMS_OWN(sem_clockwait)(lock, which, &real);
}

static int failed(void)
{
    errno = EIO;
    return -1;
}

int fsync(int file) { return told && told->sync_fails ? failed() : SYSTEMS_OWN(fsync)(file); }

int fdatasync(int file) { return told && told->sync_fails ? failed() : SYSTEMS_OWN(fdatasync)(file); }

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    while (told && told->names_hang)
        usleep(10000);
    return SYSTEMS_OWN(getaddrinfo)(name, service, hints, found);
}
