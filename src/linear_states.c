// States of chunks and the rows that read them: kernels `fade`, `outer`, `carry`, `gemm` for products
// inside chunks, and `readout`.

#include "linear_steps.h"

#include "../shaders/params/carry.h"
#include "../shaders/params/fade.h"
#include "../shaders/params/outer.h"
#include "../shaders/params/readout.h"

#include <string.h>

typedef struct outer_params {
    OUTER_PARAMS(IKATI_PARAM_FIELD)
} outer_params;
typedef struct carry_params {
    CARRY_PARAMS(IKATI_PARAM_FIELD)
} carry_params;
typedef struct fade_params {
    FADE_PARAMS(IKATI_PARAM_FIELD)
} fade_params;
typedef struct readout_params {
    READOUT_PARAMS(IKATI_PARAM_FIELD)
} readout_params;

static ikati_matrices decay_matrices(const ikati_linear_builder *b) {
    const ikati_view *view = &b->attention->decay;
    return view->tensor->rank == 1
               ? ikati_matrices_of(view, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, IKATI_NO_AXIS)
               : ikati_matrices_of(view, 0, 1, 2, IKATI_NO_AXIS);
}

static uint32_t fade_row(const ikati_linear_builder *b) { return b->chunk + IKATI_FADE_EXTRA; }

static ikati_operand fade_part(const ikati_linear_builder *b, uint32_t first_slot) {
    const uint64_t size = (uint64_t)b->segment * fade_row(b);
    return b->attention->decay.kind
               ? ikati_linear_scratch_part(b->fade, (uint64_t)b->batches.count * b->kv_heads.count,
                                           size, (uint64_t)first_slot * fade_row(b))
               : (ikati_operand){0};
}

ikat_status ikati_linear_fade(const ikati_linear_builder *b, ikati_axis_range slots) {
    ikati_step step = {0};
    const ikati_pick pick = {0};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_fade, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_matrices decay = decay_matrices(b);
    const ikati_axis_range positions = ikati_linear_positions(b, IKATI_KEYS, slots);
    const uint32_t room = b->segment * fade_row(b);
    const fade_params params = {
        .num_batches = b->batches.count,
        .num_heads = b->kv_heads.count,
        .num_rows = slots.count,
        .row_begin = slots.first,
        .total = b->total,
        .num_positions = b->num_keys,
        .position_begin = positions.first,
        .chunk = b->chunk,
        .decay_batch = ikati_step_of(decay.batch, b->batches.count),
        .decay_head = ikati_step_of(decay.head, b->kv_heads.count),
        .decay_row = ikati_step_of(decay.row, positions.count),
        .fade_batch = b->kv_heads.count * room,
        .fade_head = room,
    };
    step.operands[0] = ikati_matrices_operand(&decay, b->batches, b->kv_heads, positions, 1);
    step.operands[2] = fade_part(b, 0);
    step.specialisation[0] = decay.dtype == IKAT_FLOAT16 ? FADE_HALF : 0;
    if (ikati_linear_has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= FADE_LENGTHS;
        step.operands[1] = ikati_linear_lengths(b);
    }
    const uint64_t rows = (uint64_t)b->batches.count * b->kv_heads.count * slots.count;
    step.num_groups = ikati_divide_up(rows, step.variant->tile_rows);
    step.flops = (double)rows * b->chunk;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, IKAT_FLOAT32, "");
}

