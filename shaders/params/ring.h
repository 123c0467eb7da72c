// Kernel `ring`: satellites' attention of the Star-Transformer. Query i of n sees a list of keys: those at i - 1,
// i and i + 1 modulo n, that of its own embedding (RING_EMBEDDING) and that of the relay, each as often as it is in the
// list:
//   out_i = sum_j exp(s_ij - lse_i) v_j,   lse_i = log sum_j exp(s_ij),   s_ij = scale q_i . k_j.
// Queries past n are not read and get 0 and -inf. Memory-bound: neighbours' rows come from the caches.
#define RING_BINDINGS(X)                                                                                              \
    X(q, READ) X(k, READ) X(v, READ) X(k_emb, READ) X(v_emb, READ) X(relay, READ) X(out, WRITE) X(lse, WRITE)

//   q .. v_emb   float32, or float16 with RING_HALF; strides in elements, innermost stride 1
//   relay        32-bit words: n, one a batch entry (RING_LENGTHS; clamped here), from relay_k_at on the relay's
//                keys, float32 [batch, kv_heads, head_size], from relay_v_at on its values. Bound whole:
//                the step's first batch entry is number batch_begin of it, its first key/value head kv_begin
//   out          float32, or float16 with RING_OUT_HALF, whose rows then start and end on 32-bit words in GLSL
//                (RING_OUT)
//   lse          float32 (RING_LSE)
//   head_phase   number of the step's first head inside its key/value group
#define RING_PARAMS(X)                                                                                                \
    X(uint, base_q) X(uint, base_k) X(uint, base_v) X(uint, base_k_emb) X(uint, base_v_emb) X(uint, base_relay)       \
    X(uint, base_out) X(uint, base_lse)                                                                               \
    X(uint, num_batches) X(uint, num_heads) X(uint, heads_per_kv) X(uint, head_phase)                                 \
    X(uint, num_positions) X(uint, head_size) X(uint, value_size)                                                     \
    X(uint, q_batch) X(uint, q_head) X(uint, q_row)                                                                   \
    X(uint, k_batch) X(uint, k_head) X(uint, k_row)                                                                   \
    X(uint, v_batch) X(uint, v_head) X(uint, v_row)                                                                   \
    X(uint, k_emb_batch) X(uint, k_emb_head) X(uint, k_emb_row)                                                       \
    X(uint, v_emb_batch) X(uint, v_emb_head) X(uint, v_emb_row)                                                       \
    X(uint, out_batch) X(uint, out_head) X(uint, out_row)                                                             \
    X(uint, lse_batch) X(uint, lse_head) X(uint, lse_row)                                                             \
    X(uint, relay_k_at) X(uint, relay_v_at) X(uint, kv_heads) X(uint, batch_begin) X(uint, kv_begin)                  \
    X(float, scale)

#define RING_SPECIALISATION(X) X(0, OPTIONS)

#define RING_HALF 1u
#define RING_OUT_HALF 2u
#define RING_EMBEDDING 4u
#define RING_LENGTHS 8u
#define RING_LSE 16u
#define RING_PRUNED 32u // no query is valid: the heads are left out
#define RING_OUT 64u    // write out
