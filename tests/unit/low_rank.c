// What linformer, memory_compressed and set refuse, and what they are lowered to.

#include "recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/core.h"

enum { MAX_WORDS = 24 };

// A call as in examples: inputs of float32 (lengths: int32) by their shapes, and settings.
typedef struct call {
    char text[1024];
    ikat_argument inputs[MAX_WORDS];
    ikat_setting settings[MAX_WORDS];
    uint32_t num_inputs, num_settings;
} call;

static ikat_tensor read_tensor(const char *name, char *text) {
    ikat_tensor tensor = {.dtype = strcmp(name, "lengths") == 0 ? IKAT_INT32 : IKAT_FLOAT32};
    for (char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        tensor.shape[tensor.rank++] = strtol(at, NULL, 10);
    }
    return tensor;
}

static void read_call(call *c, const char *inputs, const char *settings) {
    snprintf(c->text, sizeof(c->text), "%s | %s", inputs, settings);
    c->num_inputs = c->num_settings = 0;
    bool in_settings = false;
    for (char *word = strtok(c->text, " "); word; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (!equals) {
            in_settings = true;
            continue;
        }
        *equals = '\0';
        if (in_settings) {
            c->settings[c->num_settings++] = ikat_setting_text(word, equals + 1);
        } else {
            c->inputs[c->num_inputs++] = (ikat_argument){word, read_tensor(word, equals + 1), NULL};
        }
    }
}

typedef struct fixture {
    recorder log;
    ikat_context *context;
    ikat_device *device;
} fixture;

static void open_null(fixture *f, const char *limits) {
    memset(f, 0, sizeof(*f));
    recorder_open(&f->log, "null", limits, &f->context, &f->device);
}

