/*
 * The `bash` layer: a loadable builtin that follows the agent's set. Names of the set become
 * dynamic variables, as RANDOM is one: a look at one looks at the page. `_`, which bash assigns
 * after every simple command, is watched as well: what needs a quiet moment happens there, and
 * children of a shell that never looks at a name itself get the new value all the same.
 */
#include "../exec/live-file.h"
#include "../exec/receipt.h"
#include "bash-abi.h"

static const char GENERATION[] = "MURMUR_GENERATION";

/* A value that may still be in use by the command that is running; and whose it was. */
struct old_value {
  struct old_value *next;
  char *value;
  char name[];
};

/* What the last file gave: who runs nothing for long misses more than a file remembers. */
struct given {
  struct given *next;
  char *value;
  char name[];
};

static char *directory;
static const volatile uint64_t *page;
static uint64_t page_seen;
static struct old_value *old_values;
static struct given *given;
/* A change came in the middle of a command; names are still to be added and removed. */
static int is_unfinished;
static int is_busy;
static uint64_t last_read;
/*
 * What one command reads is of one generation: it looks once, and again after this time only, for
 * the sake of loops without a simple command.
 */
static const uint64_t ONE_LOOK_NS = 20000000;
static uint64_t last_look;
static struct receipt own;
static int commands_of_fork;
/* The stub's own command, which `$_` is not to show. */
static int unshown = 1;

static void leave_receipt(void) {
  identify(&own);
  own.layer = LAYER_BASH;
  own.flags = READS_THROUGH;
  write_receipt(directory, &own);
}

/* A process that was forked tells of itself, unless it ends with its first command. */
static void follow_fork(void) {
  if (sys_pid() == own.pid) return;
  if (commands_of_fork++ == 0) return;
  commands_of_fork = 0;
  own.consumed_at = sys_now();
  own.last_read_before = own.generation_before = 0;
  leave_receipt();
}

static char *copy(const char *text, size_t size) {
  char *made = xmalloc(size + 1);
  append(made, text, size);
  return made;
}

static void forget(char *value) {
  for (volatile char *at = value; *at; at++) *at = 0;
  xfree(value);
}

static void forget_old_values(void) {
  while (old_values) {
    struct old_value *old = old_values;
    old_values = old->next;
    stupidly_hack_special_variables(old->name);
    forget(old->value);
    xfree(old);
  }
}

/* `value` is ours to give away; 0 leaves a variable that is there and not set. */
static void set_value(SHELL_VAR *variable, char *value) {
  size_t size = length_of(variable->name);
  if (variable->value) {
    struct old_value *old = xmalloc(sizeof *old + size + 1);
    append(old->name, variable->name, size);
    old->value = variable->value;
    old->next = old_values;
    old_values = old;
  }
  variable->value = value;
  if (value) variable->attributes &= ~att_invisible;
  else variable->attributes |= att_invisible;
  if (variable->exportstr) xfree(variable->exportstr);
  variable->exportstr = 0;
  if (variable->attributes & att_exported) array_needs_making = 1;
}

static SHELL_VAR *on_read(SHELL_VAR *variable);

/* A variable of the kind that an environment gives, not one that bash or the script made special. */
static int is_plain(const SHELL_VAR *variable) {
  int odd = att_readonly | att_array | att_assoc | att_function | att_nameref | att_noassign;
  return !(variable->attributes & odd) && !variable->assign_func &&
         (!variable->dynamic_value || variable->dynamic_value == on_read);
}

static void add(const struct live_entry *entry) {
  SHELL_VAR *variable = bind_global_variable(entry->name, entry->value, 0);
  if (!variable) return;
  variable->attributes |= att_exported;
  array_needs_making = 1;
  if (is_plain(variable)) variable->dynamic_value = on_read;
  stupidly_hack_special_variables(entry->name);
}

static struct given **find_given(const struct live_entry *entry) {
  struct given **at = &given;
  while (*at && !is_equal((*at)->name, entry->name, (size_t)entry->name_bytes + 1))
    at = &(*at)->next;
  return at;
}

static int is_same(const char *left, const char *right) {
  size_t size = length_of(left);
  return size == length_of(right) && is_equal(left, right, size);
}

static enum verdict judge_value(const struct live_file *live, const struct live_entry *entry,
                                const char *value) {
  const struct given *last = *find_given(entry);
  if (last && is_same(last->value, value) && !(entry->is_set && is_same(entry->value, value)))
    return entry->is_set ? REPLACE : REMOVE;
  return judge(live, entry, value);
}

static void remember(const struct live_entry *entry) {
  struct given **at = find_given(entry), *last = *at;
  if (last && entry->is_set) {
    if (is_same(last->value, entry->value)) return;
    forget(last->value);
    last->value = copy(entry->value, entry->value_bytes);
  } else if (last) {
    *at = last->next;
    forget(last->value);
    xfree(last);
  } else if (entry->is_set) {
    last = xmalloc(sizeof *last + entry->name_bytes + 1);
    append(last->name, entry->name, entry->name_bytes);
    last->value = copy(entry->value, entry->value_bytes);
    last->next = 0;
    *at = last;
  }
}

/* One row of "Who owns a name"; in the middle of a command nothing is added or freed. */
static void apply(const struct live_file *live, const struct live_entry *entry,
                  uint64_t generation, int isQuiet) {
  SHELL_VAR *variable = find_global_variable_noref(entry->name);
  if (!variable || !variable->value) {
    int isOurs = variable && variable->dynamic_value == on_read;
    if (entry->is_set && entry->since > generation) {
      if (isQuiet) add(entry);
    } else if (isQuiet && isOurs && !entry->is_set && (variable->attributes & att_invisible)) {
      unbind_global_variable_noref(entry->name);
      array_needs_making = 1;
    }
    return;
  }
  if (!is_plain(variable)) return;
  enum verdict verdict = judge_value(live, entry, variable->value);
  if (verdict == REPLACE) set_value(variable, copy(entry->value, entry->value_bytes));
  if (verdict == REMOVE) set_value(variable, 0);
  variable->dynamic_value = on_read;
  if (verdict != REMOVE || !isQuiet) return;
  unbind_global_variable_noref(entry->name);
  array_needs_making = 1;
}

