#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// attend, cooperative: out = softmax(scale q k^T + ...) v and its lse for one tile of query rows, walking
// its keys.
//
// 128 invocations own TILE_ROWS rows and take 32 keys a step. For the scores an invocation is one of
// 16 x 8: SCORE_ROWS rows x 4 keys; for the output one of 8 x 16: OUT_ROWS rows x OUT_VECS groups of
// 4 columns. Its score rows are half of its output rows. `tile` holds a slice of the keys, then values;
// `weights` holds scores after exp. Both are swizzled by xor, so that neighbouring lanes meet different
// banks. The row maximum is kept by every invocation of the row, the row sum in 8 parts that are added
// up at the end.
//
// D is taken in slices, so any D will do. Aligned rows (ALIGNED_FLOAT, ALIGNED_HALF: lib/rows.glsl) read
// q from global memory, where the caches have it; general rows stage slices of q in `weights`.
// More than COLUMNS value columns are taken one block after the other.
//
// Defines: TILE_ROWS (16, 32, 64), COLUMNS (64, 128, 256, 512). EXPRESSION: masks and scores are
// expressions, run for one score after the other. Their stacks are in shared memory, too small for all
// invocations at once: half of them wait. COMPILED: they are functions, which need no stack. TOPK: the
// best keys of a row (lib/attend_topk.glsl).

#include "../params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#define KERNEL_SPECIALISATION ATTEND_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"
#include "../params/expression.h"
#if defined(EXPRESSION) && !defined(COMPILED)
#define EVALUATING 64u // invocations at a time
shared int expression_stack[EXPRESSION_STACK_WORDS * EVALUATING];
#define EXPRESSION_STACK(k) expression_stack[uint(k) * EVALUATING + gl_LocalInvocationIndex % EVALUATING]
#endif
#include "lib/rows.glsl"

layout(local_size_x = 128) in;

#define GROUP_SIZE 128
#if TILE_ROWS == 64
#define SCORE_ROWS 4
#define OVER_SCORE_ROWS REPEAT_4
#define OUT_ROWS 8
#define OVER_OUT_ROWS REPEAT_8
#define OVER_OUT_ROWS_OF REPEAT_8_OF
#elif TILE_ROWS == 32
#define SCORE_ROWS 2
#define OVER_SCORE_ROWS REPEAT_2
#define OUT_ROWS 4
#define OVER_OUT_ROWS REPEAT_4
#define OVER_OUT_ROWS_OF REPEAT_4_OF
#else
#define SCORE_ROWS 1
#define OVER_SCORE_ROWS REPEAT_1
#define OUT_ROWS 2
#define OVER_OUT_ROWS REPEAT_2
#define OVER_OUT_ROWS_OF REPEAT_2_OF
#endif

#define OUT_VECS (COLUMNS / 64)
#if COLUMNS == 64
#define OVER_VECS REPEAT_1
#define OVER_VECS_OF REPEAT_1_OF
#elif COLUMNS == 128
#define OVER_VECS REPEAT_2
#define OVER_VECS_OF REPEAT_2_OF
#elif COLUMNS == 256
#define OVER_VECS REPEAT_4
#define OVER_VECS_OF REPEAT_4_OF
#else
#define OVER_VECS REPEAT_8
#define OVER_VECS_OF REPEAT_8_OF
#endif

#define TILE_KEYS 32
#define TILE_VECS 512 // vec4 in `tile`
#define WEIGHT_VECS (TILE_KEYS / 4)
#ifdef ROWS_ALIGNED
#define SLICE_VECS 16 // groups of 4 of D in `tile`
#else
#define SLICE_VECS WEIGHT_VECS
#endif
// Values of so many keys fit into `tile`.
#define VALUE_KEYS (COLUMNS == 64 ? TILE_KEYS : 4 * TILE_VECS / COLUMNS)

shared vec4 tile[TILE_VECS];
shared vec4 weights[TILE_ROWS * WEIGHT_VECS];

