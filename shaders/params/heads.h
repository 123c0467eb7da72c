// Kernel `heads`: gathers the small per-head inputs of attention into one table that `attend`
// reads, so that `attend` stays within 8 storage buffers. One invocation a (batch, head); no
// reduction, no shared memory.
//
// Writes 4 words a record: valid keys (uint), valid queries (uint), ALiBi slope (float bits), sink
// (float bits). Device values cannot be validated, so counts are clamped to 0..num_keys and
// 0..num_queries here. With HEADS_CLUSTERS lengths, num_keys and num_queries count positions, what is
// written counts clusters of 2^cluster_shift of them, and in place of the slope is log2 of the share of
// the last cluster that is valid. With HEADS_WINDOWS lengths count num_positions, and of n valid ones
// become (n >= front_least ? front_keys : 0) + (n >= window_least ? (n - window_least) / window_stride + 1 : 0)
// valid keys; n itself is in place of the slope.
#define HEADS_BINDINGS(X)                                                                                             \
    X(lengths, READ) X(query_lengths, READ) X(slopes, READ) X(sinks, READ) X(head_mask, READ) X(table, WRITE)

//   slopes_batch, slopes_head   strides of `slopes` in elements ([H] has slopes_batch = 0)
//   slopes and sinks are float32, or float16 with HEADS_SLOPES_HALF / HEADS_SINKS_HALF
#define HEADS_PARAMS(X)                                                                                               \
    X(uint, base_lengths) X(uint, base_query_lengths) X(uint, base_slopes) X(uint, base_sinks)                        \
    X(uint, base_head_mask) X(uint, base_table)                                                                       \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_queries) X(uint, num_keys)                                    \
    X(uint, lengths_stride) X(uint, query_lengths_stride)                                                             \
    X(uint, slopes_batch) X(uint, slopes_head) X(uint, sinks_stride) X(uint, cluster_shift)                       \
    X(uint, num_positions) X(uint, front_keys) X(int, front_least) X(int, window_least) X(uint, window_stride)

#define HEADS_SPECIALISATION(X) X(0, OPTIONS)

#define HEADS_LENGTHS 1u       // valid keys = lengths[b], else num_keys
#define HEADS_QUERY_LENGTHS 2u // valid queries = query_lengths[b]
#define HEADS_SELF 4u          // without query_lengths: valid queries = lengths[b] (self-attention), else num_queries
#define HEADS_SLOPES 8u        // else slope 0
#define HEADS_SLOPES_HALF 16u
#define HEADS_SINKS 32u        // else sink -inf
#define HEADS_SINKS_HALF 64u
#define HEADS_CLUSTERS 128u    // not with HEADS_SLOPES
#define HEADS_WINDOWS 512u     // not with HEADS_SLOPES, HEADS_SELF or HEADS_CLUSTERS
#define HEADS_MASK 256u        // where head_mask is 0 the head is pruned: no valid keys, no valid queries
