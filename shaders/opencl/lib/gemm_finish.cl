// The end of a product of matrices, for `gemm` and `collect`: bias, activation, the store.
#if OPTIONS & GEMM_BIAS_HALF
typedef half BiasElement;
#define load_bias load_half
#define load16_bias load16_half
#else
typedef float BiasElement;
#define load_bias load_float
#define load16_bias load16_float
#endif
#if OPTIONS & GEMM_C_HALF
typedef half CElement;
#define store_output store_half
#define store16_output(c, e, x) vstore_half16(x, 0, (c) + (e))
#else
typedef float CElement;
#define store_output store_float
#define store16_output(c, e, x) vstore16(x, 0, (c) + (e))
#endif

// One column, whose bias is element `bias_at`, to element e of c.
static inline void finish_column(const Params *p, __global CElement *c, uint e,
                                 __global const BiasElement *bias, uint bias_at, float x) {
    if (has(GEMM_BIAS)) x += p->bias_scale * load_bias(bias, bias_at);
    if (has(GEMM_RELU)) x = x < 0.0f ? 0.0f : x; // NaN stays NaN
    store_output(c, e, x);
}

#if LANES == 16
// 16 columns, of which `left` exist.
static inline void finish_columns(const Params *p, __global CElement *c, uint e,
                                  __global const BiasElement *bias, uint bias_at, uint left,
                                  float16 x) {
    if (left < 16u) {
        float columns[16];
        vstore16(x, 0, columns);
        for (uint i = 0; i < left; i++) finish_column(p, c, e + i, bias, bias_at + i, columns[i]);
        return;
    }
    if (has(GEMM_BIAS)) x += p->bias_scale * load16_bias(bias, bias_at);
    if (has(GEMM_RELU)) x = x < 0.0f ? (float16)(0.0f) : x;
    store16_output(c, e, x);
}
#endif
