#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// attend for few query rows (decoding): out = softmax(scale q k^T + ...) v and its lse for 4 rows. Bound by
// the memory that k and v come from, so both go straight to registers, are read once, and are asked for
// together at the top of a step.
//
// A step takes TILE_KEYS keys. For the scores 8 invocations share a key, each with every eighth group of 4
// of D; their partial products meet in `partial`, and one invocation a score adds them up and finishes it.
// For the output COLUMNS / 4 invocations form a group that takes 8 neighbouring keys; every group keeps a
// maximum, sum and output of its own, and they are joined at the end. q is copied to shared memory once.
//
// Defines: ALIGNED_FLOAT or ALIGNED_HALF; COLUMNS (64, 128): largest D and Dv.

#include "../params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#define KERNEL_SPECIALISATION ATTEND_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"
#include "lib/rows.glsl"

layout(local_size_x = 128) in;

#define GROUP_SIZE 128
#define TILE_ROWS 4
#define VECS (COLUMNS / 4)               // groups of 4 of D or Dv
#define TILE_KEYS (4096 / COLUMNS)       // 8 loads of k and 8 of v an invocation
#define GROUPS (GROUP_SIZE / VECS)       // of invocations, for the output
#if COLUMNS == 64
#define OVER_PASSES REPEAT_4             // 16 keys each
#define OVER_PARTS_OF REPEAT_2_OF        // groups of 4 of D an invocation takes
#define OVER_PARTS REPEAT_2
#else
#define OVER_PASSES REPEAT_2
#define OVER_PARTS_OF REPEAT_4_OF
#define OVER_PARTS REPEAT_4
#endif

shared vec4 queries[TILE_ROWS * VECS];
shared vec4 partial[TILE_ROWS * GROUP_SIZE]; // also the groups' outputs at the end
shared vec4 scores[TILE_ROWS * TILE_KEYS / 4];
shared vec2 group_sums[TILE_ROWS * GROUPS];  // maximum and sum

vec4 o[TILE_ROWS];
float row_max[TILE_ROWS]; // of this group's keys, in units of log 2
float row_sum[TILE_ROWS];

#define LANE (gl_LocalInvocationIndex % VECS)
#define GROUP (gl_LocalInvocationIndex / VECS)

void load_queries(Tile t) {
    uint base = p.base_q + t.batch * p.q_batch + t.head * p.q_head;
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * VECS; i += GROUP_SIZE) {
        uint d = i % VECS;
        uint e = base + clamp_row(t, i / VECS) * p.q_row + 4u * d;
        queries[i] = 4u * d < p.head_size ? load_q(e, 4) : vec4(0.0);
    }
}

// Adds up the partial products of a score and finishes it.
float gather_score(Tile t, bool cut, uint row, uint key, int j0) {
    uint i = 2u * (row * TILE_KEYS + key);
    float dot_qk = sum_of(partial[i] + partial[i + 1u]);
    return finish_score(t, cut, dot_qk, row, j0 + int(key), TILE_ROWS);
}

// A weight of 0 may be that of an invisible key, whose value may be NaN: the product is replaced.
vec4 add_product(vec4 sum, float w, vec4 x) {
    return sum + mix(w * x, vec4(0.0), bvec4(w == 0.0));
}

vec4 add_products(vec4 sum, vec4 w, vec4 x0, vec4 x1, vec4 x2, vec4 x3) {
    sum = add_product(add_product(sum, w.x, x0), w.y, x1);
    return add_product(add_product(sum, w.z, x2), w.w, x3);
}

