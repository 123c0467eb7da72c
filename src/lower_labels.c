#include "lower_labels.h"

#include "../shaders/params/edges.h"
#include "../shaders/params/label_scores.h"

#include <string.h>

typedef struct label_scores_params {
    LABEL_SCORES_PARAMS(IKATI_PARAM_FIELD)
} label_scores_params;
typedef struct edges_params {
    EDGES_PARAMS(IKATI_PARAM_FIELD)
} edges_params;

// A part of batches, heads and rows that one step computes.
typedef struct row_block {
    ikati_axis_range batches, heads, rows;
} row_block;

static ikati_operand operand_of(const ikati_view *view, const row_block *block) {
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_operand){0};
    }
    return ikati_view_operand(view, block->batches, block->heads, block->rows, 0,
                              (uint32_t)view->tensor->shape[3]);
}

// Views that have rows; absent ones fit.
static bool fits(const ikati_lowering *lowering, const ikati_view *const views[],
                 uint32_t num_views, const row_block *block) {
    for (uint32_t i = 0; i < num_views; i++) {
        const ikati_operand operand = operand_of(views[i], block);
        if (operand.count * 4 > ikati_lowering_binding_bytes(lowering)) {
            return false;
        }
    }
    return true;
}

// A block of `whole` that the device binds at once: fewer batch entries first, then heads, then rows.
static row_block cut(const ikati_lowering *lowering, const ikati_view *const views[],
                     uint32_t num_views, const row_block *whole) {
    row_block block = *whole;
    uint32_t *const counts[] = {&block.batches.count, &block.heads.count, &block.rows.count};
    for (int axis = 0; axis < 3; axis++) {
        while (*counts[axis] > 1 && !fits(lowering, views, num_views, &block)) {
            *counts[axis] = (*counts[axis] + 1) / 2;
        }
    }
    return block;
}

// Calls `add` for every block of the whole.
static ikat_status add_steps(const row_block *whole, const row_block *first, const void *source,
                             ikat_status (*add)(const void *source, const row_block *block)) {
    ikat_status status = IKAT_OK;
    const row_block *f = first;
    for (uint32_t b = 0; b < whole->batches.count && !status; b += f->batches.count) {
        for (uint32_t h = 0; h < whole->heads.count && !status; h += f->heads.count) {
            for (uint32_t r = 0; r < whole->rows.count && !status; r += f->rows.count) {
                const row_block block = {
                    ikati_next_range(b, f->batches.count, whole->batches.count),
                    ikati_next_range(h, f->heads.count, whole->heads.count),
                    ikati_next_range(r, f->rows.count, whole->rows.count)};
                status = add(source, &block);
            }
        }
    }
    return status;
}

typedef struct scores_lowering {
    ikati_lowering *lowering;
    const ikati_label_scores *source;
    ikati_view scores;
} scores_lowering;

static ikat_status pick_scores(const scores_lowering *self, ikati_step *step) {
    const ikati_view *q = &self->source->q, *vectors = &self->source->vectors;
    const uint32_t head_size = (uint32_t)q->tensor->shape[3];
    ikati_pick pick = {.offers =
                           q->tensor->dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT};
    if (ikati_view_is_multiple(q, head_size, 4) && ikati_view_is_multiple(vectors, head_size, 4)) {
        pick.offers |= IKATI_NEED_ALIGNED4;
    }
    return ikati_pick_variant(self->lowering, IKATI_KERNEL_label_scores, &pick, step);
}

static label_scores_params scores_params(const scores_lowering *self, const row_block *block) {
    const ikati_label_scores *source = self->source;
    const ikati_view_strides q = ikati_view_strides_of(&source->q);
    const ikati_view_strides vectors = ikati_view_strides_of(&source->vectors);
    const ikati_view_strides scores = ikati_view_strides_of(&self->scores);
    const ikati_view_strides biases = ikati_view_strides_of(&source->biases);
    const uint32_t batches = block->batches.count, heads = block->heads.count;
    const uint32_t num_labels = (uint32_t)self->scores.tensor->shape[3];
    return (label_scores_params){
        .num_batches = batches,
        .num_heads = heads,
        .num_rows = block->rows.count,
        .num_labels = num_labels,
        .head_size = (uint32_t)source->q.tensor->shape[3],
        .q_batch = ikati_step_of(q.batch, batches),
        .q_head = ikati_step_of(q.head, heads),
        .q_row = ikati_step_of(q.row, block->rows.count),
        .vector_head = ikati_step_of(vectors.head, heads),
        .vector_label = ikati_step_of(vectors.row, num_labels),
        .bias_head = ikati_step_of(biases.head, heads),
        .bias_label = ikati_step_of(biases.row, num_labels),
        .scores_batch = ikati_step_of(scores.batch, batches),
        .scores_head = ikati_step_of(scores.head, heads),
        .scale = (float)source->scale,
    };
}

