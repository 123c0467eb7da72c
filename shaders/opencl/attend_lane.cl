// Softmax attention for devices of type CPU: one work-item owns a tile of 16 * ROW_VECTORS query
// rows.
//
//   out_i = sum_j exp(s_ij - m_i) v_j / l_i     m_i = max_j s_ij
//   lse_i = m_i + log l_i                       l_i = sum_j exp(s_ij - m_i)
//
// The lanes of a float16 are query rows, so that both products broadcast single elements of K and V
// from where they lie and the softmax never crosses lanes:
//   scores[j][rows] = sum_d k[j][d] * queries[d][rows]
//   sums[d][rows]  += sum_j v[j][d] * exp2(scores[j][rows] - m)
// KEY_BLOCK keys or COLUMN_BLOCK columns times all rows are held in registers while the sum runs.
// queries, scores and sums are private arrays that live in the first-level cache. float16 K and V
// are widened into private tiles first. Tiles of TILE_KEYS keys; those that an edge or a bias cuts
// select per element.
//
// Reads q, k, v, bias, heads; writes out and lse of its rows. Defines: SIZE_QK, SIZE_V (largest
// sizes), ROW_VECTORS. EXPRESSION: masks and scores are expressions; `bias` is their words. COMPILED:
// they are functions. TOPK: the best keys of a row (lib/attend_topk.cl).
#define LANES 16
#include "params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/attend.cl"
#ifdef EXPRESSION
#define EXPRESSION_WORDS __global const int *words
#define EXPRESSION_ARGUMENTS words
#include "lib/attend_expression.cl"
#endif

#ifdef TOPK
#include "lib/attend_topk.cl"
#else
static inline bool counts_scores(const Params *p) { return false; }
#endif

#define TILE_ROWS (LANES * ROW_VECTORS)
#define TILE_KEYS 64
#define KEY_BLOCK (16 / ROW_VECTORS)
#define COLUMN_BLOCK (16 / ROW_VECTORS)
#define EACH_ROW_VECTOR _Pragma("unroll") for (int r = 0; r < ROW_VECTORS; r++)
#define EACH_BLOCK_MEMBER _Pragma("unroll") for (int x = 0; x < 16 / ROW_VECTORS; x++)

// Where row j of a tile's keys begins, in a tensor whose rows are `stride` apart; `base` is that of the
// tile's first key, or with a schedule of position 0.
#if OPTIONS & OPTION_SCHEDULE
#define KEY_ROW(base, stride, j) ((base) + state->positions[j] * (stride))
#else
#define KEY_ROW(base, stride, j) ((base) + (uint)(j) * (stride))
#endif

// Rows of K or V as the products read them: in place, or packed in private memory. Halves are widened
// there; rows of a schedule that lie far apart would fall into few sets of the first-level cache.
#define PACKS (OPTIONS & (OPTION_HALF | OPTION_SCHEDULE))
#if PACKS
typedef const float *Rows;
#else
typedef __global const float *Rows;
#endif

typedef struct State {
    Reals queries[SIZE_QK][ROW_VECTORS];
    Reals scores[TILE_KEYS][ROW_VECTORS];
    Reals sums[SIZE_V + COLUMN_BLOCK][ROW_VECTORS];
    Reals maximum[ROW_VECTORS];
    Reals normaliser[ROW_VECTORS];
    Reals rescale[ROW_VECTORS];
#if OPTIONS & OPTION_SCHEDULE
    uint positions[TILE_KEYS]; // of keys
    Ints rows[ROW_VECTORS];    // positions of rows
#endif
#if PACKS
    float keys[KEY_BLOCK * SIZE_QK]; // packed rows
    float values[TILE_KEYS * SIZE_V];
#endif
#if OPTIONS & OPTION_BIAS
    float bias[TILE_KEYS][TILE_ROWS];
#endif
#ifdef TOPK
    Ints threshold[ROW_VECTORS];
    uint counts[TILE_ROWS][TOPK_BINS + 1]; // the last one of scores that are in none
#endif
} State;

static inline void begin_rows(const Params *p, const Tile *t, __global const Storage *q,
                              State *state) {
    const float factor = query_factor(p);
    for (uint d = 0; d < p->head_size; d++) {
        float *lanes = (float *)state->queries[d];
        for (int r = 0; r < TILE_ROWS; r++) lanes[r] = 0.0f;
    }
    for (int r = 0; r < t->rows; r++) {
        const uint row = row_position(p, t, r);
        const uint e = p->base_q + t->batch * p->q_batch + t->head * p->q_head + row * p->q_row;
#if OPTIONS & OPTION_SCHEDULE
        ((int *)state->rows)[r] = (int)row;
#endif
        for (uint d = 0; d < p->head_size; d++)
            ((float *)state->queries[d])[r] = load(q, e + d) * factor;
    }
    for (uint d = 0; d < p->value_size + COLUMN_BLOCK; d++)
        EACH_ROW_VECTOR state->sums[d][r] = 0.0f;

    const float sink = takes_sink(p, t) ? t->sink * LOG2_E : -INFINITY;
    EACH_ROW_VECTOR {
        state->maximum[r] = sink;
        state->normaliser[r] = sink == -INFINITY ? 0.0f : 1.0f;
    }
}

