// What every variant of `attend` shares: which (batch, head, tile, split) a work-group owns, which
// keys its rows see, and what happens to a score before softmax. Positions `i` and `j` are global
// (query_begin, key_begin added).
//
// A tile walks runs of keys: with OPTION_SCHEDULE those of its entries, without one, all keys. It
// meets three ranges of a run: [first, full_first) cut by an edge, [full_first, full_end) seen by all
// rows, [full_end, end) cut again. Only cut ranges test elements. Rows past the last valid query are
// computed like their neighbours and written as 0 at the end: they cut nothing.
typedef struct Tile {
    uint batch;
    uint head;    // query head within the step
    uint kv_head; // key/value head within the step
    uint split;
    uint row;  // first row, local to the step; of a schedule: tile * tile rows
    int rows;  // rows that exist, at most the variant's tile
    __global const uint *schedule;
    uint row_base, row_stride;       // of a schedule
    uint first_entry, end_entry;     // of a schedule
    int query; // first row, global position
    int valid_queries;
    int valid_keys;
    int diagonal; // valid_keys - valid_queries: row i's own key is i + diagonal
    float slope;
    float tail; // log2 of the weight of the last valid key
    float sink;
    int block; // with OPTION_STEPS: start of the block of the first row that has a position
} Tile;

typedef struct Run {
    uint base, stride, mask;              // of a schedule
    int first, full_first, full_end, end; // keys: places in the run, or global positions
} Run;

// The position that is at place `at` of a run of a schedule.
static inline uint run_position(const Params *p, const Tile *t, uint base, uint stride, uint at) {
    return stride != 0u ? base + at * stride : t->schedule[p->positions_at + base + at];
}

// Positions of row r of the tile and of key j of the run, local to the step.
static inline uint row_position(const Params *p, const Tile *t, int r) {
    return has(OPTION_SCHEDULE) ? run_position(p, t, t->row_base, t->row_stride, (uint)r)
                                : t->row + (uint)r;
}
static inline uint key_position(const Params *p, const Tile *t, const Run *run, int j) {
    return has(OPTION_SCHEDULE) ? run_position(p, t, run->base, run->stride, (uint)j)
                                : (uint)j - p->key_begin;
}

// n / d rounded up, for d > 0; 0 for n below 0.
static inline int divide_up(int n, int d) { return n > 0 ? (n - 1) / d + 1 : 0; }

// What the window leaves of keys that are `step` positions apart and begin at `base`, for a tile
// whose rows' own keys are low to high. Keys are counted from base on.
static inline void clip_to_window(const Params *p, Run *run, int low, int high, int base,
                                  int step) {
    if (p->window_left >= 0) {
        run->first = max(run->first, divide_up(sub_sat(low - base, p->window_left), step));
        run->full_first =
            max(run->full_first, divide_up(sub_sat(high - base, p->window_left), step));
    }
    if (p->window_right >= 0) {
        run->end = min(run->end, divide_up(add_sat(high + 1 - base, p->window_right), step));
        run->full_end =
            min(run->full_end, divide_up(add_sat(low + 1 - base, p->window_right), step));
    }
}

// What is left of all keys, by steps. Sums with it do not overflow.
#define FAR 0x3fffffff

// Keys, counted from the first on, that lie at steps below `edge`.
static inline int steps_below(const Params *p, int edge) {
    return (int)p->front_keys + divide_up(edge, (int)p->key_step);
}

// Where the blocks of positions of the tile's begin: the tile's own block, or one of few after it.
static inline Ints block_start(const Params *p, const Tile *t, Ints own) {
    const int size = (int)p->row_step;
    const Ints past = own - t->block;
    return past < size ? (Ints)(t->block)
                       : t->block + to_ints((to_reals(past) + 0.5f) / (float)size) * size;
}

// The steps from which on and up to which rows see keys, front keys apart.
static inline Ints left_step(const Params *p, const Tile *t, Ints own) {
    return own < 0 ? (Ints)(FAR) : block_start(p, t, own) - p->window_left;
}
static inline Ints right_step(const Params *p, const Tile *t, Ints own) {
    const Ints edge = p->right_follows ? own : block_start(p, t, own);
    return own < 0 ? (Ints)(-1) : edge + p->window_right;
}

