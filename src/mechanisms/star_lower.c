// Lowers the two attention steps of the Star-Transformer: the satellites' by kernel `ring`, the relay's as
// attention over the satellites and attention over its own key, merged.

#include "star.h"

#include "../attend_steps.h"
#include "../lower_rows.h"

#include "../../shaders/params/copy.h"
#include "../../shaders/params/ring.h"

#include <string.h>

typedef struct copy_params {
    COPY_PARAMS(IKATI_PARAM_FIELD)
} copy_params;
typedef struct ring_params {
    RING_PARAMS(IKATI_PARAM_FIELD)
} ring_params;

// A lowering of kernel `ring` under way.
typedef struct ring_builder {
    ikati_lowering *lowering;
    const ikati_ring_attention *ring;
    uint32_t num_batches, num_heads, heads_per_kv, kv_heads, num_positions, size, value_size;
    bool needs_pack; // halves of `out` share words between rows
} ring_builder;

// A part of the problem: heads of one run are all kept or all pruned.
typedef struct ring_block {
    ikati_axis_range batches, heads, kv_heads;
    bool is_pruned;
} ring_block;

static ikat_status copy_lengths(ikati_lowering *lowering, const ikati_view *lengths,
                                uint32_t num_batches, uint32_t scratch) {
    ikati_step step = {0};
    const ikati_pick pick = {0};
    ikat_status status = ikati_pick_variant(lowering, IKATI_KERNEL_copy, &pick, &step);
    if (status) {
        return status;
    }
    const copy_params params = {
        .num_words = num_batches, .count1 = 1, .count2 = 1, .count3 = num_batches};
    step.operands[0] = ikati_vector_operand(lengths, (ikati_axis_range){0, num_batches});
    step.operands[1] = (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_INT32, 0, num_batches};
    step.num_groups = ikati_divide_up(num_batches, step.variant->tile_rows);
    step.flops = num_batches;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(lowering, &step, IKAT_INT32, "");
}

