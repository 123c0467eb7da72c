// coarsen: to_c = (n_2c from_2c + n_2c+1 from_2c+1) / n_c, means of clusters from means of clusters
// of half their size. An item, one a work-item, is COLUMNS neighbouring columns of a cluster: 4 on
// GPUs, all, in vectors of 16, on devices of type CPU. See params/coarsen.h.
//
// Defines: COLUMNS (4, 512).
#define LANES 1
#include "params/coarsen.h"
#define KERNEL_PARAMS COARSEN_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & COARSEN_HALF
typedef half Input;
#define load_from(x, e) vload_half(e, x)
#define load16_from(x, e) vload_half16(0, (x) + (e))
#else
typedef float Input;
#define load_from(x, e) (x)[e]
#define load16_from(x, e) vload16(0, (x) + (e))
#endif
#define GROUP_SIZE (COLUMNS == 4 ? 128 : 16)

static inline int count_valid(const Params *p, __global const int *lengths, uint batch) {
    const int num_positions = (int)p->num_positions;
    if (!has(COARSEN_LENGTHS)) return num_positions;
    return clamp(lengths[p->base_lengths + batch], 0, num_positions);
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
coarsen(__global const Input *from, __global const int *lengths, __global float *to,
        const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + COLUMNS - 1u) / COLUMNS;
    const uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    const uint column = item % items_a_row * COLUMNS;
    const uint cluster = item / items_a_row % p->num_clusters;
    const uint any_head = item / items_a_row / p->num_clusters;
    const uint head = any_head % p->num_heads, batch = any_head / p->num_heads;
    if (batch >= p->num_batches) return;

    const int size = 1 << (p->shift - 1u);
    const int valid = count_valid(p, lengths, batch) - (int)(cluster << p->shift);
    const bool has_first = valid > 0;
    const bool has_second = valid > size && !has(COARSEN_FIRST);
    const float share =
        has_second ? (float)min(valid - size, size) / (float)min(valid, 2 * size) : 0.0f;

    __global const Input *row = from + p->base_from + batch * p->from_batch +
                                head * p->from_head + 2u * cluster * p->from_row;
    __global float *to_row =
        to + p->base_to + batch * p->to_batch + head * p->to_head + cluster * p->num_columns;
    const uint end = min(column + COLUMNS, p->num_columns);
    uint d = column;
#if COLUMNS > 4
    for (; has_first && d + 16u <= end; d += 16u) {
        float16 x = load16_from(row, d);
        if (has_second) x = x * (1.0f - share) + load16_from(row, p->from_row + d) * share;
        vstore16(x, 0, to_row + d);
    }
#endif
    for (; d < end; d++) {
        float x = has_first ? load_from(row, d) : 0.0f;
        if (has_second) x = x * (1.0f - share) + load_from(row, p->from_row + d) * share;
        to_row[d] = x;
    }
}
