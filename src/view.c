#include "view.h"

ikati_view ikati_input_view(const ikati_request *request, const char *name) {
    uint32_t index = ikati_input_index(request, name);
    const ikati_tensor_use *use = &request->inputs[index];
    if (use->present && use->slot) {
        return (ikati_view){(ikati_slot_kind)use->slot, use->slot_index, &use->tensor};
    }
    return (ikati_view){use->present ? IKATI_SLOT_INPUT : IKATI_SLOT_NONE, index, &use->tensor};
}

ikati_view ikati_output_view(const ikati_request *request, uint32_t index) {
    const ikati_tensor_use *use = &request->outputs[index];
    if (use->present && use->slot) {
        return (ikati_view){(ikati_slot_kind)use->slot, use->slot_index, &use->tensor};
    }
    return (ikati_view){use->present ? IKATI_SLOT_OUTPUT : IKATI_SLOT_NONE, index, &use->tensor};
}

ikat_tensor ikati_packed_tensor(ikat_dtype dtype, int64_t batches, int64_t heads, int64_t rows,
                                int64_t columns) {
    return (ikat_tensor){.dtype = dtype,
                         .rank = 4,
                         .shape = {batches, heads, rows, columns},
                         .strides = {heads * rows * columns, rows * columns, columns, 1}};
}

ikat_status ikati_scratch_view(ikati_lowering *lowering, const ikat_tensor *tensor,
                               ikati_view *out_view) {
    uint64_t bytes = ikat_dtype_size(tensor->dtype);
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        bytes *= (uint64_t)tensor->shape[axis];
    }
    const uint32_t scratch = ikati_lowering_scratch(lowering, bytes);
    *out_view = (ikati_view){IKATI_SLOT_SCRATCH, scratch, tensor};
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

ikati_view_strides ikati_view_strides_of(const ikati_view *view) {
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_view_strides){0};
    }
    const ikat_tensor *t = view->tensor;
    return (ikati_view_strides){t->shape[0] == 1 ? 0 : (uint64_t)t->strides[0],
                                t->shape[1] == 1 ? 0 : (uint64_t)t->strides[1],
                                (uint64_t)t->strides[2]};
}

bool ikati_view_is_multiple(const ikati_view *view, uint64_t columns, uint64_t of) {
    const ikat_tensor *t = view->tensor;
    bool good = columns % of == 0 && (uint64_t)t->offset % of == 0;
    for (uint32_t axis = 0; axis < 3; axis++) {
        good = good && (t->shape[axis] <= 1 || (uint64_t)t->strides[axis] % of == 0);
    }
    return good;
}

ikati_operand ikati_view_operand(const ikati_view *view, ikati_axis_range batches,
                                 ikati_axis_range heads, ikati_axis_range rows, uint32_t column,
                                 uint32_t columns) {
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_operand){0};
    }
    ikati_view_strides s = ikati_view_strides_of(view);
    ikati_operand operand = {
        .kind = view->kind, .index = view->index, .dtype = view->tensor->dtype};
    operand.offset = (uint64_t)view->tensor->offset + batches.first * s.batch +
                     heads.first * s.head + rows.first * s.row + column;
    if (batches.count && heads.count && rows.count && columns) {
        operand.count = 1 + (batches.count - 1) * s.batch + (heads.count - 1) * s.head +
                        (rows.count - 1) * s.row + (columns - 1);
    }
    return operand;
}

ikati_operand ikati_vector_operand(const ikati_view *view, ikati_axis_range elements) {
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_operand){0};
    }
    return (ikati_operand){view->kind, view->index, view->tensor->dtype,
                           (uint64_t)view->tensor->offset + elements.first, elements.count};
}
