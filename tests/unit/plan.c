// Plans on `null`: what compiles when, how steps are cut into slices, what fits a small device,
// what bindings refuse.

#include "recorder.h"

#include "src/core.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

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

static ikat_plan *create(fixture *f, const dense_call *call) {
    ikat_plan *plan;
    assert_int_equal(ikat_plan_create(f->device, &call->params, &plan), IKAT_OK);
    return plan;
}

static void hundred_lengths_compile_once(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    ikat_device_statistics first, last;
    ikat_plan *base = NULL;
    for (int64_t n = 1; n <= 100; n++) {
        dense_call call;
        // Many heads, so that keys are never split and every length takes the same path.
        dense_call_init(&call, 64, 32, 16 + n, 64);
        dense_call_setting(&call, ikat_setting_int("causal", 1));
        ikat_plan *plan = create(&f, &call);
        if (n == 1) {
            ikat_device_get_statistics(f.device, &first);
            base = plan;
        } else {
            ikat_plan_destroy(&plan);
        }
    }
    ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT32, 4, 64, 32, 500, 64);
    ikat_argument changed[] = {{"q", tensor, NULL}, {"k", tensor, NULL}, {"v", tensor, NULL}};
    ikat_plan *derived;
    assert_int_equal(ikat_plan_derive(base, changed, 3, &derived), IKAT_OK);
    ikat_device_get_statistics(f.device, &last);
    assert_int_equal(first.programs_compiled, 1);
    assert_int_equal(last.programs_compiled, 1);
    ikat_plan_info info;
    ikat_plan_get_info(derived, &info);
    assert_int_equal(info.programs_compiled, 0);
    ikat_plan_destroy(&derived);
    ikat_plan_destroy(&base);
    close_null(&f);
}

// Every group of every step is launched exactly once, in order, in launches the device takes.
static void check_launches(const ikat_plan *plan) {
    uint32_t most = plan->device->info.limits.max_groups, next = 0;
    for (uint32_t step = 0; step < plan->lowering.num_steps; step++) {
        uint64_t group = 0;
        while (next < plan->num_launches && plan->launches[next].dispatch == step) {
            const ikati_launch *launch = &plan->launches[next++];
            assert_int_equal(launch->first_group, group);
            assert_in_range(launch->num_groups, 1, most);
            group += launch->num_groups;
        }
        assert_int_equal(group, plan->lowering.steps[step].num_groups);
    }
    assert_int_equal(next, plan->num_launches);
    assert_int_equal(plan->slice_starts[0], 0);
    assert_int_equal(plan->slice_starts[plan->num_slices], plan->num_launches);
}

static void slices_cover_every_group(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    dense_call call;
    dense_call_init(&call, 2, 4, 5000, 64);
    const double budgets[] = {0, 1, 1e6, 1e8, 1e10};
    for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        call.params.slice_flops = budgets[i];
        ikat_plan *plan = create(&f, &call);
        check_launches(plan);
        ikat_plan_destroy(&plan);
    }
    // More workgroups than one dispatch may have.
    dense_call_init(&call, 3000, 40, 8, 8);
    ikat_plan *plan = create(&f, &call);
    assert_true(plan->lowering.steps[0].num_groups > 65535);
    check_launches(plan);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

// Results may not depend on the budget: the steps, with all their numbers, are the same.
static void budget_changes_no_step(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    dense_call call;
    dense_call_init(&call, 1, 2, 1, 64);
    call.inputs[1].tensor.shape[2] = call.inputs[2].tensor.shape[2] = 200000;
    call.params.slice_flops = 1;
    ikat_plan *small = create(&f, &call);
    call.params.slice_flops = 1e15;
    ikat_plan *large = create(&f, &call);
    assert_true(small->num_slices > large->num_slices);
    assert_int_equal(small->lowering.num_steps, 2); // the keys are split, then merged
    assert_int_equal(small->lowering.num_steps, large->lowering.num_steps);
    for (uint32_t i = 0; i < small->lowering.num_steps; i++) {
        const ikati_step *a = &small->lowering.steps[i], *b = &large->lowering.steps[i];
        assert_ptr_equal(a->variant, b->variant);
        assert_memory_equal(a->params, b->params, sizeof(a->params));
        assert_int_equal(a->num_groups, b->num_groups);
    }
    ikat_plan_destroy(&small);
    ikat_plan_destroy(&large);
    close_null(&f);
}

