// peak: the largest element of some rows of a matrix, see params/peak.h. LANES_A_PART work-items own a part, each of
// them columns that lie apart; their maxima meet in local memory. An item that owns a whole part takes 16 columns at a
// time.
//
// Defines: LANES_A_PART (128; 1: nothing is shared).
#define LANES (LANES_A_PART == 1 ? 16 : 1)
#include "params/peak.h"
#define KERNEL_PARAMS PEAK_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"

// NaN is larger than all else.
static inline float larger(float a, float b) { return isnan(a) || a > b ? a : b; }

static inline float one(float x) { return has(PEAK_ABSOLUTE) ? fabs(x) : x; }

static inline float join_lanes(float share, uint lane, __local float *shares) {
#if LANES_A_PART != 1
    shares[lane] = share;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = LANES_A_PART / 2; width > 0u; width /= 2u) {
        if (lane < width) shares[lane] = larger(shares[lane + width], shares[lane]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    share = shares[0];
#endif
    return share;
}

// The lane's share of a row.
static inline float row_maximum(__global const float *x, uint e, uint lane, uint count, float maximum) {
    uint c = lane;
#if LANES == 16
    float16 wide = -INFINITY;
    float lines[16];
    for (; c + 16u <= count; c += 16u) {
        float16 value = load16_float(x, e + c);
        value = has(PEAK_ABSOLUTE) ? fabs(value) : value;
        wide = is_nan(value) || value > wide ? value : wide;
    }
    store_lanes(lines, wide);
    for (uint i = 0; i < 16u; i++) maximum = larger(lines[i], maximum);
#endif
    for (; c < count; c += LANES_A_PART) maximum = larger(one(x[e + c]), maximum);
    return maximum;
}

__kernel __attribute__((reqd_work_group_size(LANES_A_PART, 1, 1))) void
peak(__global const float *x, __global const int *lengths, __global float *y, const Params params,
     uint first_group) {
    const Params *p = &params;
    __local float shares[LANES_A_PART];
    const uint lane = (uint)get_local_id(0), item = group_index(first_group);
    const uint part = item % p->num_parts;
    const uint head = item / p->num_parts % p->num_heads, batch = item / p->num_parts / p->num_heads;
    const uint valid = count_valid(p, lengths, has(PEAK_LENGTHS), batch), first = slot_of_first(p, valid);
    uint row = part * p->rows_per_part, end = min(row + p->rows_per_part, p->num_rows);
    if (!has(PEAK_ALL)) {
        row = max(row, first - min(first, p->row_begin));
        end = min(end, first + valid - min(first + valid, p->row_begin));
    }
    const uint from = p->base_x + batch * p->x_batch + head * p->x_head;
    float maximum = -INFINITY;
    for (; row < end; row++) maximum = row_maximum(x, from + row * p->x_row, lane, p->num_columns, maximum);
    maximum = join_lanes(maximum, lane, shares);
    if (lane == 0u) y[p->base_y + batch * p->y_batch + head * p->y_head + part] = maximum;
}
