// Softmax attention for GPUs: a work-group owns TILE_ROWS query rows and takes TILE_KEYS keys a step.
//
//   out_i = sum_j exp(s_ij - m_i) v_j / l_i,   m_i = max_j s_ij,   l_i = sum_j exp(s_ij - m_i),   lse_i = m_i + log l_i
//
// The group is GROUP_SIZE work-items as 16 x (GROUP_SIZE / 16). An item owns ROWS neighbouring rows; for the scores KEYS
// keys of each, for the output VECTORS groups of 4 columns. `tile` holds a slice of SLICE columns of K, then of V;
// `weights` holds the rows' partial maxima, then the scores after exp. q is read from global memory, where the caches have
// it. Keys are swizzled by xor, so that neighbouring items meet different banks. The row maximum is kept by every item of
// the row, the row sum in parts, one an item, added up at the end.
//
// More than COLUMNS value columns are taken one block after the other, each with scores of its own.
//
// Reads q, k, v, bias, heads; writes out and lse of its rows. Defines: GROUP_SIZE, TILE_ROWS, TILE_KEYS, COLUMNS, SLICE and
// ALIGNED: 1 if sizes, strides and offsets are multiples of 4 elements.
#define LANES 1
#include "params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/attend.cl"

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

// The item's place: column x of 16, first of its rows.
static inline int item_x(void) { return (int)get_local_id(0) % 16; }
static inline int item_row(void) { return (int)get_local_id(0) / 16 * ROWS; }

// Elements d to d + 3 of a row of `size` elements at e, 0 past its end.
static inline float4 load_columns(__global const Storage *x, uint e, uint d, uint size) {
#if ALIGNED
    return d < size ? load4(x, e + d) : (float4)(0.0f);
#else
    float4 part = 0.0f;
    if (d < size) part.x = load(x, e + d);
    if (d + 1 < size) part.y = load(x, e + d + 1);
    if (d + 2 < size) part.z = load(x, e + d + 2);
    if (d + 3 < size) part.w = load(x, e + d + 3);
    return part;
#endif
}

// Where vector d of a key lies in `tile`.
static inline int key_slot(int key, int d) { return key * SLICE_VECTORS + (d ^ (key & 15)); }

// Columns d to d + SLICE - 1 of `keys` rows of K or V; rows past them are 0, and so are columns past `size`.
static inline void load_slice(__local float4 *tile, __global const Storage *from, uint e, uint stride, int keys, uint d,
                              uint size, bool swizzled) {
    for (int i = (int)get_local_id(0); i < TILE_KEYS * SLICE_VECTORS; i += GROUP_SIZE) {
        const int key = i / SLICE_VECTORS;
        const int vector = i % SLICE_VECTORS;
        const float4 value =
            key < keys ? load_columns(from, e + (uint)key * stride, d + 4u * vector, size) : (float4)(0.0f);
        tile[swizzled ? key_slot(key, vector) : i] = value;
    }
}

