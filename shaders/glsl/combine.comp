#version 450
#extension GL_GOOGLE_include_directive : require
// combine: to = scale x, x + y, x y or x sigmoid(y), element by element. 128 items a workgroup, one an invocation;
// an item is 4 neighbouring columns of a row. See params/combine.h.

#include "../params/combine.h"
#define KERNEL_PARAMS COMBINE_PARAMS
#define KERNEL_SPECIALISATION COMBINE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Y { uint y[]; };
layout(std430, set = 0, binding = 2) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 3) writeonly buffer To { uint to[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_x(uint e) {
    if (!has(COMBINE_X_HALF)) return uintBitsToFloat(x[e]);
    return unpackHalf2x16(x[e >> 1])[e & 1u];
}
float load_y(uint e) {
    if (!has(COMBINE_Y_HALF)) return uintBitsToFloat(y[e]);
    return unpackHalf2x16(y[e >> 1])[e & 1u];
}

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * 4u;
    uint row = item / items_a_row % p.num_rows;
    uint matrix = item / items_a_row / p.num_rows;
    uint head = matrix % p.num_heads, batch = matrix / p.num_heads;
    if (batch >= p.num_batches) return;

    uint left = p.num_columns - column;
    bool valid = !has(COMBINE_LENGTHS) || int(p.row_begin + row) < lengths[p.base_lengths + batch];
    vec4 result = vec4(0.0);
    if (valid) {
        uvec4 at = column + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
        uvec4 i = p.base_x + batch * p.x_batch + head * p.x_head + row * p.x_row + at * p.x_column;
        result = vec4(load_x(i.x), load_x(i.y), load_x(i.z), load_x(i.w));
        if (has(COMBINE_ADD | COMBINE_GATE | COMBINE_MULTIPLY)) {
            i = p.base_y + batch * p.y_batch + head * p.y_head + row * p.y_row + at * p.y_column;
            vec4 other = vec4(load_y(i.x), load_y(i.y), load_y(i.z), load_y(i.w));
            if (has(COMBINE_GATE)) result /= 1.0 + exp2(other * -LOG2_E);
            else if (has(COMBINE_MULTIPLY)) result *= other;
            else result += other;
        }
        result *= p.scale;
    }
    uint e = p.base_to + batch * p.to_batch + head * p.to_head + row * p.to_row + column;
    if (has(COMBINE_TO_HALF)) {
        to[e >> 1] = pack_half(result.xy);
        if (left > 2u) to[(e >> 1) + 1u] = pack_half(result.zw);
        return;
    }
    to[e] = floatBitsToUint(result.x);
    if (left > 1u) to[e + 1u] = floatBitsToUint(result.y);
    if (left > 2u) to[e + 2u] = floatBitsToUint(result.z);
    if (left > 3u) to[e + 3u] = floatBitsToUint(result.w);
}
