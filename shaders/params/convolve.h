// Kernel `convolve`: along the rows of matrices, one a (batch, head), each head with taps of its own,
//   to_ic = base_ic + bias_c + sum_t taps_t x_(i + t - taps_left),c      x = 0 outside the valid rows.
// Rows that are not valid are not read, and written as 0. One invocation owns 4 neighbouring columns of 4 rows: each
// row of x is loaded once for them, and its taps stay in registers.
#define CONVOLVE_BINDINGS(X) X(x, READ) X(taps, READ) X(bias, READ) X(base, READ) X(lengths, READ) X(to, WRITE)

//   x           float32, or float16 with CONVOLVE_X_HALF; innermost stride 1; rows x_begin to x_begin + x_rows are
//               bound, of total_rows; head / heads_per_kv is the head of x
//   taps        [head, num_taps], float32, or float16 with CONVOLVE_TAPS_HALF
//   bias        [head, column], float32, or float16 with CONVOLVE_BIAS_HALF (CONVOLVE_BIAS)
//   base        float32, innermost stride 1 (CONVOLVE_BASE)
//   lengths     valid rows, one a batch entry (CONVOLVE_LENGTHS)
//   to          float32, or float16 with CONVOLVE_TO_HALF, whose rows then start and end on 32-bit words in GLSL;
//               its rows are num_rows from row_begin on
#define CONVOLVE_PARAMS(X)                                                                                            \
    X(uint, base_x) X(uint, base_taps) X(uint, base_bias) X(uint, base_base) X(uint, base_lengths) X(uint, base_to)   \
    X(uint, num_batches) X(uint, num_heads) X(uint, heads_per_kv) X(uint, num_rows) X(uint, num_columns)              \
    X(uint, num_taps) X(uint, taps_left) X(uint, row_begin) X(uint, x_begin) X(uint, x_rows) X(uint, total_rows)      \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row) X(uint, taps_head) X(uint, bias_head)                             \
    X(uint, base_batch) X(uint, base_head) X(uint, base_row) X(uint, to_batch) X(uint, to_head) X(uint, to_row)

#define CONVOLVE_SPECIALISATION(X) X(0, OPTIONS)

#define CONVOLVE_X_HALF 1u
#define CONVOLVE_TAPS_HALF 2u
#define CONVOLVE_BIAS 4u
#define CONVOLVE_BIAS_HALF 8u
#define CONVOLVE_BASE 16u
#define CONVOLVE_LENGTHS 32u
#define CONVOLVE_TO_HALF 64u
