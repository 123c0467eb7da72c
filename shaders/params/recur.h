// Kernel `recur`: linear attention of a few tokens after a given state, for decoding. For each token t, in order,
//   S_fc = g_t S_fc + k_tf v_tc,   Z_f = g_t Z_f + k_tf,   out_tc = scale q_t.S_c / (scale q_t.Z + eps),
// q and k being features. What the state holds is read once and, if wanted, written once.
#define RECUR_BINDINGS(X)                                                                                             \
    X(features, READ) X(v, READ) X(decay, READ) X(state_s, READ) X(state_z, READ) X(out, WRITE) X(s_out, WRITE)       \
    X(z_out, WRITE)

//   features  float32 rows of num_features: of keys [batch, head, token], and from element query_begin on of queries,
//             [batch, group * head + member, token]
//   v         float32, or float16 with RECUR_V_HALF
//   decay     g, with RECUR_DECAY; float16 with RECUR_DECAY_HALF
//   state_s, state_z, s_out, z_out   float32, size rows of value_size, and size elements; with RECUR_GIVEN,
//             RECUR_S_OUT, RECUR_Z_OUT
//   out       with RECUR_OUT; float16 with RECUR_OUT_HALF, whose rows then start and end on 32-bit words in GLSL
//   num_tokens, group   tokens, and query heads a head: their product is at most 8
#define RECUR_PARAMS(X)                                                                                               \
    X(uint, base_features) X(uint, base_v) X(uint, base_decay) X(uint, base_state_s) X(uint, base_state_z)            \
    X(uint, base_out) X(uint, base_s_out) X(uint, base_z_out)                                                         \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_tokens) X(uint, group)                                        \
    X(uint, num_features) X(uint, size) X(uint, value_size) X(uint, query_begin) X(uint, feature_head)                \
    X(uint, v_batch) X(uint, v_head) X(uint, v_row) X(uint, decay_batch) X(uint, decay_head) X(uint, decay_row)       \
    X(uint, s_batch) X(uint, s_head) X(uint, s_row) X(uint, z_batch) X(uint, z_head)                                  \
    X(uint, out_batch) X(uint, out_head) X(uint, out_row)                                                             \
    X(uint, s_out_batch) X(uint, s_out_head) X(uint, s_out_row) X(uint, z_out_batch) X(uint, z_out_head)              \
    X(float, scale) X(float, eps)

#define RECUR_SPECIALISATION(X) X(0, OPTIONS)

#define RECUR_V_HALF 1u
#define RECUR_DECAY 2u
#define RECUR_DECAY_HALF 4u
#define RECUR_GIVEN 8u
#define RECUR_OUT 16u
#define RECUR_OUT_HALF 32u
#define RECUR_S_OUT 64u
#define RECUR_Z_OUT 128u
#define RECUR_NORMALIZE 256u
