#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// gemm, per invocation: c = activation(scale a b + bias), for devices of type CPU, where an invocation is
// a lane of a vector register and shared memory gains nothing.
//
// A workgroup is one subgroup of LANES invocations and owns ROWS rows x 4 * LANES * VECTORS columns of c. A
// lane keeps all rows of 4 * VECTORS columns in registers and takes 4 of the depth a step. Its elements of
// b it fetches itself; those of a, which all lanes need, the lanes fetch together, and shuffles hand
// them round. Either matrix comes in fours along its innermost axis, whichever that is, and so needs no
// transposition: components are registers of their own.
//
// Defines: LANES (8), ROWS (8, 32), VECTORS; TEXEL: a and b are uniform texel buffers, offsets, strides and
// innermost extents multiples of 4.

#include "../params/gemm.h"
#define KERNEL_PARAMS GEMM_PARAMS
#define KERNEL_SPECIALISATION GEMM_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = LANES) in;

#ifdef TEXEL
layout(set = 0, binding = 0) uniform samplerBuffer a;
layout(set = 0, binding = 1) uniform samplerBuffer b;
#else
layout(std430, set = 0, binding = 0) readonly buffer A { uint a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { uint b[]; };
#endif
layout(std430, set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Depths { int depths[]; };
layout(std430, set = 0, binding = 4) writeonly buffer C { uint c_words[]; };

#include "lib/gemm_finish.glsl"
#include "lib/gemm.glsl"

// load_NAME(e, left): elements e .. e + 3, of which `left`, at least one, belong to the line; in place
// of others its last one comes again.
#ifdef TEXEL
#define LOADER(load, name, half_option) \
    vec4 load(uint e, uint left) { return texelFetch(name, int(e >> 2)); }
#else
#define LOADER(load, name, half_option) \
    float load##_one(uint e) { \
        if (!has(half_option)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, uint left) { \
        uvec4 i = e + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u)); \
        return vec4(load##_one(i.x), load##_one(i.y), load##_one(i.z), load##_one(i.w)); \
    }
#endif
LOADER(load_a, a, GEMM_A_HALF)
LOADER(load_b, b, GEMM_B_HALF)

// Unrolled, so that register blocks are indexed by literals.
#define EACH(i, n) [[unroll]] for (int i = 0; i < n; ++i)

#define lane gl_SubgroupInvocationID
const int A_FETCHES = ROWS / LANES;

// Element x of lane `from`. The index is not quite a constant: drivers spend two instructions on a
// constant one.
#define SHARED(x, from) subgroupShuffle(x, uint(from) + p.unroll_guard)

vec4 sum[ROWS][VECTORS];
uint a_at[A_FETCHES];       // lines that the lane fetches, at depth 0
uint b_at[VECTORS][4];      // the lane's columns, at depth 0; of b as it is, those of fours alone
uint a_left[A_FETCHES], b_left[VECTORS]; // elements of a line across the depth

uint column_of(Tile t, int v) { return t.column + 4u * (uint(LANES * v) + lane); }

// The lane's first place in a group of four along an axis of `extent`; past its end the last group
// comes again.
uint group_start(uint at, uint extent, out uint left) {
    uint start = min(at, (extent - 1u) & ~3u);
    left = extent - start;
    return start;
}

void start(Tile t) {
    EACH(i, A_FETCHES) {
        if (has(GEMM_A_TRANSPOSED)) {
            // Lane l: four of the depth, l & 3; rows l >> 2 in fours.
            uint row = group_start(t.row + uint(LANES * i) + 4u * (lane >> 2), p.num_rows, a_left[i]);
            a_at[i] = t.a + row;
        } else {
            a_at[i] = t.a + min(t.row + uint(LANES * i) + lane, p.num_rows - 1u) * p.a_row;
        }
    }
    EACH(v, VECTORS) {
        uint column = group_start(column_of(t, v), p.num_columns, b_left[v]);
        EACH(j, 4) b_at[v][j] = has(GEMM_B_TRANSPOSED)
            ? t.b + min(column_of(t, v) + uint(j), p.num_columns - 1u) * p.b_column
            : t.b + column;
        EACH(r, ROWS) sum[r][v] = vec4(0.0);
    }
}

// Rows of b at depth k .. k + 3, of which `left` exist; others are 0.
vec4 b_rows[4][VECTORS];

void fetch_b(uint k, uint left) {
    EACH(v, VECTORS) {
        if (has(GEMM_B_TRANSPOSED)) {
            vec4 x[4];
            EACH(j, 4) x[j] = load_b(b_at[v][j] + k, left);
            EACH(i, 4) b_rows[i][v] = vec4(x[0][i], x[1][i], x[2][i], x[3][i]);
        } else {
            EACH(i, 4) b_rows[i][v] = load_b(b_at[v][0] + min(k + uint(i), k + left - 1u) * p.b_row, b_left[v]);
        }
        EACH(i, 4) if (left <= uint(i)) b_rows[i][v] = vec4(0.0);
    }
}

// What the lane fetches of a for the others, 0 past the end of the depth.
vec4 fetch_a(int i, uint k, uint left) {
    if (has(GEMM_A_TRANSPOSED)) {
        uint own = lane & 3u;
        vec4 x = load_a(a_at[i] + (k + min(own, left - 1u)) * p.a_column, a_left[i]);
        return own < left ? x : vec4(0.0);
    }
    vec4 x = load_a(a_at[i] + k, left);
    return mix(vec4(0.0), x, lessThan(uvec4(0u, 1u, 2u, 3u), uvec4(left)));
}

// Adds depth k .. k + left - 1; left: 4, or less at the end.
void add_step(uint k, uint left) {
    fetch_b(k, left);
    EACH(f, A_FETCHES) {
        vec4 x = fetch_a(f, k, left);
        EACH(r, LANES) EACH(i, 4) {
            float element = has(GEMM_A_TRANSPOSED) ? SHARED(x[r & 3], 4 * (r >> 2) + i) : SHARED(x[i], r);
            EACH(v, VECTORS) sum[LANES * f + r][v] += element * b_rows[i][v];
        }
    }
}

void main() {
    Tile t = tile_of_group(group_index(), ROWS, 4 * LANES * VECTORS);
    start(t);
    uint whole = t.begin + ((t.end - t.begin) & ~3u);
    for (uint k = t.begin; k < whole; k += 4u) add_step(k, 4u);
    if (whole < t.end) add_step(whole, t.end - whole);
    EACH(r, ROWS) EACH(v, VECTORS) store_columns(t, t.row + uint(r), column_of(t, v), sum[r][v]);
}
