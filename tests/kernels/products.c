#include "products.h"

#include "src/core.h"
#include "src/half.h"
#include "src/lower_gemm.h"
#include "src/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

enum { A, B, BIAS, C, NUM_OPERANDS };

static const ikat_argument_info inputs[] = {
    {.name = "a", .shape = "[Ba,Ha,Ra,Ca]", .dtype = "any float"},
    {.name = "b", .shape = "[Bb,Hb,Rb,Cb]", .dtype = "any float"},
    {.name = "bias", .shape = "[Bx,Hx,Rx,Cx]", .dtype = "any float", .optional = true},
    {.name = "depths", .shape = "[B]", .dtype = "int32", .optional = true},
};
static const ikat_argument_info outputs[] = {
    {.name = "c", .shape = "[B,H,N,M]", .dtype = "float32", .optional = true},
    {.name = "half", .shape = "[B,H,N,M]", .dtype = "float16", .optional = true},
};
#define FLAG(flag) \
    { .name = flag, .type = IKAT_SETTING_INT, .default_text = "0", .maximum = 1 }
#define NUMBER(number, text)                                                                    \
    {                                                                                           \
        .name = number, .type = IKAT_SETTING_FLOAT, .default_text = text, .minimum = -INFINITY, \
        .maximum = INFINITY                                                                     \
    }
static const ikat_setting_info settings[] = {
    FLAG("transposed_a"), FLAG("transposed_b"),      FLAG("relu"),
    NUMBER("scale", "1"), NUMBER("bias_scale", "0"),
};

static bool flag(const ikati_request *request, const char *name) {
    return ikati_setting(request, name)->integer != 0;
}

static int64_t larger(const ikati_request *request, const char *one, const char *other) {
    const int64_t a = ikati_extent(request, one), b = ikati_extent(request, other);
    return a == 1 ? b : a;
}

static ikat_status check(ikati_request *request) {
    const bool ta = flag(request, "transposed_a"), tb = flag(request, "transposed_b");
    ikati_shape_fix(request, "B", larger(request, "Ba", "Bb"));
    ikati_shape_fix(request, "H", larger(request, "Ha", "Hb"));
    ikati_shape_fix(request, "N", ikati_extent(request, ta ? "Ca" : "Ra"));
    ikati_shape_fix(request, "M", ikati_extent(request, tb ? "Rb" : "Cb"));
    return IKAT_OK;
}

static ikati_cost cost(const ikati_request *request) {
    (void)request;
    return (ikati_cost){0};
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    const bool ta = flag(request, "transposed_a"), tb = flag(request, "transposed_b");
    const ikati_view a = ikati_input_view(request, "a"), b = ikati_input_view(request, "b");
    const ikati_view bias = ikati_input_view(request, "bias");
    const ikati_view c = ikati_output_view(request, request->outputs[0].present ? 0 : 1);
    const ikati_gemm gemm = {
        .a = ikati_matrices_of(&a, 0, 1, ta ? 3 : 2, ta ? 2 : 3),
        .b = ikati_matrices_of(&b, 0, 1, tb ? 3 : 2, tb ? 2 : 3),
        .bias = ikati_matrices_of(&bias, 0, 1, 2, 3),
        .c = ikati_matrices_of(&c, 0, 1, 2, 3),
        .depths = ikati_input_view(request, "depths"),
        .num_batches = (uint32_t)c.tensor->shape[0],
        .num_heads = (uint32_t)c.tensor->shape[1],
        .num_rows = (uint32_t)c.tensor->shape[2],
        .num_columns = (uint32_t)c.tensor->shape[3],
        .depth = (uint32_t)a.tensor->shape[ta ? 2 : 3],
        .scale = ikati_setting(request, "scale")->number,
        .bias_scale = ikati_setting(request, "bias_scale")->number,
        .activation = flag(request, "relu") ? IKATI_ACTIVATION_RELU : IKATI_ACTIVATION_NONE,
    };
    return ikati_lower_gemm(lowering, &gemm);
}

