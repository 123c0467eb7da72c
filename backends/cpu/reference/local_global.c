// Long-short range attention: Wu et al., arXiv:2004.11886, section 4, with the convolutions of Wu et al.,
// arXiv:1901.10430. The global branch is the reference of the mechanism that it names.

#include "reference.h"

#include <math.h>
#include <string.h>

// Taps left of the middle for so many: the oracle's own test compiles this file once more with another value
// and must notice.
#ifndef LOCAL_GLOBAL_LEFT
#define LOCAL_GLOBAL_LEFT(taps) (((taps)-1) / 2)
#endif

enum { MAX_INNER_INPUTS = 32 };

static const char prefix[] = "attention.";

typedef struct branches {
    const cpu_call *call;
    const ikati_call_tensor *x, *kernel, *predictor, *lengths, *out;
    int64_t num_batches, num_positions, channels, heads, kv_heads;
    int64_t global_channels, global_size, local_begin, conv_size, local_size, columns;
    int64_t conv_heads, taps;
    bool glu, sums, causal, normalises;
    uint32_t num_workers;
    int64_t b, num_valid; // under way
    double *u;            // [N,conv_size]
    double *room;
    const ikati_call_tensor *inner_out;
} branches;

static const ikati_call_tensor *input(const branches *s, const char *name) {
    return cpu_input(s->call, name);
}

static double bias_at(const ikati_call_tensor *t, int64_t i) {
    return t ? cpu_load(t, cpu_index(t, i, 0, 0, 0)) : 0;
}

// to = from w + bias, rows of w from `first` on; an absent w is the identity.
static void apply(const branches *s, const double *from, int64_t depth, const char *weight,
                  int64_t first, const char *bias, int64_t columns, double *to) {
    const ikati_call_tensor *w = input(s, weight), *offset = input(s, bias);
    for (int64_t c = 0; c < columns; c++) {
        to[c] = bias_at(offset, c) + (w ? 0 : from[c]);
    }
    for (int64_t d = 0; d < depth && w; d++) {
        for (int64_t c = 0; c < columns; c++) {
            to[c] += from[d] * cpu_load(w, cpu_index(w, first + d, c, 0, 0));
        }
    }
}

static void load_x(const branches *s, int64_t b, int64_t i, double *to) {
    cpu_load_row(s->x, cpu_index(s->x, b, i, 0, 0), s->channels, to);
}

// Projections of all rows to [B,heads,N,size], float32.
static void project(const branches *s, const char *weight, const char *bias, int64_t heads,
                    int64_t size, float *to) {
    double *row = s->room, *projected = row + s->channels;
    for (int64_t b = 0; b < s->num_batches; b++) {
        for (int64_t i = 0; i < s->num_positions; i++) {
            load_x(s, b, i, row);
            apply(s, row, s->global_channels, weight, 0, bias, heads * size, projected);
            for (int64_t c = 0; c < heads * size; c++) {
                to[((b * heads + c / size) * s->num_positions + i) * size + c % size] =
                    (float)projected[c];
            }
        }
    }
}

static ikati_call_tensor tensor_of(const char *name, float *data, int64_t b, int64_t heads,
                                   int64_t n, int64_t size) {
    return (ikati_call_tensor){.name = name,
                               .tensor = {.dtype = IKAT_FLOAT32,
                                          .rank = 4,
                                          .shape = {b, heads, n, size},
                                          .strides = {heads * n * size, n * size, size, 1}},
                               .data = data};
}

// Runs the inner mechanism; tensors are its q, k, v and out.
static ikat_status run_inner(const branches *s, const ikati_call_tensor tensors[4]) {
    ikati_call_tensor inputs[MAX_INNER_INPUTS];
    uint32_t num = 3;
    memcpy(inputs, tensors, 3 * sizeof(*tensors));
    for (uint32_t i = 0; i < s->call->num_inputs && num < MAX_INNER_INPUTS; i++) {
        const ikati_call_tensor *own = &s->call->inputs[i];
        const size_t length = strlen(prefix);
        const bool is_inner = strncmp(own->name, prefix, length) == 0;
        if (is_inner || strcmp(own->name, "lengths") == 0) {
            inputs[num] = *own;
            inputs[num++].name = own->name + (is_inner ? length : 0);
        }
    }
    const cpu_call inner = {
        .host = s->call->host,
        .num_threads = s->call->num_threads,
        .inputs = inputs,
        .num_inputs = num,
        .outputs = &tensors[3],
        .num_outputs = 1,
        .settings = s->call->inner_settings,
        .num_settings = s->call->num_inner_settings,
    };
    return cpu_compute(s->call->inner, &inner);
}

