#include "lower_rows.h"

#include "row_blocks.h"

#include "../shaders/params/mean.h"
#include "../shaders/params/norm.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ROWS_PER_PART = 256 }; // of a mean: what one invocation adds up

typedef struct norm_params {
    NORM_PARAMS(IKATI_PARAM_FIELD)
} norm_params;
typedef struct mean_params {
    MEAN_PARAMS(IKATI_PARAM_FIELD)
} mean_params;

static uint32_t norm_options(const ikati_norm *n, ikat_dtype to) {
    const bool half = (n->gamma.kind && n->gamma.dtype == IKAT_FLOAT16) ||
                      (n->beta.kind && n->beta.dtype == IKAT_FLOAT16);
    return (n->x.dtype == IKAT_FLOAT16 ? NORM_X_HALF : 0) | (to == IKAT_FLOAT16 ? NORM_Y_HALF : 0) |
           (half ? NORM_WEIGHT_HALF : 0) | (n->gamma.kind && !n->is_sum ? NORM_GAMMA : 0) |
           (n->beta.kind && !n->is_sum ? NORM_BETA : 0) | (n->lengths.kind ? NORM_LENGTHS : 0) |
           (n->relu ? NORM_RELU : 0) | (n->is_sum ? NORM_SUM : 0) |
           (n->residual.kind ? NORM_RESIDUAL : 0) |
           (n->residual.kind && n->residual.dtype == IKAT_FLOAT16 ? NORM_RESIDUAL_HALF : 0);
}

static ikat_status add_norm(const void *user, ikati_lowering *lowering,
                            const ikati_row_block *blk) {
    const ikati_norm *n = user;
    const ikati_axis_range batches = blk->batches, rows = blk->rows;
    const ikati_axis_range one = {0, 1};
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_norm, &pick, &step);
    if (status) {
        return status;
    }
    const norm_params params = {
        .num_batches = batches.count,
        .num_rows = rows.count,
        .row_begin = rows.first,
        .num_columns = n->num_columns,
        .x_batch = ikati_step_of(n->x.batch, batches.count),
        .x_row = ikati_step_of(n->x.row, rows.count),
        .residual_batch = ikati_step_of(n->residual.batch, batches.count),
        .residual_row = ikati_step_of(n->residual.row, rows.count),
        .y_batch = blk->to.strides[0],
        .y_row = blk->to.strides[2],
        .eps = fmaxf((float)n->eps, FLT_MIN), // above 0 whatever it was
    };
    step.operands[0] = ikati_matrices_operand(&n->x, batches, one, rows, n->num_columns);
    step.operands[1] = ikati_matrices_operand(&n->gamma, one, one, one, n->num_columns);
    step.operands[2] = ikati_matrices_operand(&n->beta, one, one, one, n->num_columns);
    step.operands[3] = ikati_vector_operand(&n->lengths, batches);
    step.operands[4] = ikati_matrices_operand(&n->residual, batches, one, rows, n->num_columns);
    step.operands[5] = blk->to.operand;
    step.specialisation[0] = norm_options(n, blk->to.operand.dtype);
    const uint64_t all = (uint64_t)batches.count * rows.count;
    step.num_groups = ikati_divide_up(all, step.variant->tile_rows);
    step.flops = 8.0 * (double)all * n->num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, n->x.dtype,
                               n->is_sum ? ".sum"
                               : n->relu ? ".relu"
                                         : "");
}

ikat_status ikati_lower_norm(ikati_lowering *lowering, const ikati_norm *n) {
    const ikati_row_work work = {
        .num_batches = n->num_batches,
        .num_heads = 1,
        .num_rows = n->num_rows,
        .num_columns = n->num_columns,
        .to = n->y,
        .reads = {n->x, n->residual},
        .add = add_norm,
        .user = n,
    };
    return ikati_lower_row_blocks(lowering, &work);
}

