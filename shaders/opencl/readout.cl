// readout: rows of linear attention from states, products and values, see params/readout.h.
//
// A work-item owns 4 rows x 8 columns in registers, and those rows' denominators, which neighbours compute too. It
// walks the features, four a step, then the chunk's slots before its rows, which all of them see, then its rows' own,
// which each sees up to itself.
#define LANES 1
#include "params/readout.h"
#define KERNEL_PARAMS READOUT_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"
#define V_HALF READOUT_V_HALF
#include "lib/values.cl"
#include "lib/readout.cl"

#define ROWS 4
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < n; i++)

typedef struct Sums {
    float4 num[ROWS][2];
    float den[ROWS];
} Sums;

static inline void add_state(const Params *p, Sums *sums, __global const float *features,
                             __global const float *state, uint column) {
    __global const float *z = state + p->num_features * p->value_stride;
    for (uint f = 0; f < p->num_features; f++) {
        const float4 s[2] = {vload4(0, state + f * p->value_stride + column),
                             vload4(0, state + f * p->value_stride + column + 4u)};
        EACH(r, ROWS) {
            const float x = features[(uint)r * p->num_features + f];
            sums->den[r] += x * z[f];
            EACH(c, 2) sums->num[r][c] += x * s[c];
        }
    }
}

// Slot j of the chunk, whose value is at element e; `cut`: rows before it, the tile's first being slot `own`, do not
// see it.
static inline void add_slot(const Params *p, Sums *sums, __global const float *products,
                            __global const float *fade, __global const Value *v, uint e, uint j,
                            uint own, uint column, bool cut) {
    const float4 y[2] = {load4_value(p, v, e, column), load4_value(p, v, e, column + 4u)};
    EACH(r, ROWS) {
        float x = products[(uint)r * p->chunk + j];
        if (has(READOUT_FADE)) x *= fade[(uint)r * (p->chunk + 16u) + j];
        if (!cut || j <= own + (uint)r) {
            sums->den[r] += x;
            EACH(c, 2) sums->num[r][c] += x * y[c];
        }
    }
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
readout(__global const float *features, __global const float *states, __global const float *products,
        __global const float *fade, __global const Value *v, __global const int *lengths,
        __global const int *mask, __global Out *out, const Params params, uint first_group) {
    const Params *p = &params;
    uint item = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint column_tiles = (p->value_size + 7u) / 8u, row_tiles = p->num_rows / ROWS;
    const uint column = item % column_tiles * 8u;
    item /= column_tiles;
    const uint row = item % row_tiles * ROWS;
    item /= row_tiles;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    if (batch >= p->num_batches) return;

    const uint valid = count_valid(p, lengths, has(READOUT_LENGTHS), batch), first = slot_of_first(p, valid);
    const uint chunk = has(READOUT_CAUSAL) ? row / p->chunk : 0u;
    Sums sums;
    EACH(r, ROWS) {
        sums.den[r] = 0.0f;
        EACH(c, 2) sums.num[r][c] = 0.0f;
    }
    add_state(p, &sums,
              features + p->base_features + batch * p->feature_batch + head * p->feature_head + row * p->num_features,
              states + p->base_states + batch * p->states_batch + head / p->heads_per_state * p->states_head +
                  chunk * p->states_chunk,
              column);
    if (has(READOUT_CAUSAL)) {
        const uint begin_slot = p->row_begin + chunk * p->chunk, own = row % p->chunk;
        const uint begin = max(first, begin_slot) - begin_slot;
        const uint end = min(max(first + valid, begin_slot) - begin_slot, own + ROWS);
        products += p->base_products + batch * p->product_batch + head * p->product_head + row * p->chunk;
        if (has(READOUT_FADE)) {
            fade += p->base_fade + batch * p->fade_batch + head / p->heads_per_state * p->fade_head +
                    row * (p->chunk + 16u);
            EACH(r, ROWS) {
                const float decay = fade[(uint)r * (p->chunk + 16u) + p->chunk];
                sums.den[r] *= decay;
                EACH(c, 2) sums.num[r][c] *= decay;
            }
        }
        const uint values = p->base_v + batch * p->v_batch + head / p->heads_per_value * p->v_head +
                            (begin_slot - first - p->position_begin) * p->v_row; // of the chunk's first slot
        uint j = begin;
        for (; j < min(own, end); j++)
            add_slot(p, &sums, products, fade, v, values + j * p->v_row, j, own, column, false);
        for (; j < end; j++) add_slot(p, &sums, products, fade, v, values + j * p->v_row, j, own, column, true);
    }
    const bool kept = !has(READOUT_MASK) || mask[p->base_mask + head] != 0;
    EACH(r, ROWS) {
        const Query query = query_of(p, row + (uint)r, valid, kept);
        const float factor = query.counts ? factor_of(p, sums.den[r]) : 0.0f;
        const uint e = p->base_out + batch * p->out_batch + head * p->out_head +
                       (query.index - p->out_begin) * p->out_row;
        const float columns[8] = {sums.num[r][0].x, sums.num[r][0].y, sums.num[r][0].z, sums.num[r][0].w,
                                  sums.num[r][1].x, sums.num[r][1].y, sums.num[r][1].z, sums.num[r][1].w};
        _Pragma("unroll") for (uint c = 0; c < 8u; c++) if (query.exists && column + c < p->value_size)
            store_out(out, e + column + c, factor == 0.0f ? 0.0f : columns[c] * factor);
    }
}
