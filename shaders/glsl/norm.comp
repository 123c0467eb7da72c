#version 450
#extension GL_GOOGLE_include_directive : require
// norm: y = gamma (z - mean) / sqrt(var + eps) + beta over rows, z = f(x) + residual; or y = z. LANES invocations
// own a row, each of them pairs of neighbouring columns that lie 2 * LANES apart; sums meet in shared memory.
// See params/norm.h.
//
// Defines: LANES (128: a row a workgroup; 1: 16 rows a workgroup, nothing is shared).

#include "../params/norm.h"
#define KERNEL_PARAMS NORM_PARAMS
#define KERNEL_SPECIALISATION NORM_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#if LANES == 1
#define GROUP_SIZE 16
#else
#define GROUP_SIZE 128
shared float sums[GROUP_SIZE];
#endif
layout(local_size_x = GROUP_SIZE) in;

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Gamma { uint gamma[]; };
layout(std430, set = 0, binding = 2) readonly buffer Beta { uint beta[]; };
layout(std430, set = 0, binding = 3) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 4) readonly buffer Residual { uint residual[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Y { uint y[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Elements e and, if there are two, e + 1; else 0 in its place.
#define LOADER(load, name, half_option) \
    float load##_one(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec2 load(uint e, bool two) { return vec2(load##_one(e), two ? load##_one(e + 1u) : 0.0); }
LOADER(load_raw, x, NORM_X_HALF)
LOADER(load_gamma, gamma, NORM_WEIGHT_HALF)
LOADER(load_beta, beta, NORM_WEIGHT_HALF)
LOADER(load_residual, residual, NORM_RESIDUAL_HALF)

uint from, residual_from; // where the row begins

// Columns c and c + 1 of z.
vec2 load_z(uint c, bool two) {
    vec2 pair = load_raw(from + c, two);
    if (has(NORM_RELU)) pair = mix(pair, vec2(0.0), lessThan(pair, vec2(0.0))); // NaN stays NaN
    return has(NORM_RESIDUAL) ? pair + load_residual(residual_from + c, two) : pair;
}

// The sum over the lanes of the row, in all of them.
float add_lanes(float sum) {
#if LANES == 1
    return sum;
#else
    barrier();
    sums[gl_LocalInvocationIndex] = sum;
    barrier();
    for (uint width = GROUP_SIZE / 2; width > 0u; width /= 2u) {
        if (gl_LocalInvocationIndex < width) sums[gl_LocalInvocationIndex] += sums[gl_LocalInvocationIndex + width];
        barrier();
    }
    return sums[0];
#endif
}

// Mean of z over the first `end` columns, all of them or none, and what differences from it are multiplied by.
void measure(uint lane, uint end, out float mean, out float factor) {
    float first = end > 0u ? load_z(0u, false).x : 0.0, sum = 0.0; // the mean of equal columns is exact
    for (uint c = 2u * lane; c < end; c += 2u * LANES) {
        bool two = c + 1u < end;
        vec2 pair = load_z(c, two) - first;
        sum += pair.x + (two ? pair.y : 0.0);
    }
    mean = first + add_lanes(sum) / float(p.num_columns);
    sum = 0.0;
    for (uint c = 2u * lane; c < end; c += 2u * LANES) {
        bool two = c + 1u < end;
        vec2 pair = load_z(c, two) - mean;
        sum += pair.x * pair.x + (two ? pair.y * pair.y : 0.0);
    }
    factor = 1.0 / sqrt(add_lanes(sum) / float(p.num_columns) + p.eps);
}

void store(uint e, vec2 pair, bool two) {
    if (has(NORM_Y_HALF)) {
        y[e >> 1] = pack_half(pair);
        return;
    }
    y[e] = floatBitsToUint(pair.x);
    if (two) y[e + 1u] = floatBitsToUint(pair.y);
}

void main() {
    uint lane = gl_LocalInvocationIndex % LANES;
    uint item = group_index() * (GROUP_SIZE / LANES) + gl_LocalInvocationIndex / LANES;
    uint row = item % p.num_rows, batch = item / p.num_rows;
    if (batch >= p.num_batches) return; // whole workgroups where lanes share

    from = p.base_x + batch * p.x_batch + row * p.x_row;
    residual_from = p.base_residual + batch * p.residual_batch + row * p.residual_row;
    uint to = p.base_y + batch * p.y_batch + row * p.y_row;
    bool valid = !has(NORM_LENGTHS) || int(p.row_begin + row) < lengths[p.base_lengths + batch];
    uint end = valid ? p.num_columns : 0u;
    float mean = 0.0, factor = 1.0;
    if (!has(NORM_SUM)) measure(lane, end, mean, factor);
    for (uint c = 2u * lane; c < p.num_columns; c += 2u * LANES) {
        bool two = c + 1u < p.num_columns;
        vec2 pair = vec2(0.0);
        if (valid) {
            pair = (load_z(c, two) - mean) * factor;
            if (has(NORM_GAMMA)) pair *= load_gamma(p.base_gamma + c, two);
            if (has(NORM_BETA)) pair += load_beta(p.base_beta + c, two);
        }
        store(to + c, pair, two);
    }
}
