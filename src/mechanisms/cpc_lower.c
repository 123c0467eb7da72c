// Lowers the CPC loss: attention's walk without its values. Anchors are taken in blocks whose rows the
// device can bind at once. Of each, kernel `gemm` makes pred W; `infonce` makes the scores of the
// own targets, then walks all targets; `losses` joins what the walks left and adds up. A last step
// averages. No block keeps more than a few numbers a row.

#include "cpc.h"

#include "../lower_gemm.h"

#include "../../shaders/params/infonce.h"
#include "../../shaders/params/losses.h"

#include <float.h>
#include <string.h>

enum {
    ROWS_A_SUM = 128,           // of every variant of `losses`: blocks of anchors are multiples
    MULTIPLIES_A_ROW = 1 << 24, // that a workgroup of `infonce` may spend on an anchor
};

typedef struct infonce_params {
    INFONCE_PARAMS(IKATI_PARAM_FIELD)
} infonce_params;
typedef struct losses_params {
    LOSSES_PARAMS(IKATI_PARAM_FIELD)
} losses_params;
typedef struct cpc_lowering {
    ikati_lowering *lowering;
    ikati_view pred, target, weight, valid, loss, losses;
    ikat_dtype dtype;
    uint32_t num_rows, size;
    float scale;
    ikati_step infonce; // kernel and variant chosen
    uint32_t most_anchors, most_targets;
    uint32_t targets_per_split, num_parts;
    uint32_t sums; // scratch: two numbers for each ROWS_A_SUM rows
} cpc_lowering;

// A block of anchors: their rows, and where what is made of them lies.
typedef struct cpc_block {
    ikati_axis_range rows;
    ikati_operand anchors;
    uint64_t anchor_row;
    ikati_operand own_scores;
    uint32_t parts;
} cpc_block;

static uint64_t row_stride(const ikati_view *view) {
    return view->tensor->shape[0] > 1 ? (uint64_t)view->tensor->strides[0] : 0;
}

static ikati_operand operand_rows(const cpc_lowering *c, const ikati_view *view,
                                  ikati_axis_range rows) {
    const uint64_t stride = row_stride(view);
    const uint64_t count = rows.count ? (rows.count - 1) * stride + c->size : 0;
    return (ikati_operand){view->kind, view->index, view->tensor->dtype,
                           (uint64_t)view->tensor->offset + rows.first * stride, count};
}

static ikati_operand operand_scratch(uint32_t scratch, uint64_t offset, uint64_t count) {
    return (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, offset, count};
}

static bool is_multiple(const ikati_view *view, uint32_t of) {
    return row_stride(view) % of == 0 && view->tensor->offset % of == 0;
}

// Elements of a type that one binding holds.
static uint64_t most_elements(const cpc_lowering *c, ikat_dtype dtype) {
    const uint64_t size = ikat_dtype_size(dtype);
    const uint64_t storage = ikati_lowering_binding_bytes(c->lowering) / size;
    const uint64_t texels = ikati_lowering_texel_bytes(c->lowering, size) / size;
    return c->infonce.variant->texel_bindings && texels < storage ? texels : storage;
}

// Rows of a stride that one binding holds, at most `most`; 0 if not even one.
static uint32_t rows_bound(const cpc_lowering *c, ikat_dtype dtype, uint64_t stride,
                           uint32_t most) {
    const uint64_t elements = most_elements(c, dtype);
    if (elements < c->size) {
        return 0;
    }
    const uint64_t rows = stride ? (elements - c->size) / stride + 1 : most;
    return rows < most ? (uint32_t)rows : most;
}

static ikat_status fail_size(const cpc_lowering *c, const char *what) {
    return ikati_fail(c->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_SHAPE,
                      "C = %u %s %s, expected less", c->size, what,
                      ikati_lowering_device(c->lowering)->id);
}

// Blocks of anchors and of targets that can be bound.
static ikat_status choose_blocks(cpc_lowering *c) {
    const uint32_t most = c->num_rows;
    c->most_targets = rows_bound(c, c->dtype, row_stride(&c->target), most);
    c->most_anchors = rows_bound(c, c->dtype, row_stride(&c->pred), c->most_targets);
    if (c->weight.kind) {
        c->most_anchors = rows_bound(c, IKAT_FLOAT32, c->size, c->most_anchors);
    }
    if (c->most_anchors < most) {
        c->most_anchors = c->most_anchors / ROWS_A_SUM * ROWS_A_SUM;
    }
    return c->most_anchors ? IKAT_OK : fail_size(c, "makes rows larger than what can be bound on");
}

