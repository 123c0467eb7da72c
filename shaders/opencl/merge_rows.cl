// merge for devices of type CPU: a work-item joins ROWS rows, one after the other, a row's columns in
// vectors of 16; each part is weighed once a row. The maths is that of merge.cl, see params/merge.h.
//
// Defines: ROWS.
#define LANES 1
#include "params/merge.h"
#define KERNEL_PARAMS MERGE_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

#if OPTIONS & MERGE_HALF
typedef half Output;
#define store_output(x, e, value) vstore_half(value, e, x)
#define store_lanes(x, e, value) vstore_half16(value, 0, (x) + (e))
#else
typedef float Output;
#define store_output(x, e, value) ((x)[e] = (value))
#define store_lanes(x, e, value) vstore16(value, 0, (x) + (e))
#endif

static inline float load_lse(const Params *p, __global const float *part_lse, uint part, uint row) {
    return part_lse[p->base_part_lse + part * p->part_lse_size + row] * LOG2_E;
}

// Columns from `column` on, at most 16: the sum of exp2(lse_p - shift) out_p.
static inline float16 join_columns(const Params *p, __global const float *parts,
                                   __global const float *part_lse, uint row, uint column,
                                   float shift) {
    float16 sum = 0.0f;
    const uint count = min(p->value_size - column, 16u);
    for (uint part = 0; part < p->num_parts; part++) {
        const uint e = p->base_parts + part * p->part_size + row * p->value_size + column;
        float16 values = 0.0f;
        if (count == 16u) {
            values = vload16(0, parts + e);
        } else {
            for (uint i = 0; i < count; i++) ((float *)&values)[i] = parts[e + i];
        }
        sum += exp2(load_lse(p, part_lse, part, row) - shift) * values;
    }
    return sum;
}

static inline void store_columns(const Params *p, __global Output *out, uint e, uint column,
                                 float16 values) {
    const uint count = min(p->value_size - column, 16u);
    if (count == 16u) {
        store_lanes(out, e + column, values);
    } else {
        for (uint i = 0; i < count; i++)
            store_output(out, e + column + i, ((const float *)&values)[i]);
    }
}

static inline void join_row(const Params *p, __global const float *parts,
                            __global const float *part_lse, __global Output *out,
                            __global float *lse, __global const uint *schedule, uint row) {
    const uint head = row / p->num_queries % p->num_heads;
    const uint batch = row / p->num_queries / p->num_heads;
    uint query = row % p->num_queries;
    if (has(MERGE_ROWS)) {
        __global const uint *words = schedule + p->base_schedule;
        const uint class_index = words[p->class_at + batch * p->class_batch + head];
        const uint position = words[p->rows_at + class_index * p->num_queries + query];
        if (position == MERGE_NO_ROW) return;
        query = (uint)((int)position + p->out_shift);
    }
    float top = -INFINITY, sum = 0.0f;
    for (uint part = 0; part < p->num_parts; part++)
        top = fmax(top, load_lse(p, part_lse, part, row));
    const float shift = is_negative_infinity(top) ? 0.0f : top; // no part saw a key
    for (uint part = 0; part < p->num_parts; part++)
        sum += exp2(load_lse(p, part_lse, part, row) - shift);
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;

    const uint e = p->base_out + batch * p->out_batch + head * p->out_head + query * p->out_row;
    for (uint column = 0; column < p->value_size; column += 16u)
        store_columns(p, out, e, column,
                      join_columns(p, parts, part_lse, row, column, shift) * factor);
    if (has(MERGE_LSE))
        lse[p->base_lse + batch * p->lse_batch + head * p->lse_head + query * p->lse_row] =
            sum == 0.0f ? -INFINITY : (shift + log2(sum)) * LN_2;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
merge(__global const float *parts, __global const float *part_lse, __global Output *out,
      __global float *lse, __global const uint *schedule, const Params params, uint first_group) {
    const Params *p = &params;
    const uint first = group_index(first_group) * ROWS;
    const uint num_rows = p->num_batches * p->num_heads * p->num_queries;
    for (uint row = first; row < min(first + ROWS, num_rows); row++)
        join_row(p, parts, part_lse, out, lse, schedule, row);
}
