// How rows of `out` and `lse` are written. `row` is one of the tile's that exist; rows past the last valid
// query get 0 and -inf whatever is given for them. `out` is float32, or float16 whose rows start on whole
// words and whose columns are even in number.
void store_columns(Tile t, uint row, uint column, vec4 x) {
    uint position = row_position(t, row);
    uint e = p.base_out + t.split * p.out_split + t.batch * p.out_batch + t.head * p.out_head +
             out_row(t, row, position) * p.out_row + column;
    if (!is_valid_row(t, position)) x = vec4(0.0);
    if (has(OPTION_OUT_HALF) || (has(OPTION_HALF) && !has(OPTION_OUT_FLOAT))) {
        if (column < p.value_size) out_words[e >> 1] = pack_half(x.xy);
        if (column + 2u < p.value_size) out_words[(e >> 1) + 1u] = pack_half(x.zw);
        return;
    }
    if (column < p.value_size) out_words[e] = floatBitsToUint(x.x);
    if (column + 1u < p.value_size) out_words[e + 1u] = floatBitsToUint(x.y);
    if (column + 2u < p.value_size) out_words[e + 2u] = floatBitsToUint(x.z);
    if (column + 3u < p.value_size) out_words[e + 3u] = floatBitsToUint(x.w);
}

void store_lse(Tile t, uint row, float x) {
    if (!has(OPTION_LSE)) return;
    uint position = row_position(t, row);
    uint e = p.base_lse + t.split * p.lse_split + t.batch * p.lse_batch + t.head * p.lse_head +
             out_row(t, row, position) * p.lse_row;
    lse[e] = is_valid_row(t, position) ? x : -INFINITY;
}
