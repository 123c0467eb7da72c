// Softmax attention for GPUs: a work-group owns TILE_ROWS query rows and takes TILE_KEYS keys a
// step.
//
//   out_i = sum_j exp(s_ij - m_i) v_j / l_i     m_i = max_j s_ij
//   lse_i = m_i + log l_i                       l_i = sum_j exp(s_ij - m_i)
//
// The group is GROUP_SIZE work-items as 16 x (GROUP_SIZE / 16). An item owns ROWS neighbouring
// rows; for the scores KEYS keys of each, for the output VECTORS groups of 4 columns. `tile` holds
// a slice of SLICE columns of K, then of V; `weights` holds the rows' partial maxima, then the
// scores after exp. q is read from global memory, where the caches have it. Keys are swizzled by
// xor, so that neighbouring items meet different banks. The row maximum is kept by every item of
// the row, the row sum in parts, one an item, added up at the end.
//
// More than COLUMNS value columns are taken one block after the other, each with scores of its own.
//
// Reads q, k, v, bias, heads; writes out and lse of its rows. Defines: GROUP_SIZE, TILE_ROWS,
// TILE_KEYS, COLUMNS, SLICE and ALIGNED: 1 if sizes, strides and offsets are multiples of 4
// elements. EXPRESSION: masks and scores are expressions; `bias` is their words. COMPILED: they are
// functions. TOPK: the best keys of a row (lib/attend_topk.cl).
#define LANES 1
#include "params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/attend.cl"
#ifdef EXPRESSION
#ifdef COMPILED
#define EXPRESSION_WORDS __global const int *words
#define EXPRESSION_ARGUMENTS words
#else
#define EXPRESSION_STACK_POINTER __local int *
#define EXPRESSION_STACK(k) stack[(k) * GROUP_SIZE]
#define EXPRESSION_WORDS __global const int *words, __local int *stack
#define EXPRESSION_ARGUMENTS words, stack
#endif
#include "lib/attend_expression.cl"
#else
#define EXPRESSION_WORDS __global const Bias *bias
#define EXPRESSION_ARGUMENTS bias
#endif

#ifdef TOPK
#include "lib/attend_topk.cl"
#endif

#define ROWS (TILE_ROWS * 16 / GROUP_SIZE)
#define KEYS (TILE_KEYS / 16)
#define SLICE_VECTORS (SLICE / 4)
#define VECTORS (SLICE / 64)
#define SLICES (COLUMNS / SLICE)
#define EACH_ROW _Pragma("unroll") for (int r = 0; r < ROWS; r++)
#define EACH_KEY _Pragma("unroll") for (int x = 0; x < KEYS; x++)
#define EACH_SLICE _Pragma("unroll") for (int s = 0; s < SLICES; s++)
#define EACH_VECTOR _Pragma("unroll") for (int x = 0; x < VECTORS; x++)
// What one item keeps between steps; all indices are constants once loops are unrolled.
typedef struct State {
    float4 sums[SLICES][ROWS][VECTORS];
    float maximum[ROWS];
    float normaliser[ROWS];
} State;

// The work-item's number. Adds 0, but the compiler cannot know: else it takes all addresses out of
// the loop over `iteration` and runs out of registers.
static inline uint lane_in(const Params *p, uint iteration) {
    return (uint)get_local_id(0) + (p->unroll_guard & iteration);
}

// The place of work-item `lane` in the group: column of 16, first of its rows.
static inline uint column_of(uint lane) { return lane & 15u; }
static inline uint row_of(uint lane) { return (lane >> 4) * ROWS; }

// Elements d to d + 3 of a row of `size` elements at e. Past its end: with ALIGNED whatever, else
// 0, so that tails of q and k add nothing to a score. No address out of the row.
static inline float4 load_columns(__global const Storage *x, uint e, uint d, uint size) {
#if ALIGNED
    return load4(x, e + min(d, size - 4u));
#else
    if (d + 4u <= size) return load4(x, e + d);
    float4 part = 0.0f;
    if (d < size) part.x = load(x, e + d);
    if (d + 1u < size) part.y = load(x, e + d + 1u);
    if (d + 2u < size) part.z = load(x, e + d + 2u);
    return part;
#endif
}

// Vector d of a key lies in `tile` at key * SLICE_VECTORS + swizzle(key, d).
static inline uint swizzle(uint key, uint d) { return d ^ (key & 15u); }

