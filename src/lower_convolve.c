// Kernels `convolve` and `predict`.

#include "lower_rows.h"
#include "row_blocks.h"

#include "../shaders/params/convolve.h"
#include "../shaders/params/predict.h"

#include <string.h>

typedef struct convolve_params {
    CONVOLVE_PARAMS(IKATI_PARAM_FIELD)
} convolve_params;
typedef struct predict_params {
    PREDICT_PARAMS(IKATI_PARAM_FIELD)
} predict_params;

static uint32_t options_of(const ikati_convolve *c, ikat_dtype to) {
    const bool half_taps = c->taps.kind && c->taps.dtype == IKAT_FLOAT16;
    const bool half_bias = c->bias.kind && c->bias.dtype == IKAT_FLOAT16;
    return (c->x.dtype == IKAT_FLOAT16 ? CONVOLVE_X_HALF : 0) |
           (half_taps ? CONVOLVE_TAPS_HALF : 0) | (half_bias ? CONVOLVE_BIAS_HALF : 0) |
           (c->bias.kind ? CONVOLVE_BIAS : 0) | (c->base.kind ? CONVOLVE_BASE : 0) |
           (c->lengths.kind ? CONVOLVE_LENGTHS : 0) | (to == IKAT_FLOAT16 ? CONVOLVE_TO_HALF : 0);
}

// The rows of x that rows of the result see.
static ikati_axis_range seen_rows(uint32_t num_taps, uint32_t taps_left, uint32_t num_rows,
                                  ikati_axis_range rows) {
    const uint32_t right = num_taps > taps_left ? num_taps - taps_left - 1 : 0;
    const uint32_t first = rows.first > taps_left ? rows.first - taps_left : 0;
    const uint32_t last = rows.first + rows.count - 1, past = num_rows - 1 - last;
    return (ikati_axis_range){first, last + (right < past ? right : past) - first + 1};
}

static convolve_params params_of(const ikati_convolve *c, const ikati_row_block *blk,
                                 ikati_axis_range x_rows) {
    const uint32_t batches = blk->batches.count, heads = blk->heads.count, rows = blk->rows.count;
    return (convolve_params){
        .num_batches = batches,
        .num_heads = heads,
        .heads_per_kv = c->heads_per_kv,
        .num_rows = rows,
        .num_columns = c->num_columns,
        .num_taps = c->num_taps,
        .taps_left = c->taps_left,
        .row_begin = blk->rows.first,
        .x_begin = x_rows.first,
        .x_rows = x_rows.count,
        .total_rows = c->num_rows,
        .x_batch = ikati_step_of(c->x.batch, batches),
        .x_head = ikati_step_of(c->x.head, heads),
        .x_row = ikati_step_of(c->x.row, x_rows.count),
        .taps_head = ikati_step_of(c->taps.head, heads),
        .bias_head = ikati_step_of(c->bias.head, heads),
        .base_batch = ikati_step_of(c->base.batch, batches),
        .base_head = ikati_step_of(c->base.head, heads),
        .base_row = ikati_step_of(c->base.row, rows),
        .to_batch = blk->to.strides[0],
        .to_head = blk->to.strides[1],
        .to_row = blk->to.strides[2],
    };
}

static ikat_status add_convolve(const void *user, ikati_lowering *lowering,
                                const ikati_row_block *blk) {
    const ikati_convolve *c = user;
    const ikati_axis_range one = {0, 1},
                           x_rows = seen_rows(c->num_taps, c->taps_left, c->num_rows, blk->rows);
    const ikati_axis_range x_heads = {blk->heads.first / c->heads_per_kv,
                                      (uint32_t)ikati_divide_up(blk->heads.count, c->heads_per_kv)};
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_convolve, &pick, &step);
    if (status) {
        return status;
    }
    const convolve_params params = params_of(c, blk, x_rows);
    step.operands[0] = ikati_matrices_operand(&c->x, blk->batches, x_heads, x_rows, c->num_columns);
    step.operands[1] = ikati_matrices_operand(&c->taps, one, blk->heads, one, c->num_taps);
    step.operands[2] = ikati_matrices_operand(&c->bias, one, blk->heads, one, c->num_columns);
    step.operands[3] =
        ikati_matrices_operand(&c->base, blk->batches, blk->heads, blk->rows, c->num_columns);
    step.operands[4] = ikati_vector_operand(&c->lengths, blk->batches);
    step.operands[5] = blk->to.operand;
    step.specialisation[0] = options_of(c, blk->to.operand.dtype);
    const uint64_t matrices = (uint64_t)blk->batches.count * blk->heads.count;
    const uint64_t items = matrices * ikati_divide_up(blk->rows.count, step.variant->tile_keys) *
                           ikati_divide_up(c->num_columns, 4);
    step.num_groups = ikati_divide_up(items, step.variant->tile_rows);
    step.flops = 2.0 * (double)matrices * blk->rows.count * c->num_columns * (c->num_taps + 1.0);
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, c->x.dtype, "");
}

