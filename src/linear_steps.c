#include "linear_steps.h"

#include "../shaders/params/carry.h"
#include "../shaders/params/fade.h"
#include "../shaders/params/feature.h"
#include "../shaders/params/outer.h"
#include "../shaders/params/peak.h"
#include "../shaders/params/readout.h"

#include <assert.h>
#include <string.h>

enum { PEAK_ROWS = 64, MAX_PEAKS = 1 << 17, MAX_ROUNDS = 1 << 15 };

typedef struct feature_params {
    FEATURE_PARAMS(IKATI_PARAM_FIELD)
} feature_params;
typedef struct peak_params {
    PEAK_PARAMS(IKATI_PARAM_FIELD)
} peak_params;
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

static uint32_t stride_of(uint64_t stride, uint32_t count) {
    return count > 1 ? (uint32_t)stride : 0;
}

static uint32_t divide_up(uint32_t value, uint32_t divisor) {
    return (uint32_t)ikati_divide_up(value, divisor);
}

// A part of scratch that is laid out [batch, head, ...], `size` a (batch, head), from element `first` of each on.
static ikati_operand scratch_part(uint32_t scratch, uint64_t num, uint64_t size, uint64_t first) {
    return (ikati_operand){IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, first, num * size - first};
}

// A tensor of which the kernel sees a batch entry, a head and a row by these strides, that of a part of it.
static ikati_operand matrices_part(const ikati_matrices *m, ikati_axis_range batches,
                                   ikati_axis_range heads, ikati_axis_range rows,
                                   uint32_t columns) {
    if (!m->kind || !batches.count || !heads.count || !rows.count || !columns) {
        return (ikati_operand){0};
    }
    return (ikati_operand){m->kind, m->index, m->dtype,
                           m->offset + batches.first * m->batch + heads.first * m->head +
                               rows.first * m->row,
                           columns + (batches.count - 1) * m->batch + (heads.count - 1) * m->head +
                               (rows.count - 1) * m->row};
}

static ikati_operand lengths_part(const ikati_linear_builder *b) {
    const ikati_matrices m =
        ikati_matrices_of(&b->attention->lengths, 0, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS);
    return matrices_part(&m, b->batches, (ikati_axis_range){0, 1}, (ikati_axis_range){0, 1}, 1);
}

// Heads of a side, positions, and those of them that a range of slots may hold: where slots end with the last
// valid position, which that is is known on the device only.
static ikati_axis_range heads_of(const ikati_linear_builder *b, ikati_side side) {
    const uint32_t per_kv = side == IKATI_KEYS ? 1 : b->heads_per_kv;
    return (ikati_axis_range){b->kv_heads.first * per_kv, b->kv_heads.count * per_kv};
}

static uint32_t count_positions(const ikati_linear_builder *b, ikati_side side) {
    return side == IKATI_KEYS ? b->num_keys : b->num_queries;
}

static ikati_axis_range positions_of(const ikati_linear_builder *b, ikati_side side,
                                     ikati_axis_range slots) {
    const uint32_t count = count_positions(b, side);
    if (b->total) {
        return (ikati_axis_range){0, count};
    }
    const uint32_t first = slots.first < count ? slots.first : count, left = count - first;
    return (ikati_axis_range){first, left < slots.count ? left : slots.count};
}