// Columns d to d + SLICE - 1 of the rows of K or V of keys j to j + keys - 1. Rows past them repeat
// the last one: nobody uses them.
static inline void load_slice(const Params *p, const Tile *t, const Run *run, __local float4 *tile,
                              __global const Storage *from, uint base, uint stride, int j, int keys,
                              uint d, uint size, bool swizzled, uint lane) {
    const uint vector = lane % SLICE_VECTORS;
    for (uint key = lane / SLICE_VECTORS; key < TILE_KEYS; key += GROUP_SIZE / SLICE_VECTORS) {
        const uint row = key_position(p, t, run, j + min((int)key, keys - 1));
        const float4 value = load_columns(from, base + row * stride, d + 4u * vector, size);
        tile[key * SLICE_VECTORS + (swizzled ? swizzle(key, vector) : vector)] = value;
    }
}

static inline void compute_scores(const Params *p, const Tile *t, const Run *run,
                                  __local float4 *tile, __global const Storage *q, __global const Storage *k,
                                  uint k_base, int j, int keys, uint lane,
                                  float scores[ROWS][KEYS]) {
    const __local float4 *key_rows = tile + column_of(lane) * SLICE_VECTORS;
    const uint q_base = p->base_q + t->batch * p->q_batch + t->head * p->q_head;
    uint row[ROWS];
    EACH_ROW {
        row[r] = q_base + row_position(p, t, min((int)row_of(lane) + r, t->rows - 1)) * p->q_row;
        EACH_KEY scores[r][x] = 0.0f;
    }
    for (uint d = 0; d < p->head_size; d += SLICE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_slice(p, t, run, tile, k, k_base, p->k_row, j, keys, d, p->head_size, true, lane);
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint vectors = min((p->head_size - d + 3u) / 4u, (uint)SLICE_VECTORS);
        for (uint i = 0; i < vectors; i++) {
            float4 key[KEYS];
            EACH_KEY key[x] = key_rows[16 * x * SLICE_VECTORS + swizzle(column_of(lane), i)];
            EACH_ROW {
                const float4 query = load_columns(q, row[r], d + 4u * i, p->head_size);
                EACH_KEY {
                    scores[r][x] += query.x * key[x].x;
                    scores[r][x] += query.y * key[x].y;
                    scores[r][x] += query.z * key[x].z;
                    scores[r][x] += query.w * key[x].w;
                }
            }
        }
    }
}

// Positions of the tile's row and of a key of the run; past its end its last one, for keys that are
// looked up.
static inline int query_at(const Params *p, const Tile *t, int row) {
    return has(OPTION_SCHEDULE) ? (int)row_position(p, t, row) : t->query + row;
}
static inline int key_at(const Params *p, const Tile *t, const Run *run, int place) {
    const int last = has(OPTION_BIAS | OPTION_SCHEDULE) ? min(place, run->end - 1) : place;
    return has(OPTION_SCHEDULE) ? (int)key_position(p, t, run, last) : last;
}

// Whether a row does not see a key of a cut tile.
static inline bool hides(const Params *p, const Tile *t, const Run *run, int row, int place, int i,
                         int key) {
    if (has(OPTION_WINDOW | OPTION_SCHEDULE) && !visible(p, t, i, key)) return true;
    return has(OPTION_SCHEDULE) && run->mask < ATTEND_EVALUATE &&
           !(*mask_words(p, t, run, place, row, TILE_ROWS) >> (place & 31) & 1u);
}

// Scales the scores or applies their modifiers; on a cut tile removes what a row does not see. j:
// the tile's first key.
static inline void modify_scores(const Params *p, const Tile *t, const Run *run, EXPRESSION_WORDS,
                                 int j, bool cut, uint lane, float scores[ROWS][KEYS]) {
    EACH_ROW EACH_KEY {
        const int row = min((int)row_of(lane) + r, t->rows - 1);
        const int place = j + (int)column_of(lane) + 16 * x;
        const int i = query_at(p, t, row), key = key_at(p, t, run, place);
        float s = scores[r][x];
#ifdef EXPRESSION
        s = evaluate_score(p, t, run, EXPRESSION_ARGUMENTS, has_modifiers() ? s : s * p->scale * LOG2_E, i,
                           key);
#else
        if (has_modifiers()) {
            const float b = has(OPTION_BIAS) ? load_bias(p, t, bias, i, key) : 0.0f;
            s = modify_score(p, t, s, i, key, b);
        } else {
            s *= p->scale * LOG2_E;
        }
        if (cut && has(OPTION_CLUSTERS) && key == t->valid_keys - 1) s += t->tail;
#endif
        if (cut && (place >= run->end || hides(p, t, run, row, place, i, key))) s = -INFINITY;
        scores[r][x] = s;
    }
}

static inline float4 load_part(const __local float *x) { return (float4)(x[0], x[1], x[2], x[3]); }

