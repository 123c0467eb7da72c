// What every variant of `attend` shares: which (batch, head, tile, split) a workgroup owns, which
// keys its rows see, and what happens to a score before softmax. Positions `i` and `j` are global
// (query_begin, key_begin added).
//
// A tile of rows meets three ranges of keys: [first, full_first) cut by an edge, [full_first,
// full_end) seen by all rows, [full_end, end) cut again. Only cut ranges test elements. Rows past
// the last valid query are computed like their neighbours and written as 0 at the end: they cut
// nothing.
//
// With OPTION_SCHEDULE a tile walks runs of keys, one after the other (take_entry); `first` to `end`
// then count the keys of the run that was taken last. Without, there is one run: all keys.

struct Tile {
    uint batch;
    uint head;     // query head within the step
    uint kv_head;  // key/value head within the step
    uint split;
    uint row;      // first row, local to the step; of a schedule: tile * tile rows
    uint rows;     // rows that exist, at most the variant's tile
    uint row_base, row_stride;      // of a schedule
    uint first_entry, end_entry;    // of a schedule
    uint run_base, run_stride, mask; // of the entry that was taken last
    int query;     // first row, global position
    int valid_queries;
    int valid_keys;
    int diagonal;     // valid_keys - valid_queries: row i's own key is i + diagonal
    float slope;
    float tail;       // log2 of the weight of the last valid key
    int block;        // with OPTION_STEPS: start of the block of the first row that has a position
    float sink;
    int first, full_first, full_end, end; // keys: global positions, or places in a run
};

bool has(uint option) { return (OPTIONS & option) != 0u; }

uint scheduled(uint at) { return schedule[p.base_schedule + at]; }

// The position that is at place `at` of a run of a schedule.
uint run_position(uint base, uint stride, uint at) {
    return stride != 0u ? base + at * stride : scheduled(p.positions_at + base + at);
}

// Positions of row r of the tile and of key j of the run, local to the step.
uint row_position(Tile t, uint r) {
    return has(OPTION_SCHEDULE) ? run_position(t.row_base, t.row_stride, r) : t.row + r;
}
uint key_position(Tile t, int j) {
    return has(OPTION_SCHEDULE) ? run_position(t.run_base, t.run_stride, uint(j)) : uint(j) - p.key_begin;
}

// What the window leaves of keys that are `step` positions apart and begin at `base`, for a tile whose
// rows' own keys are low to high. Keys are counted from base on.
void clip_to_window(inout Tile t, int low, int high, int base, int step) {
    int left = min(p.window_left, 0x3fffffff); // any window: the sums below must not overflow
    int right = min(p.window_right, 0x3fffffff);
    if (left >= 0) {
        t.first = max(t.first, (low - left - base + step - 1) / step);
        t.full_first = max(t.full_first, (high - left - base + step - 1) / step);
    }
    if (right >= 0) {
        t.end = min(t.end, max(high + right - base + step, 0) / step);
        t.full_end = min(t.full_end, max(low + right - base + step, 0) / step);
    }
}

// What is left and right of all keys, by steps. Sums with it do not overflow.
const int FAR = 0x3fffffff;

// Keys, counted from the first on, that lie at steps below `edge`.
int steps_below(int edge) { return int(p.front_keys) + (max(edge, 0) + int(p.key_step) - 1) / int(p.key_step); }

// Where the block of a position of the tile's begins: the tile's own block, or one of few after it.
int block_start(Tile t, int own) {
    int past = own - t.block, size = int(p.row_step);
    return past < size ? t.block : t.block + int((float(past) + 0.5) / float(size)) * size;
}

// The steps from which on and up to which a row sees keys, front keys apart.
int left_step(Tile t, int own) { return own < 0 ? FAR : block_start(t, own) - p.window_left; }
int right_step(Tile t, int own) {
    if (own < 0) return -1;
    return (p.right_follows != 0u ? own : block_start(t, own)) + p.window_right;
}

