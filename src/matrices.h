// Matrices in tensors or scratch, one a batch entry and head: what products and work on rows take.

#ifndef IKATI_MATRICES_H
#define IKATI_MATRICES_H

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

// The part of them that a step sees, from column 0 on; of kind NONE if there is none.
ikati_operand ikati_matrices_operand(const ikati_matrices *matrices, ikati_axis_range batches,
                                     ikati_axis_range heads, ikati_axis_range rows,
                                     uint32_t columns);

#endif
