#version 450
#extension GL_GOOGLE_include_directive : require
// collect: c = activation(scale * sum of parts + bias). 128 items a workgroup, one an invocation; an item is 4
// neighbouring columns of a row. See params/collect.h.

#include "../params/collect.h"
#include "../params/gemm.h"
#define KERNEL_PARAMS COLLECT_PARAMS
#define KERNEL_SPECIALISATION COLLECT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Parts { float parts[]; };
layout(std430, set = 0, binding = 1) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 2) writeonly buffer C { uint c_words[]; };

#include "lib/gemm_finish.glsl"

void main() {
    uint items_a_row = (p.num_columns + 3u) / 4u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * 4u;
    uint row = item / items_a_row % p.num_rows;
    uint matrix = item / items_a_row / p.num_rows;
    uint head = matrix % p.num_heads, batch = matrix / p.num_heads;
    if (batch >= p.num_batches) return;

    uint left = p.num_columns - column;
    uint from = p.base_parts + (matrix * p.num_rows + row) * p.num_columns + column;
    uvec4 at = from + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
    vec4 sum = vec4(0.0);
    for (uint s = 0u; s < p.num_parts; ++s, at += p.part_size)
        sum += vec4(parts[at.x], parts[at.y], parts[at.z], parts[at.w]);
    uint e = p.base_c + batch * p.c_batch + head * p.c_head + row * p.c_row + column;
    uint bias_at = p.base_bias + batch * p.bias_batch + head * p.bias_head + row * p.bias_row + column;
    finish_columns(e, bias_at, left, sum * p.scale);
}
