#version 450
#extension GL_GOOGLE_include_directive : require
// predict: rows convolved with taps that each predicts for itself, a head of 16 rows a workgroup. Taps go in chunks of
// 64: their logits to shared memory, an invocation 4 rows of a tap; then the softmax, an invocation a row; then an
// invocation adds to some elements of the result, always the same ones. See params/predict.h.

#include "../params/predict.h"
#define KERNEL_PARAMS PREDICT_PARAMS
#define KERNEL_SPECIALISATION PREDICT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#define GROUP_SIZE 64u
#define ROWS 16u
layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weight { uint weight[]; };
layout(std430, set = 0, binding = 2) readonly buffer TapBias { uint tap_bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 4) buffer To { float to[]; };

shared float taps[PREDICT_ROWS * PREDICT_TAPS];
shared float largest[PREDICT_ROWS]; // of the chunks so far
shared float sums[PREDICT_ROWS];
shared float decays[PREDICT_ROWS]; // of what was added before this chunk

bool has(uint option) { return (OPTIONS & option) != 0u; }

#define LOADER(load, name, half_option) \
    float load(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    }
LOADER(load_weight, weight, PREDICT_WEIGHT_HALF)
LOADER(load_tap_bias, tap_bias, PREDICT_TAP_BIAS_HALF)
LOADER(load_bias, bias, PREDICT_BIAS_HALF)

// Logits of `count` taps from `first` on. own: x of the tile's first row; rows past the last repeat it.
void predict(uint own, uint rows, uint head, uint first, uint count) {
    for (uint item = gl_LocalInvocationIndex; item < count * (ROWS / 4u); item += GROUP_SIZE) {
        uint tap = item % count, row = item / count * 4u;
        uvec4 at = own + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(rows - 1u)) * p.num_columns;
        uint w = p.base_weight + head * p.weight_head + first + tap;
        float b = has(PREDICT_TAP_BIAS) ? load_tap_bias(p.base_tap_bias + head * p.tap_bias_head + first + tap) : 0.0;
        vec4 sum = vec4(b);
        for (uint e = 0u; e < p.num_columns; ++e, w += p.weight_row)
            sum += load_weight(w) * vec4(x[at.x + e], x[at.y + e], x[at.z + e], x[at.w + e]);
        taps[(row + 0u) * PREDICT_TAPS + tap] = sum.x;
        taps[(row + 1u) * PREDICT_TAPS + tap] = sum.y;
        taps[(row + 2u) * PREDICT_TAPS + tap] = sum.z;
        taps[(row + 3u) * PREDICT_TAPS + tap] = sum.w;
    }
}

// Turns a row's logits into weights relative to the largest so far.
void weigh(uint row, bool is_first, uint count) {
    float before = is_first ? -INFINITY : largest[row], top = before, sum = 0.0;
    for (uint t = 0u; t < count; ++t) {
        float s = taps[row * PREDICT_TAPS + t];
        top = s > top ? s : top;
    }
    for (uint t = 0u; t < count; ++t) {
        float s = taps[row * PREDICT_TAPS + t];
        float weight_of_tap = is_negative_infinity(s) ? 0.0 : is_nan(s) ? s : exp2((s - top) * LOG2_E);
        taps[row * PREDICT_TAPS + t] = weight_of_tap;
        sum += weight_of_tap;
    }
    float decay = is_negative_infinity(before) ? 0.0 : exp2((before - top) * LOG2_E);
    sums[row] = is_first ? sum : sums[row] * decay + sum;
    largest[row] = top;
    decays[row] = decay;
}

void main() {
    uint tiles = (p.num_rows + ROWS - 1u) / ROWS, group = group_index();
    uint head = group % p.num_heads;
    uint tile = group / p.num_heads % tiles, batch = group / p.num_heads / tiles;
    uint rows = min(ROWS, p.num_rows - tile * ROWS), i0 = p.row_begin + tile * ROWS; // of the whole
    uint size = p.num_columns / p.num_heads;
    uint from = p.base_x + batch * p.x_batch, own = from + (i0 - p.x_begin) * p.num_columns;
    for (uint first = 0u; first < p.num_taps; first += PREDICT_TAPS) {
        uint count = min(p.num_taps - first, uint(PREDICT_TAPS));
        bool is_first = first == 0u, is_last = first + count == p.num_taps;
        barrier();
        predict(own, rows, head, first, count);
        barrier();
        if (!has(PREDICT_RAW) && gl_LocalInvocationIndex < ROWS) weigh(gl_LocalInvocationIndex, is_first, count);
        barrier();
        for (uint item = gl_LocalInvocationIndex; item < rows * size; item += GROUP_SIZE) {
            uint row = item / size, column = head * size + item % size;
            uint e = p.base_to + batch * p.to_batch + (tile * ROWS + row) * p.num_columns + column;
            int shift = int(i0 + row + first) - int(p.taps_left) - int(p.x_begin); // of tap 0's row of x
            uint begin = uint(max(-shift, 0)), end = uint(clamp(int(p.x_rows) - shift, 0, int(count)));
            float sum = 0.0;
            for (uint t = begin; t < end; ++t)
                sum += taps[row * PREDICT_TAPS + t] * x[from + uint(shift + int(t)) * p.num_columns + column];
            if (!is_first) sum += has(PREDICT_RAW) ? to[e] : to[e] * decays[row];
            if (is_last && !has(PREDICT_RAW)) sum /= sums[row];
            if (is_last && has(PREDICT_BIAS)) sum += load_bias(p.base_bias + column);
            to[e] = sum;
        }
    }
}
