// The table that `attend` reads of each (batch, head): kernel `heads`, and how many keys and rows are
// valid.

#include "attend_steps.h"

#include "../shaders/params/heads.h"

#include <string.h>

typedef struct heads_params {
    HEADS_PARAMS(IKATI_PARAM_FIELD)
} heads_params;

// What a block sees of a small input of one axis, or of a batch and a head axis.
static ikati_operand operand_small(const ikati_view *view, ikati_axis_range batches,
                                   ikati_axis_range heads, bool per_head) {
    if (view->kind == IKATI_SLOT_NONE) {
        return (ikati_operand){0};
    }
    const ikat_tensor *t = view->tensor;
    ikati_axis_range inner = per_head ? heads : batches;
    ikati_operand operand = {view->kind, view->index, t->dtype, (uint64_t)t->offset + inner.first,
                             inner.count};
    if (t->rank == 2) {
        operand.offset += batches.first * (uint64_t)t->strides[0];
        operand.count += (batches.count - 1) * (uint64_t)t->strides[0];
    }
    return operand;
}

static uint32_t heads_options(const ikati_attend_builder *b) {
    const ikati_attention *a = b->attention;
    uint32_t options = 0;
    options |= a->lengths.kind ? HEADS_LENGTHS : 0;
    options |= a->query_lengths.kind ? HEADS_QUERY_LENGTHS : 0;
    options |= b->num_queries == b->num_keys && !a->is_cross && !a->windows ? HEADS_SELF : 0;
    options |= a->windows ? HEADS_WINDOWS : 0;
    options |= a->alibi ? HEADS_SLOPES : 0;
    options |= a->alibi && a->slopes.tensor->dtype == IKAT_FLOAT16 ? HEADS_SLOPES_HALF : 0;
    options |= a->sinks.kind ? HEADS_SINKS : 0;
    options |= a->sinks.kind && a->sinks.tensor->dtype == IKAT_FLOAT16 ? HEADS_SINKS_HALF : 0;
    options |= a->cluster_shift ? HEADS_CLUSTERS : 0;
    options |= b->mask_table != UINT32_MAX ? HEADS_MASK : 0;
    return options;
}

uint64_t ikati_attend_table_words(const ikati_attend_builder *b, const ikati_attend_block *blk) {
    uint64_t records = (uint64_t)blk->batches.count * blk->heads.count;
    uint64_t thresholds = b->attention->topk ? 2 * records * b->num_queries : 0;
    return (b->needs_table ? 4 * records : 0) + thresholds;
}

ikat_status ikati_attend_make_table(ikati_attend_builder *b, const ikati_attend_block *blk,
                                    uint64_t num_more, ikati_operand *out_table) {
    uint64_t num = ikati_attend_table_words(b, blk);
    if (num + num_more == 0) {
        *out_table = (ikati_operand){0};
        return IKAT_OK;
    }
    uint32_t scratch = ikati_lowering_scratch(b->lowering, 4 * (num + num_more));
    *out_table = (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_INT32, 0, num};
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

uint32_t ikati_attend_count_keys(const ikati_attend_windows *w, uint32_t num_valid) {
    const uint32_t least = w->is_whole ? w->size : 1;
    const uint32_t front = w->needs_position && !num_valid ? 0 : w->num_front;
    return num_valid < least ? front : front + (num_valid - least) / w->stride + 1;
}

static void fill_windows(const ikati_attend_windows *w, heads_params *out) {
    out->num_positions = w->num_positions;
    out->front_keys = w->num_front;
    out->front_least = w->needs_position;
    out->window_least = w->is_whole ? (int32_t)w->size : 1;
    out->window_stride = w->stride;
}

ikat_status ikati_attend_add_heads(ikati_attend_builder *b, const ikati_attend_block *blk,
                                   const ikati_operand *table) {
    const ikati_attention *a = b->attention;
    uint32_t records = blk->batches.count * blk->heads.count;
    ikati_step step = {0};
    ikati_pick pick = {.offers = IKATI_NEED_FLOAT, .num_rows = records};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_heads, &pick, &step);
    if (status) {
        return status;
    }
    bool slopes_per_batch = a->alibi && a->slopes.tensor->rank == 2;
    heads_params params = {
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .num_queries = a->cluster_shift ? a->num_positions : b->num_queries,
        .num_keys = a->cluster_shift ? a->num_positions : b->num_keys,
        .lengths_stride = 1,
        .query_lengths_stride = 1,
        .slopes_batch = slopes_per_batch ? ikati_step_of((uint64_t)a->slopes.tensor->strides[0],
                                                         blk->batches.count)
                                         : 0,
        .slopes_head = 1,
        .sinks_stride = 1,
        .cluster_shift = a->cluster_shift,
    };
    if (a->windows) {
        fill_windows(a->windows, &params);
    }
    step.operands[0] = operand_small(&a->lengths, blk->batches, blk->heads, false);
    step.operands[1] = operand_small(&a->query_lengths, blk->batches, blk->heads, false);
    step.operands[2] =
        a->alibi ? operand_small(&a->slopes, blk->batches, blk->heads, true) : (ikati_operand){0};
    step.operands[3] = operand_small(&a->sinks, blk->batches, blk->heads, true);
    if (b->mask_table != UINT32_MAX) {
        step.operands[4] = (ikati_operand){IKATI_SLOT_TABLE, b->mask_table, IKAT_INT32,
                                           blk->heads.first, blk->heads.count};
    }
    step.operands[5] = *table;
    step.operands[5].count = 4ull * records;
    step.specialisation[0] = heads_options(b);
    step.num_groups = ikati_divide_up(records, step.variant->tile_rows);
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, IKAT_FLOAT32, "");
}
