// Features of queries and keys: kernels `feature`, `gemm` for projections, `peak` for their maxima; and
// what all steps share: the parts of tensors and scratch that they bind.

#include "linear_steps.h"

#include "../shaders/params/feature.h"
#include "../shaders/params/peak.h"

#include <string.h>

enum { PEAK_ROWS = 64, MAX_PEAKS = 1 << 17, MAX_ROUNDS = 1 << 15 };

typedef struct feature_params {
    FEATURE_PARAMS(IKATI_PARAM_FIELD)
} feature_params;
typedef struct peak_params {
    PEAK_PARAMS(IKATI_PARAM_FIELD)
} peak_params;

// A part of scratch that is laid out [batch, head, ...], `size` a (batch, head), from element `first`
// of each on.
ikati_operand ikati_linear_scratch_part(uint32_t scratch, uint64_t num, uint64_t size,
                                        uint64_t first) {
    return (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, first, num * size - first};
}

ikati_operand ikati_linear_lengths(const ikati_linear_builder *b) {
    const ikati_matrices m =
        ikati_matrices_of(&b->attention->lengths, 0, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS);
    return ikati_matrices_operand(&m, b->batches, (ikati_axis_range){0, 1},
                                  (ikati_axis_range){0, 1}, 1);
}

// Heads of a side, positions, and those of them that a range of slots may hold: where slots end with
// the last valid position, which that is is known on the device only.
ikati_axis_range ikati_linear_heads_of(const ikati_linear_builder *b, ikati_side side) {
    const uint32_t per_kv = side == IKATI_KEYS ? 1 : b->heads_per_kv;
    return (ikati_axis_range){b->kv_heads.first * per_kv, b->kv_heads.count * per_kv};
}

ikati_row_target ikati_linear_out(const ikati_linear_builder *b, ikati_axis_range queries) {
    const ikati_matrices out = ikati_linear_matrices(&b->attention->out);
    const ikati_axis_range heads = ikati_linear_heads_of(b, IKATI_QUERIES);
    return (ikati_row_target){
        ikati_matrices_operand(&out, b->batches, heads, queries, b->value_size),
        {ikati_step_of(out.batch, b->batches.count), ikati_step_of(out.head, heads.count),
         ikati_step_of(out.row, queries.count)}};
}

bool ikati_linear_packs(const ikati_linear_builder *b) {
    const ikati_view *out = &b->attention->out;
    return out->kind && ikati_lowering_packs(b->lowering, out->tensor->dtype) &&
           !ikati_view_is_multiple(out, b->value_size, 2);
}

static uint32_t count_positions(const ikati_linear_builder *b, ikati_side side) {
    return side == IKATI_KEYS ? b->num_keys : b->num_queries;
}

ikati_axis_range ikati_linear_positions(const ikati_linear_builder *b, ikati_side side,
                                        ikati_axis_range slots) {
    const uint32_t count = count_positions(b, side);
    if (b->total) {
        return (ikati_axis_range){0, count};
    }
    return ikati_next_range(slots.first < count ? slots.first : count, slots.count, count);
}

static const ikati_view *view_of(const ikati_linear_builder *b, ikati_side side) {
    return side == IKATI_KEYS ? &b->attention->k : &b->attention->q;
}

static uint32_t features_of(const ikati_linear_builder *b, ikati_side side) {
    return side == IKATI_KEYS ? b->key_features : b->query_features;
}

static uint32_t num_feature_heads(const ikati_linear_builder *b, ikati_side side) {
    return side == IKATI_KEYS ? ikati_linear_states(b) : ikati_linear_heads(b);
}

static uint32_t copy_stride(const ikati_linear_builder *b) {
    return (uint32_t)ikati_round_up(b->head_size, IKATI_SLOT_GRANULE);
}

// What is projected: q or k, or where slots are not positions, a copy of them by slots.
static ikati_matrices source_of(const ikati_linear_builder *b, ikati_side side,
                                ikati_axis_range slots) {
    const ikati_axis_range heads = ikati_linear_heads_of(b, side);
    if (b->total) {
        return ikati_matrices_of_scratch(side == IKATI_KEYS ? b->key_copies : b->query_copies,
                                         heads.count, b->segment, copy_stride(b));
    }
    ikati_matrices m = ikati_linear_matrices(view_of(b, side));
    m.offset += b->batches.first * m.batch + heads.first * m.head + slots.first * m.row;
    return m;
}

