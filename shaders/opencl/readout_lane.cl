// readout for devices of type CPU: one work-item owns 16 rows; see params/readout.h.
//
// The lanes of a float16 are columns. Blocks of 4 rows x 64 columns are held in registers while the features run, then
// the chunk's slots before the block, which all its rows see, then the block's own, row by row. Values that are halves
// are widened once for all blocks. Denominators are summed up in lanes of features and of slots.
#define LANES 16
#include "params/readout.h"
#define KERNEL_PARAMS READOUT_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"
#define V_HALF READOUT_V_HALF
#include "lib/values.cl"
#include "lib/readout.cl"

#define VECTORS 4
#define ROWS 4
#define TILE_ROWS 16u
#define MAX_CHUNK 256
#define VALUE_ROWS (OPTIONS & READOUT_CAUSAL ? MAX_CHUNK : 1)
#define EACH_ROW _Pragma("unroll") for (int r = 0; r < ROWS; r++)

static inline float add_16(float16 x) {
    const float8 a = x.lo + x.hi;
    const float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}

// A tile of rows of one chunk. Slots of the chunk that have a valid position are begin .. end - 1.
typedef struct Tile {
    __global const float *features, *state, *products, *fade;
    uint own, begin, end; // own: slot of the first row, in the chunk
    uint values;          // element of v of the chunk's first slot, perhaps before v
} Tile;

// Weights of the slots, decayed, and of the rows' denominators; slots that a row does not see stay undefined.
typedef struct Weights {
    float a[TILE_ROWS][MAX_CHUNK];
    float den[TILE_ROWS];
} Weights;

static inline void weigh(const Params *p, const Tile *t, Weights *w) {
    __global const float *z = t->state + p->num_features * p->value_stride;
    for (uint r = 0; r < TILE_ROWS; r++) {
        __global const float *x = t->features + r * p->num_features;
        __global const float *faded = t->fade + r * (p->chunk + 16u);
        float16 wide = 0.0f;
        for (uint f = 0; f < p->num_features; f += LANES) wide += load16_float(x, f) * load16_float(z, f);
        float den = add_16(wide);
        if (has(READOUT_CAUSAL)) {
            if (has(READOUT_FADE)) den *= faded[p->chunk];
            for (uint j = t->begin; j < min(t->end, t->own + r + 1u); j++) {
                const float a = t->products[r * p->chunk + j];
                w->a[r][j] = has(READOUT_FADE) ? a * faded[j] : a;
                den += w->a[r][j];
            }
        }
        w->den[r] = den;
    }
}

// Rows r0 .. r0 + 3 times `vectors` vectors of columns.
__attribute__((always_inline)) static inline void
add_block(const Params *p, const Tile *t, const Weights *w, float16 (*values)[VECTORS], uint r0,
          uint column, uint first, float16 sums[ROWS][VECTORS], const int vectors) {
    float16 sum[ROWS][VECTORS];
    __global const float *x = t->features + r0 * p->num_features;
    EACH_ROW _Pragma("unroll") for (int c = 0; c < vectors; c++) sum[r][c] = 0.0f;
    for (uint f = 0; f < p->num_features; f++)
        _Pragma("unroll") for (int c = 0; c < vectors; c++) {
            const float16 y = load16_float(t->state, f * p->value_stride + column + LANES * (first + c));
            EACH_ROW sum[r][c] += x[(uint)r * p->num_features + f] * y;
        }
    if (has(READOUT_CAUSAL)) {
        if (has(READOUT_FADE))
            EACH_ROW _Pragma("unroll") for (int c = 0; c < vectors; c++)
                sum[r][c] *= t->fade[(r0 + (uint)r) * (p->chunk + 16u) + p->chunk];
        uint j = t->begin;
        for (; j < min(t->own + r0, t->end); j++)
            _Pragma("unroll") for (int c = 0; c < vectors; c++) {
                const float16 y = values[j][first + c];
                EACH_ROW sum[r][c] += w->a[r0 + (uint)r][j] * y;
            }
        for (; j < min(t->own + r0 + ROWS, t->end); j++)
            EACH_ROW if (j <= t->own + r0 + (uint)r)
                _Pragma("unroll") for (int c = 0; c < vectors; c++)
                    sum[r][c] += w->a[r0 + (uint)r][j] * values[j][first + c];
    }
    EACH_ROW _Pragma("unroll") for (int c = 0; c < vectors; c++) sums[r][first + c] = sum[r][c];
}

