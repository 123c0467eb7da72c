// Decoding: a few tokens after a state, by kernel `recur`, which reads the state once. No chunks, no
// scratch but for features.

#include "linear_steps.h"

#include "../shaders/params/recur.h"

#include <string.h>

enum { MAX_ROWS = 8 }; // of the output a state has, in registers

typedef struct recur_params {
    RECUR_PARAMS(IKATI_PARAM_FIELD)
} recur_params;

bool ikati_linear_is_recurrent(const ikati_linear_builder *b) {
    const ikati_linear_attention *a = b->attention;
    // What the kernel has no bindings left for takes chunks.
    return a->causal && !a->features.rows.kind && !a->lengths.kind && !a->head_mask && !a->guard &&
           b->num_queries == b->num_keys && b->num_keys > 0 &&
           (uint64_t)b->num_keys * b->heads_per_kv <= MAX_ROWS;
}

static void set_state(const ikati_linear_builder *b, ikati_step *step, recur_params *params) {
    const ikati_linear_attention *a = b->attention;
    const ikati_axis_range rows = {0, b->head_size}, one = {0, 1};
    const ikati_view *const sums[2] = {&a->state_s, &a->s_out};
    const ikati_view *const totals[2] = {&a->state_z, &a->z_out};
    uint32_t strides[2][5];
    for (int i = 0; i < 2; i++) {
        const ikati_matrices s = ikati_matrices_of(sums[i], 0, 1, 2, 3);
        const ikati_matrices z = ikati_matrices_of(totals[i], 0, 1, IKATI_NO_AXIS, 2);
        step->operands[i ? 6 : 3] =
            ikati_matrices_operand(&s, b->batches, b->kv_heads, rows, b->value_size);
        step->operands[i ? 7 : 4] =
            ikati_matrices_operand(&z, b->batches, b->kv_heads, one, b->head_size);
        strides[i][0] = ikati_step_of(s.batch, b->batches.count);
        strides[i][1] = ikati_step_of(s.head, b->kv_heads.count);
        strides[i][2] = ikati_step_of(s.row, b->head_size);
        strides[i][3] = ikati_step_of(z.batch, b->batches.count);
        strides[i][4] = ikati_step_of(z.head, b->kv_heads.count);
    }
    step->specialisation[0] |= (a->state_s.kind ? RECUR_GIVEN : 0) |
                               (a->s_out.kind ? RECUR_S_OUT : 0) |
                               (a->z_out.kind ? RECUR_Z_OUT : 0);
    params->s_batch = strides[0][0];
    params->s_head = strides[0][1];
    params->s_row = strides[0][2];
    params->z_batch = strides[0][3];
    params->z_head = strides[0][4];
    params->s_out_batch = strides[1][0];
    params->s_out_head = strides[1][1];
    params->s_out_row = strides[1][2];
    params->z_out_batch = strides[1][3];
    params->z_out_head = strides[1][4];
}

static void set_tokens(const ikati_linear_builder *b, ikati_step *step, recur_params *params) {
    const ikati_linear_attention *a = b->attention;
    const ikati_axis_range tokens = {0, b->num_keys};
    const ikati_matrices v = ikati_linear_matrices(&a->v);
    step->operands[1] = ikati_matrices_operand(&v, b->batches, b->kv_heads, tokens, b->value_size);
    step->specialisation[0] |= v.dtype == IKAT_FLOAT16 ? RECUR_V_HALF : 0;
    params->v_batch = ikati_step_of(v.batch, b->batches.count);
    params->v_head = ikati_step_of(v.head, b->kv_heads.count);
    params->v_row = ikati_step_of(v.row, b->num_keys);
    if (a->decay.kind) {
        const ikati_matrices decay =
            a->decay.tensor->rank == 1
                ? ikati_matrices_of(&a->decay, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, IKATI_NO_AXIS)
                : ikati_matrices_of(&a->decay, 0, 1, 2, IKATI_NO_AXIS);
        step->operands[2] = ikati_matrices_operand(&decay, b->batches, b->kv_heads, tokens, 1);
        step->specialisation[0] |=
            RECUR_DECAY | (decay.dtype == IKAT_FLOAT16 ? RECUR_DECAY_HALF : 0);
        params->decay_batch = ikati_step_of(decay.batch, b->batches.count);
        params->decay_head = ikati_step_of(decay.head, b->kv_heads.count);
        params->decay_row = ikati_step_of(decay.row, b->num_keys);
    }
}

// to: of kind NONE: only the state is wanted.
static ikat_status add_recur(const ikati_linear_builder *b, const ikati_row_target *to) {
    const ikati_linear_attention *a = b->attention;
    const ikati_pick pick = {0};
    ikati_step step = {0};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_recur, &pick, &step);
    if (status) {
        return status;
    }
    recur_params params = {
        .num_batches = b->batches.count,
        .num_heads = b->kv_heads.count,
        .num_tokens = b->num_keys,
        .group = b->heads_per_kv,
        .num_features = b->num_features,
        .size = b->head_size,
        .value_size = b->value_size,
        .query_begin = (uint32_t)b->query_begin,
        .feature_head = b->segment * b->num_features,
        .out_batch = to->strides[0],
        .out_head = to->strides[1],
        .out_row = to->strides[2],
        .scale = (float)a->scale,
        .eps = (float)a->eps,
    };
    const uint64_t heads = (uint64_t)b->batches.count * b->kv_heads.count;
    step.operands[0] = ikati_linear_scratch_part(b->key_features, heads * (1 + b->heads_per_kv),
                                                 params.feature_head, 0);
    step.operands[5] = to->operand;
    step.specialisation[0] = (to->operand.kind ? RECUR_OUT : 0) |
                             (to->operand.dtype == IKAT_FLOAT16 ? RECUR_OUT_HALF : 0) |
                             (a->normalizes ? RECUR_NORMALIZE : 0);
    set_tokens(b, &step, &params);
    set_state(b, &step, &params);
    step.num_groups = heads * ikati_divide_up(b->value_size, step.variant->tile_keys);
    step.flops = 4.0 * (double)heads * b->head_size * b->value_size * b->num_keys * b->heads_per_kv;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, a->v.tensor->dtype, "");
}

ikat_status ikati_linear_recur(const ikati_linear_builder *b) {
    const ikati_axis_range tokens = {0, b->num_keys};
    const ikati_axis_range slots = {0, (uint32_t)ikati_round_up(b->num_keys, IKATI_SLOT_GRANULE)};
    const ikati_row_target out = ikati_linear_out(b, tokens);
    ikat_status status = ikati_linear_features(b, IKATI_KEYS, slots);
    status = status ? status : ikati_linear_features(b, IKATI_QUERIES, slots);
    if (!ikati_linear_packs(b)) {
        return status ? status : add_recur(b, &out);
    }
    const uint32_t counts[3] = {b->batches.count, ikati_linear_heads(b), tokens.count};
    ikati_row_target staged;
    status = status ? status : ikati_lowering_stage(b->lowering, counts, b->value_size, &staged);
    status = status ? status : add_recur(b, &staged);
    return status ? status : ikati_lowering_pack(b->lowering, &staged, &out, counts, b->value_size);
}