// Front keys are there only where the left is open.
void clip_to_steps(inout Tile t, int low, int high) {
    if (p.front_keys == 0u) {
        t.first = max(t.first, steps_below(left_step(t, high < 0 ? high : max(low, 0))));
        t.full_first = max(t.full_first, steps_below(left_step(t, high)));
    }
    t.end = min(t.end, high < p.front_from ? 0 : steps_below(right_step(t, high) + 1));
    t.full_end = min(t.full_end, low < p.front_from ? 0 : steps_below(right_step(t, low) + 1));
}

bool visible_by_steps(Tile t, int own, int j) {
    int e = (j - int(p.front_keys)) * int(p.key_step);
    return e < 0 ? own >= p.front_from : e <= right_step(t, own) && (p.front_keys != 0u || e >= left_step(t, own));
}

// Brings the four edges of the range into order.
void order_edges(inout Tile t) {
    t.end = max(t.end, t.first);
    t.full_first = clamp(t.full_first, t.first, t.end);
    t.full_end = clamp(t.full_end, t.full_first, t.end);
    // A bias, a mask or an expression may remove any key.
    if (has(OPTIONS_HIDING)) t.full_end = t.full_first;
}

// The keys of this split that are bound and valid, then what the window leaves of them.
void take_range(inout Tile t) {
    int bound_first = int(p.key_begin + t.split * p.keys_per_split);
    int bound_end = int(p.key_begin + min((t.split + 1u) * p.keys_per_split, p.num_keys));
    t.first = bound_first;
    t.end = min(bound_end, t.valid_keys);
    t.full_first = t.first;
    t.full_end = t.end;
    if (has(OPTION_WINDOW)) {
        int own = t.query + t.diagonal;
        if (has(OPTION_STEPS)) {
            t.block = max(own, 0) / int(p.row_step) * int(p.row_step);
            clip_to_steps(t, own, own + int(t.rows) - 1);
        }
        else clip_to_window(t, own, own + int(t.rows) - 1, 0, 1);
    }
    if (t.query >= t.valid_queries) t.end = t.first;
    order_edges(t);
}

// The keys of entry e that are valid, then what the window leaves of them. Runs of a table are not
// looked into: one that may hold invisible keys is cut all over.
void take_entry(inout Tile t, uint e) {
    uint at = p.entries_at + e * ATTEND_ENTRY_WORDS;
    t.run_base = scheduled(at);
    t.run_stride = scheduled(at + 1u);
    t.mask = scheduled(at + 3u);
    int base = int(t.run_base), step = int(t.run_stride);
    t.first = 0;
    t.end = int(scheduled(at + 2u));
    t.full_first = 0;
    t.full_end = t.end;
    if (step != 0) {
        if (has(OPTION_LENGTHS)) t.end = min(t.end, max(t.valid_keys - base + step - 1, 0) / step);
        if (has(OPTION_WINDOW)) {
            int low = int(row_position(t, 0u)) + t.diagonal;
            clip_to_window(t, low, int(row_position(t, t.rows - 1u)) + t.diagonal, base, step);
        }
        if (has(OPTION_CLUSTERS)) t.full_end = min(t.full_end, max(t.valid_keys + step - 2 - base, 0) / step);
    } else if (has(OPTION_WINDOW | OPTION_CLUSTERS)) {
        t.full_end = 0;
    } else if (has(OPTION_LENGTHS) && int(key_position(t, t.end - 1)) >= t.valid_keys) {
        t.full_end = 0;
    }
    if (t.mask != ATTEND_NO_MASK) t.full_end = 0;
    order_edges(t);
}

void take_record(inout Tile t, uint tile) {
    uint class_index = scheduled(p.class_at + t.batch * p.class_batch + t.head);
    uint record = (class_index * p.num_query_tiles + tile) * p.num_splits + t.split;
    uint at = p.tiles_at + record * ATTEND_TILE_WORDS;
    t.row_base = scheduled(at);
    t.row_stride = scheduled(at + 1u);
    t.rows = scheduled(at + 2u);
    t.first_entry = scheduled(at + 3u);
    t.end_entry = scheduled(at + 4u);
    t.query = t.rows > 0u ? int(row_position(t, 0u)) : 0;
    if (t.first_entry == ATTEND_PRUNED) t.valid_queries = 0;
    if (t.query >= t.valid_queries) t.end_entry = t.first_entry;
}