// Front keys are there only where the left is open.
static inline void clip_to_steps(const Params *p, const Tile *t, Run *run, int low, int high) {
    const int end = FIRST_LANE(right_step(p, t, high)), full_end = FIRST_LANE(right_step(p, t, low));
    if (p->front_keys == 0u) {
        const int first = FIRST_LANE(left_step(p, t, high < 0 ? high : max(low, 0)));
        run->first = max(run->first, steps_below(p, first));
        run->full_first =
            max(run->full_first, steps_below(p, FIRST_LANE(left_step(p, t, high))));
    }
    run->end = min(run->end, high < p->front_from ? 0 : steps_below(p, end + 1));
    run->full_end = min(run->full_end, low < p->front_from ? 0 : steps_below(p, full_end + 1));
}

static inline Ints visible_by_steps(const Params *p, const Tile *t, Ints own, Ints j) {
    const Ints e = (j - (int)p->front_keys) * (int)p->key_step;
    const Ints seen = e <= right_step(p, t, own);
    if (p->front_keys == 0u) return seen & (e >= left_step(p, t, own));
    return ((e < 0) & (own >= p->front_from)) | ((e >= 0) & seen);
}

// Brings the four edges into order.
static inline void order_edges(Run *run) {
    run->end = max(run->end, run->first);
    run->full_first = clamp(run->full_first, run->first, run->end);
    run->full_end = clamp(run->full_end, run->full_first, run->end);
    // A bias, a mask or an expression may remove any key.
    if (has(OPTIONS_HIDING)) run->full_end = run->full_first;
}

// The keys of the tile's split that are bound and valid, then what the window leaves of them.
static inline Run whole_run(const Params *p, const Tile *t) {
    const uint split_end = min((t->split + 1u) * p->keys_per_split, p->num_keys);
    Run run;
    run.base = run.stride = run.mask = 0u;
    run.first = (int)(p->key_begin + t->split * p->keys_per_split);
    run.end = min((int)(p->key_begin + split_end), t->valid_keys);
    run.full_first = run.first;
    run.full_end = run.end;
    if (has(OPTION_WINDOW)) {
        const int own = t->query + t->diagonal;
        if (has(OPTION_STEPS))
            clip_to_steps(p, t, &run, own, own + t->rows - 1);
        else
            clip_to_window(p, &run, own, own + t->rows - 1, 0, 1);
    }
    if (t->query >= t->valid_queries) run.end = run.first;
    order_edges(&run);
    return run;
}

// The keys of entry e that are valid, then what the window leaves of them. Runs of a table are not
// looked into: one that may hold invisible keys is cut all over.
static inline Run run_of_entry(const Params *p, const Tile *t, uint e) {
    __global const uint *entry = t->schedule + p->entries_at + e * ATTEND_ENTRY_WORDS;
    const int base = (int)entry[0], step = (int)entry[1];
    Run run;
    run.base = entry[0];
    run.stride = entry[1];
    run.mask = entry[3];
    run.first = run.full_first = 0;
    run.end = run.full_end = (int)entry[2];
    if (step != 0) {
        if (has(OPTION_LENGTHS)) run.end = min(run.end, divide_up(t->valid_keys - base, step));
        if (has(OPTION_WINDOW)) {
            const int low = (int)row_position(p, t, 0) + t->diagonal;
            const int high = (int)row_position(p, t, t->rows - 1) + t->diagonal;
            clip_to_window(p, &run, low, high, base, step);
        }
        if (has(OPTION_CLUSTERS))
            run.full_end = min(run.full_end, divide_up(t->valid_keys - 1 - base, step));
    } else if (has(OPTION_WINDOW | OPTION_CLUSTERS) ||
               (has(OPTION_LENGTHS) &&
                (int)key_position(p, t, &run, run.end - 1) >= t->valid_keys)) {
        run.full_end = 0;
    }
    if (run.mask != ATTEND_NO_MASK) run.full_end = 0;
    order_edges(&run);
    return run;
}

static inline void take_record(const Params *p, Tile *t, uint tile) {
    const uint class_index = t->schedule[p->class_at + t->batch * p->class_batch + t->head];
    const uint record = (class_index * p->num_query_tiles + tile) * p->num_splits + t->split;
    __global const uint *words = t->schedule + p->tiles_at + record * ATTEND_TILE_WORDS;
    t->row_base = words[0];
    t->row_stride = words[1];
    t->rows = (int)words[2];
    t->first_entry = words[3];
    t->end_entry = words[4];
    t->query = t->rows > 0 ? (int)row_position(p, t, 0) : 0;
    if (t->first_entry == ATTEND_PRUNED) t->valid_queries = 0;
    if (t->query >= t->valid_queries) t->end_entry = t->first_entry;
}

