// What the forms of `readout` share: which queries rows are, their denominators, and the store. `out_words` is the
// binding.

bool has(uint option) { return (OPTIONS & option) != 0u; }

// The query of a row; those before the first one come out past the last.
uint query_of(uint row) { return p.row_begin + row - (p.total != 0u ? p.total - p.num_queries : 0u); }

bool is_valid_query(uint query, uint valid_keys) { return query < (has(READOUT_SELF) ? valid_keys : p.num_queries); }

// What a row is multiplied by; `den` is the sum of its weights.
float factor_of(float den) {
    if (!has(READOUT_NORMALIZE)) return p.scale;
    den = den * p.scale + p.eps;
    if (p.guard > 0.0 && abs(den) <= p.guard) den += 2.0 * p.guard;
    return den == 0.0 ? 0.0 : p.scale / den;
}

// Columns `column` .. `column` + 3, of those that exist, of the row at element e.
void store_columns(uint e, uint column, vec4 x) {
    if (has(READOUT_OUT_HALF)) {
        if (column < p.value_size) out_words[(e + column) >> 1] = pack_half(x.xy);
        if (column + 2u < p.value_size) out_words[((e + column) >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    if (column < p.value_size) out_words[e + column] = floatBitsToUint(x.x);
    if (column + 1u < p.value_size) out_words[e + column + 1u] = floatBitsToUint(x.y);
    if (column + 2u < p.value_size) out_words[e + column + 2u] = floatBitsToUint(x.z);
    if (column + 3u < p.value_size) out_words[e + column + 3u] = floatBitsToUint(x.w);
}
