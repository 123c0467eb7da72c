// Bad calls: each ends in IKAT_INVALID, with one message whose id says what kind of fault it is and
// whose text names the argument.

#include "recorder.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

typedef struct fixture {
    recorder messages;
    ikat_context *context;
    ikat_device *device;
} fixture;

static int set_up(void **state) {
    static fixture f;
    recorder_open(&f.messages, "null", NULL, &f.context, &f.device);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
    return 0;
}

static void expect_refused(fixture *f, const dense_call *call, ikat_message_id id,
                           const char *named) {
    ikat_plan *plan = (ikat_plan *)call; // must become NULL
    f->messages.num_errors = 0;
    assert_int_equal(ikat_plan_create(f->device, &call->params, &plan), IKAT_INVALID);
    assert_null(plan);
    assert_int_equal(f->messages.num_errors, 1);
    if (!strstr(f->messages.last_text, named)) {
        fail_msg("message '%s' does not name '%s'", f->messages.last_text, named);
    }
    assert_int_equal(f->messages.last_id, id);
}

static void expect_accepted(fixture *f, const dense_call *call) {
    ikat_plan *plan;
    ikat_status status = ikat_plan_create(f->device, &call->params, &plan);
    if (status) {
        fail_msg("refused: %s", f->messages.last_text);
    }
    ikat_plan_destroy(&plan);
    assert_null(plan);
}

