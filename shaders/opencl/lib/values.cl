// Rows of values, for kernels of linear attention; define V_HALF as the kernel's option. After storage.cl.
#if OPTIONS & V_HALF
typedef half Value;
#define load_value load_half
#define load16_value load16_half
#else
typedef float Value;
#define load_value load_float
#define load16_value load16_float
#endif

#if LANES == 1
// Columns c .. c + 3 of a row that begins at element e; past the last one it comes again.
static inline float4 load4_value(const Params *p, __global const Value *v, uint e, uint c) {
    const uint last = p->value_size - 1u;
    return (float4)(load_value(v, e + min(c, last)), load_value(v, e + min(c + 1u, last)),
                    load_value(v, e + min(c + 2u, last)), load_value(v, e + min(c + 3u, last)));
}
#else
// Columns c .. c + 15 of a row that begins at element e; past the last one 0.
static inline float16 load16_values(const Params *p, __global const Value *v, uint e, uint c) {
    if (c + 16u <= p->value_size) return load16_value(v, e + c);
    float line[16];
    for (uint i = 0; i < 16u; i++) line[i] = c + i < p->value_size ? load_value(v, e + c + i) : 0.0f;
    return load_lanes(line);
}
#endif
