#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// project: to = from weight. A workgroup owns 32 rows x 64 columns, an invocation 4 x 4 of them; neighbours read
// neighbouring columns of the weight. Products are summed by blocks of 64. See params/project.h.

#include "../params/project.h"
#define KERNEL_PARAMS PROJECT_PARAMS
#define KERNEL_SPECIALISATION PROJECT_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer From { uint from[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weight { uint weight[]; };
layout(std430, set = 0, binding = 2) writeonly buffer To { float to[]; };

#define LOADER(name) \
    float load_##name(uint e) { \
        if ((OPTIONS & PROJECT_HALF) == 0u) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    }
LOADER(from)
LOADER(weight)

void main() {
    uint blocks = (p.size + 63u) / 64u;
    uint row = group_index() / blocks * 32u + gl_LocalInvocationIndex / 16u * 4u;
    uint column = group_index() % blocks * 64u + gl_LocalInvocationIndex % 16u * 4u;
    if (row >= p.num_rows || column >= p.size) return;
    uvec4 rows = p.base_from + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(p.num_rows - 1u)) * p.from_row;
    uvec4 columns = p.base_weight + min(column + uvec4(0u, 1u, 2u, 3u), uvec4(p.size - 1u));

    vec4 total[4];
#define CLEAR_TOTAL(r) total[r] = vec4(0.0);
    REPEAT_4(CLEAR_TOTAL)
    for (uint first = 0u; first < p.size; first += 64u) {
        vec4 sum[4];
#define CLEAR_SUM(r) sum[r] = vec4(0.0);
        REPEAT_4(CLEAR_SUM)
        for (uint c = first; c < min(first + 64u, p.size); ++c) {
            uvec4 e = columns + c * p.weight_row;
            vec4 w = vec4(load_weight(e.x), load_weight(e.y), load_weight(e.z), load_weight(e.w));
#define ADD_ROW(r) sum[r] += load_from(rows[r] + c) * w;
            REPEAT_4(ADD_ROW)
        }
#define ADD_SUM(r) total[r] += sum[r];
        REPEAT_4(ADD_SUM)
    }
    uint e = p.base_to + row * p.size + column;
#define STORE(r, c) if (row + r < p.num_rows && column + c < p.size) to[e + r * p.size + c] = total[r][c];
#define STORE_ROW(r) REPEAT_4_OF(STORE, r)
    REPEAT_4(STORE_ROW)
}
