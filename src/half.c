#include "half.h"

#include <string.h>

// binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.

float ikati_half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    uint32_t bits;

    if (exponent == 31) {
        bits = sign | 0x7f800000u | fraction << 13;
    } else if (exponent == 0 && fraction == 0) {
        bits = sign;
    } else {
        if (exponent == 0) { // subnormal: shift until the leading 1 is where a normal number has it
            exponent = 1;
            while (!(fraction & 0x400u)) {
                fraction <<= 1;
                exponent--; // wraps below 0; the bias added next undoes it
            }
            fraction &= 0x3ffu;
        }
        bits = sign | (exponent + (127 - 15)) << 23 | fraction << 13;
    }
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

// Shifts right, rounding to nearest, ties to even.
static uint64_t shift_round(uint64_t value, uint32_t shift) {
    const uint64_t half = (uint64_t)1 << (shift - 1);
    const uint64_t odd = (value >> shift) & 1u;
    return (value + half - 1 + odd) >> shift;
}

uint16_t ikati_double_to_half(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint32_t sign = (uint32_t)(bits >> 48) & 0x8000u;
    const int exponent = (int)(bits >> 52 & 0x7ffu) - 1023;
    const uint64_t fraction = bits & 0xfffffffffffffu;

    if (exponent == 1024) {
        const uint32_t payload = (uint32_t)(fraction >> 42);
        return (uint16_t)(sign | 0x7c00u | (fraction ? payload | 0x200u : 0));
    }
    if (exponent > 15) {
        return (uint16_t)(sign | 0x7c00u);
    }
    if (exponent < -25) { // below half of the smallest subnormal, 2^-24
        return (uint16_t)sign;
    }
    const uint64_t significand = fraction | (uint64_t)1 << 52;
    if (exponent < -14) {
        return (uint16_t)(sign |
                          (uint32_t)shift_round(significand, (uint32_t)(42 - 14 - exponent)));
    }
    // A carry out of the fraction raises the exponent, up to infinity: that is the right result.
    const uint32_t biased = (uint32_t)(exponent + 15 - 1) << 10;
    return (uint16_t)(sign | (biased + (uint32_t)shift_round(significand, 42)));
}

uint16_t ikati_float_to_half(float value) { return ikati_double_to_half(value); }