Tile tile_of_group(uint group, uint tile_rows) {
    Tile t;
    t.split = group % p.num_splits;
    group /= p.num_splits;
    uint tile = group % p.num_query_tiles;
    t.row = tile * tile_rows;
    group /= p.num_query_tiles;
    t.head = group % p.num_heads;
    t.batch = group / p.num_heads;
    t.kv_head = (t.head + p.head_phase) / p.heads_per_kv;

    t.valid_keys = int(p.total_keys);
    t.valid_queries = int(p.total_queries);
    t.slope = 0.0;
    t.tail = 0.0;
    t.sink = -INFINITY;
    if (has(OPTION_LENGTHS | OPTION_ALIBI | OPTION_SINK | OPTION_CLUSTERS)) {
        uint record = p.base_heads + 4u * (t.batch * p.head_records + t.head);
        t.valid_keys = int(heads[record]);
        t.valid_queries = int(heads[record + 1u]);
        t.slope = uintBitsToFloat(heads[record + 2u]);
        t.tail = t.slope;
        t.sink = uintBitsToFloat(heads[record + 3u]);
    }
    t.diagonal = t.valid_keys - t.valid_queries;
    if (has(OPTION_STEPS)) {
        int positions = has(OPTION_LENGTHS) ? floatBitsToInt(t.slope) : int(p.total_positions);
        t.diagonal = positions - t.valid_queries;
    }
    if (has(OPTION_SCHEDULE)) {
        take_record(t, tile);
    } else {
        t.rows = min(tile_rows, p.num_queries - t.row);
        t.query = int(p.query_begin + t.row);
        take_range(t);
    }
    return t;
}

// Row of out and lse of row r of the tile, whose position is `position`.
uint out_row(Tile t, uint r, uint position) {
    if (!has(OPTION_SCHEDULE) || p.rows_packed != 0u) return t.row + r;
    return uint(int(position) + p.out_shift);
}

// Whether the row at a position is one of the valid queries, and its result goes to one too.
bool is_valid_row(Tile t, uint position) {
    int i = int(p.query_begin + position);
    if (has(OPTION_SCHEDULE)) i = max(i, i + p.out_shift);
    return i < t.valid_queries;
}

// Bits of the mask of 32 keys from j / 32 * 32 on, for row r of the tile.
uint mask_word(Tile t, int j, uint r, uint tile_rows) {
    if (!has(OPTION_SCHEDULE) || t.mask >= ATTEND_EVALUATE) return ~0u;
    return scheduled(p.masks_at + t.mask + uint(j) / 32u * tile_rows + r);
}

// Whether row i sees key j, by lengths and window alone; without a schedule j is below Tile.end already.
bool visible(Tile t, int i, int j) {
    if (has(OPTION_SCHEDULE) && has(OPTION_LENGTHS) && j >= t.valid_keys) return false;
    if (!has(OPTION_WINDOW)) return true;
    if (has(OPTION_STEPS)) return visible_by_steps(t, i + t.diagonal, j);
    int left = i + t.diagonal - j;
    return (p.window_left < 0 || left <= p.window_left) && (p.window_right < 0 || -left <= p.window_right);
}

