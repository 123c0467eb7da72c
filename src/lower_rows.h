// Lowers what is done row by row, for any mechanism: layer normalisation (kernel `norm`), softmax
// (`softmax`), sums and copies (`combine`), convolution along the rows (`convolve`), means over all rows
// (`mean`) or over segments of them (`segments`). Tensors that exceed the device's storage range are cut.

#ifndef IKATI_LOWER_ROWS_H
#define IKATI_LOWER_ROWS_H

#include "lower_gemm.h"

// y = gamma (z - mean) / sqrt(var + eps) + beta over the columns of each row, z = f(x) + residual; or
// y = z. Rows past lengths are not read, and written as 0.
//
// x, y         [num_rows, num_columns], one a batch entry; columns have stride 1. y may be x
// residual     as x, of any float type; or absent
// gamma, beta  a row of num_columns of one type; or absent: 1 and 0
// lengths      [num_batches], or absent
// relu         f is ReLU, else the identity
// is_sum       y = z: gamma, beta and eps are not used
typedef struct ikati_norm {
    ikati_matrices x, residual, gamma, beta, y;
    ikati_view lengths;
    uint32_t num_batches, num_rows, num_columns;
    double eps;
    bool relu, is_sum;
} ikati_norm;

ikat_status ikati_lower_norm(ikati_lowering *lowering, const ikati_norm *norm);

// Means over the valid rows of each matrix, 0 where there is none, float32. With one row and no
// lengths that is a copy.
//
// x   [num_rows, num_columns], one a batch entry and head; columns have stride 1
// to  scratch; the means go to elements to_offset on, packed [batch, head, column]
typedef struct ikati_mean {
    ikati_matrices x;
    ikati_view lengths;
    uint32_t num_batches, num_heads, num_rows, num_columns;
    uint32_t to;
    uint64_t to_offset;
} ikati_mean;

ikat_status ikati_lower_mean(ikati_lowering *lowering, const ikati_mean *mean);

// What `combine` makes of elements x and y.
typedef enum ikati_combination {
    IKATI_COMBINE_COPY,     // x
    IKATI_COMBINE_ADD,      // x + y
    IKATI_COMBINE_GATE,     // x sigmoid(y)
    IKATI_COMBINE_MULTIPLY, // x y
} ikati_combination;

// Element by element; types may differ, so that a copy widens or rounds. Rows past lengths are not read, and
// written as 0.
//
// x, y, to  [num_rows, num_columns], one a batch entry and head; columns of `to` have stride 1. y absent
//           for a copy
// scale     what the result is multiplied by; 0: 1
// lengths   [num_batches], or absent
typedef struct ikati_combine {
    ikati_combination combination;
    double scale;
    ikati_matrices x, y, to;
    ikati_view lengths;
    uint32_t num_batches, num_heads, num_rows, num_columns;
} ikati_combine;

ikat_status ikati_lower_combine(ikati_lowering *lowering, const ikati_combine *combine);

// Copies a view [B,H,N,D] to another; types may differ.
ikat_status ikati_lower_copy(ikati_lowering *lowering, const ikati_view *from,
                             const ikati_view *to);

// A view [B,H,N,D] as float32: itself, or a copy in scratch, whose tensor is the caller's.
ikat_status ikati_lower_widen(ikati_lowering *lowering, ikati_view *view, ikat_tensor *tensor);

// Softmax of num_rows rows, of which those of x lie x.row apart, to packed float32 scratch. A row of
// -inf alone gives 0.
ikat_status ikati_lower_softmax(ikati_lowering *lowering, const ikati_matrices *x,
                                uint32_t num_rows, uint32_t num_columns, uint32_t to);

// Means over consecutive rows, float32: of n valid rows min(n, L) segments are made, the first L - n % L of
// n / L rows, the others of one more; the rest of the L is 0.
//
// x             [num_rows, num_columns], one a batch entry and a head for heads_per_kv of num_heads
// lengths       n, one a batch entry; or absent: num_rows
// alone         only where n <= L, and nothing is written past n: copies rows over what is there
// to            scratch, packed [batch, head, L, column]
typedef struct ikati_segments {
    ikati_matrices x;
    ikati_view lengths;
    uint32_t num_batches, num_heads, heads_per_kv, num_rows, num_columns;
    uint32_t num_segments;
    bool alone;
    uint32_t to;
} ikati_segments;

ikat_status ikati_lower_segments(ikati_lowering *lowering, const ikati_segments *segments);

// to_i = base_i + bias + sum_t taps_t x_(i + t - taps_left), x = 0 outside the valid rows; rows past
// lengths are not read, and written as 0.
//
// x        [num_rows, num_columns], one a batch entry and a head for heads_per_kv of num_heads
// taps     a row of num_taps a head; 0 taps: none
// bias     a row of num_columns a head; or absent
// base     float32; or absent
// lengths  [num_batches], or absent
typedef struct ikati_convolve {
    ikati_matrices x, taps, bias, base, to;
    ikati_view lengths;
    uint32_t num_batches, num_heads, heads_per_kv, num_rows, num_columns;
    uint32_t num_taps, taps_left;
} ikati_convolve;

ikat_status ikati_lower_convolve(ikati_lowering *lowering, const ikati_convolve *convolve);

// The same with taps that each row predicts for itself: f_it = sum_e x_ie weight_e,h,t + tap_bias_ht, to
// which softmax over t is applied unless is_raw. Head h has the h-th run of num_columns / num_heads columns.
//
// x, to      float32 scratch [num_batches, num_rows, num_columns], packed
// weight     rows are columns of x, heads theirs, columns taps
// tap_bias   a row of num_taps a head; or absent
// bias       a row of num_columns; or absent
typedef struct ikati_predict {
    uint32_t x, to;
    ikati_matrices weight, tap_bias, bias;
    uint32_t num_batches, num_heads, num_rows, num_columns;
    uint32_t num_taps, taps_left;
    bool is_raw;
} ikati_predict;

ikat_status ikati_lower_predict(ikati_lowering *lowering, const ikati_predict *predict);

#endif