static void close_null(fixture *f) {
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

static ikat_status create(const fixture *f, const char *mechanism, const char *inputs,
                          const char *settings, ikat_plan **out_plan) {
    call c;
    read_call(&c, inputs, settings);
    const ikat_plan_params params = {.mechanism = mechanism,
                                     .inputs = c.inputs,
                                     .num_inputs = c.num_inputs,
                                     .settings = c.settings,
                                     .num_settings = c.num_settings};
    return ikat_plan_create(f->device, &params, out_plan);
}

typedef struct refusal {
    const char *mechanism, *inputs, *settings;
    ikat_message_id id;
} refusal;

#define QKV "q=1,4,5,8 k=1,2,12,8 v=1,2,12,8 "
#define SELF "q=1,4,12,8 k=1,2,12,8 v=1,2,12,6 "
#define CONV "conv_k=3,8,8 conv_v=3,8,8 "
#define WEIGHTS "w_q=4,6 w_k=4,6 w_v=4,6 w_o=6,6 "
#define MAB0 "mab0_w_q=6,6 mab0_w_k=4,6 mab0_w_v=4,6 mab0_w_o=6,6 "
#define MAB1 "mab1_w_q=4,6 mab1_w_k=6,6 mab1_w_v=6,6 mab1_w_o=6,6 "

static const refusal refusals[] = {
    {"linformer", QKV, "", IKAT_MESSAGE_MISSING},
    {"linformer", QKV "proj_k=1,3,11", "", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "proj_k=3,3,12", "", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "proj_k=1,3,12 proj_v=1,4,12", "", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "proj_k=1,3,12 proj_v=1,3,13", "", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "proj_v=1,3,12", "", IKAT_MESSAGE_MISSING},
    {"linformer", QKV "proj_k=1,3,12 lengths=2", "", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "proj_k=1,3,12", "kernel_size=2", IKAT_MESSAGE_CONTRADICTION},
    {"linformer", QKV "proj_k=1,3,12", "causal=1", IKAT_MESSAGE_UNKNOWN_NAME},
    {"linformer", QKV "proj_k=1,3,12", "scale=inf", IKAT_MESSAGE_SYNTAX},
    {"linformer", QKV "proj_k=1,3,12 bias=1,1,5,12", "", IKAT_MESSAGE_UNKNOWN_NAME},
    {"linformer", QKV "proj_k=1,3,12 conv_k=3,8,8", "", IKAT_MESSAGE_CONTRADICTION},
    {"linformer", QKV "proj_k=1,3,12", "projection=mean kernel_size=3", IKAT_MESSAGE_CONTRADICTION},
    {"linformer", QKV, "projection=mean", IKAT_MESSAGE_MISSING},
    {"linformer", QKV, "projection=max kernel_size=0", IKAT_MESSAGE_RANGE},
    {"linformer", QKV, "projection=pool kernel_size=1", IKAT_MESSAGE_SYNTAX},
    {"linformer", QKV, "projection=conv", IKAT_MESSAGE_MISSING},
    {"linformer", QKV CONV, "projection=conv kernel_size=3", IKAT_MESSAGE_CONTRADICTION},
    {"linformer", QKV "conv_v=3,8,8", "projection=conv", IKAT_MESSAGE_MISSING},
    {"linformer", QKV "conv_k=3,8,8 conv_v=2,8,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=0,8,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,8,12", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,3,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,16,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,0,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,8,8 conv_k_bias=7", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"linformer", QKV "conv_k=3,8,8 conv_v_bias=8", "projection=conv", IKAT_MESSAGE_CONTRADICTION},
    {"linformer", SELF "conv_k=3,8,8", "projection=conv", IKAT_MESSAGE_SHAPE},
    {"memory_compressed", QKV, "", IKAT_MESSAGE_MISSING},
    {"memory_compressed", QKV "conv_k=3,8,8", "", IKAT_MESSAGE_MISSING},
    {"memory_compressed", QKV CONV, "stride=0", IKAT_MESSAGE_RANGE},
    {"memory_compressed", QKV CONV, "compression=mean", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV CONV, "mode=local", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV CONV, "block_size=4", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV CONV, "look_back=0", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV CONV, "causal=2", IKAT_MESSAGE_RANGE},
    {"memory_compressed", QKV CONV, "tail=cut", IKAT_MESSAGE_SYNTAX},
    {"memory_compressed", QKV CONV "null_k=2,8 null_v=2,8", "", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV CONV, "null=learned", IKAT_MESSAGE_MISSING},
    {"memory_compressed", QKV CONV "null_k=2,8", "null=learned", IKAT_MESSAGE_MISSING},
    {"memory_compressed", QKV CONV "null_k=1,8 null_v=2,8", "null=learned", IKAT_MESSAGE_SHAPE},
    {"memory_compressed", QKV, "mode=local null=none", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV, "mode=local stride=3", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV, "mode=local tail=pad", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV, "mode=local compression=conv", IKAT_MESSAGE_CONTRADICTION},
    {"memory_compressed", QKV, "mode=local block_size=0", IKAT_MESSAGE_RANGE},
    {"memory_compressed", QKV, "mode=local look_back=-1", IKAT_MESSAGE_RANGE},
    {"memory_compressed", QKV "null_k=2,8 null_v=2,8", "mode=local", IKAT_MESSAGE_CONTRADICTION},
    {"set", "x=2,5,4 " WEIGHTS, "", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 " WEIGHTS, "heads=4", IKAT_MESSAGE_RANGE},
    {"set", "x=2,5,4 " WEIGHTS, "heads=0", IKAT_MESSAGE_RANGE},
    {"set", "x=2,5,4 " WEIGHTS, "heads=12", IKAT_MESSAGE_RANGE},
    {"set", "x=2,5,4 w_q=4,6 w_k=4,6 w_v=4,6", "heads=2", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,3 " WEIGHTS, "heads=2", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 w_q=4,6 w_k=4,6 w_v=4,6 w_o=6,5", "heads=2", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 y=2,5,4 " WEIGHTS, "heads=2", IKAT_MESSAGE_CONTRADICTION},
    {"set", "x=2,5,4 " WEIGHTS, "heads=2 block=mab", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 y=2,5,3 " WEIGHTS, "heads=2 block=mab", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 y=1,5,4 " WEIGHTS, "heads=2 block=mab", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 ln0_gamma=6 " WEIGHTS, "heads=2", IKAT_MESSAGE_CONTRADICTION},
    {"set", "x=2,5,4 ln0_gamma=5 " WEIGHTS, "heads=2 layer_norm=1", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 b_q=5 " WEIGHTS, "heads=2", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 " WEIGHTS, "heads=2 eps=0", IKAT_MESSAGE_RANGE},
    {"set", "x=2,5,4 " WEIGHTS, "heads=2 layer_norm=2", IKAT_MESSAGE_RANGE},
    {"set", "x=2,5,4 inducing=3,6 " WEIGHTS, "heads=2", IKAT_MESSAGE_CONTRADICTION},
    {"set", "x=2,5,4 inducing=3,6 " MAB0 MAB1 WEIGHTS, "heads=2 block=isab",
     IKAT_MESSAGE_CONTRADICTION},
    {"set", "x=2,5,4 " MAB0 MAB1, "heads=2 block=isab", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 inducing=3,6 " MAB0, "heads=2 block=isab", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 inducing=3,5 " MAB0 MAB1, "heads=2 block=isab", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 " WEIGHTS, "heads=2 block=pma", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 seeds=3,6 " WEIGHTS, "heads=2 block=pma", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 seeds=3,4 b_rff=4 " WEIGHTS, "heads=2 block=pma", IKAT_MESSAGE_MISSING},
    {"set", "x=2,5,4 seeds=3,4 w_rff=4,5 " WEIGHTS, "heads=2 block=pma", IKAT_MESSAGE_SHAPE},
    {"set", "x=2,5,4 w_rff=4,4 " WEIGHTS, "heads=2", IKAT_MESSAGE_CONTRADICTION},
};

static void wrong_calls_are_refused(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const refusal *r = &refusals[i];
        ikat_plan *plan = NULL;
        f.log.last_id = (ikat_message_id)0;
        const ikat_status status = create(&f, r->mechanism, r->inputs, r->settings, &plan);
        if (status != IKAT_INVALID || f.log.last_id != r->id || plan) {
            fail_msg("%s %s| %s: %s, message %d: %s", r->mechanism, r->inputs, r->settings,
                     ikat_status_name(status), (int)f.log.last_id, f.log.last_text);
        }
    }
    close_null(&f);
}

static uint32_t count_steps(const ikat_plan *plan, const char *name) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        count += strncmp(plan->lowering.steps[i].name, name, strlen(name)) == 0;
    }
    return count;
}

// Shared weights project inducing points once, whatever the batch.
static void points_are_projected_once(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    ikat_plan *plan = NULL;
    assert_int_equal(
        create(&f, "set", "x=9,50,4 inducing=7,6 " MAB0 MAB1, "heads=2 block=isab", &plan),
        IKAT_OK);
    assert_int_equal(count_steps(plan, "gemm"), 8);
    assert_int_equal(count_steps(plan, "norm"), 4);
    const ikati_operand *points = &plan->lowering.steps[0].operands[4]; // of gemm: c
    assert_int_equal(points->count, 7 * 6);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

// Whole windows of what lies in order are read where they are.
static void whole_windows_are_not_copied(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    static const struct {
        const char *inputs;
        uint32_t copies;
    } calls[] = {
        {"q=1,2,9,16 k=1,2,12,16 v=1,2,12,16 conv_k=4,16,16", 0},
        {"q=1,2,9,16 k=1,2,13,16 v=1,2,13,16 conv_k=4,16,16", 2},
        {"q=1,2,9,16 k=1,2,12,16 v=1,2,12,16 conv_k=4,32,32", 2},
        {"q=1,2,9,16 k=1,2,12,16 v=1,2,12,16 conv_k=4,16,16 lengths=1", 2},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        ikat_plan *plan = NULL;
        assert_int_equal(create(&f, "linformer", calls[i].inputs, "projection=conv", &plan),
                         IKAT_OK);
        assert_int_equal(count_steps(plan, "pool"), calls[i].copies);
        assert_int_equal(count_steps(plan, "gemm"), 2);
        ikat_plan_destroy(&plan);
    }
    close_null(&f);
}

static void check_ranges(const ikat_plan *plan, uint64_t most_bytes) {
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        for (uint32_t b = 0; b < step->kernel->num_bindings; b++) {
            const ikati_operand *operand = &step->operands[b];
            assert_true(operand->count * ikat_dtype_size(operand->dtype) + 256 <= most_bytes);
        }
    }
}

// Nothing that is bound exceeds what a device binds at once; one long window goes in parts.
static void large_tensors_are_cut(void **state) {
    (void)state;
    static const refusal calls[] = {
        {"linformer", "q=2,4,700,8 k=2,2,900,8 v=2,2,900,8 proj_k=2,30,900 lengths=2", "", 0},
        {"linformer", "q=2,4,9,8 k=2,2,5000,8 v=2,2,5000,8", "projection=max kernel_size=9000", 0},
        {"linformer", "q=2,4,9,8 k=2,2,5000,8 v=2,2,5000,8 conv_k=5000,1,8", "projection=conv", 0},
        {"memory_compressed", "q=2,4,900,8 k=2,2,900,8 v=2,2,900,8 conv_k=3,16,16 conv_v=3,8,8",
         "causal=1 stride=2", 0},
        {"set", "x=5,900,4 " WEIGHTS, "heads=2 layer_norm=1", 0},
    };
    fixture f;
    open_null(&f, "range=65536,texel=0");
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        ikat_plan *plan = NULL;
        assert_int_equal(create(&f, calls[i].mechanism, calls[i].inputs, calls[i].settings, &plan),
                         IKAT_OK);
        check_ranges(plan, 65536);
        ikat_plan_destroy(&plan);
    }
    close_null(&f);
}

// Memory beyond the tensors does not grow with the square of the length.
static void memory_is_linear(void **state) {
    (void)state;
    static const char *const inputs[][2] = {
        {"q=1,2,4096,64 k=1,2,4096,64 v=1,2,4096,64 proj_k=1,256,4096",
         "q=1,2,65536,64 k=1,2,65536,64 v=1,2,65536,64 proj_k=1,256,65536"},
        {"q=1,2,4096,64 k=1,2,4096,64 v=1,2,4096,64 conv_k=3,64,64 conv_v=3,64,64",
         "q=1,2,65536,64 k=1,2,65536,64 v=1,2,65536,64 conv_k=3,64,64 conv_v=3,64,64"},
    };
    fixture f;
    open_null(&f, NULL);
    for (int i = 0; i < 2; i++) {
        uint64_t bytes[2];
        for (int j = 0; j < 2; j++) {
            ikat_plan *plan = NULL;
            ikat_plan_info info;
            assert_int_equal(
                create(&f, i ? "memory_compressed" : "linformer", inputs[i][j], "", &plan),
                IKAT_OK);
            ikat_plan_get_info(plan, &info);
            bytes[j] = info.workspace_bytes;
            ikat_plan_destroy(&plan);
        }
        assert_true(bytes[1] <= 17 * bytes[0]);
    }
    close_null(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(points_are_projected_once),
        cmocka_unit_test(whole_windows_are_not_copied),
        cmocka_unit_test(large_tensors_are_cut),
        cmocka_unit_test(memory_is_linear),
    };
    return cmocka_run_group_tests_name("low_rank", tests, NULL, NULL);
}
