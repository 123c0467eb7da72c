// predict: rows convolved with taps that each predicts for itself, a head of 16 rows a work-group. Taps go in chunks
// of 64: their logits to local memory, a work-item 4 rows of a tap; then the softmax, a work-item a row; then a
// work-item adds to some elements of the result, always the same ones. See params/predict.h.
#define LANES 1
#include "params/predict.h"
#define KERNEL_PARAMS PREDICT_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/numbers.cl"

#define GROUP_SIZE 64u
#define ROWS 16u

#if OPTIONS & PREDICT_WEIGHT_HALF
typedef half Weight;
#define load_weight load_half
#else
typedef float Weight;
#define load_weight load_float
#endif
#if OPTIONS & PREDICT_TAP_BIAS_HALF
typedef half TapBias;
#define load_tap_bias load_half
#else
typedef float TapBias;
#define load_tap_bias load_float
#endif
#if OPTIONS & PREDICT_BIAS_HALF
typedef half ColumnBias;
#define load_column_bias load_half
#else
typedef float ColumnBias;
#define load_column_bias load_float
#endif

// What a work-group knows of its rows' softmax so far; decays are of what was added before this chunk.
typedef struct Rows {
    float taps[PREDICT_ROWS * PREDICT_TAPS];
    float largest[PREDICT_ROWS], sums[PREDICT_ROWS], decays[PREDICT_ROWS];
} Rows;

// Turns a row's logits into weights relative to the largest so far.
static inline void weigh(__local Rows *r, uint row, bool is_first, uint count) {
    const float before = is_first ? -INFINITY : r->largest[row];
    float top = before, sum = 0.0f;
    for (uint t = 0; t < count; t++) {
        const float s = r->taps[row * PREDICT_TAPS + t];
        top = s > top ? s : top;
    }
    for (uint t = 0; t < count; t++) {
        const float s = r->taps[row * PREDICT_TAPS + t];
        const float weight = is_negative_infinity(s) ? 0.0f : exp2((s - top) * LOG2_E);
        r->taps[row * PREDICT_TAPS + t] = weight;
        sum += weight;
    }
    const float decay = is_negative_infinity(before) ? 0.0f : exp2((before - top) * LOG2_E);
    r->sums[row] = is_first ? sum : r->sums[row] * decay + sum;
    r->largest[row] = top;
    r->decays[row] = decay;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
predict(__global const float *x, __global const Weight *weight, __global const TapBias *tap_bias,
        __global const ColumnBias *bias, __global float *to, const Params params, uint first_group) {
    const Params *p = &params;
    __local Rows r;
    const uint lane = (uint)get_local_id(0);
    const uint tiles = (p->num_rows + ROWS - 1u) / ROWS, group = group_index(first_group);
    const uint head = group % p->num_heads;
    const uint tile = group / p->num_heads % tiles, batch = group / p->num_heads / tiles;
    const uint rows = min(ROWS, p->num_rows - tile * ROWS), i0 = p->row_begin + tile * ROWS;
    const uint size = p->num_columns / p->num_heads;
    const uint from = p->base_x + batch * p->x_batch, own = from + (i0 - p->x_begin) * p->num_columns;
    for (uint first = 0; first < p->num_taps; first += PREDICT_TAPS) {
        const uint count = min(p->num_taps - first, (uint)PREDICT_TAPS);
        const bool is_first = first == 0, is_last = first + count == p->num_taps;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint item = lane; item < count * (ROWS / 4u); item += GROUP_SIZE) {
            const uint tap = item % count, row = item / count * 4u;
            const uint at0 = own + min(row, rows - 1u) * p->num_columns;
            const uint at1 = own + min(row + 1u, rows - 1u) * p->num_columns;
            const uint at2 = own + min(row + 2u, rows - 1u) * p->num_columns;
            const uint at3 = own + min(row + 3u, rows - 1u) * p->num_columns;
            uint w = p->base_weight + head * p->weight_head + first + tap;
            float4 sum = 0.0f;
            if (has(PREDICT_TAP_BIAS))
                sum = load_tap_bias(tap_bias, p->base_tap_bias + head * p->tap_bias_head + first + tap);
            for (uint e = 0; e < p->num_columns; e++, w += p->weight_row)
                sum += load_weight(weight, w) * (float4)(x[at0 + e], x[at1 + e], x[at2 + e], x[at3 + e]);
            r.taps[(row + 0u) * PREDICT_TAPS + tap] = sum.x;
            r.taps[(row + 1u) * PREDICT_TAPS + tap] = sum.y;
            r.taps[(row + 2u) * PREDICT_TAPS + tap] = sum.z;
            r.taps[(row + 3u) * PREDICT_TAPS + tap] = sum.w;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (!has(PREDICT_RAW) && lane < ROWS) weigh(&r, lane, is_first, count);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint item = lane; item < rows * size; item += GROUP_SIZE) {
            const uint row = item / size, column = head * size + item % size;
            const uint e = p->base_to + batch * p->to_batch + (tile * ROWS + row) * p->num_columns + column;
            const int shift = (int)(i0 + row + first) - (int)p->taps_left - (int)p->x_begin;
            const uint begin = (uint)max(-shift, 0), end = (uint)clamp((int)p->x_rows - shift, 0, (int)count);
            float sum = 0.0f;
            for (uint t = begin; t < end; t++)
                sum += r.taps[row * PREDICT_TAPS + t] * x[from + (uint)(shift + (int)t) * p->num_columns + column];
            if (!is_first) sum += has(PREDICT_RAW) ? to[e] : to[e] * r.decays[row];
            if (is_last && !has(PREDICT_RAW)) sum /= r.sums[row];
            if (is_last && has(PREDICT_BIAS)) sum += load_column_bias(bias, p->base_bias + column);
            to[e] = sum;
        }
    }
}