// What the values that a step binds offer; scratch is small enough for texels where these are.
static ikati_pick describe_values(const ikati_linear_builder *b, ikati_axis_range slots) {
    const ikati_view *v = &b->attention->v;
    const ikati_matrices m = ikati_linear_matrices(v);
    const ikati_axis_range positions = ikati_linear_positions(b, IKATI_KEYS, slots);
    const uint64_t values =
        ikati_matrices_operand(&m, b->batches, b->kv_heads, positions, b->value_size).count;
    const uint64_t rows = b->num_features > b->chunk ? b->num_features : b->chunk;
    const uint64_t heads = (uint64_t)b->batches.count * ikati_linear_heads(b);
    const uint64_t scratch = heads * b->segment * (rows + IKATI_FADE_EXTRA);
    const uint64_t states = heads * ikati_linear_divide(b->segment, b->chunk) * b->state_size;
    ikati_pick pick = {.offers = v->tensor->dtype == IKAT_FLOAT32 ? IKATI_NEED_FLOAT : 0};
    pick.offers |= ikati_view_is_multiple(v, b->value_size, 4) ? IKATI_NEED_ALIGNED4 : 0;
    uint64_t most = values > scratch ? values : scratch;
    most = most > states ? most : states;
    if (ikati_lowering_takes_texels(b->lowering) &&
        most * sizeof(float) <= ikati_lowering_texel_bytes(b->lowering, sizeof(float))) {
        pick.offers |= IKATI_NEED_TEXEL;
    }
    return pick;
}

// Workgroups: an item of variants whose workgroup is one subgroup, or one work-item, is a workgroup's.
static uint64_t count_groups(const ikati_variant *variant, uint64_t items) {
    return variant->group_size <= 8 ? items : ikati_divide_up(items, variant->group_size);
}

// States of the chunks of a segment, or the one that is carried.
static ikati_operand states_part(const ikati_linear_builder *b, uint32_t first_chunk) {
    const uint64_t num = (uint64_t)b->batches.count * ikati_linear_states(b);
    const uint64_t chunks = ikati_linear_divide(b->segment, b->chunk);
    return ikati_linear_scratch_part(b->states, num, chunks * b->state_size,
                                     (uint64_t)first_chunk * b->state_size);
}

static uint32_t states_head(const ikati_linear_builder *b) {
    return ikati_linear_divide(b->segment, b->chunk) * b->state_size;
}

ikat_status ikati_linear_outer(const ikati_linear_builder *b, ikati_axis_range slots) {
    ikati_step step = {0};
    const ikati_pick pick = describe_values(b, slots);
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_outer, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_matrices v = ikati_linear_matrices(&b->attention->v);
    const ikati_axis_range positions = ikati_linear_positions(b, IKATI_KEYS, slots);
    const uint32_t states = ikati_linear_states(b), room = b->segment * b->num_features;
    const outer_params params = {
        .num_batches = b->batches.count,
        .num_heads = states,
        .heads_per_value = b->states_per_kv,
        .num_rows = slots.count,
        .row_begin = slots.first,
        .total = b->total,
        .num_positions = b->num_keys,
        .position_begin = positions.first,
        .chunk = b->chunk,
        .num_chunks = ikati_linear_divide(slots.count, b->chunk),
        .num_features = b->num_features,
        .value_size = b->value_size,
        .value_stride = b->value_stride,
        .feature_batch = states * room,
        .feature_head = room,
        .v_batch = ikati_step_of(v.batch, b->batches.count),
        .v_head = ikati_step_of(v.head, b->kv_heads.count),
        .v_row = ikati_step_of(v.row, positions.count),
        .fade_batch = b->kv_heads.count * b->segment * fade_row(b),
        .fade_head = b->segment * fade_row(b),
        .states_batch = states * states_head(b),
        .states_head = states_head(b),
        .states_chunk = b->state_size,
    };
    step.operands[0] =
        ikati_linear_scratch_part(b->key_features, (uint64_t)b->batches.count * states, room, 0);
    step.operands[1] =
        ikati_matrices_operand(&v, b->batches, b->kv_heads, positions, b->value_size);
    step.operands[2] = fade_part(b, 0);
    step.operands[4] = states_part(b, 0);
    step.specialisation[0] =
        (v.dtype == IKAT_FLOAT16 ? OUTER_V_HALF : 0) | (b->attention->decay.kind ? OUTER_FADE : 0);
    if (ikati_linear_has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= OUTER_LENGTHS;
        step.operands[3] = ikati_linear_lengths(b);
    }
    const ikati_variant *variant = step.variant;
    const uint64_t items = (uint64_t)b->batches.count * states * params.num_chunks *
                           ikati_divide_up(b->num_features, variant->tile_rows) *
                           ikati_divide_up(b->value_stride, variant->tile_keys);
    step.num_groups = count_groups(variant, items);
    step.flops = 2.0 * (double)items * variant->tile_rows * variant->tile_keys * b->chunk;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, v.dtype,
                               b->attention->decay.kind ? ".fade" : "");
}