// Few anchors leave a device idle: then the targets are split. So are those that are too many for one
// workgroup.
static ikat_status choose_splits(cpc_lowering *c) {
    const uint32_t tile = c->infonce.variant->tile_keys;
    uint64_t most = ikati_lowering_max_keys(c->lowering, c->infonce.variant, c->size);
    if (most < tile) {
        return fail_size(c, "is more than one invocation walks on");
    }
    const uint64_t bounded = ikati_round_up(ikati_divide_up(MULTIPLIES_A_ROW, c->size), tile);
    most = most < bounded ? most / tile * tile : bounded;
    const uint64_t groups = ikati_divide_up(c->most_anchors, c->infonce.variant->tile_rows);
    const uint64_t busy = ikati_lowering_busy_groups(c->lowering);
    const uint64_t wanted = ikati_divide_up(c->num_rows, ikati_divide_up(busy, groups));
    c->targets_per_split = (uint32_t)ikati_round_up(wanted < most ? wanted : most, tile);
    const uint32_t full = c->num_rows / c->most_targets, rest = c->num_rows % c->most_targets;
    c->num_parts = full * (uint32_t)ikati_divide_up(c->most_targets, c->targets_per_split) +
                   (uint32_t)ikati_divide_up(rest, c->targets_per_split);
    // Parts are bound whole, too.
    const uint64_t rows = most_elements(c, IKAT_FLOAT32) / 2 / c->num_parts;
    if (rows < c->most_anchors) {
        c->most_anchors = (uint32_t)rows / ROWS_A_SUM * ROWS_A_SUM;
    }
    return c->most_anchors ? IKAT_OK : fail_size(c, "makes too many parts for");
}

static ikat_status pick_infonce(cpc_lowering *c) {
    const bool texels = ikati_lowering_takes_texels(c->lowering);
    const bool aligned = c->size % 4 == 0 && is_multiple(&c->target, 4) &&
                         (c->weight.kind || is_multiple(&c->pred, 4));
    const ikati_pick pick = {
        .offers = (c->dtype == IKAT_FLOAT16 ? IKATI_NEED_HALF : IKATI_NEED_FLOAT) |
                  (aligned ? IKATI_NEED_ALIGNED4 : 0) | (aligned && texels ? IKATI_NEED_TEXEL : 0),
        .sizes = {c->size, c->size},
        .num_rows = c->num_rows,
    };
    return ikati_pick_variant(c->lowering, IKATI_KERNEL_infonce, &pick, &c->infonce);
}