// One step of the online softmax: the scores of all items become weights under the new maxima; sums
// are rescaled.
static inline void compute_weights(__local float *weights, float scores[ROWS][KEYS], uint lane,
                                   State *state) {
    __local float *parts = weights + row_of(lane) * 16u;
    EACH_ROW {
        float highest = scores[r][0];
        EACH_KEY highest = fmax(highest, scores[r][x]);
        (parts + column_of(lane))[r * 16] = highest;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW {
        const float4 high =
            fmax(fmax(load_part(parts + r * 16), load_part(parts + r * 16 + 4)),
                 fmax(load_part(parts + r * 16 + 8), load_part(parts + r * 16 + 12)));
        const float highest =
            fmax(state->maximum[r], fmax(fmax(high.x, high.y), fmax(high.z, high.w)));
        const float base = is_negative_infinity(highest) ? 0.0f : highest;
        const float rescale = exp2_negative(state->maximum[r] - base);
        state->maximum[r] = highest;
        state->normaliser[r] *= rescale;
        EACH_SLICE EACH_VECTOR state->sums[s][r][x] *= rescale;
        EACH_KEY {
            scores[r][x] = exp2_negative(scores[r][x] - base);
            state->normaliser[r] += scores[r][x];
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    __local float *mine = weights + row_of(lane) * TILE_KEYS + column_of(lane);
    EACH_ROW EACH_KEY mine[r * TILE_KEYS + 16 * x] = scores[r][x];
}

// Adds a key's value, times the row's weight. Weight 0 is skipped on cut tiles: its value may be
// NaN.
static inline void add_value(float weight, const float4 value[VECTORS], bool cut,
                             float4 sums[VECTORS]) {
    EACH_VECTOR {
        const float4 next = sums[x] + weight * value[x];
        sums[x] = cut && weight == 0.0f ? sums[x] : next;
    }
}

static inline void add_values(const Params *p, const Tile *t, const Run *run, __local float4 *tile,
                              const __local float *weights, __global const Storage *v, uint v_base,
                              int j, int keys, uint column, bool cut, uint lane, State *state) {
    const __local float4 *columns = tile + column_of(lane);
    const __local float *rows = weights + row_of(lane) * TILE_KEYS;
    EACH_SLICE {
        if (s > 0) barrier(CLK_LOCAL_MEM_FENCE);
        load_slice(p, t, run, tile, v, v_base, p->v_row, j, keys, column + s * SLICE, p->value_size,
                   false, lane);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int key = 0; key < keys; key++) {
            float4 value[VECTORS];
            EACH_VECTOR value[x] = columns[key * SLICE_VECTORS + 16 * x];
            EACH_ROW add_value((rows + key)[r * TILE_KEYS], value, cut, state->sums[s][r]);
        }
    }
}

static inline void begin_rows(const Params *p, const Tile *t, uint lane, State *state) {
    const float sink = takes_sink(p, t) ? t->sink * LOG2_E : -INFINITY;
    EACH_ROW {
        state->maximum[r] = sink;
        state->normaliser[r] = sink == -INFINITY || column_of(lane) > 0u ? 0.0f : 1.0f;
        EACH_SLICE EACH_VECTOR state->sums[s][r][x] = 0.0f;
    }
}

static inline void store_columns(__global Output *out, uint e, uint d, uint size, float4 value) {
    if (d < size) store_output(out, e + d, value.x);
    if (d + 1 < size) store_output(out, e + d + 1, value.y);
    if (d + 2 < size) store_output(out, e + d + 2, value.z);
    if (d + 3 < size) store_output(out, e + d + 3, value.w);
}

static inline void end_rows(const Params *p, const Tile *t, __local float *weights,
                            __global Output *out, __global float *lse, uint column, uint lane,
                            State *state) {
    __local float *parts = weights + row_of(lane) * 16u;
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW(parts + column_of(lane))[r * 16] = state->normaliser[r];
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW {
        const int row = (int)row_of(lane) + r;
        const uint position = row_position(p, t, min(row, t->rows - 1));
        const bool valid = is_valid_row(p, t, position);
        const float4 part = load_part(parts + r * 16) + load_part(parts + r * 16 + 4) +
                            load_part(parts + r * 16 + 8) + load_part(parts + r * 16 + 12);
        const float total = part.x + part.y + part.z + part.w;
        const float factor = total == 0.0f ? 0.0f : 1.0f / total;
        if (row < t->rows) {
            const uint to = out_row(p, t, row, position);
            const uint e = out_offset(p, t, to);
            const uint d = column + 4u * column_of(lane);
            EACH_SLICE EACH_VECTOR {
                const float4 value = valid ? state->sums[s][r][x] * factor : (float4)(0.0f);
                store_columns(out, e, d + s * SLICE + 64 * x, p->value_size, value);
            }
            if (has(OPTION_LSE) && column_of(lane) == 0u && column == 0u)
                lse[lse_offset(p, t, to)] =
                    valid && total != 0.0f ? state->maximum[r] * LN_2 + log(total) : -INFINITY;
        }
    }
}

#ifdef TOPK
typedef struct Selection {
    int threshold[ROWS];
    bool undecided[ROWS];
} Selection;

static inline void start_counts(const Params *p, const Tile *t, __global const uint *heads,
                                __local uint *counts, uint lane, Selection *selection) {
    EACH_ROW {
        selection->threshold[r] = row_threshold(p, t, heads, (int)row_of(lane) + r);
        selection->undecided[r] = is_undecided(p, t, heads, (int)row_of(lane) + r);
    }
    for (uint i = lane; i < TILE_ROWS * TOPK_BINS; i += GROUP_SIZE) counts[i] = 0u;
    barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void count_scores(const Params *p, const Selection *selection, __local uint *counts,
                                float scores[ROWS][KEYS], uint lane) {
    EACH_ROW EACH_KEY {
        const int bin = score_bin(p, scores[r][x], selection->threshold[r]);
        if (bin < TOPK_BINS && selection->undecided[r])
            atomic_inc(counts + (row_of(lane) + r) * TOPK_BINS + bin);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void store_counts(const Params *p, const Tile *t, __global Output *out,
                                const __local uint *counts, uint lane) {
    for (uint i = lane; i < TILE_ROWS * TOPK_BINS; i += GROUP_SIZE)
        add_count(p, t, out, (int)(i / TOPK_BINS), i % TOPK_BINS, counts[i]);
}

static inline void drop_scores(const Selection *selection, float scores[ROWS][KEYS]) {
    EACH_ROW EACH_KEY {
        const bool keeps = score_order(scores[r][x]) >= selection->threshold[r];
        scores[r][x] = keeps ? scores[r][x] : -INFINITY;
    }
}
#endif

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
attend(__global const Storage *q, __global const Storage *k, __global const Storage *v,
       __global const Bias *bias, __global const uint *heads, __global Output *out,
       __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    __local float4 tile[TILE_KEYS * SLICE_VECTORS];
    __local float weights[TILE_ROWS * TILE_KEYS];
    const Params *p = &params;
#ifdef EXPRESSION
    __global const int *words = (__global const int *)bias;
#ifndef COMPILED
    __local int stacks[EXPRESSION_STACK_WORDS * GROUP_SIZE];
    __local int *stack = stacks + get_local_id(0);
#endif
#endif
    const Tile t = tile_of_group(p, heads, schedule, group_index(first_group), TILE_ROWS);
    if (has(OPTION_SCHEDULE) && t.rows == 0) return;
    const uint k_base = p->base_k + t.batch * p->k_batch + t.kv_head * p->k_head;
    const uint v_base = p->base_v + t.batch * p->v_batch + t.kv_head * p->v_head;
#ifdef TOPK
    __local uint counts[TILE_ROWS * TOPK_BINS];
    Selection selection;
    if (counts_scores(p) && !any_undecided(p, &t, heads)) return;
    start_counts(p, &t, heads, counts, lane_in(p, 0u), &selection);
#endif

    for (uint column = 0; column < p->value_size; column += COLUMNS) {
        State state;
        begin_rows(p, &t, lane_in(p, column), &state);
        uint entry = has(OPTION_SCHEDULE) ? t.first_entry : 0u;
        const uint end_entry = has(OPTION_SCHEDULE) ? t.end_entry : 1u;
        for (; entry < end_entry; entry++) {
            const Run run = has(OPTION_SCHEDULE) ? run_of_entry(p, &t, entry) : whole_run(p, &t);
            for (int j = run.first; j < run.end; j += TILE_KEYS) {
                const uint lane = lane_in(p, (uint)j);
                const int keys = min(run.end - j, TILE_KEYS);
                bool cut = keys < TILE_KEYS || j < run.full_first || j + keys > run.full_end;
                float scores[ROWS][KEYS];
                compute_scores(p, &t, &run, tile, q, k, k_base, j, keys, lane, scores);
                modify_scores(p, &t, &run, EXPRESSION_ARGUMENTS, j, cut, lane, scores);
                barrier(CLK_LOCAL_MEM_FENCE);
#ifdef TOPK
                if (counts_scores(p)) {
                    count_scores(p, &selection, counts, scores, lane);
                    continue;
                }
                drop_scores(&selection, scores);
                cut = true; // any key may be dropped
#endif
                compute_weights(weights, scores, lane, &state);
                add_values(p, &t, &run, tile, weights, v, v_base, j, keys, column, cut, lane, &state);
            }
        }
#ifdef TOPK
        if (counts_scores(p)) {
            store_counts(p, &t, out, counts, lane_in(p, column));
            return;
        }
#endif
        end_rows(p, &t, weights, out, lse, column, lane_in(p, column), &state);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