#if PACKS
static inline void pack_rows(const State *state, float *to, __global const Storage *from, uint base,
                              uint stride, int first, int rows, uint size) {
    for (int j = 0; j < rows; j++, to += size) {
        const uint e = KEY_ROW(base, stride, first + j);
        uint d = 0;
        for (; d + 16 <= size; d += 16) vstore16(load16(from, e + d), 0, to + d);
        for (; d < size; d++) to[d] = load(from, e + d);
    }
}
#endif

static inline void compute_scores(const Params *p, State *state, __global const Storage *k,
                                  uint base, int keys) {
    for (int j = 0; j < keys; j += KEY_BLOCK) {
        const int last = min(keys - j, KEY_BLOCK) - 1;
#if PACKS
        pack_rows(state, state->keys, k, base, p->k_row, j, last + 1, p->head_size);
#endif
        Reals s[KEY_BLOCK][ROW_VECTORS];
        Rows row[KEY_BLOCK];
        EACH_BLOCK_MEMBER {
#if PACKS
            row[x] = state->keys + (uint)min(x, last) * p->head_size;
#else
            row[x] = k + KEY_ROW(base, p->k_row, j + min(x, last));
#endif
            EACH_ROW_VECTOR s[x][r] = 0.0f;
        }
        for (uint d = 0; d < p->head_size; d++)
            EACH_BLOCK_MEMBER EACH_ROW_VECTOR s[x][r] += row[x][d] * state->queries[d][r];
        EACH_BLOCK_MEMBER EACH_ROW_VECTOR state->scores[j + x][r] = s[x][r];
    }
}

// Positions of the tile's row r and of key x of the tile of keys that begins at j.
static inline int query_at(const Tile *t, const State *state, int r) {
#if OPTIONS & OPTION_SCHEDULE
    return ((const int *)state->rows)[r];
#else
    return t->query + r;
#endif
}
static inline int key_at(const State *state, int j, int x) {
#if OPTIONS & OPTION_SCHEDULE
    return (int)state->positions[x];
#else
    return j + x;
#endif
}

#if OPTIONS & OPTION_SCHEDULE
// Whether the rows of vector r see the key at place j of a masked run.
static inline Ints mask_bits(const Params *p, const Tile *t, const Run *run, int j, int r) {
    return (as_int16(vload16(r, mask_words(p, t, run, j, 0, TILE_ROWS))) << (31 - (j & 31))) < 0;
}
#endif

#if OPTIONS & OPTION_BIAS
static inline void load_bias_tile(const Params *p, const Tile *t, __global const Bias *bias,
                                  State *state, int j, int keys) {
    for (int r = 0; r < t->rows; r++)
        for (int x = 0; x < keys; x++)
            state->bias[x][r] = load_bias(p, t, bias, query_at(t, state, r), key_at(state, j, x));
}
#endif

static inline Ints lane_rows(const Tile *t, const State *state, int r) {
#if OPTIONS & OPTION_SCHEDULE
    return state->rows[r];
#else
    return (Ints)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + (t->query + LANES * r);
#endif
}

#ifdef EXPRESSION
// The scores of a vector of rows, one after the other.
static inline Reals evaluate_lanes(const Params *p, const Tile *t, const Run *run,
                                   __global const Bias *bias, Reals s, Ints rows, int key) {
    __global const int *words = (__global const int *)bias;
    float scores[LANES];
    int positions[LANES];
    vstore16(s, 0, scores);
    vstore16(rows, 0, positions);
    _Pragma("nounroll") for (int lane = 0; lane < LANES; lane++) scores[lane] =
        evaluate_score(p, t, run, words, scores[lane], positions[lane], key);
    return vload16(0, scores);
}
#endif

