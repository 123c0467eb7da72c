// Lowers what is done row by row: layer normalisation (kernel `norm`) and means over rows (kernel
// `mean`), for any mechanism. Tensors that exceed the device's storage range are cut.

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

#endif
