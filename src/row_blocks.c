#include "row_blocks.h"

typedef struct cutter {
    const ikati_row_work *work;
    uint32_t most[3]; // largest batches, heads, rows of one block
} cutter;

static uint64_t bytes_of(const cutter *c, const ikati_matrices *m, uint32_t heads_per_head,
                         uint32_t halo) {
    const ikati_axis_range batches = {0, c->most[0]};
    const ikati_axis_range heads = {0, (uint32_t)ikati_divide_up(c->most[1], heads_per_head)};
    const ikati_axis_range rows = {0, c->most[2] + halo};
    const ikati_operand operand =
        ikati_matrices_operand(m, batches, heads, rows, c->work->num_columns);
    return operand.count * (m->kind ? ikat_dtype_size(m->dtype) : 0);
}

static uint32_t granule_of(const ikati_row_work *w) { return w->granule ? w->granule : 1; }

static bool fits(const cutter *c, uint64_t limit) {
    const ikati_row_work *w = c->work;
    if (bytes_of(c, &w->to, 1, 0) > limit) {
        return false;
    }
    for (int i = 0; i < IKATI_MAX_ROW_READS; i++) {
        if (bytes_of(c, &w->reads[i], i ? 1 : granule_of(w), i ? 0 : w->halo) > limit) {
            return false;
        }
    }
    return true;
}

// Halves the first axis that can be; false if none can.
static bool shrink(cutter *c) {
    const uint32_t granules[3] = {1, granule_of(c->work), 1};
    for (int axis = 0; axis < 3; axis++) {
        const uint32_t half = (uint32_t)ikati_round_up((c->most[axis] + 1) / 2, granules[axis]);
        if (half < c->most[axis]) {
            c->most[axis] = half;
            return true;
        }
    }
    return false;
}

static bool needs_pack(const ikati_lowering *lowering, const ikati_row_work *w) {
    const ikati_matrices *to = &w->to;
    return ikati_lowering_packs(lowering, to->dtype) &&
           (w->num_columns % 2 || to->offset % 2 || (w->num_rows > 1 && to->row % 2) ||
            (w->num_heads > 1 && to->head % 2) || (w->num_batches > 1 && to->batch % 2));
}

static ikat_status add_block(ikati_lowering *lowering, const ikati_row_work *w,
                             ikati_row_block blk) {
    const uint32_t counts[3] = {blk.batches.count, blk.heads.count, blk.rows.count};
    const ikati_row_target to = {
        ikati_matrices_operand(&w->to, blk.batches, blk.heads, blk.rows, w->num_columns),
        {ikati_step_of(w->to.batch, counts[0]), ikati_step_of(w->to.head, counts[1]),
         ikati_step_of(w->to.row, counts[2])}};
    blk.to = to;
    if (!needs_pack(lowering, w)) {
        return w->add(w->user, lowering, &blk);
    }
    ikat_status status = ikati_lowering_stage(lowering, counts, w->num_columns, &blk.to);
    status = status ? status : w->add(w->user, lowering, &blk);
    return status ? status : ikati_lowering_pack(lowering, &blk.to, &to, counts, w->num_columns);
}

ikat_status ikati_lower_row_blocks(ikati_lowering *lowering, const ikati_row_work *w) {
    cutter c = {w, {w->num_batches, w->num_heads, w->num_rows}};
    const uint64_t own =
        ikati_lowering_binding_bytes(lowering) / 2; // packed halves are twice as large
    const uint64_t limit = w->most_bytes && w->most_bytes < own ? w->most_bytes : own;
    if (!w->num_batches || !w->num_heads || !w->num_rows || !w->num_columns) {
        return IKAT_OK;
    }
    while (!fits(&c, limit)) {
        if (!shrink(&c)) {
            return ikati_fail(lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                              "a row and its neighbours exceed what %s binds at once",
                              ikati_lowering_device(lowering)->id);
        }
    }
    ikat_status status = IKAT_OK;
    for (uint32_t b = 0; b < w->num_batches && !status; b += c.most[0]) {
        for (uint32_t h = 0; h < w->num_heads && !status; h += c.most[1]) {
            for (uint32_t r = 0; r < w->num_rows && !status; r += c.most[2]) {
                const ikati_row_block blk = {.batches =
                                                 ikati_next_range(b, c.most[0], w->num_batches),
                                             .heads = ikati_next_range(h, c.most[1], w->num_heads),
                                             .rows = ikati_next_range(r, c.most[2], w->num_rows)};
                status = add_block(lowering, w, blk);
            }
        }
    }
    return status;
}