// Applies the score modifiers and, on a cut tile, removes what a row does not see. Returns true if
// a key was removed.
static inline bool modify_scores(const Params *p, const Tile *t, const Run *run,
                                 __global const Bias *bias, State *state, int j, int keys,
                                 bool cut) {
    Ints removed = 0;
    for (int x = 0; x < keys; x++) {
        // Much code a vector: unrolled it compiles slowly.
        _Pragma("nounroll") for (int r = 0; r < ROW_VECTORS; r++) {
            Reals s = state->scores[x][r];
            Reals b = 0.0f;
#if OPTIONS & OPTION_BIAS
            b = vload16(r, state->bias[x]);
#endif
            const int key = key_at(state, j, x);
#ifdef EXPRESSION
            s = evaluate_lanes(p, t, run, bias, s, lane_rows(t, state, r), key);
#else
            if (has_modifiers()) s = modify_score(p, t, s, lane_rows(t, state, r), key, b);
            if (has(OPTION_CLUSTERS) && key == t->valid_keys - 1) s += t->tail;
#endif
            if (has(OPTION_WINDOW | OPTION_SCHEDULE) && cut)
                s = visible(p, t, lane_rows(t, state, r), key) ? s : (Reals)(-INFINITY);
#if OPTIONS & OPTION_SCHEDULE
            if (run->mask < ATTEND_EVALUATE)
                s = mask_bits(p, t, run, j + x, r) ? s : (Reals)(-INFINITY);
#endif
            removed |= is_negative_infinity(s);
            state->scores[x][r] = s;
        }
    }
    return any(removed);
}

// One step of the online softmax: scores become weights under the new maximum.
static inline void compute_weights(State *state, int keys) {
    Reals highest[ROW_VECTORS], base[ROW_VECTORS], sum[ROW_VECTORS];
    EACH_ROW_VECTOR highest[r] = state->maximum[r];
    for (int x = 0; x < keys; x++)
        EACH_ROW_VECTOR highest[r] =
            state->scores[x][r] > highest[r] ? state->scores[x][r] : highest[r];
    EACH_ROW_VECTOR {
        base[r] = is_negative_infinity(highest[r]) ? (Reals)(0.0f) : highest[r];
        state->rescale[r] = exp2_negative(state->maximum[r] - base[r]);
        state->maximum[r] = highest[r];
        sum[r] = 0.0f;
    }
    for (int x = 0; x < keys; x++) {
        EACH_ROW_VECTOR {
            Reals weight = exp2_negative(state->scores[x][r] - base[r]);
            state->scores[x][r] = weight;
            sum[r] += weight;
        }
    }
    EACH_ROW_VECTOR state->normaliser[r] = state->normaliser[r] * state->rescale[r] + sum[r];
}

// `selecting` skips pairs of weight 0, whose value may be NaN. It is constant where this is called,
// and always_inline keeps it so: else compilers join the two calls into one that tests it inside.
__attribute__((always_inline)) static inline void
add_values(const Params *p, State *state, Rows v, uint base, int keys, bool selecting) {
    for (uint d = 0; d < p->value_size; d += COLUMN_BLOCK) {
        Reals sum[COLUMN_BLOCK][ROW_VECTORS];
        uint column[COLUMN_BLOCK];
        EACH_BLOCK_MEMBER {
            column[x] = min(d + x, p->value_size - 1u);
            EACH_ROW_VECTOR sum[x][r] = state->sums[d + x][r] * state->rescale[r];
        }
        for (int j = 0; j < keys; j++) {
#if PACKS
            Rows row = v + (uint)j * p->value_size;
#else
            Rows row = v + KEY_ROW(base, p->v_row, j);
#endif
            EACH_ROW_VECTOR {
                Reals weight = state->scores[j][r];
                EACH_BLOCK_MEMBER {
                    Reals next = sum[x][r] + row[column[x]] * weight;
                    sum[x][r] = selecting ? (weight == 0.0f ? sum[x][r] : next) : next;
                }
            }
        }
        EACH_BLOCK_MEMBER EACH_ROW_VECTOR state->sums[d + x][r] = sum[x][r];
    }
}

static inline void end_rows(const Params *p, const Tile *t, __global Output *out,
                            __global float *lse, State *state) {
    const float *maximum = (const float *)state->maximum;
    const float *normaliser = (const float *)state->normaliser;
    for (int r = 0; r < t->rows; r++) {
        const uint position = row_position(p, t, r);
        const bool valid = is_valid_row(p, t, position);
        const float total = normaliser[r];
        const float factor = total == 0.0f ? 0.0f : 1.0f / total;
        const uint to = out_row(p, t, r, position);
        const uint e = out_offset(p, t, to);
        for (uint d = 0; d < p->value_size; d++)
            store_output(out, e + d, valid ? ((const float *)state->sums[d])[r] * factor : 0.0f);
        if (has(OPTION_LSE))
            lse[lse_offset(p, t, to)] =
                valid && total != 0.0f ? maximum[r] * LN_2 + log(total) : -INFINITY;
    }
}

