/*
 * The `exec` layer: preloaded into every dynamically linked program, brings the block of names
 * that it starts with to the generation in force before `main` runs, and does nothing after.
 */
#include "live-file.h"
#include "receipt.h"

/* Weak, and looked up without a version: any C library will do, and none as well. */
extern char **environ __attribute__((weak));
extern unsigned long getauxval(unsigned long type) __attribute__((weak));

enum { AT_SECURE_TYPE = 23, AT_EXECFN_TYPE = 31 };
enum { MAX_BLOCK = 1 << 20 };

struct block {
  /* The strings as the program got them, and the array that it will get. */
  char **before;
  char **after;
  size_t count;
  /* Room for the strings that are made here. */
  char *text;
  int is_changed;
};

#include "chain.h"

static const char GENERATION[] = "MURMUR_GENERATION";

/* NAME=VALUE, from the entry's own bytes in our copy of the file. */
static char *text_of(struct live_entry *entry) {
  entry->name[entry->name_bytes] = '=';
  return entry->name;
}

static char *make_generation(struct block *block, uint64_t generation) {
  char *made = block->text;
  char *end = append(made, GENERATION, sizeof GENERATION - 1);
  *end++ = '=';
  block->text = write_number(end, generation) + 1;
  return made;
}

/*
 * Besides the new array, the pointers in the old one are replaced: a program may look there (a
 * dynamic Go program does, and `main`'s third argument under musl). What is to go becomes a
 * repetition, as those who look for the end of that array rely on its length.
 */
static void apply(struct block *block, struct live_file *live, uint64_t generation) {
  char *ours = make_generation(block, live->generation);
  for (char **at = block->before; *at; at++) {
    char *text = *at;
    size_t size = 0;
    while (text[size] && text[size] != '=') size++;
    struct live_entry *entry = text[size] ? find_entry(live, text, size) : 0;
    enum verdict verdict = KEEP;
    char *by = ours;
    if (size == sizeof GENERATION - 1 && is_equal(text, GENERATION, size)) {
      if (entry) entry->is_seen = 1;
      if (live->generation != generation) verdict = REPLACE;
    } else if (entry) {
      entry->is_seen = 1;
      verdict = judge(live, entry, text + size + 1);
      if (verdict == REPLACE) by = text_of(entry);
    }
    if (verdict != KEEP) *at = by, block->is_changed = 1;
    if (verdict != REMOVE) block->after[block->count++] = *at;
  }
  for (uint32_t i = 0; i < live->count; i++) {
    struct live_entry *entry = &live->entries[i];
    if (entry->is_seen || !entry->is_set || entry->since <= generation) continue;
    block->after[block->count++] = text_of(entry);
    block->is_changed = 1;
  }
}

static void leave_receipt(const char *directory, uint64_t generation) {
  struct receipt own = {.layer = LAYER_EXEC, .generation = generation};
  identify(&own);
  own.consumed_at = sys_now();
  write_receipt(directory, &own);
}

__attribute__((constructor)) static void murmur_exec(void) {
  if (!&environ || !environ || !getauxval || getauxval(AT_SECURE_TYPE)) return;
  const char *directory = find_value(environ, "MURMUR_DIR");
  const char *marker = directory ? find_value(environ, GENERATION) : 0;
  uint64_t generation = marker ? parse_generation(marker) : 0;
  if (generation == 0 || !is_listed(find_value(environ, "MURMUR_LIVE"), "exec")) return;
  char **words = find_words(environ);
  size_t count = 0, bytes = chain_bytes(environ);
  while (environ[count])
    if (++count > MAX_BLOCK) return;
  struct live_file live;
  // For each byte of the file, eight: an entry is longer than a pointer to it.
  if (!open_live_file(&live, directory, (count + 8) * sizeof(char *) + bytes + 64, 8)) return;
  if (live.generation < generation) {
    leave_receipt(directory, generation);
    close_live_file(&live);
    return;
  }
  struct block block = {.before = environ, .after = live.spare};
  block.text = (char *)(block.after + count + live.count + 8);
  apply(&block, &live, generation);
  chain_all(&block, words);
  // Nobody else runs yet; and a library that grows the block copies what it finds.
  if (block.is_changed) environ = block.after;
  leave_receipt(directory, live.generation);
  if (!block.is_changed) close_live_file(&live);
}