vec4 s[SCORE_ROWS];           // scores of 4 keys, then their weights
float row_sum[SCORE_ROWS];    // of this invocation's keys alone
float row_max[OUT_ROWS];      // in units of log 2
vec4 o[OUT_ROWS * OUT_VECS];

// What this invocation owns; recomputed where needed, since registers are scarce.
#define KEY_GROUP (gl_LocalInvocationIndex & 7u) // for scores: keys KEY_GROUP * 4 ..,
#define ROW_GROUP (gl_LocalInvocationIndex >> 3) // rows ROW_GROUP * SCORE_ROWS ..
#define LANE (gl_LocalInvocationIndex & 15u)     // for the output: columns LANE * 4 ..,
#define OUT_GROUP (gl_LocalInvocationIndex >> 4) // rows OUT_GROUP * OUT_ROWS ..

// Where one float an invocation is passed to the others of its row: 8 a row. Free between scores and weights.
#ifdef ROWS_ALIGNED
#define PARTIAL(i) weights[i]
#else
#define PARTIAL(i) tile[TILE_KEYS * SLICE_VECS + (i)]
#endif

void put_partial(uint r, float x) {
    PARTIAL((ROW_GROUP * SCORE_ROWS + r) * 2u + (KEY_GROUP >> 2))[KEY_GROUP & 3u] = x;
}

float partial_max(uint row) { return max_of(max(PARTIAL(2u * row), PARTIAL(2u * row + 1u))); }
float partial_sum(uint row) { return sum_of(PARTIAL(2u * row) + PARTIAL(2u * row + 1u)); }

// Of four of D of key n of a key group.
uint tile_index(uint group, uint n, uint d) {
    return (group * 4u + n) * SLICE_VECS + (d ^ (group & (SLICE_VECS - 1u)));
}

// Of the weights of row r of an output group for four keys.
uint weight_index(uint group, uint r, uint keys) {
    return (group * OUT_ROWS + r) * WEIGHT_VECS + (keys ^ (group & (WEIGHT_VECS - 1u)));
}

void load_keys(Tile t, int j0, uint d0) {
    uint base = p.base_k + t.batch * p.k_batch + t.kv_head * p.k_head + d0;
    for (uint i = gl_LocalInvocationIndex; i < TILE_KEYS * SLICE_VECS; i += GROUP_SIZE) {
        uint key = i / SLICE_VECS;
        uint d = i % SLICE_VECS;
        int left = int(p.head_size - d0) - int(4u * d);
#ifdef ROWS_ALIGNED
        if (left <= 0) continue;
#endif
        uint e = base + clamp_key(t, j0 + int(key)) * p.k_row + 4u * d;
        tile[tile_index(key / 4u, key % 4u, d)] = load_k(e, left);
    }
}

void load_values(Tile t, int j0, uint column0) {
    uint base = p.base_v + t.batch * p.v_batch + t.kv_head * p.v_head + column0;
    for (uint i = gl_LocalInvocationIndex; i < VALUE_KEYS * COLUMNS / 4; i += GROUP_SIZE) {
        uint key = i / (COLUMNS / 4);
        uint c = 4u * (i % (COLUMNS / 4));
        int left = int(p.value_size - column0) - int(c);
        uint e = base + clamp_key(t, j0 + int(key)) * p.v_row + c;
        tile[i] = left > 0 ? load_v(e, left) : vec4(0.0);
    }
}