// Input layer and gate of a row of the batch entry.
static void make_input(const branches *s, int64_t i, double *room, double *to) {
    double *layer = room + s->channels;
    memset(to, 0, (size_t)s->conv_size * sizeof(double));
    if (i >= s->num_valid) {
        return;
    }
    load_x(s, s->b, i, room);
    apply(s, room + s->local_begin, s->channels - s->local_begin, "conv_w_in", 0, "conv_b_in",
          s->conv_size * (s->glu ? 2 : 1), layer);
    for (int64_t c = 0; c < s->conv_size; c++) {
        to[c] = s->glu ? layer[c] / (1 + exp(-layer[s->conv_size + c])) : layer[c];
    }
}

// Taps of head h at position i.
static void make_taps(const branches *s, int64_t h, int64_t i, double *taps) {
    const ikati_call_tensor *bias = input(s, "conv_b_kernel");
    double maximum = -INFINITY, sum = 0;
    for (int64_t t = 0; t < s->taps; t++) {
        if (s->kernel) {
            taps[t] = cpu_load(s->kernel, cpu_index(s->kernel, h, t, 0, 0));
        } else {
            taps[t] = bias ? cpu_load(bias, cpu_index(bias, h, t, 0, 0)) : 0;
            for (int64_t e = 0; e < s->conv_size; e++) {
                taps[t] += s->u[i * s->conv_size + e] *
                           cpu_load(s->predictor, cpu_index(s->predictor, e, h, t, 0));
            }
        }
        maximum = taps[t] > maximum ? taps[t] : maximum;
    }
    for (int64_t t = 0; t < s->taps && s->normalises; t++) {
        taps[t] = exp(taps[t] - maximum);
        sum += taps[t];
    }
    for (int64_t t = 0; t < s->taps && s->normalises; t++) {
        taps[t] /= sum;
    }
}

static void convolve_row(const branches *s, int64_t i, double *taps, double *to) {
    const ikati_call_tensor *bias = input(s, "conv_bias");
    const int64_t left = s->causal ? s->taps - 1 : LOCAL_GLOBAL_LEFT(s->taps);
    const int64_t size = s->conv_size / s->conv_heads;
    for (int64_t h = 0; h < s->conv_heads; h++) {
        make_taps(s, h, i, taps);
        for (int64_t c = h * size; c < (h + 1) * size; c++) {
            to[c] = bias_at(bias, c);
            for (int64_t t = 0; t < s->taps; t++) {
                const int64_t j = i + t - left;
                to[c] += j >= 0 && j < s->num_positions ? taps[t] * s->u[j * s->conv_size + c] : 0;
            }
        }
    }
}

static int64_t largest(const branches *s) {
    const int64_t sizes[] = {s->channels,
                             2 * s->conv_size,
                             s->local_size,
                             s->global_size,
                             s->taps,
                             s->columns,
                             s->heads * s->inner_out->tensor.shape[3]};
    int64_t result = s->global_size + s->local_size;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        result = sizes[i] > result ? sizes[i] : result;
    }
    return result;
}

static void compute_row(const branches *s, int64_t i, double *room) {
    const int64_t size = largest(s), value_size = s->inner_out->tensor.shape[3];
    double *joined = room, *taps = room + size, *convolved = taps + size, *both = convolved + size;
    double *result = both + size, *other = result + size;
    memset(result, 0, (size_t)s->columns * sizeof(double));
    if (i < s->num_valid) {
        for (int64_t h = 0; h < s->heads; h++) {
            cpu_load_row(s->inner_out, cpu_index(s->inner_out, s->b, h, i, 0), value_size,
                         joined + h * value_size);
        }
        apply(s, joined, s->heads * value_size, "w_o", 0, "b_o", s->global_size, both);
        convolve_row(s, i, taps, convolved);
        double *local = s->sums ? other : both + s->global_size;
        apply(s, convolved, s->conv_size, "conv_w_out", 0, "conv_b_out", s->local_size, local);
        for (int64_t c = 0; c < s->global_size && s->sums; c++) {
            both[c] += local[c];
        }
        apply(s, both, s->global_size + (s->sums ? 0 : s->local_size), "w_out", 0, "b_out",
              s->columns, result);
    }
    cpu_store_row(s->out, cpu_index(s->out, s->b, i, 0, 0), s->columns, result);
}

static void make_inputs(void *user, uint32_t worker) {
    const branches *s = user;
    for (int64_t i = worker; i < s->num_positions; i += s->num_workers) {
        make_input(s, i, s->room + worker * 6 * largest(s), s->u + i * s->conv_size);
    }
}

