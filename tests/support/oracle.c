#include "oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/half.h"

enum { MAX_INPUTS = 32, MAX_OUTPUTS = 8, MAX_SETTINGS = 16 };

// Outputs are float32: two right ways differ by roundings only, a wrong one by much more. The reference
// computes in double.
#define ORACLE_EQUAL 2e-6
#define ORACLE_EQUAL_ON_DEVICES 1e-5
#define ORACLE_NOTICED 1e-3

typedef struct oracle_tensor {
    const char *name;
    ikat_tensor tensor;
    void *data;
    size_t size_bytes;
    bool owned;
} oracle_tensor;

struct oracle {
    const char *mechanism;
    oracle_tensor inputs[MAX_INPUTS];
    uint32_t num_inputs;
    ikat_setting settings[MAX_SETTINGS];
    uint32_t num_settings;
    const int64_t *rows; // borrowed
    uint32_t num_rows;
    struct {
        const char *name;
        float *values;
        size_t count;
    } results[MAX_OUTPUTS];
};

static void print_message_line(void *user, ikat_log_level level, ikat_message_id id,
                               const char *text) {
    (void)user;
    (void)level;
    print_message("  message %d: %s\n", (int)id, text);
}

// Opened once: what is compiled is kept.
static ikat_context *common_context;
static ikat_device *common_device;

bool oracle_use_device(const char *name, const char *limits) {
    const ikat_context_params params = {.log = print_message_line};
    ikat_device_limits lowered;
    ikat_device_params device_params = {.name = name, .limits = limits ? &lowered : NULL};
    memset(&lowered, 0xff, sizeof(lowered)); // lowers nothing
    if (ikat_context_create(&params, &common_context) ||
        (limits && ikat_device_limits_lower(&lowered, limits)) ||
        ikat_device_open(common_context, &device_params, &common_device)) {
        oracle_leave_device();
        return false;
    }
    return true;
}

void oracle_leave_device(void) {
    ikat_device_destroy(&common_device);
    ikat_context_destroy(&common_context);
}

oracle *oracle_begin(const char *mechanism) {
    oracle *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    call->mechanism = mechanism;
    return call;
}

void oracle_end(oracle *call) {
    for (uint32_t i = 0; i < call->num_inputs; i++) {
        if (call->inputs[i].owned) {
            free(call->inputs[i].data);
        }
    }
    for (uint32_t i = 0; i < MAX_OUTPUTS; i++) {
        free(call->results[i].values);
    }
    free(call);
}

static oracle_tensor *add_input(oracle *call, const char *name) {
    assert_true(call->num_inputs < MAX_INPUTS);
    oracle_tensor *input = &call->inputs[call->num_inputs++];
    input->name = name;
    return input;
}

static void *add_packed(oracle *call, const char *name, ikat_dtype dtype, const int64_t *extents) {
    oracle_tensor *input = add_input(call, name);
    size_t count = 1;
    input->tensor.dtype = dtype;
    while (extents[input->tensor.rank] >= 0) {
        const int64_t extent = extents[input->tensor.rank];
        input->tensor.shape[input->tensor.rank++] = extent;
        count *= (size_t)extent;
    }
    input->size_bytes = count * ikat_dtype_size(dtype);
    input->data = calloc(count + 1, ikat_dtype_size(dtype));
    input->owned = true;
    assert_non_null(input->data);
    return input->data;
}

float *oracle_floats(oracle *call, const char *name, const int64_t *extents) {
    return add_packed(call, name, IKAT_FLOAT32, extents);
}

int32_t *oracle_ints(oracle *call, const char *name, const int64_t *extents) {
    return add_packed(call, name, IKAT_INT32, extents);
}

void oracle_set_lengths(oracle *call, int32_t first, int32_t second) {
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = first;
    lengths[1] = second;
}

void oracle_input(oracle *call, const char *name, const ikat_tensor *tensor, const void *data,
                  size_t size_bytes) {
    oracle_tensor *input = add_input(call, name);
    input->tensor = *tensor;
    input->data = (void *)(uintptr_t)data; // only read
    input->size_bytes = size_bytes;
}

void oracle_set(oracle *call, const char *name, const char *text) {
    assert_true(call->num_settings < MAX_SETTINGS);
    call->settings[call->num_settings++] = ikat_setting_text(name, text);
}

