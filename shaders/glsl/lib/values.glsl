// Rows of values in fours, for kernels of linear attention. `v` is the binding; the kernel's parameters have
// value_size. Define ALIGNED_FLOAT (float32 on multiples of 4 elements), or nothing: any type, by V_HALF, and any
// alignment.
#ifdef ALIGNED_FLOAT
layout(std430, set = 0, binding = V_BINDING) readonly buffer V { vec4 v[]; };
vec4 load_v(uint e, uint c) { return v[(e + min(c, p.value_size - 4u)) >> 2]; }
#else
layout(std430, set = 0, binding = V_BINDING) readonly buffer V { uint v[]; };
float load_one(uint e) {
    if ((OPTIONS & V_HALF) == 0u) return uintBitsToFloat(v[e]);
    return unpackHalf2x16(v[e >> 1])[e & 1u];
}
// Columns c .. c + 3 of a row that begins at element e; past the last one it comes again.
vec4 load_v(uint e, uint c) {
    uvec4 i = e + min(c + uvec4(0u, 1u, 2u, 3u), uvec4(p.value_size - 1u));
    return vec4(load_one(i.x), load_one(i.y), load_one(i.z), load_one(i.w));
}
#endif
