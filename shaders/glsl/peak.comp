#version 450
#extension GL_GOOGLE_include_directive : require
// peak: the largest element of some rows of a matrix, see params/peak.h. LANES invocations own a part, each of them
// fours of columns that lie apart; their maxima meet in shared memory.
//
// Defines: LANES (128: a part a workgroup; 1: 16 parts, nothing is shared).

#include "../params/peak.h"
#define KERNEL_PARAMS PEAK_PARAMS
#define KERNEL_SPECIALISATION PEAK_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#if LANES == 1
#define GROUP_SIZE 16
#else
#define GROUP_SIZE 128
shared float shares[GROUP_SIZE];
#endif
layout(local_size_x = GROUP_SIZE) in;

layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

#include "lib/slots.glsl"

bool has(uint option) { return (OPTIONS & option) != 0u; }

// NaN is larger than all else.
float larger(float a, float b) { return is_nan(a) || a > b ? a : b; }
vec4 larger(vec4 a, vec4 b) {
    bvec4 nan = greaterThan(floatBitsToUint(a) & 0x7fffffffu, uvec4(0x7f800000u));
    return mix(mix(b, a, greaterThan(a, b)), a, nan);
}

float join_lanes(float share) {
#if LANES != 1
    shares[gl_LocalInvocationIndex] = share;
    barrier();
    for (uint width = LANES / 2; width > 0u; width /= 2u) {
        if (gl_LocalInvocationIndex < width) {
            share = larger(shares[gl_LocalInvocationIndex + width], share);
            shares[gl_LocalInvocationIndex] = share;
        }
        barrier();
    }
#endif
    return share;
}

void main() {
    uint lane = gl_LocalInvocationIndex % LANES;
    uint item = group_index() * (GROUP_SIZE / LANES) + gl_LocalInvocationIndex / LANES;
    uint part = item % p.num_parts;
    uint head = item / p.num_parts % p.num_heads, batch = item / p.num_parts / p.num_heads;
    if (batch >= p.num_batches) return; // whole workgroups where lanes share
    uint valid = count_valid(has(PEAK_LENGTHS), batch), first = slot_of_first(valid);
    uint row = part * p.rows_per_part, end = min(row + p.rows_per_part, p.num_rows);
    if (!has(PEAK_ALL)) {
        row = max(row, first - min(first, p.row_begin));
        end = min(end, first + valid - min(first + valid, p.row_begin));
    }
    uint from = p.base_x + batch * p.x_batch + head * p.x_head;
    vec4 maxima = vec4(-INFINITY);
    for (; row < end; row++) {
        for (uint c = 4u * lane; c < p.num_columns; c += 4u * LANES) {
            vec4 value = x[(from + row * p.x_row + c) >> 2];
            value = has(PEAK_ABSOLUTE) ? abs(value) : value;
            maxima = mix(maxima, larger(value, maxima), lessThan(c + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_columns)));
        }
    }
    float maximum = join_lanes(larger(larger(maxima.x, maxima.y), larger(maxima.z, maxima.w)));
    if (lane == 0u) y[p.base_y + batch * p.y_batch + head * p.y_head + part] = maximum;
}