float add_dot(float sum, vec4 a, vec4 b) {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

#define CLEAR(r) s[r] = vec4(0.0);
#define LOAD_KEY(d, n) vec4 k##n = tile[tile_index(KEY_GROUP, n, d)];
#define SCORE(r, n) s[r][n] = add_dot(s[r][n], x##r, k##n);
#define SCORE_ROW(r) REPEAT_4_OF(SCORE, r)

#ifdef ROWS_ALIGNED

// s = q k^T, D in slices: k in `tile`, q straight from global memory.
void score_tile(Tile t, int j0) {
    uint base = p.base_q + t.batch * p.q_batch + t.head * p.q_head;
#define START_ROW(r) \
    uint start##r = (base + clamp_row(t, ROW_GROUP * SCORE_ROWS + r) * p.q_row) / 4u;
#define LOAD_ROW(r) vec4 x##r = load_q_word(start##r + d);
#define SCORE_LOADED_ROW(r) { LOAD_ROW(r) SCORE_ROW(r) }
    OVER_SCORE_ROWS(CLEAR)
    OVER_SCORE_ROWS(START_ROW)
    for (uint d0 = 0u; d0 < p.head_size / 4u; d0 += SLICE_VECS) {
        if (d0 > 0u) barrier();
        load_keys(t, j0, 4u * d0);
        barrier();
        uint end = min(d0 + SLICE_VECS, p.head_size / 4u);
        for (uint d = d0; d < end; ++d) {
            REPEAT_4_OF(LOAD_KEY, d - d0)
            OVER_SCORE_ROWS(SCORE_LOADED_ROW)
        }
    }
}

#else

// Of four of D of row r of a row group.
uint slice_index(uint group, uint r, uint d) {
    return (group * SCORE_ROWS + r) * SLICE_VECS + (d ^ (group & (SLICE_VECS - 1u)));
}

void load_queries(Tile t, uint d0) {
    uint base = p.base_q + t.batch * p.q_batch + t.head * p.q_head + d0;
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * SLICE_VECS; i += GROUP_SIZE) {
        uint row = i / SLICE_VECS;
        uint d = i % SLICE_VECS;
        int left = int(p.head_size - d0) - int(4u * d);
        uint e = base + clamp_row(t, row) * p.q_row + 4u * d;
        weights[slice_index(row / SCORE_ROWS, row % SCORE_ROWS, d)] = load_q(e, left);
    }
}

// s = q k^T, D in slices: q in `weights`, k in `tile`.
void score_tile(Tile t, int j0) {
    OVER_SCORE_ROWS(CLEAR)
    for (uint d0 = 0u; d0 < p.head_size; d0 += 4u * SLICE_VECS) {
        if (d0 > 0u) barrier();
        load_queries(t, d0);
        load_keys(t, j0, d0);
        barrier();
        for (uint d = 0u; d < SLICE_VECS; ++d) {
#define LOAD_ROW(r) vec4 x##r = weights[slice_index(ROW_GROUP, r, d)];
            REPEAT_4_OF(LOAD_KEY, d)
            OVER_SCORE_ROWS(LOAD_ROW)
            OVER_SCORE_ROWS(SCORE_ROW)
        }
    }
}

#endif

// This invocation's scores or weights of its row r, at their place in `weights`.
uint own_index(uint r) { return weight_index(OUT_GROUP, (ROW_GROUP & 1u) * SCORE_ROWS + r, KEY_GROUP); }

#define PUT_ROW(r) weights[own_index(r)] = s[r];
#define TAKE_ROW(r) s[r] = weights[own_index(r)];

#if defined(EXPRESSION) && !defined(COMPILED)

void finish_slowly(Tile t, int j0, bool cut) {
    barrier();
    OVER_SCORE_ROWS(PUT_ROW)
    int j = j0 + int(KEY_GROUP * 4u);
    [[dont_unroll]] for (uint turn = 0u; turn < GROUP_SIZE; turn += EVALUATING) {
        bool mine = gl_LocalInvocationIndex - turn < EVALUATING;
        [[dont_unroll]] for (uint n = 0u; mine && n < 4u * SCORE_ROWS; ++n) {
            uint index = own_index(n / 4u);
            uint row = ROW_GROUP * SCORE_ROWS + n / 4u;
            weights[index][n % 4u] =
                finish_score(t, cut, weights[index][n % 4u], row, j + int(n % 4u), TILE_ROWS);
        }
        barrier();
    }
    OVER_SCORE_ROWS(TAKE_ROW)
    barrier();
}

