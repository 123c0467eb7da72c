// What ETC is lowered to: which steps there are, and what memory they take.

#include "recorder.h"

#include <ikat/ikat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { H = 4, N = 4096, G = 16, D = 64, R = 27, MAX_INPUTS = 12 };

static const char *const all_outputs[] = {"out", "lse", "out_global", "lse_global"};

typedef struct call {
    ikat_argument inputs[MAX_INPUTS];
    uint32_t num_inputs;
    ikat_setting settings[2];
    uint32_t num_settings;
    ikat_argument outputs[4];
    uint32_t num_outputs;
} call;

static void add(call *c, const char *name, ikat_tensor tensor) {
    c->inputs[c->num_inputs++] = (ikat_argument){name, tensor, NULL};
}

static ikat_tensor floats(int64_t positions) {
    return ikat_tensor_packed(IKAT_FLOAT32, 4, 1, H, positions, D);
}

static call begin(uint32_t num_outputs) {
    call c = {.num_outputs = num_outputs};
    add(&c, "q", floats(N));
    add(&c, "k", floats(N));
    add(&c, "v", floats(N));
    add(&c, "q_global", floats(G));
    add(&c, "k_global", floats(G));
    add(&c, "v_global", floats(G));
    for (uint32_t i = 0; i < num_outputs; i++) {
        c.outputs[i].name = all_outputs[i];
    }
    return c;
}

static void add_table(call *c) {
    add(c, "rel_key", ikat_tensor_packed(IKAT_FLOAT32, 3, R, H, D, 0));
}

typedef struct plan_facts {
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
    ikat_plan_info info;
} plan_facts;

static plan_facts make_plan(const call *c) {
    plan_facts f = {0};
    static recorder messages;
    const ikat_plan_params params = {
        .mechanism = "etc",
        .inputs = c->inputs,
        .num_inputs = c->num_inputs,
        .settings = c->settings,
        .num_settings = c->num_settings,
        .outputs = c->outputs,
        .num_outputs = c->num_outputs,
    };
    recorder_open(&messages, "null", NULL, &f.context, &f.device);
    assert_int_equal(ikat_plan_create(f.device, &params, &f.plan), IKAT_OK);
    ikat_plan_get_info(f.plan, &f.info);
    return f;
}

// Steps of a kernel whose names hold an option.
static uint32_t count_steps(const plan_facts *f, const char *kernel, const char *option) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->info.num_steps; i++) {
        ikat_step_info step;
        assert_int_equal(ikat_plan_get_step(f->plan, i, &step), IKAT_OK);
        count += strncmp(step.kernel, kernel, strlen(kernel)) == 0 && strstr(step.kernel, option);
    }
    return count;
}

static void drop_plan(plan_facts *f) {
    ikat_plan_destroy(&f->plan);
    ikat_device_destroy(&f->device);
    ikat_context_destroy(&f->context);
}

// Four pieces, two of them a row's, one merge a side; scores of labels once a side.
static void pieces_are_merged(void **state) {
    (void)state;
    call c = begin(4);
    add_table(&c);
    plan_facts f = make_plan(&c);
    assert_int_equal(count_steps(&f, "label_scores", ""), 2);
    assert_int_equal(count_steps(&f, "attend", ".labels"), 4);
    assert_int_equal(count_steps(&f, "attend", ".window"), 1);
    assert_int_equal(count_steps(&f, "merge", ""), 2);
    assert_int_equal(count_steps(&f, "edges", ""), 0);
    drop_plan(&f);
}

static void unwanted_rows_are_left_out(void **state) {
    (void)state;
    call c = begin(2);
    plan_facts f = make_plan(&c);
    assert_int_equal(f.info.num_steps, 3);
    assert_int_equal(count_steps(&f, "attend", ".labels"), 0);
    drop_plan(&f);
}

// A global row's long keys are shared out, a long row's few are not.
static void long_keys_are_split(void **state) {
    (void)state;
    call c = begin(4);
    plan_facts f = make_plan(&c);
    uint64_t most = 0;
    for (uint32_t i = 0; i < f.info.num_steps; i++) {
        ikat_step_info step;
        assert_int_equal(ikat_plan_get_step(f.plan, i, &step), IKAT_OK);
        const bool global = i > 2 && strncmp(step.kernel, "attend", 6) == 0;
        most = global && step.num_groups > most ? step.num_groups : most;
    }
    assert_true(most > H); // one tile a head
    drop_plan(&f);
}

// Labels are read in place, segments too; a mask makes words, as many as it has, but one batch entry's.
static void words_of_pairs(void **state) {
    (void)state;
    call plain = begin(2), given = begin(2), hard = begin(2), masked = begin(2);
    add_table(&plain);
    add_table(&given);
    add(&given, "labels_l2g", ikat_tensor_packed(IKAT_INT32, 3, 1, N, G, 0));
    add(&hard, "segment_ids", ikat_tensor_packed(IKAT_INT32, 2, 1, N, 0, 0));
    hard.settings[hard.num_settings++] = ikat_setting_text("hard_l2g", "1");
    add(&masked, "mask_l2g", ikat_tensor_packed(IKAT_INT32, 3, 1, N, G, 0));
    plan_facts f[4] = {make_plan(&plain), make_plan(&given), make_plan(&hard), make_plan(&masked)};
    assert_int_equal(f[0].info.workspace_bytes, f[1].info.workspace_bytes);
    assert_int_equal(count_steps(&f[1], "attend", ".edges"), 1);
    assert_int_equal(count_steps(&f[2], "attend", ".segments.hard"), 1);
    assert_int_equal(count_steps(&f[3], "edges", ""), 1);
    assert_true(f[3].info.workspace_bytes <= f[2].info.workspace_bytes + N * G * 4 + 1024);
    for (int i = 0; i < 4; i++) {
        drop_plan(&f[i]);
    }
}

// Both inputs are one picture, the global tokens first; but not where the device decides who sees whom.
static void plain_pairs_are_shown(void **state) {
    (void)state;
    call plain = begin(2), hard = begin(2);
    add(&hard, "segment_ids", ikat_tensor_packed(IKAT_INT32, 2, 1, N, 0, 0));
    hard.settings[hard.num_settings++] = ikat_setting_text("hard_l2g", "1");
    plan_facts f[2] = {make_plan(&plain), make_plan(&hard)};
    ikat_plan_pairs pairs;
    assert_int_equal(ikat_plan_get_pairs(f[0].plan, &pairs), IKAT_OK);
    assert_int_equal(pairs.num_queries, G + N);
    assert_int_equal(pairs.num_keys, G + N);
    uint8_t keys[G + N];
    assert_int_equal(ikat_plan_get_row(f[0].plan, 0, 0, G, keys, NULL), IKAT_OK);
    assert_int_equal(keys[0], IKAT_PAIR_VISIBLE);
    assert_int_equal(keys[G], IKAT_PAIR_VISIBLE);
    assert_int_not_equal(keys[G + N - 1], IKAT_PAIR_VISIBLE);
    assert_int_equal(ikat_plan_get_pairs(f[1].plan, &pairs), IKAT_UNSUPPORTED);
    drop_plan(&f[0]);
    drop_plan(&f[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_merged),     cmocka_unit_test(unwanted_rows_are_left_out),
        cmocka_unit_test(long_keys_are_split),   cmocka_unit_test(words_of_pairs),
        cmocka_unit_test(plain_pairs_are_shown),
    };
    return cmocka_run_group_tests_name("etc", tests, NULL, NULL);
}
