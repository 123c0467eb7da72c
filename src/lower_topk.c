// The thresholds of top-k: from which score on each row keeps keys.
//
// A row's k-th highest score is found by its bits, a few a round, from the highest on: kernel `attend`
// counts the row's scores by their next bits, kernel `threshold` takes those of the k-th. No score is
// kept in memory, and how keys are cut or split does not matter: counts add up. Rounds end early for rows
// whose best keys are told apart already.

#include "attend_steps.h"

#include "../shaders/params/attend.h"
#include "../shaders/params/threshold.h"

#include <string.h>

enum { SCORE_BITS = 32 };

typedef struct threshold_params {
    THRESHOLD_PARAMS(IKATI_PARAM_FIELD)
} threshold_params;

static ikat_status add_threshold(const ikati_topk *topk, bool begins) {
    const ikati_attend_builder *b = topk->builder;
    const uint64_t rows = topk->rows.count / 2;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT, .num_rows = rows};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_threshold, &pick, &step);
    if (status) {
        return status;
    }
    const threshold_params params = {.num_rows = (uint32_t)rows,
                                     .topk = b->attention->topk,
                                     .begins = begins,
                                     .shift = topk->shift};
    step.operands[0] = topk->counts;
    step.operands[1] = topk->rows;
    step.num_groups = ikati_divide_up(rows, step.variant->tile_rows);
    step.flops = (double)topk->counts.count;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, IKAT_FLOAT32, begins ? ".begin" : "");
}

uint64_t ikati_topk_counts_bytes(uint64_t rows) { return rows * TOPK_BINS * sizeof(uint32_t); }

ikat_status ikati_topk_begin(ikati_attend_builder *b, const ikati_attend_block *block,
                             const ikati_operand *table, ikati_topk *out_topk) {
    const uint64_t records = (uint64_t)block->batches.count * block->heads.count;
    const uint64_t rows = records * block->queries.count;
    const uint32_t scratch = ikati_lowering_scratch(b->lowering, ikati_topk_counts_bytes(rows));
    if (scratch == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    *out_topk = (ikati_topk){
        .builder = b,
        .block = block,
        .counts = {IKATI_SLOT_SCRATCH, scratch, IKAT_INT32, 0, rows * TOPK_BINS},
        .rows = *table,
        .shift = SCORE_BITS,
    };
    out_topk->rows.offset += 4 * records;
    out_topk->rows.count = 2 * rows;
    return add_threshold(out_topk, true);
}

bool ikati_topk_next(ikati_topk *topk) {
    topk->above = topk->shift;
    topk->shift = topk->above > TOPK_BITS ? topk->above - TOPK_BITS : 0;
    return topk->above > 0;
}

ikati_attend_targets ikati_topk_targets(const ikati_topk *topk, bool in_parts) {
    const uint32_t head = topk->block->queries.count * TOPK_BINS;
    return (ikati_attend_targets){
        .out = topk->counts,
        .out_strides = {0, head * topk->block->heads.count, head, TOPK_BINS},
        .in_parts = in_parts,
        .counts = true,
        .topk_shift = topk->shift,
        .topk_above = topk->above,
    };
}

ikat_status ikati_topk_end_round(ikati_topk *topk) { return add_threshold(topk, false); }