ikat_status ikati_relay_table_create(ikati_lowering *lowering, const ikati_view *lengths,
                                     int64_t num_batches, int64_t keys_size, int64_t values_size,
                                     ikati_relay_table *out_table) {
    const uint64_t k_at = ikati_round_up((uint64_t)num_batches, 4);
    const uint64_t v_at = k_at + ikati_round_up((uint64_t)(num_batches * keys_size), 4);
    const uint64_t num_words = v_at + (uint64_t)(num_batches * values_size);
    if (num_words * sizeof(float) > ikati_lowering_binding_bytes(lowering)) {
        return ikati_fail(
            lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
            "the relays' keys and values exceed what %s binds at once, expected fewer "
            "batch entries",
            ikati_lowering_device(lowering)->id);
    }
    *out_table = (ikati_relay_table){ikati_lowering_scratch(lowering, num_words * sizeof(float)),
                                     (uint32_t)k_at, (uint32_t)v_at, (uint32_t)num_words};
    if (out_table->scratch == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    return lengths->kind
               ? copy_lengths(lowering, lengths, (uint32_t)num_batches, out_table->scratch)
               : IKAT_OK;
}

static ikati_operand operand_of(const ring_builder *b, const ikati_view *view,
                                const ring_block *blk, bool per_kv, uint32_t columns) {
    const ikati_axis_range rows = {0, b->num_positions};
    return ikati_view_operand(view, blk->batches, per_kv ? blk->kv_heads : blk->heads, rows, 0,
                              columns);
}

// Strides of a view along batch, head and position, as a block takes them.
static void fill_strides(const ring_builder *b, const ikati_view *view, const ring_block *blk,
                         bool per_kv, uint32_t out_strides[3]) {
    if (!view->kind) {
        return;
    }
    const ikati_view_strides s = ikati_view_strides_of(view);
    out_strides[0] = ikati_step_of(s.batch, blk->batches.count);
    out_strides[1] = ikati_step_of(s.head, per_kv ? blk->kv_heads.count : blk->heads.count);
    out_strides[2] = ikati_step_of(s.row, b->num_positions);
}

static uint32_t options_of(const ring_builder *b, const ring_block *blk, ikat_dtype to) {
    const ikati_ring_attention *r = b->ring;
    uint32_t options = to == IKAT_FLOAT16 ? RING_OUT_HALF : 0;
    options |= r->out.kind ? RING_OUT : 0;
    options |= r->lse.kind ? RING_LSE : 0;
    if (blk->is_pruned) {
        return options | RING_PRUNED;
    }
    options |= r->q.tensor->dtype == IKAT_FLOAT16 ? RING_HALF : 0;
    options |= r->k_emb.kind ? RING_EMBEDDING : 0;
    options |= r->has_lengths ? RING_LENGTHS : 0;
    return options;
}

static void fill_params(const ring_builder *b, const ring_block *blk, ring_params *out) {
    const ikati_ring_attention *r = b->ring;
    uint32_t strides[6][3] = {{0}};
    const ikati_view *views[6] = {&r->q, &r->k, &r->v, &r->k_emb, &r->v_emb, &r->lse};
    for (int i = 0; i < 6; i++) {
        fill_strides(b, views[i], blk, i > 0 && i < 5, strides[i]);
    }
#define STRIDES(name, i) \
    .name##_batch = strides[i][0], .name##_head = strides[i][1], .name##_row = strides[i][2]
    *out = (ring_params){
        .num_batches = blk->batches.count,
        .num_heads = blk->heads.count,
        .heads_per_kv = b->heads_per_kv,
        .head_phase = blk->heads.first % b->heads_per_kv,
        .num_positions = b->num_positions,
        .head_size = b->size,
        .value_size = b->value_size,
        STRIDES(q, 0),
        STRIDES(k, 1),
        STRIDES(v, 2),
        STRIDES(k_emb, 3),
        STRIDES(v_emb, 4),
        STRIDES(lse, 5),
        .relay_k_at = r->table.k_at,
        .relay_v_at = r->table.v_at,
        .kv_heads = b->kv_heads,
        .batch_begin = blk->batches.first,
        .kv_begin = blk->kv_heads.first,
        .scale = (float)r->scale,
    };
#undef STRIDES
}

static ikat_status add_ring(const ring_builder *b, const ring_block *blk,
                            const ikati_row_target *out) {
    const ikati_ring_attention *r = b->ring;
    ikati_step step = {0};
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_ring, &pick, &step);
    if (status) {
        return status;
    }
    ring_params params;
    fill_params(b, blk, &params);
    params.out_batch = out->strides[0];
    params.out_head = out->strides[1];
    params.out_row = out->strides[2];
    if (!blk->is_pruned) {
        step.operands[0] = operand_of(b, &r->q, blk, false, b->size);
        step.operands[1] = operand_of(b, &r->k, blk, true, b->size);
        step.operands[2] = operand_of(b, &r->v, blk, true, b->value_size);
        step.operands[3] = operand_of(b, &r->k_emb, blk, true, b->size);
        step.operands[4] = operand_of(b, &r->v_emb, blk, true, b->value_size);
        step.operands[5] = (ikati_operand){IKATI_SLOT_SCRATCH, r->table.scratch, IKAT_FLOAT32, 0,
                                           r->table.num_words};
    }
    step.operands[6] = out->operand;
    step.operands[7] = operand_of(b, &r->lse, blk, false, 1);
    step.specialisation[0] = options_of(b, blk, out->operand.dtype);
    const uint64_t rows = (uint64_t)blk->batches.count * blk->heads.count * b->num_positions;
    step.num_groups = ikati_divide_up(rows, step.variant->tile_rows);
    step.flops = 10.0 * (b->size + b->value_size) * (double)rows;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, r->q.tensor->dtype,
                               blk->is_pruned  ? ".pruned"
                               : r->k_emb.kind ? ".embedding"
                                               : "");
}