// Tensors of a state that are the caller's.
static void set_given(const ikati_linear_builder *b, ikati_step *step, carry_params *params,
                      bool is_first, bool is_last) {
    const ikati_linear_attention *a = b->attention;
    const ikati_axis_range rows = {0, b->head_size}, one = {0, 1};
    const uint32_t batches = b->batches.count, heads = b->kv_heads.count;
    const ikati_matrices s = ikati_matrices_of(&a->state_s, 0, 1, 2, 3);
    const ikati_matrices z = ikati_matrices_of(&a->state_z, 0, 1, IKATI_NO_AXIS, 2);
    const ikati_matrices s_out = ikati_matrices_of(&a->s_out, 0, 1, 2, 3);
    const ikati_matrices z_out = ikati_matrices_of(&a->z_out, 0, 1, IKATI_NO_AXIS, 2);
    if (is_first && s.kind) {
        step->specialisation[0] |= CARRY_GIVEN;
        step->operands[2] =
            ikati_matrices_operand(&s, b->batches, b->kv_heads, rows, b->value_size);
        step->operands[3] = ikati_matrices_operand(&z, b->batches, b->kv_heads, one, b->head_size);
    }
    if (is_last && s_out.kind) {
        step->specialisation[0] |= CARRY_S_OUT;
        step->operands[5] =
            ikati_matrices_operand(&s_out, b->batches, b->kv_heads, rows, b->value_size);
    }
    if (is_last && z_out.kind) {
        step->specialisation[0] |= CARRY_Z_OUT;
        step->operands[6] =
            ikati_matrices_operand(&z_out, b->batches, b->kv_heads, one, b->head_size);
    }
    params->s_batch = ikati_step_of(s.batch, batches);
    params->s_head = ikati_step_of(s.head, heads);
    params->s_row = ikati_step_of(s.row, b->head_size);
    params->z_batch = ikati_step_of(z.batch, batches);
    params->z_head = ikati_step_of(z.head, heads);
    params->s_out_batch = ikati_step_of(s_out.batch, batches);
    params->s_out_head = ikati_step_of(s_out.head, heads);
    params->s_out_row = ikati_step_of(s_out.row, b->head_size);
    params->z_out_batch = ikati_step_of(z_out.batch, batches);
    params->z_out_head = ikati_step_of(z_out.head, heads);
}

ikat_status ikati_linear_carry(const ikati_linear_builder *b, uint32_t num_chunks, bool is_first,
                               bool is_last) {
    ikati_step step = {0};
    const ikati_pick pick = {0};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_carry, &pick, &step);
    if (status) {
        return status;
    }
    const uint32_t states = ikati_linear_states(b);
    const uint64_t num = (uint64_t)b->batches.count * states;
    carry_params params = {
        .num_batches = b->batches.count,
        .num_heads = states,
        .chunk = b->chunk,
        .num_chunks = num_chunks,
        .num_features = b->num_features,
        .num_given = b->head_size,
        .value_size = b->value_size,
        .value_stride = b->value_stride,
        .states_batch = states * states_head(b),
        .states_head = states_head(b),
        .states_chunk = b->state_size,
        .fade_batch = b->kv_heads.count * b->segment * fade_row(b),
        .fade_head = b->segment * fade_row(b),
    };
    if (num_chunks) {
        step.operands[0] = states_part(b, 0);
        step.operands[1] = fade_part(b, 0);
    }
    step.operands[4] = ikati_linear_scratch_part(b->carried, num, b->state_size, 0);
    step.specialisation[0] = (is_first ? 0 : CARRY_CONTINUES) |
                             (b->attention->decay.kind ? CARRY_FADE : 0) |
                             (b->attention->causal ? CARRY_PREFIX : 0);
    set_given(b, &step, &params, is_first, is_last);
    step.num_groups = ikati_divide_up(num * b->state_size / 4, step.variant->tile_rows);
    step.flops = 2.0 * (double)num * b->state_size * (num_chunks + 1);
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, IKAT_FLOAT32, "");
}

