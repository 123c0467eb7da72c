// Kernels `combine` and `softmax`.

#include "lower_rows.h"
#include "row_blocks.h"

#include "../shaders/params/combine.h"
#include "../shaders/params/softmax.h"

#include <string.h>

typedef struct combine_params {
    COMBINE_PARAMS(IKATI_PARAM_FIELD)
} combine_params;
typedef struct softmax_params {
    SOFTMAX_PARAMS(IKATI_PARAM_FIELD)
} softmax_params;

static uint32_t options_of(const ikati_combine *c, ikat_dtype to) {
    static const uint32_t combinations[] = {0, COMBINE_ADD, COMBINE_GATE, COMBINE_MULTIPLY};
    return combinations[c->combination] | (c->x.dtype == IKAT_FLOAT16 ? COMBINE_X_HALF : 0) |
           (c->y.kind && c->y.dtype == IKAT_FLOAT16 ? COMBINE_Y_HALF : 0) |
           (to == IKAT_FLOAT16 ? COMBINE_TO_HALF : 0) | (c->lengths.kind ? COMBINE_LENGTHS : 0);
}

static ikat_status add_combine(const void *user, ikati_lowering *lowering,
                               const ikati_row_block *blk) {
    static const char *const words[] = {"", ".add", ".gate", ".multiply"};
    const ikati_combine *c = user;
    const uint32_t batches = blk->batches.count, heads = blk->heads.count, rows = blk->rows.count;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_combine, &pick, &step);
    if (status) {
        return status;
    }
    const combine_params params = {
        .num_batches = batches,
        .num_heads = heads,
        .num_rows = rows,
        .row_begin = blk->rows.first,
        .num_columns = c->num_columns,
        .x_batch = ikati_step_of(c->x.batch, batches),
        .x_head = ikati_step_of(c->x.head, heads),
        .x_row = ikati_step_of(c->x.row, rows),
        .x_column = ikati_step_of(c->x.column, c->num_columns),
        .y_batch = ikati_step_of(c->y.batch, batches),
        .y_head = ikati_step_of(c->y.head, heads),
        .y_row = ikati_step_of(c->y.row, rows),
        .y_column = ikati_step_of(c->y.column, c->num_columns),
        .to_batch = blk->to.strides[0],
        .to_head = blk->to.strides[1],
        .to_row = blk->to.strides[2],
        .scale = c->scale == 0 ? 1.0f : (float)c->scale,
    };
    step.operands[0] =
        ikati_matrices_operand(&c->x, blk->batches, blk->heads, blk->rows, c->num_columns);
    step.operands[1] =
        ikati_matrices_operand(&c->y, blk->batches, blk->heads, blk->rows, c->num_columns);
    step.operands[2] = ikati_vector_operand(&c->lengths, blk->batches);
    step.operands[3] = blk->to.operand;
    step.specialisation[0] = options_of(c, blk->to.operand.dtype);
    const uint64_t all = (uint64_t)batches * heads * rows;
    step.num_groups =
        ikati_divide_up(all * ikati_divide_up(c->num_columns, 4), step.variant->tile_rows);
    step.flops = (double)all * c->num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, c->x.dtype, words[c->combination]);
}

ikat_status ikati_lower_combine(ikati_lowering *lowering, const ikati_combine *c) {
    const ikati_row_work work = {
        .num_batches = c->num_batches,
        .num_heads = c->num_heads,
        .num_rows = c->num_rows,
        .num_columns = c->num_columns,
        .to = c->to,
        .reads = {c->x, c->y},
        .add = add_combine,
        .user = c,
    };
    return ikati_lower_row_blocks(lowering, &work);
}

ikat_status ikati_lower_copy(ikati_lowering *lowering, const ikati_view *from,
                             const ikati_view *to) {
    const int64_t *shape = from->tensor->shape;
    const ikati_combine copy = {
        .x = ikati_matrices_of(from, 0, 1, 2, 3),
        .to = ikati_matrices_of(to, 0, 1, 2, 3),
        .num_batches = (uint32_t)shape[0],
        .num_heads = (uint32_t)shape[1],
        .num_rows = (uint32_t)shape[2],
        .num_columns = (uint32_t)shape[3],
    };
    return ikati_lower_combine(lowering, &copy);
}

ikat_status ikati_lower_widen(ikati_lowering *lowering, ikati_view *view, ikat_tensor *tensor) {
    const ikati_view from = *view;
    const int64_t *shape = from.tensor->shape;
    if (from.tensor->dtype == IKAT_FLOAT32) {
        return IKAT_OK;
    }
    *tensor = ikati_packed_tensor(IKAT_FLOAT32, shape[0], shape[1], shape[2], shape[3]);
    ikat_status status = ikati_scratch_view(lowering, tensor, view);
    return status ? status : ikati_lower_copy(lowering, &from, view);
}

static ikat_status add_softmax(const void *user, ikati_lowering *lowering,
                               const ikati_row_block *blk) {
    const ikati_row_work *w = user;
    const ikati_matrices *x = &w->reads[0];
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_softmax, &pick, &step);
    if (status) {
        return status;
    }
    const softmax_params params = {
        .num_rows = blk->rows.count,
        .num_columns = w->num_columns,
        .x_row = ikati_step_of(x->row, blk->rows.count),
    };
    step.operands[0] =
        ikati_matrices_operand(x, blk->batches, blk->heads, blk->rows, w->num_columns);
    step.operands[1] = blk->to.operand;
    step.specialisation[0] = x->dtype == IKAT_FLOAT16 ? SOFTMAX_HALF : 0;
    step.num_groups = ikati_divide_up(blk->rows.count, step.variant->tile_rows);
    step.flops = 4.0 * (double)blk->rows.count * w->num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, x->dtype, "");
}

ikat_status ikati_lower_softmax(ikati_lowering *lowering, const ikati_matrices *x,
                                uint32_t num_rows, uint32_t num_columns, uint32_t to) {
    ikati_row_work work = {
        .num_batches = 1,
        .num_heads = 1,
        .num_rows = num_rows,
        .num_columns = num_columns,
        .to = ikati_matrices_of_scratch(to, 1, num_rows, num_columns),
        .reads = {*x},
        .add = add_softmax,
    };
    work.user = &work;
    return ikati_lower_row_blocks(lowering, &work);
}
