#version 450
#extension GL_GOOGLE_include_directive : require
// pool: a row of `to` for each part of a window of positions: mean, maximum or convolution. 128 items a
// workgroup, one an invocation; an item is 4 neighbouring columns of a part. See params/pool.h.

#include "../params/pool.h"
#define KERNEL_PARAMS POOL_PARAMS
#define KERNEL_SPECIALISATION POOL_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weights { uint weights[]; };
layout(std430, set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer To { float to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

#define LOADER(load, name, half_option) \
    float load##_one(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uvec4 e) { return vec4(load##_one(e.x), load##_one(e.y), load##_one(e.z), load##_one(e.w)); }
LOADER(load_x, x, POOL_HALF)
LOADER(load_weights, weights, POOL_WEIGHTS_HALF)
LOADER(load_bias, bias, POOL_WEIGHTS_HALF)

// Where the inputs of four channels begin, at position 0; columns past the row's last repeat that one.
uvec4 input_at(uvec4 channel) {
    if (p.head_channels == 0u) return channel;
    return channel / p.num_columns * p.x_head + channel % p.num_columns;
}

// What taps [first, end) of a window give, whose tap 0 is the bound row `row`, for four output channels.
vec4 convolve(uint at, uint row, uint first, uint end, uvec4 channel) {
    vec4 sum = vec4(0.0);
    uvec4 first_input = channel - channel % p.group;
    for (uint t = first; t < end; ++t) {
        uvec4 w = p.base_weights + (t - p.part_begin * p.part_size) * p.weights_tap + channel;
        uint e = at + (row + t) * p.x_row;
        for (uint i = 0u; i < p.group; ++i)
            sum += load_weights(w + i * p.weights_row) * load_x(e + input_at(first_input + i));
    }
    return sum;
}

vec4 reduce(uint at, uint first, uint end, uvec4 column) {
    vec4 sum = vec4(has(POOL_MAX) ? -INFINITY : 0.0);
    for (uint row = first; row < end; ++row) {
        vec4 value = load_x(at + row * p.x_row + column);
        if (!has(POOL_MAX)) {
            sum += value;
            continue;
        }
        sum = mix(sum, value, greaterThan(value, sum));
        sum = mix(sum, value, greaterThan(floatBitsToUint(value) & 0x7fffffffu, uvec4(0x7f800000u))); // NaN stays
    }
    return sum;
}

void store(uint row_at, uint channel, float value) {
    to[row_at + channel / p.to_group * p.to_group_stride + channel % p.to_group] = value;
}

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint first_column = item % items_a_row * 4u;
    item /= items_a_row;
    uint part = p.part_begin + item % p.num_parts, part_row = item % p.num_parts;
    item /= p.num_parts;
    uint window = item % p.num_windows;
    item /= p.num_windows;
    uint head = item % p.num_heads, batch = item / p.num_heads;
    if (batch >= p.num_batches) return;

    int valid = int(p.num_positions);
    if (has(POOL_LENGTHS)) valid = clamp(lengths[p.base_lengths + batch], 0, valid);
    // Positions of the window that are valid, and which of them are the part's.
    uint count = uint(clamp(valid - int((p.window_begin + window) * p.stride), 0, int(p.size)));
    uint first = min(part * p.part_size, count), end = min(first + p.part_size, count);
    uint row = window * p.stride - p.part_begin * p.part_size; // bound row of position 0, if there is one
    uint left = p.num_columns - first_column;
    uvec4 column = min(first_column + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_columns - 1u));
    uint channels_before = (p.head_begin + head) * p.head_channels;
    uint at = p.base_x + batch * p.x_batch + (has(POOL_CONV) && p.head_channels != 0u ? 0u : head * p.x_head);
    vec4 value;
    if (has(POOL_CONV)) value = convolve(at, row, first, end, channels_before + column);
    else value = reduce(at, row + first, row + end, column);
    if (has(POOL_BIAS) && part == 0u) value += load_bias(p.base_bias + channels_before + column);
    if (!has(POOL_MAX) && !has(POOL_CONV)) value *= p.factor / float(max(count, 1u));

    uint row_at = p.base_to + batch * p.to_batch + head * p.to_head + (window * p.num_parts + part_row) * p.to_row;
    uint channel = channels_before + first_column;
    store(row_at, channel, value.x);
    if (left > 1u) store(row_at, channel + 1u, value.y);
    if (left > 2u) store(row_at, channel + 2u, value.z);
    if (left > 3u) store(row_at, channel + 3u, value.w);
}
