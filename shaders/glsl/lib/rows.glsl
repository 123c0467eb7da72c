// The tensors of `attend` as storage buffers, and loads of four neighbouring elements of a row of q, k or v,
// whatever is stored: define ALIGNED_FLOAT (vec4), ALIGNED_HALF (four halves in two words), or neither (any
// dtype, by OPTION_HALF, and any alignment).
//
// load_NAME(e, left): elements e .. e + 3, of which only the first `left` belong to the row; the others are
// read as 0. `left` may be 0 or less: the row's last element, e + left - 1, is what is read then, and
// dropped, so nothing is read out of bounds. Aligned rows are read whole (left >= 4); for them there is
// load_NAME_word(i) too: elements 4 i .. 4 i + 3.
#if defined(ALIGNED_FLOAT)

#define ROWS_ALIGNED
#define ROW_WORD vec4
#define ROW_LOADER(load, at, name) \
    vec4 load##_word(uint i) { return name[i]; } \
    vec4 load(uint e, int left) { return name[e / 4u]; }

#elif defined(ALIGNED_HALF)

#define ROWS_ALIGNED
#define ROW_WORD uvec2
#define ROW_LOADER(load, at, name) \
    vec4 load##_word(uint i) { \
        return vec4(unpackHalf2x16(name[i].x), unpackHalf2x16(name[i].y)); \
    } \
    vec4 load(uint e, int left) { return load##_word(e / 4u); }

#else

#define ROW_WORD uint
#define ROW_LOADER(load, at, name) \
    float at(uint e) { \
        if (!has(OPTION_HALF)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, int left) { \
        ivec4 i = min(ivec4(0, 1, 2, 3), ivec4(left - 1)); \
        vec4 x = vec4(at(e + uint(i.x)), at(e + uint(i.y)), at(e + uint(i.z)), at(e + uint(i.w))); \
        return mix(vec4(0.0), x, greaterThan(ivec4(left), ivec4(0, 1, 2, 3))); \
    }

#endif

layout(std430, set = 0, binding = 0) readonly buffer Q { ROW_WORD q[]; };
layout(std430, set = 0, binding = 1) readonly buffer K { ROW_WORD k[]; };
layout(std430, set = 0, binding = 2) readonly buffer V { ROW_WORD v[]; };
#ifdef EXPRESSION
layout(std430, set = 0, binding = 3) readonly buffer Words { int expression_words[]; };
#else
layout(std430, set = 0, binding = 3) readonly buffer Bias { uint bias[]; };
#endif
layout(std430, set = 0, binding = 4) readonly buffer Heads { uint heads[]; };
#ifdef TOPK
layout(std430, set = 0, binding = 5) buffer Out { uint out_words[]; };
#else
layout(std430, set = 0, binding = 5) writeonly buffer Out { uint out_words[]; };
#endif
layout(std430, set = 0, binding = 6) writeonly buffer Lse { float lse[]; };
layout(std430, set = 0, binding = 7) readonly buffer Schedule { uint schedule[]; };

#include "attend.glsl"
#include "store.glsl"
#ifdef EXPRESSION
#include "attend_expression.glsl"
#endif
#ifdef TOPK
#include "attend_topk.glsl"
#endif

ROW_LOADER(load_q, q_at, q)
ROW_LOADER(load_k, k_at, k)
ROW_LOADER(load_v, v_at, v)

// Local row and key positions for loads. Rows past the end repeat the last one and keys out of the tile's
// range its first or last, so that reads stay in bounds and cut nothing. Only while the range is not empty.
uint clamp_row(Tile t, uint row) { return row_position(t, min(row, t.rows - 1u)); }
uint clamp_key(Tile t, int j) { return key_position(t, clamp(j, t.first, t.end - 1)); }

// A score from the product of the tile's row `row` and key j; `cut` tests whether the key is seen.
float finish_score(Tile t, bool cut, float dot_qk, uint row, int j, uint tile_rows) {
    int i = int(p.query_begin + clamp_row(t, row));
    int at = int(p.key_begin + clamp_key(t, j));
    if (cut) {
        if (!(j >= t.first && j < t.end && visible(t, i, at))) return -INFINITY;
        if (has(OPTION_SCHEDULE) && (mask_word(t, j, row, tile_rows) >> (j & 31) & 1u) == 0u) return -INFINITY;
    }
#ifdef EXPRESSION
    return evaluate_score(t, has_modifiers() ? dot_qk : dot_qk * (p.scale * LOG2_E), i, at);
#else
    if (has_modifiers()) return modify_score(t, dot_qk, i, at);
    float s = dot_qk * (p.scale * LOG2_E);
    return cut && has(OPTION_CLUSTERS) ? s + key_weight(t, at) : s;
#endif
}

float max_of(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }
float sum_of(vec4 x) { return (x.x + x.y) + (x.z + x.w); }
