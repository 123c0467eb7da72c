#version 450
#extension GL_GOOGLE_include_directive : require
// merge: joins partial attention results by their lse:
//   lse = log sum_p exp(lse_p),  out = sum_p exp(lse_p - lse) out_p.
// 128 items a workgroup, one an invocation; an item is two neighbouring columns of one row. The invocation
// of a row's first columns writes its lse. See params/merge.h.

#include "../params/merge.h"
#define KERNEL_PARAMS MERGE_PARAMS
#define KERNEL_SPECIALISATION MERGE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Parts { float parts[]; };
layout(std430, set = 0, binding = 1) readonly buffer PartLse { float part_lse[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out { uint out_words[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Lse { float lse[]; };
layout(std430, set = 0, binding = 4) readonly buffer Schedule { uint schedule[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_part_lse(uint part, uint row) {
    return part_lse[p.base_part_lse + part * p.part_lse_size + row];
}

// Sum of exp(lse_p - shift), and of the same times out_p's columns c.x, c.y.
float join_parts(uint row, uvec2 c, float shift, out vec2 columns) {
    uint e = p.base_parts + row * p.value_size;
    float sum = 0.0;
    columns = vec2(0.0);
    for (uint part = 0u; part < p.num_parts; ++part) {
        float weight = exp2((load_part_lse(part, row) - shift) * LOG2_E);
        sum += weight;
        columns += weight * vec2(parts[e + c.x], parts[e + c.y]);
        e += p.part_size;
    }
    return sum;
}

void main() {
    uint pairs = (p.value_size + 1u) / 2u;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint row = item / pairs;
    uint column = item % pairs * 2u;
    uint head = row / p.num_queries;
    uint batch = head / p.num_heads;
    if (batch >= p.num_batches) return;

    float top = -INFINITY;
    for (uint part = 0u; part < p.num_parts; ++part) top = max(top, load_part_lse(part, row));
    float shift = is_negative_infinity(top) ? 0.0 : top; // no part saw a key: all weights are exp(-inf)

    vec2 columns;
    uvec2 c = min(uvec2(column, column + 1u), uvec2(p.value_size - 1u));
    float sum = join_parts(row, c, shift, columns);
    if (!is_finite(sum)) sum = NOT_A_NUMBER; // a NaN that exp2 lost
    if (sum != 0.0) columns /= sum;

    uint query = row % p.num_queries;
    head %= p.num_heads;
    if (has(MERGE_ROWS)) {
        uint class_index = schedule[p.base_schedule + p.class_at + batch * p.class_batch + head];
        uint position = schedule[p.base_schedule + p.rows_at + class_index * p.num_queries + query];
        if (position == MERGE_NO_ROW) return;
        query = uint(int(position) + p.out_shift);
    }
    uint e = p.base_out + batch * p.out_batch + head * p.out_head + query * p.out_row + column;
    if (has(MERGE_HALF)) {
        out_words[e >> 1] = pack_half(columns);
    } else {
        out_words[e] = floatBitsToUint(columns.x);
        if (column + 1u < p.value_size) out_words[e + 1u] = floatBitsToUint(columns.y);
    }
    if (has(MERGE_LSE) && column == 0u)
        lse[p.base_lse + batch * p.lse_batch + head * p.lse_head + query * p.lse_row] =
            is_nan(sum) ? sum : sum == 0.0 ? -INFINITY : shift + log2(sum) * LN_2;
}
