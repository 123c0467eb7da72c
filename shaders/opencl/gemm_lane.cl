// gemm for devices of type CPU: one work-item owns a tile of TILE_ROWS x 64 columns of c.
//
//   c_ij = activation(scale * sum_k a_ik b_kj + bias_j)
//
// The lanes of a float16 are columns. For DEPTH_BLOCK of the depth at a time the tile's part of b is copied
// to private memory, rows packed and transposed where it is not stored so; then blocks of 4 rows x 64
// columns are held in registers while the depth runs, elements of a broadcast. What of a does not
// lie in rows of floats is copied too. Private arrays live in the first two levels of cache.
//
// Reads a, b, bias; writes its tile of c. Defines: TILE_ROWS (a multiple of 16).
#define LANES 16
#include "params/gemm.h"
#define KERNEL_PARAMS GEMM_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/gemm_finish.cl"
#include "lib/gemm.cl"

#define VECTORS 4
#define TILE_COLUMNS (LANES * VECTORS)
#define ROW_BLOCK 4
#define DEPTH_BLOCK 128
#define PACK_A (OPTIONS & (GEMM_A_HALF | GEMM_A_TRANSPOSED))
// Of packed rows of a; not a power of two, so that rows fall into different sets of the cache.
#define A_STRIDE (DEPTH_BLOCK + LANES)
#define EACH_ROW _Pragma("unroll") for (int r = 0; r < ROW_BLOCK; r++)
#define EACH_VECTOR _Pragma("unroll") for (int v = 0; v < VECTORS; v++)

typedef struct State {
    float16 sums[TILE_ROWS][VECTORS];
    float16 b[DEPTH_BLOCK][VECTORS];
#if OPTIONS & GEMM_A_TRANSPOSED
    float a[DEPTH_BLOCK * TILE_ROWS]; // [depth][row]
#elif PACK_A
    float a[TILE_ROWS * A_STRIDE];
#endif
} State;

#if PACK_A
typedef const float *ARows;
#else
typedef __global const float *ARows;
#endif

// Elements e .. e + 15 of a line, of which `left` exist; the others are 0.
static inline float16 load_line_b(__global const BElement *b, uint e, uint left) {
    if (left >= LANES) return load16_b(b, e);
    float line[LANES];
    for (uint i = 0; i < LANES; i++) line[i] = i < left ? load_b(b, e + i) : 0.0f;
    return vload16(0, line);
}

