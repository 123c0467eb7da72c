#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// losses: loss_s = log(1 + sum_t exp(z_st - z_ss)) of a row from the parts of its targets, then the mean of the
// valid rows. 128 rows a workgroup, one an invocation; the last step is one workgroup. Sums are added in a fixed
// order, by halves. See params/losses.h.

#include "../params/losses.h"
#define KERNEL_PARAMS LOSSES_PARAMS
#define KERNEL_SPECIALISATION LOSSES_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Parts { float parts[]; };
layout(std430, set = 0, binding = 1) readonly buffer Valid { int valid[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Losses { float losses[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Sums { float sums[]; };

shared vec2 shares[128]; // sum, number

bool has(uint option) { return (OPTIONS & option) != 0u; }

// log(1 + x) for x >= 0. Drivers' logarithms are only exact in absolute terms near 1: up to x = 1 it is
// 2 atanh(x / (2 + x)) by its series.
float log_1_plus(float x) {
    if (is_nan(x) || x > 1.0) return log2(1.0 + x) * LN_2;
    float y = x / (2.0 + x), y2 = y * y;
    float series = 1.0 / 15.0;
    series = series * y2 + 1.0 / 13.0;
    series = series * y2 + 1.0 / 11.0;
    series = series * y2 + 1.0 / 9.0;
    series = series * y2 + 1.0 / 7.0;
    series = series * y2 + 1.0 / 5.0;
    series = series * y2 + 1.0 / 3.0;
    return 2.0 * (y + y * y2 * series);
}

vec2 load_part(uint part, uint row) {
    uint e = p.base_parts + 2u * (part * p.num_rows + row);
    return vec2(parts[e], parts[e + 1u]);
}

// The own term, 1 or 2^-top, is not in the sum. Where top is above 0 the sum is 1 at least.
float loss_of(uint row) {
    float top = 0.0, sum = 0.0;
    for (uint part = 0u; part < p.num_parts; ++part) top = max(top, load_part(part, row).x);
    for (uint part = 0u; part < p.num_parts; ++part) {
        vec2 own = load_part(part, row);
        sum += own.y * exp2(own.x - top);
    }
    if (!is_finite(sum) || !is_finite(top)) return NOT_A_NUMBER;
    if (top == 0.0) return log_1_plus(sum);
    return top * LN_2 + log_1_plus(max(sum - 1.0, 0.0) + exp2(-top));
}

vec2 first_share() {
    uint row = group_index() * 128u + gl_LocalInvocationIndex;
    if (row >= p.num_rows) return vec2(0.0);
    bool counts = !has(LOSSES_VALID) || valid[p.base_valid + row] != 0;
    float loss = counts ? loss_of(row) : 0.0;
    if (has(LOSSES_EACH)) losses[p.base_losses + row] = loss;
    return vec2(loss, counts ? 1.0 : 0.0);
}

vec2 last_share() {
    vec2 share = vec2(0.0);
    for (uint row = gl_LocalInvocationIndex; row < p.num_rows; row += 128u) share += load_part(0u, row);
    return share;
}

void main() {
    shares[gl_LocalInvocationIndex] = has(LOSSES_MEAN) ? last_share() : first_share();
    for (uint half_size = 64u; half_size > 0u; half_size /= 2u) {
        barrier();
        if (gl_LocalInvocationIndex < half_size)
            shares[gl_LocalInvocationIndex] += shares[gl_LocalInvocationIndex + half_size];
    }
    if (gl_LocalInvocationIndex > 0u) return;
    vec2 total = shares[0];
    if (has(LOSSES_MEAN)) {
        sums[p.base_sums] = total.y > 0.0 ? total.x / total.y : 0.0;
    } else {
        sums[p.base_sums + 2u * group_index()] = total.x;
        sums[p.base_sums + 2u * group_index() + 1u] = total.y;
    }
}
