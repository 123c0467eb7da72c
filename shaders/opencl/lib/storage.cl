// float32 and float16 elements behind one name. Halves need no device feature and no alignment:
// vload_half, vstore_half.
static inline float load_float(__global const float *x, uint e) { return x[e]; }
static inline float load_half(__global const half *x, uint e) { return vload_half(e, x); }
static inline void store_float(__global float *x, uint e, float value) { x[e] = value; }
static inline void store_half(__global half *x, uint e, float value) { vstore_half(value, e, x); }

#if OPTIONS & OPTION_HALF
typedef half Storage;
#define load load_half
#define load4(x, e) vload_half4(0, (x) + (e))
#else
typedef float Storage;
#define load load_float
#define load4(x, e) vload4(0, (x) + (e))
#endif

#if ((OPTIONS & OPTION_HALF) && !(OPTIONS & OPTION_OUT_FLOAT)) || (OPTIONS & OPTION_OUT_HALF)
typedef half Output;
#define store_output store_half
#define store_output_lanes store_half_lanes
#else
typedef float Output;
#define store_output store_float
#define store_output_lanes store_float_lanes
#endif

#if OPTIONS & OPTION_BIAS_HALF
typedef half Bias;
#define load_bias_element load_half
#else
typedef float Bias;
#define load_bias_element load_float
#endif

#if LANES == 16
#if defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#define CAN_STREAM 1
#endif
#endif
// 16 words at any address in one access: vload16 and vstore16 come in four pieces on devices of type
// CPU.
typedef struct __attribute__((packed, aligned(4))) Lanes {
    float16 x;
} Lanes;
static inline float16 load_lanes(const float *from) { return ((const Lanes *)from)->x; }
static inline void store_lanes(float *to, float16 x) { ((Lanes *)to)->x = x; }
static inline void store_float_lanes(__global float *x, uint e, float16 value) {
#ifdef CAN_STREAM
    if (((uintptr_t)(x + e) & 63u) == 0u) {
        __builtin_nontemporal_store(value, (__global float16 *)(x + e));
        return;
    }
#endif
    ((__global Lanes *)(x + e))->x = value;
}
static inline void store_half_lanes(__global half *x, uint e, float16 value) {
    _Pragma("nounroll") for (uint i = 0; i < 16; i++) store_half(x, e + i, ((const float *)&value)[i]);
}

// 16 elements from any address. The halves are widened here because the builtin takes them one by
// one on devices of type CPU. Shifted into place a half is a float too small by 2^112, subnormal or
// not; what then lies beyond the largest half, 65504, was infinity or NaN.
static inline float16 load16_float(__global const float *x, uint e) {
    return ((__global const Lanes *)(x + e))->x;
}
static inline float16 load16_half(__global const half *x, uint e) {
    int16 bits = (convert_int16(vload16(0, (__global const short *)x + e)) << 13) & (int)0x8fffe000;
    float16 value = as_float16(bits) * 0x1p112f;
    return as_float16(as_int16(value) | ((fabs(value) >= 65536.0f) & 0x7f800000));
}
#if OPTIONS & OPTION_HALF
#define load16 load16_half
#else
#define load16 load16_float
#endif
#endif
