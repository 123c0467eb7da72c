// Block masks and top-k as steps, on device null: tiles that are 0 are not computed, plans for another
// mask compile nothing, and scores are counted by the programs that use them.

#include "recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "shaders/params/attend.h"
#include "src/core.h"

enum { HEADS = 3, SIDE = 5 };

typedef struct fixture {
    recorder messages;
    ikat_context *context;
    ikat_device *device;
} fixture;

static void open_null(fixture *f) {
    recorder_open(&f->messages, "null", NULL, &f->context, &f->device);
}

static void close_null(fixture *f) {
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

static ikat_plan *make(fixture *f, const dense_call *call) {
    ikat_plan *plan = NULL;
    assert_int_equal(ikat_plan_create(f->device, &call->params, &plan), IKAT_OK);
    return plan;
}

// Of the steps' own accounts, one (batch, head) class after the other.
static double computed_pairs(const ikat_plan *plan) {
    ikat_plan_info info;
    ikat_plan_get_info(plan, &info);
    return info.computed_pairs;
}

// A call of HEADS heads whose block mask has SIDE x SIDE tiles of 64.
static void call_with_mask(dense_call *call, const int32_t *mask) {
    dense_call_init(call, 2, HEADS, SIDE * 64, 16);
    dense_call_input(call, "block_mask", ikat_tensor_packed(IKAT_INT32, 3, HEADS, SIDE, SIDE, 0));
    call->inputs[call->params.num_inputs - 1].values = mask;
}

static void tiles_are_skipped(void **state) {
    (void)state;
    int32_t mask[HEADS * SIDE * SIDE] = {0};
    dense_call call;
    fixture f;
    open_null(&f);
    for (int num_kept = 0; num_kept < 8; num_kept++) {
        call_with_mask(&call, mask);
        ikat_plan *plan = make(&f, &call);
        assert_true(computed_pairs(plan) == 2.0 * num_kept * 64 * 64);
        ikat_plan_destroy(&plan);
        mask[num_kept * 9] = num_kept % 2 ? -1 : 100;
    }
    close_null(&f);
}

static void another_mask_compiles_nothing(void **state) {
    (void)state;
    int32_t mask[HEADS * SIDE * SIDE] = {1};
    dense_call call;
    fixture f;
    ikat_plan *derived;
    ikat_plan_info info;
    open_null(&f);
    call_with_mask(&call, mask);
    ikat_plan *plan = make(&f, &call);
    mask[7] = 1;
    const ikat_argument *changed = &call.inputs[call.params.num_inputs - 1];
    assert_int_equal(ikat_plan_derive(plan, changed, 1, &derived), IKAT_OK);
    ikat_plan_get_info(derived, &info);
    assert_int_equal(info.programs_compiled, 0);
    assert_true(computed_pairs(derived) == 2 * computed_pairs(plan));
    ikat_plan_destroy(&derived);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

static bool is_attend(const ikati_step *step) {
    return step->kernel == ikati_kernel_get(IKATI_KERNEL_attend);
}

static bool is_count(const ikati_step *step) {
    return is_attend(step) && step->operands[5].kind == IKATI_SLOT_SCRATCH &&
           step->operands[5].dtype == IKAT_INT32;
}

static ikat_plan *plan_with_topk(fixture *f, int64_t keys, int64_t topk) {
    dense_call call;
    dense_call_init(&call, 1, HEADS, keys, 16);
    if (topk >= 0) {
        dense_call_setting(&call, ikat_setting_int("topk", topk));
    }
    return make(f, &call);
}

// Each walk over the tiles was gone before, once a digit, by the same program over the same tiles.
static void counts_share_programs(void **state) {
    (void)state;
    fixture f;
    open_null(&f);
    ikat_plan *plan = plan_with_topk(&f, 3000, 7);
    const ikati_lowering *lowering = &plan->lowering;
    uint32_t num_sums = 0;
    for (uint32_t i = 0; i < lowering->num_steps; i++) {
        const ikati_step *sum = &lowering->steps[i];
        uint32_t num_counts = 0;
        if (!is_attend(sum) || is_count(sum)) {
            continue;
        }
        for (uint32_t j = 0; j < i; j++) {
            const ikati_step *count = &lowering->steps[j];
            num_counts += is_count(count) && count->program == sum->program &&
                          count->num_groups == sum->num_groups && count->pairs == 0;
        }
        assert_int_equal(num_counts, (32 + TOPK_BITS - 1) / TOPK_BITS);
        assert_true(sum->pairs > 0);
        num_sums++;
    }
    assert_true(num_sums > 0);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

// Where topk leaves all keys nothing of it is there.
static void enough_is_all(void **state) {
    (void)state;
    static const int64_t values[] = {0, 90, 91, INT64_C(1) << 53};
    fixture f;
    open_null(&f);
    ikat_plan *plain = plan_with_topk(&f, 90, -1);
    for (int i = 0; i < 4; i++) {
        ikat_plan *plan = plan_with_topk(&f, 90, values[i]);
        assert_int_equal(plan->lowering.num_steps, plain->lowering.num_steps);
        for (uint32_t s = 0; s < plain->lowering.num_steps; s++) {
            assert_ptr_equal(plan->lowering.steps[s].program, plain->lowering.steps[s].program);
            assert_memory_equal(plan->lowering.steps[s].params, plain->lowering.steps[s].params,
                                IKATI_MAX_PARAMS_BYTES);
        }
        ikat_plan_destroy(&plan);
    }
    ikat_plan_destroy(&plain);
    close_null(&f);
}

// A mask that keeps every tile makes a dense call, which steps' names say; one tile less does not.
static void all_tiles_are_dense(void **state) {
    (void)state;
    int32_t mask[HEADS * SIDE * SIDE];
    for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++) {
        mask[i] = 1;
    }
    dense_call with_mask, without;
    fixture f;
    open_null(&f);
    call_with_mask(&with_mask, mask);
    dense_call_init(&without, 2, HEADS, SIDE * 64, 16);
    ikat_plan *whole = make(&f, &with_mask), *dense = make(&f, &without);
    assert_int_equal(whole->lowering.num_steps, dense->lowering.num_steps);
    assert_ptr_equal(whole->lowering.steps[0].program, dense->lowering.steps[0].program);
    assert_non_null(strstr(whole->lowering.steps[0].name, ".whole"));
    assert_null(strstr(dense->lowering.steps[0].name, ".whole"));
    assert_int_equal(whole->lowering.num_tables, dense->lowering.num_tables);
    ikat_plan_destroy(&whole);
    mask[7] = 0;
    whole = make(&f, &with_mask);
    assert_non_null(strstr(whole->lowering.steps[0].name, ".schedule"));
    ikat_plan_destroy(&whole);
    ikat_plan_destroy(&dense);
    close_null(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_are_skipped),     cmocka_unit_test(another_mask_compiles_nothing),
        cmocka_unit_test(counts_share_programs), cmocka_unit_test(enough_is_all),
        cmocka_unit_test(all_tiles_are_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
