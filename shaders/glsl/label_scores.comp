#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// label_scores: scores_il = scale (q_i . a_l + b_l). 64 items a workgroup, one an invocation; an item is 4
// rows by 4 labels, so that every load serves four products. See params/label_scores.h.
//
// Defines: ALIGNED_FLOAT, ALIGNED_HALF: sizes, strides and offsets are multiples of 4 elements of that
// type; neither: any.

#include "../params/label_scores.h"
#define KERNEL_PARAMS LABEL_SCORES_PARAMS
#define KERNEL_SPECIALISATION LABEL_SCORES_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 64) in;

bool has(uint option) { return (OPTIONS & option) != 0u; }

// load_NAME(e, left): elements e .. e + 3, of which only the first `left`, at least one, belong to the row;
// the others are 0.
#if defined(ALIGNED_FLOAT)
#define WORD vec4
#define LOADER(load, name) vec4 load(uint e, int left) { return name[e / 4u]; }
#elif defined(ALIGNED_HALF)
#define WORD uvec2
#define LOADER(load, name) \
    vec4 load(uint e, int left) { return vec4(unpackHalf2x16(name[e / 4u].x), unpackHalf2x16(name[e / 4u].y)); }
#else
#define WORD uint
#define LOADER(load, name) \
    float load##_one(uint e) { \
        if (!has(LABEL_SCORES_HALF)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, int left) { \
        uvec4 i = e + uvec4(min(ivec4(0, 1, 2, 3), ivec4(left - 1))); \
        vec4 x = vec4(load##_one(i.x), load##_one(i.y), load##_one(i.z), load##_one(i.w)); \
        return mix(vec4(0.0), x, greaterThan(ivec4(left), ivec4(0, 1, 2, 3))); \
    }
#endif

layout(std430, set = 0, binding = 0) readonly buffer Q { WORD q[]; };
layout(std430, set = 0, binding = 1) readonly buffer Vectors { WORD vectors[]; };
layout(std430, set = 0, binding = 2) readonly buffer Biases { uint biases[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Scores { float scores[]; };

LOADER(load_q, q)
LOADER(load_vector, vectors)

#define EACH(i) [[unroll]] for (int i = 0; i < 4; ++i)

float load_bias(uint head, uint label) {
    if (!has(LABEL_SCORES_BIASES)) return 0.0;
    uint e = p.base_biases + head * p.bias_head + label * p.bias_label;
    return has(LABEL_SCORES_HALF) ? unpackHalf2x16(biases[e >> 1])[e & 1u] : uintBitsToFloat(biases[e]);
}

void main() {
    uint item = group_index() * 64u + gl_LocalInvocationIndex;
    uint label_blocks = (p.num_labels + 3u) / 4u, row_blocks = (p.num_rows + 3u) / 4u;
    uint label0 = item % label_blocks * 4u;
    uint row0 = item / label_blocks % row_blocks * 4u;
    uint any_head = item / label_blocks / row_blocks;
    uint head = any_head % p.num_heads, batch = any_head / p.num_heads;
    if (batch >= p.num_batches) return;

    uint q_at[4], vector_at[4];
    vec4 sums[4]; // of a row, one a label
    EACH(n) {
        uint row = min(row0 + uint(n), p.num_rows - 1u), label = min(label0 + uint(n), p.num_labels - 1u);
        q_at[n] = p.base_q + batch * p.q_batch + head * p.q_head + row * p.q_row;
        vector_at[n] = p.base_vectors + head * p.vector_head + label * p.vector_label;
        sums[n] = vec4(0.0);
    }
    for (uint d = 0u; d < p.head_size; d += 4u) {
        int left = int(p.head_size - d);
        vec4 a[4];
        EACH(l) a[l] = load_vector(vector_at[l] + d, left);
        EACH(r) {
            vec4 x = load_q(q_at[r] + d, left);
            EACH(l) sums[r][l] += dot(x, a[l]);
        }
    }
    EACH(r) {
        uint row = row0 + uint(r);
        uint e = p.base_scores + batch * p.scores_batch + head * p.scores_head + row * p.num_labels;
        EACH(l) {
            uint label = label0 + uint(l);
            if (row < p.num_rows && label < p.num_labels)
                scores[e + label] = p.scale * (sums[r][l] + load_bias(head, label));
        }
    }
}
