// infonce, cooperative: for 64 anchors and the targets of a split, 32 at a step,
//   top_s = max(0, max_t scale (z_st - z_ss))
//   sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
//
// 128 work-items as 16 x 8 own 4 anchors x 4 targets each; a target of theirs is 8 away from the
// next. Slices of 32 columns of both lie in local memory, swizzled by xor so that neighbouring lanes
// meet different banks. Each work-item keeps a maximum and a sum for its own targets of each of its
// anchors; the eight of an anchor are joined once, at the end. A slice is summed by itself and then
// added to the score, so that long sums stay accurate. See params/infonce.h.
#define LANES 1
#include "params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

#define GROUP_SIZE 128
#define TILE_ANCHORS 64
#define TILE_TARGETS 32
#define SLICE_VECTORS 8
#define COLUMNS 8 // work-items of an anchor
#define BLOCK 4   // anchors, and targets, of a work-item
#define EACH_ANCHOR _Pragma("unroll") for (uint r = 0; r < BLOCK; r++)
#define EACH_TARGET _Pragma("unroll") for (uint n = 0; n < BLOCK; n++)

#if OPTIONS & INFONCE_HALF_ANCHORS
typedef half Anchor;
#define load_anchor(x, e) vload_half(e, x)
#define load4_anchors(x, e) vload_half4(0, (x) + (e))
#else
typedef float Anchor;
#define load_anchor(x, e) (x)[e]
#define load4_anchors(x, e) vload4(0, (x) + (e))
#endif
#if OPTIONS & INFONCE_HALF_TARGETS
typedef half Target;
#define load_target(x, e) vload_half(e, x)
#define load4_targets(x, e) vload_half4(0, (x) + (e))
#else
typedef float Target;
#define load_target(x, e) (x)[e]
#define load4_targets(x, e) vload4(0, (x) + (e))
#endif

// Columns e .. e + 3 of a row, of which `left` belong to it; 0 in place of the others.
static inline float4 load_anchors(__global const Anchor *x, uint e, int left) {
    if (left >= 4) return load4_anchors(x, e);
    return (float4)(left > 0 ? load_anchor(x, e) : 0.0f, left > 1 ? load_anchor(x, e + 1u) : 0.0f,
                    left > 2 ? load_anchor(x, e + 2u) : 0.0f, 0.0f);
}
static inline float4 load_targets(__global const Target *x, uint e, int left) {
    if (left >= 4) return load4_targets(x, e);
    return (float4)(left > 0 ? load_target(x, e) : 0.0f, left > 1 ? load_target(x, e + 1u) : 0.0f,
                    left > 2 ? load_target(x, e + 2u) : 0.0f, 0.0f);
}

// Where four columns of a row lie: of anchor r of a block of four, of target n of a lane.
static inline uint anchor_index(uint block, uint r, uint d) {
    return (block * BLOCK + r) * SLICE_VECTORS + (d ^ (block & 7u));
}
static inline uint target_index(uint lane, uint n, uint d) {
    return (lane + COLUMNS * n) * SLICE_VECTORS + (d ^ lane);
}

// Rows past the last repeat it: reads stay in bounds.
static inline void load_slices(const Params *p, __global const Anchor *anchors,
                               __global const Target *targets, __local float4 *anchor_tile,
                               __local float4 *target_tile, uint first_anchor, uint first_target,
                               uint column, uint item) {
    for (uint i = item; i < TILE_ANCHORS * SLICE_VECTORS; i += GROUP_SIZE) {
        const uint row = i / SLICE_VECTORS, d = i % SLICE_VECTORS;
        const uint anchor = min(first_anchor + row, p->num_anchors - 1u);
        anchor_tile[anchor_index(row / BLOCK, row % BLOCK, d)] =
            load_anchors(anchors, p->base_anchors + anchor * p->anchor_row + column + 4u * d,
                         (int)(p->size - column) - (int)(4u * d));
    }
    for (uint i = item; i < TILE_TARGETS * SLICE_VECTORS; i += GROUP_SIZE) {
        const uint row = i / SLICE_VECTORS, d = i % SLICE_VECTORS;
        const uint target = min(first_target + row, p->num_targets - 1u);
        target_tile[target_index(row % COLUMNS, row / COLUMNS, d)] =
            load_targets(targets, p->base_targets + target * p->target_row + column + 4u * d,
                         (int)(p->size - column) - (int)(4u * d));
    }
}

static inline void multiply_slices(const __local float4 *anchor_tile,
                                   const __local float4 *target_tile, uint vectors, uint item,
                                   float score[BLOCK][BLOCK]) {
    float product[BLOCK][BLOCK];
    EACH_ANCHOR EACH_TARGET product[r][n] = 0.0f;
    for (uint d = 0; d < vectors; d++) {
        float4 y[BLOCK];
        EACH_TARGET y[n] = target_tile[target_index(item % COLUMNS, n, d)];
        EACH_ANCHOR {
            const float4 x = anchor_tile[anchor_index(item / COLUMNS, r, d)];
            EACH_TARGET {
                product[r][n] += x.x * y[n].x;
                product[r][n] += x.y * y[n].y;
                product[r][n] += x.z * y[n].z;
                product[r][n] += x.w * y[n].w;
            }
        }
    }
    EACH_ANCHOR EACH_TARGET score[r][n] += product[r][n];
}

