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
static const struct layer PYTHON = {"python", "PYTHONPATH", "python.zip", "python.zip"};
static const struct layer BASH = {"bash", "BASH_ENV", "bash/stub.bash", "bash/stub.bash"};

/* Room for what chain_all makes, besides values that come from the live file. */
static size_t chain_bytes(char *const *block) {
  size_t bytes = 5 * (PATH_BYTES + 64);
  for (; *block; block++) {
    const char *text = *block;
    if (is_equal(text, "NODE_OPTIONS=", 13) || is_equal(text, "PYTHONPATH=", 11) ||
        is_equal(text, "BASH_ENV=", 9))
      bytes += 2 * length_of(text);
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

/*
 * The words of the program's command line: 0 when they cannot be found. The kernel put them before
 * the block of names; a block that somebody has moved already is none of the kernel's.
 */
static char **find_words(char **block) {
  unsigned long top = getauxval(AT_EXECFN_TYPE), here = (unsigned long)block;
  char **bottom = __builtin_frame_address(0);
  if (here >= top || block < bottom || block[-1]) return 0;
  unsigned long count = 0;
  for (char **at = block - 2; at > bottom; at--, count++)
    if ((unsigned long)*at == count) return at + 1;
  return 0;
}

/* `with` has no NUL, so nothing is read beyond the end of `text`. */
static int starts_with(const char *text, const char *with, size_t size) {
  size_t i = 0;
  while (i < size && text[i] == with[i]) i++;
  return i == size;
}

enum node_option { OTHER, FORBIDS_FILES, FORBIDS_ALL, ALLOWS_OURS };

static int is_option(const char *word, size_t size, const char *name) {
  size_t length = length_of(name);
  return size >= length && is_equal(word, name, length) && (size == length || word[length] == '=');
}

static enum node_option read_option(const char *word, size_t size, const char *root) {
  if (is_option(word, size, "--permission") || is_option(word, size, "--experimental-permission"))
    return FORBIDS_FILES;
  if (is_option(word, size, "--experimental-policy")) return FORBIDS_ALL;
  if (!is_option(word, size, "--allow-fs-read")) return OTHER;
  const char *rest = word + 15;
  size_t length = length_of(root);
  for (const char *at = rest; at < word + size; at++)
    if ((*at == '*' && at == rest + 1) || starts_with(at, root, length)) return ALLOWS_OURS;
  return OTHER;
}

/*
 * Whether a Node with these options ends rather than load a file that it was not told of. What
 * follows the name of the script is the script's own.
 */
static int is_closed(char **words, const char *options, const char *root) {
  int isFound[4] = {0, 0, 0, 0};
  for (const char *at = options; *at;) {
    size_t size = 0;
    while (at[size] && at[size] != ' ') size++;
    isFound[read_option(at, size, root)] = 1;
    at += at[size] ? size + 1 : size;
  }
  for (char **at = words && *words ? words + 1 : 0; at && *at; at++) {
    const char *word = *at;
    // The word behind an option may be its value.
    if (word[0] != '-' && (at == words + 1 || at[-1][0] != '-')) break;
    isFound[read_option(word, length_of(word), root)] = 1;
  }
  return isFound[FORBIDS_ALL] || (isFound[FORBIDS_FILES] && !isFound[ALLOWS_OURS]);
}

/* Takes our preload from a Node that would end on it. */
static void open_node(struct block *block, char **words) {
  char **slot = find_name(block, NODE.variable);
  const char *root = find_value(block->after, "MURMUR_LIVE_DIR");
  char path[PATH_BYTES], ours[PATH_BYTES + 16];
  if (!slot || !root || !join_path(path, root, NODE.entry)) return;
  const char *options = *slot + length_of(NODE.variable) + 1;
  char *end = append(append(append(ours, "--require \"", 11), path, length_of(path)), "\"", 1);
  size_t size = (size_t)(end - ours);
  const char *at = find_text(options, ours, size);
  if (!at || !is_closed(words, options, root)) return;
  char *made = block->text;
  end = append(append(made, *slot, (size_t)(at - *slot)), at + size, length_of(at + size));
  block->text = end + 1;
  put(block, slot, made);
}

static void chain_all(struct block *block, char **words) {
  char path[PATH_BYTES];
  const char *theirs = lacks(block, &NODE, path);
  if (theirs)
    put(block, find_name(block, NODE.variable),
        make(block, (const char *[]){"NODE_OPTIONS=--require \"", path, "\" ", theirs, 0}));
  theirs = lacks(block, &PYTHON, path);
  if (theirs)
    put(block, find_name(block, PYTHON.variable),
        make(block, (const char *[]){"PYTHONPATH=", path, ":", theirs, 0}));
  open_node(block, words);
  theirs = lacks(block, &BASH, path);
  if (!theirs) return;
  char *kept = make(block, (const char *[]){"MURMUR_BASH_ENV=", theirs, 0});
  put(block, find_name(block, BASH.variable),
      make(block, (const char *[]){"BASH_ENV=", path, 0}));
  char **slot = find_name(block, "MURMUR_BASH_ENV");
  if (slot) put(block, slot, kept);
  else block->after[block->count++] = kept;
}
