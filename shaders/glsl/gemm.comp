#version 450
#extension GL_GOOGLE_include_directive : require
// gemm, cooperative: c = activation(scale a b + bias), one tile of c a workgroup.
//
// 128 invocations own TILE_ROWS x 64 columns of c and take SLICE of the depth a step, which they bring
// to shared memory: a_tile and b_tile, a line of rows or columns for each of the depth, in fours. Lines are a
// vector longer than they need be, so that storing along the depth meets different banks. For the products an
// invocation is one of 16 x 8 (row groups x column groups); it owns rows in fours that lie TILE_ROWS /
// ROW_FOURS apart and columns in fours that lie 64 / COLUMN_FOURS apart, so that neighbours read
// neighbouring vectors.
//
// Defines: TILE_ROWS (32, 64, 128); ALIGNED_FLOAT, ALIGNED_HALF: a and b are both of that type, their offsets,
// strides and innermost extents multiples of 4, and are read in fours; else any type and alignment.

#include "../params/gemm.h"
#define KERNEL_PARAMS GEMM_PARAMS
#define KERNEL_SPECIALISATION GEMM_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"
#include "lib/repeat.glsl"

layout(local_size_x = 128) in;

#if defined(ALIGNED_FLOAT)
#define WORD vec4
#elif defined(ALIGNED_HALF)
#define WORD uvec2
#else
#define WORD uint
#endif
layout(std430, set = 0, binding = 0) readonly buffer A { WORD a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { WORD b[]; };
layout(std430, set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Depths { int depths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer C { uint c_words[]; };

#include "lib/gemm_finish.glsl"
#include "lib/gemm.glsl"

#define GROUP_SIZE 128u
#define SLICE 16u
#define TILE_COLUMNS 64
#define A_LINE (TILE_ROWS / 4 + 1)
#define B_LINE (TILE_COLUMNS / 4 + 1)

// ROW_FOURS x COLUMN_FOURS fours of rows and of columns an invocation.
#if TILE_ROWS == 128
#define ROW_GROUPS 16u
#define OVER_ROW_FOURS REPEAT_2
#define OVER_COLUMN_FOURS_OF REPEAT_2_OF
#define OVER_COLUMN_FOURS REPEAT_2
#define COLUMN_FOURS 2
#define ROW_FOURS 2
#elif TILE_ROWS == 64
#define ROW_GROUPS 8u
#define OVER_ROW_FOURS REPEAT_2
#define OVER_COLUMN_FOURS_OF REPEAT_1_OF
#define OVER_COLUMN_FOURS REPEAT_1
#define COLUMN_FOURS 1
#define ROW_FOURS 2
#else
#define ROW_GROUPS 8u
#define OVER_ROW_FOURS REPEAT_1
#define OVER_COLUMN_FOURS_OF REPEAT_1_OF
#define OVER_COLUMN_FOURS REPEAT_1
#define COLUMN_FOURS 1
#define ROW_FOURS 1
#endif
#define COLUMN_GROUPS (GROUP_SIZE / ROW_GROUPS)

shared vec4 a_tile[SLICE * A_LINE];
shared vec4 b_tile[SLICE * B_LINE];

vec4 sum[4 * ROW_FOURS * COLUMN_FOURS];

#define COLUMN_GROUP (gl_LocalInvocationIndex % COLUMN_GROUPS)
#define ROW_GROUP (gl_LocalInvocationIndex / COLUMN_GROUPS)

// A matrix as lines of the depth: element (line, k) is at start + line * line_stride + k * depth_stride.
struct Lines {
    uint start, line_stride, depth_stride;
    uint first, count;  // lines of the tile begin at `first`; the matrix has `count`
    bool along_depth;   // depth_stride is 1
};

#if defined(ALIGNED_FLOAT) || defined(ALIGNED_HALF)

#ifdef ALIGNED_FLOAT
#define LOAD_FOUR(name, e) name[(e) >> 2]
#else
#define LOAD_FOUR(name, e) vec4(unpackHalf2x16(name[(e) >> 2].x), unpackHalf2x16(name[(e) >> 2].y))
#endif

// Four neighbours of the innermost axis at a time. Lines past the matrix come from its last ones, the depth past
// its end is 0; only with GEMM_DEPTHS may that be inside of four.
#define STAGER(stage, name, tile, half_option, tile_lines, line_vectors) \
    void stage(Lines m, uint k0, uint end) { \
        for (uint i = gl_LocalInvocationIndex; i < uint(tile_lines) * SLICE / 4u; i += GROUP_SIZE) { \
            if (m.along_depth) { \
                uint k = i % (SLICE / 4u) * 4u, line = i / (SLICE / 4u); \
                uint e = m.start + min(m.first + line, m.count - 1u) * m.line_stride + k0 + k; \
                vec4 x = k0 + k < end ? LOAD_FOUR(name, e) : vec4(0.0); \
                if (has(GEMM_DEPTHS)) x = mix(vec4(0.0), x, lessThan(k0 + k + uvec4(0u, 1u, 2u, 3u), uvec4(end))); \
                tile[(k + 0u) * uint(line_vectors) + line / 4u][line & 3u] = x.x; \
                tile[(k + 1u) * uint(line_vectors) + line / 4u][line & 3u] = x.y; \
                tile[(k + 2u) * uint(line_vectors) + line / 4u][line & 3u] = x.z; \
                tile[(k + 3u) * uint(line_vectors) + line / 4u][line & 3u] = x.w; \
            } else { \
                uint line = i % (uint(tile_lines) / 4u), k = i / (uint(tile_lines) / 4u); \
                uint e = m.start + min(m.first + 4u * line, m.count - 4u) + (k0 + k) * m.depth_stride; \
                tile[k * uint(line_vectors) + line] = k0 + k < end ? LOAD_FOUR(name, e) : vec4(0.0); \
            } \
        } \
    }

#else

#define STAGER(stage, name, tile, half_option, tile_lines, line_vectors) \
    float stage##_one(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    void stage(Lines m, uint k0, uint end) { \
        for (uint i = gl_LocalInvocationIndex; i < uint(tile_lines) * SLICE; i += GROUP_SIZE) { \
            uint k = m.along_depth ? i % SLICE : i / uint(tile_lines); \
            uint line = m.along_depth ? i / SLICE : i % uint(tile_lines); \
            uint e = m.start + min(m.first + line, m.count - 1u) * m.line_stride + (k0 + k) * m.depth_stride; \
            tile[k * uint(line_vectors) + line / 4u][line & 3u] = k0 + k < end ? stage##_one(e) : 0.0; \
        } \
    }

#endif

STAGER(stage_a, a, a_tile, GEMM_A_HALF, TILE_ROWS, A_LINE)
STAGER(stage_b, b, b_tile, GEMM_B_HALF, TILE_COLUMNS, B_LINE)

#define AT(r, v, i) sum[(4 * (r) + (i)) * COLUMN_FOURS + (v)]
#define LOAD_ROWS(r) vec4 x##r = a_tile[k * A_LINE + uint(r) * ROW_GROUPS + ROW_GROUP];
#define LOAD_COLUMNS(v) vec4 y##v = b_tile[k * B_LINE + uint(v) * COLUMN_GROUPS + COLUMN_GROUP];
#define ADD(r, v) \
    AT(r, v, 0) += x##r.x * y##v; \
    AT(r, v, 1) += x##r.y * y##v; \
    AT(r, v, 2) += x##r.z * y##v; \
    AT(r, v, 3) += x##r.w * y##v;
#define ADD_ROWS(r) OVER_COLUMN_FOURS_OF(ADD, r)
#define CLEAR(r, v) AT(r, v, 0) = AT(r, v, 1) = AT(r, v, 2) = AT(r, v, 3) = vec4(0.0);
#define CLEAR_ROWS(r) OVER_COLUMN_FOURS_OF(CLEAR, r)

#define STORE(r, v) { \
        uint row = t.row + 4u * (uint(r) * ROW_GROUPS + ROW_GROUP); \
        uint column = t.column + 4u * (uint(v) * COLUMN_GROUPS + COLUMN_GROUP); \
        store_columns(t, row, column, AT(r, v, 0)); \
        store_columns(t, row + 1u, column, AT(r, v, 1)); \
        store_columns(t, row + 2u, column, AT(r, v, 2)); \
        store_columns(t, row + 3u, column, AT(r, v, 3)); \
    }
#define STORE_ROWS(r) OVER_COLUMN_FOURS_OF(STORE, r)

void main() {
    Tile t = tile_of_group(group_index(), TILE_ROWS, TILE_COLUMNS);
    Lines rows = Lines(t.a, p.a_row, p.a_column, t.row, p.num_rows, !has(GEMM_A_TRANSPOSED));
    Lines columns = Lines(t.b, p.b_column, p.b_row, t.column, p.num_columns, has(GEMM_B_TRANSPOSED));
    OVER_ROW_FOURS(CLEAR_ROWS)
    for (uint k0 = t.begin; k0 < t.end; k0 += SLICE) {
        barrier();
        stage_a(rows, k0, t.end);
        stage_b(columns, k0, t.end);
        barrier();
        for (uint k = 0u; k < SLICE; ++k) {
            OVER_ROW_FOURS(LOAD_ROWS)
            OVER_COLUMN_FOURS(LOAD_COLUMNS)
            OVER_ROW_FOURS(ADD_ROWS)
        }
    }
    OVER_ROW_FOURS(STORE_ROWS)
}