static const ikati_mechanism mechanism = {
    .info = {.name = "product",
             .inputs = inputs,
             .num_inputs = COUNT(inputs),
             .outputs = outputs,
             .num_outputs = COUNT(outputs),
             .settings = settings,
             .num_settings = COUNT(settings)},
    .check = check,
    .cost = cost,
    .lower = lower,
};

// How an operand lies: [batch, head, line, element].
static ikat_tensor describe(const product *p, int operand) {
    const bool swapped = operand == A ? p->transposed_a : operand == B && p->transposed_b;
    int64_t lines = operand == B ? p->depth : operand == BIAS && !p->bias_rows ? 1 : p->rows;
    int64_t elements = operand == A ? p->depth : p->columns;
    if (swapped) {
        const int64_t other = lines;
        lines = elements;
        elements = other;
    }
    const bool is_half = operand == A   ? p->half_a
                         : operand == B ? p->half_b
                         : operand == C ? p->half_c
                                        : p->half_bias;
    const bool alone = p->repeats >> operand & 1u, apart = p->repeats >> (operand + 4) & 1u;
    ikat_tensor t =
        ikat_tensor_packed(is_half ? IKAT_FLOAT16 : IKAT_FLOAT32, 4, alone ? 1 : p->batches,
                           apart ? 1 : p->heads, lines, elements);
    t.strides[3] = 1;
    t.strides[2] = elements + p->padding;
    t.strides[1] = lines * t.strides[2];
    t.strides[0] = t.shape[1] * t.strides[1];
    t.offset = p->offset;
    return t;
}

ikat_status product_plan(ikat_device *device, const product *p, const char *variant,
                         ikat_plan **out_plan) {
    ikat_argument in[4] = {{"a", describe(p, A), NULL}, {"b", describe(p, B), NULL}};
    uint32_t num_inputs = 2;
    if (p->biased) {
        in[num_inputs++] = (ikat_argument){"bias", describe(p, BIAS), NULL};
    }
    if (p->is_ragged) {
        const ikat_tensor depths = ikat_tensor_packed(IKAT_INT32, 1, p->batches, 0, 0, 0);
        in[num_inputs++] = (ikat_argument){"depths", depths, NULL};
    }
    const ikat_argument out = {p->half_c ? "half" : "c", describe(p, C), NULL};
    const ikat_setting set[] = {ikat_setting_int("transposed_a", p->transposed_a),
                                ikat_setting_int("transposed_b", p->transposed_b),
                                ikat_setting_int("relu", p->relu),
                                ikat_setting_float("scale", p->scale == 0 ? 1 : p->scale),
                                ikat_setting_float("bias_scale", p->bias_scale)};
    const ikat_plan_params params = {.inputs = in,
                                     .num_inputs = num_inputs,
                                     .settings = set,
                                     .num_settings = COUNT(set),
                                     .outputs = &out,
                                     .num_outputs = 1,
                                     .variant = variant};
    return ikati_plan_create_for(device, &mechanism, &params, out_plan);
}

// Memory of an operand: all NaN, then values where the tensor has elements.
typedef struct memory {
    ikat_tensor tensor;
    uint64_t size_bytes;
    union {
        void *data;
        float *floats;
        uint16_t *halves;
    } as;
} memory;

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void put(memory *m, int64_t i, float value) {
    if (m->tensor.dtype == IKAT_FLOAT16) {
        m->as.halves[i] = ikati_double_to_half(value);
    } else {
        m->as.floats[i] = value;
    }
}

static double get(const memory *m, int64_t i) {
    return m->tensor.dtype == IKAT_FLOAT16 ? ikati_half_to_float(m->as.halves[i]) : m->as.floats[i];
}

static int64_t index_of(const memory *m, int64_t batch, int64_t head, int64_t line,
                        int64_t element) {
    const ikat_tensor *t = &m->tensor;
    return t->offset + (t->shape[0] == 1 ? 0 : batch) * t->strides[0] +
           (t->shape[1] == 1 ? 0 : head) * t->strides[1] +
           (t->shape[2] == 1 ? 0 : line) * t->strides[2] + element;
}

