// Lowers the blocks of the Set Transformer: projections (kernel `gemm`), attention over their heads, and
// sums with layer norm (kernel `norm`). All states between are float32 scratch; rows of padding are zeroed by
// the sums.

#include "set.h"

#include "../lower_rows.h"

#include <stdio.h>

// A set: matrices [num,channels], one a batch entry, or one for all (num_batches 1).
typedef struct elements {
    ikati_matrices rows;
    uint32_t num_batches, num, channels;
    ikati_view lengths; // valid elements; NONE: all
} elements;

typedef struct blocks {
    const ikati_request *request;
    ikati_lowering *lowering;
    uint32_t num_batches, width, heads; // width: E
    double scale, eps;
    bool has_norm;
} blocks;

static ikati_view find(const blocks *s, const char *prefix, const char *name) {
    char text[32];
    snprintf(text, sizeof(text), "%s%s", prefix, name);
    return ikati_input_view(s->request, text);
}

// A row [E] of a block's weights, or none.
static ikati_matrices find_row(const blocks *s, const char *prefix, const char *name) {
    const ikati_view view = find(s, prefix, name);
    return ikati_matrices_of(&view, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS, 0);
}

// Room for as many elements as `like` has, of `channels`. No scratch is left: IKAT_NO_MEMORY.
static ikat_status make_elements(const blocks *s, const elements *like, uint32_t channels,
                                 elements *out) {
    const uint64_t count = (uint64_t)like->num_batches * like->num * channels;
    const uint32_t scratch = ikati_lowering_scratch(s->lowering, count * sizeof(float));
    *out = *like;
    out->rows = ikati_matrices_of_scratch(scratch, 1, like->num, channels);
    out->channels = channels;
    return scratch == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

// activation(x w + b), in scratch.
static ikat_status project(const blocks *s, const elements *x, const ikati_view *weight,
                           const ikati_matrices *bias, ikati_activation activation, elements *out) {
    ikat_status status = make_elements(s, x, (uint32_t)weight->tensor->shape[1], out);
    const ikati_gemm gemm = {
        .a = x->rows,
        .b = ikati_matrices_of(weight, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1),
        .bias = *bias,
        .c = out->rows,
        .num_batches = x->num_batches,
        .num_heads = 1,
        .num_rows = x->num,
        .num_columns = out->channels,
        .depth = x->channels,
        .scale = 1,
        .activation = activation,
    };
    return status ? status : ikati_lower_gemm(s->lowering, &gemm);
}

static ikat_status project_by(const blocks *s, const char *prefix, const char *weight,
                              const char *bias, const elements *x, ikati_activation activation,
                              elements *out) {
    const ikati_view view = find(s, prefix, weight);
    const ikati_matrices row = find_row(s, prefix, bias);
    return project(s, x, &view, &row, activation, out);
}

// A view [B,heads,num,E/heads] of projected elements; the tensor is the caller's.
static ikati_view heads_of(const blocks *s, const elements *x, ikat_tensor *tensor) {
    const int64_t size = s->width / s->heads, width = s->width;
    *tensor = (ikat_tensor){.dtype = IKAT_FLOAT32,
                            .rank = 4,
                            .shape = {s->num_batches, s->heads, x->num, size},
                            .strides = {x->num_batches > 1 ? x->num * width : 0, size, width, 1}};
    return (ikati_view){IKATI_SLOT_SCRATCH, x->rows.index, tensor};
}

static ikat_status attend(const blocks *s, const elements *q, const elements *k, const elements *v,
                          const elements *out) {
    ikat_tensor tensors[4];
    const ikati_attention attention = {
        .q = heads_of(s, q, &tensors[0]),
        .k = heads_of(s, k, &tensors[1]),
        .v = heads_of(s, v, &tensors[2]),
        .out = heads_of(s, out, &tensors[3]),
        .lengths = k->lengths,
        .is_cross = true,
        .scale = s->scale,
        .window_left = -1,
        .window_right = -1,
    };
    return ikati_lower_attention(s->lowering, &attention);
}

// to = x + residual, normalised if the call has norms. One residual may be that of all batch entries.
static ikat_status add(const blocks *s, const char *prefix, int which, const elements *x,
                       const elements *residual, const ikati_matrices *to) {
    static const char *const gammas[] = {"ln0_gamma", "ln1_gamma"};
    static const char *const betas[] = {"ln0_beta", "ln1_beta"};
    ikati_norm norm = {
        .x = x->rows,
        .residual = residual->rows,
        .gamma = find_row(s, prefix, gammas[which]),
        .beta = find_row(s, prefix, betas[which]),
        .y = *to,
        .lengths = x->lengths,
        .num_batches = x->num_batches,
        .num_rows = x->num,
        .num_columns = s->width,
        .eps = s->eps,
        .is_sum = !s->has_norm,
    };
    norm.residual.batch = residual->num_batches > 1 ? norm.residual.batch : 0;
    return ikati_lower_norm(s->lowering, &norm);
}

// MAB(x, y) to `to`, rows of all batch entries also where x is one set for all.
static ikat_status lower_block(const blocks *s, const char *prefix, const elements *x,
                               const elements *y, const ikati_matrices *to) {
    elements q, k, v, attended, summed, forward, rows = *x;
    rows.num_batches = s->num_batches;
    ikat_status status = project_by(s, prefix, "w_q", "b_q", x, IKATI_ACTIVATION_NONE, &q);
    status = status ? status : project_by(s, prefix, "w_k", "b_k", y, IKATI_ACTIVATION_NONE, &k);
    status = status ? status : project_by(s, prefix, "w_v", "b_v", y, IKATI_ACTIVATION_NONE, &v);
    status = status ? status : make_elements(s, &rows, s->width, &attended);
    status = status ? status : make_elements(s, &rows, s->width, &summed);
    status = status ? status : attend(s, &q, &k, &v, &attended);
    status = status ? status : add(s, prefix, 0, &attended, &q, &summed.rows);
    status = status ? status
                    : project_by(s, prefix, "w_o", "b_o", &summed, IKATI_ACTIVATION_RELU, &forward);
    return status ? status : add(s, prefix, 1, &forward, &summed, to);
}

static elements elements_of(const ikati_view *view, const ikati_view *lengths) {
    const int64_t *shape = view->tensor->shape;
    return (elements){ikati_matrices_of(view, 0, IKATI_NO_AXIS, 1, 2), (uint32_t)shape[0],
                      (uint32_t)shape[1], (uint32_t)shape[2], *lengths};
}

// One set for all batch entries: inducing points, seeds.
static elements shared_elements(const blocks *s, const char *name) {
    const ikati_view view = ikati_input_view(s->request, name);
    const int64_t *shape = view.tensor->shape;
    return (elements){ikati_matrices_of(&view, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1),
                      1,
                      (uint32_t)shape[0],
                      (uint32_t)shape[1],
                      {0}};
}

static ikat_status lower_induced(const blocks *s, const elements *x, const ikati_matrices *out) {
    const elements points = shared_elements(s, "inducing");
    elements induced, all = points;
    all.num_batches = s->num_batches;
    ikat_status status = make_elements(s, &all, s->width, &induced);
    status = status ? status : lower_block(s, "mab0_", &points, x, &induced.rows);
    return status ? status : lower_block(s, "mab1_", x, &induced, out);
}

static ikat_status lower_pooling(const blocks *s, elements *x, const ikati_matrices *out) {
    const elements seeds = shared_elements(s, "seeds");
    const ikati_view weight = find(s, "", "w_rff");
    const ikati_matrices bias = find_row(s, "", "b_rff");
    elements z = *x;
    ikat_status status =
        weight.kind ? project(s, x, &weight, &bias, IKATI_ACTIVATION_RELU, &z) : IKAT_OK;
    return status ? status : lower_block(s, "", &seeds, &z, out);
}

ikat_status ikati_set_lower(const ikati_request *request, ikati_lowering *lowering) {
    const ikati_call_setting *scale = ikati_setting(request, "scale");
    const ikati_set_kind kind = ikati_set_kind_of(request);
    const ikati_view out_view = ikati_output_view(request, 0), none = {0};
    const ikati_view lengths = ikati_input_view(request, "lengths");
    const ikati_view x_view = ikati_input_view(request, "x"),
                     y_view = ikati_input_view(request, "y");
    const ikati_matrices out = ikati_matrices_of(&out_view, 0, IKATI_NO_AXIS, 1, 2);
    const blocks s = {
        .request = request,
        .lowering = lowering,
        .num_batches = (uint32_t)ikati_extent(request, "B"),
        .width = (uint32_t)ikati_extent(request, "E"),
        .heads = (uint32_t)ikati_setting(request, "heads")->integer,
        .scale = scale->given ? scale->number : 1.0 / sqrt((double)ikati_extent(request, "E")),
        .eps = ikati_setting(request, "eps")->number,
        .has_norm = ikati_setting(request, "layer_norm")->integer != 0,
    };
    if (!s.num_batches || !out_view.tensor->shape[1]) {
        return IKAT_OK;
    }
    elements x = elements_of(&x_view, kind == IKATI_SET_MAB ? &none : &lengths);
    if (kind == IKATI_SET_ISAB) {
        return lower_induced(&s, &x, &out);
    }
    if (kind == IKATI_SET_PMA) {
        return lower_pooling(&s, &x, &out);
    }
    const elements y = kind == IKATI_SET_MAB ? elements_of(&y_view, &lengths) : x;
    return lower_block(&s, "", &x, &y, &out);
}