static ikat_status add_block(const ring_builder *b, const ring_block *blk) {
    const uint32_t counts[3] = {blk->batches.count, blk->heads.count, b->num_positions};
    ikati_row_target out = {.operand = operand_of(b, &b->ring->out, blk, false, b->value_size)};
    fill_strides(b, &b->ring->out, blk, false, out.strides);
    if (!b->needs_pack) {
        return add_ring(b, blk, &out);
    }
    ikati_row_target staged;
    ikat_status status = ikati_lowering_stage(b->lowering, counts, b->value_size, &staged);
    status = status ? status : add_ring(b, blk, &staged);
    return status ? status : ikati_lowering_pack(b->lowering, &staged, &out, counts, b->value_size);
}

// The run of heads from `first` on that are kept, or pruned, alike.
static ring_block run_of(const ring_builder *b, ikati_axis_range batches, uint32_t first,
                         uint32_t end) {
    const int32_t *mask = b->ring->head_mask;
    ring_block blk = {.batches = batches, .heads = {first, 1}, .is_pruned = mask && !mask[first]};
    while (first + blk.heads.count < end &&
           blk.is_pruned == (mask && !mask[first + blk.heads.count])) {
        blk.heads.count++;
    }
    const uint32_t last = first + blk.heads.count - 1;
    blk.kv_heads.first = first / b->heads_per_kv;
    blk.kv_heads.count = last / b->heads_per_kv - blk.kv_heads.first + 1;
    return blk;
}

// Whether the device binds so many batch entries and heads of each tensor at once.
static bool fits(const ring_builder *b, uint32_t batches, uint32_t heads) {
    const ikati_ring_attention *r = b->ring;
    const ikati_view *views[] = {&r->q, &r->k, &r->v, &r->k_emb, &r->v_emb, &r->out, &r->lse};
    const ring_block blk = {.batches = {0, batches},
                            .heads = {0, heads},
                            .kv_heads = {0, (uint32_t)ikati_divide_up(heads, b->heads_per_kv)}};
    const uint64_t limit = ikati_lowering_binding_bytes(b->lowering);
    uint64_t packed = (uint64_t)batches * heads * b->num_positions * b->value_size * sizeof(float);
    bool good = !b->needs_pack || packed <= limit;
    for (int i = 0; i < 7; i++) {
        const bool per_kv = i > 0 && i < 5;
        const uint32_t columns = i == 6 ? 1 : i == 0 || i == 1 || i == 3 ? b->size : b->value_size;
        const ikati_operand operand = operand_of(b, views[i], &blk, per_kv, columns);
        good = good && (!operand.kind || operand.count * ikat_dtype_size(operand.dtype) <= limit);
    }
    return good;
}

static ikat_status add_blocks(const ring_builder *b) {
    uint32_t batches = b->num_batches, heads = b->num_heads;
    if (!fits(b, batches, heads)) {
        batches = 1;
    }
    if (!fits(b, batches, heads)) {
        heads = b->heads_per_kv;
    }
    if (!fits(b, batches, heads)) {
        return ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                          "one head's tensors exceed what %s binds at once, expected less for a "
                          "ring of satellites",
                          ikati_lowering_device(b->lowering)->id);
    }
    ikat_status status = IKAT_OK;
    for (uint32_t first = 0; first < b->num_batches && !status; first += batches) {
        const ikati_axis_range range = ikati_next_range(first, batches, b->num_batches);
        for (uint32_t head = 0; head < b->num_heads && !status;) {
            const uint32_t next = head - head % heads + heads;
            const ring_block blk =
                run_of(b, range, head, next < b->num_heads ? next : b->num_heads);
            status = add_block(b, &blk);
            head += blk.heads.count;
        }
    }
    return status;
}