ikat_status ikati_linear_products(const ikati_linear_builder *b, ikati_axis_range rows,
                                  uint32_t skipped) {
    const uint32_t num_features = b->num_features,
                   heads_per_state = b->heads_per_kv / b->states_per_kv;
    const uint64_t room = (uint64_t)b->segment * num_features;
    const uint64_t product_room = (uint64_t)b->segment * b->chunk;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < heads_per_state && !status; i++) {
        const ikati_gemm gemm = {
            .a = {IKATI_SLOT_SCRATCH, b->query_features, IKAT_FLOAT32, i * room,
                  heads_per_state * room, (uint64_t)b->chunk * num_features, num_features, 1},
            .b = {IKATI_SLOT_SCRATCH, b->key_features, IKAT_FLOAT32,
                  (uint64_t)skipped * num_features, room, (uint64_t)b->chunk * num_features, 1,
                  num_features},
            .c = {IKATI_SLOT_SCRATCH, b->products, IKAT_FLOAT32, i * product_room,
                  heads_per_state * product_room, (uint64_t)b->chunk * b->chunk, b->chunk, 1},
            .num_batches = b->batches.count * ikati_linear_states(b),
            .num_heads = ikati_linear_divide(rows.count, b->chunk),
            .num_rows = b->chunk,
            .num_columns = b->chunk,
            .depth = num_features,
            .scale = 1,
        };
        status = ikati_lower_gemm(b->lowering, &gemm);
    }
    return status;
}

// Queries of the block's rows, by their place in `out`.
static ikati_axis_range queries_of(const ikati_linear_builder *b, ikati_axis_range rows) {
    const uint32_t shift = b->total ? b->total - b->num_queries : 0;
    const uint32_t first = rows.first > shift ? rows.first - shift : 0;
    uint32_t end = rows.first + rows.count - shift;
    end = end < b->num_queries ? end : b->num_queries;
    return (ikati_axis_range){first, end > first ? end - first : 0};
}

static uint32_t readout_options(const ikati_linear_builder *b, ikat_dtype to) {
    const ikati_linear_attention *a = b->attention;
    const bool self = ikati_linear_has_lengths(b, IKATI_QUERIES);
    return (a->causal ? READOUT_CAUSAL : 0) | (a->decay.kind ? READOUT_FADE : 0) |
           (a->v.tensor->dtype == IKAT_FLOAT16 ? READOUT_V_HALF : 0) |
           (to == IKAT_FLOAT16 ? READOUT_OUT_HALF : 0) | (a->lengths.kind ? READOUT_LENGTHS : 0) |
           (self ? READOUT_SELF : 0) | (a->head_mask ? READOUT_MASK : 0) |
           (a->normalizes ? READOUT_NORMALIZE : 0);
}

