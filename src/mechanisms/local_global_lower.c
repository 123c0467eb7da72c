// Lowers both branches: projections (kernel `gemm`) and the inner mechanism; the gate (`combine`) and the
// convolution (`convolve`, or `predict`, which never writes taps out). All between is float32 scratch
// [B,N,columns]; the last step rounds, and zeroes what is past the lengths.

#include "local_global.h"

#include "../lower_rows.h"

typedef struct branches {
    const ikati_request *request;
    ikati_lowering *lowering;
    ikati_local_global sizes;
    ikati_view x, lengths;
} branches;

static ikati_view find(const branches *s, const char *name) {
    return ikati_input_view(s->request, name);
}

static uint32_t scratch(const branches *s, int64_t columns) {
    const uint64_t rows = (uint64_t)(s->sizes.num_batches * s->sizes.num_positions);
    return ikati_lowering_scratch(s->lowering, rows * (uint64_t)columns * sizeof(float));
}

static ikati_matrices rows_of(const branches *s, uint32_t of, int64_t columns) {
    return ikati_matrices_of_scratch(of, 1, (uint64_t)s->sizes.num_positions, (uint64_t)columns);
}

// Channels of x from `first` on.
static ikati_matrices channels_of(const branches *s, int64_t first) {
    ikati_matrices x = ikati_matrices_of(&s->x, 0, IKATI_NO_AXIS, 1, 2);
    x.offset += (uint64_t)first;
    return x;
}

// A bias as matrices of equal rows.
static ikati_matrices bias_of(const branches *s, const char *name) {
    const ikati_view bias = find(s, name);
    return ikati_matrices_of(&bias, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS, 0);
}

static ikat_status combine(const branches *s, ikati_combination combination, ikati_matrices x,
                           ikati_matrices y, ikati_matrices to, int64_t columns, bool clips) {
    const ikati_combine c = {
        .combination = combination,
        .x = x,
        .y = y,
        .to = to,
        .lengths = clips ? s->lengths : (ikati_view){0},
        .num_batches = (uint32_t)s->sizes.num_batches,
        .num_heads = 1,
        .num_rows = (uint32_t)s->sizes.num_positions,
        .num_columns = (uint32_t)columns,
    };
    return ikati_lower_combine(s->lowering, &c);
}

// to = from w + addend, rows of w from `first` on.
static ikat_status multiply(const branches *s, ikati_matrices from, int64_t depth,
                            const char *weight, int64_t first, ikati_matrices addend, uint32_t to) {
    const ikati_view w = find(s, weight);
    const int64_t columns = w.tensor->shape[1];
    ikati_gemm gemm = {
        .a = from,
        .b = ikati_matrices_of(&w, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1),
        .bias = addend,
        .c = rows_of(s, to, columns),
        .num_batches = (uint32_t)s->sizes.num_batches,
        .num_heads = 1,
        .num_rows = (uint32_t)s->sizes.num_positions,
        .num_columns = (uint32_t)columns,
        .depth = (uint32_t)depth,
        .scale = 1,
    };
    gemm.b.offset += (uint64_t)first * gemm.b.row;
    return ikati_lower_gemm(s->lowering, &gemm);
}