// Whether valid positions of a side are as many as `lengths` says.
static bool has_lengths(const ikati_linear_builder *b, ikati_side side) {
    return b->attention->lengths.kind && (side == IKATI_KEYS || b->num_queries == b->num_keys);
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

static ikati_matrices input_matrices(const ikati_view *view) {
    return ikati_matrices_of(view, 0, 1, 2, 3);
}

// What is projected: q or k, or where slots are not positions, a copy of them by slots.
static ikati_matrices source_of(const ikati_linear_builder *b, ikati_side side,
                                ikati_axis_range slots) {
    const ikati_axis_range heads = heads_of(b, side);
    if (b->total) {
        return ikati_matrices_of_scratch(side == IKATI_KEYS ? b->key_copies : b->query_copies,
                                         heads.count, b->segment, copy_stride(b));
    }
    ikati_matrices m = input_matrices(view_of(b, side));
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
    if (has_lengths(b, side)) {
        step->specialisation[0] |= FEATURE_LENGTHS;
        step->operands[3] = lengths_part(b);
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
    const ikati_matrices x = input_matrices(view_of(b, side));
    const ikati_axis_range heads = heads_of(b, side), positions = positions_of(b, side, slots);
    ikati_step step = {0};
    feature_params params = {
        .num_heads = heads.count,
        .position_begin = positions.first,
        .num_columns = b->head_size,
        .num_features = num_features,
        .x_batch = stride_of(x.batch, b->batches.count),
        .x_head = stride_of(x.head, heads.count),
        .x_row = stride_of(x.row, positions.count),
        .y_head = b->segment * num_features,
        .eps = (float)eps,
    };
    const uint64_t size = (uint64_t)b->segment * num_features;
    step.operands[0] = matrices_part(&x, b->batches, heads, positions, b->head_size);
    step.operands[4] = scratch_part(to, (uint64_t)b->batches.count * heads.count, size, 0);
    step.specialisation[0] = (uint32_t)map | (x.dtype == IKAT_FLOAT16 ? FEATURE_X_HALF : 0);
    if (!step.operands[0].kind) {
        step.operands[0].dtype = IKAT_FLOAT32;
    }
    return add_feature(b, side, slots, &step, &params);
}

// Products with the rows of all states, or query heads, that share a key/value head or a query head: one of
// `per_head` that each head of the source has.
static ikat_status add_projection(const ikati_linear_builder *b, ikati_side side,
                                  const ikati_matrices *source, uint32_t num_rows, uint32_t index,
                                  uint32_t per_head) {
    const ikati_features *f = &b->attention->features;
    const ikati_axis_range heads = heads_of(b, side);
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
    const uint32_t num_rows = b->total ? slots.count : positions_of(b, side, slots).count;
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
    const ikati_axis_range heads = heads_of(b, side), all = {0, heads.count};
    const ikati_matrices source = source_of(b, side, slots);
    const uint32_t room = b->segment * b->num_features, num = num_feature_heads(b, side);
    const uint32_t num_rows = b->total ? slots.count : positions_of(b, side, slots).count;
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
    step.operands[0] = scratch_part(features_of(b, side), (uint64_t)b->batches.count * num, room,
                                    (uint64_t)index * room);
    step.operands[4] = step.operands[0];
    if (is_exponential(f)) {
        params.source_batch = stride_of(source.batch, b->batches.count);
        params.source_head = stride_of(source.head, heads.count);
        params.source_row = stride_of(source.row, num_rows);
        step.operands[1] = matrices_part(&source, (ikati_axis_range){0, b->batches.count}, all,
                                         (ikati_axis_range){0, num_rows}, b->head_size);
        step.specialisation[0] |= source.dtype == IKAT_FLOAT16 ? FEATURE_SOURCE_HALF : 0;
    }
    if (is_exponential(f) && f->stabilizes && side == IKATI_QUERIES) {
        step.specialisation[0] |= FEATURE_ROW_MAXIMUM;
    } else if (is_exponential(f) && f->stabilizes) {
        step.specialisation[0] |= FEATURE_MAXIMA;
        step.operands[2] = scratch_part(b->maxima, b->batches.count, num, index);
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
    const uint32_t most = MAX_ROUNDS / (divide_up(b->attention->features.num_rows, 4) + 1);
    const uint32_t least = divide_up(b->num_keys + b->segment, MAX_PEAKS);
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
    if (!(options & PEAK_ALL) && has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= PEAK_LENGTHS;
        step.operands[1] = lengths_part(b);
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
    *num_peaks = divide_up(slots.count, rows);
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
    const ikati_operand from = scratch_part(b->key_features, states, room, 0);
    const ikati_operand to = scratch_part(b->peaks, states, b->num_peaks, first_peak);
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
    const ikati_operand from = scratch_part(b->peaks, states, b->num_peaks, 0);
    const ikati_operand to = scratch_part(b->maxima, states, 1, 0);
    return add_peak(b, &from, &to, PEAK_ALL, &params);
}

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
               ? scratch_part(b->fade, (uint64_t)b->batches.count * b->kv_heads.count, size,
                              (uint64_t)first_slot * fade_row(b))
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
    const ikati_axis_range positions = positions_of(b, IKATI_KEYS, slots);
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
        .decay_batch = stride_of(decay.batch, b->batches.count),
        .decay_head = stride_of(decay.head, b->kv_heads.count),
        .decay_row = stride_of(decay.row, positions.count),
        .fade_batch = b->kv_heads.count * room,
        .fade_head = room,
    };
    step.operands[0] = matrices_part(&decay, b->batches, b->kv_heads, positions, 1);
    step.operands[2] = fade_part(b, 0);
    step.specialisation[0] = decay.dtype == IKAT_FLOAT16 ? FADE_HALF : 0;
    if (has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= FADE_LENGTHS;
        step.operands[1] = lengths_part(b);
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
    const ikati_matrices m = input_matrices(v);
    const ikati_axis_range positions = positions_of(b, IKATI_KEYS, slots);
    const uint64_t values =
        matrices_part(&m, b->batches, b->kv_heads, positions, b->value_size).count;
    const uint64_t rows = b->num_features > b->chunk ? b->num_features : b->chunk;
    const uint64_t heads = (uint64_t)b->batches.count * ikati_linear_heads(b);
    const uint64_t scratch = heads * b->segment * (rows + IKATI_FADE_EXTRA);
    const uint64_t states = heads * divide_up(b->segment, b->chunk) * b->state_size;
    ikati_pick pick = {.offers = v->tensor->dtype == IKAT_FLOAT32 ? IKATI_NEED_FLOAT : 0};
    pick.offers |= ikati_view_is_multiple(v, b->value_size, 4) ? IKATI_NEED_ALIGNED4 : 0;
    if (ikati_fits_texels(b->lowering, values) && ikati_fits_texels(b->lowering, scratch) &&
        ikati_fits_texels(b->lowering, states)) {
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
    const uint64_t chunks = divide_up(b->segment, b->chunk);
    return scratch_part(b->states, num, chunks * b->state_size,
                        (uint64_t)first_chunk * b->state_size);
}

static uint32_t states_head(const ikati_linear_builder *b) {
    return divide_up(b->segment, b->chunk) * b->state_size;
}

ikat_status ikati_linear_outer(const ikati_linear_builder *b, ikati_axis_range slots) {
    ikati_step step = {0};
    const ikati_pick pick = describe_values(b, slots);
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_outer, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_matrices v = input_matrices(&b->attention->v);
    const ikati_axis_range positions = positions_of(b, IKATI_KEYS, slots);
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
        .num_chunks = divide_up(slots.count, b->chunk),
        .num_features = b->num_features,
        .value_size = b->value_size,
        .value_stride = b->value_stride,
        .feature_batch = states * room,
        .feature_head = room,
        .v_batch = stride_of(v.batch, b->batches.count),
        .v_head = stride_of(v.head, b->kv_heads.count),
        .v_row = stride_of(v.row, positions.count),
        .fade_batch = b->kv_heads.count * b->segment * fade_row(b),
        .fade_head = b->segment * fade_row(b),
        .states_batch = states * states_head(b),
        .states_head = states_head(b),
        .states_chunk = b->state_size,
    };
    step.operands[0] = scratch_part(b->key_features, (uint64_t)b->batches.count * states, room, 0);
    step.operands[1] = matrices_part(&v, b->batches, b->kv_heads, positions, b->value_size);
    step.operands[2] = fade_part(b, 0);
    step.operands[4] = states_part(b, 0);
    step.specialisation[0] =
        (v.dtype == IKAT_FLOAT16 ? OUTER_V_HALF : 0) | (b->attention->decay.kind ? OUTER_FADE : 0);
    if (has_lengths(b, IKATI_KEYS)) {
        step.specialisation[0] |= OUTER_LENGTHS;
        step.operands[3] = lengths_part(b);
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
        step->operands[2] = matrices_part(&s, b->batches, b->kv_heads, rows, b->value_size);
        step->operands[3] = matrices_part(&z, b->batches, b->kv_heads, one, b->head_size);
    }
    if (is_last && s_out.kind) {
        step->specialisation[0] |= CARRY_S_OUT;
        step->operands[5] = matrices_part(&s_out, b->batches, b->kv_heads, rows, b->value_size);
    }
    if (is_last && z_out.kind) {
        step->specialisation[0] |= CARRY_Z_OUT;
        step->operands[6] = matrices_part(&z_out, b->batches, b->kv_heads, one, b->head_size);
    }
    params->s_batch = stride_of(s.batch, batches);
    params->s_head = stride_of(s.head, heads);
    params->s_row = stride_of(s.row, b->head_size);
    params->z_batch = stride_of(z.batch, batches);
    params->z_head = stride_of(z.head, heads);
    params->s_out_batch = stride_of(s_out.batch, batches);
    params->s_out_head = stride_of(s_out.head, heads);
    params->s_out_row = stride_of(s_out.row, b->head_size);
    params->z_out_batch = stride_of(z_out.batch, batches);
    params->z_out_head = stride_of(z_out.head, heads);
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
    step.operands[4] = scratch_part(b->carried, num, b->state_size, 0);
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
            .num_heads = divide_up(rows.count, b->chunk),
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
    const bool self = has_lengths(b, IKATI_QUERIES);
    return (a->causal ? READOUT_CAUSAL : 0) | (a->decay.kind ? READOUT_FADE : 0) |
           (a->v.tensor->dtype == IKAT_FLOAT16 ? READOUT_V_HALF : 0) |
           (to == IKAT_FLOAT16 ? READOUT_OUT_HALF : 0) | (a->lengths.kind ? READOUT_LENGTHS : 0) |
           (self ? READOUT_SELF : 0) | (a->head_mask ? READOUT_MASK : 0) |
           (a->normalizes ? READOUT_NORMALIZE : 0);
}

// to, strides: of batch, head and row: where the rows of `queries` go.
static ikat_status add_readout(const ikati_linear_builder *b, ikati_axis_range rows,
                               uint32_t skipped, ikati_axis_range queries, const ikati_operand *to,
                               const uint32_t strides[3]) {
    const ikati_linear_attention *a = b->attention;
    const ikati_pick pick = describe_values(b, rows);
    ikati_step step = {0};
    ikat_status status = ikati_pick_variant(b->lowering, IKATI_KERNEL_readout, &pick, &step);
    if (status) {
        return status;
    }
    const ikati_matrices v = input_matrices(&a->v);
    const ikati_axis_range keys = {rows.first, rows.count};
    const ikati_axis_range positions = positions_of(b, IKATI_KEYS, keys);
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
        .v_batch = stride_of(v.batch, b->batches.count),
        .v_head = stride_of(v.head, b->kv_heads.count),
        .v_row = stride_of(v.row, positions.count),
        .out_batch = strides[0],
        .out_head = strides[1],
        .out_row = strides[2],
        .scale = (float)a->scale,
        .eps = (float)a->eps,
        .guard = (float)a->guard,
    };
    step.operands[0] = scratch_part(b->query_features, num_heads, room, 0);
    step.operands[1] =
        a->causal ? states_part(b, skipped / b->chunk)
                  : scratch_part(b->carried, (uint64_t)b->batches.count * states, b->state_size, 0);
    if (a->causal) {
        step.operands[2] = scratch_part(b->products, num_heads, product_room, 0);
        step.operands[3] = fade_part(b, skipped);
        step.operands[4] = matrices_part(&v, b->batches, b->kv_heads, positions, b->value_size);
    }
    if (a->lengths.kind) {
        step.operands[5] = lengths_part(b);
    }
    if (a->head_mask) {
        step.operands[6] = (ikati_operand){IKATI_SLOT_TABLE, b->mask_table, IKAT_INT32,
                                           b->kv_heads.first * b->heads_per_kv, heads};
    }
    step.operands[7] = *to;
    step.specialisation[0] = readout_options(b, to->dtype);
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
    const ikati_view *view = &b->attention->out;
    const ikati_matrices out = input_matrices(view);
    const ikati_axis_range heads = heads_of(b, IKATI_QUERIES), queries = queries_of(b, rows);
    const uint32_t strides[3] = {stride_of(out.batch, b->batches.count),
                                 stride_of(out.head, heads.count),
                                 stride_of(out.row, queries.count)};
    const ikati_operand to = matrices_part(&out, b->batches, heads, queries, b->value_size);
    if (!queries.count) {
        return IKAT_OK;
    }
    if (!ikati_lowering_packs(b->lowering, out.dtype) ||
        ikati_view_is_multiple(view, b->value_size, 2)) {
        return add_readout(b, rows, skipped, queries, &to, strides);
    }
    const uint32_t row = b->value_size, head = row * queries.count;
    const uint64_t count = (uint64_t)b->batches.count * heads.count * head;
    const uint32_t scratch = ikati_lowering_scratch(b->lowering, count * sizeof(float));
    if (scratch == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    const uint32_t counts[3] = {b->batches.count, heads.count, queries.count};
    const uint32_t packed[3] = {heads.count * head, head, row};
    const ikati_operand floats = {IKATI_SLOT_SCRATCH, scratch, IKAT_FLOAT32, 0, count};
    ikat_status status = add_readout(b, rows, skipped, queries, &floats, packed);
    return status ? status : ikati_lowering_pack(b->lowering, scratch, &to, counts, row, strides);
}
