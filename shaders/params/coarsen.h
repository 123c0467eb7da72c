// Kernel `coarsen`: clusters of 2^shift neighbouring positions from clusters of half that size, n_c being
// the valid positions of cluster c:
//   to_c = (n_2c from_2c + n_2c+1 from_2c+1) / n_c,  0 where n_c = 0.
// What is not valid is not read. One invocation owns one (cluster, run of neighbouring columns).
#define COARSEN_BINDINGS(X) X(from, READ) X(lengths, READ) X(to, WRITE)

//   from            float32, or float16 with COARSEN_HALF; strides in elements, innermost stride 1. At shift 1
//                   its rows are the positions themselves
//   lengths         valid positions, one a batch entry, clamped to 0..num_positions here
//   to              float32, rows packed
//   num_clusters    rows of `to`: those that have one of num_positions
#define COARSEN_PARAMS(X)                                                                                             \
    X(uint, base_from) X(uint, base_lengths) X(uint, base_to)                                                         \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_clusters) X(uint, num_columns)                                \
    X(uint, num_positions) X(uint, shift)                                                                             \
    X(uint, from_batch) X(uint, from_head) X(uint, from_row) X(uint, to_batch) X(uint, to_head)

#define COARSEN_SPECIALISATION(X) X(0, OPTIONS)

#define COARSEN_HALF 1u    // from is float16
#define COARSEN_LENGTHS 2u // valid positions are lengths[b], else num_positions
#define COARSEN_FIRST 4u   // to_c = from_2c, the first position of the cluster
