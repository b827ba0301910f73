/*
 * A program that gives its children a NODE_OPTIONS, PYTHONPATH or BASH_ENV of its own takes the
 * layers away from them: both are put in force. A name that is absent or empty was taken away on
 * purpose, and stays so.
 */

struct layer {
  const char *name;
  const char *variable;
  /* Below MURMUR_LIVE_DIR: what must be readable, and what the variable names. */
  const char *file;
  const char *entry;
};

static const struct layer NODE = {"node", "NODE_OPTIONS", "node/preload.cjs", "node/preload.cjs"};
static const struct layer PYTHON = {"python", "PYTHONPATH", "python/sitecustomize.py", "python"};
static const struct layer BASH = {"bash", "BASH_ENV", "bash/stub.bash", "bash/stub.bash"};

/* Room for what chain_all makes, besides values that come from the live file. */
static size_t chain_bytes(char *const *block) {
  size_t bytes = 4 * (PATH_BYTES + 64);
  for (; *block; block++) {
    const char *text = *block;
    if (is_equal(text, "NODE_OPTIONS=", 13) || is_equal(text, "PYTHONPATH=", 11) ||
        is_equal(text, "BASH_ENV=", 9))
      bytes += length_of(text);
  }
  return bytes;
}

static char **find_name(struct block *block, const char *name) {
  size_t size = length_of(name);
  for (size_t i = 0; i < block->count; i++) {
    char *text = block->after[i];
    if (find_value((char *[]){text, 0}, name) == text + size + 1) return &block->after[i];
  }
  return 0;
}

/* Where the old array has the same string, too. */
static void put(struct block *block, char **slot, char *text) {
  for (char **at = block->before; *at; at++)
    if (*at == *slot) *at = text;
  *slot = text;
  block->is_changed = 1;
}

static char *make(struct block *block, const char *const parts[]) {
  char *made = block->text, *end = made;
  for (; *parts; parts++) end = append(end, *parts, length_of(*parts));
  block->text = end + 1;
  return made;
}

/* The value that lacks ours, or 0; `path` becomes ours. */
static const char *lacks(struct block *block, const struct layer *layer, char path[PATH_BYTES]) {
  const char *live = find_value(block->after, "MURMUR_LIVE");
  const char *root = find_value(block->after, "MURMUR_LIVE_DIR");
  const char *theirs = find_value(block->after, layer->variable);
  if (!theirs || !*theirs || !root || !is_listed(live, layer->name)) return 0;
  // Each of these means something to one of the three.
  for (const char *at = root; *at; at++)
    for (const char *odd = "\"\\$`:\n"; *odd; odd++)
      if (*at == *odd) return 0;
  if (!join_path(path, root, layer->file) || !sys_is_readable(path)) return 0;
  join_path(path, root, layer->entry);
  return find_text(theirs, path, length_of(path)) ? 0 : theirs;
}

static void chain_all(struct block *block) {
  char path[PATH_BYTES];
  const char *theirs = lacks(block, &NODE, path);
  if (theirs)
    put(block, find_name(block, NODE.variable),
        make(block, (const char *[]){"NODE_OPTIONS=--require \"", path, "\" ", theirs, 0}));
  theirs = lacks(block, &PYTHON, path);
  if (theirs)
    put(block, find_name(block, PYTHON.variable),
        make(block, (const char *[]){"PYTHONPATH=", path, ":", theirs, 0}));
  theirs = lacks(block, &BASH, path);
  if (!theirs) return;
  char *kept = make(block, (const char *[]){"MURMUR_BASH_ENV=", theirs, 0});
  put(block, find_name(block, BASH.variable),
      make(block, (const char *[]){"BASH_ENV=", path, 0}));
  char **slot = find_name(block, "MURMUR_BASH_ENV");
  if (slot) put(block, slot, kept);
  else block->after[block->count++] = kept;
}
