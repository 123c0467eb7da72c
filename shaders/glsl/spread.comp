#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// spread: joins the results of levels, of which query i takes row i >> l:
//   lse = log sum_l 2^l exp(lse_l),  out = sum_l 2^l exp(lse_l - lse) out_l.
// 128 items a workgroup, one an invocation; an item is COLUMNS neighbouring columns of one query. The
// invocation of a query's first columns writes its lse. See params/spread.h.
//
// Defines: COLUMNS (4, 16); TEXEL: `levels` is a uniform texel buffer, value_size a multiple of 4.

#include "../params/spread.h"
#define KERNEL_PARAMS SPREAD_PARAMS
#define KERNEL_SPECIALISATION SPREAD_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 128) in;

#ifdef TEXEL
layout(set = 0, binding = 0) uniform samplerBuffer levels;
#else
layout(std430, set = 0, binding = 0) readonly buffer Levels { float levels[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer LevelLse { float level_lse[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out { uint out_words[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Lse { float lse[]; };

#define VECTORS (COLUMNS / 4)
#define EACH_VECTOR [[unroll]] for (uint x = 0u; x < VECTORS; ++x)

bool has(uint option) { return (OPTIONS & option) != 0u; }

// A level: its number, the place of its first row among those of all, its rows a head.
struct Level {
    uint number, first, rows;
};

Level first_level() { return Level(0u, 0u, p.num_queries); }

void go_up(inout Level level) {
    level.number++;
    level.first += p.num_batches * p.num_heads * level.rows;
    level.rows = (level.rows + 1u) / 2u;
}

// Where the row of a query lies; `head` counts those of all batches.
uint row_of(Level level, uint head, uint query) {
    return level.first + head * level.rows + (query >> level.number);
}

// In units of log 2, the weight of the level's keys added.
float load_lse(Level level, uint head, uint query) {
    return level_lse[p.base_level_lse + row_of(level, head, query)] * LOG2_E + float(level.number);
}

vec4 columns[VECTORS];

// Four columns of the row that starts at element e; past its end its last ones come again.
vec4 load_columns(uint e, uint column) {
#ifdef TEXEL
    return texelFetch(levels, int((e + min(column, p.value_size - 4u)) >> 2));
#else
    uvec4 i = e + min(column + uvec4(0u, 1u, 2u, 3u), uvec4(p.value_size - 1u));
    return vec4(levels[i.x], levels[i.y], levels[i.z], levels[i.w]);
#endif
}

// Sum of exp2(lse_l - shift), and of the same times out_l's columns.
float join_levels(uint num_levels, uint head, uint query, uint column, float shift) {
    float sum = 0.0;
    EACH_VECTOR columns[x] = vec4(0.0);
    for (Level level = first_level(); level.number < num_levels; go_up(level)) {
        float weight = exp2(load_lse(level, head, query) - shift);
        uint e = p.base_levels + row_of(level, head, query) * p.value_size;
        sum += weight;
        EACH_VECTOR columns[x] += weight * load_columns(e, column + 4u * x);
    }
    return sum;
}

// `left` columns of x to element e on.
void store_columns(uint e, int left, vec4 x) {
    if (has(SPREAD_HALF)) {
        if (left > 0) out_words[e >> 1] = pack_half(x.xy);
        if (left > 2) out_words[(e >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    [[unroll]] for (int d = 0; d < 4; ++d)
        if (left > d) out_words[e + uint(d)] = floatBitsToUint(x[d]);
}

void main() {
    uint items_a_row = (p.value_size + COLUMNS - 1u) / COLUMNS;
    uint item = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = item % items_a_row * COLUMNS;
    uint query = item / items_a_row % p.num_queries;
    uint any_head = item / items_a_row / p.num_queries;
    uint head = any_head % p.num_heads, batch = any_head / p.num_heads;
    if (batch >= p.num_batches) return;

    float top = load_lse(first_level(), any_head, query);
    uint num_levels = is_negative_infinity(top) ? 1u : p.num_levels;
    for (Level level = first_level(); level.number < num_levels; go_up(level))
        top = max(top, load_lse(level, any_head, query));
    float shift = is_negative_infinity(top) ? 0.0 : top;

    float sum = join_levels(num_levels, any_head, query, column, shift);
    if (!is_finite(sum)) sum = NOT_A_NUMBER; // a NaN that exp2 lost
    float factor = sum == 0.0 ? 1.0 : 1.0 / sum;
    uint e = p.base_out + batch * p.out_batch + head * p.out_head + query * p.out_row + column;
    EACH_VECTOR store_columns(e + 4u * x, int(p.value_size - column) - int(4u * x), factor * columns[x]);
    if (has(SPREAD_LSE) && column == 0u)
        lse[p.base_lse + batch * p.lse_batch + head * p.lse_head + query * p.lse_row] =
            is_nan(sum) ? sum : sum == 0.0 ? -INFINITY : (shift + log2(sum)) * LN_2;
}