#ifdef TOPK
// Rows that are decided, or past the last one, are counted along: nobody looks.
static inline void start_counts(const Params *p, const Tile *t, __global const uint *heads,
                                State *state) {
    for (int r = 0; r < TILE_ROWS; r++) {
        ((int *)state->threshold)[r] = row_threshold(p, t, heads, r);
        for (int bin = 0; bin <= TOPK_BINS; bin++) state->counts[r][bin] = 0u;
    }
}

static inline void count_scores(const Params *p, State *state, int keys) {
    for (int x = 0; x < keys; x++) {
        _Pragma("nounroll") for (int r = 0; r < ROW_VECTORS; r++) {
            int bins[LANES];
            vstore16(score_bin(p, state->scores[x][r], state->threshold[r]), 0, bins);
            for (int lane = 0; lane < LANES; lane++) state->counts[LANES * r + lane][bins[lane]]++;
        }
    }
}

static inline void store_counts(const Params *p, const Tile *t, __global const uint *heads,
                                __global Output *out, const State *state) {
    for (int r = 0; r < t->rows; r++)
        for (uint bin = 0; bin < TOPK_BINS && is_undecided(p, t, heads, r); bin++)
            add_count(p, t, out, r, bin, state->counts[r][bin]);
}

static inline void drop_scores(State *state, int keys) {
    for (int x = 0; x < keys; x++)
        EACH_ROW_VECTOR {
            const Reals s = state->scores[x][r];
            state->scores[x][r] =
                score_order(s) < state->threshold[r] ? (Reals)(-INFINITY) : s;
        }
}
#endif

static inline void walk_run(const Params *p, const Tile *t, const Run *run,
                            __global const Storage *k, uint k_base,
                              __global const Storage *v, uint v_base, __global const Bias *bias,
                              State *state) {
    for (int j = run->first; j < run->end; j += TILE_KEYS) {
        const int keys = min(run->end - j, TILE_KEYS);
        const bool cut = j < run->full_first || j + keys > run->full_end;
#if OPTIONS & OPTION_SCHEDULE
        for (int x = 0; x < keys; x++) state->positions[x] = key_position(p, t, run, j + x);
        const uint k_first = k_base, v_first = v_base;
#else
        const uint k_first = k_base + ((uint)j - p->key_begin) * p->k_row;
        const uint v_first = v_base + ((uint)j - p->key_begin) * p->v_row;
#endif
#if PACKS
        if (!counts_scores(p)) pack_rows(state, state->values, v, v_first, p->v_row, 0, keys, p->value_size);
        const Rows values = state->values;
#else
        const Rows values = v;
#endif
        compute_scores(p, state, k, k_first, keys);
#if OPTIONS & OPTION_BIAS
        load_bias_tile(p, t, bias, state, j, keys);
#endif
        bool removed = false;
        if (cut || has_modifiers()) removed = modify_scores(p, t, run, bias, state, j, keys, cut);
#ifdef TOPK
        if (counts_scores(p)) {
            count_scores(p, state, keys);
            continue;
        }
        drop_scores(state, keys);
        removed = true;
#endif
        compute_weights(state, keys);
        if (removed) {
            add_values(p, state, values, v_first, keys, true);
        } else {
            add_values(p, state, values, v_first, keys, false);
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
attend(__global const Storage *q, __global const Storage *k, __global const Storage *v,
       __global const Bias *bias, __global const uint *heads, __global Output *out,
       __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    const Params *p = &params;
    const Tile t = tile_of_group(p, heads, schedule, group_index(first_group), TILE_ROWS);
    const uint k_base = p->base_k + t.batch * p->k_batch + t.kv_head * p->k_head;
    const uint v_base = p->base_v + t.batch * p->v_batch + t.kv_head * p->v_head;
    State state;
#ifdef TOPK
    if (t.rows == 0 || (counts_scores(p) && !any_undecided(p, &t, heads))) return;
    start_counts(p, &t, heads, &state);
#endif
    begin_rows(p, &t, q, &state);

    uint entry = has(OPTION_SCHEDULE) ? t.first_entry : 0u;
    const uint end_entry = has(OPTION_SCHEDULE) ? t.end_entry : 1u;
    for (; entry < end_entry; entry++) {
        const Run run = has(OPTION_SCHEDULE) ? run_of_entry(p, &t, entry) : whole_run(p, &t);
        walk_run(p, &t, &run, k, k_base, v, v_base, bias, &state);
    }
#ifdef TOPK
    if (counts_scores(p)) {
        store_counts(p, &t, heads, out, &state);
        return;
    }
#endif
    end_rows(p, &t, out, lse, &state);
}
