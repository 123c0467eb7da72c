#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// readout: rows of linear attention from states, products and values, see params/readout.h.
//
// An invocation owns ROWS rows x 8 columns in registers, and those rows' denominators, which neighbours compute too. It
// walks the features, four a step, then the chunk's slots before its rows, which all of them see, then its
// rows' own, which each sees up to itself.
//
// Defines: ROWS (4, 8); ALIGNED_FLOAT: v is float32 on multiples of 4 elements.

#include "../params/readout.h"
#define KERNEL_PARAMS READOUT_PARAMS
#define KERNEL_SPECIALISATION READOUT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

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

#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

vec4 sum[ROWS][2];
float den[ROWS];

// What the rows see of the state that begins at element e.
void add_state(uint from, uint e, uint column) {
    uint z = e + p.num_features * p.value_stride;
    for (uint f = 0u; f < p.num_features; f += 4u) {
        vec4 s[4][2];
        vec4 total = states[(z + f) >> 2];
        EACH(i, 4) EACH(c, 2) s[i][c] = states[((e + (f + uint(i)) * p.value_stride + column) >> 2) + uint(c)];
        EACH(r, ROWS) {
            vec4 x = features[(from + uint(r) * p.num_features + f) >> 2];
            EACH(i, 4) EACH(c, 2) sum[r][c] += x[i] * s[i][c];
            den[r] += dot(x, total);
        }
    }
}

// Slots j .. j + 3 of the chunk; `first`: the row's own slot where some are not seen, else past them. Values of slots
// outside [begin, end) are not read.
void add_slots(uint a, uint weights, uint values, uint j, uint own, uint begin, uint end, uint column, bool cut) {
    vec4 y[4][2];
    EACH(i, 4) EACH(c, 2) {
        uint at = j + uint(i);
        y[i][c] = at >= begin && at < end ? load_v(values + at * p.v_row, column + 4u * uint(c)) : vec4(0.0);
    }
    EACH(r, ROWS) {
        vec4 x = products[(a + uint(r) * p.chunk + j) >> 2];
        if (has(READOUT_FADE)) x *= fade[(weights + uint(r) * (p.chunk + 16u) + j) >> 2];
        EACH(i, 4) {
            bool seen = !cut || j + uint(i) <= own + uint(r);
            den[r] += seen ? x[i] : 0.0;
            EACH(c, 2) sum[r][c] += seen ? x[i] * y[i][c] : vec4(0.0);
        }
    }
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
    EACH(r, ROWS) {
        den[r] = 0.0;
        EACH(c, 2) sum[r][c] = vec4(0.0);
    }
    uint state = p.base_states + batch * p.states_batch + head / p.heads_per_state * p.states_head + chunk * p.states_chunk;
    add_state(p.base_features + batch * p.feature_batch + head * p.feature_head + row * p.num_features, state, column);
    if (has(READOUT_CAUSAL)) {
        uint begin_slot = p.row_begin + chunk * p.chunk; // of the chunk
        uint begin = max(first, begin_slot) - begin_slot;
        uint end = max(first + valid, begin_slot) - begin_slot, own = row % p.chunk;
        uint a = p.base_products + batch * p.product_batch + head * p.product_head + row * p.chunk;
        uint weights = p.base_fade + batch * p.fade_batch + head / p.heads_per_state * p.fade_head + row * (p.chunk + 16u);
        uint values = p.base_v + batch * p.v_batch + head / p.heads_per_value * p.v_head +
                      (begin_slot - first - p.position_begin) * p.v_row; // of the chunk's first slot, perhaps before v
        if (has(READOUT_FADE)) EACH(r, ROWS) {
            float decay = fade[(weights + uint(r) * (p.chunk + 16u) + p.chunk) >> 2].x;
            den[r] *= decay;
            EACH(c, 2) sum[r][c] *= decay;
        }
        uint j = begin & ~3u;
        for (; j < min(own, end); j += 4u) add_slots(a, weights, values, j, own, begin, end, column, false);
        for (j = max(own, begin & ~3u); j < min(own + ROWS, end); j += 4u) add_slots(a, weights, values, j, own, begin, end, column, true);
    }
    bool kept = !has(READOUT_MASK) || mask[p.base_mask + head] != 0u;
    EACH(r, ROWS) {
        uint query = query_of(row + uint(r));
        float factor = kept && is_valid_query(query, valid) ? factor_of(den[r]) : 0.0;
        uint e = p.base_out + batch * p.out_batch + head * p.out_head + (query - p.out_begin) * p.out_row;
        EACH(c, 2) if (query < p.num_queries)
            store_columns(e, column + 4u * uint(c), factor == 0.0 ? vec4(0.0) : sum[r][c] * factor);
    }
}
