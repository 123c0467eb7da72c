#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
// infonce for devices of type CPU: an invocation owns eight anchors, whose scores it keeps in the components of two
// vectors, and takes eight targets at a step.
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
// A subgroup of eight meets the same targets: each invocation fetches one of them, four columns at a time, and hands it
// to the others. Nothing else is shared. Blocks of 64 columns are summed by themselves and then added to the score,
// so that long sums stay accurate. See params/infonce.h.
//
// Defines: TEXEL: anchors and targets are uniform texel buffers; C, strides and offsets are multiples of 4.

#include "../params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#define KERNEL_SPECIALISATION INFONCE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 8) in;

#ifdef TEXEL
layout(set = 0, binding = 0) uniform samplerBuffer anchors;
layout(set = 0, binding = 1) uniform samplerBuffer targets;
#else
layout(std430, set = 0, binding = 0) readonly buffer Anchors { uint anchors[]; };
layout(std430, set = 0, binding = 1) readonly buffer Targets { uint targets[]; };
#endif
layout(std430, set = 0, binding = 2) readonly buffer Valid { int valid[]; };
layout(std430, set = 0, binding = 3) readonly buffer OwnScores { float own_scores[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Parts { float parts[]; };

#define LANES 8
#define ANCHORS 8 // of an invocation
#define VECTORS (ANCHORS / 4)
#define TARGETS 8       // a step
#define BLOCK_COLUMNS 64
#ifdef TEXEL
#define TURN_COLUMNS 8 // a round of the loop: more are slower
#else
#define TURN_COLUMNS 4 // compiles in half the time
#endif

// Unrolled, so that register blocks are indexed by literals.
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

#define lane int(gl_SubgroupInvocationID)

// Vectors are of four anchors each.
vec4 score[TARGETS][VECTORS], product[TARGETS][VECTORS];
vec4 own[VECTORS], top[VECTORS], sum[VECTORS];
uint anchor_at[ANCHORS], target_at; // first elements of the anchors' rows, and of this lane's target

bool has(uint option) { return (OPTIONS & option) != 0u; }

int clamp_anchor(int anchor) { return min(anchor, int(p.num_anchors) - 1); }
int clamp_target(int target) { return min(target, int(p.num_targets) - 1); }

// Columns d .. d + 3 of the row at element e; those past C are its last one again.
#ifdef TEXEL
#define LOADER(name, half_option) \
    vec4 load_##name(uint e, int d) { return texelFetch(name, int(e >> 2) + (d >> 2)); }
vec4 cut_columns(vec4 x, int d) { return x; }
#else
#define LOADER(name, half_option) \
    float load_one_##name(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load_##name(uint e, int d) { \
        uvec4 i = e + uvec4(min(d + ivec4(0, 1, 2, 3), ivec4(int(p.size) - 1))); \
        return vec4(load_one_##name(i.x), load_one_##name(i.y), load_one_##name(i.z), load_one_##name(i.w)); \
    }
vec4 cut_columns(vec4 x, int d) { return mix(vec4(0.0), x, lessThan(d + ivec4(0, 1, 2, 3), ivec4(int(p.size)))); }
#endif
LOADER(anchors, INFONCE_HALF_ANCHORS)
LOADER(targets, INFONCE_HALF_TARGETS)

// Of four columns.
void add_products(int d) {
    vec4 x[ANCHORS];
    EACH(r, ANCHORS) x[r] = load_anchors(anchor_at[r], d);
    vec4 mine = cut_columns(load_targets(target_at, d), d);
    EACH(n, TARGETS) {
        vec4 y = subgroupShuffle(mine, uint(n));
        EACH(v, VECTORS) EACH(c, 4) product[n][v] +=
            vec4(x[4 * v][c], x[4 * v + 1][c], x[4 * v + 2][c], x[4 * v + 3][c]) * y[c];
    }
}

void compute_scores(int anchor, int target) {
    EACH(r, ANCHORS) anchor_at[r] = p.base_anchors + uint(clamp_anchor(anchor + r)) * p.anchor_row;
    target_at = p.base_targets + uint(clamp_target(target + lane)) * p.target_row;
    int size = int(p.size);
    EACH(n, TARGETS) EACH(v, VECTORS) score[n][v] = vec4(0.0);
    [[dont_unroll]] for (int first = 0; first < size; first += BLOCK_COLUMNS) {
        EACH(n, TARGETS) EACH(v, VECTORS) product[n][v] = vec4(0.0);
        int end = min(first + BLOCK_COLUMNS, size), d = first;
        [[dont_unroll]] for (; d + TURN_COLUMNS <= end; d += TURN_COLUMNS) {
            EACH(i, TURN_COLUMNS / 4) add_products(d + 4 * i);
        }
        [[dont_unroll]] for (; d < end; d += 4) add_products(d);
        EACH(n, TARGETS) EACH(v, VECTORS) score[n][v] += product[n][v];
    }
}

bvec4 are_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)); }
vec4 weigh(vec4 x) { return mix(exp2(x), vec4(NOT_A_NUMBER), are_nan(x)); }

