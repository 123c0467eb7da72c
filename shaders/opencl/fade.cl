// fade: products of decays inside a chunk, see params/fade.h. A work-item owns the row of one slot, and multiplies from
// the slot back to the chunk's first.
#define LANES 1
#include "params/fade.h"
#define KERNEL_PARAMS FADE_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/slots.cl"

#if OPTIONS & FADE_HALF
typedef half Decay;
#define load_decay load_half
#else
typedef float Decay;
#define load_decay load_float
#endif

#pragma OPENCL FP_CONTRACT OFF

// product + rest becomes its product with x, product being the nearest float.
static inline void multiply(float *product, float *rest, float x) {
    const float whole = *product * x;
    const float small = *rest * x + fma(*product, x, -whole);
    const float sum = whole + small;
    *rest = isfinite(sum) ? small - (sum - whole) : 0.0f;
    *product = isfinite(sum) ? sum : whole;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
fade(__global const Decay *decay, __global const int *lengths, __global float *products,
     const Params params, uint first_group) {
    const Params *p = &params;
    uint item = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint row = item % p->num_rows;
    item /= p->num_rows;
    const uint head = item % p->num_heads, batch = item / p->num_heads;
    if (batch >= p->num_batches) return;

    const uint valid = count_valid(p, lengths, has(FADE_LENGTHS), batch), first = slot_of_first(p, valid);
    const uint from = p->base_decay + batch * p->decay_batch + head * p->decay_head, own = row % p->chunk;
    __global float *to = products + p->base_fade + batch * p->fade_batch + head * p->fade_head +
                         row * (p->chunk + 16u);
    float product = 1.0f, rest = 0.0f;
    for (uint j = p->chunk; j-- > own + 1u;) to[j] = 0.0f;
    for (uint j = own + 1u; j-- > 0u;) {
        const uint slot = p->row_begin + row - own + j;
        to[j] = product;
        if (slot < first || slot - first >= valid) continue;
        const float next = load_decay(decay, from + (slot - first - p->position_begin) * p->decay_row);
        if (own + 1u == p->chunk) multiply(&product, &rest, next);
        else product *= next;
    }
    to[p->chunk] = product;
    to[p->chunk + 1u] = rest;
}