static bool is_exponential(const ikati_features *f) {
    return f->map == IKATI_FEATURE_SOFTMAX || f->map == IKATI_FEATURE_MIRRORED;
}

// One step of kernel `feature`; operands 0 and 1 are set, params too but for what all share.
static ikat_status add_feature(const ikati_linear_builder *b, ikati_side side,
                               ikati_axis_range slots, ikati_step *step, feature_params *params) {
    ikati_pick pick = {.offers = step->operands[0].dtype == IKAT_FLOAT32 ? IKATI_NEED_FLOAT : 0};
    const uint32_t alignment = params->x_batch | params->x_head | params->x_row;
    const bool in_place = step->specialisation[0] & FEATURE_SLOTS;
    if (step->operands[0].offset % 4 == 0 && alignment % 4 == 0 &&
        (in_place || params->num_columns % 4 == 0)) {
        pick.offers |= IKATI_NEED_ALIGNED4;
    }
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_feature, &pick, step);
    if (status) {
        return status;
    }
    params->num_batches = b->batches.count;
    params->num_rows = slots.count;
    params->row_begin = slots.first;
    params->total = b->total;
    params->num_positions = count_positions(b, side);
    params->y_batch = params->num_heads * params->y_head;
    if (ikati_linear_has_lengths(b, side)) {
        step->specialisation[0] |= FEATURE_LENGTHS;
        step->operands[3] = ikati_linear_lengths(b);
    }
    const uint64_t rows = (uint64_t)b->batches.count * params->num_heads * slots.count;
    step->num_groups = ikati_divide_up(rows, step->variant->tile_rows);
    step->flops = 8.0 * (double)rows * params->num_features;
    memcpy(step->params, params, sizeof(*params));
    return ikati_lowering_step(b->lowering, step, step->operands[0].dtype, "");
}

// From q or k, by positions, to features or copies of theirs by slots.
static ikat_status add_mapped_input(const ikati_linear_builder *b, ikati_side side,
                                    ikati_axis_range slots, uint32_t to, uint32_t num_features,
                                    ikati_feature_map map, double eps) {
    const ikati_matrices x = ikati_linear_matrices(view_of(b, side));
    const ikati_axis_range heads = ikati_linear_heads_of(b, side),
                           positions = ikati_linear_positions(b, side, slots);
    ikati_step step = {0};
    feature_params params = {
        .num_heads = heads.count,
        .position_begin = positions.first,
        .num_columns = b->head_size,
        .num_features = num_features,
        .x_batch = ikati_step_of(x.batch, b->batches.count),
        .x_head = ikati_step_of(x.head, heads.count),
        .x_row = ikati_step_of(x.row, positions.count),
        .y_head = b->segment * num_features,
        .eps = (float)eps,
    };
    const uint64_t size = (uint64_t)b->segment * num_features;
    step.operands[0] = ikati_matrices_operand(&x, b->batches, heads, positions, b->head_size);
    const uint64_t begin = to == features_of(b, side) && side == IKATI_QUERIES ? b->query_begin : 0;
    step.operands[4] = (ikati_operand){IKATI_SLOT_SCRATCH, to, IKAT_FLOAT32, begin,
                                       (uint64_t)b->batches.count * heads.count * size};
    step.specialisation[0] = (uint32_t)map | (x.dtype == IKAT_FLOAT16 ? FEATURE_X_HALF : 0);
    if (!step.operands[0].kind) {
        step.operands[0].dtype = IKAT_FLOAT32;
    }
    return add_feature(b, side, slots, &step, &params);
}

