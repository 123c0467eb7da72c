// The best keys of a row, for variants of `attend` with TOPK defined; after lib/attend.glsl. Such a program
// runs over the same keys several times: to count scores, and at last to drop those below the row's
// threshold (params/attend.h). Scores must come out alike, to the bit, in all of these runs: they take
// the same code.

// A score as a number: equal scores have equal ones, higher scores higher ones, NaN the highest.
uint score_order(float x) {
    uint bits = floatBitsToUint(x);
    if (is_nan(x)) return ~0u;
    if (bits == 0x80000000u) return bits; // -0 is 0
    return bits ^ ((bits >> 31) != 0u ? ~0u : 0x80000000u);
}

bool counts_scores() { return p.topk_counts != 0u; }

// Where the threshold of the tile's row r lies.
uint threshold_at(Tile t, uint r) {
    uint row = (t.batch * p.num_heads + t.head) * p.topk_rows + row_position(t, r);
    return p.base_heads + p.topk_at + 2u * row;
}

uint row_threshold(Tile t, uint r) { return heads[threshold_at(t, min(r, t.rows - 1u))]; }

// Whether scores of row r are still to be counted; rows past the last one are not.
bool is_undecided(Tile t, uint r) { return r < t.rows && heads[threshold_at(t, r) + 1u] != 0u; }

bool any_undecided(Tile t) {
    bool any = false;
    for (uint r = 0u; r < t.rows; ++r) any = any || is_undecided(t, r);
    return any;
}

// The bin of a score that agrees with the threshold so far; TOPK_BINS for others and for keys that the
// row does not see.
uint score_bin(float x, uint threshold) {
    uint order = score_order(x);
    if (is_negative_infinity(x) || ((order ^ threshold) >> (p.topk_above - 1u)) >> 1 != 0u) return TOPK_BINS;
    return (order >> p.topk_shift) & (TOPK_BINS - 1u);
}

// Adds a tile's count to those of row r.
void add_count(Tile t, uint r, uint bin, uint count) {
    if (count == 0u || r >= t.rows) return;
    atomicAdd(out_words[p.base_out + t.batch * p.out_batch + t.head * p.out_head +
                        row_position(t, r) * p.out_row + bin], count);
}
