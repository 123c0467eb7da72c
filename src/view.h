// Tensors of a call, or of scratch in the same layout, and the parts of them that steps bind.

#ifndef IKATI_VIEW_H
#define IKATI_VIEW_H

#include "lowering.h"

// A tensor, or none.
typedef struct ikati_view {
    ikati_slot_kind kind; // IKATI_SLOT_NONE: absent
    uint32_t index;
    const ikat_tensor *tensor; // mostly [batch, head, position, column]
} ikati_view;

// Views of the call's tensors; of kind IKATI_SLOT_NONE where one is absent.
ikati_view ikati_input_view(const ikati_request *request, const char *name);
ikati_view ikati_output_view(const ikati_request *request, uint32_t index);

// Describes a packed tensor of four axes, strides written out; extents may be 0.
ikat_tensor ikati_packed_tensor(ikat_dtype dtype, int64_t batches, int64_t heads, int64_t rows,
                                int64_t columns);

// Makes a view of scratch in the layout of a tensor, packed or with its inner axes in another order,
// which stays the caller's. IKAT_NO_MEMORY.
ikat_status ikati_scratch_view(ikati_lowering *lowering, const ikat_tensor *tensor,
                               ikati_view *out_view);

// Strides along batch, head and position, 0 where it repeats.
typedef struct ikati_view_strides {
    uint64_t batch, head, row;
} ikati_view_strides;

ikati_view_strides ikati_view_strides_of(const ikati_view *view);

// Whether `columns`, and a view's offset and strides, are multiples of `of`.
bool ikati_view_is_multiple(const ikati_view *view, uint64_t columns, uint64_t of);

// The elements of a view that a step sees: batches, heads and rows as given, `columns` of each row
// from `column` on.
ikati_operand ikati_view_operand(const ikati_view *view, ikati_axis_range batches,
                                 ikati_axis_range heads, ikati_axis_range rows, uint32_t column,
                                 uint32_t columns);

// The same of a view with one axis, of stride 1.
ikati_operand ikati_vector_operand(const ikati_view *view, ikati_axis_range elements);

#endif
