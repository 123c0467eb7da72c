// losses: loss_s = log(1 + sum_t exp(z_st - z_ss)) of a row from the parts of its targets, then the
// mean of the valid rows. 128 rows a work-group, one a work-item; the last step is one work-group.
// Sums are added in a fixed order, by halves. See params/losses.h.
#define LANES 1
#include "params/losses.h"
#define KERNEL_PARAMS LOSSES_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

// log(1 + x) for x >= 0. Drivers' logarithms may only be exact in absolute terms near 1: up to x = 1
// it is 2 atanh(x / (2 + x)) by its series.
static inline float log_1_plus(float x) {
    if (!(x <= 1.0f)) return log2(1.0f + x) * LN_2;
    const float y = x / (2.0f + x), y2 = y * y;
    float series = 1.0f / 15.0f;
    series = series * y2 + 1.0f / 13.0f;
    series = series * y2 + 1.0f / 11.0f;
    series = series * y2 + 1.0f / 9.0f;
    series = series * y2 + 1.0f / 7.0f;
    series = series * y2 + 1.0f / 5.0f;
    series = series * y2 + 1.0f / 3.0f;
    return 2.0f * (y + y * y2 * series);
}

static inline bool is_finite(float x) { return (as_int(x) & 0x7fffffff) < 0x7f800000; }

static inline float2 load_part(const Params *p, __global const float *parts, uint part, uint row) {
    return vload2(part * p->num_rows + row, parts + p->base_parts);
}

// The own term, 1 or 2^-top, is not in the sum. Where top is above 0 the sum is 1 at least.
static inline float loss_of(const Params *p, __global const float *parts, uint row) {
    float top = 0.0f, sum = 0.0f;
    for (uint part = 0; part < p->num_parts; part++)
        top = fmax(top, load_part(p, parts, part, row).x);
    for (uint part = 0; part < p->num_parts; part++) {
        const float2 own = load_part(p, parts, part, row);
        sum += own.y * exp2(own.x - top);
    }
    if (!is_finite(sum) || !is_finite(top)) return as_float(0x7fc00000);
    if (top == 0.0f) return log_1_plus(sum);
    return top * LN_2 + log_1_plus(fmax(sum - 1.0f, 0.0f) + exp2(-top));
}

static inline float2 first_share(const Params *p, __global const float *parts,
                                 __global const int *valid, __global float *losses, uint row) {
    if (row >= p->num_rows) return (float2)(0.0f);
    const bool counts = !has(LOSSES_VALID) || valid[p->base_valid + row] != 0;
    const float loss = counts ? loss_of(p, parts, row) : 0.0f;
    if (has(LOSSES_EACH)) losses[p->base_losses + row] = loss;
    return (float2)(loss, counts ? 1.0f : 0.0f);
}

static inline float2 last_share(const Params *p, __global const float *parts, uint lane) {
    float2 share = (float2)(0.0f);
    for (uint row = lane; row < p->num_rows; row += 128u) share += load_part(p, parts, 0, row);
    return share;
}

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
losses(__global const float *parts, __global const int *valid, __global float *each,
       __global float *sums, const Params params, uint first_group) {
    __local float2 shares[128]; // sum, number
    const Params *p = &params;
    const uint group = group_index(first_group), lane = (uint)get_local_id(0);
    shares[lane] = has(LOSSES_MEAN) ? last_share(p, parts, lane)
                                    : first_share(p, parts, valid, each, group * 128u + lane);
    for (uint half_size = 64; half_size > 0; half_size /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_size) shares[lane] += shares[lane + half_size];
    }
    if (lane > 0) return;
    const float2 total = shares[0];
    if (has(LOSSES_MEAN)) {
        sums[p->base_sums] = total.y > 0.0f ? total.x / total.y : 0.0f;
    } else {
        vstore2(total, group, sums + p->base_sums);
    }
}