typedef struct Sums {
    float own[BLOCK], top[BLOCK], sum[BLOCK];
} Sums;

// target: the first of this work-item's
static inline void fold_scores(const Params *p, __global const int *valid, int own_target,
                               uint target, uint end, float score[BLOCK][BLOCK], Sums *s) {
    bool counts[BLOCK];
    EACH_TARGET {
        const uint t = target + COLUMNS * n;
        counts[n] = t < end;
        if (has(INFONCE_VALID))
            counts[n] = counts[n] && valid[p->base_valid + min(t, p->num_targets - 1u)] != 0;
    }
    EACH_ANCHOR {
        const float old = s->top[r];
        EACH_TARGET {
            const bool negative = counts[n] && (int)(target + COLUMNS * n) != own_target + (int)r;
            score[r][n] = negative ? (score[r][n] - s->own[r]) * p->scale : -INFINITY;
            s->top[r] = fmax(s->top[r], score[r][n]); // passes over NaN
        }
        float sum = s->sum[r] * exp2(old - s->top[r]);
        EACH_TARGET sum += exp2(score[r][n] - s->top[r]);
        s->sum[r] = sum;
    }
}

static inline void store_own(const Params *p, __global float *parts, uint anchor, uint target,
                             float score[BLOCK][BLOCK]) {
    EACH_ANCHOR EACH_TARGET {
        if (target + COLUMNS * n == anchor + r && anchor + r < p->num_anchors)
            parts[p->base_parts + anchor + r] = score[r][n];
    }
}

// Tops and sums of the work-items of an anchor through local memory, joined in their order.
static inline void store_parts(const Params *p, __global float *parts, __local float2 *shares,
                               uint first_anchor, uint split, uint item, const Sums *s) {
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ANCHOR shares[(item / COLUMNS * BLOCK + r) * COLUMNS + item % COLUMNS] =
        (float2)(s->top[r], s->sum[r]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item >= TILE_ANCHORS || first_anchor + item >= p->num_anchors) return;
    float2 joined = 0.0f;
    for (uint i = 0; i < COLUMNS; i++) joined.x = fmax(joined.x, shares[item * COLUMNS + i].x);
    for (uint i = 0; i < COLUMNS; i++) {
        const float2 share = shares[item * COLUMNS + i];
        joined.y += share.y * exp2(share.x - joined.x);
    }
    vstore2(joined, split * p->total_anchors + first_anchor + item, parts + p->base_parts);
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
infonce(__global const Anchor *anchors, __global const Target *targets, __global const int *valid,
        __global const float *own_scores, __global float *parts, const Params params,
        uint first_group) {
    __local float4 anchor_tile[TILE_ANCHORS * SLICE_VECTORS];
    __local float4 target_tile[TILE_TARGETS * SLICE_VECTORS];
    const Params *p = &params;
    const uint group = group_index(first_group), item = (uint)get_local_id(0);
    const uint tiles = (p->num_anchors + TILE_ANCHORS - 1u) / TILE_ANCHORS;
    const uint split = group / tiles, first_anchor = group % tiles * TILE_ANCHORS;
    const uint first = p->own ? first_anchor : split * p->targets_per_split;
    const uint end = min(first + (p->own ? TILE_ANCHORS : p->targets_per_split), p->num_targets);
    const uint anchor = first_anchor + item / COLUMNS * BLOCK;
    Sums s;
    EACH_ANCHOR {
        const uint row = min(anchor + r, p->num_anchors - 1u);
        s.own[r] = p->own ? 0.0f : own_scores[p->base_own_scores + row];
        s.top[r] = 0.0f;
        // An own score that is not finite makes the anchor's sum NaN.
        s.sum[r] = (as_int(s.own[r]) & 0x7fffffff) < 0x7f800000 ? 0.0f : as_float(0x7fc00000);
    }
    for (uint step = first; step < end; step += TILE_TARGETS) {
        float score[BLOCK][BLOCK];
        EACH_ANCHOR EACH_TARGET score[r][n] = 0.0f;
        for (uint column = 0; column < p->size; column += 4 * SLICE_VECTORS) {
            barrier(CLK_LOCAL_MEM_FENCE);
            load_slices(p, anchors, targets, anchor_tile, target_tile, first_anchor, step, column,
                        item);
            barrier(CLK_LOCAL_MEM_FENCE);
            const uint vectors = min((p->size - column + 3u) / 4u, (uint)SLICE_VECTORS);
            multiply_slices(anchor_tile, target_tile, vectors, item, score);
        }
        const uint target = step + item % COLUMNS;
        if (p->own)
            store_own(p, parts, anchor, target, score);
        else
            fold_scores(p, valid, (int)anchor + p->own_shift, target, end, score, &s);
    }
    if (!p->own)
        store_parts(p, parts, (__local float2 *)anchor_tile, first_anchor, split, item, &s);
}
