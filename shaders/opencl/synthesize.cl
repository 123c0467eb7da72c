// synthesize: logits of components that are no products of rows, added to those that are, and -inf where a row does
// not see a key. An item, one a work-item, is 4 neighbouring columns of a row. See params/synthesize.h.
#define LANES 1
#include "params/synthesize.h"
#define KERNEL_PARAMS SYNTHESIZE_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"

#if OPTIONS & SYNTHESIZE_R_HALF
typedef half RElement;
#define load_r load_half
#else
typedef float RElement;
#define load_r load_float
#endif
#if OPTIONS & SYNTHESIZE_ALPHA_HALF
typedef half AlphaElement;
#define load_alpha load_half
#else
typedef float AlphaElement;
#define load_alpha load_float
#endif

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
synthesize(__global const float *base, __global const RElement *r, __global const float *a,
           __global const float *b, __global const AlphaElement *alpha, __global const int *lengths,
           __global float *to, const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + 3u) / 4u;
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint column = item % items_a_row * 4u;
    const uint row = item / items_a_row % p->num_rows;
    const uint matrix = item / items_a_row / p->num_rows;
    const uint head = matrix % p->num_heads, batch = matrix / p->num_heads;
    if (batch >= p->num_batches) return;

    const uint i = p->row_begin + row;
    uint end = p->num_columns;
    if (has(SYNTHESIZE_LENGTHS)) end = (uint)clamp(lengths[p->base_lengths + batch], 0, (int)end);
    if (i >= end) end = 0u;
    else if (has(SYNTHESIZE_CAUSAL)) end = i + 1u;
    const uint factors = p->base_alpha + head * p->alpha_head;
    const float random_factor = has(SYNTHESIZE_RANDOM) ? load_alpha(alpha, factors + p->random_at) : 0.0f;
    const float product_factor =
        has(SYNTHESIZE_FACTORS) ? load_alpha(alpha, factors + p->factors_at) : 0.0f;
    const uint r_at = p->base_r + head * p->r_head + row * p->r_row;
    const uint a_at = p->base_a + batch * p->a_batch + head * p->a_head + row * p->size_a;
    const uint b_at = p->base_b + batch * p->b_batch + head * p->b_head + row * p->size_b;
    const uint e = (matrix * p->num_rows + row) * p->num_columns;
    for (uint j = column; j < min(column + 4u, p->num_columns); j++) {
        float logit = -INFINITY;
        if (j < end) {
            logit = has(SYNTHESIZE_BASE) ? base[p->base_base + e + j] : 0.0f;
            if (has(SYNTHESIZE_RANDOM)) logit += random_factor * load_r(r, r_at + j);
            if (has(SYNTHESIZE_FACTORS)) {
                const uint s = has(SYNTHESIZE_OUTER) ? j / p->size_b : j % p->size_a;
                logit += product_factor * a[a_at + s] * b[b_at + j % p->size_b];
            }
        }
        to[p->base_to + e + j] = logit;
    }
}
