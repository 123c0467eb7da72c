#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// fade: products of decays inside a chunk, see params/fade.h. An invocation owns the row of one slot, and multiplies
// from the slot back to the chunk's first.

#include "../params/fade.h"
#define KERNEL_PARAMS FADE_PARAMS
#define KERNEL_SPECIALISATION FADE_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer Decay { uint decay[]; };
layout(std430, set = 0, binding = 1) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Fade { vec4 fade[]; };

#include "lib/slots.glsl"

bool has(uint option) { return (OPTIONS & option) != 0u; }

float load_decay(uint e) {
    if (!has(FADE_HALF)) return uintBitsToFloat(decay[e]);
    return unpackHalf2x16(decay[e >> 1])[e & 1u];
}

// x without its last 12 bits: products of two such, or of one and such a rest, are exact.
float upper(float x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }

// product + rest becomes its product with x, product being the nearest float.
void multiply(inout float product, inout float rest, float x) {
    precise float whole = product * x;
    precise float product_rest = product - upper(product), x_rest = x - upper(x);
    precise float lost = ((upper(product) * upper(x) - whole) + upper(product) * x_rest + product_rest * upper(x)) +
                         product_rest * x_rest;
    precise float small = rest * x + lost;
    precise float sum = whole + small;
    precise float left = small - (sum - whole);
    product = is_finite(sum) ? sum : whole;
    rest = is_finite(sum) ? left : 0.0;
}

void main() {
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    uint row = item % p.num_rows;
    item /= p.num_rows;
    uint head = item % p.num_heads, batch = item / p.num_heads;
    if (batch >= p.num_batches) return;

    uint valid = count_valid(has(FADE_LENGTHS), batch), first = slot_of_first(valid);
    uint from = p.base_decay + batch * p.decay_batch + head * p.decay_head;
    uint to = p.base_fade + batch * p.fade_batch + head * p.fade_head + row * (p.chunk + 16u);
    uint own = row % p.chunk;
    float product = 1.0, rest = 0.0;
    for (uint four = p.chunk / 4u; four-- > 0u;) {
        vec4 value = vec4(0.0);
        [[unroll]] for (int i = 3; i >= 0; --i) {
            uint j = 4u * four + uint(i), slot = p.row_begin + row - own + j;
            if (j <= own) {
                value[i] = product;
                bool is_valid = slot >= first && slot - first < valid;
                float next = is_valid ? load_decay(from + (slot - first - p.position_begin) * p.decay_row) : 1.0;
                if (own + 1u == p.chunk) multiply(product, rest, next);
                else product *= next;
            }
        }
        fade[(to >> 2) + four] = value;
    }
    fade[(to + p.chunk) >> 2] = vec4(product, rest, 0.0, 0.0);
}
