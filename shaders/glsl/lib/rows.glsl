// Loads of four neighbouring elements of a row of q, k or v, whatever is stored: define ALIGNED_FLOAT (vec4), ALIGNED_HALF
// (four halves in two words), or neither (any dtype, by OPTION_HALF, and any alignment).
//
// load_NAME(e, left): elements e .. e + 3, of which only the first `left` belong to the row; the others read as 0.
// `left` may be 0 or less: the row's last element, e + left - 1, is then what is read and dropped. Never out of bounds.
// Aligned rows are read whole (left >= 4), and also by load_NAME_word(i): elements 4 i .. 4 i + 3.
#if defined(ALIGNED_FLOAT)

#define ROW_WORD vec4
#define ROW_LOADER(load, at, name) \
    vec4 load##_word(uint i) { return name[i]; } \
    vec4 load(uint e, int left) { return name[e / 4u]; }

#elif defined(ALIGNED_HALF)

#define ROW_WORD uvec2
#define ROW_LOADER(load, at, name) \
    vec4 load##_word(uint i) { return vec4(unpackHalf2x16(name[i].x), unpackHalf2x16(name[i].y)); } \
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
