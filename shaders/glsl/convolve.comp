#version 450
#extension GL_GOOGLE_include_directive : require
// convolve: to_i = base_i + bias + sum_t taps_t x_(i + t - taps_left), along the rows. 64 items a workgroup, one an
// invocation; an item is 4 neighbouring columns of 4 rows. See params/convolve.h.

#include "../params/convolve.h"
#define KERNEL_PARAMS CONVOLVE_PARAMS
#define KERNEL_SPECIALISATION CONVOLVE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Taps { uint taps[]; };
layout(std430, set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Base { float base[]; };
layout(std430, set = 0, binding = 4) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 5) writeonly buffer To { uint to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

#define LOADER(load, name, half_option) \
    float load(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    }
LOADER(load_x, x, CONVOLVE_X_HALF)
LOADER(load_tap, taps, CONVOLVE_TAPS_HALF)
LOADER(load_bias, bias, CONVOLVE_BIAS_HALF)

uint batch, head, column, left;
int valid;

// Row `row` of to, local to the step; nothing if it does not exist.
void finish(uint row, vec4 sum) {
    if (row >= p.num_rows) return;
    uvec4 at = column + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
    if (has(CONVOLVE_BIAS)) {
        uvec4 i = p.base_bias + head * p.bias_head + at;
        sum += vec4(load_bias(i.x), load_bias(i.y), load_bias(i.z), load_bias(i.w));
    }
    if (has(CONVOLVE_BASE)) {
        uvec4 i = p.base_base + batch * p.base_batch + head * p.base_head + row * p.base_row + at;
        sum += vec4(base[i.x], base[i.y], base[i.z], base[i.w]);
    }
    if (int(p.row_begin + row) >= valid) sum = vec4(0.0);
    uint e = p.base_to + batch * p.to_batch + head * p.to_head + row * p.to_row + column;
    if (has(CONVOLVE_TO_HALF)) {
        to[e >> 1] = pack_half(sum.xy);
        if (left > 2u) to[(e >> 1) + 1u] = pack_half(sum.zw);
        return;
    }
    to[e] = floatBitsToUint(sum.x);
    if (left > 1u) to[e + 1u] = floatBitsToUint(sum.y);
    if (left > 2u) to[e + 2u] = floatBitsToUint(sum.z);
    if (left > 3u) to[e + 3u] = floatBitsToUint(sum.w);
}

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u, fours = (p.num_rows + 3u) / 4u;
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    column = item % items_a_row * 4u;
    uint row = item / items_a_row % fours * 4u;
    uint matrix = item / items_a_row / fours;
    head = matrix % p.num_heads;
    batch = matrix / p.num_heads;
    if (batch >= p.num_batches) return;
    left = p.num_columns - column;
    valid = int(p.total_rows);
    if (has(CONVOLVE_LENGTHS)) valid = clamp(lengths[p.base_lengths + batch], 0, valid);

    // Step s brings row i + s - taps_left of x, which meets tap s - k for row i + k. Steps whose row is not there
    // are left out; a tap that does not exist is skipped, not 0: the row may hold NaN.
    int first_x = int(p.row_begin + row) - int(p.taps_left);
    int end_x = min(valid, int(p.x_begin + p.x_rows));
    int begin = max(int(p.x_begin) - first_x, 0), end = min(end_x - first_x, int(p.num_taps) + 3);
    uvec4 at = column + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
    at += p.base_x + batch * p.x_batch + head / p.heads_per_kv * p.x_head;
    uint tap = p.base_taps + head * p.taps_head;
    vec4 sum0 = vec4(0.0), sum1 = vec4(0.0), sum2 = vec4(0.0), sum3 = vec4(0.0);
    float tap0 = 0.0, tap1 = 0.0, tap2 = 0.0, tap3 = 0.0;
    for (int s = max(begin - 3, 0); s < end; ++s) {
        tap3 = tap2;
        tap2 = tap1;
        tap1 = tap0;
        if (s < int(p.num_taps)) tap0 = load_tap(tap + uint(s));
        if (s < begin) continue;
        uvec4 i = at + uint(first_x + s - int(p.x_begin)) * p.x_row;
        vec4 value = vec4(load_x(i.x), load_x(i.y), load_x(i.z), load_x(i.w));
        uint taps_end = p.num_taps, u = uint(s);
        if (u < taps_end) sum0 += tap0 * value;
        if (u - 1u < taps_end) sum1 += tap1 * value;
        if (u - 2u < taps_end) sum2 += tap2 * value;
        if (u - 3u < taps_end) sum3 += tap3 * value;
    }
    finish(row, sum0);
    finish(row + 1u, sum1);
    finish(row + 2u, sum2);
    finish(row + 3u, sum3);
}
