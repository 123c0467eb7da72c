#version 450
#extension GL_GOOGLE_include_directive : require
// pinv: c, the largest sum of a column, by a workgroup a matrix, whose invocations own columns 128 apart; then
// x^T / c, 128 elements a workgroup. See params/pinv.h.

#include "../params/pinv.h"
#define KERNEL_PARAMS PINV_PARAMS
#define KERNEL_SPECIALISATION PINV_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) readonly buffer HeadMask { int head_mask[]; };
layout(std430, set = 0, binding = 3) readonly buffer Largest { float largest[]; };
layout(std430, set = 0, binding = 4) writeonly buffer To { float to[]; };

shared float lanes[128];

bool has(uint option) { return (OPTIONS & option) != 0u; }

float larger(float a, float b) { return is_nan(a) || a > b ? a : b; }

float reduce(float own) {
    lanes[gl_LocalInvocationIndex] = own;
    barrier();
    for (uint width = 64u; width > 0u; width /= 2u) {
        if (gl_LocalInvocationIndex < width)
            lanes[gl_LocalInvocationIndex] =
                larger(lanes[gl_LocalInvocationIndex], lanes[gl_LocalInvocationIndex + width]);
        barrier();
    }
    return lanes[0];
}

bool counts(uint matrix) {
    if (has(PINV_MASK) && head_mask[p.base_head_mask + matrix % p.num_heads] == 0) return false;
    return !has(PINV_LENGTHS) || lengths[p.base_lengths + matrix / p.num_heads] > int(p.size);
}

void find_largest() {
    uint matrix = group_index(), from = p.base_x + matrix * p.size * p.size;
    float c = 0.0;
    for (uint column = gl_LocalInvocationIndex; column < p.size; column += 128u) {
        float sum = 0.0;
        for (uint row = 0u; row < p.size; ++row) sum += x[from + row * p.size + column];
        c = larger(c, sum);
    }
    c = reduce(c);
    if (gl_LocalInvocationIndex == 0u) to[p.base_to + matrix] = counts(p.first + matrix) ? c : 0.0;
}

void main() {
    if (has(PINV_LARGEST)) {
        find_largest();
        return;
    }
    float common_c = 0.0;
    if (has(PINV_COMMON)) {
        for (uint i = gl_LocalInvocationIndex; i < p.total_matrices; i += 128u)
            common_c = larger(common_c, largest[p.base_largest + i]);
        common_c = reduce(common_c);
    }
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint row = item / p.size % p.size, column = item % p.size, matrix = item / p.size / p.size;
    if (matrix >= p.num_matrices) return;
    float c = has(PINV_COMMON) ? common_c : largest[p.base_largest + p.first + matrix];
    to[p.base_to + item] = x[p.base_x + (matrix * p.size + column) * p.size + row] / c;
}