ikat_status ikati_lower_ring(ikati_lowering *lowering, const ikati_ring_attention *ring) {
    const int64_t *q = ring->q.tensor->shape, *v = ring->v.tensor->shape;
    const ring_builder b = {
        .lowering = lowering,
        .ring = ring,
        .num_batches = (uint32_t)q[0],
        .num_heads = (uint32_t)q[1],
        .heads_per_kv = (uint32_t)(q[1] / v[1]),
        .kv_heads = (uint32_t)v[1],
        .num_positions = (uint32_t)q[2],
        .size = (uint32_t)q[3],
        .value_size = (uint32_t)v[3],
        .needs_pack = ring->out.kind && ikati_lowering_packs(lowering, ring->out.tensor->dtype) &&
                      !ikati_view_is_multiple(&ring->out, (uint64_t)v[3], 2),
    };
    return b.num_batches && b.num_positions ? add_blocks(&b) : IKAT_OK;
}

ikat_status ikati_lower_relay(ikati_lowering *lowering, const ikati_attention *satellites,
                              const ikati_view *k_relay, const ikati_view *v_relay) {
    ikati_attention parts[2] = {*satellites, *satellites};
    parts[0].is_cross = parts[1].is_cross = true;
    parts[1].k = *k_relay;
    parts[1].v = *v_relay;
    parts[1].lengths = (ikati_view){0};
    return ikati_lower_attentions(lowering, parts, 2);
}

static ikat_status gather_relay(const ikati_request *request, ikati_lowering *lowering,
                                ikati_relay_table *out_table) {
    const int64_t batches = ikati_extent(request, "B"), heads = ikati_extent(request, "Hkv");
    const int64_t size = ikati_extent(request, "D"), value_size = ikati_extent(request, "Dv");
    const ikati_view lengths = ikati_input_view(request, "lengths");
    const ikati_view k = ikati_input_view(request, "k_relay");
    const ikati_view v = ikati_input_view(request, "v_relay");
    ikat_status status = ikati_relay_table_create(lowering, &lengths, batches, heads * size,
                                                  heads * value_size, out_table);
    ikati_mean copy = {.num_batches = (uint32_t)batches,
                       .num_heads = (uint32_t)heads,
                       .num_rows = 1,
                       .to = out_table->scratch};
    copy.x = ikati_matrices_of(&k, 0, 1, 2, 3);
    copy.num_columns = (uint32_t)size;
    copy.to_offset = out_table->k_at;
    status = status ? status : ikati_lower_mean(lowering, &copy);
    copy.x = ikati_matrices_of(&v, 0, 1, 2, 3);
    copy.num_columns = (uint32_t)value_size;
    copy.to_offset = out_table->v_at;
    return status ? status : ikati_lower_mean(lowering, &copy);
}

static ikat_status lower_ring(const ikati_request *request, ikati_lowering *lowering) {
    const ikati_attention call = ikati_attention_of_call(request);
    ikati_ring_attention ring = {
        .q = call.q,
        .k = call.k,
        .v = call.v,
        .k_emb = ikati_input_view(request, "k_emb"),
        .v_emb = ikati_input_view(request, "v_emb"),
        .out = call.out,
        .lse = call.lse,
        .has_lengths = call.lengths.kind != IKATI_SLOT_NONE,
        .head_mask = call.head_mask,
        .scale = call.scale,
    };
    if (!ikati_extent(request, "B") || !ikati_extent(request, "N")) {
        return IKAT_OK;
    }
    ikat_status status = gather_relay(request, lowering, &ring.table);
    return status ? status : ikati_lower_ring(lowering, &ring);
}

ikat_status ikati_star_lower(const ikati_request *request, ikati_lowering *lowering) {
    switch (ikati_star_step_of(request)) {
    case IKATI_STAR_RING: return lower_ring(request, lowering);
    case IKATI_STAR_RELAY: {
        const ikati_attention call = ikati_attention_of_call(request);
        const ikati_view k = ikati_input_view(request, "k_relay");
        const ikati_view v = ikati_input_view(request, "v_relay");
        return ikati_lower_relay(lowering, &call, &k, &v);
    }
    case IKATI_STAR_FULL: break;
    }
    return ikati_star_lower_full(request, lowering);
}
