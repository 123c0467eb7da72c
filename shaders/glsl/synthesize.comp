#version 450
#extension GL_GOOGLE_include_directive : require
// synthesize: logits of components that are no products of rows, added to those that are, and -inf where a row does
// not see a key. 128 items a workgroup, one an invocation; an item is 4 neighbouring columns of a row. See
// params/synthesize.h.

#include "../params/synthesize.h"
#define KERNEL_PARAMS SYNTHESIZE_PARAMS
#define KERNEL_SPECIALISATION SYNTHESIZE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Base { float base[]; };
layout(std430, set = 0, binding = 1) readonly buffer R { uint r[]; };
layout(std430, set = 0, binding = 2) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 3) readonly buffer B { float b[]; };
layout(std430, set = 0, binding = 4) readonly buffer Alpha { uint alpha[]; };
layout(std430, set = 0, binding = 5) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 6) writeonly buffer To { float to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_r(uint e) {
    if (!has(SYNTHESIZE_R_HALF)) return uintBitsToFloat(r[e]);
    return unpackHalf2x16(r[e >> 1])[e & 1u];
}
float load_alpha(uint e) {
    if (!has(SYNTHESIZE_ALPHA_HALF)) return uintBitsToFloat(alpha[e]);
    return unpackHalf2x16(alpha[e >> 1])[e & 1u];
}

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * 4u;
    uint row = item / items_a_row % p.num_rows;
    uint matrix = item / items_a_row / p.num_rows;
    uint head = matrix % p.num_heads, batch = matrix / p.num_heads;
    if (batch >= p.num_batches) return;

    uint i = p.row_begin + row, end = p.num_columns;
    if (has(SYNTHESIZE_LENGTHS)) end = uint(clamp(lengths[p.base_lengths + batch], 0, int(end)));
    if (i >= end) end = 0u;
    else if (has(SYNTHESIZE_CAUSAL)) end = i + 1u;
    uint factors = p.base_alpha + head * p.alpha_head;
    float random_factor = has(SYNTHESIZE_RANDOM) ? load_alpha(factors + p.random_at) : 0.0;
    float product_factor = has(SYNTHESIZE_FACTORS) ? load_alpha(factors + p.factors_at) : 0.0;
    uint r_at = p.base_r + head * p.r_head + row * p.r_row;
    uint a_at = p.base_a + batch * p.a_batch + head * p.a_head + row * p.size_a;
    uint b_at = p.base_b + batch * p.b_batch + head * p.b_head + row * p.size_b;
    uint e = (matrix * p.num_rows + row) * p.num_columns;
    for (uint j = column; j < min(column + 4u, p.num_columns); ++j) {
        float logit = -INFINITY;
        if (j < end) {
            logit = has(SYNTHESIZE_BASE) ? base[p.base_base + e + j] : 0.0;
            if (has(SYNTHESIZE_RANDOM)) logit += random_factor * load_r(r_at + j);
            if (has(SYNTHESIZE_FACTORS)) {
                uint s = has(SYNTHESIZE_OUTER) ? j / p.size_b : j % p.size_a;
                logit += product_factor * a[a_at + s] * b[b_at + j % p.size_b];
            }
        }
        to[p.base_to + e + j] = logit;
    }
}