// to: where the rows of `queries` go.
static ikat_status add_readout(const ikati_linear_builder *b, ikati_axis_range rows,
                               uint32_t skipped, ikati_axis_range queries,
                               const ikati_row_target *to) {
    const ikati_linear_attention *a = b->attention;
    const ikati_pick pick = describe_values(b, rows);
    ikati_step step = {0};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_readout, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_matrices v = ikati_linear_matrices(&a->v);
    const ikati_axis_range keys = {rows.first, rows.count};
    const ikati_axis_range positions = ikati_linear_positions(b, IKATI_KEYS, keys);
    const uint32_t heads = ikati_linear_heads(b), states = ikati_linear_states(b);
    const uint32_t room = b->segment * b->num_features, product_room = b->segment * b->chunk;
    const uint64_t num_heads = (uint64_t)b->batches.count * heads;
    const readout_params params = {
        .num_batches = b->batches.count,
        .num_heads = heads,
        .heads_per_state = b->heads_per_kv / b->states_per_kv,
        .heads_per_value = b->heads_per_kv,
        .num_rows = rows.count,
        .row_begin = rows.first,
        .total = b->total,
        .num_queries = b->num_queries,
        .num_positions = b->num_keys,
        .position_begin = positions.first,
        .out_begin = queries.first,
        .chunk = b->chunk,
        .num_features = b->num_features,
        .value_size = b->value_size,
        .value_stride = b->value_stride,
        .feature_batch = heads * room,
        .feature_head = room,
        .states_batch = states * (a->causal ? states_head(b) : b->state_size),
        .states_head = a->causal ? states_head(b) : b->state_size,
        .states_chunk = b->state_size,
        .product_batch = heads * product_room,
        .product_head = product_room,
        .fade_batch = b->kv_heads.count * b->segment * fade_row(b),
        .fade_head = b->segment * fade_row(b),
        .v_batch = ikati_step_of(v.batch, b->batches.count),
        .v_head = ikati_step_of(v.head, b->kv_heads.count),
        .v_row = ikati_step_of(v.row, positions.count),
        .out_batch = to->strides[0],
        .out_head = to->strides[1],
        .out_row = to->strides[2],
        .scale = (float)a->scale,
        .eps = (float)a->eps,
        .guard = (float)a->guard,
    };
    step.operands[0] = ikati_linear_scratch_part(b->query_features, num_heads, room, 0);
    step.operands[1] =
        a->causal ? states_part(b, skipped / b->chunk)
                  : ikati_linear_scratch_part(b->carried, (uint64_t)b->batches.count * states,
                                              b->state_size, 0);
    if (a->causal) {
        step.operands[2] = ikati_linear_scratch_part(b->products, num_heads, product_room, 0);
        step.operands[3] = fade_part(b, skipped);
        step.operands[4] =
            ikati_matrices_operand(&v, b->batches, b->kv_heads, positions, b->value_size);
    }
    if (a->lengths.kind) {
        step.operands[5] = ikati_linear_lengths(b);
    }
    if (a->head_mask) {
        step.operands[6] = (ikati_operand){IKATI_SLOT_TABLE, b->mask_table, IKAT_INT32,
                                           b->kv_heads.first * b->heads_per_kv, heads};
    }
    step.operands[7] = to->operand;
    step.specialisation[0] = readout_options(b, to->operand.dtype);
    const ikati_variant *variant = step.variant;
    const uint64_t items = num_heads * ikati_divide_up(rows.count, variant->tile_rows) *
                           ikati_divide_up(b->value_size, variant->tile_keys);
    step.num_groups = count_groups(variant, items);
    step.flops = 2.0 * (double)num_heads * rows.count * b->value_stride *
                 (b->num_features + (a->causal ? b->chunk : 0));
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, v.dtype, a->causal ? ".causal" : "");
}

ikat_status ikati_linear_readout(const ikati_linear_builder *b, ikati_axis_range rows,
                                 uint32_t skipped) {
    const ikati_axis_range queries = queries_of(b, rows);
    const ikati_row_target out = ikati_linear_out(b, queries);
    if (!queries.count) {
        return IKAT_OK;
    }
    if (!ikati_linear_packs(b)) {
        return add_readout(b, rows, skipped, queries, &out);
    }
    const uint32_t counts[3] = {b->batches.count, ikati_linear_heads(b), queries.count};
    ikati_row_target staged;
    ikat_status status = ikati_lowering_stage(b->lowering, counts, b->value_size, &staged);
    status = status ? status : add_readout(b, rows, skipped, queries, &staged);
    return status ? status : ikati_lowering_pack(b->lowering, &staged, &out, counts, b->value_size);
}
