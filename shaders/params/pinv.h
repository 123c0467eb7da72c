// Kernel `pinv`: begins the iteration for pseudo-inverses of L x L matrices, one a (batch, head), in two steps:
//   PINV_LARGEST  c = the largest sum of a column, 0 of matrices that do not count; a workgroup a matrix
//   else          to = x^T / c, c the matrix's own, or the largest of all (PINV_COMMON); an element an invocation
// NaN counts as the largest.
#define PINV_BINDINGS(X) X(x, READ) X(lengths, READ) X(head_mask, READ) X(largest, READ) X(to, WRITE)

//   x          float32, packed [batch, head, row, column]; `first` matrices are not bound
//   lengths    one a batch entry: those of at most L do not count (PINV_LENGTHS)
//   head_mask  one a head: 0 does not count (PINV_MASK)
//   largest    c of all matrices (without PINV_LARGEST)
//   to         c of those that are bound, or their transposed matrices
#define PINV_PARAMS(X)                                                                                                \
    X(uint, base_x) X(uint, base_lengths) X(uint, base_head_mask) X(uint, base_largest) X(uint, base_to)              \
    X(uint, num_matrices) X(uint, first) X(uint, total_matrices) X(uint, num_heads) X(uint, size)

#define PINV_SPECIALISATION(X) X(0, OPTIONS)

#define PINV_LARGEST 1u
#define PINV_COMMON 2u
#define PINV_LENGTHS 4u
#define PINV_MASK 8u
