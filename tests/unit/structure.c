// Structure inputs, among them head_mask, and settings of list and word types: what is refused.
// Those and rows: who owns the values, what a derived call keeps.

#include "recorder.h"
#include "scarce.h"

#include "src/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 3, N = 5, D = 4 };

// A call of longformer with a mask and a dilation a head, of which two rows are wanted.
typedef struct call {
    int32_t mask[B * N];
    ikat_argument inputs[8];
    ikat_setting settings[8];
    int64_t rows[2];
    ikat_plan_params params;
} call;

static const int64_t dilations[H] = {1, 2, 4};

static void make_call(call *c) {
    const ikat_tensor shape = ikat_tensor_packed(IKAT_FLOAT32, 4, B, H, N, D);
    memset(c, 0, sizeof(*c));
    c->mask[1] = c->mask[N + 3] = 1;
    c->inputs[0] = (ikat_argument){"q", shape, NULL};
    c->inputs[1] = (ikat_argument){"k", shape, NULL};
    c->inputs[2] = (ikat_argument){"v", shape, NULL};
    c->inputs[3] =
        (ikat_argument){"global_mask", ikat_tensor_packed(IKAT_INT32, 2, B, N, 0, 0), c->mask};
    c->settings[0] = ikat_setting_integers("dilation", dilations, H);
    c->rows[1] = N - 1;
    c->params = (ikat_plan_params){.mechanism = "longformer",
                                   .inputs = c->inputs,
                                   .num_inputs = 4,
                                   .settings = c->settings,
                                   .num_settings = 1,
                                   .rows = c->rows,
                                   .num_rows = 2};
}

static void expect_refused(const call *c, ikat_message_id id, const char *named) {
    scarce r;
    ikati_request request;
    scarce_open(&r);
    assert_int_equal(ikati_request_create(&r.host, &c->params, &request), IKAT_INVALID);
    if (r.id != id || !strstr(r.text, named)) {
        fail_msg("message %d '%s', expected %d that names '%s'", (int)r.id, r.text, (int)id, named);
    }
    assert_int_equal(r.num_live, 0);
}

static void refused_inputs(void **state) {
    (void)state;
    call c;
    make_call(&c);
    c.mask[7] = 2;
    expect_refused(&c, IKAT_MESSAGE_RANGE, "global_mask");
    c.mask[7] = -1;
    expect_refused(&c, IKAT_MESSAGE_RANGE, "element 7");
    make_call(&c);
    c.inputs[3].values = NULL;
    expect_refused(&c, IKAT_MESSAGE_NULL_ARGUMENT, "global_mask");
    make_call(&c);
    c.inputs[0].values = c.mask;
    expect_refused(&c, IKAT_MESSAGE_BUFFER, "q");
    make_call(&c);
    c.inputs[3].tensor.strides[0] = N + 1;
    c.inputs[3].tensor.strides[1] = 1;
    expect_refused(&c, IKAT_MESSAGE_STRIDE, "global_mask");
    make_call(&c);
    c.inputs[3].tensor.offset = 1;
    expect_refused(&c, IKAT_MESSAGE_STRIDE, "global_mask");
    make_call(&c);
    c.inputs[3].tensor.dtype = IKAT_INT8;
    expect_refused(&c, IKAT_MESSAGE_DTYPE, "global_mask");
    make_call(&c);
    c.inputs[3].tensor.shape[1] = N - 1;
    expect_refused(&c, IKAT_MESSAGE_SHAPE, "global_mask");
}