// The label of a pair, negative if it is hidden. Device values are not validated: every index is clamped.
int label_of(Tile t, int i, int j) {
    if (has(OPTION_EDGES)) {
        int column = clamp(j + p.edge_shift - (p.edge_local != 0u ? i : 0), 0, int(p.edge_columns) - 1);
        uint row = uint(i) - p.query_begin;
        return int(scheduled(t.batch * p.edge_batch + row * p.edge_row + uint(column)));
    }
    bool own = false;
    if (has(OPTION_SEGMENTS)) {
        bool of_key = p.segment_of_key != 0u;
        uint at = of_key ? uint(j) - p.key_begin : uint(i) - p.query_begin;
        own = int(scheduled(t.batch * p.edge_batch + at)) == (of_key ? i : j);
        if (has(OPTION_HARD) && !own) return -1;
    }
    int reach = int(p.label_reach);
    if (p.label_between != 0u) return 2 * reach + 1 + int(own);
    return j >= i ? min(j - i, reach) : reach + min(i - j, reach);
}

#ifndef EXPRESSION
// What the score of a pair gains by its label.
float load_label(Tile t, int i, int j) {
    int label = label_of(t, i, j);
    if (label < 0) return -INFINITY;
    if (!has(OPTION_LABELS)) return 0.0;
    uint row = p.base_bias + t.batch * p.bias_batch + t.head * p.bias_head + (uint(i) - p.query_begin) * p.bias_row;
    return uintBitsToFloat(bias[row + min(uint(label), p.num_labels - 1u)]);
}

float load_bias(Tile t, int i, int j) {
    uint e = p.base_bias + t.batch * p.bias_batch + t.head * p.bias_head +
             (uint(i) - p.query_begin) * p.bias_row + (uint(j) - p.key_begin);
    if (!has(OPTION_BIAS_HALF)) return uintBitsToFloat(bias[e]);
    return unpackHalf2x16(bias[e >> 1])[e & 1u];
}
#endif

// True if a score goes through modify_score; else the scale (times log2 e) can be multiplied into q
// once.
bool has_modifiers() {
    return has(OPTION_SOFTCAP | OPTION_ALIBI | OPTIONS_ADDEND | OPTION_SCORE_EXPRESSION);
}

// From the plain product q.k to the score in units of log 2. A bias of -inf removes the key
// whatever q and k hold.
float modify_score(Tile t, float dot_qk, int i, int j) {
    float s = p.scale * dot_qk;
    if (has(OPTION_SOFTCAP)) s = p.softcap * tanh_exact(s / p.softcap);
    if (has(OPTION_ALIBI)) s -= t.slope * float(abs(i + t.diagonal - j));
#ifndef EXPRESSION
    if (has(OPTIONS_ADDEND)) {
        float b = has(OPTION_BIAS) ? load_bias(t, i, j) : load_label(t, i, j);
        s = is_negative_infinity(b) ? b : s + b;
    }
#endif
    return s * LOG2_E;
}

// What the score of a key in a cut tile gains by the key's weight, in units of log 2.
float key_weight(Tile t, int j) {
    return has(OPTION_CLUSTERS) && j == t.valid_keys - 1 ? t.tail : 0.0;
}

// What rows begin with: their results over keys that other steps walked, as if one key stood for those.
// Only the first split takes them.
bool takes_seed(Tile t) { return has(OPTION_SEED) && t.split == 0u; }
uint seed_row(Tile t, uint position) {
    return (t.batch * p.num_heads + t.head) * p.num_queries + position;
}

// That key's score in units of log 2 (-INFINITY: there is none) and its weight, not finite if lse is not.
float seed_score(uint row, out float weight) {
    float x = uintBitsToFloat(heads[p.base_heads + p.seed_lse_at + row]);
    weight = is_negative_infinity(x) ? 0.0 : is_finite(x) ? 1.0 : NOT_A_NUMBER;
    return weight == 1.0 ? x * LOG2_E : -INFINITY;
}

// Columns d .. d + 3 of its value; past the last that one comes again.
vec4 seed_value(uint row, uint d) {
    uint at = p.base_heads + p.seed_at + row * p.value_size;
    uvec4 i = at + min(d + uvec4(0u, 1u, 2u, 3u), uvec4(p.value_size - 1u));
    return uintBitsToFloat(uvec4(heads[i.x], heads[i.y], heads[i.z], heads[i.w]));
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