static void check_ranges(const ikat_plan *plan) {
    uint64_t most = plan->device->info.limits.max_storage_range_bytes;
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        for (uint32_t b = 0; b < step->kernel->num_bindings; b++) {
            const ikati_operand *operand = &step->operands[b];
            if (operand->kind) {
                assert_true(operand->count * ikat_dtype_size(operand->dtype) + 256 <= most);
            }
        }
    }
}

static void large_tensors_are_cut(void **state) {
    (void)state;
    fixture f;
    open_null(&f, "range=1048576,texel=0");
    const int64_t layouts[][4] = {
        {0, 0, 0, 0},                           // [B,H,N,D]
        {3000 * 6 * 24, 24, 6 * 24, 1},         // [B,N,H,D]
        {3000 * 3 * 6 * 24, 24, 3 * 6 * 24, 1}, // one third of packed QKV
    };
    for (size_t layout = 0; layout < 3; layout++) {
        for (int windowed = 0; windowed < 2; windowed++) {
            dense_call call;
            dense_call_init(&call, 2, 6, 3000, 24);
            for (int i = 0; i < 3; i++) {
                memcpy(call.inputs[i].tensor.strides, layouts[layout], sizeof(layouts[layout]));
            }
            dense_call_input(&call, "bias", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 6, 3000, 3000));
            dense_call_input(&call, "lengths", ikat_tensor_packed(IKAT_INT32, 1, 2, 0, 0, 0));
            dense_call_output(&call, "out");
            dense_call_output(&call, "lse");
            if (windowed) {
                dense_call_setting(&call, ikat_setting_int("window_left", 10));
                dense_call_setting(&call, ikat_setting_int("window_right", 10));
            }
            ikat_plan *plan = create(&f, &call);
            assert_true(plan->lowering.num_steps > 1);
            check_ranges(plan);
            check_launches(plan);
            ikat_plan_destroy(&plan);
        }
    }
    close_null(&f);
}

// Scratch that lives at the same time does not overlap, and all of it lies in the workspace.
static void workspace_is_disjoint(void **state) {
    (void)state;
    fixture f;
    open_null(&f, "range=65536,texel=0");
    dense_call call;
    dense_call_init(&call, 2, 2, 700, 40);
    for (int i = 0; i < 3; i++) {
        call.inputs[i].tensor.dtype = IKAT_FLOAT16;
    }
    call.inputs[2].tensor.shape[3] = 33; // rows of `out` share words
    dense_call_input(&call, "lengths", ikat_tensor_packed(IKAT_INT32, 1, 2, 0, 0, 0));
    ikat_plan *plan = create(&f, &call);
    const ikati_lowering *lowering = &plan->lowering;
    assert_true(lowering->num_scratch > 2);
    for (uint32_t i = 0; i < lowering->num_scratch; i++) {
        const ikati_scratch *a = &lowering->scratch[i];
        assert_true(a->offset_bytes + a->size_bytes <= lowering->workspace_bytes);
        assert_int_equal(a->offset_bytes % 256, 0);
        for (uint32_t j = 0; j < i; j++) {
            const ikati_scratch *b = &lowering->scratch[j];
            bool together = a->first_step <= b->last_step && b->first_step <= a->last_step;
            bool apart = a->offset_bytes + a->size_bytes <= b->offset_bytes ||
                         b->offset_bytes + b->size_bytes <= a->offset_bytes;
            assert_true(!together || apart);
        }
    }
    ikat_plan_destroy(&plan);
    close_null(&f);
}

static void workspace_grows_with_n(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        dense_call call;
        dense_call_init(&call, 1, 8, i ? 16384 : 4096, 63); // halves of 63 columns: the worst case
        for (int t = 0; t < 3; t++) {
            call.inputs[t].tensor.dtype = IKAT_FLOAT16;
        }
        ikat_plan *plan = create(&f, &call);
        bytes[i] = plan->lowering.workspace_bytes;
        ikat_plan_destroy(&plan);
    }
    assert_true(bytes[0] > 0 && bytes[1] <= 4 * bytes[0] + 4096);
    close_null(&f);
}

