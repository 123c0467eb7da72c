// Kernel `outer`: sums of outer products, one a chunk of slots (params/feature.h),
//   S_fc = sum_s w_s x_sf v_sc,   Z_f = sum_s w_s x_sf,
// x being features, v the values at the slots' positions, w_s the decay from slot s to the chunk's end, or 1.
// Values of slots without a valid position are not read.
#define OUTER_BINDINGS(X) X(features, READ) X(v, READ) X(fade, READ) X(lengths, READ) X(states, WRITE)

//   features  float32 [batch, head, slot, num_features]
//   v         float32, or float16 with OUTER_V_HALF; its first row is position position_begin. Head h of the
//             states has head h / heads_per_value of it
//   fade      as kernel `fade` writes it, with OUTER_FADE
//   states    float32, a chunk: S, rows of value_stride (a multiple of 16, columns past value_size 0), then Z
//   unroll_guard   always 0: a zero that the compiler cannot see
#define OUTER_PARAMS(X)                                                                                               \
    X(uint, base_features) X(uint, base_v) X(uint, base_fade) X(uint, base_lengths) X(uint, base_states)              \
    X(uint, num_batches) X(uint, num_heads) X(uint, heads_per_value)                                                  \
    X(uint, num_rows) X(uint, row_begin) X(uint, total) X(uint, num_positions) X(uint, position_begin)                \
    X(uint, chunk) X(uint, num_chunks) X(uint, num_features) X(uint, value_size) X(uint, value_stride)                \
    X(uint, feature_batch) X(uint, feature_head) X(uint, v_batch) X(uint, v_head) X(uint, v_row)                      \
    X(uint, fade_batch) X(uint, fade_head) X(uint, states_batch) X(uint, states_head) X(uint, states_chunk)  \
    X(uint, unroll_guard)

#define OUTER_SPECIALISATION(X) X(0, OPTIONS)

#define OUTER_V_HALF 1u
#define OUTER_FADE 2u
#define OUTER_LENGTHS 4u
