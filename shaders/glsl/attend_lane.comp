#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// attend, per invocation: out = softmax(scale q k^T + ...) v and its lse, for devices of type CPU,
// where an invocation is a lane of a vector register and shared memory gains nothing.
//
// A workgroup is one subgroup of LANES invocations, which share one tile of query rows:
//   lib/attend_lane_rows.glsl  lanes are rows: LANES * ROWS rows a tile, KEYS keys a step
//   lib/attend_lane_keys.glsl  lanes are keys (SPREAD_KEYS; for few rows): ROWS rows a tile,
//                              LANES * KEYS keys a step
// Either way a lane keeps its q, its sum of weight * v and its softmax state in registers, and
// writes what it owns of out and lse.
//
// Weights are exp2(score - base), where `base` is the largest score when last looked at. While no
// score rises more than HEADROOM above it nothing can overflow, so that values are rescaled only
// when one does: see walk().
//
// Defines: ROWS, KEYS, CUT_KEYS (at most KEYS: the same in tiles that an edge cuts), LANES (4, 8),
// HEAD (largest D and Dv, a multiple of 4 * LANES), TEXEL: q, k and v are uniform texel buffers,
// EXPRESSION: masks and scores are expressions, run where keys are cut; COMPILED: as functions. TOPK: the
// best keys of a row (lib/attend_topk.glsl); lanes are rows.

#include "../params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#define KERNEL_SPECIALISATION ATTEND_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = LANES) in;

#ifdef TEXEL
layout(set = 0, binding = 0) uniform samplerBuffer q;
layout(set = 0, binding = 1) uniform samplerBuffer k;
layout(set = 0, binding = 2) uniform samplerBuffer v;
#else
layout(std430, set = 0, binding = 0) readonly buffer Q { uint q[]; };
layout(std430, set = 0, binding = 1) readonly buffer K { uint k[]; };
layout(std430, set = 0, binding = 2) readonly buffer V { uint v[]; };
#endif
#ifdef EXPRESSION
layout(std430, set = 0, binding = 3) readonly buffer Words { int expression_words[]; };
#else
layout(std430, set = 0, binding = 3) readonly buffer Bias { uint bias[]; };
#endif
layout(std430, set = 0, binding = 4) readonly buffer Heads { uint heads[]; };
#ifdef TOPK
layout(std430, set = 0, binding = 5) buffer Out { uint out_words[]; };
#else
layout(std430, set = 0, binding = 5) writeonly buffer Out { uint out_words[]; };
#endif
layout(std430, set = 0, binding = 6) writeonly buffer Lse { float lse[]; };
layout(std430, set = 0, binding = 7) readonly buffer Schedule { uint schedule[]; };

#include "lib/attend.glsl"
#ifdef EXPRESSION
#include "lib/attend_expression.glsl"
#endif
#ifdef TOPK
#include "lib/attend_topk.glsl"
#endif

// load_NAME(e, d, size): elements d .. d + 3 of the row of `size` elements that starts at element
// e; past the row's end its last elements come again: they are finite if the row is, and meet a
// zero in q or a column that nobody stores.
#ifdef TEXEL
#define LOADER(load, name) \
    vec4 load(uint e, int d, int size) { \
        return texelFetch(name, int(e >> 2) + min(d >> 2, (size - 1) >> 2)); \
    }
