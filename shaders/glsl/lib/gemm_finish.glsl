// The end of a product of matrices, for `gemm` and `collect`: bias, activation, the store. `bias` and
// `c_words` are the bindings.

float load_bias(uint e) {
    if ((OPTIONS & GEMM_BIAS_HALF) == 0u) return uintBitsToFloat(bias[e]);
    return unpackHalf2x16(bias[e >> 1])[e & 1u];
}

// `left` columns of x, at least one, to element e of c on; their bias begins at bias_at. Halves go two a word:
// the plan sees to it that rows then start on words and end with them.
void finish_columns(uint e, uint bias_at, uint left, vec4 x) {
    if ((OPTIONS & GEMM_BIAS) != 0u) {
        uvec4 i = bias_at + min(uvec4(0u, 1u, 2u, 3u), uvec4(left - 1u));
        x += p.bias_scale * vec4(load_bias(i.x), load_bias(i.y), load_bias(i.z), load_bias(i.w));
    }
    if ((OPTIONS & GEMM_RELU) != 0u) x = mix(x, vec4(0.0), lessThan(x, vec4(0.0))); // NaN stays NaN
    if ((OPTIONS & GEMM_C_HALF) != 0u) {
        c_words[e >> 1] = pack_half(x.xy);
        if (left > 2u) c_words[(e >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    c_words[e] = floatBitsToUint(x.x);
    if (left > 1u) c_words[e + 1u] = floatBitsToUint(x.y);
    if (left > 2u) c_words[e + 2u] = floatBitsToUint(x.z);
    if (left > 3u) c_words[e + 3u] = floatBitsToUint(x.w);
}
