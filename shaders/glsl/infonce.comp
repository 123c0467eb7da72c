#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// infonce, cooperative: for 64 anchors and the targets of a split, 64 at a step,
//   top_s = max(0, max_t scale (z_st - z_ss)),  sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
//
// For scores 128 invocations are 8 x 16, of 8 anchors x 4 targets each, and slices of 32 columns of both lie in shared
// memory. A slice is summed by itself and then added to the score, so that long sums stay accurate. Then the scores
// lie there, and two invocations a row fold its halves into a maximum and a sum; they are joined at the end. All is
// swizzled by xor, so that neighbouring lanes meet different banks. See params/infonce.h.

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
#define TILE 64u      // anchors, and targets a step
#define SLICE_VECS 8u // of four columns
#define SCORE_VECS 16u // of four targets

// Slices of the anchors, then of the targets; or the scores.
shared vec4 tile[TILE * SCORE_VECS];

// For scores this invocation owns anchors ROWS * 8 .. and targets LANE * 4 ..
#define LANE (gl_LocalInvocationIndex & 15u)
#define ROWS (gl_LocalInvocationIndex >> 4)
// Of each row it folds every other four targets, from FOLD_HALF on.
#define FOLD_ROW (gl_LocalInvocationIndex >> 1)
#define FOLD_HALF (gl_LocalInvocationIndex & 1u)

vec4 score[8]; // of 4 targets
float own, top, sum; // of the row that is folded

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

// Of four columns of an anchor or a target; of four scores.
uint anchor_index(uint rows, uint r, uint d) { return (rows * 8u + r) * SLICE_VECS + (d ^ (rows & 7u)); }
uint target_index(uint lane, uint n, uint d) {
    return TILE * SLICE_VECS + (lane * 4u + n) * SLICE_VECS + (d ^ (lane & 7u));
}
uint score_index(uint row, uint targets) { return row * SCORE_VECS + (targets ^ (row & 15u)); }

// Rows past the last repeat it: reads stay in bounds.
void load_slices(uint first_anchor, uint first_target, uint column) {
    for (uint i = gl_LocalInvocationIndex; i < TILE * SLICE_VECS; i += GROUP_SIZE) {
        uint row = i / SLICE_VECS, d = i % SLICE_VECS;
        int left = int(p.size - column) - int(4u * d);
        uint anchor = min(first_anchor + row, p.num_anchors - 1u);
        uint target = min(first_target + row, p.num_targets - 1u);
        tile[anchor_index(row / 8u, row % 8u, d)] =
            load_anchors(p.base_anchors + anchor * p.anchor_row + column + 4u * d, left);
        tile[target_index(row / 4u, row % 4u, d)] =
            load_targets(p.base_targets + target * p.target_row + column + 4u * d, left);
    }
}

float add_dot(float sum, vec4 a, vec4 b) { return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

#define CLEAR_SCORE(r) score[r] = vec4(0.0);
#define CLEAR_PRODUCT(r) product[r] = vec4(0.0);
#define ADD_PRODUCT(r) score[r] += product[r];
#define LOAD_TARGET(d, n) vec4 y##n = tile[target_index(LANE, n, d)];
#define MULTIPLY(r, n) product[r][n] = add_dot(product[r][n], x, y##n);
#define MULTIPLY_ROW(r) { vec4 x = tile[anchor_index(ROWS, r, d)]; REPEAT_4_OF(MULTIPLY, r) }

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

// Scores to shared memory, -inf where the target does not count: it may be NaN.
void share_scores(uint first_target, uint end) {
    uvec4 target = first_target + LANE * 4u + uvec4(0u, 1u, 2u, 3u);
    bvec4 counts = lessThan(target, uvec4(end));
    if (has(INFONCE_VALID) && p.own == 0u) {
        uvec4 at = p.base_valid + min(target, uvec4(p.num_targets - 1u));
        ivec4 flags = ivec4(valid[at.x], valid[at.y], valid[at.z], valid[at.w]);
        counts = bvec4(uvec4(counts) & uvec4(notEqual(flags, ivec4(0))));
    }
    barrier();
#define SHARE_SCORE(r) tile[score_index(ROWS * 8u + r, LANE)] = mix(vec4(-INFINITY), score[r], counts);
    REPEAT_8(SHARE_SCORE)
    barrier();
}

float max_of(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }
bvec4 are_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)); }
vec4 weigh(vec4 x) { return mix(exp2(x), vec4(NOT_A_NUMBER), are_nan(x)); }

// How much four scores exceed the own one; -inf in the place of that.
vec4 differences(uint targets, int own_target) {
    vec4 x = (tile[score_index(FOLD_ROW, targets)] - own) * p.scale;
    ivec4 at = int(targets * 4u) + ivec4(0, 1, 2, 3);
    return mix(x, vec4(-INFINITY), equal(at, ivec4(own_target)));
}

// own_target: of the row, counted from the step's first
void fold_scores(int own_target) {
    float old = top;
    [[dont_unroll]] for (uint c = FOLD_HALF; c < SCORE_VECS; c += 2u) {
        vec4 x = differences(c, own_target);
        top = max(top, max_of(mix(x, vec4(0.0), are_nan(x))));
    }
    sum *= exp2(old - top);
    [[dont_unroll]] for (uint c = FOLD_HALF; c < SCORE_VECS; c += 2u) {
        vec4 y = weigh(differences(c, own_target) - top);
        sum += (y.x + y.y) + (y.z + y.w);
    }
}

// The two halves of a row, joined by the first.
void store_part(uint anchor, uint split) {
    barrier();
    tile[gl_LocalInvocationIndex].xy = vec2(top, sum);
    barrier();
    vec2 other = tile[gl_LocalInvocationIndex ^ 1u].xy;
    float highest = max(top, other.x);
    uint e = p.base_parts + 2u * (split * p.total_anchors + anchor);
    if (FOLD_HALF == 0u && anchor < p.num_anchors) {
        parts[e] = highest;
        parts[e + 1u] = sum * exp2(top - highest) + other.y * exp2(other.x - highest);
    }
}

void main() {
    uint tiles = (p.num_anchors + TILE - 1u) / TILE;
    uint split = group_index() / tiles;
    uint first_anchor = group_index() % tiles * TILE;
    uint anchor = first_anchor + FOLD_ROW;
    uint first = p.own != 0u ? first_anchor : split * p.targets_per_split;
    uint end = min(first + (p.own != 0u ? TILE : p.targets_per_split), p.num_targets);
    own = p.own != 0u ? 0.0 : own_scores[p.base_own_scores + min(anchor, p.num_anchors - 1u)];
    top = 0.0;
    sum = is_finite(own) ? 0.0 : NOT_A_NUMBER;
    for (uint target = first; target < end; target += TILE) {
        compute_scores(first_anchor, target);
        share_scores(target, end);
        if (p.own == 0u) fold_scores(int(anchor) + p.own_shift - int(target));
    }
    if (p.own == 0u) {
        store_part(anchor, split);
    } else if (FOLD_HALF == 0u && anchor < p.num_anchors) {
        parts[p.base_parts + anchor] = tile[score_index(FOLD_ROW, FOLD_ROW / 4u)][FOLD_ROW % 4u];
    }
}
