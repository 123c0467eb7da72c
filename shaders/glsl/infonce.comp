#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// infonce, cooperative: for 64 anchors and the targets of a split, 64 at a step,
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
//
// 128 invocations as 8 x 16 own 8 anchors x 4 targets each; a target of theirs is 16 away from the next. Slices of 32
// columns of both lie in shared memory, swizzled by xor so that neighbouring lanes meet different banks. Each
// invocation keeps a maximum and a sum for its own targets of each of its anchors; the sixteen of an anchor are
// joined once, at the end. A slice is summed by itself and then added to the score, so that long sums stay accurate.
// See params/infonce.h.

#include "../params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#define KERNEL_SPECIALISATION INFONCE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Anchors { uint anchors[]; };
layout(std430, set = 0, binding = 1) readonly buffer Targets { uint targets[]; };
layout(std430, set = 0, binding = 2) readonly buffer Valid { int valid[]; };
layout(std430, set = 0, binding = 3) readonly buffer OwnScores { float own_scores[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Parts { float parts[]; };

#define GROUP_SIZE 128u
#define TILE 64u     // anchors, and targets a step
#define SLICE_VECS 8u // of four columns
#define LANES 16u    // invocations of an anchor

shared vec4 anchor_tile[TILE * SLICE_VECS];
shared vec4 target_tile[TILE * SLICE_VECS];

// What this invocation owns: anchors ROWS * 8 .., targets LANE, LANE + 16, ...
#define LANE (gl_LocalInvocationIndex & 15u)
#define ROWS (gl_LocalInvocationIndex >> 4)

vec4 score[8]; // of 4 targets
float own[8], top[8], sum[8];

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Elements e .. e + 3, of which `left` belong to the row; 0 in place of the others.
#define LOADER(name, half_option) \
    float load_one_##name(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load_##name(uint e, int left) { \
        if (left <= 0) return vec4(0.0); \
        uvec4 i = e + uvec4(min(ivec4(0, 1, 2, 3), ivec4(left - 1))); \
        vec4 x = vec4(load_one_##name(i.x), load_one_##name(i.y), load_one_##name(i.z), load_one_##name(i.w)); \
        return mix(vec4(0.0), x, greaterThan(ivec4(left), ivec4(0, 1, 2, 3))); \
    }
LOADER(anchors, INFONCE_HALF_ANCHORS)
LOADER(targets, INFONCE_HALF_TARGETS)

// Of four columns of a row of either tile.
uint anchor_index(uint rows, uint r, uint d) { return (rows * 8u + r) * SLICE_VECS + (d ^ (rows & 7u)); }
uint target_index(uint lane, uint n, uint d) { return (lane + LANES * n) * SLICE_VECS + (d ^ (lane & 7u)); }

// Rows past the last repeat it: reads stay in bounds.
void load_slices(uint first_anchor, uint first_target, uint column) {
    for (uint i = gl_LocalInvocationIndex; i < TILE * SLICE_VECS; i += GROUP_SIZE) {
        uint row = i / SLICE_VECS, d = i % SLICE_VECS;
        int left = int(p.size - column) - int(4u * d);
        uint anchor = min(first_anchor + row, p.num_anchors - 1u);
        uint target = min(first_target + row, p.num_targets - 1u);
        anchor_tile[anchor_index(row / 8u, row % 8u, d)] =
            load_anchors(p.base_anchors + anchor * p.anchor_row + column + 4u * d, left);
        target_tile[target_index(row % LANES, row / LANES, d)] =
            load_targets(p.base_targets + target * p.target_row + column + 4u * d, left);
    }
}

float add_dot(float sum, vec4 a, vec4 b) { return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

#define CLEAR_SCORE(r) score[r] = vec4(0.0);
#define CLEAR_PRODUCT(r) product[r] = vec4(0.0);
#define ADD_PRODUCT(r) score[r] += product[r];
#define LOAD_TARGET(d, n) vec4 y##n = target_tile[target_index(LANE, n, d)];
#define MULTIPLY(r, n) product[r][n] = add_dot(product[r][n], x, y##n);
#define MULTIPLY_ROW(r) { vec4 x = anchor_tile[anchor_index(ROWS, r, d)]; REPEAT_4_OF(MULTIPLY, r) }

void compute_scores(uint first_anchor, uint first_target) {
    REPEAT_8(CLEAR_SCORE)
    for (uint column = 0u; column < p.size; column += 4u * SLICE_VECS) {
        barrier();
        load_slices(first_anchor, first_target, column);
        barrier();
        vec4 product[8];
        REPEAT_8(CLEAR_PRODUCT)
        uint end = min((p.size - column + 3u) / 4u, SLICE_VECS);
        for (uint d = 0u; d < end; ++d) {
            REPEAT_4_OF(LOAD_TARGET, d)
            REPEAT_8(MULTIPLY_ROW)
        }
        REPEAT_8(ADD_PRODUCT)
    }
}

// How much the score exceeds the own one; -inf where the target is no negative.
vec4 differences(vec4 z, float own_score, ivec4 target, int own_target, bvec4 counts) {
    bvec4 negative = bvec4(uvec4(counts) & uvec4(notEqual(target, ivec4(own_target))));
    return mix(vec4(-INFINITY), (z - own_score) * p.scale, negative);
}

float max_of(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }
bvec4 are_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)); }
float weigh(float x) { return is_nan(x) ? NOT_A_NUMBER : exp2(x); }

