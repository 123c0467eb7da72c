// feature: y = f(x) + eps over rows, see params/feature.h. LANES_A_ROW work-items own a row, each of them columns that
// lie so far apart; the row's sum of squares and maximum meet in local memory. An item that owns a whole row takes 16
// columns at a time.
//
// Defines: LANES_A_ROW (16: 8 rows a work-group; 1: 16 rows, nothing is shared).
#define LANES (LANES_A_ROW == 1 ? 16 : 1)
#include "params/feature.h"
#define KERNEL_PARAMS FEATURE_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"

#define MAP (OPTIONS & FEATURE_MAP)
#define IS_SOFTMAX (MAP == FEATURE_SOFTMAX || MAP == FEATURE_MIRRORED)
#define GROUP_SIZE (LANES_A_ROW == 1 ? 16 : 128)

#if OPTIONS & FEATURE_X_HALF
typedef half XElement;
#define load_x load_half
#define load16_x load16_half
#else
typedef float XElement;
#define load_x load_float
#define load16_x load16_float
#endif
#if OPTIONS & FEATURE_SOURCE_HALF
typedef half SourceElement;
#define load_source load_half
#define load16_source load16_half
#else
typedef float SourceElement;
#define load_source load_float
#define load16_source load16_float
#endif

// NaN is larger than all else.
static inline float larger(float a, float b) { return isnan(a) || a > b ? a : b; }

static inline Reals map(const Params *p, Reals value, float shift) {
    if (MAP == FEATURE_ELU) value = value > 0.0f ? value + 1.0f : exp(value);
    if (MAP == FEATURE_RELU) value = value < 0.0f ? (Reals)(0.0f) : value; // NaN stays NaN
    if (MAP == FEATURE_EXP) value = exp(value);
    if (IS_SOFTMAX) value = exp(value - shift);
    return value + p->eps;
}

#if LANES == 16

static inline float add_16(float16 x) {
    const float8 a = x.lo + x.hi;
    const float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}

static inline float row_square(__global const SourceElement *x, uint e, uint lane, uint count,
                               __local float *shares) {
    float16 wide = 0.0f;
    float sum = 0.0f;
    uint c = 0;
    (void)lane;
    (void)shares;
    for (; c + 16u <= count; c += 16u) {
        const float16 value = load16_source(x, e + c);
        wide += value * value;
    }
    for (; c < count; c++) sum += load_source(x, e + c) * load_source(x, e + c);
    return sum + add_16(wide);
}

// Of magnitudes where the features are mirrored.
static inline float16 magnitude(float16 x) { return MAP == FEATURE_MIRRORED ? fabs(x) : x; }

static inline float row_maximum(__global const XElement *x, uint e, uint lane, uint count,
                                __local float *shares) {
    float16 wide = -INFINITY;
    float lines[16], maximum = -INFINITY;
    uint c = 0;
    (void)lane;
    (void)shares;
    for (; c + 16u <= count; c += 16u) {
        const float16 value = magnitude(load16_x(x, e + c));
        wide = is_nan(value) || value > wide ? value : wide;
    }
    store_lanes(lines, wide);
    for (uint i = 0; i < 16u; i++) maximum = larger(lines[i], maximum);
    for (; c < count; c++)
        maximum = larger(MAP == FEATURE_MIRRORED ? fabs(load_x(x, e + c)) : load_x(x, e + c), maximum);
    return maximum;
}

// 16 columns, of which `count` exist, the others as 0.
static inline float16 load_some(__global const XElement *x, uint e, uint count) {
    if (count >= 16u) return load16_x(x, e);
    float line[16];
    for (uint i = 0; i < 16u; i++) line[i] = i < count ? load_x(x, e + i) : 0.0f;
    return load_lanes(line);
}

static inline void store_columns(const Params *p, __global float *y, uint e, uint c, float16 value) {
    const int16 places = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + (int)c;
    value = places < (int)p->num_columns ? value : (float16)(0.0f);
    ((__global Lanes *)(y + e + c))->x = value;
}