static void refused_lists(void **state) {
    (void)state;
    static const int64_t zero[] = {1, 0, 1};
    const struct {
        ikat_setting setting;
        ikat_message_id id;
    } bad[] = {
        {ikat_setting_integers("dilation", dilations, 2), IKAT_MESSAGE_RANGE},
        {ikat_setting_integers("dilation", dilations, 0), IKAT_MESSAGE_RANGE},
        {ikat_setting_integers("dilation", NULL, 1), IKAT_MESSAGE_NULL_ARGUMENT},
        {ikat_setting_integers("dilation", zero, 3), IKAT_MESSAGE_RANGE},
        {ikat_setting_integers("window", dilations, 1), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("dilation", ""), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("dilation", "1,,2"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("dilation", "1,2,"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("dilation", "1, 2,3"), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("dilation", "1,2,3,4"), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("dilation", "1,2,0"), IKAT_MESSAGE_RANGE},
        {ikat_setting_text("dilation", NULL), IKAT_MESSAGE_NULL_ARGUMENT},
        {ikat_setting_int("dilation", 0), IKAT_MESSAGE_RANGE},
        {ikat_setting_float("dilation", 1), IKAT_MESSAGE_SYNTAX},
        {ikat_setting_text("window", "1,2"), IKAT_MESSAGE_SYNTAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        call c;
        make_call(&c);
        c.settings[0] = bad[i].setting;
        expect_refused(&c, bad[i].id, bad[i].setting.name);
    }
}

static void expect_dilations(const ikati_request *request, const int64_t *expected) {
    const ikati_call_setting *setting = ikati_setting(request, "dilation");
    for (int64_t h = 0; h < H; h++) {
        assert_int_equal(ikati_setting_item(setting, h), expected[h]);
    }
}

static void lists(void **state) {
    (void)state;
    static const int64_t ones[H] = {1, 1, 1}, threes[H] = {3, 3, 3};
    call c;
    scarce r;
    ikati_request request;
    const struct {
        ikat_setting setting;
        const int64_t *expected;
    } good[] = {
        {ikat_setting_integers("dilation", dilations, H), dilations},
        {ikat_setting_text("dilation", "1,2,4"), dilations},
        {ikat_setting_text("dilation", "3"), threes},
        {ikat_setting_int("dilation", 3), threes},
        {ikat_setting_int("window", 2), ones},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        scarce_open(&r);
        make_call(&c);
        c.settings[0] = good[i].setting;
        assert_int_equal(ikati_request_create(&r.host, &c.params, &request), IKAT_OK);
        expect_dilations(&request, good[i].expected);
        ikati_request_clear(&request);
        assert_int_equal(r.num_live, 0);
    }
}

// The request has copies; what is derived has its own, changed or not.
static void ownership(void **state) {
    (void)state;
    call c;
    scarce r;
    ikati_request first, second, third;
    scarce_open(&r);
    make_call(&c);
    assert_int_equal(ikati_request_create(&r.host, &c.params, &first), IKAT_OK);
    c.mask[0] = 1;
    c.rows[1] = 1;
    const ikat_argument changed = c.inputs[3];
    assert_int_equal(ikati_request_derive(&first, &changed, 1, &second), IKAT_OK);
    assert_int_equal(ikati_request_derive(&first, NULL, 0, &third), IKAT_OK);
    assert_int_equal(ikati_structure(&first, "global_mask")[0], 0);
    ikati_request_clear(&first);
    c.mask[0] = 0;
    assert_int_equal(ikati_structure(&second, "global_mask")[0], 1);
    assert_int_equal(ikati_structure(&third, "global_mask")[0], 0);
    assert_int_equal(ikati_structure(&third, "global_mask")[1], 1);
    expect_dilations(&second, dilations);
    expect_dilations(&third, dilations);
    assert_int_equal(third.num_rows, 2);
    assert_int_equal(third.rows[1], N - 1);
    // A change that is refused leaves nothing behind.
    ikat_argument bad = changed;
    bad.values = NULL;
    assert_int_equal(ikati_request_derive(&third, &bad, 1, &first), IKAT_INVALID);
    bad = (ikat_argument){"q", c.inputs[0].tensor, c.mask};
    assert_int_equal(ikati_request_derive(&third, &bad, 1, &first), IKAT_INVALID);
    bad = (ikat_argument){"q", ikat_tensor_packed(IKAT_FLOAT32, 4, B, H, N + 1, D), NULL};
    assert_int_equal(ikati_request_derive(&third, &bad, 1, &first), IKAT_INVALID);
    ikati_request_clear(&second);
    ikati_request_clear(&third);
    assert_int_equal(r.num_live, 0);
}

static void out_of_memory(void **state) {
    (void)state;
    ikat_status status = IKAT_NO_MEMORY;
    for (int64_t number = 0; status == IKAT_NO_MEMORY; number++) {
        call c;
        scarce r;
        ikati_request request, derived;
        make_call(&c);
        scarce_open(&r);
        r.num_left = number;
        status = ikati_request_create(&r.host, &c.params, &request);
        if (!status) {
            status = ikati_request_derive(&request, NULL, 0, &derived);
            ikati_request_clear(&request);
        }
        if (!status) {
            ikati_request_clear(&derived);
        }
        assert_int_equal(r.num_live, 0);
    }
    assert_int_equal(status, IKAT_OK);
}

// Words: typed or as text.
static void words(void **state) {
    (void)state;
    const struct {
        ikat_setting setting;
        int64_t place; // of the word; -1: refused
    } settings[] = {
        {ikat_setting_word("head_mode", "merged"), 0},
        {ikat_setting_text("head_mode", "second"), 3},
        {ikat_setting_word("head_mode", "Merged"), -1},
        {ikat_setting_text("head_mode", ""), -1},
        {ikat_setting_word("head_mode", NULL), -1},
        {ikat_setting_int("head_mode", 0), -1},
        {ikat_setting_float("head_mode", 0), -1},
        {ikat_setting_integers("head_mode", dilations, 1), -1},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        call c;
        scarce r;
        ikati_request request;
        make_call(&c);
        scarce_open(&r);
        c.params.mechanism = "sparse";
        c.params.num_inputs = 3;
        c.settings[0] = settings[i].setting;
        const ikat_status status = ikati_request_create(&r.host, &c.params, &request);
        assert_int_equal(status, settings[i].place < 0 ? IKAT_INVALID : IKAT_OK);
        if (!status) {
            const ikati_call_setting *setting = ikati_setting(&request, "head_mode");
            assert_int_equal(setting->integer, settings[i].place);
            assert_string_equal(setting->word, settings[i].setting.value.text);
            assert_int_equal(ikati_setting(&request, "pattern")->integer, 0); // the default
            ikati_request_clear(&request);
        }
        assert_int_equal(r.num_live, 0);
    }
}

// Pruned heads are not computed.
static void head_mask_on_devices(void **state) {
    (void)state;
    static const int32_t mask[H] = {1, 0, 1}, fewer[H] = {1, 0, 0};
    recorder messages;
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
    call c;
    recorder_open(&messages, "null", NULL, &context, &device);
    make_call(&c);
    c.params.mechanism = "dense";
    c.params.num_settings = 0;
    c.inputs[3] = (ikat_argument){"head_mask", ikat_tensor_packed(IKAT_INT32, 1, H, 0, 0, 0), mask};
    ikat_plan_info one_pruned, two_pruned;
    assert_int_equal(ikat_plan_create(device, &c.params, &plan), IKAT_OK);
    ikat_plan_get_info(plan, &one_pruned);
    ikat_plan_destroy(&plan);
    c.inputs[3].values = fewer;
    assert_int_equal(ikat_plan_create(device, &c.params, &plan), IKAT_OK);
    ikat_plan_get_info(plan, &two_pruned);
    ikat_plan_destroy(&plan);
    assert_true(two_pruned.computed_pairs > 0);
    assert_true(one_pruned.computed_pairs == 2 * two_pruned.computed_pairs);
    ikat_device_destroy(&device);
    ikat_context_destroy(&context);
}

// Inputs that the library adds come after a mechanism's own.
static void added_inputs(void **state) {
    (void)state;
    const ikat_mechanism_info *dense = ikat_mechanism_find("dense");
    const ikat_argument_info *input = ikat_mechanism_input(dense, dense->num_inputs);
    assert_non_null(input);
    assert_string_equal(input->name, "head_mask");
    assert_ptr_equal(ikat_mechanism_find_input(dense, "head_mask"), input);
    assert_ptr_equal(ikat_mechanism_find_input(dense, "k"), &dense->inputs[1]);
    assert_null(ikat_mechanism_input(dense, dense->num_inputs + 1));
    assert_null(ikat_mechanism_input(dense, UINT32_MAX));
    assert_null(ikat_mechanism_find_input(dense, "keys"));
}

static bool has_cpu(void) {
    ikat_context *context = NULL;
    uint32_t count = 0;
    assert_int_equal(ikat_context_create(NULL, &context), IKAT_OK);
    const bool found = ikat_device_count(context, "cpu", &count) == IKAT_OK && count > 0;
    ikat_context_destroy(&context);
    return found;
}

// Part of the plan, so no binding.
static void not_bound(void **state) {
    (void)state;
    recorder messages;
    ikat_context *context;
    ikat_device *device;
    ikat_buffer *buffer;
    ikat_plan *plan;
    ikat_bindings *bindings;
    call c;
    if (!has_cpu()) {
        skip(); // this build has no `cpu`
    }
    recorder_open(&messages, "cpu", NULL, &context, &device);
    make_call(&c);
    assert_int_equal(ikat_plan_create(device, &c.params, &plan), IKAT_OK);
    assert_int_equal(ikat_buffer_create(device, 4096, &buffer), IKAT_OK);
    const ikat_binding tensors[] = {{"q", buffer, 0},
                                    {"k", buffer, 0},
                                    {"v", buffer, 0},
                                    {"out", buffer, 2048},
                                    {"global_mask", buffer, 0}};
    ikat_bindings_params params = {.tensors = tensors, .num_tensors = 5};
    assert_int_equal(ikat_bindings_create(plan, &params, &bindings), IKAT_INVALID);
    assert_int_equal(messages.last_id, IKAT_MESSAGE_BUFFER);
    params.num_tensors = 4;
    assert_int_equal(ikat_bindings_create(plan, &params, &bindings), IKAT_OK);
    assert_int_equal(ikat_plan_run(plan, bindings), IKAT_OK);
    ikat_bindings_destroy(&bindings);
    ikat_plan_destroy(&plan);
    ikat_buffer_destroy(&buffer);
    ikat_device_destroy(&device);
    ikat_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_inputs),
        cmocka_unit_test(refused_lists),
        cmocka_unit_test(lists),
        cmocka_unit_test(words),
        cmocka_unit_test(ownership),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(head_mask_on_devices),
        cmocka_unit_test(added_inputs),
        cmocka_unit_test(not_bound),
    };
    return cmocka_run_group_tests_name("structure", tests, NULL, NULL);
}
