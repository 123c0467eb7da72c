#include "matrices.h"

ikati_matrices ikati_matrices_of(const ikati_view *view, int batch_axis, int head_axis,
                                 int row_axis, int column_axis) {
    const int axes[4] = {batch_axis, head_axis, row_axis, column_axis};
    uint64_t strides[4] = {0};
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_matrices){0};
    }
    for (int i = 0; i < 4; i++) {
        bool repeats = axes[i] == IKATI_NO_AXIS || view->tensor->shape[axes[i]] == 1;
        strides[i] = repeats ? 0 : (uint64_t)view->tensor->strides[axes[i]];
    }
    return (ikati_matrices){
        view->kind, view->index, view->tensor->dtype, (uint64_t)view->tensor->offset,
        strides[0], strides[1],  strides[2],          strides[3]};
}

ikati_matrices ikati_matrices_of_scratch(uint32_t scratch, uint64_t num_heads, uint64_t num_rows,
                                         uint64_t num_columns) {
    const uint64_t head = num_rows * num_columns;
    return (ikati_matrices){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0,
                            num_heads * head,   head,    num_columns,  1};
}

ikati_operand ikati_matrices_operand(const ikati_matrices *m, ikati_axis_range batches,
                                     ikati_axis_range heads, ikati_axis_range rows,
                                     uint32_t columns) {
    if (!m->kind || !batches.count || !heads.count || !rows.count || !columns) {
        return (ikati_operand){0};
    }
    return (ikati_operand){m->kind, m->index, m->dtype,
                           m->offset + batches.first * m->batch + heads.first * m->head +
                               rows.first * m->row,
                           1 + (batches.count - 1) * m->batch + (heads.count - 1) * m->head +
                               (rows.count - 1) * m->row + (columns - 1) * m->column};
}