// Products with the rows of all states, or query heads, that share a key/value head or a query head:
// one of `per_head` that each head of the source has.
static ikat_status add_projection(const ikati_linear_builder *b, ikati_side side,
                                  const ikati_matrices *source, uint32_t num_rows, uint32_t index,
                                  uint32_t per_head) {
    const ikati_features *f = &b->attention->features;
    const ikati_axis_range heads = ikati_linear_heads_of(b, side);
    const uint64_t room = (uint64_t)b->segment * b->num_features;
    ikati_matrices w = f->rows;
    w.offset += (heads.first * per_head + index) * w.head;
    w.head *= per_head;
    const uint64_t row = w.row;
    w.row = w.column;
    w.column = row;
    const ikati_gemm gemm = {
        .a = *source,
        .b = w,
        .c = {IKATI_SLOT_SCRATCH, features_of(b, side), IKAT_FLOAT32, index * room,
              heads.count * per_head * room, per_head * room, b->num_features, 1},
        .num_batches = b->batches.count,
        .num_heads = heads.count,
        .num_rows = num_rows,
        .num_columns = f->num_rows,
        .depth = b->head_size,
        .scale = f->input_scale,
    };
    return ikati_lower_gemm(b->lowering, &gemm);
}

ikat_status ikati_linear_project(const ikati_linear_builder *b, ikati_side side,
                                 ikati_axis_range slots) {
    const ikati_matrices source = source_of(b, side, slots);
    const uint32_t num_rows = b->total ? slots.count : ikati_linear_positions(b, side, slots).count;
    const uint32_t per_head = side == IKATI_KEYS ? b->states_per_kv : 1;
    ikat_status status = IKAT_OK;
    if (b->total) {
        status =
            add_mapped_input(b, side, slots, side == IKATI_KEYS ? b->key_copies : b->query_copies,
                             copy_stride(b), IKATI_FEATURE_IDENTITY, 0);
    }
    for (uint32_t i = 0; i < per_head && !status; i++) {
        status = add_projection(b, side, &source, num_rows, i, per_head);
    }
    return status;
}

// Of one state, or query head, of `per_head` that share a head of the source.
static ikat_status add_mapped_projection(const ikati_linear_builder *b, ikati_side side,
                                         ikati_axis_range slots, uint32_t index,
                                         uint32_t per_head) {
    const ikati_features *f = &b->attention->features;
    const ikati_axis_range heads = ikati_linear_heads_of(b, side), all = {0, heads.count};
    const ikati_matrices source = source_of(b, side, slots);
    const uint32_t room = b->segment * b->num_features, num = num_feature_heads(b, side);
    const uint32_t num_rows = b->total ? slots.count : ikati_linear_positions(b, side, slots).count;
    ikati_step step = {0};
    feature_params params = {
        .num_heads = heads.count,
        .num_columns = f->num_rows,
        .num_features = b->num_features,
        .source_size = b->head_size,
        .x_batch = num * room,
        .x_head = per_head * room,
        .x_row = b->num_features,
        .maxima_batch = num,
        .maxima_head = per_head,
        .y_head = per_head * room,
        .eps = (float)f->eps,
        .square_scale = (float)(f->input_scale * f->input_scale / 2),
    };
    step.specialisation[0] = (uint32_t)f->map | FEATURE_SLOTS;
    step.operands[0] = ikati_linear_scratch_part(
        features_of(b, side), (uint64_t)b->batches.count * num, room, (uint64_t)index * room);
    step.operands[4] = step.operands[0];
    if (is_exponential(f)) {
        params.source_batch = ikati_step_of(source.batch, b->batches.count);
        params.source_head = ikati_step_of(source.head, heads.count);
        params.source_row = ikati_step_of(source.row, num_rows);
        step.operands[1] =
            ikati_matrices_operand(&source, (ikati_axis_range){0, b->batches.count}, all,
                                   (ikati_axis_range){0, num_rows}, b->head_size);
        step.specialisation[0] |= source.dtype == IKAT_FLOAT16 ? FEATURE_SOURCE_HALF : 0;
    }
    if (is_exponential(f) && f->stabilizes && side == IKATI_QUERIES) {
        step.specialisation[0] |= FEATURE_ROW_MAXIMUM;
    } else if (is_exponential(f) && f->stabilizes) {
        step.specialisation[0] |= FEATURE_MAXIMA;
        step.operands[2] = ikati_linear_scratch_part(b->maxima, b->batches.count, num, index);
    }
    return add_feature(b, side, slots, &step, &params);
}

ikat_status ikati_linear_map(const ikati_linear_builder *b, ikati_side side,
                             ikati_axis_range slots) {
    const uint32_t per_head = side == IKATI_KEYS ? b->states_per_kv : 1;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < per_head && !status; i++) {
        status = add_mapped_projection(b, side, slots, i, per_head);
    }
    return status;
}

