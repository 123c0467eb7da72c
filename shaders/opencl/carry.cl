// carry: the recurrence of states over chunks, see params/carry.h. A work-item owns four neighbouring elements of a
// state and walks the chunks.
#include "params/carry.h"
#define KERNEL_PARAMS CARRY_PARAMS
#include "lib/kernel.cl"

// Where element e of a state is in the tensors that callers have: 1 in those of S, 2 of Z, 0 in none.
static inline int place_of(const Params *p, uint e, uint *row, uint *column) {
    const uint size = p->num_features * p->value_stride;
    *row = e < size ? e / p->value_stride : 0u;
    *column = e < size ? e % p->value_stride : e - size;
    if (e < size) return *row < p->num_given && *column < p->value_size ? 1 : 0;
    return *column < p->num_given ? 2 : 0;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
carry(__global float *states, __global const float *fade, __global const float *state_s,
      __global const float *state_z, __global float *carried, __global float *s_out,
      __global float *z_out, const Params params, uint first_group) {
    const Params *p = &params;
    const uint size = p->num_features * (p->value_stride + 1u);
    uint item = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint e = item % (size / 4u) * 4u;
    item /= size / 4u;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    if (batch >= p->num_batches) return;

    __global float *own = carried + p->base_carried + (batch * p->num_heads + head) * size + e;
    float elements[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    uint row, column;
    for (uint i = 0; has(CARRY_GIVEN) && i < 4u; i++) {
        const int place = place_of(p, e + i, &row, &column);
        if (place == 1)
            elements[i] = state_s[p->base_state_s + batch * p->s_batch + head * p->s_head + row * p->s_row + column];
        if (place == 2) elements[i] = state_z[p->base_state_z + batch * p->z_batch + head * p->z_head + column];
    }
    float4 value = has(CARRY_CONTINUES) ? vload4(0, own) : vload4(0, elements);
    __global float *at = states + p->base_states + batch * p->states_batch + head * p->states_head + e;
    const uint decays = p->base_fade + batch * p->fade_batch + head * p->fade_head;
    for (uint c = 0; c < p->num_chunks; c++, at += p->states_chunk) {
        float4 next = vload4(0, at);
        if (has(CARRY_PREFIX)) vstore4(value, 0, at);
        if (has(CARRY_FADE)) { // behind the last row of a chunk's products
            __global const float *decay = fade + decays + (c + 1u) * p->chunk * (p->chunk + 16u) - 16u;
            const float4 rest = decay[1] * value;
            value *= decay[0];
            next += select((float4)(0.0f), rest, isfinite(rest));
        }
        value += next;
    }
    vstore4(value, 0, own);
    vstore4(value, 0, elements);
    for (uint i = 0; has(CARRY_S_OUT | CARRY_Z_OUT) && i < 4u; i++) {
        const int place = place_of(p, e + i, &row, &column);
        if (has(CARRY_S_OUT) && place == 1)
            s_out[p->base_s_out + batch * p->s_out_batch + head * p->s_out_head + row * p->s_out_row + column] =
                elements[i];
        if (has(CARRY_Z_OUT) && place == 2)
            z_out[p->base_z_out + batch * p->z_out_batch + head * p->z_out_head + column] = elements[i];
    }
}
