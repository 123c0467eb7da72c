// The best keys of a row, for variants of `attend` with TOPK defined; after lib/attend.cl. Such a program
// runs over the same keys several times: to count scores, and at last to drop those below the row's
// threshold (params/attend.h). Scores must come out alike, to the bit, in all of these runs: they take
// the same code.

// Scores as numbers that compare as they do, signed: NaN is the highest, -0 is 0. With its highest bit turned,
// the threshold is such a number.
static inline Ints score_order(Reals x) {
    const Ints bits = as_ints(x);
    Ints order = bits < 0 ? bits ^ 0x7fffffff : bits;
    order = bits == (int)0x80000000 ? (Ints)(0) : order;
    return is_nan(x) ? (Ints)(0x7fffffff) : order;
}

static inline bool counts_scores(const Params *p) { return p->topk_counts != 0u; }

// The threshold of the tile's row r as a signed number; past its last row that one's.
static inline __global const uint *threshold_of(const Params *p, const Tile *t,
                                                __global const uint *heads, int r) {
    const uint row = (t->batch * p->num_heads + t->head) * p->topk_rows +
                     row_position(p, t, min(r, t->rows - 1));
    return heads + p->base_heads + p->topk_at + 2u * row;
}
static inline int row_threshold(const Params *p, const Tile *t, __global const uint *heads, int r) {
    return as_int(threshold_of(p, t, heads, r)[0] ^ 0x80000000u);
}

// Whether scores of row r are still to be counted; rows past the last one are not.
static inline bool is_undecided(const Params *p, const Tile *t, __global const uint *heads, int r) {
    return r < t->rows && threshold_of(p, t, heads, r)[1] != 0u;
}

static inline bool any_undecided(const Params *p, const Tile *t, __global const uint *heads) {
    bool any = false;
    for (int r = 0; r < t->rows; r++) any = any || is_undecided(p, t, heads, r);
    return any;
}

// The bins of scores that agree with the thresholds so far; TOPK_BINS for others and for keys that the
// rows do not see.
static inline Ints score_bin(const Params *p, Reals x, Ints threshold) {
    const Ints order = score_order(x);
    const Ints mask = (int)(0xffffffffu << (p->topk_above - 1u) << 1);
    const Ints bin = ((order ^ (int)0x80000000) >> (int)p->topk_shift) & (TOPK_BINS - 1);
    const Ints in_none = is_negative_infinity(x) | (((order ^ threshold) & mask) != 0);
    return in_none ? (Ints)(TOPK_BINS) : bin;
}

// Adds a tile's count to those of row r.
static inline void add_count(const Params *p, const Tile *t, __global Output *out, int r, uint bin,
                             uint count) {
    if (count == 0u || r >= t->rows) return;
    volatile __global uint *counts = (volatile __global uint *)out;
    atomic_add(counts + out_offset(p, t, row_position(p, t, r)) + bin, count);
}