#else

// Cut tiles and modified scores: row by row through `weights`, so that the long code is there once a key
// and not once a score; functions of expressions, which may be longer, once. Barriers part this from other
// uses of `weights` before and after.
void finish_slowly(Tile t, int j0, bool cut) {
    barrier();
    OVER_SCORE_ROWS(PUT_ROW)
    int j = j0 + int(KEY_GROUP * 4u);
    [[dont_unroll]] for (uint r = 0u; r < SCORE_ROWS; ++r) {
        uint row = ROW_GROUP * SCORE_ROWS + r;
#ifdef COMPILED
        [[dont_unroll]] for (uint n = 0u; n < 4u; ++n) {
            float x = weights[own_index(r)][n];
            weights[own_index(r)][n] = finish_score(t, cut, x, row, j + int(n), TILE_ROWS);
        }
#else
        vec4 x = weights[own_index(r)];
#define FINISH(unused, n) x[n] = finish_score(t, cut, x[n], row, j + n, TILE_ROWS);
        REPEAT_4_OF(FINISH, 0)
        weights[own_index(r)] = x;
#endif
    }
    OVER_SCORE_ROWS(TAKE_ROW)
    barrier();
}

#endif

void finish_scores(Tile t, int j0, bool cut) {
    if (cut || has_modifiers()) {
        finish_slowly(t, j0, cut);
    } else {
#define SCALE(r) s[r] *= p.scale * LOG2_E;
        OVER_SCORE_ROWS(SCALE)
    }
}

// The online softmax: new row maxima, s = exp2(s - maximum), and what was summed before scaled down to
// them. A row that has seen nothing has maximum -inf; then 0 stands for it and all its weights are
// exp2(-inf) = 0.
void weigh_scores() {
    float shift[SCORE_ROWS], decay[SCORE_ROWS]; // the lower or upper half of those of the output rows
#define PUT_MAX(r) put_partial(r, max_of(s[r]));
    OVER_SCORE_ROWS(PUT_MAX)
    barrier();
#define DECAY_COLUMNS(r, c) o[r * OUT_VECS + c] *= row_decay;
#define RESCALE(r) { \
        float old = row_max[r]; \
        row_max[r] = max(old, partial_max(OUT_GROUP * OUT_ROWS + r)); \
        float row_shift = is_negative_infinity(row_max[r]) ? 0.0 : row_max[r]; \
        float row_decay = exp2(old - row_shift); \
        OVER_VECS_OF(DECAY_COLUMNS, r) \
        if (r < SCORE_ROWS || (ROW_GROUP & 1u) != 0u) { \
            shift[r % SCORE_ROWS] = row_shift; \
            decay[r % SCORE_ROWS] = row_decay; \
        } \
    }
    OVER_OUT_ROWS(RESCALE)
#define WEIGH(r) \
    s[r] = exp2(s[r] - shift[r]); \
    row_sum[r] = row_sum[r] * decay[r] + sum_of(s[r]);
    OVER_SCORE_ROWS(WEIGH)
    barrier();
}

vec4 add_product(vec4 sum, bool cut, float w, vec4 x) {
    vec4 y = w * x;
    return sum + (cut ? mix(y, vec4(0.0), bvec4(w == 0.0)) : y);
}