#if OPTIONS & GEMM_B_TRANSPOSED
// Transposes 16 x 16 by four rounds of perfect shuffles.
static inline void transpose(float16 rows[LANES]) {
    _Pragma("unroll") for (int round = 0; round < 4; round++) {
        float16 next[LANES];
        _Pragma("unroll") for (int i = 0; i < LANES / 2; i++) {
            next[2 * i].even = rows[i].lo;
            next[2 * i].odd = rows[i + LANES / 2].lo;
            next[2 * i + 1].even = rows[i].hi;
            next[2 * i + 1].odd = rows[i + LANES / 2].hi;
        }
        _Pragma("unroll") for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
}

static inline void pack_b(const Params *p, const Tile *t, State *state, __global const BElement *b,
                          uint k, uint depth, uint columns) {
    for (uint v = 0; v * LANES < columns; v++)
        for (uint i = 0; i < depth; i += LANES) {
            float16 rows[LANES];
            for (uint j = 0; j < LANES; j++) {
                const uint column = t->column + min(v * LANES + j, columns - 1u);
                rows[j] = load_line_b(b, t->b + column * p->b_column + k + i, depth - i);
            }
            transpose(rows);
            for (uint j = 0; j < LANES; j++) state->b[i + j][v] = rows[j];
        }
}
#else
static inline void pack_b(const Params *p, const Tile *t, State *state, __global const BElement *b,
                          uint k, uint depth, uint columns) {
    for (uint i = 0; i < depth; i++) {
        const uint e = t->b + (k + i) * p->b_row + t->column;
        for (uint v = 0; v * LANES < columns; v++)
            state->b[i][v] = load_line_b(b, e + v * LANES, columns - v * LANES);
    }
}
#endif

#if PACK_A
// Lines along the innermost axis of a: `lines` of them, `stride` apart, to `to`.
static inline void pack_lines(float *to, uint to_stride, __global const AElement *a, uint e,
                              uint stride, uint lines, uint count) {
    for (uint i = 0; i < lines; i++, e += stride, to += to_stride) {
        uint j = 0;
        for (; j + LANES <= count; j += LANES) vstore16(load16_a(a, e + j), 0, to + j);
        for (; j < count; j++) to[j] = load_a(a, e + j);
    }
}
#endif

// Adds rows r0 .. r0 + 3 times `vectors` vectors of columns over `depth`; rows past the last one repeat it.
// Sums of a block are added up apart: long depths lose less to rounding.
__attribute__((always_inline)) static inline void
add_block(State *state, ARows a, uint row_stride, uint depth_stride, uint r0, uint rows,
          uint depth, int first, const int vectors) {
    float16 sum[ROW_BLOCK][VECTORS];
    ARows row[ROW_BLOCK];
    EACH_ROW {
        row[r] = a + min(r0 + r, rows - 1u) * row_stride;
        _Pragma("unroll") for (int v = 0; v < vectors; v++) sum[r][v] = 0.0f;
    }
    for (uint k = 0; k < depth; k++)
        _Pragma("unroll") for (int v = 0; v < vectors; v++) {
            const float16 x = state->b[k][first + v];
            EACH_ROW sum[r][v] += row[r][k * depth_stride] * x;
        }
    EACH_ROW
    _Pragma("unroll") for (int v = 0; v < vectors; v++) state->sums[r0 + r][first + v] += sum[r][v];
}

static inline void add_depth(const Params *p, const Tile *t, State *state,
                             __global const AElement *a, uint k, uint depth, uint rows,
                             uint columns) {
#if OPTIONS & GEMM_A_TRANSPOSED
    pack_lines(state->a, TILE_ROWS, a, t->a + k * p->a_column + t->row, p->a_column, depth, rows);
    const ARows block = state->a;
    const uint row_stride = 1u, depth_stride = TILE_ROWS;
#elif PACK_A
    pack_lines(state->a, A_STRIDE, a, t->a + t->row * p->a_row + k, p->a_row, rows, depth);
    const ARows block = state->a;
    const uint row_stride = A_STRIDE, depth_stride = 1u;
#else
    const ARows block = a + (t->a + t->row * p->a_row + k);
    const uint row_stride = p->a_row, depth_stride = 1u;
#endif
    for (uint r = 0; r < rows; r += ROW_BLOCK) {
        if (columns > 2u * LANES) {
            add_block(state, block, row_stride, depth_stride, r, rows, depth, 0, VECTORS);
        } else {
            add_block(state, block, row_stride, depth_stride, r, rows, depth, 0, 1);
            if (columns > LANES)
                add_block(state, block, row_stride, depth_stride, r, rows, depth, 1, 1);
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
gemm(__global const AElement *a, __global const BElement *b, __global const BiasElement *bias,
     __global const int *depths, __global CElement *c, const Params params, uint first_group) {
    const Params *p = &params;
    const Tile t = tile_of_group(p, depths, group_index(first_group), TILE_ROWS, TILE_COLUMNS);
    const uint rows = min(p->num_rows - t.row, (uint)TILE_ROWS);
    const uint columns = min(p->num_columns - t.column, (uint)TILE_COLUMNS);
    State state;
    for (uint r = 0; r < rows + ROW_BLOCK - 1u && r < TILE_ROWS; r++)
        EACH_VECTOR state.sums[r][v] = 0.0f;
    for (uint k = t.begin; k < t.end; k += DEPTH_BLOCK) {
        const uint depth = min(t.end - k, (uint)DEPTH_BLOCK);
        pack_b(p, &t, &state, b, k, depth, columns);
        add_depth(p, &t, &state, a, k, depth, rows, columns);
    }
    for (uint r = 0; r < rows; r++)
        for (uint v = 0; v * LANES < columns; v++)
            finish_columns(p, c, t.c + (t.row + r) * p->c_row + t.column + v * LANES, bias,
                           t.bias + (t.row + r) * p->bias_row + t.column + v * LANES,
                           columns - v * LANES, state.sums[r][v] * p->scale);
}
