// Lowers products of matrices to kernels `gemm`, `collect` and `pack`: what every mechanism that has
// a projection or a product shares. Cuts tensors that exceed the device's storage range, splits a depth
// that is long where there are few tiles, writes halves that share words.

#ifndef IKATI_LOWER_GEMM_H
#define IKATI_LOWER_GEMM_H

#include "matrices.h"

typedef enum ikati_activation {
    IKATI_ACTIVATION_NONE,
    IKATI_ACTIVATION_RELU,
} ikati_activation;

// c = activation(scale * a b + bias_scale * bias), float32 arithmetic whatever is stored. Any extent may be
// 0: without depth there is no product, without rows, columns or matrices nothing is done.
//
// a           [num_rows, depth], b [depth, num_columns], c [num_rows, num_columns]; must not overlap c
// bias        [num_rows, num_columns], columns of stride 1, one a (batch, head) by its strides; where rows
//             have stride 0, one row for all; or absent. May be a or b
// bias_scale  0: 1
// depths      [num_batches] int32, or absent: how much of the depth counts in a batch entry, clamped to
//             0..depth. What a and b hold past it does not matter
typedef struct ikati_gemm {
    ikati_matrices a, b, bias, c;
    ikati_view depths;
    uint32_t num_batches, num_heads, num_rows, num_columns, depth;
    double scale, bias_scale;
    ikati_activation activation;
} ikati_gemm;

// Adds the steps.
//
// IKAT_UNSUPPORTED (logged) rows of a matrix lie further apart than the device can bind at once
ikat_status ikati_lower_gemm(ikati_lowering *lowering, const ikati_gemm *gemm);

#endif
