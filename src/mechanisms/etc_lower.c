// Lowers ETC: the rows of each input are one softmax over two pieces, two attentions over different keys
// that are merged by lse. Labels and masks become scores a label and words a pair before.

#include "etc.h"

#include "../lower_labels.h"

// A piece under way, with the descriptions of tensors that views point to.
typedef struct piece_tensors {
    ikat_tensor labels, mask, segments, edges;
    ikati_attend_labels attend_labels;
} piece_tensors;

typedef struct side_lowering {
    const ikati_request *request;
    ikati_lowering *lowering;
    const ikati_etc_side *side;
    double scale;
    ikat_tensor vectors, biases, scores;
    ikati_view label_scores; // of kind IKATI_SLOT_NONE: no table
    piece_tensors pieces[2];
} side_lowering;

// An input as a view whose axes are axis0 .. axis3 of its own, -1 being one of extent 1.
static ikati_view view_axes(const ikati_request *request, const char *name, int axis0, int axis1,
                            int axis2, int axis3, ikat_tensor *out_tensor) {
    const int axes[4] = {axis0, axis1, axis2, axis3};
    ikati_view view = ikati_input_view(request, name);
    *out_tensor =
        (ikat_tensor){.dtype = view.tensor->dtype, .rank = 4, .offset = view.tensor->offset};
    for (int i = 0; i < 4; i++) {
        out_tensor->shape[i] = axes[i] < 0 ? 1 : view.tensor->shape[axes[i]];
        out_tensor->strides[i] = axes[i] < 0 ? 0 : view.tensor->strides[axes[i]];
    }
    view.tensor = out_tensor;
    return view;
}

// [B or 1, rows, columns]
static ikati_view view_edges(const ikati_request *request, const char *name,
                             ikat_tensor *out_tensor) {
    return view_axes(request, name, 0, -1, 1, 2, out_tensor);
}

static ikati_view either_view(const ikati_request *request, const char *name,
                              const char *otherwise) {
    const ikati_view view = ikati_input_view(request, name);
    return view.kind || !otherwise ? view : ikati_input_view(request, otherwise);
}

// What all labels score in a row of the side.
static ikat_status lower_scores(side_lowering *self) {
    const ikati_request *request = self->request;
    const char *table = ikati_etc_table(request, self->side);
    self->label_scores = (ikati_view){.kind = IKATI_SLOT_NONE};
    if (!table || !ikati_extent(request, "B")) {
        return IKAT_OK;
    }
    const bool own = ikati_input(request, self->side->rel_key)->present;
    const ikati_label_scores source = {
        .q = ikati_input_view(request, self->side->q),
        .vectors = view_axes(request, table, -1, 1, 0, 2, &self->vectors),
        .biases = view_axes(request, own ? self->side->rel_bias : "rel_bias", -1, 1, 0, -1,
                            &self->biases),
        .scale = self->scale,
    };
    return ikati_lower_label_scores(self->lowering, &source, &self->scores, &self->label_scores);
}

// Labels given without a mask are read as they are; else labels and masks become words of their own.
static ikat_status lower_edges(side_lowering *self, const ikati_etc_piece *piece,
                               piece_tensors *tensors, uint32_t num_rows, uint32_t num_keys) {
    const ikati_request *request = self->request;
    ikati_attend_labels *labels = &tensors->attend_labels;
    ikati_edges source = {
        .labels = view_edges(request, piece->labels, &tensors->labels),
        .mask = view_edges(request, piece->mask, &tensors->mask),
        .like = labels,
    };
    if (!source.labels.kind && !source.mask.kind) {
        return IKAT_OK;
    }
    if (source.labels.kind && !source.mask.kind && !labels->is_hard) {
        labels->edges = source.labels;
        labels->segments = (ikati_view){.kind = IKATI_SLOT_NONE};
        return IKAT_OK;
    }
    const bool shared = (!source.labels.kind || tensors->labels.shape[0] == 1) &&
                        (!source.mask.kind || tensors->mask.shape[0] == 1) &&
                        !labels->segments.kind;
    source.shape[0] = shared ? 1 : (uint32_t)ikati_extent(request, "B");
    source.shape[1] = num_rows;
    source.shape[2] = labels->is_local ? 2 * labels->radius + 1 : num_keys;
    ikat_status status =
        ikati_lower_edges(self->lowering, &source, &tensors->edges, &labels->edges);
    labels->segments = (ikati_view){.kind = IKATI_SLOT_NONE};
    labels->is_hard = false;
    return status;
}

