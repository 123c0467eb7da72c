#include "philox.h"

#include <math.h>

#define UNIT (1.0 / 16777216.0) // 2^-24
#define TWO_PI 6.28318530717958647692

void ikati_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xd2511f53u * c0;
        const uint64_t product1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// The block that element `index` lies in.
static void draw_block(uint64_t seed, uint32_t stream, uint64_t index, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)(index / 4), stream, 0, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    ikati_philox(counter, key, out);
}

uint32_t ikati_draw_bits(uint64_t seed, uint32_t stream, uint64_t index) {
    uint32_t block[4];
    draw_block(seed, stream, index, block);
    return block[index % 4];
}

double ikati_draw_uniform(uint64_t seed, uint32_t stream, uint64_t index) {
    return (ikati_draw_bits(seed, stream, index) >> 8) * UNIT;
}

double ikati_draw_normal(uint64_t seed, uint32_t stream, uint64_t index) {
    uint32_t block[4];
    draw_block(seed, stream, index, block);
    const uint32_t *pair = &block[index % 4 & 2u];
    const double u1 = ((pair[0] >> 8) + 1) * UNIT; // never 0
    const double u2 = (pair[1] >> 8) * UNIT;
    const double radius = sqrt(-2.0 * log(u1));
    return index % 2 == 0 ? radius * cos(TWO_PI * u2) : radius * sin(TWO_PI * u2);
}
