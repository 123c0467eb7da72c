// Kernel `fade`: products of decays inside a chunk of slots (params/feature.h). Slot i of a chunk, one
// invocation, writes chunk + 16 elements: for each slot j of the chunk the decay from j to i,
//   prod_{j < t <= i} g_t,   0 for j > i,
// and behind them that from before the chunk, prod_{t <= i} g_t, then what that lost when it was rounded to float32,
// and nothing up to 16. g_t is 1 in slots without a valid position.
// Products, not sums of logarithms, so that any decay may be given. Those of a chunk's last row carry along what
// rounding took from them, and are off by half a unit at most: their error would be made again by each chunk, and add
// up (kernel `carry`). What the other rows lost is not written.
#define FADE_BINDINGS(X) X(decay, READ) X(lengths, READ) X(fade, WRITE)

//   decay   float32, or float16 with FADE_HALF; its first element is position position_begin
#define FADE_PARAMS(X)                                                                                                \
    X(uint, base_decay) X(uint, base_lengths) X(uint, base_fade)                                                      \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, row_begin)                                      \
    X(uint, total) X(uint, num_positions) X(uint, position_begin) X(uint, chunk)                                      \
    X(uint, decay_batch) X(uint, decay_head) X(uint, decay_row) X(uint, fade_batch) X(uint, fade_head)

#define FADE_SPECIALISATION(X) X(0, OPTIONS)

#define FADE_HALF 1u
#define FADE_LENGTHS 2u
