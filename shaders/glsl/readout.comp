#version 450
#extension GL_GOOGLE_include_directive : require
// readout: rows of linear attention from states, products and values, see params/readout.h.
//
// An invocation owns ROWS rows x 8 columns in registers, and those rows' denominators, which neighbours compute too.
// It walks the features, four a step, then the chunk's slots before its rows, which all of them see, then its rows'
// own, which each sees up to itself.
//
// Defines: ROWS (4, 8); ALIGNED_FLOAT: v is float32 on multiples of 4 elements.

#include "../params/readout.h"
#define KERNEL_PARAMS READOUT_PARAMS
#define KERNEL_SPECIALISATION READOUT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer Features { vec4 features[]; };
layout(std430, set = 0, binding = 1) readonly buffer States { vec4 states[]; };
layout(std430, set = 0, binding = 2) readonly buffer Products { vec4 products[]; };
layout(std430, set = 0, binding = 3) readonly buffer Fade { vec4 fade[]; };
layout(std430, set = 0, binding = 5) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 6) readonly buffer Mask { uint mask[]; };
layout(std430, set = 0, binding = 7) writeonly buffer Out { uint out_words[]; };

#include "lib/slots.glsl"
#define V_BINDING 4
#define V_HALF READOUT_V_HALF
#include "lib/values.glsl"
#include "lib/readout.glsl"

#if ROWS == 8
#define OVER_ROWS REPEAT_8
#else
#define OVER_ROWS REPEAT_4
#endif

vec4 sum[2 * ROWS]; // of row r, columns c: 2 r + c
float den[ROWS];

#define LOAD_STATE(i) \
    vec4 s##i##_0 = states[(e + (f + uint(i)) * p.value_stride + column) >> 2]; \
    vec4 s##i##_1 = states[((e + (f + uint(i)) * p.value_stride + column) >> 2) + 1u];
#define ADD_STATE(r) { \
        vec4 x = features[(from + uint(r) * p.num_features + f) >> 2]; \
        sum[2 * (r)] += x.x * s0_0 + x.y * s1_0 + x.z * s2_0 + x.w * s3_0; \
        sum[2 * (r) + 1] += x.x * s0_1 + x.y * s1_1 + x.z * s2_1 + x.w * s3_1; \
        den[r] += dot(x, total); \
    }

// What the rows see of the state that begins at element e.
void add_state(uint from, uint e, uint column) {
    uint z = e + p.num_features * p.value_stride;
    for (uint f = 0u; f < p.num_features; f += 4u) {
        vec4 total = states[(z + f) >> 2];
        REPEAT_4(LOAD_STATE)
        OVER_ROWS(ADD_STATE)
    }
}

#define LOAD_SLOT(i) \
    bool valid##i = j + uint(i) >= begin && j + uint(i) < end; \
    vec4 y##i##_0 = valid##i ? load_v(values + (j + uint(i)) * p.v_row, column) : vec4(0.0); \
    vec4 y##i##_1 = valid##i ? load_v(values + (j + uint(i)) * p.v_row, column + 4u) : vec4(0.0);
#define ADD_SLOT(r, i) \
    if (!cut || j + uint(i) <= own + uint(r)) { \
        den[r] += x[i]; \
        sum[2 * (r)] += x[i] * y##i##_0; \
        sum[2 * (r) + 1] += x[i] * y##i##_1; \
    }
#define ADD_SLOTS(r) { \
        vec4 x = products[(a + uint(r) * p.chunk + j) >> 2]; \
        if (has(READOUT_FADE)) x *= fade[(weights + uint(r) * (p.chunk + 16u) + j) >> 2]; \
        REPEAT_4_OF(ADD_SLOT, r) \
    }

// Slots j .. j + 3 of the chunk; `cut`: rows, the first in slot `own`, do not see those past their own. Values of
// slots outside [begin, end) are not read.
void add_slots(uint a, uint weights, uint values, uint j, uint own, uint begin, uint end, uint column, bool cut) {
    REPEAT_4(LOAD_SLOT)
    OVER_ROWS(ADD_SLOTS)
}

#define CLEAR(r) \
    den[r] = 0.0; \
    sum[2 * (r)] = sum[2 * (r) + 1] = vec4(0.0);
#define DECAY(r) { \
        float decay = fade[(weights + uint(r) * (p.chunk + 16u) + p.chunk) >> 2].x; \
        den[r] *= decay; \
        sum[2 * (r)] *= decay; \
        sum[2 * (r) + 1] *= decay; \
    }
#define STORE(r) { \
        uint query = query_of(row + uint(r)); \
        float factor = kept && is_valid_query(query, valid) ? factor_of(den[r]) : 0.0; \
        uint e = p.base_out + batch * p.out_batch + head * p.out_head + (query - p.out_begin) * p.out_row; \
        if (query < p.num_queries) { \
            store_columns(e, column, factor == 0.0 ? vec4(0.0) : sum[2 * (r)] * factor); \
            store_columns(e, column + 4u, factor == 0.0 ? vec4(0.0) : sum[2 * (r) + 1] * factor); \
        } \
    }

void main() {
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    uint column_tiles = (p.value_size + 7u) / 8u, row_tiles = p.num_rows / ROWS;
    uint column = item % column_tiles * 8u;
    item /= column_tiles;
    uint row = item % row_tiles * ROWS;
    item /= row_tiles;
    uint head = item % p.num_heads, batch = item / p.num_heads;
    if (batch >= p.num_batches) return;

    uint valid = count_valid(has(READOUT_LENGTHS), batch), first = slot_of_first(valid);
    uint chunk = has(READOUT_CAUSAL) ? row / p.chunk : 0u;
    OVER_ROWS(CLEAR)
    uint state = p.base_states + batch * p.states_batch + head / p.heads_per_state * p.states_head +
                 chunk * p.states_chunk;
    add_state(p.base_features + batch * p.feature_batch + head * p.feature_head + row * p.num_features, state, column);
    if (has(READOUT_CAUSAL)) {
        uint begin_slot = p.row_begin + chunk * p.chunk; // of the chunk
        uint begin = max(first, begin_slot) - begin_slot;
        uint end = max(first + valid, begin_slot) - begin_slot, own = row % p.chunk;
        uint a = p.base_products + batch * p.product_batch + head * p.product_head + row * p.chunk;
        uint weights = p.base_fade + batch * p.fade_batch + head / p.heads_per_state * p.fade_head +
                       row * (p.chunk + 16u);
        uint values = p.base_v + batch * p.v_batch + head / p.heads_per_value * p.v_head +
                      (begin_slot - first - p.position_begin) * p.v_row; // of the chunk's first slot, perhaps before v
        if (has(READOUT_FADE)) {
            OVER_ROWS(DECAY)
        }
        uint j = begin & ~3u;
        for (; j < min(own, end); j += 4u) add_slots(a, weights, values, j, own, begin, end, column, false);
        for (j = max(own, begin & ~3u); j < min(own + ROWS, end); j += 4u)
            add_slots(a, weights, values, j, own, begin, end, column, true);
    }
    bool kept = !has(READOUT_MASK) || mask[p.base_mask + head] != 0u;
    OVER_ROWS(STORE)
}
