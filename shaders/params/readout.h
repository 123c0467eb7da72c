// Kernel `readout`: rows of linear attention, from the features x of their queries,
//   num_c = f_0 sum_f x_f S_fc + sum_j f_j a_j v_jc,   den = f_0 sum_f x_f Z_f + sum_j f_j a_j,
//   out_c = scale num_c / (scale den + eps),   0 where that denominator is 0,
// S, Z being the state that the row's chunk of slots (params/feature.h) begins with, j the slots of that chunk up to
// the row's own, a_j the product of its features with theirs, f the decays up to it, or 1. Without READOUT_CAUSAL
// there are no j, and one state for all. What a row does not see is not multiplied by 0: NaN stays where it is.
#define READOUT_BINDINGS(X)                                                                                           \
    X(features, READ) X(states, READ) X(products, READ) X(fade, READ) X(v, READ) X(lengths, READ) X(mask, READ)       \
    X(out, WRITE)

//   features   float32 [batch, head, slot, num_features]
//   states     as kernel `outer` writes them; head h has state h / heads_per_state
//   products   float32 [batch, head, slot, chunk]: a
//   fade       as kernel `fade` writes it, with READOUT_FADE
//   v          float32, or float16 with READOUT_V_HALF; its first row is position position_begin; head h has head
//              h / heads_per_value of it
//   mask       with READOUT_MASK one a head: 0, the head is pruned and its rows are 0
//   out        float32, or float16 with READOUT_OUT_HALF, whose rows then start and end on 32-bit words in GLSL; its
//              first row is query out_begin
//   num_rows, row_begin   slots that the step computes, a multiple of 16; query i is in slot i, with `total` in slot
//              i + total - num_queries
//   READOUT_SELF   valid queries are as many as valid keys; else all
//   guard      not 0: twice as much is added to denominators of at most guard
//   unroll_guard   always 0: a zero that the compiler cannot see
#define READOUT_PARAMS(X)                                                                                             \
    X(uint, base_features) X(uint, base_states) X(uint, base_products) X(uint, base_fade) X(uint, base_v)             \
    X(uint, base_lengths) X(uint, base_mask) X(uint, base_out)                                                        \
    X(uint, num_batches) X(uint, num_heads) X(uint, heads_per_state) X(uint, heads_per_value)                         \
    X(uint, num_rows) X(uint, row_begin) X(uint, total) X(uint, num_queries) X(uint, num_positions)                   \
    X(uint, position_begin) X(uint, out_begin) X(uint, chunk)                                                         \
    X(uint, num_features) X(uint, value_size) X(uint, value_stride)                                                   \
    X(uint, feature_batch) X(uint, feature_head) X(uint, states_batch) X(uint, states_head) X(uint, states_chunk)     \
    X(uint, product_batch) X(uint, product_head) X(uint, fade_batch) X(uint, fade_head)                               \
    X(uint, v_batch) X(uint, v_head) X(uint, v_row) X(uint, out_batch) X(uint, out_head) X(uint, out_row)             \
    X(float, scale) X(float, eps) X(float, guard) X(uint, unroll_guard)

#define READOUT_SPECIALISATION(X) X(0, OPTIONS)

#define READOUT_CAUSAL 1u
#define READOUT_FADE 2u
#define READOUT_V_HALF 4u
#define READOUT_OUT_HALF 8u
#define READOUT_LENGTHS 16u
#define READOUT_SELF 32u
#define READOUT_MASK 64u
#define READOUT_NORMALIZE 128u
