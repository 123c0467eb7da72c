// Cuts attention whose tensors exceed the device's binding ranges into blocks that fit: halves,
// again and again, the axis along which the binding that is too large reaches furthest. Layouts
// differ, so only strides tell which axis helps.

#include "attend_steps.h"

uint32_t ikati_attend_total_parts(const ikati_attend_builder *b) {
    return b->num_splits * (uint32_t)ikati_divide_up(b->num_keys ? b->num_keys : 1, b->most[3]);
}

// One binding's reach along the axes of `most`: elements a step along each, columns, bytes an
// element.
typedef struct reach {
    uint64_t stride[4];
    uint64_t kv_heads; // 1: the head axis counts key/value heads
    uint64_t columns;
    uint64_t element_bytes;
    uint64_t limit_bytes;
} reach;

static uint64_t steps_along(const ikati_attend_builder *b, const reach *r, uint32_t axis) {
    uint64_t count = b->most[axis];
    if (axis == 1 && r->kv_heads) {
        count = ikati_divide_up(count, b->heads_per_kv);
    }
    return (count ? count - 1 : 0) * r->stride[axis];
}

static void halve(ikati_attend_builder *b, uint32_t axis) {
    uint32_t granule = axis == 1 ? b->heads_per_kv : axis >= 2 ? IKATI_KEY_GRANULE : 1;
    uint32_t half = (b->most[axis] + 1) / 2;
    uint32_t rounded = (uint32_t)ikati_round_up(half, granule);
    b->most[axis] = rounded < b->most[axis] ? rounded : half;
}

// Halves the axis along which a binding that is too large reaches furthest. False if it fits.
static bool shrink_for(ikati_attend_builder *b, const reach *r) {
    uint64_t elements = r->columns;
    uint32_t widest = 0;
    for (uint32_t axis = 0; axis < 4; axis++) {
        elements += steps_along(b, r, axis);
        if (steps_along(b, r, axis) > steps_along(b, r, widest)) {
            widest = axis;
        }
    }
    if (elements * r->element_bytes <= r->limit_bytes || b->most[widest] <= 1) {
        return false;
    }
    halve(b, widest);
    return true;
}

static bool shrink_for_view(ikati_attend_builder *b, const ikati_view *view, bool rows_are_keys,
                            uint64_t columns, uint64_t limit_bytes) {
    if (view->kind == IKATI_SLOT_NONE) {
        return false;
    }
    ikati_view_strides s = ikati_view_strides_of(view);
    reach r = {.stride = {s.batch, s.head, rows_are_keys ? 0 : s.row, rows_are_keys ? s.row : 0},
               .kv_heads = rows_are_keys,
               .columns = columns,
               .element_bytes = ikat_dtype_size(view->tensor->dtype),
               .limit_bytes = limit_bytes};
    return shrink_for(b, &r);
}

static bool shrink_for_bias(ikati_attend_builder *b, uint64_t limit_bytes) {
    const ikati_view *bias = &b->attention->bias;
    if (bias->kind == IKATI_SLOT_NONE) {
        return false;
    }
    ikati_view_strides s = ikati_view_strides_of(bias);
    reach r = {.stride = {s.batch, s.head, s.row, 1},
               .columns = 1,
               .element_bytes = ikat_dtype_size(bias->tensor->dtype),
               .limit_bytes = limit_bytes};
    return shrink_for(b, &r);
}

// Columns of edges are keys, or move with the row and are bound whole. Segments are smaller than what
// is not cut for them.
static bool shrink_for_labels(ikati_attend_builder *b, uint64_t limit_bytes) {
    const ikati_attend_labels *labels = b->attention->labels;
    if (!labels) {
        return false;
    }
    const ikati_view *scores = &labels->scores, *edges = &labels->edges;
    if (scores->kind &&
        shrink_for_view(b, scores, false, (uint64_t)scores->tensor->shape[3], limit_bytes)) {
        return true;
    }
    if (!edges->kind) {
        return false;
    }
    ikati_view_strides s = ikati_view_strides_of(edges);
    reach r = {.stride = {s.batch, 0, s.row, labels->is_local ? 0 : 1},
               .columns = labels->is_local ? (uint64_t)edges->tensor->shape[3] : 1,
               .element_bytes = sizeof(int32_t),
               .limit_bytes = limit_bytes};
    return shrink_for(b, &r);
}

// Scratch of a block: partial results of all parts, or float32 results to be packed, or counts.
static bool shrink_for_scratch(ikati_attend_builder *b, uint64_t limit_bytes) {
    uint64_t parts = (uint64_t)ikati_attend_total_parts(b) + b->other_parts;
    uint64_t row = parts == 1 && !b->needs_float ? 0 : parts * b->value_size;
    uint64_t counts = b->attention->topk ? ikati_topk_counts_bytes(1) / sizeof(float) : 0;
    row = row > counts ? row : counts;
    if (!row) {
        return false;
    }
    reach r = {.stride = {row * b->most[1] * b->most[2], row * b->most[2], row, 0},
               .columns = row,
               .element_bytes = sizeof(float),
               .limit_bytes = limit_bytes};
    return shrink_for(b, &r);
}

void ikati_attend_cut(ikati_attend_builder *b) {
    const uint64_t limit = ikati_lowering_binding_bytes(b->lowering);
    uint64_t input_limit = limit;
    if (b->attend.variant->texel_bindings) {
        input_limit = ikati_lowering_texel_bytes(b->lowering, ikat_dtype_size(b->dtype));
    }
    const ikati_attention *a = b->attention;
    while (shrink_for_view(b, &a->q, false, b->head_size, input_limit) ||
           shrink_for_view(b, &a->k, true, b->head_size, input_limit) ||
           shrink_for_view(b, &a->v, true, b->value_size, input_limit) ||
           shrink_for_view(b, &a->out, false, b->value_size, limit) ||
           shrink_for_view(b, &a->lse, false, 1, limit) || shrink_for_bias(b, limit) ||
           shrink_for_labels(b, limit) || shrink_for_scratch(b, limit)) {
    }
}