static inline void store_columns(const Params *p, __global Out *out, uint e, uint column, float16 x) {
    if (column + LANES <= p->value_size) {
        store16_out(out, e + column, x);
        return;
    }
    float columns[LANES];
    store_lanes(columns, x);
    for (uint i = 0; column + i < p->value_size; i++) store_out(out, e + column + i, columns[i]);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
readout(__global const float *features, __global const float *states, __global const float *products,
        __global const float *fade, __global const Value *v, __global const int *lengths,
        __global const int *mask, __global Out *out, const Params params, uint first_group) {
    const Params *p = &params;
    uint item = group_index(first_group);
    const uint row = item % (p->num_rows / TILE_ROWS) * TILE_ROWS;
    item /= p->num_rows / TILE_ROWS;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    const uint valid = count_valid(p, lengths, has(READOUT_LENGTHS), batch), first = slot_of_first(p, valid);
    const bool kept = !has(READOUT_MASK) || mask[p->base_mask + head] != 0;
    const uint chunk = has(READOUT_CAUSAL) ? row / p->chunk : 0u;
    const uint begin_slot = p->row_begin + chunk * p->chunk;
    Tile t;
    t.features = features + p->base_features + batch * p->feature_batch + head * p->feature_head +
                 row * p->num_features;
    t.state = states + p->base_states + batch * p->states_batch + head / p->heads_per_state * p->states_head +
              chunk * p->states_chunk;
    t.products = products + p->base_products + batch * p->product_batch + head * p->product_head + row * p->chunk;
    t.fade = fade + p->base_fade + batch * p->fade_batch + head / p->heads_per_state * p->fade_head +
             row * (p->chunk + 16u);
    t.own = has(READOUT_CAUSAL) ? row % p->chunk : 0u;
    t.begin = max(first, begin_slot) - begin_slot;
    t.end = min(max(first + valid, begin_slot) - begin_slot, t.own + TILE_ROWS);
    t.values = p->base_v + batch * p->v_batch + head / p->heads_per_value * p->v_head +
               (begin_slot - first - p->position_begin) * p->v_row;
    Weights weights;
    weigh(p, &t, &weights);
    for (uint column = 0; column < p->value_size; column += LANES * VECTORS) {
        float16 values[VALUE_ROWS][VECTORS];
        const uint vectors = min((p->value_stride - column) / LANES, (uint)VECTORS);
        for (uint j = t.begin; has(READOUT_CAUSAL) && j < t.end; j++)
            for (uint c = 0; c < vectors; c++)
                values[j][c] = load16_values(p, v, t.values + j * p->v_row, column + c * LANES);
        for (uint r0 = 0; r0 < TILE_ROWS; r0 += ROWS) {
            float16 sums[ROWS][VECTORS];
            if (vectors == VECTORS) {
                add_block(p, &t, &weights, values, r0, column, 0, sums, VECTORS);
            } else {
                for (uint c = 0; c < vectors; c++)
                    add_block(p, &t, &weights, values, r0, column, c, sums, 1);
            }
            for (uint r = 0; r < ROWS; r++) {
                const Query query = query_of(p, row + r0 + r, valid, kept);
                const float factor = query.counts ? factor_of(p, weights.den[r0 + r]) : 0.0f;
                const uint e = p->base_out + batch * p->out_batch + head * p->out_head +
                               (query.index - p->out_begin) * p->out_row;
                for (uint c = 0; query.exists && c < vectors; c++)
                    store_columns(p, out, e, column + c * LANES,
                                  factor == 0.0f ? (float16)(0.0f) : sums[r][c] * factor);
            }
        }
    }
}
