#version 450
#extension GL_GOOGLE_include_directive : require
// outer: S = sum of features times values over a chunk of slots, Z = sum of features, see params/outer.h.
//
// An invocation owns 8 features x 8 columns of one chunk's state in registers, and walks the chunk's slots. Those of
// the first columns own Z too. Neighbours share features, so loads meet in the cache.
//
// Defines: ALIGNED_FLOAT: v is float32 on multiples of 4 elements.

#include "../params/outer.h"
#define KERNEL_PARAMS OUTER_PARAMS
#define KERNEL_SPECIALISATION OUTER_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer Features { vec4 features[]; };
layout(std430, set = 0, binding = 2) readonly buffer Fade { float fade[]; };
layout(std430, set = 0, binding = 3) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer States { vec4 states[]; };

#include "lib/slots.glsl"
#define V_BINDING 1
#define V_HALF OUTER_V_HALF
#include "lib/values.glsl"

bool has(uint option) { return (OPTIONS & option) != 0u; }

vec4 sum[16]; // of feature 4 i + k, columns c: 2 (4 i + k) + c
vec4 sum_z[2];

#define AT(i, k) 2 * (4 * (i) + (k))
#define CLEAR(i, k) sum[AT(i, k)] = sum[AT(i, k) + 1] = vec4(0.0);
#define ADD(i, k) \
    sum[AT(i, k)] += x##i[k] * y0; \
    sum[AT(i, k) + 1] += x##i[k] * y1;
#define STORE(i, k) \
    row_to = (to + (feature + 4u * uint(i) + uint(k)) * p.value_stride + column) >> 2; \
    states[row_to] = mix(vec4(0.0), sum[AT(i, k)], kept0); \
    states[row_to + 1u] = mix(vec4(0.0), sum[AT(i, k) + 1], kept1);

void main() {
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    uint column_tiles = p.value_stride / 8u, feature_tiles = p.num_features / 8u;
    uint column = item % column_tiles * 8u;
    item /= column_tiles;
    uint feature = item % feature_tiles * 8u;
    item /= feature_tiles;
    uint chunk = item % p.num_chunks;
    item /= p.num_chunks;
    uint head = item % p.num_heads, batch = item / p.num_heads;
    if (batch >= p.num_batches) return;

    uint valid = count_valid(has(OUTER_LENGTHS), batch), first = slot_of_first(valid);
    uint row = chunk * p.chunk, end = min(row + p.chunk, p.num_rows);
    uint weights = p.base_fade + batch * p.fade_batch + head * p.fade_head +
                   (row + p.chunk - 1u) * (p.chunk + 16u) - row;
    row = max(row, first - min(first, p.row_begin));
    end = min(end, first + valid - min(first + valid, p.row_begin));
    uint from = p.base_features + batch * p.feature_batch + head * p.feature_head + feature;
    uint values = p.base_v + batch * p.v_batch + head / p.heads_per_value * p.v_head;
    REPEAT_4_OF(CLEAR, 0)
    REPEAT_4_OF(CLEAR, 1)
    sum_z[0] = sum_z[1] = vec4(0.0);
    for (; row < end; row++) {
        uint e = (from + row * p.num_features) >> 2;
        vec4 x0 = features[e], x1 = features[e + 1u];
        if (has(OUTER_FADE)) {
            x0 *= fade[weights + row];
            x1 *= fade[weights + row];
        }
        uint at = values + (p.row_begin + row - first - p.position_begin) * p.v_row;
        vec4 y0 = load_v(at, column), y1 = load_v(at, column + 4u);
        REPEAT_4_OF(ADD, 0)
        REPEAT_4_OF(ADD, 1)
        sum_z[0] += x0;
        sum_z[1] += x1;
    }
    uint to = p.base_states + batch * p.states_batch + head * p.states_head + chunk * p.states_chunk;
    uint row_to;
    uvec4 place = column + uvec4(0u, 1u, 2u, 3u);
    bvec4 kept0 = lessThan(place, uvec4(p.value_size)), kept1 = lessThan(place + 4u, uvec4(p.value_size));
    REPEAT_4_OF(STORE, 0)
    REPEAT_4_OF(STORE, 1)
    if (column == 0u) {
        uint z = (to + p.num_features * p.value_stride + feature) >> 2;
        states[z] = sum_z[0];
        states[z + 1u] = sum_z[1];
    }
}