static inline void write_row(const Params *p, __global const XElement *x, __global float *y, uint from,
                             uint to, uint lane, uint columns, bool valid, float shift) {
    (void)lane;
    for (uint c = 0; c < columns; c += 16u) {
        float16 value = 0.0f, mirrored = 0.0f;
        if (valid && c < p->num_columns) {
            const float16 raw = load_some(x, from + c, p->num_columns - c);
            value = map(p, raw, shift);
            if (MAP == FEATURE_MIRRORED) mirrored = map(p, -raw, shift);
        }
        store_columns(p, y, to, c, value);
        if (MAP == FEATURE_MIRRORED) store_columns(p, y, to + columns, c, mirrored);
    }
}

#else

static inline float join_lanes(float share, uint lane, bool is_sum, __local float *shares) {
    const uint own = (uint)get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shares[own] = share;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = LANES_A_ROW / 2; width > 0u; width /= 2u) {
        if (lane < width)
            shares[own] = is_sum ? shares[own] + shares[own + width] : larger(shares[own + width], shares[own]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return shares[own - lane];
}

static inline float row_square(__global const SourceElement *x, uint e, uint lane, uint count,
                               __local float *shares) {
    float sum = 0.0f;
    for (uint c = lane; c < count; c += LANES_A_ROW) {
        const float value = load_source(x, e + c);
        sum += value * value;
    }
    return join_lanes(sum, lane, true, shares);
}

static inline float row_maximum(__global const XElement *x, uint e, uint lane, uint count,
                                __local float *shares) {
    float maximum = -INFINITY;
    for (uint c = lane; c < count; c += LANES_A_ROW) {
        const float value = load_x(x, e + c);
        maximum = larger(MAP == FEATURE_MIRRORED ? fabs(value) : value, maximum);
    }
    return join_lanes(maximum, lane, false, shares);
}

static inline void write_row(const Params *p, __global const XElement *x, __global float *y, uint from,
                             uint to, uint lane, uint columns, bool valid, float shift) {
    for (uint c = lane; c < columns; c += LANES_A_ROW) {
        const bool exists = valid && c < p->num_columns;
        const float raw = exists ? load_x(x, from + c) : 0.0f;
        y[to + c] = exists ? map(p, raw, shift) : 0.0f;
        if (MAP == FEATURE_MIRRORED) y[to + columns + c] = exists ? map(p, -raw, shift) : 0.0f;
    }
}

#endif

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
feature(__global const XElement *x, __global const SourceElement *source, __global const float *maxima,
        __global const int *lengths, __global float *y, const Params params, uint first_group) {
    const Params *p = &params;
    __local float shares[GROUP_SIZE];
    const uint lane = (uint)get_local_id(0) % LANES_A_ROW;
    const uint number = group_index(first_group) * (GROUP_SIZE / LANES_A_ROW) + (uint)get_local_id(0) / LANES_A_ROW;
    const bool exists = number < p->num_batches * p->num_heads * p->num_rows;
    const uint item = exists ? number : 0u; // it takes part in barriers
    const uint row = item % p->num_rows;
    const uint head = item / p->num_rows % p->num_heads, batch = item / p->num_rows / p->num_heads;
    const uint slot = p->row_begin + row;
    const uint num_valid = count_valid(p, lengths, has(FEATURE_LENGTHS), batch);
    const uint first = slot_of_first(p, num_valid);
    const bool valid = slot >= first && slot - first < num_valid;
    const uint x_row = has(FEATURE_SLOTS) ? row : valid ? slot - first - p->position_begin : 0u;
    const uint from = p->base_x + batch * p->x_batch + head * p->x_head + x_row * p->x_row;
    const uint to = p->base_y + batch * p->y_batch + head * p->y_head + row * p->num_features;
    float shift = 0.0f;
    if (IS_SOFTMAX) {
        const uint e = p->base_source + batch * p->source_batch + head * p->source_head + row * p->source_row;
        shift = p->square_scale * row_square(source, e, lane, valid ? p->source_size : 0u, shares);
        if (has(FEATURE_ROW_MAXIMUM)) shift += row_maximum(x, from, lane, valid ? p->num_columns : 0u, shares);
        if (has(FEATURE_MAXIMA)) shift += maxima[p->base_maxima + batch * p->maxima_batch + head * p->maxima_head];
    }
    if (exists)
        write_row(p, x, y, from, to, lane, MAP == FEATURE_MIRRORED ? p->num_features / 2u : p->num_features,
                  valid, shift);
}