// The block's pred W, in scratch of its own.
static ikat_status add_projection(cpc_lowering *c, cpc_block *block) {
    const uint64_t count = (uint64_t)block->rows.count * c->size;
    const uint32_t scratch = ikati_lowering_scratch(c->lowering, count * sizeof(float));
    if (scratch == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikati_gemm gemm = {
        .a = ikati_matrices_of(&c->pred, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1),
        .b = ikati_matrices_of(&c->weight, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1),
        .c = ikati_matrices_of_scratch(scratch, 1, block->rows.count, c->size),
        .num_batches = 1,
        .num_heads = 1,
        .num_rows = block->rows.count,
        .num_columns = c->size,
        .depth = c->size,
        .scale = 1.0,
    };
    gemm.a.offset += block->rows.first * row_stride(&c->pred);
    block->anchors = operand_scratch(scratch, 0, count);
    block->anchor_row = c->size;
    return ikati_lower_gemm(c->lowering, &gemm);
}

// targets  rows of the step; own: the block's rows, whose own scores are made
static ikat_status add_infonce(cpc_lowering *c, const cpc_block *block, ikati_axis_range targets,
                               bool own, uint32_t first_part) {
    const uint32_t num_splits =
        own ? 1 : (uint32_t)ikati_divide_up(targets.count, c->targets_per_split);
    ikati_step step = c->infonce;
    const infonce_params params = {
        .num_anchors = block->rows.count,
        .num_targets = targets.count,
        .size = c->size,
        .anchor_row = ikati_step_of(block->anchor_row, block->rows.count),
        .target_row = ikati_step_of(row_stride(&c->target), targets.count),
        .own_shift = (int32_t)block->rows.first - (int32_t)targets.first,
        .own = own,
        .num_splits = num_splits,
        .targets_per_split = c->targets_per_split,
        .total_anchors = block->rows.count,
        .scale = c->scale,
    };
    memcpy(step.params, &params, sizeof(params));
    step.operands[0] = block->anchors;
    step.operands[1] = operand_rows(c, &c->target, targets);
    step.operands[2] = ikati_vector_operand(&c->valid, targets);
    step.operands[3] = own ? (ikati_operand){0} : block->own_scores;
    const uint64_t part = 2 * (uint64_t)block->rows.count;
    step.operands[4] = own ? block->own_scores
                           : operand_scratch(block->parts, part * first_part, part * num_splits);
    step.specialisation[0] = (block->anchors.dtype == IKAT_FLOAT16 ? INFONCE_HALF_ANCHORS : 0) |
                             (c->dtype == IKAT_FLOAT16 ? INFONCE_HALF_TARGETS : 0) |
                             (c->valid.kind ? INFONCE_VALID : 0);
    step.num_groups = num_splits * ikati_divide_up(block->rows.count, step.variant->tile_rows);
    const double visited = own ? step.variant->tile_rows : targets.count;
    step.flops = 2.0 * (double)block->rows.count * visited * c->size;
    return ikati_lowering_step(c->lowering, &step, c->dtype, own ? ".own" : "");
}

static ikat_status add_losses(cpc_lowering *c, const losses_params *params,
                              const ikati_operand operands[4], uint32_t options) {
    ikati_step step = {0};
    const ikati_pick pick = {.num_rows = params->num_rows};
    ikat_status status = ikati_pick_variant(c->lowering, IKATI_KERNEL_losses, &pick, &step);
    if (status) {
        return status;
    }
    const bool last = options & LOSSES_MEAN;
    memcpy(step.params, params, sizeof(*params));
    memcpy(step.operands, operands, 4 * sizeof(*operands));
    step.specialisation[0] = options;
    step.num_groups = last ? 1 : ikati_divide_up(params->num_rows, step.variant->tile_rows);
    step.flops = 8.0 * params->num_rows * params->num_parts;
    return ikati_lowering_step(c->lowering, &step, IKAT_FLOAT32, last ? ".mean" : "");
}

static ikat_status add_block_losses(cpc_lowering *c, const cpc_block *block) {
    const losses_params params = {.num_parts = c->num_parts, .num_rows = block->rows.count};
    const uint64_t num_sums = ikati_divide_up(block->rows.count, ROWS_A_SUM);
    const ikati_operand operands[4] = {
        operand_scratch(block->parts, 0, 2 * (uint64_t)block->rows.count * c->num_parts),
        ikati_vector_operand(&c->valid, block->rows),
        ikati_vector_operand(&c->losses, block->rows),
        operand_scratch(c->sums, block->rows.first / ROWS_A_SUM * 2, 2 * num_sums),
    };
    const uint32_t options =
        (c->valid.kind ? LOSSES_VALID : 0) | (c->losses.kind ? LOSSES_EACH : 0);
    return add_losses(c, &params, operands, options);
}

static ikat_status add_mean(cpc_lowering *c) {
    const uint64_t num_sums = ikati_divide_up(c->num_rows, ROWS_A_SUM);
    const losses_params params = {.num_parts = 1, .num_rows = (uint32_t)num_sums};
    const ikati_operand operands[4] = {
        num_sums ? operand_scratch(c->sums, 0, 2 * num_sums) : (ikati_operand){0},
        {0},
        {0},
        ikati_vector_operand(&c->loss, (ikati_axis_range){0, 1}),
    };
    return c->loss.kind ? add_losses(c, &params, operands, LOSSES_MEAN) : IKAT_OK;
}

static ikat_status add_block(cpc_lowering *c, ikati_axis_range rows) {
    cpc_block block = {
        .rows = rows,
        .anchors = operand_rows(c, &c->pred, rows),
        .anchor_row = row_stride(&c->pred),
    };
    const uint32_t own = ikati_lowering_scratch(c->lowering, (uint64_t)rows.count * sizeof(float));
    block.parts = ikati_lowering_scratch(c->lowering,
                                         2 * (uint64_t)rows.count * c->num_parts * sizeof(float));
    if (own == UINT32_MAX || block.parts == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    block.own_scores = operand_scratch(own, 0, rows.count);
    ikat_status status = c->weight.kind ? add_projection(c, &block) : IKAT_OK;
    status = status ? status : add_infonce(c, &block, rows, true, 0);
    uint32_t part = 0;
    for (uint32_t first = 0; first < c->num_rows && !status; first += c->most_targets) {
        const ikati_axis_range targets = ikati_next_range(first, c->most_targets, c->num_rows);
        status = add_infonce(c, &block, targets, false, part);
        part += (uint32_t)ikati_divide_up(targets.count, c->targets_per_split);
    }
    return status ? status : add_block_losses(c, &block);
}

static ikat_status add_blocks(cpc_lowering *c) {
    ikat_status status = pick_infonce(c);
    status = status ? status : choose_blocks(c);
    status = status ? status : choose_splits(c);
    if (status) {
        return status;
    }
    const uint64_t num_sums = ikati_divide_up(c->num_rows, ROWS_A_SUM);
    c->sums = ikati_lowering_scratch(c->lowering, 2 * num_sums * sizeof(float));
    status = c->sums == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    for (uint32_t first = 0; first < c->num_rows && !status; first += c->most_anchors) {
        status = add_block(c, ikati_next_range(first, c->most_anchors, c->num_rows));
    }
    return status;
}

ikat_status ikati_cpc_lower(const ikati_request *request, ikati_lowering *lowering) {
    const double scale = 1.4426950408889634 / ikati_setting(request, "temperature")->number;
    cpc_lowering c = {
        .lowering = lowering,
        .pred = ikati_input_view(request, "pred"),
        .target = ikati_input_view(request, "target"),
        .weight = ikati_input_view(request, "weight"),
        .valid = ikati_input_view(request, "valid"),
        .loss = ikati_output_view(request, 0),
        .losses = ikati_output_view(request, 1),
        .dtype = request->dtype,
        .num_rows = (uint32_t)ikati_extent(request, "S"),
        .size = (uint32_t)ikati_extent(request, "C"),
        .scale = (float)(scale < FLT_MAX ? scale : FLT_MAX),
    };
    const ikat_status status = c.num_rows ? add_blocks(&c) : IKAT_OK;
    return status ? status : add_mean(&c);
}
