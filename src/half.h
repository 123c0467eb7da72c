// IEEE 754 binary16, bit for bit.

#ifndef IKATI_HALF_H
#define IKATI_HALF_H

#include <stdint.h>

// Exact. A NaN keeps its sign and the bits of its payload.
float ikati_half_to_float(uint16_t half);
// Rounds to nearest, ties to even; beyond 65504 + half a step gives infinity. A NaN stays a NaN.
uint16_t ikati_float_to_half(float value);
// The same from a double, rounded once.
uint16_t ikati_double_to_half(double value);

#endif
