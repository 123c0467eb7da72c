// The smaller and the larger of two integers.

#ifndef IKATI_INTEGERS_H
#define IKATI_INTEGERS_H

#include <stdint.h>

static inline int64_t ikati_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ikati_most(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
