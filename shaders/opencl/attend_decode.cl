// Softmax attention of few query rows over many keys, for devices of type CPU: one work-item owns
// ROWS rows.
//
//   out_i = sum_j exp(s_ij - m_i) v_j / l_i     m_i = max_j s_ij
//   lse_i = m_i + log l_i                       l_i = sum_j exp(s_ij - m_i)
//
// Memory is the bound: each row of K and V is read once, from left to right, and serves all ROWS
// rows. The lanes of a float16 are elements of a head for both products, and keys for the softmax
// over a tile of TILE_KEYS keys.
//
// Reads q, k, v, bias, heads; writes out and lse of its rows. Defines: SIZE_QK, SIZE_V (largest
// sizes), ROWS.
#define LANES 16
#include "params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/attend.cl"

#define TILE_KEYS 64
#define KEY_VECTORS (TILE_KEYS / LANES)
#define COLUMN_VECTORS 4
#define EACH_ROW _Pragma("unroll") for (int r = 0; r < ROWS; r++)
#define EACH_COLUMN_VECTOR _Pragma("unroll") for (int x = 0; x < COLUMN_VECTORS; x++)

typedef struct State {
    Reals queries[ROWS][SIZE_QK / LANES];
    Reals sums[ROWS][SIZE_V / LANES];
    Reals scores[ROWS][KEY_VECTORS];
    Reals normaliser[ROWS]; // in parts, one a lane
    float maximum[ROWS];
    float rescale[ROWS];
} State;

static inline float add_lanes(float16 x) {
    float8 a = x.lo + x.hi;
    float4 b = a.lo + a.hi;
    float2 c = b.lo + b.hi;
    return c.x + c.y;
}

static inline float highest_lane(float16 x) {
    float8 a = x.hi > x.lo ? x.hi : x.lo;
    float4 b = a.hi > a.lo ? a.hi : a.lo;
    float2 c = b.hi > b.lo ? b.hi : b.lo;
    return c.y > c.x ? c.y : c.x;
}