void oracle_set_number(oracle *call, const char *name, double value) {
    assert_true(call->num_settings < MAX_SETTINGS);
    call->settings[call->num_settings++] = ikat_setting_float(name, value);
}

float *oracle_values(oracle *call, const char *name) {
    for (uint32_t i = 0; i < call->num_inputs; i++) {
        if (strcmp(call->inputs[i].name, name) == 0) {
            return call->inputs[i].data;
        }
    }
    fail_msg("no input %s", name);
    return NULL;
}

static float element_as_float(const void *data, ikat_dtype dtype, size_t index) {
    switch (dtype) {
    case IKAT_FLOAT32: return ((const float *)data)[index];
    case IKAT_FLOAT16: return ikati_half_to_float(((const uint16_t *)data)[index]);
    case IKAT_INT32: return (float)((const int32_t *)data)[index];
    case IKAT_INT8: return ((const int8_t *)data)[index];
    case IKAT_UINT8: return ((const uint8_t *)data)[index];
    case IKAT_DTYPE_NONE: break;
    }
    return NAN;
}

static void keep_result(oracle *call, uint32_t index, const char *name, const ikat_tensor *tensor,
                        ikat_buffer *buffer) {
    size_t count = 1;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        count *= (size_t)tensor->shape[axis];
    }
    const size_t size_bytes = count * ikat_dtype_size(tensor->dtype);
    void *raw = malloc(size_bytes + 1);
    float *values = calloc(count + 1, sizeof(*values));
    assert_non_null(raw);
    assert_non_null(values);
    assert_int_equal(ikat_buffer_read(buffer, 0, raw, size_bytes), IKAT_OK);
    for (size_t i = 0; i < count; i++) {
        values[i] = element_as_float(raw, tensor->dtype, i);
    }
    free(raw);
    free(call->results[index].values);
    call->results[index].name = name;
    call->results[index].values = values;
    call->results[index].count = count;
}

// A buffer with a guard value everywhere: what is not written shows.
static ikat_buffer *make_buffer(ikat_device *device, uint64_t size_bytes) {
    ikat_buffer *buffer = NULL;
    const uint64_t size = size_bytes ? size_bytes : 1;
    void *poison = malloc((size_t)size);
    assert_non_null(poison);
    memset(poison, 0xff, (size_t)size);
    assert_int_equal(ikat_buffer_create(device, size, &buffer), IKAT_OK);
    assert_int_equal(ikat_buffer_write(buffer, 0, poison, size), IKAT_OK);
    free(poison);
    return buffer;
}

static bool is_structure(const oracle *call, const char *name) {
    const ikat_mechanism_info *info = ikat_mechanism_find(call->mechanism);
    const ikat_argument_info *input = info ? ikat_mechanism_find_input(info, name) : NULL;
    return input && input->structure;
}

static void run_plan(oracle *call, ikat_device *device, ikat_plan *plan, const char *const *outputs,
                     uint32_t num_outputs) {
    ikat_binding bindings[MAX_INPUTS + MAX_OUTPUTS];
    ikat_tensor shapes[MAX_OUTPUTS];
    uint32_t num = 0, num_inputs;
    for (uint32_t i = 0; i < call->num_inputs; i++) {
        const oracle_tensor *input = &call->inputs[i];
        if (is_structure(call, input->name)) {
            continue;
        }
        ikat_buffer *buffer = make_buffer(device, input->size_bytes);
        assert_int_equal(ikat_buffer_write(buffer, 0, input->data, input->size_bytes), IKAT_OK);
        bindings[num++] = (ikat_binding){input->name, buffer, 0};
    }
    num_inputs = num;
    for (uint32_t i = 0; i < num_outputs; i++) {
        uint64_t size_bytes = 0;
        assert_int_equal(ikat_plan_get_tensor(plan, outputs[i], &shapes[i]), IKAT_OK);
        assert_int_equal(ikat_tensor_size_bytes(&shapes[i], &size_bytes), IKAT_OK);
        bindings[num++] = (ikat_binding){outputs[i], make_buffer(device, size_bytes), 0};
    }
    ikat_bindings_params params = {.tensors = bindings, .num_tensors = num};
    ikat_bindings *bound = NULL;
    assert_int_equal(ikat_bindings_create(plan, &params, &bound), IKAT_OK);
    assert_int_equal(ikat_plan_run(plan, bound), IKAT_OK);
    for (uint32_t i = 0; i < num_outputs; i++) {
        keep_result(call, i, outputs[i], &shapes[i], bindings[num_inputs + i].buffer);
    }
    ikat_bindings_destroy(&bound);
    for (uint32_t i = 0; i < num; i++) {
        ikat_buffer_destroy(&bindings[i].buffer);
    }
}

