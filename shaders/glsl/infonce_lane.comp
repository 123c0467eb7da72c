#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
// infonce for devices of type CPU: an invocation owns eight anchors, whose scores it keeps in the components of two
// vectors, and takes eight targets at a step.
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
// A subgroup of eight meets the same targets: each invocation fetches one of them, a texel of four columns at a time,
// and hands it to the others. Nothing else is shared. Blocks of 64 columns are summed by themselves and then added to
// the score, so that long sums stay accurate. C, strides and offsets are multiples of 4. See params/infonce.h.

#include "../params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#define KERNEL_SPECIALISATION INFONCE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 8) in;

layout(set = 0, binding = 0) uniform samplerBuffer anchors;
layout(set = 0, binding = 1) uniform samplerBuffer targets;
layout(std430, set = 0, binding = 2) readonly buffer Valid { int valid[]; };
layout(std430, set = 0, binding = 3) readonly buffer OwnScores { float own_scores[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Parts { float parts[]; };

#define LANES 8
#define ANCHORS 8 // of an invocation
#define VECTORS (ANCHORS / 4)
#define TARGETS 8 // a step
#define BLOCK_TEXELS 16
#define TURN_TEXELS 2 // a round of the loop: more are slower

// Unrolled, so that register blocks are indexed by literals.
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

#define lane int(gl_SubgroupInvocationID)

// Vectors are of four anchors each.
vec4 score[TARGETS][VECTORS], product[TARGETS][VECTORS];
vec4 own[VECTORS], top[VECTORS], sum[VECTORS];
int anchor_at[ANCHORS], target_at; // first texels of the anchors' rows, and of this lane's target

bool has(uint option) { return (OPTIONS & option) != 0u; }

int clamp_anchor(int anchor) { return min(anchor, int(p.num_anchors) - 1); }
int clamp_target(int target) { return min(target, int(p.num_targets) - 1); }

// Of four columns.
void add_products(int d) {
    vec4 x[ANCHORS];
    EACH(r, ANCHORS) x[r] = texelFetch(anchors, anchor_at[r] + d);
    vec4 mine = texelFetch(targets, target_at + d);
    EACH(n, TARGETS) {
        vec4 y = subgroupShuffle(mine, uint(n));
        EACH(v, VECTORS) EACH(c, 4) product[n][v] +=
            vec4(x[4 * v][c], x[4 * v + 1][c], x[4 * v + 2][c], x[4 * v + 3][c]) * y[c];
    }
}

void compute_scores(int anchor, int target) {
    EACH(r, ANCHORS) anchor_at[r] = int((p.base_anchors + uint(clamp_anchor(anchor + r)) * p.anchor_row) >> 2);
    target_at = int((p.base_targets + uint(clamp_target(target + lane)) * p.target_row) >> 2);
    int num_texels = int(p.size >> 2);
    EACH(n, TARGETS) EACH(v, VECTORS) score[n][v] = vec4(0.0);
    [[dont_unroll]] for (int first = 0; first < num_texels; first += BLOCK_TEXELS) {
        EACH(n, TARGETS) EACH(v, VECTORS) product[n][v] = vec4(0.0);
        int end = min(first + BLOCK_TEXELS, num_texels), d = first;
        [[dont_unroll]] for (; d + TURN_TEXELS <= end; d += TURN_TEXELS) {
            EACH(i, TURN_TEXELS) add_products(d + i);
        }
        if (d < end) add_products(d); // C may leave one
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
