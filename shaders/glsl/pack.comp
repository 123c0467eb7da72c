#version 450
#extension GL_GOOGLE_include_directive : require
// pack: float32 rows [batch, head, query, column] to float16 in a strided view whose rows may start inside
// a 32-bit word. 128 words of the destination a workgroup, one an invocation, which alone writes it: halves
// of the view are computed, the others kept. See params/pack.h.

#include "../params/pack.h"
#define KERNEL_PARAMS PACK_PARAMS
#define KERNEL_SPECIALISATION PACK_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer From { float from[]; };
layout(std430, set = 0, binding = 1) buffer To { uint to[]; };

// Coordinate along one of the destination's axes; `offset` keeps what is left for the smaller strides. An
// axis of extent 1 has coordinate 0 whatever its stride.
uint take_coordinate(uint axis, inout uint offset) {
    uint extent = axis == 0u ? p.num_batches : axis == 1u ? p.num_heads : p.num_queries;
    uint stride = axis == 0u ? p.to_batch : axis == 1u ? p.to_head : p.to_row;
    uint i = extent > 1u ? min(offset / max(stride, 1u), extent - 1u) : 0u;
    offset -= i * stride;
    return i;
}

// Finds the source of the view's element at `offset` from its first one; false if the view has none there.
bool find_source(uint offset, out uint e) {
    uvec3 i = uvec3(0u);
    for (uint shift = 0u; shift < 6u; shift += 2u) {
        uint axis = (p.order >> shift) & 3u;
        uint c = take_coordinate(axis, offset);
        i += mix(uvec3(0u), uvec3(c), equal(uvec3(axis), uvec3(0u, 1u, 2u)));
    }
    uint row = (i.x * p.num_heads + i.y) * p.num_queries + i.z;
    e = p.base_from + row * p.num_columns + offset;
    return offset < p.num_columns;
}

void main() {
    uint word = group_index() * 128u + gl_LocalInvocationIndex;
    if (word >= p.num_words) return;

    // Offsets of the word's halves; the first word may begin one element before the view.
    uint high = word * 2u + 1u - (p.base_to & 1u);
    uint low_source, high_source;
    bool low_ours = high > 0u && find_source(high - 1u, low_source);
    bool high_ours = find_source(high, high_source);
    if (!low_ours && !high_ours) return;

    uint at = (p.base_to >> 1) + word;
    uint bits = low_ours && high_ours ? 0u : to[at];
    if (low_ours) bits = (bits & 0xffff0000u) | half_bits(from[low_source]);
    if (high_ours) bits = (bits & 0x0000ffffu) | (half_bits(from[high_source]) << 16);
    to[at] = bits;
}
