/* A process's own word on what it has (../README.md, "Receipts"). */
#ifndef MURMUR_RECEIPT_H
#define MURMUR_RECEIPT_H

#include "text.h"

enum { RECEIPT_SLOTS = 4096, RECEIPT_TRIES = 8 };
enum { LAYER_EXEC = 1, LAYER_BASH = 2 };
enum { READS_THROUGH = 1 };

struct receipt {
  uint32_t pid;
  uint32_t layer;
  uint64_t started;
  uint64_t generation;
  uint32_t flags;
  uint32_t zero;
  uint64_t consumed_at;
  uint64_t last_read_before;
  uint64_t generation_before;
  /* Where the program's stack starts: each exec has another place, though the process is the same. */
  uint64_t stack;
};

struct identity {
  /* Field 22 of a process's stat, and field 28. */
  uint64_t started;
  uint64_t stack;
};

/* Zeroes when it cannot be told. */
INLINE struct identity identity_of(uint32_t pid) {
  struct identity found = {0, 0};
  char path[32], text[1024];
  char *end = append(path, "/proc/", 6);
  append(write_number(end, pid), "/stat", 5);
  int file = sys_open(path, O_RDONLY);
  if (file < 0) return found;
  long size = sys_pread(file, text, sizeof text - 1, 0);
  sys_close(file);
  long at = size;
  // A program's name may have brackets and spaces of its own.
  while (at > 0 && text[at - 1] != ')') at--;
  if (at <= 0) return found;
  for (int field = 2; field <= 28 && at < size; at++) {
    uint64_t *number = field == 22 ? &found.started : &found.stack;
    if (text[at] == ' ') field++;
    else if ((field == 22 || field == 28) && text[at] >= '0' && text[at] <= '9')
      *number = *number * 10 + (uint64_t)(text[at] - '0');
  }
  return found;
}

INLINE int is_free(const struct receipt *slot, const struct receipt *own) {
  if (slot->pid == 0 || slot->pid == own->pid || !sys_is_alive(slot->pid)) return 1;
  return identity_of(slot->pid).started != slot->started;
}

/* Fills in who this is. */
INLINE void identify(struct receipt *own) {
  own->pid = sys_pid();
  struct identity found = identity_of(own->pid);
  own->started = found.started;
  own->stack = found.stack;
}

/* Of a process that was identified; silent when no slot is to be had. */
INLINE void write_receipt(const char *directory, const struct receipt *own) {
  char path[PATH_BYTES];
  if (own->started == 0 || !join_path(path, directory, "receipts")) return;
  int file = sys_open(path, O_RDWR | O_NOFOLLOW);
  if (file < 0) return;
  // Slots only: whatever else has that name is not made longer.
  int tries = sys_size(file) == (int64_t)sizeof *own * RECEIPT_SLOTS ? RECEIPT_TRIES : 0;
  for (int i = 0; i < tries; i++) {
    struct receipt slot;
    uint64_t at = (uint64_t)((own->pid + (uint32_t)i) % RECEIPT_SLOTS) * sizeof slot;
    if (sys_pread(file, &slot, sizeof slot, at) != (long)sizeof slot) break;
    if (!is_free(&slot, own)) continue;
    sys_pwrite(file, own, sizeof *own, at);
    break;
  }
  sys_close(file);
}

#endif
