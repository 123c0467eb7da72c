#version 450
#extension GL_GOOGLE_include_directive : require
// copy: to[i0, i1, i2, i3] = from[i0, i1, i2, i3], 32-bit words, `from` packed. 128 words a workgroup, one
// an invocation. See params/copy.h.

#include "../params/copy.h"
#define KERNEL_PARAMS COPY_PARAMS
#define KERNEL_SPECIALISATION COPY_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer From { uint from[]; };
layout(std430, set = 0, binding = 1) writeonly buffer To { uint to[]; };

void main() {
    uint word = group_index() * 128u + gl_LocalInvocationIndex;
    if (word >= p.num_words) return;
    uint i3 = word % p.count3, rest = word / p.count3;
    uint i2 = rest % p.count2;
    rest /= p.count2;
    uint i1 = rest % p.count1, i0 = rest / p.count1;
    to[p.base_to + i0 * p.stride0 + i1 * p.stride1 + i2 * p.stride2 + i3] = from[p.base_from + word];
}
