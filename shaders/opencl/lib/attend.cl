// What every variant of `attend` shares: which (batch, head, tile, split) a work-group owns, which
// keys its rows see, and what happens to a score before softmax. Positions `i` and `j` are global
// (query_begin, key_begin added).
//
// A tile of rows meets three ranges of keys: [first, full_first) cut by an edge, [full_first,
// full_end) seen by all rows, [full_end, end) cut again. Only cut ranges test elements. Rows past
// the last valid query are computed like their neighbours and written as 0 at the end: they cut
// nothing.
typedef struct Tile {
    uint batch;
    uint head;    // query head within the step
    uint kv_head; // key/value head within the step
    uint split;
    uint row;  // first row, local to the step
    int rows;  // rows that exist, at most the variant's tile
    int query; // first row, global position
    int valid_queries;
    int valid_keys;
    int diagonal; // valid_keys - valid_queries: row i's own key is i + diagonal
    float slope;
    float sink;
    int first, full_first, full_end, end; // keys, global positions
} Tile;

// What the window leaves of the tile's keys.
static inline void clip_to_window(const Params *p, Tile *t) {
    int low = t->query + t->diagonal; // own key of the first row
    int high = low + t->rows - 1;     // and of the last
    if (p->window_left >= 0) {
        t->first = max(t->first, sub_sat(low, p->window_left));
        t->full_first = max(t->full_first, sub_sat(high, p->window_left));
    }
    if (p->window_right >= 0) {
        t->end = min(t->end, add_sat(high + 1, p->window_right));
        t->full_end = min(t->full_end, add_sat(low + 1, p->window_right));
    }
}

static inline Tile tile_of_group(const Params *p, __global const uint *heads, uint group,
                                 uint tile_rows) {
    Tile t;
    t.split = group % p->num_splits;
    group /= p->num_splits;
    t.row = (group % p->num_query_tiles) * tile_rows;
    group /= p->num_query_tiles;
    t.head = group % p->num_heads;
    t.batch = group / p->num_heads;
    t.kv_head = (t.head + p->head_phase) / p->heads_per_kv;
    t.rows = (int)min(tile_rows, p->num_queries - t.row);
    t.query = (int)(p->query_begin + t.row);

    t.valid_keys = (int)p->total_keys;
    t.valid_queries = (int)p->total_queries;
    t.slope = 0.0f;
    t.sink = -INFINITY;
    if (has(OPTION_LENGTHS | OPTION_ALIBI | OPTION_SINK)) {
        __global const uint *record =
            heads + p->base_heads + 4u * (t.batch * p->head_records + t.head);
        t.valid_keys = (int)record[0];
        t.valid_queries = (int)record[1];
        t.slope = as_float(record[2]);
        t.sink = as_float(record[3]);
    }
    t.diagonal = t.valid_keys - t.valid_queries;

    // The keys of this split that are bound and valid.
    uint split_end = min((t.split + 1u) * p->keys_per_split, p->num_keys);
    t.first = (int)(p->key_begin + t.split * p->keys_per_split);
    t.end = min((int)(p->key_begin + split_end), t.valid_keys);
    t.full_first = t.first;
    t.full_end = t.end;
    if (has(OPTION_WINDOW)) clip_to_window(p, &t);
    if (t.query >= t.valid_queries) t.end = t.first;
    t.end = max(t.end, t.first);
    t.full_first = clamp(t.full_first, t.first, t.end);
    t.full_end = clamp(t.full_end, t.full_first, t.end);
    if (has(OPTION_BIAS)) t.full_end = t.full_first; // a bias may remove any key
    return t;
}

// Whether rows i see keys j; j is below Tile.end already. Either may be one position in all lanes.
static inline Ints visible(const Params *p, const Tile *t, Ints i, Ints j) {
    int most_left = p->window_left < 0 ? INT_MAX : p->window_left;
    int most_right = p->window_right < 0 ? INT_MAX : p->window_right;
    Ints left = i - j + t->diagonal;
    return (left <= most_left) & (-left <= most_right);
}

static inline float load_bias(const Params *p, const Tile *t, __global const Bias *bias, int i,
                              int j) {
    uint e = p->base_bias + t->batch * p->bias_batch + t->head * p->bias_head +
             ((uint)i - p->query_begin) * p->bias_row + ((uint)j - p->key_begin);
    return load_bias_element(bias, e);
}

// True if a score goes through modify_score; else the scale (times log2 e) can be multiplied into q
// once.
static inline bool has_modifiers(void) { return has(OPTION_SOFTCAP | OPTION_ALIBI | OPTION_BIAS); }

// What q is multiplied by before the product with k.
static inline float query_factor(const Params *p) {
    return has_modifiers() ? 1.0f : p->scale * LOG2_E;
}

// From the plain product q.k to the score in units of log 2; b is the pair's bias, if there is one.
// A bias of -inf removes the key whatever q and k hold.
static inline Reals modify_score(const Params *p, const Tile *t, Reals dot_qk, Ints i, Ints j,
                                 Reals b) {
    Reals s = p->scale * dot_qk;
    if (has(OPTION_SOFTCAP)) s = p->softcap * tanh_exact(s / p->softcap);
    if (has(OPTION_ALIBI)) s -= t->slope * fabs(to_reals(i - j + t->diagonal));
    if (has(OPTION_BIAS)) s = is_negative_infinity(b) ? b : s + b;
    return s * LOG2_E;
}

// The sink of a row as the state (maximum in units of log 2, sum) that its online softmax starts
// from.
static inline bool takes_sink(const Params *p, const Tile *t) {
    return has(OPTION_SINK) && p->with_sink != 0u && t->split == 0u;
}

static inline uint out_offset(const Params *p, const Tile *t, uint row) {
    return p->base_out + t->split * p->out_split + t->batch * p->out_batch + t->head * p->out_head +
           row * p->out_row;
}

static inline uint lse_offset(const Params *p, const Tile *t, uint row) {
    return p->base_lse + t->split * p->lse_split + t->batch * p->lse_batch + t->head * p->lse_head +
           row * p->lse_row;
}