// o += weights * values for VALUE_KEYS keys. On a cut tile a weight of 0 may be that of an invisible key,
// whose value may be NaN: the product is replaced.
void accumulate(uint first_key, bool cut) {
    [[dont_unroll]] for (uint key = 0u; key < VALUE_KEYS; key += 4u) {
        uint first_value = key * (COLUMNS / 4) + LANE;
        uint first_weight = weight_index(OUT_GROUP, 0u, (first_key + key) >> 2);
#define VALUE(j, c) tile[first_value + j * (COLUMNS / 4) + c * 16u]
#define WEIGHTS(r) weights[first_weight + r * WEIGHT_VECS]
#define LOAD_VALUES(c) \
        vec4 v0_##c = VALUE(0, c), v1_##c = VALUE(1, c), v2_##c = VALUE(2, c), v3_##c = VALUE(3, c);
#define ADD(r, c) { \
            vec4 sum = add_product(o[r * OUT_VECS + c], cut, w.x, v0_##c); \
            sum = add_product(sum, cut, w.y, v1_##c); \
            sum = add_product(sum, cut, w.z, v2_##c); \
            o[r * OUT_VECS + c] = add_product(sum, cut, w.w, v3_##c); \
        }
#if OUT_VECS <= 2
        // Few columns: the values stay in registers and each row's weights are read once.
#define ADD_ROW(r) { vec4 w = WEIGHTS(r); OVER_VECS_OF(ADD, r) }
        OVER_VECS(LOAD_VALUES)
        OVER_OUT_ROWS(ADD_ROW)
#else
        // Few rows: the weights stay and the values pass by.
#define ADD_TO_ROW(c, r) { vec4 w = WEIGHTS(r); ADD(r, c) }
#define ADD_COLUMNS(c) { LOAD_VALUES(c) OVER_OUT_ROWS_OF(ADD_TO_ROW, c) }
        OVER_VECS(ADD_COLUMNS)
#endif
    }
}

void add_values(Tile t, int j0, uint column0, bool cut) {
    for (uint key = 0u; key < TILE_KEYS; key += VALUE_KEYS) {
        if (key > 0u) barrier();
        load_values(t, j0 + int(key), column0);
        barrier();
        if (cut) accumulate(key, true);
        else accumulate(key, false);
    }
}

// One invocation a row: the row's lse is written, and what its output is to be multiplied by takes the
// place of its maximum.
void finish_rows(Tile t, bool write_lse) {
#define ROW_VALUE(row) weights[2u * TILE_ROWS + ((row) >> 2)][(row) & 3u]
#define PUT_SUM(r) put_partial(r, row_sum[r]);
#define PUT_ROW_MAX(r) ROW_VALUE(OUT_GROUP * OUT_ROWS + r) = row_max[r];
    OVER_SCORE_ROWS(PUT_SUM)
    if (LANE == 0u) { OVER_OUT_ROWS(PUT_ROW_MAX) }
    barrier();
    uint row = gl_LocalInvocationIndex;
    if (row < TILE_ROWS) {
        bool sink = has(OPTION_SINK) && p.with_sink != 0u && t.split == 0u;
        float factor;
        float row_lse = finish_row(t, sink, ROW_VALUE(row), partial_sum(row), factor);
        ROW_VALUE(row) = factor;
        if (write_lse && row < t.rows) store_lse(t, row, row_lse);
    }
    barrier();
}

// Writes o[first .. first + 3], which lie in slots of `tile` that only this invocation touches.
void store_four(Tile t, uint column0, uint first) {
    [[dont_unroll]] for (uint n = 0u; n < 4u; ++n) {
        uint row = OUT_GROUP * OUT_ROWS + (first + n) / OUT_VECS;
        uint column = column0 + ((first + n) % OUT_VECS * 16u + LANE) * 4u;
        vec4 x = tile[n * GROUP_SIZE + gl_LocalInvocationIndex] * ROW_VALUE(row);
        if (row < t.rows) store_columns(t, row, column, x);
    }
}

void store_rows(Tile t, uint column0) {
    finish_rows(t, column0 == 0u);
#define KEEP(first, n) tile[n * GROUP_SIZE + gl_LocalInvocationIndex] = o[first + n];
#define STORE_FOUR(quarter) REPEAT_4_OF(KEEP, 4 * quarter) store_four(t, column0, 4u * quarter);
#if OUT_ROWS * OUT_VECS == 16
    REPEAT_4(STORE_FOUR)
#elif OUT_ROWS * OUT_VECS == 8
    REPEAT_2(STORE_FOUR)
#else
    REPEAT_1(STORE_FOUR)
#endif
}

#ifdef TOPK

shared uint counts[TILE_ROWS * TOPK_BINS];
uint threshold[SCORE_ROWS];
bool undecided[SCORE_ROWS];

void start_rows(Tile t) {
#define START_SCORES(r) \
    threshold[r] = row_threshold(t, ROW_GROUP * SCORE_ROWS + r); \
    undecided[r] = is_undecided(t, ROW_GROUP * SCORE_ROWS + r);
    OVER_SCORE_ROWS(START_SCORES)
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * TOPK_BINS; i += GROUP_SIZE) counts[i] = 0u;
    barrier();
}

void count_scores() {
#define COUNT(r, n) { \
        uint bin = score_bin(s[r][n], threshold[r]); \
        if (bin < TOPK_BINS && undecided[r]) \
            atomicAdd(counts[(ROW_GROUP * SCORE_ROWS + r) * TOPK_BINS + bin], 1u); \
    }
#define COUNT_ROW(r) REPEAT_4_OF(COUNT, r)
    OVER_SCORE_ROWS(COUNT_ROW)
    barrier();
}

void store_counts(Tile t) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * TOPK_BINS; i += GROUP_SIZE)
        add_count(t, i / TOPK_BINS, i % TOPK_BINS, counts[i]);
}

