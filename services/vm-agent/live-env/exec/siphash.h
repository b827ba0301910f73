/* SipHash-2-4 (Aumasson and Bernstein, 2012), as ../siphash.ts. */
#ifndef MURMUR_SIPHASH_H
#define MURMUR_SIPHASH_H

#include "text.h"

INLINE uint64_t load_number(const byte *at, int size) {
  uint64_t number = 0;
  for (int i = size - 1; i >= 0; i--) number = number << 8 | at[i];
  return number;
}

#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))

INLINE void siphash_rounds(uint64_t v[4], int count) {
  while (count-- > 0) {
    v[0] += v[1];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
  }
}

INLINE uint64_t siphash(const byte key[16], const byte *bytes, size_t size) {
  uint64_t k0 = load_number(key, 8), k1 = load_number(key + 8, 8);
  uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                   k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
  for (size_t at = 0;; at += 8) {
    int isLast = size - at < 8;
    uint64_t word = isLast ? load_number(bytes + at, (int)(size - at)) | (uint64_t)size << 56
                           : load_number(bytes + at, 8);
    v[3] ^= word;
    siphash_rounds(v, 2);
    v[0] ^= word;
    if (isLast) break;
  }
  v[2] ^= 0xff;
  siphash_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
