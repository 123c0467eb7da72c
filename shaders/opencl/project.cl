// project: to = from weight. A work-group owns 32 rows x 64 columns, a work-item 4 x 4 of them;
// neighbours read neighbouring columns of the weight. Products are summed by blocks of 64. See
// params/project.h.
#define LANES 1
#include "params/project.h"
#define KERNEL_PARAMS PROJECT_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & PROJECT_HALF
typedef half Input;
#define load(x, e) vload_half(e, x)
#else
typedef float Input;
#define load(x, e) (x)[e]
#endif

#define EACH_ROW _Pragma("unroll") for (uint r = 0; r < 4; r++)

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
project(__global const Input *from, __global const Input *weight, __global float *to,
        const Params params, uint first_group) {
    const Params *p = &params;
    const uint group = group_index(first_group), lane = (uint)get_local_id(0);
    const uint blocks = (p->size + 63u) / 64u;
    const uint row = group / blocks * 32u + lane / 16u * 4u;
    const uint column = group % blocks * 64u + lane % 16u * 4u;
    if (row >= p->num_rows || column >= p->size) return;
    const uint4 columns =
        p->base_weight + min(column + (uint4)(0, 1, 2, 3), (uint4)(p->size - 1u));
    uint rows[4];
    float4 total[4];
    EACH_ROW {
        rows[r] = p->base_from + min(row + r, p->num_rows - 1u) * p->from_row;
        total[r] = 0.0f;
    }
    for (uint first = 0; first < p->size; first += 64u) {
        float4 sum[4];
        EACH_ROW sum[r] = 0.0f;
        for (uint c = first; c < min(first + 64u, p->size); c++) {
            const uint4 e = columns + c * p->weight_row;
            const float4 w = (float4)(load(weight, e.x), load(weight, e.y), load(weight, e.z),
                                      load(weight, e.w));
            EACH_ROW sum[r] += load(from, rows[r] + c) * w;
        }
        EACH_ROW total[r] += sum[r];
    }
    EACH_ROW {
        if (row + r >= p->num_rows) continue;
        __global float *out = to + p->base_to + (row + r) * p->size + column;
        out[0] = total[r].x;
        if (column + 1u < p->size) out[1] = total[r].y;
        if (column + 2u < p->size) out[2] = total[r].z;
        if (column + 3u < p->size) out[3] = total[r].w;
    }
}