static inline Tile tile_of_group(const Params *p, __global const uint *heads,
                                 __global const uint *schedule, uint group, uint tile_rows) {
    Tile t;
    t.split = group % p->num_splits;
    group /= p->num_splits;
    const uint tile = group % p->num_query_tiles;
    t.row = tile * tile_rows;
    group /= p->num_query_tiles;
    t.head = group % p->num_heads;
    t.batch = group / p->num_heads;
    t.kv_head = (t.head + p->head_phase) / p->heads_per_kv;
    t.schedule = schedule + p->base_schedule;

    t.valid_keys = (int)p->total_keys;
    t.valid_queries = (int)p->total_queries;
    t.slope = 0.0f;
    t.tail = 0.0f;
    t.sink = -INFINITY;
    if (has(OPTION_LENGTHS | OPTION_ALIBI | OPTION_SINK | OPTION_CLUSTERS)) {
        __global const uint *record =
            heads + p->base_heads + 4u * (t.batch * p->head_records + t.head);
        t.valid_keys = (int)record[0];
        t.valid_queries = (int)record[1];
        t.slope = as_float(record[2]);
        t.tail = t.slope;
        t.sink = as_float(record[3]);
    }
    t.diagonal = t.valid_keys - t.valid_queries;
    if (has(OPTION_STEPS)) {
        const int positions = has(OPTION_LENGTHS) ? as_int(t.slope) : (int)p->total_positions;
        t.diagonal = positions - t.valid_queries;
    }
    if (has(OPTION_SCHEDULE)) {
        take_record(p, &t, tile);
    } else {
        t.rows = (int)min(tile_rows, p->num_queries - t.row);
        t.query = (int)(p->query_begin + t.row);
        if (has(OPTION_STEPS)) {
            const int own = max(t.query + t.diagonal, 0);
            const int size = (int)p->row_step;
            // Another integer division makes Intel's compiler take scratch.
            t.block = (int)((float)own / (float)size) * size;
            for (; t.block > own; t.block -= size) {
            }
            for (; own - t.block >= size; t.block += size) {
            }
        }
    }
    return t;
}

// Row of out and lse of row r of the tile, whose position is `position`.
static inline uint out_row(const Params *p, const Tile *t, int r, uint position) {
    if (!has(OPTION_SCHEDULE) || p->rows_packed != 0u) return t->row + (uint)r;
    return (uint)((int)position + p->out_shift);
}

// Whether the row at a position is one of the valid queries, and its result goes to one too.
static inline bool is_valid_row(const Params *p, const Tile *t, uint position) {
    int i = (int)(p->query_begin + position);
    if (has(OPTION_SCHEDULE)) i = max(i, i + p->out_shift);
    return i < t->valid_queries;
}

// Bits of the run's mask for 32 keys from j / 32 * 32 on, for the tile's rows from row r on.
static inline __global const uint *mask_words(const Params *p, const Tile *t, const Run *run, int j,
                                              int r, int tile_rows) {
    return t->schedule + p->masks_at + run->mask + j / 32 * tile_rows + r;
}

// Whether rows i see keys j, by window and, of a schedule, length. Either may be one position in all
// lanes.
static inline Ints visible(const Params *p, const Tile *t, Ints i, Ints j) {
    if (has(OPTION_STEPS)) return visible_by_steps(p, t, i + t->diagonal, j);
    int most_left = p->window_left < 0 ? INT_MAX : p->window_left;
    int most_right = p->window_right < 0 ? INT_MAX : p->window_right;
    Ints left = i - j + t->diagonal;
    Ints seen = (left <= most_left) & (-left <= most_right);
    return has(OPTION_SCHEDULE) ? seen & (j < t->valid_keys) : seen;
}

