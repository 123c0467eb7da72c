// Kernel `norm`: layer normalisation of rows,
//   y_c = gamma_c (z_c - mean) / sqrt(var + eps) + beta_c,   z = f(x) + residual, mean and var its own
// over the row, f the identity or ReLU; or with NORM_SUM y = z. Rows that are not valid are not read, and written
// as 0. The sums are taken in two passes, the first of differences from the first column: nothing cancels.
#define NORM_BINDINGS(X) X(x, READ) X(gamma, READ) X(beta, READ) X(lengths, READ) X(residual, READ) X(y, WRITE)

//   x           float32, or float16 with NORM_X_HALF; innermost stride 1
//   residual    float32, or float16 with NORM_RESIDUAL_HALF; absent without NORM_RESIDUAL
//   gamma beta  float32, or float16 with NORM_WEIGHT_HALF; absent (no NORM_GAMMA, NORM_BETA): 1 and 0
//   lengths     valid rows, one a batch entry (NORM_LENGTHS); the first row of a step is row row_begin
//   y           float32, or float16 with NORM_Y_HALF, whose rows then start and end on 32-bit words in GLSL
#define NORM_PARAMS(X)                                                                                                \
    X(uint, base_x) X(uint, base_gamma) X(uint, base_beta) X(uint, base_lengths) X(uint, base_residual)               \
    X(uint, base_y)                                                                                                   \
    X(uint, num_batches) X(uint, num_rows) X(uint, row_begin) X(uint, num_columns)                                    \
    X(uint, x_batch) X(uint, x_row) X(uint, residual_batch) X(uint, residual_row) X(uint, y_batch) X(uint, y_row)     \
    X(float, eps)

#define NORM_SPECIALISATION(X) X(0, OPTIONS)

#define NORM_X_HALF 1u
#define NORM_Y_HALF 2u
#define NORM_WEIGHT_HALF 4u
#define NORM_GAMMA 8u
#define NORM_BETA 16u
#define NORM_LENGTHS 32u
#define NORM_RELU 64u
#define NORM_RESIDUAL 128u
#define NORM_RESIDUAL_HALF 256u
#define NORM_SUM 512u
