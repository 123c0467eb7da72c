// FNV-1a, 64 bits: names of files in caches, and their checksums.

#ifndef IKATI_HASH_H
#define IKATI_HASH_H

#include <stddef.h>
#include <stdint.h>

#define IKATI_HASH_START UINT64_C(14695981039346656037)

// Takes more bytes into a hash that begins with IKATI_HASH_START.
static inline uint64_t ikati_hash(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

#endif