static void compute_rows(void *user, uint32_t worker) {
    const branches *s = user;
    for (int64_t r = worker; r < cpu_num_rows(s->call, s->num_positions); r += s->num_workers) {
        compute_row(s, cpu_row_at(s->call, r), s->room + worker * 6 * largest(s));
    }
}

static void compute(branches *s) {
    for (s->b = 0; s->b < s->num_batches; s->b++) {
        s->num_valid =
            s->lengths ? cpu_load_length(s->lengths, s->b, s->num_positions) : s->num_positions;
        ikati_run_threads(s->num_workers, make_inputs, s);
        ikati_run_threads(s->num_workers, compute_rows, s);
    }
}

static void read_call(branches *s, const cpu_call *call) {
    s->call = call;
    s->x = input(s, "x");
    s->kernel = input(s, "conv_kernel");
    s->predictor = input(s, "conv_w_kernel");
    s->lengths = input(s, "lengths");
    s->out = cpu_output(call, "out");
    const ikati_call_tensor *w_q = input(s, "w_q"), *w_in = input(s, "conv_w_in");
    const ikati_call_tensor *w_o = input(s, "w_o"), *w_out = input(s, "conv_w_out");
    const ikati_call_tensor *taps = s->kernel ? s->kernel : s->predictor;
    s->num_batches = s->x->tensor.shape[0];
    s->num_positions = s->x->tensor.shape[1];
    s->channels = s->x->tensor.shape[2];
    s->heads = cpu_integer(call, "heads", 1);
    s->kv_heads = cpu_integer(call, "kv_heads", s->heads);
    s->global_channels = w_q->tensor.shape[0];
    s->local_begin = s->global_channels < s->channels ? s->global_channels : 0;
    s->glu = cpu_integer(call, "glu", w_in != NULL) != 0;
    s->conv_size = w_in ? w_in->tensor.shape[1] / (s->glu ? 2 : 1) : s->channels - s->local_begin;
    s->conv_heads = taps->tensor.shape[taps->tensor.rank - 2];
    s->taps = taps->tensor.shape[taps->tensor.rank - 1];
    const int64_t value_size = input(s, "w_v")->tensor.shape[1] / s->kv_heads;
    s->global_size = w_o ? w_o->tensor.shape[1] : s->heads * value_size;
    s->local_size = w_out ? w_out->tensor.shape[1] : s->conv_size;
    s->columns = s->out->tensor.shape[2];
    s->sums = cpu_integer(call, "combine", 0) == 1; // "concat,sum"
    s->causal = cpu_integer(call, "causal", 0) != 0;
    s->normalises = cpu_integer(call, "kernel_softmax", 1) != 0;
    s->num_workers = call->num_threads;
}

ikat_status ikati_reference_local_global(const cpu_call *call) {
    branches s = {0};
    read_call(&s, call);
    const int64_t size = input(&s, "w_q")->tensor.shape[1] / s.heads;
    const int64_t value_size = input(&s, "w_v")->tensor.shape[1] / s.kv_heads;
    const int64_t b = s.num_batches, n = s.num_positions, rows = b * n;
    const int64_t count =
        rows * ((s.heads + s.kv_heads) * size + (s.heads + s.kv_heads) * value_size);
    float *floats = ikati_alloc(call->host, (size_t)count + 1, sizeof(*floats));
    float *k = floats + rows * s.heads * size, *v = k + rows * s.kv_heads * size;
    float *out = v + rows * s.kv_heads * value_size;
    const ikati_call_tensor tensors[] = {tensor_of("q", floats, b, s.heads, n, size),
                                         tensor_of("k", k, b, s.kv_heads, n, size),
                                         tensor_of("v", v, b, s.kv_heads, n, value_size),
                                         tensor_of("out", out, b, s.heads, n, value_size)};
    s.inner_out = &tensors[3];
    const int64_t worker_room = 6 * largest(&s) + s.heads * (size + value_size);
    double *room = ikati_alloc(call->host, (size_t)(s.num_workers * worker_room + n * s.conv_size),
                               sizeof(*room));
    ikat_status status = floats && room ? IKAT_OK : IKAT_NO_MEMORY;
    if (!status) {
        s.room = room;
        s.u = room + s.num_workers * worker_room;
        project(&s, "w_q", "b_q", s.heads, size, floats);
        project(&s, "w_k", "b_k", s.kv_heads, size, k);
        project(&s, "w_v", "b_v", s.kv_heads, value_size, v);
        status = run_inner(&s, tensors);
        if (!status) {
            compute(&s);
        }
    }
    ikati_free(call->host, room);
    ikati_free(call->host, floats);
    return status;
}
