#version 450
#extension GL_GOOGLE_include_directive : require
// softmax: of rows, 4 a workgroup. 32 invocations own a row, each of them columns that lie 32 apart; maxima and sums
// meet in shared memory. See params/softmax.h.

#include "../params/softmax.h"
#define KERNEL_PARAMS SOFTMAX_PARAMS
#define KERNEL_SPECIALISATION SOFTMAX_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#define LANES 32u
layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer To { float to[]; };

shared float lanes[128];

float load_x(uint e) {
    if ((OPTIONS & SOFTMAX_HALF) == 0u) return uintBitsToFloat(x[e]);
    return unpackHalf2x16(x[e >> 1])[e & 1u];
}

// The largest or the sum over the lanes of a row, in all of them.
float reduce(float own, uint lane, bool adds) {
    barrier();
    lanes[gl_LocalInvocationIndex] = own;
    barrier();
    for (uint width = LANES / 2u; width > 0u; width /= 2u) {
        float other = lanes[gl_LocalInvocationIndex ^ width];
        barrier();
        own = adds ? own + other : other > own ? other : own;
        lanes[gl_LocalInvocationIndex] = own;
        barrier();
    }
    return own;
}

void main() {
    uint lane = gl_LocalInvocationIndex % LANES;
    uint row = group_index() * 4u + gl_LocalInvocationIndex / LANES;
    uint end = row < p.num_rows ? p.num_columns : 0u;
    uint from = p.base_x + row * p.x_row, e = p.base_to + row * p.num_columns;
    float largest = -INFINITY, sum = 0.0; // NaN is no maximum, but it is in the sum
    for (uint c = lane; c < end; c += LANES) {
        float s = load_x(from + c);
        largest = s > largest ? s : largest;
    }
    largest = reduce(largest, lane, false);
    for (uint c = lane; c < end; c += LANES) {
        float s = load_x(from + c);
        sum += is_negative_infinity(s) ? 0.0 : is_nan(s) ? s : exp2((s - largest) * LOG2_E);
    }
    sum = reduce(sum, lane, true);
    float factor = sum == 0.0 ? 0.0 : 1.0 / sum;
    if (!is_finite(sum) || !is_finite(largest) && !is_negative_infinity(largest)) factor = NOT_A_NUMBER;
    for (uint c = lane; c < end; c += LANES) {
        float s = load_x(from + c);
        to[e + c] = is_negative_infinity(s) && is_finite(factor) ? 0.0 : exp2((s - largest) * LOG2_E) * factor;
    }
}
