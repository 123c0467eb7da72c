// Kernel `predict`: convolution with taps that each row predicts for itself (dynamic convolution),
//   f_it = sum_e x_ie w_e,h,t + b_ht,   to softmax over t unless PREDICT_RAW,
//   to_ic = bias_c + sum_t f_it x_(i + t - taps_left),c      x = 0 outside its rows; c a column of head h.
// A workgroup of 64 owns PREDICT_ROWS rows of a head. It walks the taps in chunks: predicts them into shared
// memory, with an online softmax, and applies them at once, adding to `to`.
#define PREDICT_BINDINGS(X) X(x, READ) X(weight, READ) X(tap_bias, READ) X(bias, READ) X(to, WRITE)

//   x          float32 [batch, row, column], columns packed; rows x_begin to x_begin + x_rows are bound
//   weight     [column, head, tap], float32, or float16 with PREDICT_WEIGHT_HALF; weight_head is its head's stride
//   tap_bias   [head, tap], of that type or PREDICT_TAP_BIAS_HALF (PREDICT_TAP_BIAS)
//   bias       [column], float32, or float16 with PREDICT_BIAS_HALF (PREDICT_BIAS)
//   to         float32, packed [batch, row, column]; its first row is row row_begin
#define PREDICT_PARAMS(X)                                                                                             \
    X(uint, base_x) X(uint, base_weight) X(uint, base_tap_bias) X(uint, base_bias) X(uint, base_to)                   \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, num_columns) X(uint, num_taps)                  \
    X(uint, taps_left) X(uint, row_begin) X(uint, x_begin) X(uint, x_rows) X(uint, x_batch) X(uint, to_batch)         \
    X(uint, weight_row) X(uint, weight_head) X(uint, tap_bias_head)

#define PREDICT_SPECIALISATION(X) X(0, OPTIONS)

#define PREDICT_WEIGHT_HALF 1u
#define PREDICT_TAP_BIAS 2u
#define PREDICT_TAP_BIAS_HALF 4u
#define PREDICT_BIAS 8u
#define PREDICT_BIAS_HALF 16u
#define PREDICT_RAW 32u

#define PREDICT_ROWS 16
#define PREDICT_TAPS 64