#else
#define LOADER(load, name) \
    float load##_one(uint e) { \
        if (!has(OPTION_HALF)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, int d, int size) { \
        uvec4 i = e + uvec4(min(d + ivec4(0, 1, 2, 3), ivec4(size - 1))); \
        return vec4(load##_one(i.x), load##_one(i.y), load##_one(i.z), load##_one(i.w)); \
    }
#endif
LOADER(load_q, q)
LOADER(load_k, k)
LOADER(load_v, v)

// Unrolled, so that register blocks are indexed by literals.
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

#define lane gl_SubgroupInvocationID
const int LANE_BITS = LANES == 8 ? 3 : 2;
const int VECTORS = HEAD / 4;      // of a row
const int PARTS = VECTORS / LANES; // of a row that is spread over the lanes
const float HEADROOM = 60.0;       // weights stay below 2^60, their sums and products finite
const float LOWEST = -3.0e38;      // `base` before the first key: below any score, yet not -inf

vec4 query[ROWS][VECTORS];
vec4 value[ROWS][VECTORS]; // sum of weight * v
float sum[ROWS];           // of weights
float base[ROWS], top[ROWS];
float score[ROWS][KEYS];   // then weight
uint seen[ROWS][KEYS];     // ~0 where the row sees the key; in cut tiles only
uint key_at[KEYS];         // positions of the step's keys, local to the step
uint key_base, value_base;

// Keys a step takes of a lane: fewer in cut tiles, which are rare and need more code.
int step_keys(bool cut) { return cut ? CUT_KEYS : KEYS; }

#ifdef SPREAD_KEYS
#include "lib/attend_lane_keys.glsl"
#else
#include "lib/attend_lane_rows.glsl"
#endif

// Position of row `a` of the lane, local to the step; past the last row that one comes again.
uint row_of(Tile t, int a) { return row_position(t, min(own_row(a), t.rows - 1u)); }

// Past the end of a cut tile its last key comes again.
void locate_keys(Tile t, int j, int end, bool cut) {
    EACH(b, step_keys(cut)) {
        int at = own_key(j, b);
        key_at[b] = key_position(t, cut ? min(at, end - 1) : at);
    }
}

#ifndef SPREAD_KEYS
void take_seeds(Tile t) {
    EACH(a, ROWS) {
        uint row = seed_row(t, row_of(t, a));
        base[a] = max(seed_score(row, sum[a]), LOWEST);
        top[a] = base[a];
        EACH(d, VECTORS) value[a][d] = seed_value(row, uint(4 * d));
    }
}
#endif

void start(Tile t) {
    key_base = p.base_k + t.batch * p.k_batch + t.kv_head * p.k_head;
    value_base = p.base_v + t.batch * p.v_batch + t.kv_head * p.v_head;
    float scale = has_modifiers() ? 1.0 : p.scale * LOG2_E;
    EACH(a, ROWS) {
        uint e = p.base_q + t.batch * p.q_batch + t.head * p.q_head + row_of(t, a) * p.q_row;
        EACH(d, VECTORS) {
            bvec4 inside = lessThan(4 * d + ivec4(0, 1, 2, 3), ivec4(p.head_size));
            query[a][d] = mix(vec4(0.0), load_q(e, 4 * d, int(p.head_size)) * scale, inside);
            value[a][d] = vec4(0.0);
        }
        sum[a] = 0.0;
        base[a] = LOWEST;
        top[a] = LOWEST;
    }
#ifndef SPREAD_KEYS
    if (takes_seed(t)) take_seeds(t);
#endif
}

// From products to scores in units of log 2. In a cut tile what a row does not see gets -inf.
void modify_scores(Tile t, int j, int end, bool cut) {
    EACH(a, ROWS) {
        int i = int(p.query_begin + row_of(t, a));
        uint word = cut ? mask_word(t, j, own_row(a), TILE_ROWS) : 0u;
        EACH(b, step_keys(cut)) {
            int at = int(p.key_begin + key_at[b]);
#ifdef EXPRESSION
            if (cut) score[a][b] = evaluate_score(t, score[a][b], i, at);
#else
            if (has_modifiers()) score[a][b] = modify_score(t, score[a][b], i, at);
#endif
            if (cut) {
                if (has(OPTION_CLUSTERS)) score[a][b] += key_weight(t, at);
                bool sees = own_key(j, b) < end && visible(t, i, at);
                if (has(OPTION_SCHEDULE)) sees = sees && (word >> (own_key(j, b) & 31) & 1u) != 0u;
                sees = sees && !is_negative_infinity(score[a][b]);
                seen[a][b] = sees ? ~0u : 0u;
                score[a][b] = sees ? score[a][b] : -INFINITY;
            }
        }
    }
}

#ifdef TOPK

shared uint counts[TILE_ROWS * TOPK_BINS]; // a lane's own rows are its alone
uint threshold[ROWS];
uint undecided[ROWS]; // 1: scores are counted

void start_counts(Tile t) {
    EACH(a, ROWS) {
        threshold[a] = row_threshold(t, own_row(a));
        undecided[a] = counts_scores() && is_undecided(t, own_row(a)) ? 1u : 0u;
        for (uint bin = 0u; bin < TOPK_BINS; ++bin) counts[own_row(a) * TOPK_BINS + bin] = 0u;
    }
}

void count_scores() {
    EACH(a, ROWS) EACH(b, KEYS) {
        uint bin = score_bin(score[a][b], threshold[a]);
        if (bin < TOPK_BINS) atomicAdd(counts[own_row(a) * TOPK_BINS + bin], undecided[a]);
    }
}

void store_counts(Tile t) {
    EACH(a, ROWS) {
        for (uint bin = 0u; bin < TOPK_BINS; ++bin)
            add_count(t, own_row(a), bin, counts[own_row(a) * TOPK_BINS + bin]);
    }
}

void drop_scores() {
    EACH(a, ROWS) EACH(b, KEYS) {
        bool keeps = score_order(score[a][b]) >= threshold[a];
        seen[a][b] = keeps ? seen[a][b] : 0u;
        score[a][b] = keeps ? score[a][b] : -INFINITY;
    }
}

#endif

// Whether a score of any lane rose too far above its base.
bool rises(bool cut) {
    float rise = 0.0;
    EACH(a, ROWS) {
        EACH(b, step_keys(cut)) top[a] = max(top[a], score[a][b]);
        rise = max(rise, top[a] - base[a]);
    }
    EACH(b, LANE_BITS) rise = max(rise, subgroupShuffle(rise, lane ^ (1u << b)));
    return rise > HEADROOM;
}

void scale_row(int a, float factor) {
    sum[a] *= factor;
    EACH(d, VECTORS) value[a][d] *= factor;
}

void rebase() {
    EACH(a, ROWS) {
        scale_row(a, exp2(base[a] - top[a]));
        base[a] = top[a];
    }
}

void weigh_scores(bool cut) {
    EACH(a, ROWS) EACH(b, step_keys(cut)) {
        float weight = exp2(score[a][b] - base[a]);
        score[a][b] = cut && seen[a][b] == 0u ? 0.0 : weight;
        sum[a] += score[a][b];
    }
}

// Takes keys [j, end), at least one. The inner loop leaves when a score rises too far; then sums
// and values move to the new base and the step is taken again. `cut`: `end` and visibility are
// looked at, else all of a step's keys are there and seen. Loops end at their end: where lanes are
// masked rather than branched around, what follows a break is executed once more.
#ifdef TOPK

// While scores are counted only the innermost loop is gone round, else it has one round; so neither
// kind of run pays for the other's part, and their scores come from one place.
void walk(Tile t, int j, int end, bool cut) {
    bool counting = counts_scores();
    while (true) {
        while (true) {
            while (true) {
                locate_keys(t, j, end, cut);
                multiply_keys(cut);
                modify_scores(t, j, end, cut);
                count_scores();
                if (counting) j += KEYS;
                if (!counting || j >= end) break;
            }
            bool again = false;
            if (!counting) {
                drop_scores();
                again = rises(cut);
                if (!again) {
                    weigh_scores(cut);
                    add_values(cut);
                    j += KEYS;
                }
            }
            if (again || j >= end) break;
        }
        rebase();
        if (j >= end) break;
    }
}

#else

void walk(Tile t, int j, int end, bool cut) {
    while (true) {
        while (true) {
            locate_keys(t, j, end, cut);
            multiply_keys(cut);
            modify_scores(t, j, end, cut);
            bool again = rises(cut);
            if (!again) {
                weigh_scores(cut);
                add_values(cut);
                j = own_key(j, step_keys(cut)) - own_key(0, 0);
            }
            if (again || j >= end) break;
        }
        rebase();
        if (j >= end) break;
    }
}

#endif

// Keys in two pieces: [t.first, t.full_first) and [rest, t.end).
void walk_cut(Tile t, int rest) {
    bool left = t.first < t.full_first;
    int j = left ? t.first : rest, end = left ? t.full_first : t.end;
    if (j >= end) return;
    while (true) {
        walk(t, j, end, true);
        if (end == t.end || rest >= t.end) break;
        j = rest;
        end = t.end;
    }
}

// Columns 4 d .. 4 d + 3 of a row of `out` that starts at element e. Halves go two a word; the plan
// sees to it that rows then start on words.
void store_columns(uint e, int d, vec4 x) {
    e += uint(4 * d);
    int left = int(p.value_size) - 4 * d;
    if (has(OPTION_OUT_HALF) || (has(OPTION_HALF) && !has(OPTION_OUT_FLOAT))) {
        if (left > 0) out_words[e / 2u] = packHalf2x16(x.xy);
        if (left > 2) out_words[e / 2u + 1u] = packHalf2x16(x.zw);
    } else {
        EACH(i, 4) if (left > i) out_words[e + uint(i)] = floatBitsToUint(x[i]);
    }
}

void write_row(Tile t, int a, float log_sum) {
    if (own_row(a) >= t.rows) return;
    uint row = out_row(t, own_row(a), row_of(t, a));
    uint e = p.base_out + t.split * p.out_split + t.batch * p.out_batch + t.head * p.out_head;
    store_row(e + row * p.out_row, a);
    if (!has(OPTION_LSE) || !owns_lse()) return;
    e = p.base_lse + t.split * p.lse_split + t.batch * p.lse_batch + t.head * p.lse_head;
    lse[e + row * p.lse_row] = log_sum;
}

void finish(Tile t) {
    bool with_sink = has(OPTION_SINK) && t.split == 0u && p.with_sink != 0u;
    EACH(a, ROWS) {
        float m = sum[a] == 0.0 ? -INFINITY : base[a];
        float factor;
        float log_sum = finish_row(t, with_sink, m, sum[a], factor);
        if (!is_valid_row(t, row_of(t, a))) {
            factor = 0.0;
            log_sum = -INFINITY;
        }
        EACH(d, VECTORS) value[a][d] = factor == 0.0 ? vec4(0.0) : value[a][d] * factor;
        write_row(t, a, log_sum);
    }
}

#ifdef TOPK

// All keys alike, and none is known to be kept: so that equal keys have equal scores, wherever they lie.
void walk_range(Tile t) { walk_cut(t, t.full_first); }

#else

void walk_range(Tile t) {
    int step = own_key(0, KEYS) - own_key(0, 0);
    int rest = t.full_first + (t.full_end - t.full_first) / step * step;
    if (!has(OPTIONS_HIDING) && t.full_first < rest) walk(t, t.full_first, rest, false);
    walk_cut(t, rest);
}

#endif

void main() {
    Tile t = tile_of_group(group_index(), TILE_ROWS);
    if (has(OPTION_SCHEDULE) && t.rows == 0u) return;
#ifdef TOPK
    if (counts_scores() && !any_undecided(t)) return;
    start_counts(t);
#endif
    start(t);
    if (has(OPTION_SCHEDULE)) {
        for (uint e = t.first_entry; e < t.end_entry; ++e) {
            take_entry(t, e);
            walk_range(t);
        }
    } else {
        walk_range(t);
    }
#ifdef TOPK
    if (counts_scores()) {
        store_counts(t);
        return;
    }
#endif
    join_lanes();
    finish(t);
}
