// Patterns that share out the keys of their rows run one after the other: each begins with the results of
// the one before, which lie behind the table of heads, and nothing is merged.

#include "recorder.h"

#include "src/attend_steps.h"
#include "src/core.h"

#include "shaders/params/attend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { H = 3, N = 1000, D = 24 };

typedef struct attend_params {
    ATTEND_PARAMS(IKATI_PARAM_FIELD)
} attend_params;

typedef struct fixture {
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
} fixture;

static void make_plan(fixture *f) {
    static recorder messages;
    static const char *const names[] = {"q", "k", "v"};
    ikat_argument inputs[3];
    for (int i = 0; i < 3; i++) {
        inputs[i] =
            (ikat_argument){names[i], ikat_tensor_packed(IKAT_FLOAT32, 4, 1, H, N, D), NULL};
    }
    const ikat_setting settings[] = {ikat_setting_text("stride", "20")};
    const ikat_plan_params params = {
        .mechanism = "sparse",
        .inputs = inputs,
        .num_inputs = 3,
        .settings = settings,
        .num_settings = 1,
    };
    recorder_open(&messages, "null", NULL, &f->context, &f->device);
    assert_int_equal(ikat_plan_create(f->device, &params, &f->plan), IKAT_OK);
}

static void drop_plan(fixture *f) {
    ikat_plan_destroy(&f->plan);
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

static bool is_kernel(const ikati_step *step, ikati_kernel_id id) {
    return step->kernel == ikati_kernel_get(id);
}

static void second_begins_with_first(void **state) {
    (void)state;
    fixture f = {0};
    make_plan(&f);
    const ikati_step *attends[2] = {NULL, NULL};
    uint32_t num = 0;
    for (uint32_t i = 0; i < f.plan->lowering.num_steps; i++) {
        const ikati_step *step = &f.plan->lowering.steps[i];
        assert_false(is_kernel(step, IKATI_KERNEL_merge));
        if (is_kernel(step, IKATI_KERNEL_attend)) {
            assert_true(num < 2);
            attends[num++] = step;
        }
    }
    assert_int_equal(num, 2);
    assert_false(attends[0]->specialisation[0] & OPTION_SEED);
    assert_true(attends[1]->specialisation[0] & OPTION_SEED);

    const ikati_operand *out = &attends[0]->operands[5], *lse = &attends[0]->operands[6];
    const ikati_operand *table = &attends[1]->operands[4];
    attend_params params;
    memcpy(&params, attends[1]->params, sizeof(params));
    assert_int_equal(out->kind, IKATI_SLOT_SCRATCH);
    assert_int_equal(out->index, table->index);
    assert_int_equal(lse->index, table->index);
    assert_int_equal(table->offset + params.seed_at, out->offset);
    assert_int_equal(table->offset + params.seed_lse_at, lse->offset);
    assert_int_equal(out->count, (uint64_t)H * N * D);
    assert_int_equal(lse->count, (uint64_t)H * N);
    assert_true(table->count >= params.seed_at + out->count);
    assert_int_equal(attends[1]->operands[5].kind, IKATI_SLOT_OUTPUT);
    drop_plan(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(second_begins_with_first)};
    return cmocka_run_group_tests_name("seeds", tests, NULL, NULL);
}
