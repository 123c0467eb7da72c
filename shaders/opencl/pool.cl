// pool: a row of `to` for each part of a window of positions: mean, maximum or convolution. An item, one a
// work-item, is COLUMNS neighbouring columns of a part: 4 on GPUs, 16 on devices of type CPU. See
// params/pool.h.
//
// Defines: COLUMNS (4, 16).
#define LANES COLUMNS
#include "params/pool.h"
#define KERNEL_PARAMS POOL_PARAMS
#include "lib/kernel.cl"

#if COLUMNS == 16
typedef float16 Reals;
typedef int16 Ints;
#define load_lanes_float vload16
#define load_lanes_half vload_half16
#define store_lanes vstore16
#define as_ints as_int16
#define GROUP_SIZE 16
#else
typedef float4 Reals;
typedef int4 Ints;
#define load_lanes_float vload4
#define load_lanes_half vload_half4
#define store_lanes vstore4
#define as_ints as_int4
#define GROUP_SIZE 128
#endif

#if OPTIONS & POOL_HALF
typedef half Input;
#define load_x(x, e) vload_half(e, x)
#define load_x_lanes load_lanes_half
#else
typedef float Input;
#define load_x(x, e) (x)[e]
#define load_x_lanes load_lanes_float
#endif
#if OPTIONS & POOL_WEIGHTS_HALF
typedef half Weight;
#define load_weight(x, e) vload_half(e, x)
#else
typedef float Weight;
#define load_weight(x, e) (x)[e]
#endif

typedef struct Item {
    uint at;         // element of x of the window's first position
    uint first, end; // positions of the part
} Item;

static inline float larger(float a, float b) { return b > a || isnan(b) ? b : a; }

// Where an input channel begins, at position 0.
static inline uint input_at(const Params *p, uint channel) {
    if (p->head_channels == 0u) return channel;
    return channel / p->num_columns * p->x_head + channel % p->num_columns;
}

static inline float convolve(const Params *p, __global const Input *x,
                             __global const Weight *weights, const Item *item, uint channel) {
    const uint first_input = channel - channel % p->group;
    float sum = 0.0f;
    for (uint t = item->first; t < item->end; t++) {
        const uint tap = t - p->part_begin * p->part_size;
        const uint w = p->base_weights + tap * p->weights_tap + channel;
        const uint e = item->at + t * p->x_row;
        for (uint i = 0; i < p->group; i++)
            sum += load_weight(weights, w + i * p->weights_row) *
                   load_x(x, e + input_at(p, first_input + i));
    }
    return sum;
}

// One column of a mean or maximum, without the mean's factor.
static inline float reduce(const Params *p, __global const Input *x, const Item *item,
                           uint column) {
    float sum = has(POOL_MAX) ? -INFINITY : 0.0f;
    for (uint t = item->first; t < item->end; t++) {
        const float value = load_x(x, item->at + t * p->x_row + column);
        sum = has(POOL_MAX) ? larger(sum, value) : sum + value;
    }
    return sum;
}

// COLUMNS of them.
static inline Reals reduce_lanes(const Params *p, __global const Input *x, const Item *item,
                                 uint column) {
    Reals sum = has(POOL_MAX) ? -INFINITY : 0.0f;
    for (uint t = item->first; t < item->end; t++) {
        const Reals value = load_x_lanes(0, x + item->at + t * p->x_row + column);
        if (has(POOL_MAX)) {
            const Ints is_nan = (as_ints(value) & 0x7fffffff) > 0x7f800000;
            sum = (value > sum) | is_nan ? value : sum;
        } else {
            sum += value;
        }
    }
    return sum;
}

static inline uint place_of(const Params *p, uint channel) {
    return channel / p->to_group * p->to_group_stride + channel % p->to_group;
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
pool(__global const Input *x, __global const Weight *weights, __global const Weight *bias,
     __global const int *lengths, __global float *to, const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + COLUMNS - 1u) / COLUMNS;
    uint i = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    const uint column = i % items_a_row * COLUMNS;
    i /= items_a_row;
    const uint part_row = i % p->num_parts, part = p->part_begin + part_row;
    i /= p->num_parts;
    const uint window = i % p->num_windows;
    i /= p->num_windows;
    const uint head = i % p->num_heads, batch = i / p->num_heads;
    if (batch >= p->num_batches) return;

    int valid = (int)p->num_positions;
    if (has(POOL_LENGTHS)) valid = clamp(lengths[p->base_lengths + batch], 0, valid);
    const int begin = (int)((p->window_begin + window) * p->stride);
    const uint count = (uint)clamp(valid - begin, 0, (int)p->size);
    const bool joins_heads = has(POOL_CONV) && p->head_channels != 0u;
    Item item;
    item.first = min(part * p->part_size, count);
    item.end = min(item.first + p->part_size, count);
    item.at = p->base_x + batch * p->x_batch + (joins_heads ? 0u : head * p->x_head) +
              (window * p->stride - p->part_begin * p->part_size) * p->x_row;

    const float factor = p->factor / (float)max(count, 1u);
    const uint channel = (p->head_begin + head) * p->head_channels + column;
    const uint left = min(p->num_columns - column, (uint)COLUMNS);
    __global float *row = to + p->base_to + batch * p->to_batch + head * p->to_head +
                          (window * p->num_parts + part_row) * p->to_row;
    const uint place = place_of(p, channel);
    if (!has(POOL_CONV) && left == COLUMNS && place_of(p, channel + left - 1u) == place + left - 1u) {
        const Reals value = reduce_lanes(p, x, &item, column);
        store_lanes(has(POOL_MAX) ? value : value * factor, 0, row + place);
        return;
    }
    for (uint c = 0; c < left; c++) {
        float value;
        if (has(POOL_CONV)) {
            value = convolve(p, x, weights, &item, channel + c);
            if (has(POOL_BIAS) && part == 0u) value += load_weight(bias, p->base_bias + channel + c);
        } else {
            value = reduce(p, x, &item, column + c);
            value = has(POOL_MAX) ? value : value * factor;
        }
        row[place_of(p, channel + c)] = value;
    }
}