// A layer, which may lack its weight: from w + bias, or from + bias. It has `columns` in scratch afterwards.
static ikat_status apply_layer(const branches *s, ikati_matrices from, int64_t depth,
                               const char *weight, const char *bias, int64_t columns,
                               uint32_t *out_to) {
    const ikati_matrices addend = bias_of(s, bias);
    if (!find(s, weight).kind && !addend.kind && from.kind == IKATI_SLOT_SCRATCH) {
        *out_to = from.index;
        return IKAT_OK;
    }
    *out_to = scratch(s, columns);
    if (*out_to == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    if (find(s, weight).kind) {
        return multiply(s, from, depth, weight, 0, addend, *out_to);
    }
    return combine(s, addend.kind ? IKATI_COMBINE_ADD : IKATI_COMBINE_COPY, from, addend,
                   rows_of(s, *out_to, columns), columns, false);
}

// The global branch, [B,N,Eg].
static ikat_status lower_global(const branches *s, uint32_t *out_to) {
    static const char *const weights[] = {"w_q", "w_k", "w_v"};
    static const char *const biases[] = {"b_q", "b_k", "b_v"};
    const ikati_local_global *c = &s->sizes;
    const int64_t columns[] = {c->heads * c->size, c->kv_heads * c->size,
                               c->kv_heads * c->value_size};
    const int64_t joined_columns = c->heads * c->value_size;
    const uint32_t joined = scratch(s, joined_columns);
    uint32_t qkv[3];
    ikat_status status = joined == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    for (int i = 0; i < 3 && !status; i++) {
        status = apply_layer(s, channels_of(s, 0), c->global_channels, weights[i], biases[i],
                             columns[i], &qkv[i]);
    }
    status = status ? status
                    : ikati_nested_lower(s->request, s->lowering, IKATI_LOCAL_GLOBAL_PREFIX, qkv,
                                         joined);
    return status ? status
                  : apply_layer(s, rows_of(s, joined, joined_columns), joined_columns, "w_o", "b_o",
                                c->global_size, out_to);
}

// u: the input layer, gated, 0 past the lengths.
static ikat_status lower_input(const branches *s, uint32_t *out_to) {
    const ikati_local_global *c = &s->sizes;
    const int64_t columns = c->conv_size * (c->glu ? 2 : 1);
    const ikati_matrices none = {0};
    uint32_t layer;
    ikat_status status = apply_layer(s, channels_of(s, c->local_begin), c->local_channels,
                                     "conv_w_in", "conv_b_in", columns, &layer);
    if (status || (!c->glu && !s->lengths.kind)) {
        *out_to = layer;
        return status;
    }
    *out_to = scratch(s, c->conv_size);
    if (*out_to == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikati_matrices gate = rows_of(s, layer, columns);
    gate.offset += (uint64_t)c->conv_size;
    return combine(s, c->glu ? IKATI_COMBINE_GATE : IKATI_COMBINE_COPY, rows_of(s, layer, columns),
                   c->glu ? gate : none, rows_of(s, *out_to, c->conv_size), c->conv_size, true);
}

// Taps that are the same at all positions: [Hl,ks].
static ikat_status make_taps(const branches *s, ikati_matrices *out_taps) {
    const ikati_local_global *c = &s->sizes;
    const ikati_view kernel = find(s, "conv_kernel");
    *out_taps = ikati_matrices_of(&kernel, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, 1);
    if (!c->normalises) {
        return IKAT_OK;
    }
    const ikati_matrices rows = ikati_matrices_of(&kernel, IKATI_NO_AXIS, IKATI_NO_AXIS, 0, 1);
    const uint64_t count = (uint64_t)(c->conv_heads * c->num_taps);
    const uint32_t taps = ikati_lowering_scratch(s->lowering, count * sizeof(float));
    *out_taps = ikati_matrices_of_scratch(taps, (uint64_t)c->conv_heads, 1, (uint64_t)c->num_taps);
    return taps == UINT32_MAX ? IKAT_NO_MEMORY
                              : ikati_lower_softmax(s->lowering, &rows, (uint32_t)c->conv_heads,
                                                    (uint32_t)c->num_taps, taps);
}

static ikat_status convolve(const branches *s, uint32_t from, uint32_t to, uint32_t taps_left) {
    const ikati_local_global *c = &s->sizes;
    const uint64_t rows = (uint64_t)(c->num_positions * c->conv_size);
    const int64_t size = c->conv_size / c->conv_heads;
    ikati_convolve convolution = {
        .x = {IKATI_SLOT_SCRATCH, from, IKAT_FLOAT32, 0, rows, (uint64_t)size,
              (uint64_t)c->conv_size, 1},
        .to = {IKATI_SLOT_SCRATCH, to, IKAT_FLOAT32, 0, rows, (uint64_t)size,
               (uint64_t)c->conv_size, 1},
        .bias = bias_of(s, "conv_bias"),
        .num_batches = (uint32_t)c->num_batches,
        .num_heads = (uint32_t)c->conv_heads,
        .heads_per_kv = 1,
        .num_rows = (uint32_t)c->num_positions,
        .num_columns = (uint32_t)size,
        .num_taps = (uint32_t)c->num_taps,
        .taps_left = taps_left,
    };
    convolution.bias.head = (uint64_t)size;
    ikat_status status = make_taps(s, &convolution.taps);
    return status ? status : ikati_lower_convolve(s->lowering, &convolution);
}

static ikat_status predict(const branches *s, uint32_t from, uint32_t to, uint32_t taps_left) {
    const ikati_local_global *c = &s->sizes;
    const ikati_view weight = find(s, "conv_w_kernel"), bias = find(s, "conv_b_kernel");
    const ikati_predict p = {
        .x = from,
        .to = to,
        .weight = ikati_matrices_of(&weight, IKATI_NO_AXIS, 1, 0, 2),
        .tap_bias = ikati_matrices_of(&bias, IKATI_NO_AXIS, 0, IKATI_NO_AXIS, 1),
        .bias = bias_of(s, "conv_bias"),
        .num_batches = (uint32_t)c->num_batches,
        .num_heads = (uint32_t)c->conv_heads,
        .num_rows = (uint32_t)c->num_positions,
        .num_columns = (uint32_t)c->conv_size,
        .num_taps = (uint32_t)c->num_taps,
        .taps_left = taps_left,
        .is_raw = !c->normalises,
    };
    return ikati_lower_predict(s->lowering, &p);
}

// The local branch, [B,N,El].
static ikat_status lower_local(const branches *s, uint32_t *out_to) {
    const ikati_local_global *c = &s->sizes;
    const uint32_t taps_left = (uint32_t)(c->causal ? c->num_taps - 1 : (c->num_taps - 1) / 2);
    const uint32_t convolved = scratch(s, c->conv_size);
    uint32_t input;
    ikat_status status = convolved == UINT32_MAX ? IKAT_NO_MEMORY : lower_input(s, &input);
    if (!status) {
        status = find(s, "conv_kernel").kind ? convolve(s, input, convolved, taps_left)
                                             : predict(s, input, convolved, taps_left);
    }
    return status ? status
                  : apply_layer(s, rows_of(s, convolved, c->conv_size), c->conv_size, "conv_w_out",
                                "conv_b_out", c->local_size, out_to);
}

// Columns of the result, rounded.
static ikat_status write_out(const branches *s, uint32_t from, int64_t first, int64_t columns) {
    const ikati_view out = ikati_output_view(s->request, 0);
    ikati_matrices to = ikati_matrices_of(&out, 0, IKATI_NO_AXIS, 1, 2);
    ikati_matrices addend = bias_of(s, "b_out");
    to.offset += (uint64_t)first;
    to.column = 1;
    if (find(s, "w_out").kind) {
        addend = (ikati_matrices){0}; // is in there
    }
    addend.offset += (uint64_t)first;
    return combine(s, addend.kind ? IKATI_COMBINE_ADD : IKATI_COMBINE_COPY,
                   rows_of(s, from, columns), addend, to, columns, true);
}

// The final layer over branches side by side, without putting them there: one product added to the other.
static ikat_status finish_both(const branches *s, uint32_t global, uint32_t local,
                               uint32_t *out_to) {
    const ikati_local_global *c = &s->sizes;
    const uint32_t part = scratch(s, c->columns);
    *out_to = scratch(s, c->columns);
    if (part == UINT32_MAX || *out_to == UINT32_MAX) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = multiply(s, rows_of(s, global, c->global_size), c->global_size, "w_out", 0,
                                  bias_of(s, "b_out"), part);
    return status ? status
                  : multiply(s, rows_of(s, local, c->local_size), c->local_size, "w_out",
                             c->global_size, rows_of(s, part, c->columns), *out_to);
}

static ikat_status finish_sum(const branches *s, uint32_t global, uint32_t local) {
    const ikati_local_global *c = &s->sizes;
    uint32_t sum = scratch(s, c->global_size), result = sum;
    ikat_status status = sum == UINT32_MAX
                             ? IKAT_NO_MEMORY
                             : combine(s, IKATI_COMBINE_ADD, rows_of(s, global, c->global_size),
                                       rows_of(s, local, c->global_size),
                                       rows_of(s, sum, c->global_size), c->global_size, false);
    if (!status && find(s, "w_out").kind) {
        status = apply_layer(s, rows_of(s, sum, c->global_size), c->global_size, "w_out", "b_out",
                             c->columns, &result);
    }
    return status ? status : write_out(s, result, 0, c->columns);
}

ikat_status ikati_local_global_lower(const ikati_request *request, ikati_lowering *lowering) {
    const branches s = {
        .request = request,
        .lowering = lowering,
        .sizes = ikati_local_global_of(request),
        .x = ikati_input_view(request, "x"),
        .lengths = ikati_input_view(request, "lengths"),
    };
    const ikati_local_global *c = &s.sizes;
    uint32_t global, local, result;
    if (!c->num_batches || !c->num_positions) {
        return IKAT_OK;
    }
    ikat_status status = lower_global(&s, &global);
    status = status ? status : lower_local(&s, &local);
    if (status || c->sums) {
        return status ? status : finish_sum(&s, global, local);
    }
    if (find(&s, "w_out").kind) {
        status = finish_both(&s, global, local, &result);
        return status ? status : write_out(&s, result, 0, c->columns);
    }
    status = write_out(&s, global, 0, c->global_size);
    return status ? status : write_out(&s, local, c->global_size, c->local_size);
}
