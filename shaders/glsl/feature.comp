#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// feature: y = f(x) + eps over rows, see params/feature.h. LANES invocations own a row, each of them fours of columns
// that lie 4 * LANES apart; the row's sum of squares and maximum meet in shared memory.
//
// Defines: LANES (16: 8 rows a workgroup; 1: 16 rows, nothing is shared); ALIGNED_FLOAT: x is float32 on multiples
// of 4 elements, read in fours.

#include "../params/feature.h"
#define KERNEL_PARAMS FEATURE_PARAMS
#define KERNEL_SPECIALISATION FEATURE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#if LANES == 1
#define GROUP_SIZE 16
#else
#define GROUP_SIZE 128
shared float shares[GROUP_SIZE];
#endif
layout(local_size_x = GROUP_SIZE) in;

#ifdef ALIGNED_FLOAT
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
#else
layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer Source { uint source[]; };
layout(std430, set = 0, binding = 2) readonly buffer Maxima { float maxima[]; };
layout(std430, set = 0, binding = 3) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Y { vec4 y[]; };

#include "lib/slots.glsl"

bool has(uint option) { return (OPTIONS & option) != 0u; }
const uint MAP = OPTIONS & FEATURE_MAP;
const bool IS_SOFTMAX = MAP == FEATURE_SOFTMAX || MAP == FEATURE_MIRRORED;

float load_source(uint e) {
    if (!has(FEATURE_SOURCE_HALF)) return uintBitsToFloat(source[e]);
    return unpackHalf2x16(source[e >> 1])[e & 1u];
}

// Columns c .. c + 3 of a row that begins at element e; past the last one of them it comes again.
#ifdef ALIGNED_FLOAT
vec4 load_x(uint e, uint c) { return x[(e + c) >> 2]; }
#else
float load_one(uint e) {
    if (!has(FEATURE_X_HALF)) return uintBitsToFloat(x[e]);
    return unpackHalf2x16(x[e >> 1])[e & 1u];
}
vec4 load_x(uint e, uint c) {
    uvec4 i = e + min(c + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_columns - 1u));
    return vec4(load_one(i.x), load_one(i.y), load_one(i.z), load_one(i.w));
}
#endif

// NaN is larger than all else.
float larger(float a, float b) { return is_nan(a) || a > b ? a : b; }
vec4 larger(vec4 a, vec4 b) {
    bvec4 nan = greaterThan(floatBitsToUint(a) & 0x7fffffffu, uvec4(0x7f800000u));
    return mix(mix(b, a, greaterThan(a, b)), a, nan);
}

// The sum, or the maximum, over the lanes of the row, in all of them.
float join_lanes(float share, bool is_sum) {
#if LANES != 1
    uint lane = gl_LocalInvocationIndex % LANES;
    barrier();
    shares[gl_LocalInvocationIndex] = share;
    barrier();
    for (uint width = LANES / 2; width > 0u; width /= 2u) {
        if (lane < width) {
            float other = shares[gl_LocalInvocationIndex + width], own = shares[gl_LocalInvocationIndex];
            shares[gl_LocalInvocationIndex] = is_sum ? own + other : larger(other, own);
        }
        barrier();
    }
    share = shares[gl_LocalInvocationIndex - lane];
#endif
    return share;
}

float row_square(uint e, uint lane, uint count) {
    float sum = 0.0;
    for (uint c = lane; c < count; c += LANES) {
        float value = load_source(e + c);
        sum += value * value;
    }
    return join_lanes(sum, true) * p.square_scale;
}

float row_maximum(uint e, uint lane, uint count) {
    vec4 maxima = vec4(-INFINITY);
    for (uint c = 4u * lane; c < count; c += 4u * LANES) {
        vec4 value = load_x(e, c);
        value = MAP == FEATURE_MIRRORED ? abs(value) : value;
        maxima = mix(maxima, larger(value, maxima), lessThan(c + uvec4(0u, 1u, 2u, 3u), uvec4(count)));
    }
    return join_lanes(larger(larger(maxima.x, maxima.y), larger(maxima.z, maxima.w)), false);
}

vec4 map(vec4 value, float shift) {
    if (MAP == FEATURE_ELU) value = mix(exp(value), value + 1.0, greaterThan(value, vec4(0.0)));
    if (MAP == FEATURE_RELU) value = mix(value, vec4(0.0), lessThan(value, vec4(0.0))); // NaN stays NaN
    if (MAP == FEATURE_EXP) value = exp(value);
    if (IS_SOFTMAX) value = exp(value - shift);
    return value + p.eps;
}

void store(uint e, uint c, vec4 value) {
    y[(e + c) >> 2] = mix(vec4(0.0), value, lessThan(c + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_columns)));
}

void main() {
    uint lane = gl_LocalInvocationIndex % LANES;
    uint item = group_index() * (GROUP_SIZE / LANES) + gl_LocalInvocationIndex / LANES;
    bool exists = item < p.num_batches * p.num_heads * p.num_rows;
#if LANES == 1
    if (!exists) return;
#endif
    item = exists ? item : 0u; // it takes part in barriers
    uint row = item % p.num_rows;
    uint head = item / p.num_rows % p.num_heads, batch = item / p.num_rows / p.num_heads;
    uint slot = p.row_begin + row, valid = count_valid(has(FEATURE_LENGTHS), batch), first = slot_of_first(valid);
    bool is_valid = slot >= first && slot - first < valid;
    uint x_row = has(FEATURE_SLOTS) ? row : is_valid ? slot - first - p.position_begin : 0u;
    uint from = p.base_x + batch * p.x_batch + head * p.x_head + x_row * p.x_row;
    uint to = p.base_y + batch * p.y_batch + head * p.y_head + row * p.num_features;
    float shift = 0.0;
    if (IS_SOFTMAX) {
        uint e = p.base_source + batch * p.source_batch + head * p.source_head + row * p.source_row;
        shift = row_square(e, lane, is_valid ? p.source_size : 0u);
        if (has(FEATURE_ROW_MAXIMUM)) shift += row_maximum(from, lane, is_valid ? p.num_columns : 0u);
        if (has(FEATURE_MAXIMA)) shift += maxima[p.base_maxima + batch * p.maxima_batch + head * p.maxima_head];
    }
    if (!exists) return;
    uint columns = MAP == FEATURE_MIRRORED ? p.num_features / 2u : p.num_features;
    for (uint c = 4u * lane; c < columns; c += 4u * LANES) {
        vec4 value = vec4(0.0), mirrored = vec4(0.0);
        if (is_valid && c < p.num_columns) {
            vec4 raw = load_x(from, c);
            value = map(raw, shift);
            if (MAP == FEATURE_MIRRORED) mirrored = map(-raw, shift);
        }
        store(to, c, value);
        if (MAP == FEATURE_MIRRORED) store(to + columns, c, mirrored);
    }
}