/* The generation of the block of names, 0 when the script took the marker away. */
static uint64_t generation_of_block(SHELL_VAR **marker) {
  *marker = find_global_variable_noref(GENERATION);
  if (!*marker || !(*marker)->value || !is_plain(*marker)) return 0;
  return parse_generation((*marker)->value);
}

static void consume(uint64_t generation) {
  if (own.generation == generation) return;
  own.generation_before = own.generation;
  own.last_read_before = own.generation ? last_read : 0;
  own.generation = generation;
  own.consumed_at = sys_now();
  last_read = 0;
  leave_receipt();
}

/* Brings the shell's variables to the generation in force; 1 when nothing is left to do. */
static int refresh(int isQuiet) {
  SHELL_VAR *marker;
  uint64_t generation = generation_of_block(&marker);
  struct live_file live;
  if (generation == 0) return 1;
  if (!open_live_file(&live, directory, 0, 0)) return 0;
  if (live.generation >= generation) {
    for (uint32_t i = 0; i < live.count; i++) {
      struct live_entry *entry = &live.entries[i];
      int isMarker = entry->name_bytes == sizeof GENERATION - 1 &&
                     is_equal(entry->name, GENERATION, sizeof GENERATION);
      if (isMarker || !legal_identifier(entry->name)) continue;
      apply(&live, entry, generation, isQuiet);
      remember(entry);
    }
    // In the middle of a command the marker stays, so that names can be added afterwards.
    if (isQuiet && live.generation != generation) {
      char digits[24];
      set_value(marker, copy(digits, (size_t)(write_number(digits, live.generation) - digits)));
    }
    consume(live.generation);
  } else {
    consume(generation);
  }
  close_live_file(&live);
  return 1;
}

/* Whether the page can be read: it is not, when somebody made its file shorter. */
static int is_page_there(void) {
  // The kernel reads the "signal mask" first, and then refuses what is to be done with it.
  return system_call(__NR_rt_sigprocmask, -1, (long)page, 0, 8, 0, 0) == -22 /* EINVAL */;
}

/* The script read an `env.sh` again, perhaps of a set that was swapped while it did. */
static int is_marker_foreign(void) {
  SHELL_VAR *marker;
  return generation_of_block(&marker) != own.generation;
}

static void look(int isQuiet) {
  if (is_busy || !is_page_there()) return;
  uint64_t now = *page;
  if (now == page_seen && !(isQuiet && (is_unfinished || is_marker_foreign()))) return;
  is_busy = 1;
  if (refresh(isQuiet)) {
    page_seen = now;
    is_unfinished = !isQuiet;
  }
  is_busy = 0;
}

static SHELL_VAR *on_read(SHELL_VAR *variable) {
  if (is_busy) return variable;
  uint64_t now = sys_now();
  // A clock that was set back makes this huge: it looks.
  if (now - last_look >= ONE_LOOK_NS) {
    last_look = now;
    look(0);
  }
  last_read = now;
  return variable;
}

static SHELL_VAR *on_command(SHELL_VAR *last, char *value, intmax_t index, char *key) {
  (void)index, (void)key;
  if (unshown > 0) {
    unshown--;
  } else {
    char *before = last->value;
    last->value = copy(value ? value : "", value ? length_of(value) : 0);
    last->attributes &= ~att_invisible;
    if (before) xfree(before);
  }
  look(1);
  last_look = 0;
  if (old_values && !is_unfinished) forget_old_values();
  follow_fork();
  return last;
}

static int map_page(void) {
  char path[PATH_BYTES];
  if (!join_path(path, directory, "page")) return 0;
  int file = sys_open(path, O_RDONLY | O_NOFOLLOW);
  if (file < 0) return 0;
  if (sys_size(file) == 8) page = sys_map(8, PROT_READ, MAP_SHARED, file);
  sys_close(file);
  return page != 0;
}

static const char *value_of(const char *name) {
  SHELL_VAR *variable = find_global_variable_noref(name);
  return variable && variable->value && !(variable->attributes & (att_array | att_assoc))
             ? variable->value
             : "";
}

static void start(void) {
  const char *where = value_of("MURMUR_DIR");
  size_t size = length_of(where);
  SHELL_VAR *marker;
  if (size == 0 || size >= PATH_BYTES || !is_listed(value_of("MURMUR_LIVE"), "bash")) return;
  if (generation_of_block(&marker) == 0) return;
  directory = copy(where, size);
  if (!map_page()) return;
  look(1);
  if (old_values) forget_old_values();
  SHELL_VAR *last = find_global_variable_noref("_");
  if (last && is_plain(last)) last->assign_func = on_command;
}

#define EXPORTED __attribute__((visibility("default")))

/* Never 0: bash would say that it failed. */
EXPORTED int murmur_live_builtin_load(const char *name) {
  (void)name;
  if (!page && is_known_bash()) start();
  return 1;
}

static const char *const NO_DOCUMENTATION[] = {0};

/* Without a function it is seen by no script; `enable -d` would sort all builtins once more. */
EXPORTED struct builtin murmur_live_struct = {
    "murmur_live", 0, BUILTIN_DELETED, NO_DOCUMENTATION, "murmur_live", 0};
