#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// recur: linear attention of a few tokens after a given state, see params/recur.h.
//
// A workgroup owns 32 columns of one state; an invocation 4 of them, in every SLICES-th row, which it reads, takes
// through all tokens in registers, and writes. What it adds to the rows of the output meets in shared memory.
//
// Defines: SLICES (8; 1: nothing is shared).

#include "../params/recur.h"
#define KERNEL_PARAMS RECUR_PARAMS
#define KERNEL_SPECIALISATION RECUR_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

#define GROUP_SIZE (8 * SLICES)
layout(local_size_x = GROUP_SIZE) in;

layout(std430, set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(std430, set = 0, binding = 2) readonly buffer Decay { uint decay[]; };
layout(std430, set = 0, binding = 3) readonly buffer StateS { float state_s[]; };
layout(std430, set = 0, binding = 4) readonly buffer StateZ { float state_z[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Out { uint out_words[]; };
layout(std430, set = 0, binding = 6) writeonly buffer SOut { float s_out[]; };
layout(std430, set = 0, binding = 7) writeonly buffer ZOut { float z_out[]; };

#define V_BINDING 1
#define V_HALF RECUR_V_HALF
#include "lib/values.glsl"

#if SLICES > 1
shared vec4 shared_sums[GROUP_SIZE];
shared float shared_dens[GROUP_SIZE];
#endif

#define MAX_ROWS 8
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

bool has(uint option) { return (OPTIONS & option) != 0u; }

// One a row of the output: those of a token, of all heads that share the state, follow each other. value and factor
// are the token's value and decay.
vec4 value[MAX_ROWS], sum[MAX_ROWS];
float factor[MAX_ROWS], den[MAX_ROWS];

float load_decay(uint e) {
    if (!has(RECUR_DECAY)) return 1.0;
    if (!has(RECUR_DECAY_HALF)) return uintBitsToFloat(decay[e]);
    return unpackHalf2x16(decay[e >> 1])[e & 1u];
}

void add_slices(int n) {
#if SLICES > 1
    barrier();
    shared_sums[gl_LocalInvocationIndex] = sum[n];
    shared_dens[gl_LocalInvocationIndex] = den[n];
    barrier();
    if (gl_LocalInvocationIndex < 8u) {
        for (uint i = 1u; i < SLICES; i++) {
            sum[n] += shared_sums[8u * i + gl_LocalInvocationIndex];
            den[n] += shared_dens[8u * i + gl_LocalInvocationIndex];
        }
    }
#endif
}

void store_row(uint e, uint column, vec4 x) {
    if (has(RECUR_OUT_HALF)) {
        if (column < p.value_size) out_words[(e + column) >> 1] = pack_half(x.xy);
        if (column + 2u < p.value_size) out_words[((e + column) >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    EACH(i, 4) if (column + uint(i) < p.value_size) out_words[e + column + uint(i)] = floatBitsToUint(x[i]);
}

float factor_of(float d) {
    if (!has(RECUR_NORMALIZE)) return p.scale;
    d = d * p.scale + p.eps;
    return d == 0.0 ? 0.0 : p.scale / d;
}

void main() {
    uint item = group_index(), tiles = (p.value_size + 31u) / 32u;
    uint column = item % tiles * 32u + 4u * (gl_LocalInvocationIndex % 8u);
    item /= tiles;
    uint head = item % p.num_heads, batch = item / p.num_heads, num_rows = p.num_tokens * p.group;

    uint values = p.base_v + batch * p.v_batch + head * p.v_head;
    uint decays = p.base_decay + batch * p.decay_batch + head * p.decay_head;
    EACH(n, MAX_ROWS) {
        sum[n] = value[n] = vec4(0.0);
        den[n] = factor[n] = 0.0;
        if (uint(n) < num_rows) {
            value[n] = load_v(values + uint(n) / p.group * p.v_row, column);
            factor[n] = load_decay(decays + uint(n) / p.group * p.decay_row);
        }
    }
    uint keys = p.base_features + (batch * p.num_heads + head) * p.feature_head;
    uint queries = p.base_features + p.query_begin + (batch * p.num_heads + head) * p.group * p.feature_head;
    uint s_at = p.base_state_s + batch * p.s_batch + head * p.s_head + column;
    uint z_at = p.base_state_z + batch * p.z_batch + head * p.z_head;
    uint s_to = p.base_s_out + batch * p.s_out_batch + head * p.s_out_head + column;
    uint z_to = p.base_z_out + batch * p.z_out_batch + head * p.z_out_head;
    for (uint f = gl_LocalInvocationIndex / 8u; f < p.size; f += SLICES) {
        vec4 s = vec4(0.0);
        float z = 0.0;
        if (has(RECUR_GIVEN)) {
            EACH(i, 4) if (column + uint(i) < p.value_size) s[i] = state_s[s_at + f * p.s_row + uint(i)];
            z = state_z[z_at + f];
        }
        uint token = 0u, member = 0u;
        EACH(n, MAX_ROWS) if (uint(n) < num_rows) {
            if (member == 0u) {
                float x = features[keys + token * p.num_features + f];
                s = factor[n] * s + x * value[n];
                z = factor[n] * z + x;
            }
            float x = features[queries + member * p.feature_head + token * p.num_features + f];
            sum[n] += x * s;
            den[n] += x * z;
            member++;
            if (member == p.group) {
                member = 0u;
                token++;
            }
        }
        if (has(RECUR_S_OUT)) EACH(i, 4) if (column + uint(i) < p.value_size)
            s_out[s_to + f * p.s_out_row + uint(i)] = s[i];
        if (has(RECUR_Z_OUT) && column == 0u) z_out[z_to + f] = z;
    }
    EACH(n, MAX_ROWS) if (uint(n) < num_rows && has(RECUR_OUT)) {
        add_slices(n);
        uint query_head = head * p.group + uint(n) % p.group;
        uint e = p.base_out + batch * p.out_batch + query_head * p.out_head + uint(n) / p.group * p.out_row;
        float own = factor_of(den[n]);
        if (gl_LocalInvocationIndex < 8u) store_row(e, column, own == 0.0 ? vec4(0.0) : sum[n] * own);
    }
}