static inline Ints lane_numbers(void) {
    return (Ints)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// Elements d to d + 15 of a row of `size` elements, 0 past its end.
static inline Reals load_columns(__global const Storage *x, uint e, uint d, uint size) {
    if (d + LANES <= size) return load16(x, e + d);
    float part[LANES];
    for (uint i = 0; i < LANES; i++) part[i] = d + i < size ? load(x, e + d + i) : 0.0f;
    return vload16(0, part);
}

static inline void begin_rows(const Params *p, const Tile *t, __global const Storage *q,
                              State *state) {
    const float factor = query_factor(p);
    const float sink = takes_sink(p, t) ? t->sink * LOG2_E : -INFINITY;
    for (int r = 0; r < ROWS; r++) {
        const uint e =
            p->base_q + t->batch * p->q_batch + t->head * p->q_head + (t->row + r) * p->q_row;
        for (uint d = 0; d < p->head_size; d += LANES)
            state->queries[r][d / LANES] =
                r < t->rows ? load_columns(q, e, d, p->head_size) * factor : (Reals)(0.0f);
        for (uint x = 0; x < SIZE_V / LANES; x++) state->sums[r][x] = 0.0f;
        state->maximum[r] = sink;
        state->normaliser[r] = 0.0f;
        state->normaliser[r].s0 = sink == -INFINITY ? 0.0f : 1.0f;
    }
}

static inline void compute_scores(const Params *p, State *state, __global const Storage *k, uint e,
                                  int keys) {
    for (int j = 0; j < keys; j++, e += p->k_row) {
        Reals dot_qk[ROWS];
        EACH_ROW dot_qk[r] = 0.0f;
        for (uint d = 0; d < p->head_size; d += LANES) {
            const Reals key = load_columns(k, e, d, p->head_size);
            EACH_ROW dot_qk[r] += state->queries[r][d / LANES] * key;
        }
        EACH_ROW((float *)state->scores[r])[j] = add_lanes(dot_qk[r]);
    }
}

static inline Reals load_addend_lanes(const Params *p, const Tile *t, __global const Bias *bias,
                                    int i, int j, int keys) {
    float lanes[LANES];
    for (int x = 0; x < LANES; x++) lanes[x] = x < keys ? load_addend(p, t, bias, i, j + x) : 0.0f;
    return vload16(0, lanes);
}

// Applies the score modifiers and removes what a row does not see. Returns true if a key of the
// tile was removed.
static inline bool modify_scores(const Params *p, const Tile *t, __global const Bias *bias,
                                 State *state, int j, int keys) {
    Ints removed = 0;
    for (int r = 0; r < t->rows; r++) {
        const int i = t->query + r;
        for (int x = 0; x < keys; x += LANES) {
            const Ints lanes = lane_numbers() + x;
            Reals s = state->scores[r][x / LANES];
            Reals b = 0.0f;
            if (has(OPTIONS_ADDEND)) b = load_addend_lanes(p, t, bias, i, j + x, keys - x);
            if (has_modifiers()) s = modify_score(p, t, s, i, lanes + j, b);
            if (has(OPTION_WINDOW)) s = visible(p, t, i, lanes + j) ? s : (Reals)(-INFINITY);
            removed |= is_negative_infinity(s) & (lanes < keys);
            state->scores[r][x / LANES] = s;
        }
    }
    return any(removed);
}

// One step of the online softmax: scores become weights under the new maximum.
static inline void compute_weights(State *state, int keys) {
    EACH_ROW {
        Reals highest = state->maximum[r];
        for (int x = 0; x < keys; x += LANES) {
            Reals s = state->scores[r][x / LANES];
            s = lane_numbers() + x < keys ? s : (Reals)(-INFINITY);
            highest = s > highest ? s : highest;
            state->scores[r][x / LANES] = s;
        }
        const float maximum = highest_lane(highest);
        const float base = maximum == -INFINITY ? 0.0f : maximum;
        const Reals rescale = exp2_negative((Reals)(state->maximum[r] - base));
        Reals sum = state->normaliser[r] * rescale;
        for (int x = 0; x < keys; x += LANES) {
            const Reals weight = exp2_negative(state->scores[r][x / LANES] - base);
            state->scores[r][x / LANES] = weight;
            sum += weight;
        }
        state->normaliser[r] = sum;
        state->rescale[r] = rescale.s0;
        state->maximum[r] = maximum;
    }
}

// Weight 0 is skipped if keys were removed: their values may be NaN.
static inline void add_values(const Params *p, State *state, __global const Storage *v, uint first,
                              int keys, bool removed) {
    for (uint d = 0; d < p->value_size; d += COLUMN_VECTORS * LANES) {
        Reals sum[ROWS][COLUMN_VECTORS];
        EACH_ROW EACH_COLUMN_VECTOR sum[r][x] = 0.0f; // of the tile alone: long sums lose less
        uint e = first;
        for (int j = 0; j < keys; j++, e += p->v_row) {
            Reals value[COLUMN_VECTORS];
            EACH_COLUMN_VECTOR value[x] = load_columns(v, e, d + x * LANES, p->value_size);
            EACH_ROW {
                const float weight = ((const float *)state->scores[r])[j];
                if (!removed || weight != 0.0f) EACH_COLUMN_VECTOR sum[r][x] += weight * value[x];
            }
        }
        EACH_ROW EACH_COLUMN_VECTOR state->sums[r][d / LANES + x] =
            state->sums[r][d / LANES + x] * state->rescale[r] + sum[r][x];
    }
}

static inline void end_rows(const Params *p, const Tile *t, __global Output *out,
                            __global float *lse, State *state) {
    for (int r = 0; r < t->rows; r++) {
        const bool valid = t->query + r < t->valid_queries;
        const float total = add_lanes(state->normaliser[r]);
        const float factor = total == 0.0f ? 0.0f : 1.0f / total;
        const uint e = out_offset(p, t, t->row + r);
        for (uint d = 0; d < p->value_size; d++)
            store_output(out, e + d, valid ? ((const float *)state->sums[r])[d] * factor : 0.0f);
        if (has(OPTION_LSE))
            lse[lse_offset(p, t, t->row + r)] =
                valid && total != 0.0f ? state->maximum[r] * LN_2 + log(total) : -INFINITY;
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
attend(__global const Storage *q, __global const Storage *k, __global const Storage *v,
       __global const Bias *bias, __global const uint *heads, __global Output *out,
       __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    const Params *p = &params;
    const Tile t = tile_of_group(p, heads, schedule, group_index(first_group), ROWS);
    const uint k_base = p->base_k + t.batch * p->k_batch + t.kv_head * p->k_head;
    const uint v_base = p->base_v + t.batch * p->v_batch + t.kv_head * p->v_head;
    State state;
    begin_rows(p, &t, q, &state);

    const Run run = whole_run(p, &t);
    for (int j = run.first; j < run.end; j += TILE_KEYS) {
        const int keys = min(run.end - j, TILE_KEYS);
        const uint row = (uint)j - p->key_begin;
        compute_scores(p, &state, k, k_base + row * p->k_row, keys);
        bool removed = false;
        if (has_modifiers() || has(OPTION_WINDOW))
            removed = modify_scores(p, &t, bias, &state, j, keys);
        compute_weights(&state, keys);
        add_values(p, &state, v, v_base + row * p->v_row, keys, removed);
    }
    end_rows(p, &t, out, lse, &state);
}
