// mean: to_p,c = factor * sum of x_rc over the valid rows of part p / number of valid rows. An item, one a
// work-item, is 4 neighbouring columns of one part. See params/mean.h.
#define LANES 1
#include "params/mean.h"
#define KERNEL_PARAMS MEAN_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & MEAN_HALF
typedef half Input;
#define load_x(x, e) vload_half(e, x)
#define load4_x(x, e) vload_half4(0, (x) + (e))
#else
typedef float Input;
#define load_x(x, e) (x)[e]
#define load4_x(x, e) vload4(0, (x) + (e))
#endif

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
mean(__global const Input *x, __global const int *lengths, __global float *to, const Params params,
     uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + 3u) / 4u;
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint column = item % items_a_row * 4u;
    const uint matrix = item / items_a_row % (p->num_batches * p->num_heads);
    const uint part = item / items_a_row / (p->num_batches * p->num_heads);
    const uint head = matrix % p->num_heads, batch = matrix / p->num_heads;
    if (part >= p->num_parts) return;

    int valid = (int)p->total_rows;
    if (has(MEAN_LENGTHS)) valid = clamp(lengths[p->base_lengths + batch], 0, valid);
    const uint bound = (uint)clamp(valid - (int)p->row_begin, 0, (int)p->num_rows);
    const float factor = p->factor / (float)max(valid, 1);
    const uint left = p->num_columns - column;
    const uint at = p->base_x + batch * p->x_batch + head * p->x_head + column;
    const uint end = min((part + 1u) * p->rows_per_part, bound);
    const uint e = p->base_to + part * p->to_part + matrix * p->num_columns + column;
    if (left >= 4u) {
        float4 sum = 0.0f;
        for (uint row = part * p->rows_per_part; row < end; row++)
            sum += load4_x(x, at + row * p->x_row);
        vstore4(sum * factor, 0, to + e);
        return;
    }
    for (uint i = 0; i < left; i++) {
        float sum = 0.0f;
        for (uint row = part * p->rows_per_part; row < end; row++)
            sum += load_x(x, at + row * p->x_row + i);
        to[e + i] = sum * factor;
    }
}
