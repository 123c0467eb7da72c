// outer: S = sum of features times values over a chunk of slots, Z = sum of features, see params/outer.h.
//
// A work-item owns 8 features x 8 columns of one chunk's state in registers, and walks the chunk's slots. Those of the
// first columns own Z too. Neighbours share features, so loads meet in the cache.
#define LANES 1
#include "params/outer.h"
#define KERNEL_PARAMS OUTER_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"
#define V_HALF OUTER_V_HALF
#include "lib/values.cl"

#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < n; i++)

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
outer(__global const float *features, __global const Value *v, __global const float *fade,
      __global const int *lengths, __global float *states, const Params params, uint first_group) {
    const Params *p = &params;
    uint item = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint column_tiles = p->value_stride / 8u, feature_tiles = p->num_features / 8u;
    const uint column = item % column_tiles * 8u;
    item /= column_tiles;
    const uint f = item % feature_tiles * 8u;
    item /= feature_tiles;
    const uint chunk = item % p->num_chunks;
    item /= p->num_chunks;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    if (batch >= p->num_batches) return;

    const uint valid = count_valid(p, lengths, has(OUTER_LENGTHS), batch), first = slot_of_first(p, valid);
    uint row = chunk * p->chunk, end = min(row + p->chunk, p->num_rows);
    const uint weights = p->base_fade + batch * p->fade_batch + head * p->fade_head +
                         (row + p->chunk - 1u) * (p->chunk + 16u) - row;
    row = max(row, first - min(first, p->row_begin));
    end = min(end, first + valid - min(first + valid, p->row_begin));
    const uint from = p->base_features + batch * p->feature_batch + head * p->feature_head + f;
    const uint values = p->base_v + batch * p->v_batch + head / p->heads_per_value * p->v_head;
    float4 sum[8][2], sum_z[2] = {0.0f, 0.0f};
    EACH(i, 8) EACH(c, 2) sum[i][c] = 0.0f;
    for (; row < end; row++) {
        const uint at = values + (p->row_begin + row - first - p->position_begin) * p->v_row;
        const float4 y[2] = {load4_value(p, v, at, column), load4_value(p, v, at, column + 4u)};
        EACH(i, 2) {
            float4 x = vload4(0, features + from + row * p->num_features + 4u * (uint)i);
            if (has(OUTER_FADE)) x *= fade[weights + row];
            sum_z[i] += x;
            EACH(c, 2) {
                sum[4 * i][c] += x.x * y[c];
                sum[4 * i + 1][c] += x.y * y[c];
                sum[4 * i + 2][c] += x.z * y[c];
                sum[4 * i + 3][c] += x.w * y[c];
            }
        }
    }
    const uint to = p->base_states + batch * p->states_batch + head * p->states_head + chunk * p->states_chunk;
    const int4 places = (int4)(0, 1, 2, 3) + (int)column;
    EACH(i, 8) EACH(c, 2) {
        const float4 kept = places + 4 * c < (int)p->value_size ? sum[i][c] : (float4)(0.0f);
        vstore4(kept, 0, states + to + (f + (uint)i) * p->value_stride + column + 4u * (uint)c);
    }
    if (column == 0u)
        EACH(i, 2) vstore4(sum_z[i], 0, states + to + p->num_features * p->value_stride + f + 4u * (uint)i);
}
