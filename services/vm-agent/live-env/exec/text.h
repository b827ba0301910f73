/* Bytes and strings, without a C library. */
#ifndef MURMUR_TEXT_H
#define MURMUR_TEXT_H

#include "system.h"

#define INLINE static inline __attribute__((unused))

INLINE size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

INLINE int is_equal(const void *left, const void *right, size_t size) {
  const byte *a = left, *b = right;
  for (size_t i = 0; i < size; i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

INLINE char *append(char *into, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) into[i] = text[i];
  into[size] = 0;
  return into + size;
}

INLINE const char *find_text(const char *in, const char *what, size_t size) {
  for (size_t rest = length_of(in); rest >= size; in++, rest--)
    if (is_equal(in, what, size)) return in;
  return 0;
}

/* The value of `NAME=` in a block of strings, or 0. */
INLINE const char *find_value(char *const *block, const char *name) {
  size_t size = length_of(name);
  for (; *block; block++) {
    size_t i = 0;
    while (i < size && (*block)[i] == name[i]) i++;
    if (i == size && (*block)[size] == '=') return *block + size + 1;
  }
  return 0;
}

/* Whether `word` stands in a list separated by commas. */
INLINE int is_listed(const char *list, const char *word) {
  size_t size = length_of(word);
  while (list && *list) {
    size_t i = 0;
    while (list[i] && list[i] != ',') i++;
    if (i == size && is_equal(list, word, size)) return 1;
    list += list[i] ? i + 1 : i;
  }
  return 0;
}

/* Decimal digits and nothing else; 0 for anything that is no generation. */
INLINE uint64_t parse_generation(const char *text) {
  uint64_t number = 0;
  int digits = 0;
  for (; *text >= '0' && *text <= '9' && digits < 19; text++, digits++)
    number = number * 10 + (uint64_t)(*text - '0');
  return *text ? 0 : number;
}

/* At most 20 characters and a NUL. */
INLINE char *write_number(char *into, uint64_t number) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) *into++ = digits[--count];
  *into = 0;
  return into;
}

#define PATH_BYTES 4096

/* Joins an absolute directory and a name; 0 when that makes no path. */
INLINE int join_path(char into[PATH_BYTES], const char *directory, const char *name) {
  size_t first = length_of(directory), second = length_of(name);
  if (directory[0] != '/' || first + second + 2 > PATH_BYTES) return 0;
  char *end = append(into, directory, first);
  *end++ = '/';
  append(end, name, second);
  return 1;
}

#endif