// The label of a pair, negative if it is hidden. Device values are not validated: every index is
// clamped.
static inline int label_of(const Params *p, const Tile *t, int i, int j) {
    __global const uint *words = t->schedule + t->batch * p->edge_batch;
    const int reach = (int)p->label_reach;
    if (has(OPTION_EDGES)) {
        const int place = j + p->edge_shift - (p->edge_local ? i : 0);
        const uint row = (uint)i - p->query_begin;
        return (int)words[row * p->edge_row + (uint)clamp(place, 0, (int)p->edge_columns - 1)];
    }
    bool own = false;
    if (has(OPTION_SEGMENTS)) {
        const uint at = p->segment_of_key ? (uint)j - p->key_begin : (uint)i - p->query_begin;
        own = (int)words[at] == (p->segment_of_key ? i : j);
        if (has(OPTION_HARD) && !own) return -1;
    }
    if (p->label_between) return 2 * reach + 1 + own;
    return j >= i ? min(j - i, reach) : reach + min(i - j, reach);
}

// What the score of a pair gains by its label.
static inline float load_label(const Params *p, const Tile *t, __global const Bias *bias, int i,
                               int j) {
    const int label = label_of(p, t, i, j);
    if (label < 0) return -INFINITY;
    if (!has(OPTION_LABELS)) return 0.0f;
    const uint row = p->base_bias + t->batch * p->bias_batch + t->head * p->bias_head +
                     ((uint)i - p->query_begin) * p->bias_row;
    return load_bias_element(bias, row + min((uint)label, p->num_labels - 1u));
}

// The addend of a pair's own, by a bias or a label.
static inline float load_addend(const Params *p, const Tile *t, __global const Bias *bias, int i,
                                int j) {
    if (!has(OPTION_BIAS)) return load_label(p, t, bias, i, j);
    uint e = p->base_bias + t->batch * p->bias_batch + t->head * p->bias_head +
             ((uint)i - p->query_begin) * p->bias_row + ((uint)j - p->key_begin);
    return load_bias_element(bias, e);
}

// True if a score goes through modify_score; else the scale (times log2 e) can be multiplied into q
// once.
static inline bool has_modifiers(void) {
    return has(OPTION_SOFTCAP | OPTION_ALIBI | OPTIONS_ADDEND | OPTION_SCORE_EXPRESSION);
}

// What q is multiplied by before the product with k.
static inline float query_factor(const Params *p) {
    return has_modifiers() ? 1.0f : p->scale * LOG2_E;
}

// From the plain product q.k to the score in units of log 2; b is the pair's addend, if there is one.
// One of -inf removes the key whatever q and k hold.
static inline Reals modify_score(const Params *p, const Tile *t, Reals dot_qk, Ints i, Ints j,
                                 Reals b) {
    Reals s = p->scale * dot_qk;
    if (has(OPTION_SOFTCAP)) s = p->softcap * tanh_exact(s / p->softcap);
    if (has(OPTION_ALIBI)) s -= t->slope * fabs(to_reals(i - j + t->diagonal));
    if (has(OPTIONS_ADDEND)) s = is_negative_infinity(b) ? b : s + b;
    return s * LOG2_E;
}

// The sink of a row as the state (maximum in units of log 2, sum) that its online softmax starts
// from.
static inline bool takes_sink(const Params *p, const Tile *t) {
    return has(OPTION_SINK) && p->with_sink != 0u && t->split == 0u;
}

// What rows begin with: their results over keys that other steps walked, as if one key stood for
// those. Only the first split takes them.
static inline bool takes_seed(const Tile *t) { return has(OPTION_SEED) && t->split == 0u; }
static inline uint seed_row(const Params *p, const Tile *t, uint position) {
    return (t->batch * p->num_heads + t->head) * p->num_queries + position;
}

// That key's score in units of log 2, -INFINITY: there is none.
static inline float seed_score(const Params *p, __global const uint *heads, uint row) {
    return as_float(heads[p->base_heads + p->seed_lse_at + row]) * LOG2_E;
}

static inline __global const float *seed_value(const Params *p, __global const uint *heads,
                                               uint row) {
    return (__global const float *)heads + p->base_heads + p->seed_at + row * p->value_size;
}

static inline uint out_offset(const Params *p, const Tile *t, uint row) {
    return p->base_out + t->split * p->out_split + t->batch * p->out_batch + t->head * p->out_head +
           row * p->out_row;
}

static inline uint lse_offset(const Params *p, const Tile *t, uint row) {
    return p->base_lse + t->split * p->lse_split + t->batch * p->lse_batch + t->head * p->lse_head +
           row * p->lse_row;
}
