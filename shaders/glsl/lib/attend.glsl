// What every variant of `attend` shares: which (batch, head, tile, split) a workgroup owns, which
// keys its rows see, and what happens to a score before softmax. Positions `i` and `j` are global
// (query_begin, key_begin added).
//
// A tile of rows meets three ranges of keys: [first, full_first) cut by an edge, [full_first,
// full_end) seen by all rows, [full_end, end) cut again. Only cut ranges test elements. Rows past
// the last valid query are computed like their neighbours and written as 0 at the end: they cut
// nothing.

struct Tile {
    uint batch;
    uint head;     // query head within the step
    uint kv_head;  // key/value head within the step
    uint split;
    uint row;         // first row, local to the step
    int query;        // first row, global position
    int valid_queries;
    int valid_keys;
    int diagonal;     // valid_keys - valid_queries: row i's own key is i + diagonal
    float slope;
    float sink;
    int first, full_first, full_end, end; // keys, global positions
};

bool has(uint option) { return (OPTIONS & option) != 0u; }

Tile tile_of_group(uint group, uint tile_rows) {
    Tile t;
    t.split = group % p.num_splits;
    group /= p.num_splits;
    t.row = (group % p.num_query_tiles) * tile_rows;
    group /= p.num_query_tiles;
    t.head = group % p.num_heads;
    t.batch = group / p.num_heads;
    t.kv_head = (t.head + p.head_phase) / p.heads_per_kv;
    t.query = int(p.query_begin + t.row);

    t.valid_keys = int(p.total_keys);
    t.valid_queries = int(p.total_queries);
    t.slope = 0.0;
    t.sink = -INFINITY;
    if (has(OPTION_LENGTHS | OPTION_ALIBI | OPTION_SINK)) {
        uint record = p.base_heads + 4u * (t.batch * p.head_records + t.head);
        t.valid_keys = int(heads[record]);
        t.valid_queries = int(heads[record + 1u]);
        t.slope = uintBitsToFloat(heads[record + 2u]);
        t.sink = uintBitsToFloat(heads[record + 3u]);
    }
    t.diagonal = t.valid_keys - t.valid_queries;

    // The keys of this split that are bound and valid, then what the window leaves of them.
    int bound_first = int(p.key_begin + t.split * p.keys_per_split);
    int bound_end = int(p.key_begin + min((t.split + 1u) * p.keys_per_split, p.num_keys));
    t.first = bound_first;
    t.end = min(bound_end, t.valid_keys);
    t.full_first = t.first;
    t.full_end = t.end;
    if (has(OPTION_WINDOW)) {
        int low = t.query + t.diagonal;                                                    // own key of the first row
        int high = t.query + int(min(tile_rows, p.num_queries - t.row)) - 1 + t.diagonal;  // and of the last
        int left = min(p.window_left, 0x3fffffff); // any window: the sums below must not overflow
        int right = min(p.window_right, 0x3fffffff);
        if (left >= 0) {
            t.first = max(t.first, low - left);
            t.full_first = max(t.full_first, high - left);
        }
        if (right >= 0) {
            t.end = min(t.end, high + right + 1);
            t.full_end = min(t.full_end, low + right + 1);
        }
    }
    if (t.query >= t.valid_queries) t.end = t.first;
    t.end = max(t.end, t.first);
    t.full_first = clamp(t.full_first, t.first, t.end);
    t.full_end = clamp(t.full_end, t.full_first, t.end);
    if (has(OPTION_BIAS)) t.full_end = t.full_first; // a bias may remove any key
    return t;
}

// Whether row i sees key j; j is below Tile.end already.
bool visible(Tile t, int i, int j) {
    if (!has(OPTION_WINDOW)) return true;
    int left = i + t.diagonal - j;
    return (p.window_left < 0 || left <= p.window_left) && (p.window_right < 0 || -left <= p.window_right);
}

float load_bias(Tile t, int i, int j) {
    uint e = p.base_bias + t.batch * p.bias_batch + t.head * p.bias_head +
             (uint(i) - p.query_begin) * p.bias_row + (uint(j) - p.key_begin);
    if (!has(OPTION_BIAS_HALF)) return uintBitsToFloat(bias[e]);
    return unpackHalf2x16(bias[e >> 1])[e & 1u];
}

// True if a score goes through modify_score; else the scale (times log2 e) can be multiplied into q
// once.
bool has_modifiers() { return has(OPTION_SOFTCAP | OPTION_ALIBI | OPTION_BIAS); }

// From the plain product q.k to the score in units of log 2. A bias of -inf removes the key
// whatever q and k hold.
float modify_score(Tile t, float dot_qk, int i, int j) {
    float s = p.scale * dot_qk;
    if (has(OPTION_SOFTCAP)) s = p.softcap * tanh_exact(s / p.softcap);
    if (has(OPTION_ALIBI)) s -= t.slope * float(abs(i + t.diagonal - j));
    if (has(OPTION_BIAS)) {
        float b = load_bias(t, i, j);
        s = is_negative_infinity(b) ? b : s + b;
    }
    return s * LOG2_E;
}

// The end of a row: `sum` of weights relative to row maximum `m` (units of log 2). Returns lse and
// gives the factor that turns the accumulated values into the output: 0 for a row without a visible
// key. A sink is one more summand.
float finish_row(Tile t, bool with_sink, float m, float sum, out float factor) {
    float top = m;
    float decay = 1.0;
    if (with_sink) {
        float sink = t.sink * LOG2_E;
        top = max(m, sink);
        if (!is_negative_infinity(top)) {
            decay = exp2(m - top);
            sum = sum * decay + exp2(sink - top);
        }
    }
    // Drivers' exp2 and log2 may lose a NaN, but then the sum is not finite; a good sum always is.
    if (!is_finite(sum)) {
        factor = NOT_A_NUMBER;
        return NOT_A_NUMBER;
    }
    factor = sum == 0.0 ? 0.0 : decay / sum;
    return sum == 0.0 ? -INFINITY : (top + log2(sum)) * LN_2;
}