static ikat_status add_scores(const void *user, const row_block *block) {
    const scores_lowering *self = user;
    const ikati_label_scores *source = self->source;
    ikati_step step = {0};
    ikat_status status = pick_scores(self, &step);
    if (status) {
        return status;
    }
    const label_scores_params params = scores_params(self, block);
    const row_block labels = {{0, 1}, block->heads, {0, params.num_labels}};
    const bool is_half = source->q.tensor->dtype == IKAT_FLOAT16;
    step.operands[0] = operand_of(&source->q, block);
    step.operands[1] = operand_of(&source->vectors, &labels);
    step.operands[2] = operand_of(&source->biases, &labels);
    step.operands[3] = operand_of(&self->scores, block);
    step.specialisation[0] =
        (is_half ? LABEL_SCORES_HALF : 0) | (source->biases.kind ? LABEL_SCORES_BIASES : 0);
    // An item is 4 rows by 4 labels, or tile_keys rows by all labels.
    const uint32_t rows = step.variant->tile_keys ? step.variant->tile_keys : 4;
    const uint64_t label_blocks =
        step.variant->tile_keys ? 1 : ikati_divide_up(params.num_labels, 4);
    const uint64_t problems = (uint64_t)params.num_batches * params.num_heads;
    step.num_groups = ikati_divide_up(
        problems * ikati_divide_up(params.num_rows, rows) * label_blocks, step.variant->tile_rows);
    step.flops = 2.0 * (double)problems * params.num_rows * params.num_labels * params.head_size;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(self->lowering, &step, source->q.tensor->dtype,
                               source->biases.kind ? ".biases" : "");
}

ikat_status ikati_lower_label_scores(ikati_lowering *lowering, const ikati_label_scores *source,
                                     ikat_tensor *out_tensor, ikati_view *out_scores) {
    const int64_t *q = source->q.tensor->shape, *vectors = source->vectors.tensor->shape;
    const uint32_t heads = (uint32_t)q[1];
    const row_block whole = {{0, (uint32_t)q[0]}, {0, heads}, {0, (uint32_t)q[2]}};
    const row_block labels = {{0, 1}, {0, heads}, {0, (uint32_t)vectors[2]}};
    const ikati_view *tables[] = {&source->vectors, &source->biases};
    if (!fits(lowering, tables, 2, &labels)) {
        return ikati_fail(lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_VARIANT,
                          "the label vectors exceed what %s binds at once, expected fewer labels",
                          ikati_lowering_device(lowering)->id);
    }
    *out_tensor = ikati_packed_tensor(IKAT_FLOAT32, q[0], q[1], q[2], vectors[2]);
    ikat_status status = ikati_scratch_view(lowering, out_tensor, out_scores);
    if (status) {
        return status;
    }
    const scores_lowering self = {lowering, source, *out_scores};
    const ikati_view *views[] = {&source->q, out_scores};
    const row_block first = cut(lowering, views, 2, &whole);
    return add_steps(&whole, &first, &self, add_scores);
}

typedef struct edges_lowering {
    ikati_lowering *lowering;
    const ikati_edges *source;
    ikati_view edges;
} edges_lowering;

static uint32_t edges_options(const ikati_edges *source) {
    uint32_t options = 0;
    options |= source->labels.kind ? EDGES_LABELS : 0;
    options |= source->mask.kind ? EDGES_MASK : 0;
    options |= source->like->segments.kind ? EDGES_SEGMENTS : 0;
    options |= source->like->is_hard ? EDGES_HARD : 0;
    return options;
}

static ikat_status add_edges(const void *user, const row_block *block) {
    const edges_lowering *self = user;
    const ikati_edges *source = self->source;
    const ikati_attend_labels *like = source->like;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(self->lowering, IKATI_KERNEL_edges, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_view_strides labels = ikati_view_strides_of(&source->labels);
    const ikati_view_strides mask = ikati_view_strides_of(&source->mask);
    const ikati_view_strides segments = ikati_view_strides_of(&like->segments);
    const uint32_t batches = block->batches.count, rows = block->rows.count;
    const edges_params params = {
        .num_batches = batches,
        .num_rows = rows,
        .num_columns = source->shape[2],
        .row_begin = block->rows.first,
        .labels_batch = ikati_step_of(labels.batch, batches),
        .labels_row = ikati_step_of(labels.row, rows),
        .mask_batch = ikati_step_of(mask.batch, batches),
        .mask_row = ikati_step_of(mask.row, rows),
        .segments_batch = ikati_step_of(segments.batch, batches),
        .is_local = like->is_local,
        .radius = like->radius,
        .label_reach = like->reach,
        .label_between = like->is_between,
        .segment_of_key = like->segment_of_key,
    };
    step.operands[0] = operand_of(&source->labels, block);
    step.operands[1] = operand_of(&source->mask, block);
    if (like->segments.kind) {
        const row_block all = {
            block->batches, {0, 1}, {0, (uint32_t)like->segments.tensor->shape[2]}};
        step.operands[2] = operand_of(&like->segments, &all);
    }
    step.operands[3] = operand_of(&self->edges, block);
    step.specialisation[0] = edges_options(source);
    const uint64_t pairs = (uint64_t)batches * rows * source->shape[2];
    step.num_groups = ikati_divide_up(pairs, step.variant->tile_rows);
    step.flops = (double)pairs;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(self->lowering, &step, IKAT_FLOAT32, "");
}

ikat_status ikati_lower_edges(ikati_lowering *lowering, const ikati_edges *source,
                              ikat_tensor *out_tensor, ikati_view *out_edges) {
    const uint32_t *shape = source->shape; // batches, rows, columns
    const row_block whole = {{0, shape[0]}, {0, 1}, {0, shape[1]}};
    *out_tensor = ikati_packed_tensor(IKAT_INT32, shape[0], 1, shape[1], shape[2]);
    ikat_status status = ikati_scratch_view(lowering, out_tensor, out_edges);
    if (status || !shape[2]) {
        return status;
    }
    const edges_lowering self = {lowering, source, *out_edges};
    const ikati_view *views[] = {&source->labels, &source->mask, out_edges};
    const row_block first = cut(lowering, views, 3, &whole);
    return add_steps(&whole, &first, &self, add_edges);
}
