#version 450
#extension GL_GOOGLE_include_directive : require
// mean: to_p,c = factor * sum of x_rc over the valid rows of part p / number of valid rows. 128 items a workgroup, one
// an invocation; an item is 4 neighbouring columns of one part. See params/mean.h.

#include "../params/mean.h"
#define KERNEL_PARAMS MEAN_PARAMS
#define KERNEL_SPECIALISATION MEAN_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) writeonly buffer To { float to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_one(uint e) {
    if (!has(MEAN_HALF)) return uintBitsToFloat(x[e]);
    return unpackHalf2x16(x[e >> 1])[e & 1u];
}

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * 4u;
    uint matrix = item / items_a_row % (p.num_batches * p.num_heads);
    uint part = item / items_a_row / (p.num_batches * p.num_heads);
    uint head = matrix % p.num_heads, batch = matrix / p.num_heads;
    if (part >= p.num_parts) return;

    int valid = int(p.total_rows);
    if (has(MEAN_LENGTHS)) valid = clamp(lengths[p.base_lengths + batch], 0, valid);
    uint bound = uint(clamp(valid - int(p.row_begin), 0, int(p.num_rows)));
    uint left = p.num_columns - column;
    uvec4 at = min(column + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_columns - 1u)) +
               p.base_x + batch * p.x_batch + head * p.x_head;
    vec4 sum = vec4(0.0);
    uint end = min((part + 1u) * p.rows_per_part, bound);
    for (uint row = part * p.rows_per_part; row < end; ++row) {
        uvec4 e = at + row * p.x_row;
        sum += vec4(load_one(e.x), load_one(e.y), load_one(e.z), load_one(e.w));
    }
    sum *= p.factor / float(max(valid, 1));
    uint e = p.base_to + part * p.to_part + matrix * p.num_columns + column;
    to[e] = sum.x;
    if (left > 1u) to[e + 1u] = sum.y;
    if (left > 2u) to[e + 2u] = sum.z;
    if (left > 3u) to[e + 3u] = sum.w;
}
