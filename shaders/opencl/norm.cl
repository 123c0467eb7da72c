// norm: y = gamma (z - mean) / sqrt(var + eps) + beta over rows, z = f(x) + residual; or y = z.
// LANES_A_ROW work-items own a row, each of
// them columns that lie so far apart; sums meet in local memory. An item that owns a whole row takes 16 columns
// at a time. See params/norm.h.
//
// Defines: LANES_A_ROW (128: a row a work-group; 1: 16 rows a work-group, nothing is shared).
#define LANES (LANES_A_ROW == 1 ? 16 : 1)
#include "params/norm.h"
#define KERNEL_PARAMS NORM_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"

#if OPTIONS & NORM_X_HALF
typedef half XElement;
#define load_x_raw load_half
#define load16_x load16_half
#else
typedef float XElement;
#define load_x_raw load_float
#define load16_x load16_float
#endif
#if OPTIONS & NORM_WEIGHT_HALF
typedef half Weight;
#define load_weight load_half
#else
typedef float Weight;
#define load_weight load_float
#endif
#if OPTIONS & NORM_RESIDUAL_HALF
typedef half Residual;
#define load_residual load_half
#define load16_residual load16_half
#else
typedef float Residual;
#define load_residual load_float
#define load16_residual load16_float
#endif
#if OPTIONS & NORM_Y_HALF
typedef half YElement;
#define store_y store_half
#else
typedef float YElement;
#define store_y store_float
#endif

#define GROUP_SIZE (LANES_A_ROW == 1 ? 16 : 128)

// A row: x and what is added to it.
typedef struct Row {
    __global const XElement *x;
    __global const Residual *residual;
    uint from, residual_from;
} Row;

static inline float load_z(const Row *row, uint c) {
    float value = load_x_raw(row->x, row->from + c);
    if (has(NORM_RELU)) value = value < 0.0f ? 0.0f : value; // NaN stays NaN
    return has(NORM_RESIDUAL) ? value + load_residual(row->residual, row->residual_from + c)
                              : value;
}

#if LANES_A_ROW == 1
static inline float add_16(float16 x) {
    const float8 a = x.lo + x.hi;
    const float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}
// Sum of z - shift over the row, or of its squares.
static inline float add_row(const Row *row, uint lane, uint count, float shift, bool squares,
                            __local float *sums) {
    float16 wide = 0.0f;
    float sum = 0.0f;
    uint c = 0;
    (void)lane;
    (void)sums;
    for (; c + 16u <= count; c += 16u) {
        float16 value = load16_x(row->x, row->from + c);
        if (has(NORM_RELU)) value = value < 0.0f ? (float16)(0.0f) : value;
        if (has(NORM_RESIDUAL)) value += load16_residual(row->residual, row->residual_from + c);
        value -= shift;
        wide += squares ? value * value : value;
    }
    for (; c < count; c++) {
        const float value = load_z(row, c) - shift;
        sum += squares ? value * value : value;
    }
    return sum + add_16(wide);
}
#else
static inline float add_row(const Row *row, uint lane, uint count, float shift, bool squares,
                            __local float *sums) {
    float sum = 0.0f;
    for (uint c = lane; c < count; c += LANES_A_ROW) {
        const float value = load_z(row, c) - shift;
        sum += squares ? value * value : value;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    sums[lane] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = LANES_A_ROW / 2; width > 0u; width /= 2u) {
        if (lane < width) sums[lane] += sums[lane + width];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return sums[0];
}
#endif

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
norm(__global const XElement *x, __global const Weight *gamma, __global const Weight *beta,
     __global const int *lengths, __global const Residual *residual, __global YElement *y,
     const Params params, uint first_group) {
    const Params *p = &params;
    __local float sums[LANES_A_ROW];
    const uint lane = (uint)get_local_id(0) % LANES_A_ROW;
    const uint item = group_index(first_group) * (GROUP_SIZE / LANES_A_ROW) +
                      (uint)get_local_id(0) / LANES_A_ROW;
    const uint row = item % p->num_rows, batch = item / p->num_rows;
    if (batch >= p->num_batches) return; // whole work-groups where lanes share

    const Row z = {x, residual, p->base_x + batch * p->x_batch + row * p->x_row,
                   p->base_residual + batch * p->residual_batch + row * p->residual_row};
    const uint to = p->base_y + batch * p->y_batch + row * p->y_row;
    const bool valid = !has(NORM_LENGTHS) || (int)(p->row_begin + row) < lengths[p->base_lengths + batch];
    const uint count = valid ? p->num_columns : 0u;
    const float columns = (float)p->num_columns;
    float mean = 0.0f, factor = 1.0f;
    if (!has(NORM_SUM)) {
        const float first = valid ? load_z(&z, 0) : 0.0f; // the mean of equal columns is exact
        mean = first + add_row(&z, lane, count, first, false, sums) / columns;
        factor = 1.0f / sqrt(add_row(&z, lane, count, mean, true, sums) / columns + p->eps);
    }
    for (uint c = lane; c < p->num_columns; c += LANES_A_ROW) {
        float value = 0.0f;
        if (valid) {
            value = (load_z(&z, c) - mean) * factor;
            if (has(NORM_GAMMA)) value *= load_weight(gamma, p->base_gamma + c);
            if (has(NORM_BETA)) value += load_weight(beta, p->base_beta + c);
        }
        store_y(y, to + c, value);
    }
}
