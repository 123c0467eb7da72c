// convolve: to_i = base_i + bias + sum_t taps_t x_(i + t - taps_left), along the rows. An item, one a work-item, is 4
// neighbouring columns of 4 rows. See params/convolve.h.
#define LANES 1
#include "params/convolve.h"
#define KERNEL_PARAMS CONVOLVE_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"

#if OPTIONS & CONVOLVE_X_HALF
typedef half XElement;
#define load_x load_half
#define load4_x(x, e) vload_half4(0, (x) + (e))
#else
typedef float XElement;
#define load_x load_float
#define load4_x(x, e) vload4(0, (x) + (e))
#endif
#if OPTIONS & CONVOLVE_TAPS_HALF
typedef half TapElement;
#define load_tap load_half
#else
typedef float TapElement;
#define load_tap load_float
#endif
#if OPTIONS & CONVOLVE_BIAS_HALF
typedef half BiasElement;
#define load_bias_of load_half
#else
typedef float BiasElement;
#define load_bias_of load_float
#endif
#if OPTIONS & CONVOLVE_TO_HALF
typedef half ToElement;
#define store_to store_half
#else
typedef float ToElement;
#define store_to store_float
#endif

typedef struct Place {
    uint batch, head, column, count;
    int valid;
} Place;

static inline void finish(const Params *p, const Place *t, uint row, float4 sum,
                          __global const BiasElement *bias, __global const float *base,
                          __global ToElement *to) {
    const float columns[4] = {sum.x, sum.y, sum.z, sum.w};
    if (row >= p->num_rows) return;
    const uint bias_at = p->base_bias + t->head * p->bias_head + t->column;
    const uint base_at = p->base_base + t->batch * p->base_batch + t->head * p->base_head +
                         row * p->base_row + t->column;
    const uint e = p->base_to + t->batch * p->to_batch + t->head * p->to_head + row * p->to_row + t->column;
    const bool is_valid = (int)(p->row_begin + row) < t->valid;
    _Pragma("unroll") for (uint i = 0; i < 4u; i++) if (i < t->count) {
        float value = columns[i];
        if (has(CONVOLVE_BIAS)) value += load_bias_of(bias, bias_at + i);
        if (has(CONVOLVE_BASE)) value += base[base_at + i];
        store_to(to, e + i, is_valid ? value : 0.0f);
    }
}

static inline float4 load_row(__global const XElement *x, uint e, uint count) {
    if (count == 4u) return load4_x(x, e);
    float4 value = load_x(x, e);
    if (count > 1u) value.y = load_x(x, e + 1u);
    if (count > 2u) value.z = load_x(x, e + 2u);
    return value;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
convolve(__global const XElement *x, __global const TapElement *taps,
         __global const BiasElement *bias, __global const float *base, __global const int *lengths,
         __global ToElement *to, const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + 3u) / 4u, fours = (p->num_rows + 3u) / 4u;
    const uint item = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint row = item / items_a_row % fours * 4u;
    const uint matrix = item / items_a_row / fours;
    Place t;
    t.column = item % items_a_row * 4u;
    t.count = min(p->num_columns - t.column, 4u);
    t.head = matrix % p->num_heads;
    t.batch = matrix / p->num_heads;
    if (t.batch >= p->num_batches) return;
    t.valid = (int)p->total_rows;
    if (has(CONVOLVE_LENGTHS)) t.valid = clamp(lengths[p->base_lengths + t.batch], 0, t.valid);

    // Step s brings row i + s - taps_left of x, which meets tap s - k for row i + k. Steps whose row is not there
    // are left out; a tap that does not exist is skipped, not 0: the row may hold NaN.
    const int first_x = (int)(p->row_begin + row) - (int)p->taps_left;
    const int end_x = min(t.valid, (int)(p->x_begin + p->x_rows));
    const int begin = max((int)p->x_begin - first_x, 0);
    const int end = min(end_x - first_x, (int)p->num_taps + 3);
    const uint at = p->base_x + t.batch * p->x_batch + t.head / p->heads_per_kv * p->x_head + t.column;
    const uint tap = p->base_taps + t.head * p->taps_head;
    float4 sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
    float tap0 = 0.0f, tap1 = 0.0f, tap2 = 0.0f, tap3 = 0.0f;
    for (int s = max(begin - 3, 0); s < end; s++) {
        tap3 = tap2;
        tap2 = tap1;
        tap1 = tap0;
        if (s < (int)p->num_taps) tap0 = load_tap(taps, tap + (uint)s);
        if (s < begin) continue;
        const float4 value =
            load_row(x, at + (uint)(first_x + s - (int)p->x_begin) * p->x_row, t.count);
        if (s < (int)p->num_taps) sum0 += tap0 * value;
        if (s >= 1 && s <= (int)p->num_taps) sum1 += tap1 * value;
        if (s >= 2 && s <= (int)p->num_taps + 1) sum2 += tap2 * value;
        if (s >= 3) sum3 += tap3 * value;
    }
    finish(p, &t, row, sum0, bias, base, to);
    finish(p, &t, row + 1u, sum1, bias, base, to);
    finish(p, &t, row + 2u, sum2, bias, base, to);
    finish(p, &t, row + 3u, sum3, bias, base, to);
}
