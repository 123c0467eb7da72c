#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// coarsen: to_c = (n_2c from_2c + n_2c+1 from_2c+1) / n_c, means of clusters from means of clusters of half
// their size. 128 items a workgroup, one an invocation; an item is COLUMNS neighbouring columns of a
// cluster. See params/coarsen.h.
//
// Defines: COLUMNS (4, 16); TEXEL: `from` is a uniform texel buffer, sizes, strides and offsets are
// multiples of 4.

#include "../params/coarsen.h"
#define KERNEL_PARAMS COARSEN_PARAMS
#define KERNEL_SPECIALISATION COARSEN_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 128) in;

#ifdef TEXEL
layout(set = 0, binding = 0) uniform samplerBuffer from;
#else
layout(std430, set = 0, binding = 0) readonly buffer From { uint from[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) writeonly buffer To { float to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Elements e .. e + 3, of which `left`, at least one, belong to the row; in place of others one that does.
#ifdef TEXEL
vec4 load_from(uint e, int left) { return texelFetch(from, int(e >> 2)); }
#else
float load_one(uint e) {
    if (!has(COARSEN_HALF)) return uintBitsToFloat(from[e]);
    return unpackHalf2x16(from[e >> 1])[e & 1u];
}
vec4 load_from(uint e, int left) {
    uvec4 i = e + uvec4(min(ivec4(0, 1, 2, 3), ivec4(left - 1)));
    return vec4(load_one(i.x), load_one(i.y), load_one(i.z), load_one(i.w));
}
#endif

int count_valid(uint batch) {
    int num_positions = int(p.num_positions);
    if (!has(COARSEN_LENGTHS)) return num_positions;
    return clamp(lengths[p.base_lengths + batch], 0, num_positions);
}

void main() {
    uint items_a_row = (p.num_columns + COLUMNS - 1u) / COLUMNS;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * COLUMNS;
    uint cluster = item / items_a_row % p.num_clusters;
    uint any_head = item / items_a_row / p.num_clusters;
    uint head = any_head % p.num_heads, batch = any_head / p.num_heads;
    if (batch >= p.num_batches) return;

    int size = 1 << (p.shift - 1u);
    int valid = count_valid(batch) - int(cluster << p.shift);
    bool has_first = valid > 0;
    bool has_second = valid > size && !has(COARSEN_FIRST);
    float share = has_second ? float(min(valid - size, size)) / float(min(valid, 2 * size)) : 0.0;

    uint e = p.base_from + batch * p.from_batch + head * p.from_head + 2u * cluster * p.from_row + column;
    uint out_e = p.base_to + batch * p.to_batch + head * p.to_head + cluster * p.num_columns + column;
    [[unroll]] for (uint d = 0u; d < COLUMNS; d += 4u) {
        int left = int(p.num_columns) - int(column + d);
        if (left <= 0) continue;
        vec4 x = has_first ? load_from(e + d, left) : vec4(0.0);
        if (has_second) x = x * (1.0 - share) + load_from(e + p.from_row + d, left) * share;
        [[unroll]] for (int i = 0; i < 4; ++i)
            if (left > i) to[out_e + d + uint(i)] = x[i];
    }
}