void oracle_run(oracle *call, const char *first, const char *second) {
    oracle_run_outputs(call, (const char *const[]){first, second}, second ? 2 : 1);
}

// Makes a plan, and runs it if `results` are wanted.
static ikat_status plan_call(oracle *call, const char *const *outputs, uint32_t num_outputs,
                             bool results) {
    assert_true(num_outputs <= MAX_OUTPUTS);
    ikat_argument inputs[MAX_INPUTS] = {0}, wanted[MAX_OUTPUTS] = {0};
    for (uint32_t i = 0; i < call->num_inputs; i++) {
        const oracle_tensor *input = &call->inputs[i];
        inputs[i] = (ikat_argument){input->name, input->tensor,
                                    is_structure(call, input->name) ? input->data : NULL};
    }
    for (uint32_t i = 0; i < num_outputs; i++) {
        wanted[i].name = outputs[i];
    }
    const ikat_plan_params params = {
        .mechanism = call->mechanism,
        .inputs = inputs,
        .num_inputs = call->num_inputs,
        .settings = call->settings,
        .num_settings = call->num_settings,
        .outputs = wanted,
        .num_outputs = num_outputs,
        .rows = call->rows,
        .num_rows = call->num_rows,
    };
    const ikat_context_params context_params = {.log = print_message_line};
    const ikat_device_params device_params = {.name = "cpu"};
    ikat_context *context = NULL;
    ikat_device *own = NULL;
    ikat_plan *plan = NULL;
    if (!common_device) {
        assert_int_equal(ikat_context_create(&context_params, &context), IKAT_OK);
        assert_int_equal(ikat_device_open(context, &device_params, &own), IKAT_OK);
    }
    ikat_device *device = common_device ? common_device : own;
    const ikat_status status = ikat_plan_create(device, &params, &plan);
    if (results) {
        assert_int_equal(status, IKAT_OK);
        run_plan(call, device, plan, outputs, num_outputs);
    }
    ikat_plan_destroy(&plan);
    ikat_device_destroy(&own);
    ikat_context_destroy(&context);
    return status;
}

void oracle_run_outputs(oracle *call, const char *const *outputs, uint32_t num_outputs) {
    plan_call(call, outputs, num_outputs, true);
}

ikat_status oracle_try(oracle *call, const char *output) {
    return plan_call(call, &output, 1, false);
}

const float *oracle_result(const oracle *call, const char *name, size_t *out_count) {
    for (uint32_t i = 0; i < MAX_OUTPUTS; i++) {
        if (call->results[i].name && strcmp(call->results[i].name, name) == 0) {
            if (out_count) {
                *out_count = call->results[i].count;
            }
            return call->results[i].values;
        }
    }
    fail_msg("no output %s", name);
    return NULL;
}

double oracle_larger(double a, double b) { return a > b ? a : b; }

double oracle_deviation(const float *a, const float *b, size_t count) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(a[i]) || isnan(b[i])) {
            return INFINITY;
        }
        if (isinf(a[i]) || isinf(b[i])) {
            if (a[i] != b[i]) {
                return INFINITY;
            }
            continue;
        }
        worst = oracle_larger(worst, fabs((double)a[i] - b[i]) / oracle_larger(1, fabs(b[i])));
    }
    return worst;
}

double oracle_compare(const oracle *a, const oracle *b, const char *name) {
    size_t num_a = 0, num_b = 0;
    const float *values_a = oracle_result(a, name, &num_a);
    const float *values_b = oracle_result(b, name, &num_b);
    assert_int_equal(num_a, num_b);
    return oracle_deviation(values_a, values_b, num_a);
}