static int64_t depth_of(const product *p, int64_t batch) {
    return p->is_ragged ? p->depth * (batch + 1) / (p->batches + 1) : p->depth;
}

// Whether an element of a or b is past the depth of its batch entry, or of all that repeat it.
static bool is_past(const product *p, int operand, int64_t batches, int64_t batch, int64_t line,
                    int64_t element) {
    const bool in_lines = operand == A ? p->transposed_a : !p->transposed_b;
    const int64_t k = in_lines ? line : element;
    return operand <= B && k >= depth_of(p, batches == 1 ? p->batches - 1 : batch);
}

static memory make_memory(const product *p, int operand, uint32_t seed) {
    memory m = {.tensor = describe(p, operand)};
    const bool exists = operand != BIAS || p->biased;
    if (!exists || ikat_tensor_size_bytes(&m.tensor, &m.size_bytes)) {
        m.size_bytes = 0;
    }
    const int64_t size = (int64_t)ikat_dtype_size(m.tensor.dtype);
    m.size_bytes += m.size_bytes ? 3 * (uint64_t)size : 0; // what follows must stay
    m.as.data = malloc(m.size_bytes + 1);
    for (int64_t i = 0; i < (int64_t)m.size_bytes / size; i++) {
        put(&m, i, NAN);
    }
    const ikat_tensor *t = &m.tensor;
    const int64_t lines = t->shape[2], elements = t->shape[3];
    for (int64_t i = 0; operand != C && m.size_bytes && i < t->shape[0] * t->shape[1] * lines;
         i++) {
        const int64_t head = i / lines % t->shape[1], batch = i / lines / t->shape[1];
        for (int64_t j = 0; j < elements; j++) {
            const float value = (float)(next_random(&seed) % 4001) / 1000.0f - 2.0f;
            if (!is_past(p, operand, t->shape[0], batch, i % lines, j)) {
                put(&m, index_of(&m, batch, head, i % lines, j), value);
            }
        }
    }
    return m;
}

static double expect(const product *p, const memory *m, int64_t batch, int64_t head, int64_t row,
                     int64_t column) {
    double sum = 0;
    for (int64_t k = 0; k < depth_of(p, batch); k++) {
        const int64_t a = p->transposed_a ? index_of(&m[A], batch, head, k, row)
                                          : index_of(&m[A], batch, head, row, k);
        const int64_t b = p->transposed_b ? index_of(&m[B], batch, head, column, k)
                                          : index_of(&m[B], batch, head, k, column);
        sum += get(&m[A], a) * get(&m[B], b);
    }
    sum *= p->scale == 0 ? 1 : p->scale;
    if (p->biased) {
        sum += (p->bias_scale == 0 ? 1 : p->bias_scale) *
               get(&m[BIAS], index_of(&m[BIAS], batch, head, row, column));
    }
    return p->relu && sum < 0 ? 0 : sum;
}

// The largest error of c, whose elements are then made NaN as all else must be. Large products are sampled.
static double compare(const product *p, memory *m) {
    const int64_t count = p->batches * p->heads * p->rows * p->columns;
    const double work = (double)count * (double)p->depth;
    const int64_t step = work > 2e7 ? 1 + (int64_t)(work / 2e7) : 1;
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t column = i % p->columns, row = i / p->columns % p->rows;
        const int64_t matrix = i / p->columns / p->rows;
        const int64_t head = matrix % p->heads, batch = matrix / p->heads;
        const int64_t at = index_of(&m[C], batch, head, row, column);
        const double got = get(&m[C], at);
        put(&m[C], at, NAN);
        if (i % step) {
            worst = isfinite(got) ? worst : INFINITY;
            continue;
        }
        const double expected = expect(p, m, batch, head, row, column);
        const double rounding = p->half_c ? fabs(expected) / 1024 : 0;
        const double size = fabs(p->scale == 0 ? 1 : p->scale) * ((double)p->depth + 4);
        const double error = fmax(fabs(got - expected) - rounding, 0) / size;
        worst = error <= worst ? worst : isfinite(error) ? error : INFINITY;
    }
    for (uint64_t i = 0; i < m[C].size_bytes / ikat_dtype_size(m[C].tensor.dtype); i++) {
        worst = isnan(get(&m[C], (int64_t)i)) ? worst : INFINITY;
    }
    return worst;
}

