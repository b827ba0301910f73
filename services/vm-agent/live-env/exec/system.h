/*
 * The kernel, called directly. These objects are loaded into programs with any C library or an
 * early, half-initialised one: nothing here needs a library, takes a lock, allocates or sets errno.
 */
#ifndef MURMUR_SYSTEM_H
#define MURMUR_SYSTEM_H

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned char byte;

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
#else
#error "no system calls for this processor"
#endif
}

/* Never a terminal of its own, never a wait for the other end of a pipe, never kept by a child. */
#define OPEN_SAFELY (O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static inline int sys_open(const char *path, int flags) {
  return (int)system_call(__NR_openat, AT_FDCWD, (long)path, flags | OPEN_SAFELY, 0, 0, 0);
}

static inline void sys_close(int file) { system_call(__NR_close, file, 0, 0, 0, 0, 0); }

static inline long sys_pread(int file, void *into, size_t size, uint64_t at) {
  return system_call(__NR_pread64, file, (long)into, (long)size, (long)at, 0, 0);
}

static inline long sys_pwrite(int file, const void *from, size_t size, uint64_t at) {
  return system_call(__NR_pwrite64, file, (long)from, (long)size, (long)at, 0, 0);
}

/* The size of a regular file, else -1. */
static inline int64_t sys_size(int file) {
  struct stat status;
  if (system_call(__NR_fstat, file, (long)&status, 0, 0, 0, 0) != 0) return -1;
  return S_ISREG(status.st_mode) ? (int64_t)status.st_size : -1;
}

/* 0 when there is none. */
static inline void *sys_map(size_t size, int protection, int flags, int file) {
  long at = system_call(__NR_mmap, 0, (long)size, protection, flags, file, 0);
  return at < 0 && at > -4096 ? 0 : (void *)at;
}

static inline void *sys_map_memory(size_t size) {
  return sys_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static inline void sys_unmap(void *at, size_t size) {
  system_call(__NR_munmap, (long)at, (long)size, 0, 0, 0, 0);
}

static inline int sys_is_readable(const char *path) {
  return system_call(__NR_faccessat, AT_FDCWD, (long)path, 4 /* R_OK */, 0, 0, 0) == 0;
}

static inline uint32_t sys_pid(void) { return (uint32_t)system_call(__NR_getpid, 0, 0, 0, 0, 0, 0); }

static inline int sys_is_alive(uint32_t pid) {
  return system_call(__NR_kill, (long)pid, 0, 0, 0, 0, 0) != -3 /* ESRCH */;
}

/* Nanoseconds since the epoch. */
static inline uint64_t sys_now(void) {
  long now[2] = {0, 0};
  system_call(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, (long)now, 0, 0, 0, 0);
  return (uint64_t)now[0] * 1000000000u + (uint64_t)now[1];
}

#endif