// Makes of the scores of the target n how much they exceed the own ones; -inf where it is no negative.
void compare(int anchor, int n, int target, int end) {
    bool counts = target < end && (!has(INFONCE_VALID) || valid[p.base_valid + uint(clamp_target(target))] != 0);
    EACH(v, VECTORS) {
        ivec4 own_target = anchor + p.own_shift + 4 * v + ivec4(0, 1, 2, 3);
        vec4 x = mix((score[n][v] - own[v]) * p.scale, vec4(-INFINITY), equal(own_target, ivec4(target)));
        score[n][v] = counts ? x : vec4(-INFINITY);
    }
}

void fold_scores(int anchor, int target, int end) {
    EACH(n, TARGETS) compare(anchor, n, target + n, end);
    EACH(v, VECTORS) {
        vec4 old = top[v];
        EACH(n, TARGETS) top[v] = max(top[v], mix(score[n][v], vec4(0.0), are_nan(score[n][v])));
        sum[v] *= exp2(old - top[v]);
        EACH(n, TARGETS) sum[v] += weigh(score[n][v] - top[v]);
    }
}

// An own score that is not finite makes the anchor's sum NaN.
void begin_anchors(int anchor) {
    EACH(r, ANCHORS) own[r / 4][r % 4] = own_scores[p.base_own_scores + uint(clamp_anchor(anchor + r))];
    EACH(v, VECTORS) {
        top[v] = vec4(0.0);
        bvec4 finite = lessThan(floatBitsToUint(own[v]) & 0x7fffffffu, uvec4(0x7f800000u));
        sum[v] = mix(vec4(NOT_A_NUMBER), vec4(0.0), finite);
    }
}

// All lanes meet the targets of one after the other, which keeps the scores of its own.
void store_own(int first) {
    [[dont_unroll]] for (int turn = 0; turn < LANES; ++turn) {
        compute_scores(first + lane * ANCHORS, first + turn * TARGETS);
        EACH(r, ANCHORS) {
            int anchor = first + lane * ANCHORS + r;
            if (lane == turn && anchor < int(p.num_anchors))
                parts[p.base_parts + uint(anchor)] = score[r][r / 4][r % 4];
        }
    }
}

void main() {
    int tiles = (int(p.num_anchors) + LANES * ANCHORS - 1) / (LANES * ANCHORS);
    int split = int(group_index()) / tiles;
    int first_anchor = int(group_index()) % tiles * LANES * ANCHORS;
    int anchor = first_anchor + lane * ANCHORS;
    if (p.own != 0u) {
        store_own(first_anchor);
        return;
    }
    begin_anchors(anchor);
    int first = split * int(p.targets_per_split);
    int end = min(first + int(p.targets_per_split), int(p.num_targets));
    [[dont_unroll]] for (int target = first; target < end; target += TARGETS) {
        compute_scores(anchor, target);
        fold_scores(anchor, target, end);
    }
    EACH(r, ANCHORS) {
        uint e = p.base_parts + 2u * (uint(split) * p.total_anchors + uint(anchor + r));
        if (anchor + r < int(p.num_anchors)) {
            parts[e] = top[r / 4][r % 4];
            parts[e + 1u] = sum[r / 4][r % 4];
        }
    }
}