double product_error(const ikat_plan *plan, const product *p, ikat_status *out_status) {
    memory m[NUM_OPERANDS];
    ikat_array arrays[NUM_OPERANDS + 1];
    int32_t depths[16];
    const char *names[NUM_OPERANDS] = {"a", "b", "bias", p->half_c ? "half" : "c"};
    uint32_t num = 0;
    for (int i = 0; i < NUM_OPERANDS; i++) {
        m[i] = make_memory(p, i, (uint32_t)(i + 1));
        if (i != BIAS || p->biased) {
            arrays[num++] = (ikat_array){names[i], m[i].as.data, m[i].size_bytes};
        }
    }
    if (p->is_ragged) {
        for (int64_t b = 0; b < p->batches; b++) {
            depths[b] = (int32_t)depth_of(p, b);
        }
        depths[p->batches] = 0;
        arrays[num++] = (ikat_array){"depths", depths, (uint64_t)p->batches * sizeof(*depths)};
    }
    *out_status = ikat_plan_run_arrays(plan, arrays, num);
    const double error = *out_status ? INFINITY : compare(p, m);
    for (int i = 0; i < NUM_OPERANDS; i++) {
        free(m[i].as.data);
    }
    return error;
}

static int compare_times(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static ikat_status time_runs(ikat_device *device, const ikat_plan *plan, ikat_bindings *bindings,
                             uint64_t *times, uint32_t num) {
    ikat_status status = ikat_plan_run(plan, bindings); // compiles, on some drivers
    for (uint32_t i = 0; i < num && !status; i++) {
        ikat_ticket ticket;
        status = ikat_plan_submit(plan, bindings, 0, 0, &ticket);
        status = status ? status : ikat_device_wait(device, ticket, UINT64_MAX, NULL);
        status = status ? status : ikat_device_time(device, ticket, &times[i]);
    }
    return status;
}

bool product_time(ikat_device *device, const ikat_plan *plan, const product *p, uint32_t num,
                  uint64_t *out_median_ns, uint64_t *out_least_ns) {
    ikat_binding bound[NUM_OPERANDS];
    ikat_buffer *buffers[NUM_OPERANDS] = {0};
    const char *names[NUM_OPERANDS] = {"a", "b", "bias", p->half_c ? "half" : "c"};
    uint32_t num_bound = 0;
    ikat_status status = IKAT_OK;
    for (int i = 0; i < NUM_OPERANDS; i++) {
        memory m = make_memory(p, i, (uint32_t)(i + 1));
        if ((i != BIAS || p->biased) && !status) {
            status = ikat_buffer_create(device, m.size_bytes, &buffers[i]);
            status = status ? status : ikat_buffer_write(buffers[i], 0, m.as.data, m.size_bytes);
            bound[num_bound++] = (ikat_binding){names[i], buffers[i], 0};
        }
        free(m.as.data);
    }
    const ikat_bindings_params params = {.tensors = bound, .num_tensors = num_bound};
    ikat_bindings *bindings = NULL;
    uint64_t *times = calloc(num, sizeof(*times));
    status = status ? status : ikat_bindings_create(plan, &params, &bindings);
    status = status ? status : time_runs(device, plan, bindings, times, num);
    qsort(times, num, sizeof(*times), compare_times);
    *out_median_ns = times[num / 2];
    *out_least_ns = times[0];
    free(times);
    ikat_bindings_destroy(&bindings);
    for (int i = 0; i < NUM_OPERANDS; i++) {
        ikat_buffer_destroy(&buffers[i]);
    }
    return !status;
}
