// Kernel `spread`: joins the results of levels. Level l has ceil(num_queries / 2^l) rows, each of which
// stands for 2^l queries and whose keys count 2^l times; query i takes row i >> l of every level:
//   lse = log sum_l 2^l exp(lse_l),  out = sum_l 2^l exp(lse_l - lse) out_l.
// A query whose lse is -inf on level 0 is padding: out 0 and lse -inf. NaN on any level makes the row NaN.
// One invocation owns one (query, run of neighbouring columns).
#define SPREAD_BINDINGS(X) X(levels, READ) X(level_lse, READ) X(out, WRITE) X(lse, WRITE)

//   a level is [batch, head, row, value_size], packed float32, and follows the one before
#define SPREAD_PARAMS(X)                                                                                              \
    X(uint, base_levels) X(uint, base_level_lse) X(uint, base_out) X(uint, base_lse)                                  \
    X(uint, num_levels) X(uint, num_batches) X(uint, num_heads) X(uint, num_queries) X(uint, value_size)              \
    X(uint, out_batch) X(uint, out_head) X(uint, out_row)                                                             \
    X(uint, lse_batch) X(uint, lse_head) X(uint, lse_row)

#define SPREAD_SPECIALISATION(X) X(0, OPTIONS)

#define SPREAD_HALF 1u // out is float16: value_size, strides and base_out are even, so an invocation owns whole words
#define SPREAD_LSE 2u  // write lse
