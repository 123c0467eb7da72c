// What is read back from the steps of a plan is what the mechanism's page says: every example and
// calls drawn at random, on device null.

#include "visible.h"

#include "call.h"
#include "recorder.h"
#include "src/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUM_RANDOM = 20 };

static char current[1024];
static ikat_device *device;

// The page's words are of queries; a shifted result has them in another row. Heads that are pruned
// see nothing.
static bool expects(const patterned *mechanism, const ikati_request *request,
                    const ikati_patterns *shift, int64_t b, int64_t h, int64_t i, int64_t j) {
    const int32_t *kept = ikati_structure(request, "head_mask");
    if (shift->shift_stride) {
        if (i / shift->shift_stride % shift->shift_extent == 0) {
            return false;
        }
        i -= shift->shift_stride;
    }
    return (!kept || kept[h]) && mechanism->sees(request, b, h, i, j);
}

static void expect_row(const patterned *mechanism, const ikat_plan *plan,
                       const ikati_patterns *shift, uint32_t batch, uint32_t head, uint32_t query,
                       const ikat_plan_pairs *pairs) {
    uint8_t *keys = malloc(pairs->num_keys);
    uint32_t *tiles = malloc(pairs->num_keys * sizeof(*tiles));
    assert_int_equal(ikat_plan_get_row(plan, batch, head, query, keys, tiles), IKAT_OK);
    for (uint32_t key = 0; key < pairs->num_keys; key++) {
        const bool expected = expects(mechanism, &plan->request, shift, batch, head, query, key);
        if ((keys[key] == IKAT_PAIR_VISIBLE) != expected ||
            (keys[key] == IKAT_PAIR_NONE) != (tiles[key] == 0)) {
            fail_msg("%s: batch %u, head %u, query %u, key %u: %d in tile %u, expected it %s",
                     current, batch, head, query, key, keys[key], tiles[key],
                     expected ? "visible" : "not to be");
        }
    }
    free(keys);
    free(tiles);
}

// Returns how many rows there are: calls without positions have none.
static uint32_t expect_rows(const patterned *mechanism, const ikat_plan *plan) {
    const uint32_t positions = (uint32_t)ikati_extent(&plan->request, "N");
    const uint32_t batches = (uint32_t)ikati_extent(&plan->request, "B");
    ikat_plan_pairs pairs;
    if (!positions || !batches) {
        assert_int_equal(ikat_plan_get_pairs(plan, &pairs), IKAT_UNSUPPORTED);
        return 0;
    }
    assert_int_equal(ikat_plan_get_pairs(plan, &pairs), IKAT_OK);
    assert_int_equal(pairs.num_queries, positions);
    assert_int_equal(pairs.num_batches, batches);
    assert_int_equal(pairs.num_heads, ikati_extent(&plan->request, "H"));
    ikati_patterns shift = {0};
    ikat_status (*const make)(const ikati_request *, ikati_patterns *) =
        plan->request.mechanism->patterns;
    if (make) {
        assert_int_equal(make(&plan->request, &shift), IKAT_OK);
    }
    // Of long calls every third row: three divides no tile's height.
    const uint32_t step = positions > 100 ? 3 : 1;
    for (uint32_t i = 0; i < batches * pairs.num_heads * positions; i += step) {
        expect_row(mechanism, plan, &shift, i / positions / pairs.num_heads,
                   i / positions % pairs.num_heads, i % positions, &pairs);
    }
    if (make) {
        ikati_patterns_free(&shift);
    }
    return batches * pairs.num_heads * positions;
}

static uint32_t check_call(const patterned *mechanism, const char *inputs, const char *settings) {
    drawn_call call;
    snprintf(current, sizeof(current), "%s %.800s %.200s", mechanism->name, inputs, settings);
    drawn_call_make(mechanism->name, inputs, settings, &call);
    ikat_plan *plan;
    if (ikat_plan_create(device, &call.params, &plan)) {
        fail_msg("refused: %s", current);
    }
    const uint32_t num_rows = expect_rows(mechanism, plan);
    ikat_plan_destroy(&plan);
    drawn_call_free(&call);
    return num_rows;
}

static void test_examples(void **state) {
    const patterned *mechanism = *state;
    uint32_t num, num_rows = 0;
    const ikat_mechanism_case *examples = ikat_mechanism_cases(mechanism->name, &num);
    for (uint32_t i = 0; i < num; i++) {
        if (strncmp(examples[i].name, "large_", 6) != 0) {
            num_rows += check_call(mechanism, examples[i].inputs, examples[i].settings);
        }
    }
    assert_true(num_rows > 0);
}

static void test_random(void **state) {
    const patterned *mechanism = *state;
    for (uint32_t seed = 0; seed < NUM_RANDOM; seed++) {
        char inputs[4096] = "", settings[512] = "";
        mechanism->draw(seed * 7919 + 3, inputs, settings, sizeof(settings));
        check_call(mechanism, inputs, settings);
    }
}

// More keys than queries and the other way round; windows that some rows see nothing of.
static void test_dense(void **state) {
    static const patterned dense = {"dense", dense_sees, dense_draw};
    static const char *const inputs[] = {
        "q=1,2,150,16 k=1,2,150,16 v=1,2,150,16",
        "q=2,1,70,16 k=2,1,333,16 v=2,1,333,16",
        "q=1,1,200,16 k=1,1,50,16 v=1,1,50,16",
        "q=1,1,1,64 k=1,1,2000,64 v=1,1,2000,64",
        "q=1,3,90,16 k=1,3,90,16 v=1,3,90,16 head_mask=3@1,0,1",
    };
    static const char *const settings[] = {"", "causal=1", "window_left=9 window_right=3",
                                           "window_left=0", "window_left=20 causal=1"};
    (void)state;
    for (uint32_t i = 0; i < 25; i++) {
        assert_true(check_call(&dense, inputs[i / 5], settings[i % 5]) > 0);
    }
}

static void test_refusals(void **state) {
    (void)state;
    dense_call call;
    ikat_plan *plan;
    uint8_t keys[8];
    dense_call_init(&call, 1, 2, 8, 16);
    assert_int_equal(ikat_plan_create(device, &call.params, &plan), IKAT_OK);
    assert_int_equal(ikat_plan_get_row(plan, 0, 1, 7, keys, NULL), IKAT_OK);
    assert_int_equal(ikat_plan_get_row(plan, 1, 0, 0, keys, NULL), IKAT_INVALID);
    assert_int_equal(ikat_plan_get_row(plan, 0, 2, 0, keys, NULL), IKAT_INVALID);
    assert_int_equal(ikat_plan_get_row(plan, 0, 0, 8, keys, NULL), IKAT_INVALID);
    ikat_plan_destroy(&plan);
}

int main(void) {
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_refusals),
    };
    char names[64][64];
    uint32_t num = 2;
    for (uint32_t i = 0; i < 2 * num_patterned_mechanisms; i++, num++) {
        const patterned *mechanism = &patterned_mechanisms[i / 2];
        snprintf(names[num], sizeof(names[num]), "%s %s", mechanism->name,
                 i % 2 ? "random" : "examples");
        tests[num] = (struct CMUnitTest){
            .name = names[num],
            .test_func = i % 2 ? test_random : test_examples,
            .initial_state = (void *)(uintptr_t)mechanism,
        };
    }
    recorder messages;
    ikat_context *context;
    recorder_open(&messages, "null", NULL, &context, &device);
    const int failed = _cmocka_run_group_tests("rows", tests, num, NULL, NULL);
    ikat_device_destroy(&device);
    ikat_context_destroy(&context);
    return failed;
}
