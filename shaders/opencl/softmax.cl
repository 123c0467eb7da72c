// softmax: of rows, 4 a work-group. 32 work-items own a row, each of them columns that lie 32 apart; maxima and sums
// meet in local memory. See params/softmax.h.
#define LANES 1
#include "params/softmax.h"
#define KERNEL_PARAMS SOFTMAX_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/numbers.cl"

#define LANES_A_ROW 32u

#if OPTIONS & SOFTMAX_HALF
typedef half Input;
#define load_x load_half
#else
typedef float Input;
#define load_x load_float
#endif

// The largest or the sum over the lanes of a row, in all of them.
static inline float reduce(__local float *lanes, float own, bool adds) {
    const uint at = (uint)get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    lanes[at] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = LANES_A_ROW / 2u; width > 0u; width /= 2u) {
        const float other = lanes[at ^ width];
        barrier(CLK_LOCAL_MEM_FENCE);
        own = adds ? own + other : other > own ? other : own;
        lanes[at] = own;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return own;
}

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
softmax(__global const Input *x, __global float *to, const Params params, uint first_group) {
    const Params *p = &params;
    __local float lanes[128];
    const uint lane = (uint)get_local_id(0) % LANES_A_ROW;
    const uint row = group_index(first_group) * 4u + (uint)get_local_id(0) / LANES_A_ROW;
    const uint end = row < p->num_rows ? p->num_columns : 0u;
    const uint from = p->base_x + row * p->x_row, e = p->base_to + row * p->num_columns;
    float largest = -INFINITY, sum = 0.0f; // NaN is no maximum, but it is in the sum
    for (uint c = lane; c < end; c += LANES_A_ROW) {
        const float s = load_x(x, from + c);
        largest = s > largest ? s : largest;
    }
    largest = reduce(lanes, largest, false);
    for (uint c = lane; c < end; c += LANES_A_ROW) {
        const float s = load_x(x, from + c);
        sum += is_negative_infinity(s) ? 0.0f : exp2((s - largest) * LOG2_E);
    }
    sum = reduce(lanes, sum, true);
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    for (uint c = lane; c < end; c += LANES_A_ROW) {
        const float s = load_x(x, from + c);
        const float weight = is_negative_infinity(s) ? 0.0f : exp2((s - largest) * LOG2_E);
        to[e + c] = weight * factor;
    }
}