static void names(void **state) {
    fixture *f = *state;
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    expect_accepted(f, &call);
    call.params.mechanism = "dens";
    expect_refused(f, &call, IKAT_MESSAGE_UNKNOWN_MECHANISM, "dens");
    call.params.mechanism = NULL;
    expect_refused(f, &call, IKAT_MESSAGE_UNKNOWN_MECHANISM, "mechanism");

    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_input(&call, "keys", call.inputs[0].tensor);
    expect_refused(f, &call, IKAT_MESSAGE_UNKNOWN_NAME, "keys");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_input(&call, "q", call.inputs[0].tensor);
    expect_refused(f, &call, IKAT_MESSAGE_TWICE, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[1].name = NULL;
    expect_refused(f, &call, IKAT_MESSAGE_NULL_ARGUMENT, "input");
    dense_call_init(&call, 1, 2, 5, 8);
    call.params.num_inputs = 2;
    expect_refused(f, &call, IKAT_MESSAGE_MISSING, "v");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_output(&call, "output");
    expect_refused(f, &call, IKAT_MESSAGE_UNKNOWN_NAME, "output");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_output(&call, "lse");
    dense_call_output(&call, "lse");
    expect_refused(f, &call, IKAT_MESSAGE_TWICE, "lse");
    dense_call_init(&call, 1, 2, 5, 8);
    call.params.inputs = NULL;
    expect_refused(f, &call, IKAT_MESSAGE_NULL_ARGUMENT, "NULL");
}

static void settings(void **state) {
    fixture *f = *state;
    const struct {
        ikat_setting setting;
        ikat_message_id id;
    } bad[] = {
        {ikat_setting_int("causal", 2), IKAT_MESSAGE_RANGE},
        {ikat_setting_int("causal", -1), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("causal", "yes"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("causal", ""), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("causal", " 1"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("causal", "1.0"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("causal", NULL), IKAT_MESSAGE_NULL_ARGUMENT},
        {ikat_setting_float("causal", 1.0), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_int("window_left", -2), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("window_right", "99999999999999999999"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_int("window_right", INT64_MAX), IKAT_MESSAGE_RANGE},
        {ikat_setting_float("scale", NAN), IKAT_MESSAGE_RANGE},
        {ikat_setting_float("scale", INFINITY), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("scale", "nan"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("scale", "1e999"), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("scale", "0x1p3"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_float("softcap", -1.0), IKAT_MESSAGE_RANGE},
        {ikat_setting_int("dropout", 0), IKAT_MESSAGE_UNKNOWN_NAME},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        dense_call call;
        dense_call_init(&call, 1, 2, 5, 8);
        dense_call_setting(&call, bad[i].setting);
        expect_refused(f, &call, bad[i].id, bad[i].setting.name);
    }
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_setting(&call, ikat_setting_int("causal", 0));
    dense_call_setting(&call, ikat_setting_text("causal", "0"));
    expect_refused(f, &call, IKAT_MESSAGE_TWICE, "causal");

    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_setting(&call, ikat_setting_int("scale", -3));
    dense_call_setting(&call, ikat_setting_text("softcap", "2.5e-1"));
    dense_call_setting(&call, ikat_setting_text("window_left", "2147483647"));
    expect_accepted(f, &call);
}

static void shapes(void **state) {
    fixture *f = *state;
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[1].tensor.shape[3] = 7;
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "k");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[2].tensor.shape[2] = 6;
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "v");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[0].tensor.rank = 3;
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[0].tensor.rank = 7;
    expect_refused(f, &call, IKAT_MESSAGE_RANK, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[0].tensor.shape[2] = -1;
    expect_refused(f, &call, IKAT_MESSAGE_OVERFLOW, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[0].tensor.shape[0] = INT64_MAX;
    expect_refused(f, &call, IKAT_MESSAGE_OVERFLOW, "q");
    dense_call_init(&call, 1, 2, 5, 513);
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "D");
    dense_call_init(&call, 1, 2, 5, 0);
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "D");
    dense_call_init(&call, 1, 0, 5, 8);
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "H");
    dense_call_init(&call, 1, 3, 5, 8);
    call.inputs[1].tensor.shape[1] = call.inputs[2].tensor.shape[1] = 2;
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "Hkv");
    dense_call_init(&call, 2, 3, 5, 8);
    dense_call_input(&call, "bias", ikat_tensor_packed(IKAT_FLOAT32, 4, 2, 2, 5, 5));
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "bias");
    dense_call_init(&call, 2, 3, 5, 8);
    dense_call_input(&call, "alibi_slopes", ikat_tensor_packed(IKAT_FLOAT32, 1, 2, 0, 0, 0));
    expect_refused(f, &call, IKAT_MESSAGE_SHAPE, "alibi_slopes");

    dense_call_init(&call, 2, 3, 5, 8);
    dense_call_input(&call, "bias", ikat_tensor_packed(IKAT_FLOAT16, 4, 1, 3, 5, 5));
    dense_call_input(&call, "alibi_slopes", ikat_tensor_packed(IKAT_FLOAT32, 2, 2, 3, 0, 0));
    expect_accepted(f, &call);
    dense_call_init(&call, 0, 2, 0, 8);
    expect_accepted(f, &call);
}

static void types_and_strides(void **state) {
    fixture *f = *state;
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[1].tensor.dtype = IKAT_FLOAT16;
    expect_refused(f, &call, IKAT_MESSAGE_DTYPE, "k");
    dense_call_init(&call, 1, 2, 5, 8);
    call.inputs[0].tensor.dtype = IKAT_INT32;
    expect_refused(f, &call, IKAT_MESSAGE_DTYPE, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_input(&call, "lengths", ikat_tensor_packed(IKAT_FLOAT32, 1, 1, 0, 0, 0));
    expect_refused(f, &call, IKAT_MESSAGE_DTYPE, "lengths");
    dense_call_init(&call, 1, 2, 5, 8);
    memcpy(call.inputs[0].tensor.strides, (int64_t[]){80, 40, 8, 2}, 4 * sizeof(int64_t));
    expect_refused(f, &call, IKAT_MESSAGE_STRIDE, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    memcpy(call.inputs[0].tensor.strides, (int64_t[]){80, -40, 8, 1}, 4 * sizeof(int64_t));
    expect_refused(f, &call, IKAT_MESSAGE_STRIDE, "q");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_output(&call, "out");
    call.outputs[0].tensor = call.inputs[0].tensor;
    memcpy(call.outputs[0].tensor.strides, (int64_t[]){80, 8, 8, 1}, 4 * sizeof(int64_t));
    expect_refused(f, &call, IKAT_MESSAGE_STRIDE, "out");
    call.outputs[0].tensor.rank = 0x7fffffff;
    expect_refused(f, &call, IKAT_MESSAGE_RANK, "out");
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_setting(&call, ikat_setting_int("alibi", 0));
    dense_call_input(&call, "alibi_slopes", ikat_tensor_packed(IKAT_FLOAT32, 1, 2, 0, 0, 0));
    expect_refused(f, &call, IKAT_MESSAGE_CONTRADICTION, "alibi");
}

static void rows(void **state) {
    fixture *f = *state;
    static const int64_t bad[][2] = {{-1, 2}, {2, 5}, {3, 2}, {2, 2}};
    static const int64_t good[] = {0, 4};
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    call.params.num_rows = 2;
    expect_refused(f, &call, IKAT_MESSAGE_NULL_ARGUMENT, "rows");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        call.params.rows = bad[i];
        expect_refused(f, &call, IKAT_MESSAGE_RANGE, "rows");
    }
    call.params.rows = good;
    expect_accepted(f, &call);
    // Those that a derived call has no more.
    dense_call fewer;
    ikat_plan *plan, *derived;
    dense_call_init(&fewer, 1, 2, 4, 8);
    assert_int_equal(ikat_plan_create(f->device, &call.params, &plan), IKAT_OK);
    assert_int_equal(ikat_plan_derive(plan, fewer.inputs, 3, &derived), IKAT_INVALID);
    assert_int_equal(f->messages.last_id, IKAT_MESSAGE_RANGE);
    ikat_plan_destroy(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(types_and_strides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
