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
#include "lib/blocks.cl"
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
#if OPTIONS & OPTIONS_ADDEND
    float addends[TILE_KEYS][TILE_ROWS];
#endif
#ifdef TOPK
    Ints threshold[ROW_VECTORS];
    uint counts[TILE_ROWS][TOPK_BINS + 1]; // the last one of scores that are in none
#endif
} State;

// Rows LANES * r to LANES * r + LANES - 1 of the tile become lanes; past the last row that one
// comes again.
static inline void take_queries(const Params *p, const Tile *t, __global const Storage *q,
                                State *state, int r) {
    const float factor = query_factor(p);
    uint first[LANES];
    for (int i = 0; i < LANES; i++) {
        const uint row = row_position(p, t, min(LANES * r + i, t->rows - 1));
        first[i] = p->base_q + t->batch * p->q_batch + t->head * p->q_head + row * p->q_row;
        fetch_row(q, first[i], p->head_size);
#if OPTIONS & OPTION_SCHEDULE
        ((int *)state->rows)[LANES * r + i] = (int)row;
#endif
    }
    uint d = 0;
    for (; d + LANES <= p->head_size; d += LANES) {
        float16 block[LANES];
        _Pragma("unroll") for (int i = 0; i < LANES; i++) block[i] = load16(q, first[i] + d);
        transpose_block(block);
        _Pragma("unroll") for (int i = 0; i < LANES; i++)
            state->queries[d + i][r] = block[i] * factor;
    }
    for (; d < p->head_size; d++)
        for (int i = 0; i < LANES; i++)
            ((float *)&state->queries[d][r])[i] = load(q, first[i] + d) * factor;
}

static inline void begin_rows(const Params *p, const Tile *t, __global const Storage *q,
                              State *state) {
    _Pragma("nounroll") for (int r = 0; r < ROW_VECTORS; r++) take_queries(p, t, q, state, r);
    for (uint d = 0; d < p->value_size + COLUMN_BLOCK; d++)
        EACH_ROW_VECTOR state->sums[d][r] = 0.0f;

    const float sink = takes_sink(p, t) ? t->sink * LOG2_E : -INFINITY;
    EACH_ROW_VECTOR {
        state->maximum[r] = sink;
        state->normaliser[r] = sink == -INFINITY ? 0.0f : 1.0f;
    }
}

// Seeds of rows LANES * r .. of the tile.
static inline void take_seeds(const Params *p, const Tile *t, __global const uint *heads,
                              State *state, int r) {
    __global const float *seeds[LANES];
    for (int i = 0; i < LANES; i++) {
        const uint row = seed_row(p, t, row_position(p, t, min(LANES * r + i, t->rows - 1)));
        seeds[i] = seed_value(p, heads, row);
        fetch_bytes((uintptr_t)seeds[i], p->value_size * (uint)sizeof(float));
        ((float *)&state->maximum[r])[i] = seed_score(p, heads, row);
    }
    state->normaliser[r] = is_negative_infinity(state->maximum[r]) ? (Reals)(0.0f) : (Reals)(1.0f);
    uint d = 0;
    for (; d + LANES <= p->value_size; d += LANES) {
        float16 block[LANES];
        _Pragma("unroll") for (int i = 0; i < LANES; i++) block[i] = load16_float(seeds[i], d);
        transpose_block(block);
        _Pragma("unroll") for (int i = 0; i < LANES; i++) state->sums[d + i][r] = block[i];
    }
    for (; d < p->value_size; d++)
        for (int i = 0; i < LANES; i++) ((float *)&state->sums[d][r])[i] = seeds[i][d];
}

#if PACKS
// Returns bits of absolute values that are at least as large as any element's.
static inline Ints pack_rows(const State *state, float *to, __global const Storage *from,
                              uint base, uint stride, int first, int rows, uint size) {
    Ints largest = 0;
    for (int j = 0; j < rows; j++, to += size) {
        const uint e = KEY_ROW(base, stride, first + j);
        uint d = 0;
        _Pragma("unroll 4") for (; d + LANES <= size; d += LANES) {
            const Reals x = load16(from, e + d);
            store_lanes(to + d, x);
            largest = max(largest, as_ints(x) & 0x7fffffff);
        }
        for (; d < size; d++) {
            to[d] = load(from, e + d);
            largest = max(largest, as_int(to[d]) & 0x7fffffff);
        }
    }
    return largest;
}
#endif