ikat_status ikati_lower_convolve(ikati_lowering *lowering, const ikati_convolve *c) {
    const ikati_row_work work = {
        .num_batches = c->num_batches,
        .num_heads = c->num_heads,
        .num_rows = c->num_rows,
        .num_columns = c->num_columns,
        .to = c->to,
        .reads = {c->x, c->base},
        .halo = c->num_taps < c->num_rows ? c->num_taps : c->num_rows,
        .granule = c->heads_per_kv,
        .add = add_convolve,
        .user = c,
    };
    return ikati_lower_row_blocks(lowering, &work);
}

static uint32_t predict_options(const ikati_predict *p) {
    return (p->weight.dtype == IKAT_FLOAT16 ? PREDICT_WEIGHT_HALF : 0) |
           (p->tap_bias.kind ? PREDICT_TAP_BIAS : 0) |
           (p->tap_bias.kind && p->tap_bias.dtype == IKAT_FLOAT16 ? PREDICT_TAP_BIAS_HALF : 0) |
           (p->bias.kind ? PREDICT_BIAS : 0) |
           (p->bias.kind && p->bias.dtype == IKAT_FLOAT16 ? PREDICT_BIAS_HALF : 0) |
           (p->is_raw ? PREDICT_RAW : 0);
}

static ikat_status add_predict(const void *user, ikati_lowering *lowering,
                               const ikati_row_block *blk) {
    const ikati_predict *p = user;
    const ikati_axis_range one = {0, 1}, heads = {0, p->num_heads}, inner = {0, p->num_columns};
    const ikati_axis_range x_rows = seen_rows(p->num_taps, p->taps_left, p->num_rows, blk->rows);
    const ikati_matrices x = ikati_matrices_of_scratch(p->x, 1, p->num_rows, p->num_columns);
    const uint32_t batches = blk->batches.count;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_predict, &pick, &step);
    if (status) {
        return status;
    }
    const predict_params params = {
        .num_batches = batches,
        .num_heads = p->num_heads,
        .num_rows = blk->rows.count,
        .num_columns = p->num_columns,
        .num_taps = p->num_taps,
        .taps_left = p->taps_left,
        .row_begin = blk->rows.first,
        .x_begin = x_rows.first,
        .x_rows = x_rows.count,
        .x_batch = ikati_step_of(x.batch, batches),
        .to_batch = blk->to.strides[0],
        .weight_row = ikati_step_of(p->weight.row, p->num_columns),
        .weight_head = ikati_step_of(p->weight.head, p->num_heads),
        .tap_bias_head = ikati_step_of(p->tap_bias.head, p->num_heads),
    };
    step.operands[0] = ikati_matrices_operand(&x, blk->batches, one, x_rows, p->num_columns);
    step.operands[1] = ikati_matrices_operand(&p->weight, one, heads, inner, p->num_taps);
    step.operands[2] = ikati_matrices_operand(&p->tap_bias, one, heads, one, p->num_taps);
    step.operands[3] = ikati_matrices_operand(&p->bias, one, one, one, p->num_columns);
    step.operands[4] = blk->to.operand;
    step.specialisation[0] = predict_options(p);
    step.num_groups = (uint64_t)batches * p->num_heads *
                      ikati_divide_up(blk->rows.count, step.variant->tile_rows);
    step.flops = 2.0 * (double)batches * blk->rows.count * p->num_columns * p->num_taps *
                 (p->num_heads + 1.0);
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, IKAT_FLOAT32, "");
}

ikat_status ikati_lower_predict(ikati_lowering *lowering, const ikati_predict *p) {
    const ikati_row_work work = {
        .num_batches = p->num_batches,
        .num_heads = 1,
        .num_rows = p->num_rows,
        .num_columns = p->num_columns,
        .to = ikati_matrices_of_scratch(p->to, 1, p->num_rows, p->num_columns),
        .reads = {ikati_matrices_of_scratch(p->x, 1, p->num_rows, p->num_columns)},
        .halo = p->num_taps < p->num_rows ? p->num_taps : p->num_rows,
        .add = add_predict,
        .user = p,
    };
    return ikati_lower_row_blocks(lowering, &work);
}
