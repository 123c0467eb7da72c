// label_scores: scores_il = scale (q_i . a_l + b_l). See params/label_scores.h.
//
// Blocks of 4 rows by 4 labels are held in registers, so that every load serves four products; the lanes
// of a vector are elements of a head. An item is a block, 64 a group, or for devices of type CPU ROWS
// rows by all labels, one a group.
//
// Defines: VECTOR (4, 16), ROWS (4: a block).
#include "params/label_scores.h"
#define KERNEL_PARAMS LABEL_SCORES_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & LABEL_SCORES_HALF
typedef half Input;
#define load(x, e) vload_half(e, x)
#define load4(x, e) vload_half4(0, (x) + (e))
#define load16(x, e) vload_half16(0, (x) + (e))
#else
typedef float Input;
#define load(x, e) (x)[e]
#define load4(x, e) vload4(0, (x) + (e))
#define load16(x, e) vload16(0, (x) + (e))
#endif

#if VECTOR == 16
typedef float16 Lanes;
#define load_lanes load16
#define GROUP_SIZE 1
#else
typedef float4 Lanes;
#define load_lanes load4
#define GROUP_SIZE 64
#endif
#define EACH(i) _Pragma("unroll") for (int i = 0; i < 4; i++)

static inline float add_lanes(Lanes x) {
#if VECTOR == 16
    const float8 half_of = x.lo + x.hi;
    const float4 y = half_of.lo + half_of.hi;
#else
    const float4 y = x;
#endif
    return (y.x + y.y) + (y.z + y.w);
}

static inline void compute_block(const Params *p, __global const Input *q,
                                 __global const Input *vectors, __global const Input *biases,
                                 __global float *scores, uint batch, uint head, uint row0,
                                 uint label0) {
    uint q_at[4], vector_at[4];
    Lanes sums[4][4];
    float rest[4][4];
    EACH(n) {
        const uint row = min(row0 + n, p->num_rows - 1u);
        const uint label = min(label0 + n, p->num_labels - 1u);
        q_at[n] = p->base_q + batch * p->q_batch + head * p->q_head + row * p->q_row;
        vector_at[n] = p->base_vectors + head * p->vector_head + label * p->vector_label;
        EACH(l) {
            sums[n][l] = 0.0f;
            rest[n][l] = 0.0f;
        }
    }
    uint d = 0;
    for (; d + VECTOR <= p->head_size; d += VECTOR) {
        Lanes a[4];
        EACH(l) a[l] = load_lanes(vectors, vector_at[l] + d);
        EACH(r) {
            const Lanes x = load_lanes(q, q_at[r] + d);
            EACH(l) sums[r][l] += x * a[l];
        }
    }
    for (; d < p->head_size; d++)
        EACH(r) EACH(l) rest[r][l] += load(q, q_at[r] + d) * load(vectors, vector_at[l] + d);
    EACH(r) EACH(l) {
        const uint row = row0 + r, label = label0 + l;
        if (row < p->num_rows && label < p->num_labels) {
            float sum = add_lanes(sums[r][l]) + rest[r][l];
            if (has(LABEL_SCORES_BIASES))
                sum += load(biases, p->base_biases + head * p->bias_head + label * p->bias_label);
            scores[p->base_scores + batch * p->scores_batch + head * p->scores_head +
                   row * p->num_labels + label] = p->scale * sum;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
label_scores(__global const Input *q, __global const Input *vectors, __global const Input *biases,
             __global float *scores, const Params params, uint first_group) {
    const Params *p = &params;
    const uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    const uint label_blocks = ROWS == 4 ? (p->num_labels + 3u) / 4u : 1u;
    const uint row_blocks = (p->num_rows + ROWS - 1u) / ROWS;
    const uint any_head = item / label_blocks / row_blocks;
    const uint head = any_head % p->num_heads, batch = any_head / p->num_heads;
    const uint row0 = item / label_blocks % row_blocks * ROWS;
    if (batch >= p->num_batches) return;
#if ROWS == 4
    compute_block(p, q, vectors, biases, scores, batch, head, row0, item % label_blocks * 4u);
#else
    const uint end = min(row0 + ROWS, p->num_rows);
    for (uint label = 0; label < p->num_labels; label += 4u)
        for (uint row = row0; row < end; row += 4u)
            compute_block(p, q, vectors, biases, scores, batch, head, row, label);
#endif
}
