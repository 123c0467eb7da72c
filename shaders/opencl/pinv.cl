// pinv: c, the largest sum of a column, by a work-group a matrix, whose work-items own columns 128 apart; then x^T / c,
// 128 elements a work-group. See params/pinv.h.
#define LANES 1
#include "params/pinv.h"
#define KERNEL_PARAMS PINV_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

static inline float larger(float a, float b) { return is_nan(a) || a > b ? a : b; }

static inline float reduce(__local float *lanes, float own) {
    const uint at = (uint)get_local_id(0);
    lanes[at] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = 64u; width > 0u; width /= 2u) {
        if (at < width) lanes[at] = larger(lanes[at], lanes[at + width]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return lanes[0];
}

#if OPTIONS & PINV_LARGEST
static inline bool counts(const Params *p, __global const int *lengths,
                          __global const int *head_mask, uint matrix) {
    if (has(PINV_MASK) && head_mask[p->base_head_mask + matrix % p->num_heads] == 0) return false;
    return !has(PINV_LENGTHS) || lengths[p->base_lengths + matrix / p->num_heads] > (int)p->size;
}
#endif

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
pinv(__global const float *x, __global const int *lengths, __global const int *head_mask,
     __global const float *largest, __global float *to, const Params params, uint first_group) {
    const Params *p = &params;
    __local float lanes[128];
    float c = 0.0f;
#if OPTIONS & PINV_LARGEST
    const uint matrix = group_index(first_group), from = p->base_x + matrix * p->size * p->size;
    (void)largest;
    for (uint column = (uint)get_local_id(0); column < p->size; column += 128u) {
        float sum = 0.0f;
        for (uint row = 0; row < p->size; row++) sum += x[from + row * p->size + column];
        c = larger(c, sum);
    }
    c = reduce(lanes, c);
    if (get_local_id(0) == 0)
        to[p->base_to + matrix] = counts(p, lengths, head_mask, p->first + matrix) ? c : 0.0f;
#else
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint row = item / p->size % p->size, column = item % p->size;
    const uint matrix = item / p->size / p->size;
    (void)lengths;
    (void)head_mask;
    if (has(PINV_COMMON)) {
        for (uint i = (uint)get_local_id(0); i < p->total_matrices; i += 128u)
            c = larger(c, largest[p->base_largest + i]);
        c = reduce(lanes, c);
    }
    if (matrix >= p->num_matrices) return;
    if (!has(PINV_COMMON)) c = largest[p->base_largest + p->first + matrix];
    to[p->base_to + item] = x[p->base_x + (matrix * p->size + column) * p->size + row] / c;
#endif
}
