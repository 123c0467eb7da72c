// infonce for devices of type CPU: a work-item owns 32 anchors, the lanes of two vectors.
//   top_s = max(0, max_t scale (z_st - z_ss))
//   sum_s = sum_t 2^(scale (z_st - z_ss) - top_s),  z = anchors targets^T.
//
// Lanes are anchors: products broadcast single elements of the targets, and sums never cross lanes:
//   scores[t][anchors] = sum_c target[t][c] * columns[c][anchors]
// SLICE columns of the anchors lie transposed in private memory, eight targets next to them, which
// the second-level cache holds; scores of eight targets are in registers while 64 columns are summed,
// and then added to the score, so that long sums stay accurate. See params/infonce.h.
#define LANES 16
#include "params/infonce.h"
#define KERNEL_PARAMS INFONCE_PARAMS
#define OPTION_HALF INFONCE_HALF_TARGETS // of Storage, load and load16: the targets'
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"

#define VECTORS 2
#define TILE_ANCHORS (LANES * VECTORS)
#define TILE_TARGETS 64
#define BLOCK 8
#define SLICE 512
#define RUN 64
#define EACH_VECTOR _Pragma("unroll") for (int r = 0; r < VECTORS; r++)
#define EACH_TARGET _Pragma("unroll") for (int x = 0; x < BLOCK; x++)

#if OPTIONS & INFONCE_HALF_ANCHORS
typedef half Anchor;
#define load_anchor load_half
#else
typedef float Anchor;
#define load_anchor load_float
#endif

typedef struct State {
    Reals columns[SLICE][VECTORS]; // of the anchors
    float targets[BLOCK][SLICE];
    Reals scores[TILE_TARGETS][VECTORS];
    Reals own[VECTORS], top[VECTORS], sum[VECTORS];
} State;

static inline void load_columns(const Params *p, __global const Anchor *anchors, uint first,
                                uint column, uint count, State *state) {
    for (uint lane = 0; lane < TILE_ANCHORS; lane++) {
        const uint anchor = min(first + lane, p->num_anchors - 1u);
        const uint e = p->base_anchors + anchor * p->anchor_row + column;
        for (uint d = 0; d < count; d++)
            ((float *)state->columns[d])[lane] = load_anchor(anchors, e + d);
    }
}

static inline void load_block(const Params *p, __global const Storage *targets, uint first,
                              uint column, uint count, State *state) {
    for (uint x = 0; x < BLOCK; x++) {
        const uint target = min(first + x, p->num_targets - 1u);
        const uint e = p->base_targets + target * p->target_row + column;
        float *row = state->targets[x];
        uint d = 0;
        for (; d + 16u <= count; d += 16u) vstore16(load16(targets, e + d), 0, row + d);
        for (; d < count; d++) row[d] = load(targets, e + d);
    }
}

// Adds the products of a slice to the scores of targets j .. j + 7 of the tile.
static inline void add_products(State *state, uint j, uint count) {
    for (uint first = 0; first < count; first += RUN) {
        Reals product[BLOCK][VECTORS];
        EACH_TARGET EACH_VECTOR product[x][r] = 0.0f;
        for (uint d = first; d < min(first + RUN, count); d++)
            EACH_TARGET EACH_VECTOR product[x][r] += state->targets[x][d] * state->columns[d][r];
        EACH_TARGET EACH_VECTOR state->scores[j + x][r] += product[x][r];
    }
}

// Scores of `num` targets from `target` on. Anchors of one slice are loaded already.
static inline void compute_scores(const Params *p, __global const Anchor *anchors,
                                  __global const Storage *targets, uint anchor, uint target,
                                  uint num, State *state) {
    for (uint j = 0; j < TILE_TARGETS; j++) EACH_VECTOR state->scores[j][r] = 0.0f;
    for (uint column = 0; column < p->size; column += SLICE) {
        const uint count = min(p->size - column, (uint)SLICE);
        if (p->size > SLICE) load_columns(p, anchors, anchor, column, count, state);
        for (uint j = 0; j < num; j += BLOCK) {
            load_block(p, targets, target + j, column, count, state);
            add_products(state, j, count);
        }
    }
}

// own_target: of the first lane, counted from `target`
static inline void fold_scores(const Params *p, __global const int *valid, int own_target,
                               uint target, uint num, State *state) {
    const Ints lanes = (Ints)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + own_target;
    Reals top[VECTORS];
    EACH_VECTOR top[r] = state->top[r];
    for (uint j = 0; j < num; j++) {
        const bool counts = !has(INFONCE_VALID) || valid[p->base_valid + target + j] != 0;
        EACH_VECTOR {
            Reals x = (state->scores[j][r] - state->own[r]) * p->scale;
            x = counts ? x : (Reals)(-INFINITY);
            x = lanes + LANES * r == (int)j ? (Reals)(-INFINITY) : x;
            top[r] = fmax(top[r], x); // passes over NaN
            state->scores[j][r] = x;
        }
    }
    EACH_VECTOR {
        state->sum[r] *= exp2_negative(state->top[r] - top[r]);
        state->top[r] = top[r];
    }
    for (uint j = 0; j < num; j++)
        EACH_VECTOR state->sum[r] += exp2_negative(state->scores[j][r] - top[r]);
}

// An own score that is not finite makes the anchor's sum NaN.
static inline void begin_anchors(const Params *p, __global const float *own_scores, uint first,
                                 State *state) {
    for (uint lane = 0; lane < TILE_ANCHORS; lane++) {
        const uint e = p->base_own_scores + min(first + lane, p->num_anchors - 1u);
        ((float *)state->own)[lane] = p->own ? 0.0f : own_scores[e];
    }
    EACH_VECTOR {
        state->top[r] = 0.0f;
        state->sum[r] = (as_ints(state->own[r]) & 0x7fffffff) < 0x7f800000 ? (Reals)(0.0f)
                                                                          : as_reals((Ints)(0x7fc00000));
    }
}

static inline void store_lanes(const Params *p, __global float *parts, uint first, uint split,
                               const State *state) {
    for (uint lane = 0; lane < min(p->num_anchors - first, (uint)TILE_ANCHORS); lane++) {
        if (p->own) {
            parts[p->base_parts + first + lane] = ((const float *)state->scores[lane])[lane];
        } else {
            const uint e = p->base_parts + 2u * (split * p->total_anchors + first + lane);
            parts[e] = ((const float *)state->top)[lane];
            parts[e + 1u] = ((const float *)state->sum)[lane];
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
infonce(__global const Anchor *anchors, __global const Storage *targets, __global const int *valid,
        __global const float *own_scores, __global float *parts, const Params params,
        uint first_group) {
    const Params *p = &params;
    State state;
    const uint tiles = (p->num_anchors + TILE_ANCHORS - 1u) / TILE_ANCHORS;
    const uint split = group_index(first_group) / tiles;
    const uint anchor = group_index(first_group) % tiles * TILE_ANCHORS;
    const uint first = p->own ? anchor : split * p->targets_per_split;
    const uint end = min(first + (p->own ? TILE_ANCHORS : p->targets_per_split), p->num_targets);
    begin_anchors(p, own_scores, anchor, &state);
    if (p->size <= SLICE) load_columns(p, anchors, anchor, 0, p->size, &state);
    for (uint target = first; target < end; target += TILE_TARGETS) {
        const uint num = min(end - target, (uint)TILE_TARGETS);
        compute_scores(p, anchors, targets, anchor, target, num, &state);
        if (!p->own)
            fold_scores(p, valid, (int)anchor + p->own_shift - (int)target, target, num, &state);
    }
    store_lanes(p, parts, anchor, split, &state);
}