void attend_step(Tile t, int j0, uint k_base, uint v_base) {
    uint part = gl_LocalInvocationIndex & 7u;
    uint key = gl_LocalInvocationIndex >> 3;
    // Past the end of a row its last elements are read once more: there q is 0, and such columns are
    // not written.
    uint last_part = p.head_size / 4u - 1u;
    uint column = min(LANE, p.value_size / 4u - 1u);
#define LOAD_PART(pass, n) \
    vec4 k##pass##_##n = load_k_word(k_row##pass + min(part + 8u * n, last_part));
#define LOAD_KEY(pass) \
    uint k_row##pass = (k_base + clamp_key(t, j0 + int(16u * pass + key)) * p.k_row) / 4u; \
    OVER_PARTS_OF(LOAD_PART, pass)
    OVER_PASSES(LOAD_KEY)
#define LOAD_VALUE(n) \
    uint v_row##n = (v_base + clamp_key(t, j0 + int(8u * GROUP + n)) * p.v_row) / 4u; \
    vec4 v##n = load_v_word(v_row##n + column);
    REPEAT_8(LOAD_VALUE)

    [[dont_unroll]] for (uint row = 0u; row < TILE_ROWS; ++row) {
#define LOAD_QUERY(n) vec4 q##n = queries[row * VECS + part + 8u * n];
#define MULTIPLY(pass, n) products += k##pass##_##n * q##n;
#define MULTIPLY_KEY(pass) { \
            vec4 products = vec4(0.0); \
            OVER_PARTS_OF(MULTIPLY, pass) \
            uint at = (row * TILE_KEYS + 16u * pass + key) * 8u + part; \
            partial[at >> 2][at & 3u] = sum_of(products); \
        }
        OVER_PARTS(LOAD_QUERY)
        OVER_PASSES(MULTIPLY_KEY)
    }
    barrier();

    bool cut = j0 < t.full_first || j0 + TILE_KEYS > t.full_end;
    uint first = gl_LocalInvocationIndex;
    [[dont_unroll]] for (uint i = first; i < TILE_ROWS * TILE_KEYS; i += GROUP_SIZE)
        scores[i >> 2][i & 3u] = gather_score(t, cut, i / TILE_KEYS, i % TILE_KEYS, j0);
    barrier();

    // The online softmax of this group's keys. A row that has seen nothing has maximum -inf; then 0
    // stands for it and all its weights are exp2(-inf) = 0.
#define ADD_ROW(r) { \
        vec4 a = scores[r * (TILE_KEYS / 4) + 2u * GROUP]; \
        vec4 b = scores[r * (TILE_KEYS / 4) + 2u * GROUP + 1u]; \
        float old = row_max[r]; \
        row_max[r] = max(old, max_of(max(a, b))); \
        float shift = is_negative_infinity(row_max[r]) ? 0.0 : row_max[r]; \
        float decay = exp2(old - shift); \
        a = exp2(a - shift); \
        b = exp2(b - shift); \
        row_sum[r] = row_sum[r] * decay + sum_of(a + b); \
        vec4 sum = add_products(o[r] * decay, a, v0, v1, v2, v3); \
        o[r] = add_products(sum, b, v4, v5, v6, v7); \
    }
    REPEAT_4(ADD_ROW)
}

// Joins the groups of invocations and writes one group of 4 columns of one row.
void store_columns_of_row(Tile t, uint row, uint lane) {
    float top = -INFINITY;
    for (uint g = 0u; g < GROUPS; ++g) top = max(top, group_sums[row * GROUPS + g].x);
    float shift = is_negative_infinity(top) ? 0.0 : top;
    float sum = 0.0;
    vec4 x = vec4(0.0);
    for (uint g = 0u; g < GROUPS; ++g) {
        float decay = exp2(group_sums[row * GROUPS + g].x - shift);
        sum += decay * group_sums[row * GROUPS + g].y;
        x += decay * partial[row * GROUP_SIZE + g * VECS + lane];
    }
    float factor;
    bool sink = has(OPTION_SINK) && p.with_sink != 0u && t.split == 0u;
    float row_lse = finish_row(t, sink, top, sum, factor);
    if (row >= t.rows) return;
    store_columns(t, row, 4u * lane, x * factor);
    if (lane == 0u) store_lse(t, row, row_lse);
}

void main() {
    Tile t = tile_of_group(group_index(), TILE_ROWS);
    uint k_base = p.base_k + t.batch * p.k_batch + t.kv_head * p.k_head;
    uint v_base = p.base_v + t.batch * p.v_batch + t.kv_head * p.v_head;
    load_queries(t);
    barrier();
#define CLEAR_ROW(r) o[r] = vec4(0.0); row_max[r] = -INFINITY; row_sum[r] = 0.0;
    REPEAT_4(CLEAR_ROW)
    for (int j0 = t.first; j0 < t.end; j0 += TILE_KEYS) attend_step(t, j0, k_base, v_base);

#define KEEP_ROW(r) \
    partial[r * GROUP_SIZE + gl_LocalInvocationIndex] = o[r]; \
    if (LANE == 0u) group_sums[r * GROUPS + GROUP] = vec2(row_max[r], row_sum[r]);
    REPEAT_4(KEEP_ROW)
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * VECS; i += GROUP_SIZE)
        store_columns_of_row(t, i / VECS, i % VECS);
}