static uint32_t at_most(int64_t value, int64_t most) {
    return (uint32_t)(value < most ? value : most);
}

// The labels of a piece; leaves `out` without any where its pairs are plain.
static ikat_status lower_labels(side_lowering *self, int index, ikati_attention *out) {
    const ikati_request *request = self->request;
    const ikati_etc_piece *piece = &self->side->pieces[index];
    piece_tensors *tensors = &self->pieces[index];
    const bool hard = piece->hard && ikati_setting(request, piece->hard)->integer;
    const int64_t reach = ikati_setting(request, "rel_max_distance")->integer;
    const int64_t radius = ikati_setting(request, "radius")->integer;
    tensors->attend_labels = (ikati_attend_labels){
        .scores = self->label_scores,
        .is_local = piece->is_local,
        .is_between = piece->hard != NULL,
        .segment_of_key = piece->key_is_token,
        .is_hard = hard,
        .radius = at_most(radius, INT32_MAX / 4),
        .reach = at_most(reach, INT32_MAX / 4), // labels by position are fewer than 2^31
    };
    ikati_attend_labels *labels = &tensors->attend_labels;
    if (piece->hard && (hard || labels->scores.kind)) {
        labels->segments = view_axes(request, "segment_ids", 0, -1, 1, -1, &tensors->segments);
    }
    ikat_status status = lower_edges(self, piece, tensors, (uint32_t)out->q.tensor->shape[2],
                                     (uint32_t)out->k.tensor->shape[2]);
    out->labels = labels->scores.kind || labels->edges.kind || hard ? labels : NULL;
    return status;
}

// In pictures the global tokens come first.
static ikati_share share_of(const side_lowering *self, int index) {
    const uint32_t num_global = (uint32_t)ikati_extent(self->request, "G");
    const uint32_t all = num_global + (uint32_t)ikati_extent(self->request, "N");
    const bool is_long = self->side == &ikati_etc_sides[IKATI_ETC_LONG];
    return (ikati_share){.first_query = is_long ? num_global : 0,
                         .first_key = is_long == (index == 0) ? num_global : 0,
                         .num_queries = all,
                         .num_keys = all};
}

static ikat_status lower_piece(side_lowering *self, int index, ikati_attention *out) {
    const ikati_request *request = self->request;
    const ikati_etc_side *side = self->side;
    const ikati_etc_piece *piece = &side->pieces[index];
    const int64_t radius = ikati_setting(request, "radius")->integer;
    const bool windowed = piece->is_local && radius < ikati_extent(request, "N") - 1;
    *out = (ikati_attention){
        .q = ikati_input_view(request, side->q),
        .k = either_view(request, piece->k, piece->otherwise_k),
        .v = either_view(request, piece->v, piece->otherwise_v),
        .out = ikati_output_view(request, side->out),
        .lse = ikati_output_view(request, side->lse),
        .lengths = ikati_input_view(request, side->key_lengths[index]),
        .query_lengths = ikati_input_view(request, side->lengths),
        .is_cross = true,
        .scale = self->scale,
        .window_left = windowed ? radius : -1,
        .window_right = windowed ? radius : -1,
        .head_mask = ikati_head_mask(request),
        .share = share_of(self, index),
    };
    return lower_labels(self, index, out);
}

static ikat_status lower_side(side_lowering *self) {
    const ikati_call_setting *scale = ikati_setting(self->request, "scale");
    const double head_size = (double)ikati_extent(self->request, "D");
    self->scale = scale->given ? scale->number : 1.0 / sqrt(head_size);
    ikati_attention attentions[2];
    ikat_status status = lower_scores(self);
    for (int i = 0; i < 2 && !status; i++) {
        status = lower_piece(self, i, &attentions[i]);
    }
    return status ? status : ikati_lower_attentions(self->lowering, attentions, 2);
}

ikat_status ikati_etc_lower(const ikati_request *request, ikati_lowering *lowering) {
    ikat_status status = IKAT_OK;
    for (int i = 0; i < IKATI_ETC_SIDES && !status; i++) {
        side_lowering self = {
            .request = request, .lowering = lowering, .side = &ikati_etc_sides[i]};
        if (ikati_etc_wanted(request, self.side)) {
            status = lower_side(&self);
        }
    }
    return status;
}
