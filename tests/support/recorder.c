#include "recorder.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void record(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    recorder *r = user;
    r->num[id]++;
    if (level == IKAT_LOG_ERROR) {
        r->last_id = id;
        r->num_errors++;
        snprintf(r->last_text, sizeof(r->last_text), "%s", text);
    }
}

void recorder_create_context(recorder *out_recorder, ikat_log_level level, const char *cache_dir,
                             ikat_context **out_context) {
    *out_recorder = (recorder){0};
    const ikat_context_params params = {
        .log = record, .log_user = out_recorder, .log_level = level, .cache_dir = cache_dir};
    assert_int_equal(ikat_context_create(&params, out_context), IKAT_OK);
}

void recorder_open(recorder *out_recorder, const char *device_name, const char *limits,
                   ikat_context **out_context, ikat_device **out_device) {
    recorder_create_context(out_recorder, IKAT_LOG_ERROR, NULL, out_context);
    ikat_device_info info;
    assert_int_equal(ikat_device_describe(*out_context, device_name, 0, &info), IKAT_OK);
    if (limits) {
        assert_int_equal(ikat_device_limits_lower(&info.limits, limits), IKAT_OK);
    }
    ikat_device_params device_params = {.name = device_name, .limits = &info.limits};
    assert_int_equal(ikat_device_open(*out_context, &device_params, out_device), IKAT_OK);
}

void dense_call_init(dense_call *call, int64_t batch, int64_t heads, int64_t queries,
                     int64_t head_size) {
    *call = (dense_call){0};
    call->params.mechanism = "dense";
    call->params.inputs = call->inputs;
    call->params.settings = call->settings;
    call->params.outputs = call->outputs;
    ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT32, 4, batch, heads, queries, head_size);
    dense_call_input(call, "q", tensor);
    dense_call_input(call, "k", tensor);
    dense_call_input(call, "v", tensor);
}

void dense_call_input(dense_call *call, const char *name, ikat_tensor tensor) {
    call->inputs[call->params.num_inputs++] = (ikat_argument){name, tensor, NULL};
}

void dense_call_setting(dense_call *call, ikat_setting setting) {
    call->settings[call->params.num_settings++] = setting;
}

void dense_call_output(dense_call *call, const char *name) {
    call->outputs[call->params.num_outputs++] = (ikat_argument){.name = name};
}
