#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// attend, per invocation: out = softmax(scale q k^T + ...) v and its lse, for devices of type CPU, where an invocation is
// a lane of a vector register and nothing is gained by shared memory.
//
// A workgroup is one subgroup of LANES and owns LANES * ROWS query rows, ROWS of them a lane: row t.row + LANES * a + lane.
// A step takes KEYS keys. The lanes fetch a key (then a value) together, 4 elements each, and every element reaches all
// lanes by a shuffle that serves ROWS rows; a row's softmax is its lane's own affair.
//
// Weights are exp2(score - base), where the row's `base` is its maximum when last looked at. As long as no score rises
// more than HEADROOM above it nothing can overflow, so values are rescaled only when one does: see walk().
//
// Defines: ROWS, KEYS, HEAD (largest D and Dv, a multiple of 4 * LANES), LANES; TEXEL: q, k and v are uniform texel buffers.

#include "../params/attend.h"
#define KERNEL_PARAMS ATTEND_PARAMS
#define KERNEL_SPECIALISATION ATTEND_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/attend_lane_rows.glsl"

layout(local_size_x = LANES) in;

LANE_TENSORS(q, k, v)
layout(std430, set = 0, binding = 3) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 4) readonly buffer Heads { uint heads[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Out { uint out_words[]; };
layout(std430, set = 0, binding = 6) writeonly buffer Lse { float lse[]; };

#include "lib/attend.glsl"

LANE_LOADER(load_q, q)
LANE_LOADER(load_k, k)
LANE_LOADER(load_v, v)

#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

const int VECTORS = HEAD / 4;        // of a row
const int PARTS = VECTORS / LANES;   // fetches that bring a key to the lanes
const float HEADROOM = 60.0;         // weights stay below 2^60, their sums and products finite
const float LOWEST = -3.0e38;        // `base` before the first key: below any score, yet not -inf

#define lane gl_SubgroupInvocationID

vec4 query[ROWS][VECTORS];
vec4 value[ROWS][VECTORS];    // sum of weight * v
float sum[ROWS], base[ROWS], top[ROWS];
float score[ROWS][KEYS];      // then weight
uint seen[ROWS][KEYS];        // ~0 where the row sees the key; cut tiles only
uint key_base, value_base;

// Element x of lane `from`. The index is not quite a constant: a constant one costs drivers two instructions.
#define SHARED(x, from) subgroupShuffle(x, uint(from) + p.unroll_guard)

int row_of(Tile t, int a) { return int(min(t.row + uint(LANES * a) + lane, p.num_queries - 1u)); }

void start(Tile t) {
    key_base = p.base_k + t.batch * p.k_batch + t.kv_head * p.k_head;
    value_base = p.base_v + t.batch * p.v_batch + t.kv_head * p.v_head;
    float scale = has_modifiers() ? 1.0 : p.scale * LOG2_E;
    EACH(a, ROWS) {
        uint e = p.base_q + t.batch * p.q_batch + t.head * p.q_head + uint(row_of(t, a)) * p.q_row;
        EACH(d, VECTORS) {
            int left = int(p.head_size) - 4 * d;
            vec4 x = load_q(e, 4 * d, int(p.head_size));
            query[a][d] = left > 0 ? x * scale : vec4(0.0);
            value[a][d] = vec4(0.0);
        }
        sum[a] = 0.0;
        base[a] = LOWEST;
        top[a] = LOWEST;
    }
}

// Scores of keys j .. j + KEYS - 1 in units of log 2. In a cut tile keys from `end` on and those a row does not see get -inf.
void score_keys(Tile t, int j, int end, bool cut) {
    vec4 key[KEYS][PARTS];
    EACH(b, KEYS) {
        int at = cut ? min(j + b, end - 1) : j + b;
        uint e = key_base + uint(at - int(p.key_begin)) * p.k_row;
        EACH(c, PARTS) key[b][c] = load_k(e, 4 * (LANES * c + int(lane)), int(p.head_size));
    }
    EACH(b, KEYS) {
        vec4 s[ROWS];
        EACH(a, ROWS) s[a] = vec4(0.0);
        EACH(c, PARTS) EACH(w, LANES) {
            vec4 x = SHARED(key[b][c], w);
            EACH(a, ROWS) s[a] += query[a][LANES * c + w] * x;
        }
        EACH(a, ROWS) score[a][b] = (s[a].x + s[a].y) + (s[a].z + s[a].w);
    }
}

void modify_scores(Tile t, int j, int end, bool cut) {
    EACH(a, ROWS) EACH(b, KEYS) {
        int i = int(p.query_begin) + row_of(t, a);
        int at = cut ? min(j + b, end - 1) : j + b;
        if (has_modifiers()) score[a][b] = modify_score(t, score[a][b], i, at);
        if (cut) {
            bool sees = j + b < end && visible(t, i, at) && !is_negative_infinity(score[a][b]);
            seen[a][b] = sees ? ~0u : 0u;
            score[a][b] = sees ? score[a][b] : -INFINITY;
        }
    }
}

// Whether a score of any lane rose too far above its row's base.
bool rises() {
    float rise = 0.0;
    EACH(a, ROWS) {
        EACH(b, KEYS) top[a] = max(top[a], score[a][b]);
        rise = max(rise, top[a] - base[a]);
    }
    EACH(b, LANE_BITS) rise = max(rise, subgroupShuffle(rise, lane ^ (1u << b)));
    return rise > HEADROOM;
}

void rebase() {
    EACH(a, ROWS) {
        float decay = exp2(base[a] - top[a]);
        base[a] = top[a];
        sum[a] *= decay;
        EACH(d, VECTORS) value[a][d] *= decay;
    }
}

void add_values(Tile t, int j, int end, bool cut) {
    EACH(a, ROWS) EACH(b, KEYS) {
        float weight = exp2(score[a][b] - base[a]);
        score[a][b] = cut && seen[a][b] == 0u ? 0.0 : weight;
        sum[a] += score[a][b];
    }
    EACH(c, PARTS) {
        vec4 part[KEYS];
        EACH(b, KEYS) {
            int at = cut ? min(j + b, end - 1) : j + b;
            uint e = value_base + uint(at - int(p.key_begin)) * p.v_row;
            part[b] = load_v(e, 4 * (LANES * c + int(lane)), int(p.value_size));
        }
        EACH(w, LANES) EACH(b, KEYS) {
            vec4 x = SHARED(part[b], w);
            EACH(a, ROWS) {
                vec4 y = cut ? uintBitsToFloat(floatBitsToUint(x) & seen[a][b]) : x;
                value[a][LANES * c + w] += score[a][b] * y;
            }
        }
    }
}

// Takes keys [j, end). The inner loop leaves when a score rises too far; then sums and values move to the new base and the
// step is taken again.
void walk(Tile t, int j, int end, bool cut) {
    while (j < end) {
        while (j < end) {
            score_keys(t, j, end, cut);
            modify_scores(t, j, end, cut);
            if (rises()) break;
            add_values(t, j, end, cut);
            j += KEYS;
        }
        rebase();
    }
}

// Halves are stored two a word: the plan sees to it that rows start on words.
void store_row(uint e, int a, float factor) {
    bool halves = has(OPTION_HALF) && !has(OPTION_OUT_FLOAT);
    EACH(d, VECTORS) {
        vec4 x = value[a][d] * factor;
        x = factor == 0.0 ? vec4(0.0) : x;
        if (halves) {
            if (4 * d < int(p.value_size)) out_words[(e + 4u * d) / 2u] = packHalf2x16(x.xy);
            if (4 * d + 2 < int(p.value_size)) out_words[(e + 4u * d) / 2u + 1u] = packHalf2x16(x.zw);
        } else {
            EACH(i, 4) if (4 * d + i < int(p.value_size)) out_words[e + 4u * d + i] = floatBitsToUint(x[i]);
        }
    }
}

void finish(Tile t) {
    EACH(a, ROWS) {
        uint row = t.row + uint(LANES * a) + lane;
        float factor;
        bool with_sink = has(OPTION_SINK) && t.split == 0u && p.with_sink != 0u;
        float m = sum[a] == 0.0 ? -INFINITY : base[a];
        float log_sum = finish_row(t, with_sink, m, sum[a], factor);
        bool valid = int(p.query_begin + row) < t.valid_queries;
        if (row < p.num_queries) {
            uint e = p.base_out + t.split * p.out_split + t.batch * p.out_batch + t.head * p.out_head + row * p.out_row;
            store_row(e, a, valid ? factor : 0.0);
            uint f = p.base_lse + t.split * p.lse_split + t.batch * p.lse_batch + t.head * p.lse_head + row * p.lse_row;
            if (has(OPTION_LSE)) lse[f] = valid ? log_sum : -INFINITY;
        }
    }
}

void main() {
    Tile t = tile_of_group(group_index(), LANES * ROWS);
    start(t);
    int whole = (t.full_end - t.full_first) / KEYS * KEYS;
    if (!has(OPTION_BIAS)) walk(t, t.full_first, t.full_first + whole, false);
    // What an edge cuts: before the whole tiles and after them. A loop, because drivers compile its body but once.
    int j = t.first, end = t.full_first;
    for (int side = 0; side < 2; ++side) {
        walk(t, j, end, true);
        j = t.full_first + whole;
        end = t.end;
    }
    finish(t);
}
