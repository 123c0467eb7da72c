// Loads of four neighbouring elements of a row for the per-invocation variants of `attend`.
//
// load_NAME(e, d, size): elements d .. d + 3 of the row of `size` elements that starts at element e. Past its end the row's
// last elements come again: they are finite if the row is, and meet a zero in q or a column that nobody stores.
#if LANES == 8
#define LANE_BITS 3
#else
#define LANE_BITS 2
#endif

#ifdef TEXEL // sizes, strides and offsets are multiples of 4

#define LANE_TENSORS(q, k, v) \
    layout(set = 0, binding = 0) uniform samplerBuffer q; \
    layout(set = 0, binding = 1) uniform samplerBuffer k; \
    layout(set = 0, binding = 2) uniform samplerBuffer v;
#define LANE_LOADER(load, name) \
    vec4 load(uint e, int d, int size) { return texelFetch(name, int(e >> 2) + (min(d, size - 4) >> 2)); }

#else

#define LANE_TENSORS(q, k, v) \
    layout(std430, set = 0, binding = 0) readonly buffer Q { uint q[]; }; \
    layout(std430, set = 0, binding = 1) readonly buffer K { uint k[]; }; \
    layout(std430, set = 0, binding = 2) readonly buffer V { uint v[]; };
#define LANE_LOADER(load, name) \
    float load##_one(uint e) { \
        if (!has(OPTION_HALF)) return uintBitsToFloat(name[e]); \
        return unpackHalf2x16(name[e >> 1])[e & 1u]; \
    } \
    vec4 load(uint e, int d, int size) { \
        uvec4 i = e + uvec4(min(ivec4(d, d + 1, d + 2, d + 3), ivec4(size - 1))); \
        return vec4(load##_one(i.x), load##_one(i.y), load##_one(i.z), load##_one(i.w)); \
    }

#endif
