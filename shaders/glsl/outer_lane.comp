#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// outer, per invocation: S = sum of features times values over a chunk of slots, Z = sum of features, for devices of
// type CPU, where an invocation is a lane of a vector register. See params/outer.h.
//
// A workgroup is one subgroup of 8 invocations and owns 32 features x 32 columns of one chunk's state. A lane keeps 4
// columns of all features in registers. Of a slot it fetches its own columns, and 4 of the features, which shuffles
// hand round; those it sums up for Z.
//
// Features and values are uniform texel buffers: float32, offsets, strides and sizes multiples of 4.

#include "../params/outer.h"
#define KERNEL_PARAMS OUTER_PARAMS
#define KERNEL_SPECIALISATION OUTER_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 8) in;

layout(set = 0, binding = 0) uniform samplerBuffer features;
layout(set = 0, binding = 1) uniform samplerBuffer v;
layout(std430, set = 0, binding = 2) readonly buffer Fade { float fade[]; };
layout(std430, set = 0, binding = 3) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer States { vec4 states[]; };

#include "lib/slots.glsl"
#include "lib/lanes.glsl"

bool has(uint option) { return (OPTIONS & option) != 0u; }

vec4 sum[32];

void main() {
    uint item = group_index();
    uint column_tiles = (p.value_stride + 31u) / 32u, feature_tiles = (p.num_features + 31u) / 32u;
    uint column = item % column_tiles * 32u + 4u * lane;
    item /= column_tiles;
    uint feature = item % feature_tiles * 32u, own_feature = min(feature + 4u * lane, p.num_features - 4u);
    item /= feature_tiles;
    uint chunk = item % p.num_chunks;
    item /= p.num_chunks;
    uint head = item % p.num_heads, batch = item / p.num_heads;

    uint valid = count_valid(has(OUTER_LENGTHS), batch), first = slot_of_first(valid);
    uint row = chunk * p.chunk, end = min(row + p.chunk, p.num_rows);
    uint weights = p.base_fade + batch * p.fade_batch + head * p.fade_head +
                   (row + p.chunk - 1u) * (p.chunk + 16u) - row;
    row = max(row, first - min(first, p.row_begin));
    end = min(end, first + valid - min(first + valid, p.row_begin));
    uint from = p.base_features + batch * p.feature_batch + head * p.feature_head + own_feature;
    uint values = p.base_v + batch * p.v_batch + head / p.heads_per_value * p.v_head + min(column, p.value_size - 4u);
    vec4 sum_z = vec4(0.0);
    EACH(i, 32) sum[i] = vec4(0.0);
    for (; row < end; row++) {
        vec4 x = texelFetch(features, int((from + row * p.num_features) >> 2));
        vec4 y = texelFetch(v, int((values + (p.row_begin + row - first - p.position_begin) * p.v_row) >> 2));
        if (has(OUTER_FADE)) x *= fade[weights + row];
        sum_z += x;
        EACH(l, 8) EACH(i, 4) sum[4 * l + i] += SHARED(x[i], l) * y;
    }
    uint to = p.base_states + batch * p.states_batch + head * p.states_head + chunk * p.states_chunk;
    EACH(i, 32) {
        uint e = to + (feature + uint(i)) * p.value_stride + column;
        if (feature + uint(i) < p.num_features && column < p.value_stride)
            states[e >> 2] = column < p.value_size ? sum[i] : vec4(0.0);
    }
    if (column < 32u && feature + 4u * lane < p.num_features)
        states[(to + p.num_features * p.value_stride + own_feature) >> 2] = sum_z;
}