void drop_scores() {
#define DROP(r, n) s[r][n] = score_order(s[r][n]) < threshold[r] ? -INFINITY : s[r][n];
#define DROP_ROW(r) REPEAT_4_OF(DROP, r)
    OVER_SCORE_ROWS(DROP_ROW)
}

#endif

void walk_range(Tile t, uint column0) {
    for (int j0 = t.first; j0 < t.end; j0 += TILE_KEYS) {
        bool cut = j0 < t.full_first || j0 + TILE_KEYS > t.full_end;
        score_tile(t, j0);
        finish_scores(t, j0, cut);
#ifdef TOPK
        if (counts_scores()) {
            count_scores();
            continue;
        }
        drop_scores();
        cut = true; // any key may be dropped
#endif
        weigh_scores();
        OVER_SCORE_ROWS(PUT_ROW)
        add_values(t, j0, column0, cut);
        barrier();
    }
}

void attend_columns(Tile t, uint column0) {
#define CLEAR_SUM(r) row_sum[r] = 0.0;
#define CLEAR_COLUMNS(r, c) o[r * OUT_VECS + c] = vec4(0.0);
#define CLEAR_ROW(r) row_max[r] = -INFINITY; OVER_VECS_OF(CLEAR_COLUMNS, r)
    OVER_SCORE_ROWS(CLEAR_SUM)
    OVER_OUT_ROWS(CLEAR_ROW)
#ifdef TOPK
    start_rows(t);
#endif
    if (has(OPTION_SCHEDULE)) {
        for (uint e = t.first_entry; e < t.end_entry; ++e) {
            take_entry(t, e);
            walk_range(t, column0);
        }
    } else {
        walk_range(t, column0);
    }
#ifdef TOPK
    if (counts_scores()) {
        store_counts(t);
        return;
    }
#endif
    store_rows(t, column0);
}

void main() {
    Tile t = tile_of_group(group_index(), TILE_ROWS);
    if (has(OPTION_SCHEDULE) && t.rows == 0u) return;
    uint columns = p.value_size;
#ifdef TOPK
    if (counts_scores()) {
        columns = 1u;
        if (!any_undecided(t)) return;
    }
#endif
    for (uint column0 = 0u; column0 < columns; column0 += COLUMNS) {
        if (column0 > 0u) barrier();
        attend_columns(t, column0);
    }
}
