// segments: means over consecutive rows, whose borders depend on how many are valid. An item, one a work-item, is 4
// neighbouring columns of one part of one segment. See params/segments.h.
#define LANES 1
#include "params/segments.h"
#define KERNEL_PARAMS SEGMENTS_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & SEGMENTS_HALF
typedef half Input;
#define load_x(x, e) vload_half(e, x)
#define load4_x(x, e) vload_half4(0, (x) + (e))
#else
typedef float Input;
#define load_x(x, e) (x)[e]
#define load4_x(x, e) vload4(0, (x) + (e))
#endif

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
segments(__global const Input *x, __global const int *lengths, __global float *to,
         const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + 3u) / 4u;
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint column = item % items_a_row * 4u;
    const uint row = item / items_a_row; // of to
    const uint segment = row % p->num_segments;
    const uint matrix = row / p->num_segments % (p->num_batches * p->num_heads);
    const uint part = row / p->num_segments / (p->num_batches * p->num_heads);
    const uint head = matrix % p->num_heads, batch = matrix / p->num_heads;
    if (part >= p->num_parts) return;

    uint n = p->total_rows;
    if (has(SEGMENTS_LENGTHS)) n = (uint)clamp(lengths[p->base_lengths + batch], 0, (int)n);
    if (has(SEGMENTS_ALONE) && (n > p->num_segments || segment >= n)) return;
    const uint existing = max(min(n, p->num_segments), 1u);
    const uint size = n / existing, short_ones = existing - n % existing;
    const uint first = segment * size + (segment > short_ones ? segment - short_ones : 0u);
    const uint count = segment >= existing ? 0u : size + (segment >= short_ones ? 1u : 0u);
    const uint begin = max(first, p->row_begin) + part * p->rows_per_part;
    const uint end = min(first + count, min(p->row_begin + p->num_rows, begin + p->rows_per_part));
    if (has(SEGMENTS_ALONE) && begin >= end) return;

    // Differences from the first row are added: the mean of equal rows is exact.
    const float share = (float)(end - begin) / (float)max(count, 1u);
    const float factor = p->factor / (float)max(count, 1u);
    const uint left = p->num_columns - column;
    const uint at = p->base_x + batch * p->x_batch + head / p->heads_per_kv * p->x_head + column +
                    (begin - p->row_begin) * p->x_row;
    const uint e = p->base_to + part * p->to_part +
                   (matrix * p->num_segments + segment) * p->num_columns + column;
    if (left >= 4u) {
        float4 sum = 0.0f;
        if (begin < end) {
            const float4 first_row = load4_x(x, at);
            for (uint r = 1; r < end - begin; r++) sum += load4_x(x, at + r * p->x_row) - first_row;
            sum = p->factor * share * first_row + sum * factor;
        }
        vstore4(sum, 0, to + e);
        return;
    }
    for (uint i = 0; i < left; i++) {
        float sum = 0.0f;
        if (begin < end) {
            const float first_row = load_x(x, at + i);
            for (uint r = 1; r < end - begin; r++) sum += load_x(x, at + r * p->x_row + i) - first_row;
            sum = p->factor * share * first_row + sum * factor;
        }
        to[e + i] = sum;
    }
}
