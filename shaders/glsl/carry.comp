#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// carry: the recurrence of states over chunks, see params/carry.h. An invocation owns four neighbouring elements of
// a state and walks the chunks.

#include "../params/carry.h"
#define KERNEL_PARAMS CARRY_PARAMS
#define KERNEL_SPECIALISATION CARRY_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) buffer States { vec4 states[]; };
layout(std430, set = 0, binding = 1) readonly buffer Fade { float fade[]; };
layout(std430, set = 0, binding = 2) readonly buffer StateS { float state_s[]; };
layout(std430, set = 0, binding = 3) readonly buffer StateZ { float state_z[]; };
layout(std430, set = 0, binding = 4) buffer Carried { vec4 carried[]; };
layout(std430, set = 0, binding = 5) writeonly buffer SOut { float s_out[]; };
layout(std430, set = 0, binding = 6) writeonly buffer ZOut { float z_out[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Whether element e of a state is one that callers have, and where.
bool place_s(uint e, out uint row, out uint column) {
    row = e / p.value_stride;
    column = e % p.value_stride;
    return row < p.num_given && column < p.value_size;
}
bool place_z(uint e, out uint column) {
    column = e - p.num_features * p.value_stride;
    return e >= p.num_features * p.value_stride && column < p.num_given;
}

float load_given(uint batch, uint head, uint e) {
    uint row, column;
    if (place_s(e, row, column))
        return state_s[p.base_state_s + batch * p.s_batch + head * p.s_head + row * p.s_row + column];
    if (place_z(e, column)) return state_z[p.base_state_z + batch * p.z_batch + head * p.z_head + column];
    return 0.0;
}

void store_given(uint batch, uint head, uint e, float value) {
    uint row, column;
    if (place_s(e, row, column)) {
        if (has(CARRY_S_OUT))
            s_out[p.base_s_out + batch * p.s_out_batch + head * p.s_out_head + row * p.s_out_row + column] = value;
    } else if (place_z(e, column)) {
        if (has(CARRY_Z_OUT)) z_out[p.base_z_out + batch * p.z_out_batch + head * p.z_out_head + column] = value;
    }
}

void main() {
    uint size = p.num_features * (p.value_stride + 1u);
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    uint e = item % (size / 4u) * 4u;
    item /= size / 4u;
    uint head = item % p.num_heads, batch = item / p.num_heads;
    if (batch >= p.num_batches) return;

    uint own = (p.base_carried + (batch * p.num_heads + head) * size + e) >> 2;
    vec4 value = vec4(0.0);
    if (has(CARRY_GIVEN)) [[unroll]] for (int i = 0; i < 4; ++i) value[i] = load_given(batch, head, e + uint(i));
    if (has(CARRY_CONTINUES)) value = carried[own];
    uint at = p.base_states + batch * p.states_batch + head * p.states_head + e;
    uint decays = p.base_fade + batch * p.fade_batch + head * p.fade_head;
    for (uint c = 0u; c < p.num_chunks; c++) {
        vec4 next = states[(at + c * p.states_chunk) >> 2];
        if (has(CARRY_PREFIX)) states[(at + c * p.states_chunk) >> 2] = value;
        if (has(CARRY_FADE)) { // behind the last row of a chunk's products
            uint own_decay = decays + (c + 1u) * p.chunk * (p.chunk + 16u) - 16u;
            vec4 rest = fade[own_decay + 1u] * value;
            value *= fade[own_decay];
            [[unroll]] for (int i = 0; i < 4; ++i) if (is_finite(rest[i])) next[i] += rest[i];
        }
        value += next;
    }
    carried[own] = value;
    if (has(CARRY_S_OUT | CARRY_Z_OUT)) [[unroll]] for (int i = 0; i < 4; ++i)
        store_given(batch, head, e + uint(i), value[i]);
}