void fold_scores(uint first_anchor, uint first_target, uint end) {
    ivec4 target = int(first_target + LANE) + ivec4(0, 16, 32, 48);
    bvec4 counts = lessThan(target, ivec4(int(end)));
    if (has(INFONCE_VALID)) {
        for (uint n = 0u; n < 4u; ++n)
            counts[n] = counts[n] && valid[p.base_valid + min(uint(target[n]), p.num_targets - 1u)] != 0;
    }
    int own_target = int(first_anchor + ROWS * 8u) + p.own_shift;
#define FOLD(r) { \
        vec4 x = differences(score[r], own[r], target, own_target + r, counts); \
        float old = top[r]; \
        top[r] = max(old, max_of(mix(x, vec4(0.0), are_nan(x)))); \
        x -= top[r]; \
        sum[r] = sum[r] * exp2(old - top[r]) + ((weigh(x.x) + weigh(x.y)) + (weigh(x.z) + weigh(x.w))); \
    }
    REPEAT_8(FOLD)
}

void store_own(uint first_anchor, uint first_target) {
    uint anchor = first_anchor + ROWS * 8u;
#define STORE_OWN(r, n) \
    if (first_target + LANE + 16u * n == anchor + r && anchor + r < p.num_anchors) \
        parts[p.base_parts + anchor + r] = score[r][n];
#define STORE_OWN_ROW(r) REPEAT_4_OF(STORE_OWN, r)
    REPEAT_8(STORE_OWN_ROW)
}

// An own score that is not finite makes the anchor's sum NaN.
void begin_anchors(uint first_anchor) {
    uint anchor = first_anchor + ROWS * 8u;
#define BEGIN(r) \
    own[r] = p.own != 0u ? 0.0 : own_scores[p.base_own_scores + min(anchor + r, p.num_anchors - 1u)]; \
    top[r] = 0.0; \
    sum[r] = is_finite(own[r]) ? 0.0 : NOT_A_NUMBER;
    REPEAT_8(BEGIN)
}

// Tops and sums of the invocations of an anchor through the tiles' memory, joined in their order.
#define SHARE(i) target_tile[(i) >> 1][((i) & 1u) * 2u]
#define SHARE_SUM(i) target_tile[(i) >> 1][((i) & 1u) * 2u + 1u]

void store_parts(uint first_anchor, uint split) {
    for (uint turn = 0u; turn < 2u; ++turn) { // 32 anchors x 16 invocations fit
        barrier();
        if (ROWS / 4u == turn) {
            uint first = (ROWS % 4u) * 8u * LANES + LANE;
#define PUT(r) { SHARE(first + r * LANES) = top[r]; SHARE_SUM(first + r * LANES) = sum[r]; }
            REPEAT_8(PUT)
        }
        barrier();
        uint row = gl_LocalInvocationIndex, anchor = first_anchor + turn * 32u + row;
        if (row < 32u && anchor < p.num_anchors) {
            float highest = 0.0, total = 0.0;
            for (uint i = 0u; i < LANES; ++i) highest = max(highest, SHARE(row * LANES + i));
            for (uint i = 0u; i < LANES; ++i)
                total += SHARE_SUM(row * LANES + i) * exp2(SHARE(row * LANES + i) - highest);
            uint e = p.base_parts + 2u * (split * p.total_anchors + anchor);
            parts[e] = highest;
            parts[e + 1u] = total;
        }
    }
}

void main() {
    uint tiles = (p.num_anchors + TILE - 1u) / TILE;
    uint split = group_index() / tiles;
    uint first_anchor = group_index() % tiles * TILE;
    uint first = p.own != 0u ? first_anchor : split * p.targets_per_split;
    uint end = min(first + (p.own != 0u ? TILE : p.targets_per_split), p.num_targets);
    begin_anchors(first_anchor);
    for (uint target = first; target < end; target += TILE) {
        compute_scores(first_anchor, target);
        if (p.own != 0u) store_own(first_anchor, target);
        else fold_scores(first_anchor, target, end);
    }
    if (p.own == 0u) store_parts(first_anchor, split);
}
