// Lowers products of matrices to kernels `gemm`, `collect` and `pack`: what every mechanism that has
// a projection or a product shares. Cuts tensors that exceed the device's storage range, splits a depth
// that is long where there are few tiles, writes halves that share words.

#ifndef IKATI_LOWER_GEMM_H
#define IKATI_LOWER_GEMM_H

#include "view.h"

// A matrix for each (batch, head): where its elements lie in a slot.
//
// offset        of element 0, 0 of the first matrix, the tensor's own included
// batch .. column  strides in elements. batch, head: 0 repeats. One of row and column is 1 (that of c
//               is column); along an axis of extent 1 it may be anything
typedef struct ikati_matrices {
    ikati_slot_kind kind; // IKATI_SLOT_NONE: absent
    uint32_t index;
    ikat_dtype dtype; // float32 or float16
    uint64_t offset;
    uint64_t batch, head, row, column;
} ikati_matrices;

enum { IKATI_NO_AXIS = -1 };

// The matrices of a view of any rank, by the axes of its tensor that are theirs; IKATI_NO_AXIS: the
// matrices have none there, and repeat. Rows and columns swapped give the transposed matrices.
ikati_matrices ikati_matrices_of(const ikati_view *view, int batch_axis, int head_axis,
                                 int row_axis, int column_axis);

// The same of a range of scratch, float32 and packed [batch, head, row, column].
ikati_matrices ikati_matrices_of_scratch(uint32_t scratch, uint64_t num_heads, uint64_t num_rows,
                                         uint64_t num_columns);

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