// Where the rows of a tile's keys are.
typedef struct KeyRows {
    __global const Storage *k, *v;
    uint k_base, v_base;
    bool far; // they do not follow each other
} KeyRows;

// Rows that do not follow each other are fetched ahead: values of the keys at hand, and the keys
// FETCH_AHEAD further on.
#define FETCH_AHEAD (2 * KEY_BLOCK)
static inline void fetch_keys(const Params *p, const State *state, const KeyRows *from, int j,
                              int keys, int num) {
#if OPTIONS & OPTION_SCHEDULE
    if (!from->far) return;
    for (int x = j; x < min(j + num, keys); x++)
        fetch_row(from->k, KEY_ROW(from->k_base, p->k_row, x), p->head_size);
#endif
}
static inline void fetch_values(const Params *p, const State *state, const KeyRows *from, int j,
                              int keys, int num) {
#if OPTIONS & OPTION_SCHEDULE
    if (!from->far) return;
    for (int x = j; x < min(j + num, keys); x++)
        fetch_row(from->v, KEY_ROW(from->v_base, p->v_row, x), p->value_size);
#endif
}

static inline void compute_scores(const Params *p, State *state, const KeyRows *from, int keys) {
    fetch_keys(p, state, from, 0, keys, FETCH_AHEAD);
    for (int j = 0; j < keys; j += KEY_BLOCK) {
        const int last = min(keys - j, KEY_BLOCK) - 1;
        fetch_keys(p, state, from, j + FETCH_AHEAD, keys, KEY_BLOCK);
        fetch_values(p, state, from, j, keys, KEY_BLOCK);
#if PACKS
        pack_rows(state, state->keys, from->k, from->k_base, p->k_row, j, last + 1, p->head_size);
#endif
        Reals s[KEY_BLOCK][ROW_VECTORS];
        Rows row[KEY_BLOCK];
        EACH_BLOCK_MEMBER {
#if PACKS
            row[x] = state->keys + (uint)min(x, last) * p->head_size;
#else
            row[x] = from->k + KEY_ROW(from->k_base, p->k_row, j + min(x, last));
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

#if OPTIONS & OPTIONS_ADDEND
static inline void load_addends(const Params *p, const Tile *t, __global const Bias *bias,
                                  State *state, int j, int keys) {
    for (int r = 0; r < t->rows; r++)
        for (int x = 0; x < keys; x++)
            state->addends[x][r] = load_addend(p, t, bias, query_at(t, state, r), key_at(state, j, x));
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
#if OPTIONS & OPTIONS_ADDEND
            b = vload16(r, state->addends[x]);
#endif
            const int key = key_at(state, j, x);
#ifdef EXPRESSION
            s = evaluate_lanes(p, t, run, bias, s, lane_rows(t, state, r), key);
#else
            if (has_modifiers()) s = modify_score(p, t, s, lane_rows(t, state, r), key, b);
            if (has(OPTION_CLUSTERS) && key == t->valid_keys - 1) s += t->tail;
#endif
            if (has(OPTION_WINDOW | OPTION_LENGTHS) && cut)
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

// Columns [d, d + count), at most LANES, of rows LANES * r .. of the tile, whose results begin at
// `first`; rows with `valid` 0 get 0.
static inline void put_results(State *state, __global Output *out, int r, int rows, uint d,
                               uint count, const uint first[LANES], const int valid[LANES]) {
    float16 block[LANES];
    _Pragma("unroll") for (int i = 0; i < LANES; i++)
        block[i] = state->sums[d + min((uint)i, count - 1u)][r] * state->rescale[r];
    transpose_block(block);
    float16 results[LANES];
    _Pragma("unroll") for (int i = 0; i < LANES; i++)
        results[i] = valid[i] ? block[i] : (float16)(0.0f);
    for (int i = 0; i < rows; i++) {
        if (count == LANES) {
            store_output_lanes(out, first[i] + d, results[i]);
        } else {
            _Pragma("nounroll") for (uint c = 0; c < count; c++)
                store_output(out, first[i] + d + c, ((const float *)&results[i])[c]);
        }
    }
}

static inline void end_row_vector(const Params *p, const Tile *t, __global Output *out,
                                  __global float *lse, State *state, int r) {
    const int rows = min(t->rows - LANES * r, LANES);
    const Reals total = state->normaliser[r];
    const Reals log_sum =
        total == 0.0f ? (Reals)(-INFINITY) : state->maximum[r] * LN_2 + log(total);
    state->rescale[r] = total == 0.0f ? (Reals)(0.0f) : 1.0f / total;
    uint first[LANES];
    int valid[LANES];
    for (int i = 0; i < rows; i++) {
        const uint position = row_position(p, t, LANES * r + i);
        const uint to = out_row(p, t, LANES * r + i, position);
        first[i] = out_offset(p, t, to);
        valid[i] = is_valid_row(p, t, position);
        if (has(OPTION_LSE))
            lse[lse_offset(p, t, to)] = valid[i] ? ((const float *)&log_sum)[i] : -INFINITY;
    }
    for (uint d = 0; d < p->value_size; d += LANES)
        put_results(state, out, r, rows, d, min(p->value_size - d, (uint)LANES), first, valid);
}

static inline void end_rows(const Params *p, const Tile *t, __global Output *out,
                            __global float *lse, State *state) {
    _Pragma("nounroll") for (int r = 0; LANES * r < t->rows; r++)
        end_row_vector(p, t, out, lse, state, r);
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
            const Ints bin = score_bin(p, state->scores[x][r], state->threshold[r]);
            int bins[LANES];
            if (!any(bin < TOPK_BINS)) continue; // mostly, but in the first rounds
            vstore16(bin, 0, bins);
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

static inline void walk_run(const Params *p, const Tile *t, const Run *run, const KeyRows *rows,
                            __global const Bias *bias, State *state) {
    KeyRows from = *rows;
    from.far = has(OPTION_SCHEDULE) && run->stride != 1u;
    for (int j = run->first; j < run->end; j += TILE_KEYS) {
        const int keys = min(run->end - j, TILE_KEYS);
        const bool cut = j < run->full_first || j + keys > run->full_end;
#if OPTIONS & OPTION_SCHEDULE
        for (int x = 0; x < keys; x++) state->positions[x] = key_position(p, t, run, j + x);
#else
        from.k_base = rows->k_base + ((uint)j - p->key_begin) * p->k_row;
        from.v_base = rows->v_base + ((uint)j - p->key_begin) * p->v_row;
#endif
        compute_scores(p, state, &from, keys);
#if PACKS
        Ints largest = 0;
        if (!counts_scores(p))
            largest = pack_rows(state, state->values, from.v, from.v_base, p->v_row, 0, keys,
                                p->value_size);
        const bool finite = !any(largest >= 0x7f800000);
        const Rows values = state->values;
#else
        const bool finite = false; // not known
        const Rows values = from.v;
#endif
#if OPTIONS & OPTIONS_ADDEND
        load_addends(p, t, bias, state, j, keys);
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
        if (removed && !finite) {
            add_values(p, state, values, from.v_base, keys, true);
        } else {
            add_values(p, state, values, from.v_base, keys, false);
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
attend(__global const Storage *q, __global const Storage *k, __global const Storage *v,
       __global const Bias *bias, __global const uint *heads, __global Output *out,
       __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    const Params *p = &params;
    const Tile t = tile_of_group(p, heads, schedule, group_index(first_group), TILE_ROWS);
    if (t.rows == 0) return; // classes have as many tiles as the one that has most
    const KeyRows rows = {k, v, p->base_k + t.batch * p->k_batch + t.kv_head * p->k_head,
                          p->base_v + t.batch * p->v_batch + t.kv_head * p->v_head, false};
    State state;
#ifdef TOPK
    if (counts_scores(p) && !any_undecided(p, &t, heads)) return;
    start_counts(p, &t, heads, &state);
#endif
    begin_rows(p, &t, q, &state);
    _Pragma("nounroll") for (int r = 0; takes_seed(&t) && r < ROW_VECTORS; r++)
        take_seeds(p, &t, heads, &state, r);

    uint entry = has(OPTION_SCHEDULE) ? t.first_entry : 0u;
    const uint end_entry = has(OPTION_SCHEDULE) ? t.end_entry : 1u;
    for (; entry < end_entry; entry++) {
        const Run run = has(OPTION_SCHEDULE) ? run_of_entry(p, &t, entry) : whole_run(p, &t);
        walk_run(p, &t, &run, &rows, bias, &state);
    }
#ifdef TOPK
    if (counts_scores(p)) {
        store_counts(p, &t, heads, out, &state);
        return;
    }
#endif
    end_rows(p, &t, out, lse, &state);
}
