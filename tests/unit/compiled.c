// Expressions of `custom` in kernels that are compiled with them, on `null`: what compiles when, and
// which calls interpret instead.

#include "recorder.h"
#include "scarce.h"

#include "src/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    recorder messages;
    ikat_context *context;
    ikat_device *device;
} fixture;

static void open_null(fixture *f, const char *limits) {
    recorder_open(&f->messages, "null", limits, &f->context, &f->device);
}

static void close_null(fixture *f) {
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

// A call of `custom`. A mask that reads a table has one of a document a position.
typedef struct call {
    const char *mask, *score;
    int64_t batch, heads, queries, keys;
    int32_t width, document; // param.w, and how long documents are
} call;

static const call usual = {
    "doc[j] == doc[i] && j <= i + w", "score - 0.5 * abs(i - j)", 64, 32, 128, 128, 3, 50};

static ikat_status try_call(ikat_device *device, const call *c, ikat_plan **out_plan) {
    int32_t documents[1024];
    char width[16];
    for (int32_t i = 0; i < 1024; i++) {
        documents[i] = i / c->document;
    }
    snprintf(width, sizeof(width), "%d", (int)c->width);
    const ikat_tensor keys = ikat_tensor_packed(IKAT_FLOAT32, 4, c->batch, c->heads, c->keys, 64);
    const ikat_argument inputs[] = {
        {"q", ikat_tensor_packed(IKAT_FLOAT32, 4, c->batch, c->heads, c->queries, 64), NULL},
        {"k", keys, NULL},
        {"v", keys, NULL},
        {"table.doc", ikat_tensor_packed(IKAT_INT32, 1, c->keys, 0, 0, 0), documents}};
    const ikat_setting settings[] = {ikat_setting_text("mask", c->mask),
                                     ikat_setting_text("score", c->score),
                                     ikat_setting_text("param.w", width)};
    const ikat_plan_params params = {.mechanism = "custom",
                                     .inputs = inputs,
                                     .num_inputs = 4,
                                     .settings = settings,
                                     .num_settings = 3};
    return ikat_plan_create(device, &params, out_plan);
}

static ikat_plan *make(fixture *f, const call *c) {
    ikat_plan *plan;
    const ikat_status status = try_call(f->device, c, &plan);
    if (status) {
        fail_msg("%s", f->messages.last_text);
    }
    return plan;
}

// How many programs a call compiles; its plan is destroyed.
static uint32_t count_programs(fixture *f, const call *c) {
    ikat_plan *plan = make(f, c);
    ikat_plan_info info;
    ikat_plan_get_info(plan, &info);
    ikat_plan_destroy(&plan);
    return info.programs_compiled;
}

static bool is_compiled(const ikat_plan *plan) {
    const ikati_step *step = &plan->lowering.steps[0];
    const bool needs = (step->variant->needs & IKATI_NEED_COMPILER) != 0;
    assert_true(needs == (step->text != NULL));
    assert_true(step->variant->needs & IKATI_NEED_EXPRESSION);
    return needs;
}

static void one_program_an_expression(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    assert_int_equal(count_programs(&f, &usual), 1);
    for (int32_t i = 0; i < 100; i++) {
        call c = usual;
        c.queries += i;
        c.keys += 2 * i;
        c.batch += i % 3;
        c.heads += i % 5;
        c.width += i;
        c.document += i;
        assert_int_equal(count_programs(&f, &c), 0);
    }
    call c = usual;
    c.mask = " doc [j]==doc[ i ]&&(j<=i+w)"; // the same in other words
    assert_int_equal(count_programs(&f, &c), 0);
    c.mask = "doc[j] == doc[i] && j <= i + w + 1";
    assert_int_equal(count_programs(&f, &c), 1);
    c.score = "score - 0.25 * abs(i - j)";
    assert_int_equal(count_programs(&f, &c), 1);
    assert_int_equal(count_programs(&f, &c), 0);
    assert_int_equal(count_programs(&f, &usual), 0);
    close_null(&f);
}

static void derived_plans_compile_nothing(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    ikat_plan *plan = make(&f, &usual), *derived;
    int32_t documents[128] = {[64] = 1};
    const ikat_argument changed = {"table.doc", ikat_tensor_packed(IKAT_INT32, 1, 128, 0, 0, 0),
                                   documents};
    assert_true(is_compiled(plan));
    assert_int_equal(ikat_plan_derive(plan, &changed, 1, &derived), IKAT_OK);
    ikat_plan_info info;
    ikat_plan_get_info(derived, &info);
    assert_int_equal(info.programs_compiled, 0);
    ikat_plan_destroy(&plan);
    assert_true(is_compiled(derived));
    ikat_plan_destroy(&derived);
    close_null(&f);
}

// No name of the caller's, and no value of a table or parameter, is in what is compiled.
static void text_is_ours(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    call c = usual;
    c.width = 12345;
    ikat_plan *plan = make(&f, &c);
    const char *text = plan->lowering.steps[0].text;
    assert_non_null(strstr(text, "int expression_mask("));
    assert_non_null(strstr(text, "float expression_score("));
    assert_null(strstr(text, "doc"));
    assert_null(strstr(text, "12345"));
    ikat_plan_destroy(&plan);
    close_null(&f);
}

static void expect_interpreted(fixture *f, const call *c, const char *reason) {
    ikat_plan *plan = make(f, c);
    assert_false(is_compiled(plan));
    ikat_step_info step;
    assert_int_equal(ikat_plan_get_step(plan, 0, &step), IKAT_OK);
    if (!strstr(step.refused, reason)) {
        fail_msg("'%s' does not say '%s'", step.refused, reason);
    }
    ikat_plan_destroy(&plan);
}

static void interpreted_without_a_compiler(void **state) {
    (void)state;
    const char *const limits[] = {"compiler=0", "minimal"};
    for (int i = 0; i < 2; i++) {
        fixture f;
        open_null(&f, limits[i]);
        assert_int_equal(ikat_device_get_info(f.device)->limits.runtime_compiler, 0);
        expect_interpreted(&f, &usual, "no compiler at run time");
        close_null(&f);
    }
}

static void long_ones_are_interpreted(void **state) {
    (void)state;
    char text[4096] = "j <= i";
    for (size_t length = 6; length + 16 < sizeof(text); length = strlen(text)) {
        snprintf(text + length, sizeof(text) - length, " || j == %d", (int)(length % 97));
    }
    fixture f;
    open_null(&f, NULL);
    call c = usual;
    c.mask = text;
    expect_interpreted(&f, &c, "too long to compile");
    close_null(&f);
}

// A compiler that cannot do "% 7".
static ikati_backend failing;
static uint32_t num_tries;
static ikat_status (*create_program)(ikati_port *port, const ikati_program_params *params,
                                     ikati_program **out_program);

static ikat_status fail_some(ikati_port *port, const ikati_program_params *params,
                             ikati_program **out_program) {
    num_tries += params->text != NULL;
    if (params->text && strstr(params->text, ", 7)")) {
        *out_program = NULL;
        return IKAT_COMPILE;
    }
    return create_program(port, params, out_program);
}

// What cannot be compiled is interpreted, from then on without a try; other expressions are not
// concerned.
static void failures_are_of_one_expression(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    const ikati_backend *own = f.device->backend;
    failing = *own;
    create_program = own->program_create;
    failing.program_create = fail_some;
    f.device->backend = &failing;
    num_tries = 0;
    call c = usual;
    c.mask = "(i - j) % 7 == 0";
    expect_interpreted(&f, &c, "the driver's compiler failed");
    const uint32_t num_rows = num_tries;
    assert_true(num_rows > 0);
    expect_interpreted(&f, &c, "the driver's compiler failed");
    assert_int_equal(num_tries, num_rows);
    ikat_plan *plan = make(&f, &usual);
    assert_true(is_compiled(plan));
    ikat_plan_destroy(&plan);
    f.device->backend = own;
    close_null(&f);
}

static void memory_runs_out(void **state) {
    (void)state;
    ikat_status status = IKAT_NO_MEMORY;
    for (int64_t number = 0; status; number++) {
        scarce memory;
        scarce_open(&memory);
        const ikat_context_params params = {.allocator = memory.host.allocator};
        const ikat_device_params null = {.name = "null"};
        ikat_context *context = NULL;
        ikat_device *device = NULL;
        ikat_plan *plan = NULL;
        call small = usual;
        small.batch = small.heads = 1;
        small.mask = "doc[j] == doc[i]";
        assert_int_equal(ikat_context_create(&params, &context), IKAT_OK);
        assert_int_equal(ikat_device_open(context, &null, &device), IKAT_OK);
        memory.num_left = number;
        status = try_call(device, &small, &plan);
        assert_true(status == IKAT_OK || status == IKAT_NO_MEMORY);
        assert_true((status == IKAT_OK) == (plan != NULL));
        ikat_plan_destroy(&plan);
        ikat_device_destroy(&device);
        ikat_context_destroy(&context);
        assert_int_equal(memory.num_live, 0);
        assert_true(number < 2000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_program_an_expression),
        cmocka_unit_test(derived_plans_compile_nothing),
        cmocka_unit_test(text_is_ours),
        cmocka_unit_test(interpreted_without_a_compiler),
        cmocka_unit_test(long_ones_are_interpreted),
        cmocka_unit_test(failures_are_of_one_expression),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("compiled", tests, NULL, NULL);
}
