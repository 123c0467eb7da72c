// gemm, cooperative: c = activation(scale a b + bias), one tile of c a work-group.
//
// 128 work-items own TILE_ROWS x 64 columns of c and take SLICE of the depth a step, which they bring
// to local memory: a line of rows of a or of columns of b for each of the depth. Lines are a little longer
// than they need be, so that storing along the depth meets different banks. For the products an item is one
// of 8 x 16 (row groups x column groups); it owns 4 columns and ROW_FOURS times 4 rows, which lie 32
// apart.
//
// Defines: TILE_ROWS (32, 64).
#define LANES 1
#include "params/gemm.h"
#define KERNEL_PARAMS GEMM_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/gemm_finish.cl"
#include "lib/gemm.cl"

#define GROUP_SIZE 128u
#define SLICE 16u
#define TILE_COLUMNS 64u
#define A_LINE (TILE_ROWS + 4u)
#define B_LINE (TILE_COLUMNS + 4u)
#define ROW_FOURS (TILE_ROWS / 32)
#define EACH_ROW _Pragma("unroll") for (int r = 0; r < 4 * ROW_FOURS; r++)

// A matrix as lines of the depth: element (line, k) is at line * line_stride + k * depth_stride. What
// lies past the end of the depth is 0, lines past the last one repeat it.
#define STAGER(stage, Element, load)                                                               \
    static inline void stage(__local float *tile, uint tile_lines, uint tile_stride,               \
                             __global const Element *x, uint start, uint line_stride,              \
                             uint depth_stride, uint first, uint lines, bool along_depth,          \
                             uint k0, uint end) {                                                  \
        for (uint i = (uint)get_local_id(0); i < tile_lines * SLICE; i += GROUP_SIZE) {            \
            const uint k = along_depth ? i % SLICE : i / tile_lines;                               \
            const uint line = along_depth ? i / SLICE : i % tile_lines;                            \
            const uint e = start + min(first + line, lines - 1u) * line_stride +                   \
                           (k0 + k) * depth_stride;                                                \
            tile[k * tile_stride + line] = k0 + k < end ? load(x, e) : 0.0f;                       \
        }                                                                                          \
    }
STAGER(stage_a, AElement, load_a)
STAGER(stage_b, BElement, load_b)

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
gemm(__global const AElement *a, __global const BElement *b, __global const BiasElement *bias,
     __global const int *depths, __global CElement *c, const Params params, uint first_group) {
    const Params *p = &params;
    __local float a_tile[SLICE * A_LINE];
    __local float b_tile[SLICE * B_LINE];
    const Tile t = tile_of_group(p, depths, group_index(first_group), TILE_ROWS, TILE_COLUMNS);
    const uint own_column = (uint)get_local_id(0) % 16u * 4u;
    const uint own_row = (uint)get_local_id(0) / 16u * 4u;
    float4 sum[4 * ROW_FOURS];
    EACH_ROW sum[r] = 0.0f;
    for (uint k0 = t.begin; k0 < t.end; k0 += SLICE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        stage_a(a_tile, TILE_ROWS, A_LINE, a, t.a, p->a_row, p->a_column, t.row, p->num_rows,
                !has(GEMM_A_TRANSPOSED), k0, t.end);
        stage_b(b_tile, TILE_COLUMNS, B_LINE, b, t.b, p->b_column, p->b_row, t.column,
                p->num_columns, has(GEMM_B_TRANSPOSED), k0, t.end);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < SLICE; k++) {
            const float4 y = vload4(0, b_tile + k * B_LINE + own_column);
            _Pragma("unroll") for (int f = 0; f < ROW_FOURS; f++) {
                const float4 x = vload4(0, a_tile + k * A_LINE + own_row + 32 * f);
                sum[4 * f] += x.x * y;
                sum[4 * f + 1] += x.y * y;
                sum[4 * f + 2] += x.z * y;
                sum[4 * f + 3] += x.w * y;
            }
        }
    }
    EACH_ROW {
        const uint row = t.row + own_row + 32u * (uint)(r / 4) + (uint)(r % 4);
        const uint column = t.column + own_column;
        const float columns[4] = {sum[r].x, sum[r].y, sum[r].z, sum[r].w};
        _Pragma("unroll") for (uint i = 0; i < 4u; i++) if (row < p->num_rows &&
                                                             column + i < p->num_columns)
            finish_column(p, c, t.c + row * p->c_row + column + i, bias,
                          t.bias + row * p->bias_row + column + i, columns[i] * p->scale);
    }
}
