#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// infonce for devices of type CPU: an invocation owns four anchors, whose scores it keeps in the components of a vector,
// and takes eight targets at a step. Both are read as texels, four columns each. No two invocations share anything.
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
// Blocks of 64 columns are summed by themselves and then added to the score, so that long sums stay accurate. See
// params/infonce.h.

#include "../params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#define KERNEL_SPECIALISATION INFONCE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 8) in;

layout(set = 0, binding = 0) uniform samplerBuffer anchors;
layout(set = 0, binding = 1) uniform samplerBuffer targets;
layout(std430, set = 0, binding = 2) readonly buffer Valid { int valid[]; };
layout(std430, set = 0, binding = 3) readonly buffer OwnScores { float own_scores[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Parts { float parts[]; };

#define TILE_ANCHORS 32u
#define TARGETS 8u
#define BLOCK_VECS 16u // of four columns

vec4 score[TARGETS]; // of 4 anchors

bool has(uint option) { return (OPTIONS & option) != 0u; }

uint clamp_anchor(uint anchor) { return min(anchor, p.num_anchors - 1u); }
uint clamp_target(uint target) { return min(target, p.num_targets - 1u); }

#define CLEAR_SCORE(n) score[n] = vec4(0.0);
#define CLEAR_PRODUCT(n) vec4 product##n = vec4(0.0);
#define ADD_PRODUCT(n) score[n] += product##n;
#define BEGIN_ANCHOR(r) \
    int x_at##r = int((p.base_anchors + clamp_anchor(anchor + r) * p.anchor_row) / 4u);
#define BEGIN_TARGET(n) \
    int y_at##n = int((p.base_targets + clamp_target(target + n) * p.target_row) / 4u);
#define LOAD_ANCHOR(r) vec4 x##r = texelFetch(anchors, x_at##r + d);
// The fourfold sum of a column's products, anchors in the components.
#define MULTIPLY(n) { \
        vec4 y = texelFetch(targets, y_at##n + d); \
        product##n += vec4(x0.x, x1.x, x2.x, x3.x) * y.x; \
        product##n += vec4(x0.y, x1.y, x2.y, x3.y) * y.y; \
        product##n += vec4(x0.z, x1.z, x2.z, x3.z) * y.z; \
        product##n += vec4(x0.w, x1.w, x2.w, x3.w) * y.w; \
    }

void compute_scores(uint anchor, uint target) {
    REPEAT_4(BEGIN_ANCHOR)
    REPEAT_8(BEGIN_TARGET)
    REPEAT_8(CLEAR_SCORE)
    int num_vecs = int(p.size / 4u);
    [[dont_unroll]] for (int first = 0; first < num_vecs; first += int(BLOCK_VECS)) {
        REPEAT_8(CLEAR_PRODUCT)
        int end = min(first + int(BLOCK_VECS), num_vecs);
        [[dont_unroll]] for (int d = first; d < end; ++d) {
            REPEAT_4(LOAD_ANCHOR)
            REPEAT_8(MULTIPLY)
        }
        REPEAT_8(ADD_PRODUCT)
    }
}

bvec4 are_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)); }
vec4 weigh(vec4 x) { return mix(exp2(x), vec4(NOT_A_NUMBER), are_nan(x)); }

// How much the scores of target n exceed the own ones; -inf where the target is no negative.
vec4 differences(uint n, vec4 own, ivec4 own_target, int target, int end) {
    bool counts = target < end &&
                  (!has(INFONCE_VALID) || valid[p.base_valid + clamp_target(uint(target))] != 0);
    vec4 x = mix((score[n] - own) * p.scale, vec4(-INFINITY), equal(own_target, ivec4(target)));
    return counts ? x : vec4(-INFINITY);
}

void fold_scores(uint target, uint end, vec4 own, ivec4 own_target, inout vec4 top, inout vec4 sum) {
    vec4 old = top;
#define RAISE(n) { \
        score[n] = differences(n, own, own_target, int(target) + n, int(end)); \
        top = max(top, mix(score[n], vec4(0.0), are_nan(score[n]))); \
    }
    REPEAT_8(RAISE)
    sum *= exp2(old - top);
#define WEIGH(n) sum += weigh(score[n] - top);
    REPEAT_8(WEIGH)
}

void store_own(uint anchor, uint target) {
#define STORE_OWN(r, n) \
    if (target + n == anchor + r && anchor + r < p.num_anchors) parts[p.base_parts + anchor + r] = score[n][r];
#define STORE_OWN_TARGET(n) STORE_OWN(0u, n) STORE_OWN(1u, n) STORE_OWN(2u, n) STORE_OWN(3u, n)
    REPEAT_8(STORE_OWN_TARGET)
}

void main() {
    uint tiles = (p.num_anchors + TILE_ANCHORS - 1u) / TILE_ANCHORS;
    uint split = group_index() / tiles;
    uint anchor = group_index() % tiles * TILE_ANCHORS + 4u * gl_LocalInvocationIndex;
    if (p.own != 0u) {
        compute_scores(anchor, anchor);
        store_own(anchor, anchor);
        return;
    }
    vec4 own, top = vec4(0.0);
#define LOAD_OWN(r) own[r] = own_scores[p.base_own_scores + clamp_anchor(anchor + r)];
    REPEAT_4(LOAD_OWN)
    // An own score that is not finite makes the anchor's sum NaN.
    bvec4 finite = lessThan(floatBitsToUint(own) & 0x7fffffffu, uvec4(0x7f800000u));
    vec4 sum = mix(vec4(NOT_A_NUMBER), vec4(0.0), finite);
    ivec4 own_target = int(anchor) + p.own_shift + ivec4(0, 1, 2, 3);
    uint first = split * p.targets_per_split;
    uint end = min(first + p.targets_per_split, p.num_targets);
    [[dont_unroll]] for (uint target = first; target < end; target += TARGETS) {
        compute_scores(anchor, target);
        fold_scores(target, end, own, own_target, top, sum);
    }
    for (uint r = 0u; r < 4u; ++r) {
        uint e = p.base_parts + 2u * (split * p.total_anchors + anchor + r);
        if (anchor + r < p.num_anchors) {
            parts[e] = top[r];
            parts[e + 1u] = sum[r];
        }
    }
}
