// merge: joins partial attention results by their lse: lse = log sum_p exp(lse_p), out = sum_p
// exp(lse_p - lse) out_p. 128 items a work-group, one a work-item; an item is two neighbouring
// columns of one row. The work-item of a row's first columns writes its lse. See params/merge.h.
#define LANES 1
#include "params/merge.h"
#define KERNEL_PARAMS MERGE_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

#if OPTIONS & MERGE_HALF
typedef half Output;
#define store_output(x, e, value) vstore_half(value, e, x)
#else
typedef float Output;
#define store_output(x, e, value) ((x)[e] = (value))
#endif

// Sum of exp2(lse_p - shift) (units of log 2), and of the same times out_p's columns c.x, c.y.
static inline float join_parts(const Params *p, __global const float *parts,
                               __global const float *part_lse, uint row, uint2 c, float shift,
                               float2 *columns) {
    uint e = p->base_parts + row * p->value_size;
    float sum = 0.0f;
    *columns = 0.0f;
    for (uint part = 0; part < p->num_parts; part++) {
        const float weight =
            exp2(part_lse[p->base_part_lse + part * p->part_lse_size + row] * LOG2_E - shift);
        sum += weight;
        *columns += weight * (float2)(parts[e + c.x], parts[e + c.y]);
        e += p->part_size;
    }
    return sum;
}

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
merge(__global const float *parts, __global const float *part_lse, __global Output *out,
      __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    const Params *p = &params;
    const uint pairs = (p->value_size + 1u) / 2u;
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint row = item / pairs;
    const uint column = item % pairs * 2u;
    uint query = row % p->num_queries;
    const uint head = row / p->num_queries % p->num_heads;
    const uint batch = row / p->num_queries / p->num_heads;
    if (batch >= p->num_batches) return;

    float top = -INFINITY;
    for (uint part = 0; part < p->num_parts; part++)
        top = fmax(top, part_lse[p->base_part_lse + part * p->part_lse_size + row] * LOG2_E);
    const float shift =
        is_negative_infinity(top) ? 0.0f : top; // no part saw a key: all weights are exp2(-inf)

    float2 columns;
    const uint2 c = (uint2)(column, min(column + 1u, p->value_size - 1u));
    const float sum = join_parts(p, parts, part_lse, row, c, shift, &columns);
    if (sum != 0.0f) columns /= sum;

    if (has(MERGE_ROWS)) {
        __global const uint *words = schedule + p->base_schedule;
        const uint class_index = words[p->class_at + batch * p->class_batch + head];
        const uint position = words[p->rows_at + class_index * p->num_queries + query];
        if (position == MERGE_NO_ROW) return;
        query = (uint)((int)position + p->out_shift);
    }
    const uint e =
        p->base_out + batch * p->out_batch + head * p->out_head + query * p->out_row + column;
    store_output(out, e, columns.x);
    if (column + 1u < p->value_size) store_output(out, e + 1u, columns.y);
    if (has(MERGE_LSE) && column == 0u)
        lse[p->base_lse + batch * p->lse_batch + head * p->lse_head + query * p->lse_row] =
            sum == 0.0f ? -INFINITY : (shift + log2(sum)) * LN_2;
}
