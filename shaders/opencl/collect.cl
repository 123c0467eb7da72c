// collect: c = activation(scale * sum of parts + bias). An item, one a work-item, is COLUMNS neighbouring
// columns of a row: 4 on GPUs, 16, in a vector, on devices of type CPU. See params/collect.h.
//
// Defines: COLUMNS (4, 16).
#define LANES (COLUMNS == 16 ? 16 : 1)
#include "params/collect.h"
#include "params/gemm.h"
#define KERNEL_PARAMS COLLECT_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/gemm_finish.cl"

#define GROUP_SIZE (COLUMNS == 4 ? 128 : 16)

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
collect(__global const float *parts, __global const BiasElement *bias, __global CElement *c,
        const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + COLUMNS - 1u) / COLUMNS;
    const uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    const uint column = item % items_a_row * COLUMNS;
    const uint row = item / items_a_row % p->num_rows;
    const uint matrix = item / items_a_row / p->num_rows;
    const uint head = matrix % p->num_heads, batch = matrix / p->num_heads;
    if (batch >= p->num_batches) return;

    uint from = p->base_parts + (matrix * p->num_rows + row) * p->num_columns + column;
    const uint e = p->base_c + batch * p->c_batch + head * p->c_head + row * p->c_row + column;
    const uint bias_at = p->base_bias + batch * p->bias_batch + head * p->bias_head +
                         row * p->bias_row + column;
    const uint left = min(p->num_columns - column, (uint)COLUMNS);
#if COLUMNS == 16
    if (left == 16u) {
        float16 sum = 0.0f;
        for (uint s = 0; s < p->num_parts; s++, from += p->part_size) sum += vload16(0, parts + from);
        finish_columns(p, c, e, bias, bias_at, left, sum * p->scale);
        return;
    }
#endif
    for (uint i = 0; i < left; i++) {
        float sum = 0.0f;
        for (uint s = 0; s < p->num_parts; s++) sum += parts[from + s * p->part_size + i];
        finish_column(p, c, e + i, bias, bias_at + i, sum * p->scale);
    }
}
