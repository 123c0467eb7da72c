// Kernel `synthesize`: logits of a block of rows, of those components of a Synthesizer that are no products of rows:
//   to_ij = base_ij + alpha_r r_ij + alpha_f a_i,s(j) b_i,(j % size_b)     s(j) = j % size_a, or j / size_b
// and -inf where row i does not see key j. One invocation owns 4 neighbouring columns of a row.
#define SYNTHESIZE_BINDINGS(X)                                                                                        \
    X(base, READ) X(r, READ) X(a, READ) X(b, READ) X(alpha, READ) X(lengths, READ) X(to, WRITE)

//   base        float32, packed as `to` (SYNTHESIZE_BASE)
//   r           float32, or float16 with SYNTHESIZE_R_HALF (SYNTHESIZE_RANDOM)
//   a b         float32 [batch, head, row, size] (SYNTHESIZE_FACTORS; s(j) = j / size_b with SYNTHESIZE_OUTER)
//   alpha       float32, or float16 with SYNTHESIZE_ALPHA_HALF; alpha_r and alpha_f are elements random_at and
//               factors_at of a head
//   lengths     valid rows, one a batch entry (SYNTHESIZE_LENGTHS); with SYNTHESIZE_CAUSAL no row sees a later one
//   to          float32, packed [batch, head, row, column]; the first row is row row_begin
#define SYNTHESIZE_PARAMS(X)                                                                                          \
    X(uint, base_base) X(uint, base_r) X(uint, base_a) X(uint, base_b) X(uint, base_alpha) X(uint, base_lengths)      \
    X(uint, base_to)                                                                                                  \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, row_begin) X(uint, num_columns)                 \
    X(uint, r_head) X(uint, r_row) X(uint, a_batch) X(uint, a_head) X(uint, size_a)                                   \
    X(uint, b_batch) X(uint, b_head) X(uint, size_b) X(uint, alpha_head) X(uint, random_at) X(uint, factors_at)

#define SYNTHESIZE_SPECIALISATION(X) X(0, OPTIONS)

#define SYNTHESIZE_BASE 1u
#define SYNTHESIZE_RANDOM 2u
#define SYNTHESIZE_R_HALF 4u
#define SYNTHESIZE_FACTORS 8u
#define SYNTHESIZE_OUTER 16u
#define SYNTHESIZE_ALPHA_HALF 32u
#define SYNTHESIZE_LENGTHS 64u
#define SYNTHESIZE_CAUSAL 128u
