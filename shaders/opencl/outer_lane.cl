// outer for devices of type CPU: one work-item owns 64 features x 64 columns of a chunk's state; see params/outer.h.
//
// The lanes of a float16 are columns. The chunk's values are copied to private memory, decayed, 16 rows of zeros past
// the last one; then blocks of 4 features x 64 columns are held in registers while the slots run, features broadcast. Z
// is summed up by items of the first columns.
#define LANES 16
#include "params/outer.h"
#define KERNEL_PARAMS OUTER_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"
#define V_HALF OUTER_V_HALF
#include "lib/values.cl"

#define VECTORS 4
#define TILE_FEATURES 64u
#define MAX_CHUNK 256
#define EACH_FEATURE _Pragma("unroll") for (int i = 0; i < 4; i++)

// Adds slots of 4 features times `vectors` vectors of columns and stores them.
__attribute__((always_inline)) static inline void
add_block(__global const float *x, uint row_stride, float16 (*values)[VECTORS], uint count,
          __global float *to, uint to_stride, uint first, const int vectors) {
    float16 sum[4][VECTORS];
    EACH_FEATURE _Pragma("unroll") for (int c = 0; c < vectors; c++) sum[i][c] = 0.0f;
    for (uint s = 0; s < count; s++)
        _Pragma("unroll") for (int c = 0; c < vectors; c++) {
            const float16 y = values[s][first + c];
            EACH_FEATURE sum[i][c] += x[s * row_stride + i] * y;
        }
    EACH_FEATURE _Pragma("unroll") for (int c = 0; c < vectors; c++)
        ((__global Lanes *)(to + i * to_stride + LANES * (first + c)))->x = sum[i][c];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
outer(__global const float *features, __global const Value *v, __global const float *fade,
      __global const int *lengths, __global float *states, const Params params, uint first_group) {
    const Params *p = &params;
    uint item = group_index(first_group);
    const uint column_tiles = (p->value_stride + 63u) / 64u, feature_tiles = (p->num_features + 63u) / 64u;
    const uint column = item % column_tiles * 64u;
    item /= column_tiles;
    const uint f0 = item % feature_tiles * TILE_FEATURES, f_end = min(f0 + TILE_FEATURES, p->num_features);
    item /= feature_tiles;
    const uint chunk = item % p->num_chunks;
    item /= p->num_chunks;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    const uint vectors = min((p->value_stride - column) / LANES, (uint)VECTORS);

    const uint valid = count_valid(p, lengths, has(OUTER_LENGTHS), batch), first = slot_of_first(p, valid);
    uint row = chunk * p->chunk, end = min(row + p->chunk, p->num_rows);
    const uint weights = p->base_fade + batch * p->fade_batch + head * p->fade_head +
                         (row + p->chunk - 1u) * (p->chunk + 16u) - row;
    row = max(row, first - min(first, p->row_begin));
    end = min(end, first + valid - min(first + valid, p->row_begin));
    const uint count = end > row ? end - row : 0u;

    float16 values[MAX_CHUNK][VECTORS];
    uint at = p->base_v + batch * p->v_batch + head / p->heads_per_value * p->v_head +
              (p->row_begin + row - first - p->position_begin) * p->v_row;
    for (uint s = 0; s < count; s++, at += p->v_row) {
        const float weight = has(OUTER_FADE) ? fade[weights + row + s] : 1.0f;
        for (uint c = 0; c < vectors; c++)
            values[s][c] = weight * load16_values(p, v, at, column + c * LANES);
    }
    __global const float *x = features + p->base_features + batch * p->feature_batch +
                              head * p->feature_head + row * p->num_features;
    __global float *to = states + p->base_states + batch * p->states_batch + head * p->states_head +
                         chunk * p->states_chunk;
    for (uint f = f0; f < f_end; f += 4u) {
        __global float *own = to + f * p->value_stride + column;
        if (vectors == VECTORS) {
            add_block(x + f, p->num_features, values, count, own, p->value_stride, 0, VECTORS);
        } else {
            for (uint c = 0; c < vectors; c++)
                add_block(x + f, p->num_features, values, count, own, p->value_stride, c, 1);
        }
    }
    for (uint f = f0; column == 0u && f < f_end; f += LANES) {
        float16 sum = 0.0f;
        for (uint s = 0; s < count; s++) {
            const float weight = has(OUTER_FADE) ? fade[weights + row + s] : 1.0f;
            sum += weight * load16_float(x, s * p->num_features + f);
        }
        ((__global Lanes *)(to + p->num_features * p->value_stride + f))->x = sum;
    }
}
