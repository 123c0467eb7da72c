#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// readout, per invocation: rows of linear attention from states, products and values, for devices of type CPU, where
// an invocation is a lane of a vector register. See params/readout.h.
//
// A workgroup is one subgroup of 8 invocations and owns 16 rows x 32 columns. A lane keeps 4 columns of all rows in
// registers, and the denominators of two rows, whose features and products it fetches; shuffles hand these round. It
// walks the features, four a step, then the chunk's slots before its rows, which all of them see, then its rows' own,
// which each sees up to itself.
//
// Inputs are uniform texel buffers: float32, offsets, strides and sizes multiples of 4.

#include "../params/readout.h"
#define KERNEL_PARAMS READOUT_PARAMS
#define KERNEL_SPECIALISATION READOUT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 8) in;

layout(set = 0, binding = 0) uniform samplerBuffer features;
layout(set = 0, binding = 1) uniform samplerBuffer states;
layout(set = 0, binding = 2) uniform samplerBuffer products;
layout(set = 0, binding = 3) uniform samplerBuffer fade;
layout(set = 0, binding = 4) uniform samplerBuffer v;
layout(std430, set = 0, binding = 5) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 6) readonly buffer Mask { uint mask[]; };
layout(std430, set = 0, binding = 7) writeonly buffer Out { uint out_words[]; };

#include "lib/slots.glsl"
#include "lib/lanes.glsl"
#include "lib/readout.glsl"

#define ROWS 16
#define FETCHES (ROWS / 8)
#define FETCH(name, e) texelFetch(name, int((e) >> 2))

vec4 sum[ROWS];
float den[FETCHES]; // of rows lane, lane + 8

void add_state(uint from, uint e, uint column) {
    uint z = e + p.num_features * p.value_stride, own = e + column;
    for (uint f = 0u; f < p.num_features; f += 4u) {
        vec4 s[4], total = FETCH(states, z + f);
        EACH(i, 4) s[i] = FETCH(states, own + (f + uint(i)) * p.value_stride);
        EACH(n, FETCHES) {
            vec4 x = FETCH(features, from + (8u * uint(n) + lane) * p.num_features + f);
            den[n] += dot(x, total);
            EACH(l, 8) EACH(i, 4) sum[8 * n + l] += SHARED(x[i], l) * s[i];
        }
    }
}

// Slots j .. j + 3 of the chunk. Values of those outside [begin, end) are not read; with `cut` those past a row's own
// slot count nothing, and are not multiplied by 0.
void add_slots(uint a, uint weights, uint values, uint j, uint own, uint begin, uint end, bool cut) {
    vec4 y[4];
    EACH(i, 4) {
        uint at = j + uint(i);
        y[i] = at >= begin && at < end ? FETCH(v, values + at * p.v_row) : vec4(0.0);
    }
    EACH(n, FETCHES) {
        uint row = 8u * uint(n) + lane;
        vec4 x = FETCH(products, a + row * p.chunk + j);
        if (has(READOUT_FADE)) x *= FETCH(fade, weights + row * (p.chunk + 16u) + j);
        if (cut) x = mix(vec4(0.0), x, lessThanEqual(j + uvec4(0u, 1u, 2u, 3u), uvec4(own + row)));
        den[n] += (x.x + x.y) + (x.z + x.w);
        EACH(l, 8) EACH(i, 4) {
            vec4 product = SHARED(x[i], l) * y[i];
            if (cut) product = j + uint(i) <= own + uint(8 * n + l) ? product : vec4(0.0);
            sum[8 * n + l] += product;
        }
    }
}

void main() {
    uint item = group_index();
    uint column_tiles = (p.value_size + 31u) / 32u, row_tiles = p.num_rows / ROWS;
    uint column = item % column_tiles * 32u + 4u * lane, own_column = min(column, p.value_size - 4u);
    item /= column_tiles;
    uint row = item % row_tiles * ROWS;
    item /= row_tiles;
    uint head = item % p.num_heads, batch = item / p.num_heads;

    uint valid = count_valid(has(READOUT_LENGTHS), batch), first = slot_of_first(valid);
    uint chunk = has(READOUT_CAUSAL) ? row / p.chunk : 0u;
    EACH(r, ROWS) sum[r] = vec4(0.0);
    EACH(n, FETCHES) den[n] = 0.0;
    add_state(p.base_features + batch * p.feature_batch + head * p.feature_head + row * p.num_features,
              p.base_states + batch * p.states_batch + head / p.heads_per_state * p.states_head +
                  chunk * p.states_chunk,
              own_column);
    if (has(READOUT_CAUSAL)) {
        uint begin_slot = p.row_begin + chunk * p.chunk, own = row % p.chunk;
        uint begin = max(first, begin_slot) - begin_slot, end = max(first + valid, begin_slot) - begin_slot;
        uint a = p.base_products + batch * p.product_batch + head * p.product_head + row * p.chunk;
        uint weights = p.base_fade + batch * p.fade_batch + head / p.heads_per_state * p.fade_head +
                       row * (p.chunk + 16u);
        uint values = p.base_v + batch * p.v_batch + head / p.heads_per_value * p.v_head +
                      (begin_slot - first - p.position_begin) * p.v_row + own_column; // of the chunk's first slot
        if (has(READOUT_FADE)) EACH(n, FETCHES) {
            float decay = FETCH(fade, weights + (8u * uint(n) + lane) * (p.chunk + 16u) + p.chunk).x;
            den[n] *= decay;
            EACH(l, 8) sum[8 * n + l] *= SHARED(decay, l);
        }
        uint j = begin & ~3u;
        for (; j < min(own, end); j += 4u) add_slots(a, weights, values, j, own, begin, end, false);
        for (; j < min(own + ROWS, end); j += 4u) add_slots(a, weights, values, j, own, begin, end, true);
    }
    bool kept = !has(READOUT_MASK) || mask[p.base_mask + head] != 0u;
    EACH(n, FETCHES) EACH(l, 8) {
        float factor = factor_of(SHARED(den[n], l));
        uint query = query_of(row + uint(8 * n + l));
        uint e = p.base_out + batch * p.out_batch + head * p.out_head + (query - p.out_begin) * p.out_row;
        if (!kept || !is_valid_query(query, valid)) factor = 0.0;
        if (query < p.num_queries) store_columns(e, column, factor == 0.0 ? vec4(0.0) : sum[8 * n + l] * factor);
    }
}
