// Random numbers by position: Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1,
// 2, 3, SC 2011).
//
// Element `index` of draw `stream` under `seed` is a pure function of the three, so every backend
// draws the same numbers in any order. Key = (low, high word of seed), counter = (index / 4,
// stream, 0, 0), lane = index % 4; index / 4 is taken modulo 2^32.

#ifndef IKATI_PHILOX_H
#define IKATI_PHILOX_H

#include <stdint.h>

// One block of four words.
void ikati_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// 32 random bits.
uint32_t ikati_draw_bits(uint64_t seed, uint32_t stream, uint64_t index);
// Uniform in [0, 1), a multiple of 2^-24: exact in float32 too.
double ikati_draw_uniform(uint64_t seed, uint32_t stream, uint64_t index);
// Normal with mean 0 and variance 1, by Box-Muller on the lane pairs (0, 1) and (2, 3).
double ikati_draw_normal(uint64_t seed, uint32_t stream, uint64_t index);

#endif