static inline void compute_scores(const Params *p, const Tile *t, __local float4 *tile, __global const Storage *q,
                                  __global const Storage *k, uint k_first, int keys, float scores[ROWS][KEYS]) {
    uint row[ROWS];
    const uint q_first = p->base_q + t->batch * p->q_batch + t->head * p->q_head + t->row * p->q_row;
    EACH_ROW {
        row[r] = q_first + (uint)min(item_row() + r, t->rows - 1) * p->q_row;
        EACH_KEY scores[r][x] = 0.0f;
    }
    for (uint d = 0; d < p->head_size; d += SLICE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_slice(tile, k, k_first, p->k_row, keys, d, p->head_size, true);
        barrier(CLK_LOCAL_MEM_FENCE);
        const int vectors = (int)min((p->head_size - d + 3u) / 4u, (uint)SLICE_VECTORS);
        for (int i = 0; i < vectors; i++) {
            float4 key[KEYS];
            EACH_KEY key[x] = tile[key_slot(item_x() + 16 * x, i)];
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

// Scales the scores or applies their modifiers; on a cut tile removes what a row does not see. j: the item's first key.
static inline void modify_scores(const Params *p, const Tile *t, __global const Bias *bias, int j, bool cut,
                                 float scores[ROWS][KEYS]) {
    EACH_ROW EACH_KEY {
        const int i = t->query + min(item_row() + r, t->rows - 1);
        const int key = j + 16 * x;
        float s = scores[r][x];
        if (has_modifiers()) {
            const float b = has(OPTION_BIAS) ? load_bias(p, t, bias, i, min(key, t->end - 1)) : 0.0f;
            s = modify_score(p, t, s, i, key, b);
        } else {
            s *= p->scale * LOG2_E;
        }
        if (cut && (key >= t->end || (has(OPTION_WINDOW) && !visible(p, t, i, key)))) s = -INFINITY;
        scores[r][x] = s;
    }
}

// One step of the online softmax: the scores of all items become weights under the new maxima; sums are rescaled.
static inline void compute_weights(__local float *weights, float scores[ROWS][KEYS], State *state) {
    EACH_ROW {
        float highest = scores[r][0];
        EACH_KEY highest = fmax(highest, scores[r][x]);
        weights[(item_row() + r) * 16 + item_x()] = highest;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float base[ROWS];
    EACH_ROW {
        const __local float *part = weights + (item_row() + r) * 16;
        const float4 high = fmax(fmax(vload4(0, part), vload4(1, part)), fmax(vload4(2, part), vload4(3, part)));
        const float highest = fmax(state->maximum[r], fmax(fmax(high.x, high.y), fmax(high.z, high.w)));
        base[r] = is_negative_infinity(highest) ? 0.0f : highest;
        const float rescale = exp2_negative(state->maximum[r] - base[r]);
        state->maximum[r] = highest;
        state->normaliser[r] *= rescale;
        EACH_SLICE EACH_VECTOR state->sums[s][r][x] *= rescale;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW EACH_KEY {
        const float weight = exp2_negative(scores[r][x] - base[r]);
        weights[(item_row() + r) * TILE_KEYS + item_x() + 16 * x] = weight;
        state->normaliser[r] += weight;
    }
}

// Adds 4 keys' values, each times its row's weight. Weight 0 is skipped on cut tiles: its value may be NaN.
static inline void add_key(float weight, const float4 value[VECTORS], bool cut, float4 sums[VECTORS]) {
    EACH_VECTOR {
        const float4 next = sums[x] + weight * value[x];
        sums[x] = cut && weight == 0.0f ? sums[x] : next;
    }
}

static inline void add_values(const Params *p, __local float4 *tile, const __local float *weights,
                              __global const Storage *v, uint v_first, int keys, uint column, bool cut, State *state) {
    EACH_SLICE {
        if (s > 0) barrier(CLK_LOCAL_MEM_FENCE);
        load_slice(tile, v, v_first, p->v_row, keys, column + s * SLICE, p->value_size, false);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < keys; j++) {
            float4 value[VECTORS];
            EACH_VECTOR value[x] = tile[j * SLICE_VECTORS + item_x() + 16 * x];
            EACH_ROW add_key(weights[(item_row() + r) * TILE_KEYS + j], value, cut, state->sums[s][r]);
        }
    }
}

static inline void begin_rows(const Params *p, const Tile *t, State *state) {
    const float sink = takes_sink(p, t) ? t->sink * LOG2_E : -INFINITY;
    EACH_ROW {
        state->maximum[r] = sink;
        state->normaliser[r] = sink == -INFINITY || item_x() > 0 ? 0.0f : 1.0f;
        EACH_SLICE EACH_VECTOR state->sums[s][r][x] = 0.0f;
    }
}

static inline void store_columns(__global Output *out, uint e, uint d, uint size, float4 value) {
    if (d < size) store_output(out, e + d, value.x);
    if (d + 1 < size) store_output(out, e + d + 1, value.y);
    if (d + 2 < size) store_output(out, e + d + 2, value.z);
    if (d + 3 < size) store_output(out, e + d + 3, value.w);
}

static inline void end_rows(const Params *p, const Tile *t, __local float *weights, __global Output *out,
                            __global float *lse, uint column, State *state) {
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW weights[(item_row() + r) * 16 + item_x()] = state->normaliser[r];
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW {
        const int row = item_row() + r;
        const bool valid = t->query + row < t->valid_queries;
        float total = 0.0f;
        for (int x = 0; x < 16; x++) total += weights[row * 16 + x];
        const float factor = total == 0.0f ? 0.0f : 1.0f / total;
        if (row < t->rows) {
            const uint e = out_offset(p, t, t->row + row);
            EACH_SLICE EACH_VECTOR {
                const float4 value = valid ? state->sums[s][r][x] * factor : (float4)(0.0f);
                store_columns(out, e, column + s * SLICE + 4u * (item_x() + 16 * x), p->value_size, value);
            }
            if (has(OPTION_LSE) && item_x() == 0 && column == 0u)
                lse[lse_offset(p, t, t->row + row)] =
                    valid && total != 0.0f ? state->maximum[r] * LN_2 + log(total) : -INFINITY;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1)))
void attend(__global const Storage *q, __global const Storage *k, __global const Storage *v, __global const Bias *bias,
            __global const uint *heads, __global Output *out, __global float *lse, const Params params,
            uint first_group) {
    __local float4 tile[TILE_KEYS * SLICE_VECTORS];
    __local float weights[TILE_ROWS * TILE_KEYS];
    const Params *p = &params;
    const Tile t = tile_of_group(p, heads, group_index(first_group), TILE_ROWS);
    const uint k_base = p->base_k + t.batch * p->k_batch + t.kv_head * p->k_head;
    const uint v_base = p->base_v + t.batch * p->v_batch + t.kv_head * p->v_head;

    for (uint column = 0; column < p->value_size; column += COLUMNS) {
        State state;
        begin_rows(p, &t, &state);
        for (int j = t.first; j < t.end; j += TILE_KEYS) {
            const int keys = min(t.end - j, TILE_KEYS);
            const bool cut = keys < TILE_KEYS || j < t.full_first || j + keys > t.full_end;
            const uint row = (uint)j - p->key_begin;
            float scores[ROWS][KEYS];
            compute_scores(p, &t, tile, q, k, k_base + row * p->k_row, keys, scores);
            modify_scores(p, &t, bias, j + item_x(), cut, scores);
            barrier(CLK_LOCAL_MEM_FENCE);
            compute_weights(weights, scores, &state);
            add_values(p, tile, weights, v, v_base + row * p->v_row, keys, column, cut, &state);
        }
        end_rows(p, &t, weights, out, lse, column, &state);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
