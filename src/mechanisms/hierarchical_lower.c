// Lowers hierarchical attention: kernel `coarsen` makes the tensors of each level from those of the
// level below, each level is attention by a pattern over them, and kernel `spread` joins the levels'
// results in the rows that are in their clusters.

#include "hierarchical.h"

#include "../attend_steps.h"

#include "../../shaders/params/coarsen.h"

#include <string.h>

// Rows of a group of queries: what the variants for few rows hold on devices of type CPU, where a
// row's work is what counts; elsewhere a tile of the variants that have the best of their loads.
enum { CPU_ROWS = 16, GPU_ROWS = 64 };

typedef struct coarsen_params {
    COARSEN_PARAMS(IKATI_PARAM_FIELD)
} coarsen_params;

typedef struct level_tensors {
    ikati_hierarchical_level level;
    ikati_pattern pattern;
    ikat_tensor q, k, v; // of levels above 0
} level_tensors;

// A tensor one level up.
typedef struct coarsening {
    ikati_lowering *lowering;
    ikati_view from, lengths, to;
    uint32_t num_positions, shift;
    bool takes_first;
} coarsening;

// Whether a binding holds so many batches and heads of a view.
static bool fits(const coarsening *self, const ikati_view *view, uint32_t batches, uint32_t heads) {
    const ikati_axis_range rows = {0, (uint32_t)view->tensor->shape[2]};
    const ikati_operand operand =
        ikati_view_operand(view, (ikati_axis_range){0, batches}, (ikati_axis_range){0, heads}, rows,
                           0, (uint32_t)view->tensor->shape[3]);
    return operand.count * ikat_dtype_size(operand.dtype) <=
           ikati_lowering_binding_bytes(self->lowering);
}

static ikat_status add_step(const coarsening *self, ikati_axis_range batches,
                            ikati_axis_range heads) {
    const ikat_tensor *to = self->to.tensor;
    const ikati_view_strides from = ikati_view_strides_of(&self->from);
    const ikati_axis_range from_rows = {0, (uint32_t)self->from.tensor->shape[2]};
    const ikati_axis_range to_rows = {0, (uint32_t)to->shape[2]};
    const uint32_t columns = (uint32_t)to->shape[3];
    const bool is_half = self->from.tensor->dtype == IKAT_FLOAT16;
    ikati_step step = {0};
    ikati_pick pick = {.offers = is_half ? IKATI_NEED_HALF : IKATI_NEED_FLOAT,
                       .sizes = {columns, columns}};
    const ikati_operand from_operand =
        ikati_view_operand(&self->from, batches, heads, from_rows, 0, columns);
    const uint64_t element_bytes = ikat_dtype_size(from_operand.dtype);
    const uint64_t bytes = from_operand.count * element_bytes;
    if (ikati_view_is_multiple(&self->from, columns, 4) &&
        bytes <= ikati_lowering_texel_bytes(self->lowering, element_bytes)) {
        pick.offers |= IKATI_NEED_TEXEL;
    }
    ikat_status status = ikati_pick_variant(self->lowering, IKATI_KERNEL_coarsen, &pick, &step);
    if (status) {
        return status;
    }
    coarsen_params params = {
        .num_batches = batches.count,
        .num_heads = heads.count,
        .num_clusters = to_rows.count,
        .num_columns = columns,
        .num_positions = self->num_positions,
        .shift = self->shift,
        .from_batch = batches.count > 1 ? (uint32_t)from.batch : 0,
        .from_head = heads.count > 1 ? (uint32_t)from.head : 0,
        .from_row = (uint32_t)from.row,
        .to_batch = batches.count > 1 ? (uint32_t)to->strides[0] : 0,
        .to_head = heads.count > 1 ? (uint32_t)to->strides[1] : 0,
    };
    step.operands[0] = from_operand;
    if (self->lengths.kind) {
        step.operands[1] =
            (ikati_operand){self->lengths.kind, self->lengths.index, IKAT_INT32,
                            (uint64_t)self->lengths.tensor->offset + batches.first, batches.count};
    }
    step.operands[2] = ikati_view_operand(&self->to, batches, heads, to_rows, 0, columns);
    step.specialisation[0] = (is_half ? COARSEN_HALF : 0) |
                             (self->lengths.kind ? COARSEN_LENGTHS : 0) |
                             (self->takes_first ? COARSEN_FIRST : 0);
    const uint64_t rows = (uint64_t)batches.count * heads.count * to_rows.count;
    step.num_groups = ikati_divide_up(rows * ikati_divide_up(columns, step.variant->tile_keys),
                                      step.variant->tile_rows);
    step.flops = 3.0 * (double)rows * columns;
    memcpy(step.params, &params, sizeof(params));
    return ikati_lowering_step(self->lowering, &step, self->from.tensor->dtype,
                               self->takes_first ? ".first" : "");
}