void oracle_fill(float *values, size_t count, uint32_t seed) {
    uint64_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < count; i++) {
        // The sum of four uniform numbers of variance 1/12, scaled to variance 1.
        double sum = -2;
        for (int part = 0; part < 4; part++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 40) / 16777216.0;
        }
        values[i] = (float)(sum * 1.7320508);
    }
}

void oracle_run_both(oracle *call) { oracle_run(call, "out", "lse"); }

double oracle_run_and_compare(oracle *a, oracle *b) {
    oracle_run_both(a);
    oracle_run_both(b);
    const double worst = oracle_larger(oracle_compare(a, b, "out"), oracle_compare(a, b, "lse"));
    oracle_end(a);
    oracle_end(b);
    return worst;
}

double oracle_run_and_compare_out(oracle *a, oracle *b) {
    oracle_run(a, "out", NULL);
    oracle_run(b, "out", NULL);
    const double worst = oracle_compare(a, b, "out");
    oracle_end(a);
    oracle_end(b);
    return worst;
}

double oracle_run_and_expect(oracle *call, const float *out, const float *lse) {
    oracle_run_both(call);
    size_t num_out = 0, num_lse = 0;
    const float *got_out = oracle_result(call, "out", &num_out);
    const float *got_lse = oracle_result(call, "lse", &num_lse);
    const double worst = oracle_larger(oracle_deviation(got_out, out, num_out),
                                       oracle_deviation(got_lse, lse, num_lse));
    oracle_end(call);
    return worst;
}

// Takes the results out of a call that has run.
static float *take_result(oracle *call, uint32_t index) {
    float *values = call->results[index].values;
    call->results[index].values = NULL;
    return values;
}

// Between the wanted rows of an output [..., positions, size] and the whole's; infinite if another
// row does not hold make_buffer's NaN any more.
static double compare_rows(const oracle *call, uint32_t index, const float *whole,
                           int64_t num_positions, size_t size) {
    const float *values = call->results[index].values;
    double worst = 0;
    uint32_t next = 0; // of the wanted rows
    for (size_t row = 0; row * size < call->results[index].count; row++) {
        const bool wanted = call->rows[next] == (int64_t)row % num_positions;
        next = (next + wanted) % call->num_rows;
        for (size_t i = row * size; i < (row + 1) * size; i++) {
            const double off = oracle_deviation(values + i, whole + i, 1);
            worst = oracle_larger(worst, wanted ? off : isnan(values[i]) ? 0 : INFINITY);
        }
    }
    return worst;
}

double oracle_run_rows(oracle *call, int64_t num_positions, const int64_t *rows,
                       uint32_t num_rows) {
    oracle_run_both(call);
    float *out = take_result(call, 0), *lse = take_result(call, 1);
    call->rows = rows;
    call->num_rows = num_rows;
    oracle_run_both(call);
    const size_t size = call->results[0].count / call->results[1].count;
    const double worst = oracle_larger(compare_rows(call, 0, out, num_positions, size),
                                       compare_rows(call, 1, lse, num_positions, 1));
    free(out);
    free(lse);
    oracle_end(call);
    return worst;
}

static double deviation_of(void **state) {
    const oracle_identity *identity = *state;
    const double deviation = identity->deviation();
    print_message("  %s: %.3g\n", identity->name, deviation);
    return deviation;
}

static void check_identity(void **state) {
    const double most = common_device ? ORACLE_EQUAL_ON_DEVICES : ORACLE_EQUAL;
    assert_true(deviation_of(state) <= most);
}
static void check_notice(void **state) { assert_true(deviation_of(state) > ORACLE_NOTICED); }

int oracle_main(const char *group, const oracle_identity *identities, size_t num_identities,
                bool broken) {
    struct CMUnitTest *tests = calloc(num_identities, sizeof(*tests));
    if (!tests) return 1;
    size_t num_tests = 0;
    for (size_t i = 0; i < num_identities; i++) {
        if (broken && !identities[i].notices) continue;
        tests[num_tests++] = (struct CMUnitTest){
            .name = identities[i].name,
            .test_func = broken ? check_notice : check_identity,
            .initial_state = (void *)(uintptr_t)&identities[i],
        };
    }
    const int failed = _cmocka_run_group_tests(group, tests, num_tests, NULL, NULL);
    free(tests);
    return failed;
}
