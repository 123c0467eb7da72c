// One run over host memory: what it computes on `cpu`, what it leaves alone, what it refuses.

#include "recorder.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { HEADS = 2, TOKENS = 3, SIZE = 4, COUNT = HEADS * TOKENS * SIZE, NUM_ARRAYS = 4 };

// A self-attention and its arrays.
typedef struct fixture {
    recorder messages;
    ikat_context *context;
    ikat_device *device;
    dense_call call;
    ikat_plan *plan;
    float q[COUNT], k[COUNT], v[COUNT], out[COUNT];
    ikat_array arrays[NUM_ARRAYS + 1];
} fixture;

// Values are the same for all tokens, so that they come out as they went in, whatever the scores.
static void open_call(fixture *f, const char *device) {
    recorder_open(&f->messages, device, NULL, &f->context, &f->device);
    dense_call_init(&f->call, 1, HEADS, TOKENS, SIZE);
    for (int i = 0; i < COUNT; i++) {
        f->q[i] = (float)(i % 5);
        f->k[i] = (float)(i % 7);
        f->v[i] = (float)(i % SIZE);
        f->out[i] = -1.0f;
    }
    const ikat_array arrays[NUM_ARRAYS] = {{"q", f->q, sizeof(f->q)},
                                           {"k", f->k, sizeof(f->k)},
                                           {"v", f->v, sizeof(f->v)},
                                           {"out", f->out, sizeof(f->out)}};
    for (int i = 0; i < NUM_ARRAYS; i++) {
        f->arrays[i] = arrays[i];
    }
}

static void plan_call(fixture *f) {
    assert_int_equal(ikat_plan_create(f->device, &f->call.params, &f->plan), IKAT_OK);
}

static uint64_t buffer_bytes(const fixture *f) {
    ikat_device_statistics statistics;
    ikat_device_get_statistics(f->device, &statistics);
    return statistics.buffer_bytes;
}

static void close_call(fixture *f) {
    ikat_plan_destroy(&f->plan);
    assert_int_equal(buffer_bytes(f), 0);
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

// Whether this build has the reference to compute with.
static bool has_cpu(void) {
    ikat_context *context;
    uint32_t count = 0;
    assert_int_equal(ikat_context_create(NULL, &context), IKAT_OK);
    const bool found = ikat_device_count(context, "cpu", &count) == IKAT_OK && count > 0;
    ikat_context_destroy(&context);
    return found;
}

static void computes(void **state) {
    (void)state;
    if (!has_cpu()) skip();
    fixture f = {0};
    open_call(&f, "cpu");
    plan_call(&f);
    for (int run = 0; run < 2; run++) {
        f.out[0] = -1.0f;
        assert_int_equal(ikat_plan_run_arrays(f.plan, f.arrays, NUM_ARRAYS), IKAT_OK);
        for (int i = 0; i < COUNT; i++) {
            assert_float_equal(f.out[i], f.v[i], 1e-5f);
        }
    }
    assert_int_equal(f.messages.num_errors, 0);
    close_call(&f);
}

// `out` is a view: one element in front, and each row has its size again behind it.
static void keeps_what_strides_skip(void **state) {
    (void)state;
    if (!has_cpu()) skip();
    fixture f = {0};
    float wide[1 + 2 * COUNT];
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        wide[i] = -2.0f;
    }
    open_call(&f, "cpu");
    dense_call_output(&f.call, "out");
    ikat_tensor *view = &f.call.outputs[0].tensor;
    *view = ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, TOKENS, SIZE);
    view->strides[0] = 2 * COUNT;
    view->strides[1] = 2 * TOKENS * SIZE;
    view->strides[2] = 2 * SIZE;
    view->strides[3] = 1;
    view->offset = 1;
    plan_call(&f);
    f.arrays[3] = (ikat_array){"out", wide, sizeof(wide)};
    assert_int_equal(ikat_plan_run_arrays(f.plan, f.arrays, NUM_ARRAYS), IKAT_OK);
    assert_float_equal(wide[0], -2.0f, 0);
    for (int i = 0; i < 2 * COUNT; i++) {
        const bool skipped = i / SIZE % 2 == 1;
        assert_float_equal(wide[1 + i], skipped ? -2.0f : (float)(i % SIZE), 1e-5f);
    }
    close_call(&f);
}

static void takes_empty_tensors(void **state) {
    (void)state;
    fixture f = {0};
    open_call(&f, "null");
    f.call.inputs[0].tensor.shape[2] = 0;
    plan_call(&f);
    f.arrays[0] = (ikat_array){.name = "q"};
    f.arrays[3] = (ikat_array){.name = "out"};
    assert_int_equal(ikat_plan_run_arrays(f.plan, f.arrays, NUM_ARRAYS), IKAT_OK);
    close_call(&f);
}

static void refused(fixture *f, uint32_t num_arrays, ikat_message_id id) {
    const unsigned before = f->messages.num_errors;
    const uint64_t bytes_before = buffer_bytes(f);
    assert_int_equal(ikat_plan_run_arrays(f->plan, f->arrays, num_arrays), IKAT_INVALID);
    assert_int_equal(f->messages.num_errors, before + 1);
    assert_int_equal(f->messages.last_id, id);
    assert_int_equal(buffer_bytes(f), bytes_before);
}

static void refuses_what_is_wrong(void **state) {
    (void)state;
    fixture f = {0};
    open_call(&f, "null");
    plan_call(&f);
    const ikat_array last = f.arrays[3];
    refused(&f, NUM_ARRAYS - 1, IKAT_MESSAGE_MISSING);
    refused(&f, 0, IKAT_MESSAGE_MISSING);
    f.arrays[3].name = "lse"; // an output that was not asked for
    refused(&f, NUM_ARRAYS, IKAT_MESSAGE_UNKNOWN_NAME);
    f.arrays[3].name = NULL;
    refused(&f, NUM_ARRAYS, IKAT_MESSAGE_NULL_ARGUMENT);
    f.arrays[3] = last;
    f.arrays[3].data = NULL;
    refused(&f, NUM_ARRAYS, IKAT_MESSAGE_NULL_ARGUMENT);
    f.arrays[3] = last;
    f.arrays[3].size_bytes--;
    refused(&f, NUM_ARRAYS, IKAT_MESSAGE_BUFFER);
    f.arrays[3] = last;
    f.arrays[NUM_ARRAYS] = last;
    refused(&f, NUM_ARRAYS + 1, IKAT_MESSAGE_TWICE);
    refused(&f, 1000, IKAT_MESSAGE_TWICE);

    const unsigned before = f.messages.num_errors;
    assert_int_equal(ikat_plan_run_arrays(NULL, f.arrays, NUM_ARRAYS), IKAT_INVALID);
    assert_int_equal(ikat_plan_run_arrays(f.plan, NULL, NUM_ARRAYS), IKAT_INVALID);
    assert_int_equal(f.messages.num_errors, before); // without a plan or arrays, as elsewhere
    assert_int_equal(ikat_plan_run_arrays(f.plan, f.arrays, NUM_ARRAYS), IKAT_OK);
    close_call(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes),
        cmocka_unit_test(keeps_what_strides_skip),
        cmocka_unit_test(takes_empty_tensors),
        cmocka_unit_test(refuses_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
