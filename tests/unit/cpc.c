// How the CPC loss is cut: what is bound fits, every anchor meets every target once, work is bounded.

#include "recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/core.h"

#include "shaders/params/infonce.h"

typedef struct infonce_params {
    INFONCE_PARAMS(IKATI_PARAM_FIELD)
} infonce_params;

typedef struct fixture {
    recorder log;
    ikat_context *context;
    ikat_device *device;
} fixture;

static void open_null(fixture *f, const char *limits) {
    *f = (fixture){0};
    recorder_open(&f->log, "null", limits, &f->context, &f->device);
}

static void close_null(fixture *f) {
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

static ikat_status try_create(const fixture *f, int64_t rows, int64_t size, bool everything,
                              ikat_plan **out_plan) {
    const ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT32, 2, rows, size, 0, 0);
    const ikat_argument inputs[] = {
        {.name = "pred", .tensor = tensor},
        {.name = "target", .tensor = tensor},
        {.name = "weight", .tensor = ikat_tensor_packed(IKAT_FLOAT32, 2, size, size, 0, 0)},
        {.name = "valid", .tensor = ikat_tensor_packed(IKAT_INT32, 1, rows, 0, 0, 0)},
    };
    const ikat_argument outputs[] = {{.name = "loss"}, {.name = "losses"}};
    const ikat_plan_params params = {
        .mechanism = "cpc",
        .inputs = inputs,
        .num_inputs = everything ? 4 : 2,
        .outputs = outputs,
        .num_outputs = everything ? 2 : 1,
    };
    return ikat_plan_create(f->device, &params, out_plan);
}

static ikat_plan *create(const fixture *f, int64_t rows, int64_t size, bool everything) {
    ikat_plan *plan = NULL;
    assert_int_equal(try_create(f, rows, size, everything, &plan), IKAT_OK);
    return plan;
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

// Targets that a step's own splits share out; each must have some.
static double count_pairs(const infonce_params *p) {
    assert_true((p->num_splits - 1) * (uint64_t)p->targets_per_split < p->num_targets);
    assert_true(p->num_splits * (uint64_t)p->targets_per_split >= p->num_targets);
    return (double)p->num_anchors * p->num_targets;
}

// Own scores come first in each block, of all its anchors; then every anchor meets every target.
static void check_pairs(const ikat_plan *plan, int64_t rows) {
    double pairs = 0, own = 0;
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        infonce_params p;
        memcpy(&p, step->params, sizeof(p));
        if (strcmp(step->kernel->name, "infonce") != 0) {
            continue;
        }
        if (p.own) {
            assert_int_equal(p.own_shift, 0);
            assert_int_equal(p.num_targets, p.num_anchors);
            own += p.num_anchors;
        } else {
            pairs += count_pairs(&p);
        }
    }
    assert_true(own == (double)rows);
    assert_true(pairs == (double)rows * (double)rows);
}

static void large_tensors_are_cut(void **state) {
    (void)state;
    fixture f;
    open_null(&f, "range=65536,texel=0");
    const int64_t shapes[][2] = {{700, 32}, {5000, 16}, {3001, 1}, {129, 90}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (int everything = 0; everything < 2; everything++) {
            ikat_plan *plan = create(&f, shapes[i][0], shapes[i][1], everything);
            check_ranges(plan, 65536);
            check_pairs(plan, shapes[i][0]);
            ikat_plan_destroy(&plan);
        }
    }
    close_null(&f);
}

static void work_is_bounded(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    ikat_plan *plan = create(&f, 100000, 512, false);
    check_pairs(plan, 100000);
    assert_true(plan->num_slices > 10);
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        assert_true(step->flops / (double)step->num_groups < 5e9);
    }
    for (uint32_t i = 0; i < plan->num_launches; i++) {
        assert_true(plan->launches[i].num_groups <= f.device->info.limits.max_groups);
    }
    ikat_plan_destroy(&plan);
    close_null(&f);
}

// The own scores, the walk and the rows' losses of all lengths are the same three programs, and the
// mean.
static void lengths_share_programs(void **state) {
    (void)state;
    fixture f;
    ikat_device_statistics statistics;
    open_null(&f, NULL);
    const int64_t rows[] = {1, 33, 700, 20000};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ikat_plan *plan = create(&f, rows[i], 20 + rows[i] % 7, false);
        ikat_plan_destroy(&plan);
    }
    ikat_device_get_statistics(f.device, &statistics);
    assert_int_equal(statistics.programs_compiled, 3);
    close_null(&f);
}

static void too_large_is_refused(void **state) {
    (void)state;
    fixture f;
    ikat_plan *plan = NULL;
    open_null(&f, "range=65536,texel=0");
    assert_int_equal(try_create(&f, 200, 20000, false, &plan), IKAT_UNSUPPORTED);
    assert_null(plan);
    assert_int_equal(f.log.num_errors, 1);
    close_null(&f);
}

static void no_rows_are_one_step(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    for (int everything = 0; everything < 2; everything++) {
        ikat_plan *plan = create(&f, 0, 7, everything);
        assert_int_equal(plan->lowering.num_steps, 1);
        ikat_plan_destroy(&plan);
    }
    close_null(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_tensors_are_cut),  cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(lengths_share_programs), cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(no_rows_are_one_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