// In one step, or one a batch entry or a head where the device binds no more at once. A head that is
// too large by itself is refused where attention is lowered.
static ikat_status add_steps(const coarsening *self) {
    const uint32_t num_batches = (uint32_t)self->from.tensor->shape[0];
    const uint32_t num_heads = (uint32_t)self->from.tensor->shape[1];
    uint32_t batches = num_batches, heads = num_heads;
    if (!fits(self, &self->from, batches, heads) || !fits(self, &self->to, batches, heads)) {
        batches = 1;
    }
    if (!fits(self, &self->from, batches, heads) || !fits(self, &self->to, batches, heads)) {
        heads = 1;
    }
    ikat_status status = IKAT_OK;
    for (uint32_t b = 0; b < num_batches && !status; b += batches) {
        for (uint32_t h = 0; h < num_heads && !status; h += heads) {
            status = add_step(self, (ikati_axis_range){b, batches}, (ikati_axis_range){h, heads});
        }
    }
    return status;
}

// Makes the next level of a view, in scratch; `out_tensor` is its description.
static ikat_status coarsen(const ikati_request *request, ikati_lowering *lowering,
                           const ikati_hierarchical_level *level, bool takes_first,
                           const ikati_view *from, ikat_tensor *out_tensor, ikati_view *out_view) {
    const int64_t *shape = from->tensor->shape;
    *out_tensor =
        ikati_packed_tensor(IKAT_FLOAT32, shape[0], shape[1], level->num_tokens, shape[3]);
    ikat_status status = ikati_scratch_view(lowering, out_tensor, out_view);
    const coarsening self = {
        .lowering = lowering,
        .from = *from,
        .lengths = ikati_input_view(request, "lengths"),
        .to = *out_view,
        .num_positions = (uint32_t)ikati_extent(request, "N"),
        .shift = level->shift,
        .takes_first = takes_first,
    };
    return status ? status : add_steps(&self);
}

// The tensors of level l > 0, and where its last cluster may be partly valid the weight of that.
static ikat_status make_level(const ikati_request *request, ikati_lowering *lowering,
                              level_tensors *tensors, const ikati_attention *below,
                              ikati_attention *attention) {
    const ikati_hierarchical_level *level = &tensors->level;
    ikat_status status =
        coarsen(request, lowering, level, level->causal, &below->q, &tensors->q, &attention->q);
    status = status
                 ? status
                 : coarsen(request, lowering, level, false, &below->k, &tensors->k, &attention->k);
    status = status
                 ? status
                 : coarsen(request, lowering, level, false, &below->v, &tensors->v, &attention->v);
    attention->num_positions = (uint32_t)ikati_extent(request, "N");
    if (attention->lengths.kind || attention->num_positions % (1u << level->shift)) {
        attention->cluster_shift = level->shift;
    }
    return status;
}

static ikat_status lower_levels(const ikati_request *request, ikati_lowering *lowering,
                                uint32_t num_levels, level_tensors *tensors,
                                ikati_attention *attentions) {
    const bool is_cpu = ikati_lowering_device(lowering)->type == IKAT_DEVICE_CPU;
    const uint32_t num_positions = (uint32_t)ikati_extent(request, "N");
    ikat_status status = IKAT_OK;
    for (uint32_t l = 0; l < num_levels && !status; l++) {
        tensors[l].level = ikati_hierarchical_level_at(request, l, is_cpu ? CPU_ROWS : GPU_ROWS);
        tensors[l].pattern = ikati_hierarchical_pattern(&tensors[l].level);
        attentions[l] = ikati_attention_of_call(request);
        attentions[l].pattern = &tensors[l].pattern;
        attentions[l].share =
            (ikati_share){.num_queries = num_positions, .num_keys = num_positions, .shift = l};
        if (l > 0) {
            status = make_level(request, lowering, &tensors[l], &attentions[l - 1], &attentions[l]);
        }
    }
    return status ? status
                  : ikati_lower_patterns(lowering, attentions, num_levels, IKATI_PATTERNS_LEVELS);
}

ikat_status ikati_hierarchical_lower(const ikati_request *request, ikati_lowering *lowering) {
    const uint32_t num_levels = ikati_hierarchical_num_levels(request);
    if (num_levels == 1) { // two blocks at the most: all see all
        ikati_attention attention = ikati_attention_of_call(request);
        attention.window_right = ikati_setting(request, "causal")->integer ? 0 : -1;
        return ikati_lower_attention(lowering, &attention);
    }
    level_tensors *tensors = ikati_alloc(request->host, num_levels, sizeof(*tensors));
    ikati_attention *attentions = ikati_alloc(request->host, num_levels, sizeof(*attentions));
    ikat_status status = IKAT_NO_MEMORY;
    if (tensors && attentions) {
        status = lower_levels(request, lowering, num_levels, tensors, attentions);
    }
    ikati_free(request->host, tensors);
    ikati_free(request->host, attentions);
    return status;
}