ikat_status ikati_linear_features(const ikati_linear_builder *b, ikati_side side,
                                  ikati_axis_range slots) {
    const ikati_features *f = &b->attention->features;
    if (!f->rows.kind) {
        return add_mapped_input(b, side, slots, features_of(b, side), b->num_features, f->map,
                                f->eps);
    }
    ikat_status status = ikati_linear_project(b, side, slots);
    return status ? status : ikati_linear_map(b, side, slots);
}

uint32_t ikati_linear_peak_rows(const ikati_linear_builder *b) {
    const uint32_t most =
        MAX_ROUNDS / (ikati_linear_divide(b->attention->features.num_rows, 4) + 1);
    const uint32_t least = ikati_linear_divide(b->num_keys + b->segment, MAX_PEAKS);
    const uint32_t usual = most < PEAK_ROWS ? (most ? most : 1) : PEAK_ROWS;
    return usual > least ? usual : least;
}

static ikat_status add_peak(const ikati_linear_builder *b, const ikati_operand *from,
                            const ikati_operand *to, uint32_t options, const peak_params *sizes) {
    ikati_step step = {0};
    peak_params params = *sizes;
    const ikati_pick pick = {.offers = IKATI_NEED_FLOAT};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_peak, &pick, &step);
    if (status) {
        return status;
    }
    params.num_batches = b->batches.count;
    params.num_heads = ikati_linear_states(b);
    step.operands[0] = *from;
    step.operands[2] = *to;
    step.specialisation[0] = options;
    if (!(options & PEAK_ALL) && ikati_linear_has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= PEAK_LENGTHS;
        step.operands[1] = ikati_linear_lengths(b);
    }
    const uint64_t parts = (uint64_t)params.num_batches * params.num_heads * params.num_parts;
    step.num_groups = ikati_divide_up(parts, step.variant->tile_rows);
    step.flops = (double)parts * params.rows_per_part * params.num_columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(b->lowering, &step, IKAT_FLOAT32, "");
}

ikat_status ikati_linear_peaks(const ikati_linear_builder *b, ikati_axis_range slots,
                               uint32_t first_peak, uint32_t *num_peaks) {
    const uint64_t states = (uint64_t)b->batches.count * ikati_linear_states(b);
    const uint32_t room = b->segment * b->num_features, rows = ikati_linear_peak_rows(b);
    *num_peaks = ikati_linear_divide(slots.count, rows);
    const peak_params params = {
        .num_rows = slots.count,
        .num_columns = b->attention->features.num_rows,
        .rows_per_part = rows,
        .num_parts = *num_peaks,
        .row_begin = slots.first,
        .total = b->total,
        .num_positions = b->num_keys,
        .x_batch = ikati_linear_states(b) * room,
        .x_head = room,
        .x_row = b->num_features,
        .y_batch = ikati_linear_states(b) * b->num_peaks,
        .y_head = b->num_peaks,
    };
    const ikati_operand from = ikati_linear_scratch_part(b->key_features, states, room, 0);
    const ikati_operand to = ikati_linear_scratch_part(b->peaks, states, b->num_peaks, first_peak);
    const bool mirrored = b->attention->features.map == IKATI_FEATURE_MIRRORED;
    return add_peak(b, &from, &to, mirrored ? PEAK_ABSOLUTE : 0, &params);
}

ikat_status ikati_linear_maxima(const ikati_linear_builder *b, uint32_t num_peaks) {
    const uint64_t states = (uint64_t)b->batches.count * ikati_linear_states(b);
    const peak_params params = {
        .num_rows = 1,
        .num_columns = num_peaks,
        .rows_per_part = 1,
        .num_parts = 1,
        .x_batch = ikati_linear_states(b) * b->num_peaks,
        .x_head = b->num_peaks,
        .y_batch = ikati_linear_states(b),
        .y_head = 1,
    };
    const ikati_operand from = ikati_linear_scratch_part(b->peaks, states, b->num_peaks, 0);
    const ikati_operand to = ikati_linear_scratch_part(b->maxima, states, 1, 0);
    return add_peak(b, &from, &to, PEAK_ALL, &params);
}
