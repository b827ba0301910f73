/* The live file (../README.md), read whole into memory of its own, and who owns a value. */
#ifndef MURMUR_LIVE_FILE_H
#define MURMUR_LIVE_FILE_H

#include "siphash.h"

struct live_entry {
  /* Followed by a NUL, and by the value and another. */
  char *name;
  char *value;
  const byte *fingerprints;
  uint64_t since;
  uint32_t name_bytes;
  uint32_t value_bytes;
  byte fingerprint_count;
  byte is_set;
  /* For the caller: the block has this name. */
  byte is_seen;
};

struct live_file {
  uint64_t generation;
  uint32_t count;
  struct live_entry *entries;
  /* What the caller asked for, zeroes; behind the entries. */
  void *spare;
  byte *memory;
  size_t mapped;
};

enum { LIVE_HEADER = 40, LIVE_ENTRY = 20, LIVE_PRINT = 12, LIVE_LIMIT = 16 << 20 };

INLINE void close_live_file(struct live_file *live) { sys_unmap(live->memory, live->mapped); }

INLINE int parse_live_entry(struct live_entry *entry, byte *at, size_t rest) {
  if (rest < LIVE_ENTRY + 2) return 0;
  uint64_t size = load_number(at, 4);
  entry->is_set = at[4] == 1;
  entry->fingerprint_count = at[5];
  entry->name_bytes = (uint32_t)load_number(at + 6, 2);
  entry->value_bytes = (uint32_t)load_number(at + 8, 4);
  entry->since = load_number(at + 12, 8);
  uint64_t text = (uint64_t)entry->name_bytes + 1 + entry->value_bytes + 1;
  if (size > rest || size != LIVE_ENTRY + text + (uint64_t)at[5] * LIVE_PRINT) return 0;
  entry->name = (char *)at + LIVE_ENTRY;
  entry->value = entry->name + entry->name_bytes + 1;
  entry->fingerprints = at + LIVE_ENTRY + text;
  return (at[4] == 1 || at[4] == 2) && entry->name_bytes > 0 && entry->value[-1] == 0 &&
         entry->value[entry->value_bytes] == 0;
}

INLINE int parse_live_file(struct live_file *live, size_t size) {
  byte *file = live->memory;
  if (!is_equal(file, "MURMURL1", 8) || load_number(file + 36, 4) != size) return 0;
  live->generation = load_number(file + 8, 8);
  live->count = (uint32_t)load_number(file + 32, 4);
  if (live->count > size / LIVE_ENTRY || live->generation == 0) return 0;
  size_t at = LIVE_HEADER;
  for (uint32_t i = 0; i < live->count; i++) {
    if (!parse_live_entry(&live->entries[i], file + at, size - at)) return 0;
    at += load_number(file + at, 4);
  }
  return at == size;
}

/*
 * Reads the file of the generation in force: 1 when it is there and makes sense; the caller closes
 * it then. A copy, not a mapping of the file: one that is cut short would kill the program.
 * `spare_bytes`, and `spare_sizes` times the size of the file, are for the caller.
 */
INLINE int open_live_file(struct live_file *live, const char *directory, size_t spare_bytes,
                          size_t spare_sizes) {
  char path[PATH_BYTES];
  if (!join_path(path, directory, "..data/live")) return 0;
  int file = sys_open(path, O_RDONLY | O_NOFOLLOW);
  if (file < 0) return 0;
  int64_t size = sys_size(file);
  int isGood = 0;
  if (size >= LIVE_HEADER && size <= LIVE_LIMIT) {
    size_t text = ((size_t)size + 16) & ~(size_t)15;
    size_t entries = ((size_t)size / LIVE_ENTRY + 1) * sizeof(struct live_entry);
    // Pages that nobody touches cost nothing, so there is room for the worst.
    live->mapped = text + entries + spare_bytes + spare_sizes * text;
    live->memory = sys_map_memory(live->mapped);
    if (live->memory) {
      live->entries = (struct live_entry *)(live->memory + text);
      live->spare = live->memory + text + entries;
      isGood = sys_pread(file, live->memory, (size_t)size, 0) == size &&
               parse_live_file(live, (size_t)size);
      if (!isGood) close_live_file(live);
    }
  }
  sys_close(file);
  return isGood;
}

INLINE struct live_entry *find_entry(struct live_file *live, const char *name, size_t size) {
  uint32_t low = 0, high = live->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    struct live_entry *entry = &live->entries[middle];
    size_t i = 0;
    while (i < size && i < entry->name_bytes && name[i] == entry->name[i]) i++;
    if (i == size && i == entry->name_bytes) return entry;
    int isAfter = i < size && (i == entry->name_bytes || (byte)name[i] > (byte)entry->name[i]);
    if (isAfter) low = middle + 1;
    else high = middle;
  }
  return 0;
}

enum verdict { KEEP, REPLACE, REMOVE };

/* What is to be done with a value that a block has under the entry's name. */
INLINE enum verdict judge(const struct live_file *live, const struct live_entry *entry,
                          const char *value) {
  size_t size = length_of(value);
  if (entry->is_set && size == entry->value_bytes && is_equal(value, entry->value, size))
    return KEEP;
  uint64_t hash = 0;
  int isHashed = 0;
  for (int i = 0; i < entry->fingerprint_count; i++) {
    const byte *print = entry->fingerprints + i * LIVE_PRINT;
    if (load_number(print, 4) != size) continue;
    if (!isHashed) hash = siphash(live->memory + 16, (const byte *)value, size);
    isHashed = 1;
    if (load_number(print + 4, 8) == hash) return entry->is_set ? REPLACE : REMOVE;
  }
  return KEEP;
}

#endif