static void bindings_refuse(void **state) {
    (void)state;
    fixture f, other;
    open_null(&f, NULL);
    open_null(&other, NULL);
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    ikat_plan *plan = create(&f, &call);
    ikat_buffer *good, *small, *foreign;
    assert_int_equal(ikat_buffer_create(f.device, 1024, &good), IKAT_OK);
    assert_int_equal(ikat_buffer_create(f.device, 16, &small), IKAT_OK);
    assert_int_equal(ikat_buffer_create(other.device, 1024, &foreign), IKAT_OK);
    const struct {
        ikat_binding last;
        uint32_t num;
        ikat_status status;
        ikat_message_id id;
    } rows[] = {
        {{"out", good, 0}, 4, IKAT_OK, 0},
        {{"out", good, 64}, 4, IKAT_OK, 0},
        {{"out", NULL, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT},
        {{"out", small, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_BUFFER},
        {{"out", good, 1024}, 4, IKAT_INVALID, IKAT_MESSAGE_BUFFER},
        {{"out", good, UINT64_MAX - 15}, 4, IKAT_INVALID, IKAT_MESSAGE_BUFFER},
        {{"out", good, 8}, 4, IKAT_INVALID, IKAT_MESSAGE_BUFFER},
        {{"out", foreign, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_BUFFER},
        {{"lse", good, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME},
        {{"q", good, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_TWICE},
        {{NULL, good, 0}, 4, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT},
        {{"out", good, 0}, 3, IKAT_INVALID, IKAT_MESSAGE_MISSING},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ikat_binding tensors[] = {{"q", good, 0}, {"k", good, 0}, {"v", good, 0}, rows[i].last};
        ikat_bindings_params params = {.tensors = tensors, .num_tensors = rows[i].num};
        ikat_bindings *bindings;
        assert_int_equal(ikat_bindings_create(plan, &params, &bindings), rows[i].status);
        if (rows[i].status) {
            assert_null(bindings);
            assert_int_equal(f.messages.last_id, rows[i].id);
        } else {
            assert_int_equal(ikat_plan_run(plan, bindings), IKAT_OK);
            assert_int_equal(ikat_plan_submit(plan, bindings, 1, 0, NULL), IKAT_INVALID);
            assert_int_equal(ikat_plan_submit(plan, bindings, 0, 2, NULL), IKAT_INVALID);
        }
        ikat_bindings_destroy(&bindings);
    }
    ikat_buffer_destroy(&good);
    ikat_buffer_destroy(&small);
    ikat_buffer_destroy(&foreign);
    ikat_plan_destroy(&plan);
    close_null(&f);
    close_null(&other);
}

// A plan that is derived keeps the strides that its caller gave to an output, where they still fit.
static void derived_views_stay(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    dense_call call;
    dense_call_init(&call, 1, 2, 5, 8);
    dense_call_output(&call, "out");
    ikat_tensor view = ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 2, 5, 8);
    memcpy(view.strides, (int64_t[]){80, 8, 16, 1}, 4 * sizeof(int64_t));
    call.outputs[0].tensor = view;
    ikat_plan *plan = create(&f, &call), *derived;
    const ikat_argument same[] = {{"q", call.inputs[0].tensor, NULL}};
    assert_int_equal(ikat_plan_derive(plan, same, 1, &derived), IKAT_OK);
    ikat_tensor out;
    assert_int_equal(ikat_plan_get_tensor(derived, "out", &out), IKAT_OK);
    assert_memory_equal(out.strides, view.strides, 4 * sizeof(int64_t));
    ikat_plan_destroy(&derived);
    const ikat_tensor shorter = ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 2, 4, 8);
    const ikat_argument changed[] = {
        {"q", shorter, NULL}, {"k", shorter, NULL}, {"v", shorter, NULL}, {"out", shorter, NULL}};
    assert_int_equal(ikat_plan_derive(plan, changed, 3, &derived), IKAT_INVALID);
    assert_int_equal(f.messages.last_id, IKAT_MESSAGE_SHAPE);
    assert_int_equal(ikat_plan_derive(plan, changed, 4, &derived), IKAT_OK);
    ikat_plan_destroy(&derived);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

static void unknown_tickets_are_refused(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    bool complete = true;
    assert_int_equal(ikat_device_wait(f.device, 0, UINT64_MAX, &complete), IKAT_OK);
    assert_int_equal(ikat_device_wait(f.device, 1, UINT64_MAX, &complete), IKAT_INVALID);
    assert_false(complete);
    assert_int_equal(f.messages.last_id, IKAT_MESSAGE_RANGE);
    close_null(&f);
}

// Limits that no tensor of the call exceeds, but something that the plan makes.
static void limits_hold_for_all(void **state) {
    (void)state;
    enum { N = 512 };
    static int32_t mask[N * N];
    const struct {
        const char *limits;
        bool masked;
    } rows[] = {{"buffers=2", false}, {"buffer=256", false}, {"range=20480,texel=0", true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture f;
        open_null(&f, rows[i].limits);
        dense_call call;
        dense_call_init(&call, 1, 1, rows[i].masked ? N : 1, 8);
        if (rows[i].masked) { // a table of many pieces
            for (int j = 0; j < N * N; j++) {
                mask[j] = (uint32_t)j * 2654435761u >> 31 & 1u;
            }
            dense_call_input(&call, "block_mask", ikat_tensor_packed(IKAT_INT32, 3, 1, N, N, 0));
            call.inputs[3].values = mask;
            dense_call_setting(&call, ikat_setting_int("block_size", 1));
        } else { // keys are split, and their parts are in the workspace
            call.inputs[1].tensor.shape[2] = call.inputs[2].tensor.shape[2] = 200000;
        }
        ikat_plan *plan;
        assert_int_equal(ikat_plan_create(f.device, &call.params, &plan), IKAT_UNSUPPORTED);
        assert_null(plan);
        close_null(&f);
    }
}

static void forced_variants(void **state) {
    (void)state;
    fixture f;
    open_null(&f, NULL);
    const char *name;
    for (uint32_t i = 0; (name = ikat_variant_at("null", i)); i++) {
        dense_call call;
        dense_call_init(&call, 1, 2, 300, 32);
        call.params.variant = name;
        ikat_plan *plan;
        ikat_status status = ikat_plan_create(f.device, &call.params, &plan);
        if (!status && strncmp(name, "attend.", 7) == 0) {
            assert_string_equal(plan->lowering.steps[0].variant->full_name, name);
        } else if (status) {
            assert_int_equal(status, IKAT_UNSUPPORTED);
            assert_int_equal(f.messages.last_id, IKAT_MESSAGE_VARIANT);
        }
        ikat_plan_destroy(&plan);
    }
    assert_null(ikat_variant_at("cpu", 0));
    assert_null(ikat_variant_at("no such backend", 0));
    close_null(&f);
}

static void last_row_needs_nothing(void **state) {
    (void)state;
    fixture f;
    open_null(&f, "minimal");
    dense_call call;
    dense_call_init(&call, 1, 2, 9, 511);
    ikat_plan *plan = create(&f, &call);
    const ikati_variant *variant = plan->lowering.steps[0].variant;
    assert_true(variant->shared_bytes <= 16384 && variant->group_size <= 128 &&
                variant->subgroup_size == 0);
    ikat_plan_destroy(&plan);
    close_null(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hundred_lengths_compile_once),
        cmocka_unit_test(slices_cover_every_group),
        cmocka_unit_test(budget_changes_no_step),
        cmocka_unit_test(large_tensors_are_cut),
        cmocka_unit_test(workspace_is_disjoint),
        cmocka_unit_test(workspace_grows_with_n),
        cmocka_unit_test(bindings_refuse),
        cmocka_unit_test(derived_views_stay),
        cmocka_unit_test(unknown_tickets_are_refused),
        cmocka_unit_test(limits_hold_for_all),
        cmocka_unit_test(forced_variants),
        cmocka_unit_test(last_row_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
