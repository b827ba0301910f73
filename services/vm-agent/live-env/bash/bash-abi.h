/*
 * What we use of bash 5.0 to 5.2, as their headers have it. Declared here, since a machine that
 * runs bash has no headers of it; weak, so that a bash without one of them can be told.
 */
#ifndef MURMUR_BASH_ABI_H
#define MURMUR_BASH_ABI_H

#include <stdint.h>

typedef struct variable {
  char *name;
  char *value;
  char *exportstr;
  struct variable *(*dynamic_value)(struct variable *);
  struct variable *(*assign_func)(struct variable *, char *, intmax_t, char *);
  int attributes;
  int context;
} SHELL_VAR;

enum {
  att_exported = 0x1,
  att_readonly = 0x2,
  att_array = 0x4,
  att_function = 0x8,
  att_assoc = 0x40,
  att_nameref = 0x800,
  att_invisible = 0x1000,
  att_noassign = 0x4000,
};

struct builtin {
  const char *name;
  int (*function)(void *);
  int flags;
  const char *const *long_doc;
  const char *short_doc;
  char *handle;
};

enum { BUILTIN_DELETED = 2 };

#define BASH_SYMBOL extern __attribute__((weak))

BASH_SYMBOL const char *const dist_version;
BASH_SYMBOL int array_needs_making;
BASH_SYMBOL SHELL_VAR *find_global_variable_noref(const char *name);
BASH_SYMBOL SHELL_VAR *bind_global_variable(const char *name, char *value, int flags);
BASH_SYMBOL int unbind_global_variable_noref(const char *name);
BASH_SYMBOL int legal_identifier(const char *name);
BASH_SYMBOL void stupidly_hack_special_variables(char *name);
BASH_SYMBOL void *xmalloc(size_t size);
BASH_SYMBOL void xfree(void *at);

static int is_known_bash(void) {
  if (!&dist_version || !&array_needs_making || !find_global_variable_noref) return 0;
  if (!bind_global_variable || !unbind_global_variable_noref || !legal_identifier) return 0;
  if (!stupidly_hack_special_variables || !xmalloc || !xfree || !dist_version) return 0;
  const char *version = dist_version;
  return version[0] == '5' && version[1] == '.' && version[2] >= '0' && version[2] <= '2' &&
         version[3] == 0;
}

#endif