// Parts of a block of batch entries and rows, to elements `offset` on of scratch.
static ikat_status add_mean(ikati_lowering *lowering, const ikati_mean *m, ikati_axis_range batches,
                            ikati_axis_range rows, uint32_t scratch, uint64_t offset,
                            uint64_t part_size, double factor) {
    const ikati_axis_range heads = {0, m->num_heads};
    const uint64_t matrices = (uint64_t)batches.count * m->num_heads;
    const uint32_t parts = (uint32_t)ikati_divide_up(rows.count ? rows.count : 1, ROWS_PER_PART);
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_mean, &pick, &step);
    if (status) {
        return status;
    }
    const mean_params params = {
        .num_parts = parts,
        .rows_per_part = ROWS_PER_PART,
        .num_batches = batches.count,
        .num_heads = m->num_heads,
        .num_rows = rows.count,
        .num_columns = m->num_columns,
        .row_begin = rows.first,
        .total_rows = m->num_rows,
        .x_batch = ikati_step_of(m->x.batch, batches.count),
        .x_head = ikati_step_of(m->x.head, m->num_heads),
        .x_row = ikati_step_of(m->x.row, rows.count),
        .to_part = (uint32_t)part_size,
        .factor = (float)factor,
    };
    step.operands[0] = ikati_matrices_operand(&m->x, batches, heads, rows, m->num_columns);
    step.operands[1] = ikati_vector_operand(&m->lengths, batches);
    step.operands[2] =
        (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32,
                        offset + (uint64_t)batches.first * m->num_heads * m->num_columns,
                        (parts - 1) * part_size + matrices * m->num_columns};
    step.specialisation[0] =
        (m->x.dtype == IKAT_FLOAT16 ? MEAN_HALF : 0) | (m->lengths.kind ? MEAN_LENGTHS : 0);
    step.num_groups = ikati_divide_up(parts * matrices * ikati_divide_up(m->num_columns, 4),
                                      step.variant->tile_rows);
    step.flops = (double)matrices * rows.count * m->num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, m->x.dtype, "");
}

static ikat_status add_parts(ikati_lowering *lowering, const ikati_mean *m, uint32_t batches,
                             uint32_t rows, uint32_t scratch, uint64_t offset, uint64_t part_size,
                             double factor) {
    ikat_status status = IKAT_OK;
    for (uint32_t b = 0; b < m->num_batches && !status; b += batches) {
        uint32_t r = 0;
        do {
            status = add_mean(lowering, m, ikati_next_range(b, batches, m->num_batches),
                              ikati_next_range(r, rows, m->num_rows), scratch,
                              offset + r / ROWS_PER_PART * part_size, part_size, factor);
            r += rows;
        } while (r < m->num_rows && !status);
    }
    return status;
}

// Sums up the means of parts, each already over the number of all rows: their mean times their number.
static ikat_status add_sum(ikati_lowering *lowering, const ikati_mean *m, uint32_t scratch,
                           uint32_t num_parts, uint64_t part_size) {
    ikati_mean sum = *m;
    sum.x = (ikati_matrices){IKATI_SLOT_SCRATCH,
                             scratch,
                             IKAT_FLOAT32,
                             0,
                             (uint64_t)m->num_heads * m->num_columns,
                             m->num_columns,
                             part_size,
                             1};
    sum.lengths = (ikati_view){0};
    sum.num_rows = num_parts;
    const uint32_t all = m->num_batches;
    if (num_parts <= ROWS_PER_PART) {
        return add_parts(lowering, &sum, all, num_parts, m->to, m->to_offset, part_size, num_parts);
    }
    const uint32_t next_parts = (uint32_t)ikati_divide_up(num_parts, ROWS_PER_PART);
    const uint32_t next = ikati_lowering_scratch(lowering, next_parts * part_size * sizeof(float));
    ikat_status status = next == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    status =
        status ? status : add_parts(lowering, &sum, all, num_parts, next, 0, part_size, num_parts);
    return status ? status : add_sum(lowering, m, next, next_parts, part_size);
}

// Of so many batch entries and rows of x.
static uint64_t mean_bytes(const ikati_mean *m, uint32_t batches, uint32_t rows) {
    const ikati_operand operand = ikati_matrices_operand(
        &m->x, (ikati_axis_range){0, batches}, (ikati_axis_range){0, m->num_heads},
        (ikati_axis_range){0, rows}, m->num_columns);
    return operand.count * ikat_dtype_size(m->x.dtype);
}

ikat_status ikati_lower_mean(ikati_lowering *lowering, const ikati_mean *m) {
    const uint64_t limit = ikati_lowering_binding_bytes(lowering);
    const uint64_t part_size = (uint64_t)m->num_batches * m->num_heads * m->num_columns;
    const uint32_t num_parts =
        (uint32_t)ikati_divide_up(m->num_rows ? m->num_rows : 1, ROWS_PER_PART);
    if (!part_size) {
        return IKAT_OK;
    }
    uint32_t batches = m->num_batches, rows = num_parts * ROWS_PER_PART;
    while (mean_bytes(m, batches, rows < m->num_rows ? rows : m->num_rows) > limit &&
           (batches > 1 || rows > ROWS_PER_PART)) {
        rows = batches > 1 ? rows : (uint32_t)ikati_round_up(rows / 2, ROWS_PER_PART);
        batches = batches > 1 ? (batches + 1) / 2 : 1;
    }
    if (num_parts == 1) {
        return add_parts(lowering, m, batches, rows, m->to, m->to_offset, part_size, 1);
    }
    const uint32_t scratch =
        ikati_lowering_scratch(lowering, num_parts * part_size * sizeof(float));
    ikat_status status = scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    status = status ? status : add_parts(lowering, m, batches, rows, scratch, 0, part_size, 1);
    return status ? status : add_sum(lowering, m, scratch, num_parts, part_size);
}
