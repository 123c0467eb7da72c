#version 450
#extension GL_GOOGLE_include_directive : require
// segments: means over consecutive rows, whose borders depend on how many are valid. 128 items a workgroup, one an
// invocation; an item is 4 neighbouring columns of one part of one segment. See params/segments.h.

#include "../params/segments.h"
#define KERNEL_PARAMS SEGMENTS_PARAMS
#define KERNEL_SPECIALISATION SEGMENTS_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) writeonly buffer To { float to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_one(uint e) {
    if (!has(SEGMENTS_HALF)) return uintBitsToFloat(x[e]);
    return unpackHalf2x16(x[e >> 1])[e & 1u];
}

vec4 load_row(uvec4 i) { return vec4(load_one(i.x), load_one(i.y), load_one(i.z), load_one(i.w)); }

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * 4u;
    uint row = item / items_a_row; // of to
    uint segment = row % p.num_segments, matrix = row / p.num_segments % (p.num_batches * p.num_heads);
    uint part = row / p.num_segments / (p.num_batches * p.num_heads);
    uint head = matrix % p.num_heads, batch = matrix / p.num_heads;
    if (part >= p.num_parts) return;

    uint n = p.total_rows;
    if (has(SEGMENTS_LENGTHS)) n = uint(clamp(lengths[p.base_lengths + batch], 0, int(n)));
    if (has(SEGMENTS_ALONE) && (n > p.num_segments || segment >= n)) return;
    uint existing = max(min(n, p.num_segments), 1u), size = n / existing, short_ones = existing - n % existing;
    uint first = segment * size + (segment > short_ones ? segment - short_ones : 0u);
    uint count = segment >= existing ? 0u : size + (segment >= short_ones ? 1u : 0u);
    uint begin = max(first, p.row_begin) + part * p.rows_per_part;
    uint end = min(first + count, min(p.row_begin + p.num_rows, begin + p.rows_per_part));
    if (has(SEGMENTS_ALONE) && begin >= end) return;

    uint left = p.num_columns - column;
    uvec4 at = column + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
    at += p.base_x + batch * p.x_batch + head / p.heads_per_kv * p.x_head;
    vec4 sum = vec4(0.0);
    if (begin < end) { // differences from the first row are added: the mean of equal rows is exact
        vec4 first_row = load_row(at + (begin - p.row_begin) * p.x_row);
        for (uint r = begin + 1u; r < end; ++r) sum += load_row(at + (r - p.row_begin) * p.x_row) - first_row;
        sum = p.factor * (first_row * (float(end - begin) / float(count)) + sum / float(count));
    }
    uint e = p.base_to + part * p.to_part + (matrix * p.num_segments + segment) * p.num_columns + column;
    to[e] = sum.x;
    if (left > 1u) to[e + 1u] = sum.y;
    if (left > 2u) to[e + 2u] = sum.z;
    if (left > 3u) to[e + 3u] = sum.w;
}
