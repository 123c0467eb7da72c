// The harness of `ikat check` itself: it sees what it must see.

#include "compare.h"
#include "harness.h"
#include "sample.h"
#include "values.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_compare(void **state) {
    (void)state;
    const ikat_tensor shape = ikat_tensor_packed(IKAT_FLOAT32, 2, 2, 2, 0, 0);
    const float expected[4] = {1, -INFINITY, NAN, 2};
    float got[4] = {1, -INFINITY, NAN, 2};
    cli_comparison result;
    compare_arrays(&shape, got, IKAT_FLOAT32, expected, 1e-6, &result);
    assert_true(result.passed && result.error == 0);
    got[3] = 2.5f;
    compare_arrays(&shape, got, IKAT_FLOAT32, expected, 1e-6, &result);
    assert_false(result.passed);
    assert_int_equal(result.worst[0], 1);
    assert_int_equal(result.worst[1], 1);
    assert_true(fabs(result.error - 0.5 / sqrt(5)) < 1e-12);
    // A number for a NaN, a NaN for a number, an infinity of the other sign: none is a matter of
    // tolerance.
    static const float wrong[][4] = {
        {1, -INFINITY, 0, 2}, {1, -INFINITY, NAN, NAN}, {1, INFINITY, NAN, 2}, {1, -3e38f, NAN, 2}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        compare_arrays(&shape, wrong[i], IKAT_FLOAT32, expected, 1e9, &result);
        assert_false(result.passed);
    }
    // Where all should be 0, the error is absolute.
    const float zeros[4] = {0}, small[4] = {0, 0, 1e-3f, 0};
    compare_arrays(&shape, small, IKAT_FLOAT32, zeros, 1e-4, &result);
    assert_false(result.passed);
}

// Every byte of an output's buffer is either an element or guarded, in every layout.
static void test_guards(void **state) {
    (void)state;
    const ikat_tensor shape = ikat_tensor_packed(IKAT_FLOAT16, 4, 2, 3, 5, 7);
    for (int layout = 0; layout < NUM_LAYOUTS; layout++) {
        cli_job job = {.num_tensors = 0};
        uint64_t byte, num_guarded = 0;
        layout_output(&job, "out", &shape, (cli_layout)layout);
        job_image *image = &job.images[0];
        assert_true(layout_guards_intact(&job, &job.tensors[0], &byte));
        for (uint64_t i = 0; i < image->size_bytes; i++) {
            image->bytes[i] ^= 1;
            if (!layout_guards_intact(&job, &job.tensors[0], &byte)) {
                assert_int_equal(byte, i);
                num_guarded++;
            }
            image->bytes[i] ^= 1;
        }
        assert_int_equal(num_guarded + 2 * tensor_count(&shape), image->size_bytes);
        assert_true(num_guarded >= 256);
        job_free(&job);
    }
}

// Over some examples every pair of type, fill and layout occurs.
static void test_pairs(void **state) {
    (void)state;
    const ikat_mechanism_case example = {"", "q=1 lengths=1", "", ""};
    bool fills[2][NUM_FILLS] = {{false}}, layouts[2][NUM_LAYOUTS] = {{false}};
    bool both[NUM_FILLS][NUM_LAYOUTS] = {{false}};
    for (uint32_t index = 0; index < 6; index++) {
        cli_variation rows[HARNESS_MAX_VARIATIONS];
        uint32_t num = harness_variations(&example, index, false, rows);
        assert_int_equal(num, NUM_FILLS);
        for (uint32_t i = 0; i < num; i++) {
            fills[rows[i].dtype == IKAT_FLOAT16][rows[i].fill] = true;
            layouts[rows[i].dtype == IKAT_FLOAT16][rows[i].layout] = true;
            both[rows[i].fill][rows[i].layout] = true;
        }
    }
    for (int fill = 0; fill < NUM_FILLS; fill++) {
        assert_true(fills[0][fill] && fills[1][fill]);
        for (int layout = 0; layout < NUM_LAYOUTS; layout++) {
            assert_true(both[fill][layout] && layouts[0][layout] && layouts[1][layout]);
        }
    }
}

static void test_variant_names(void **state) {
    (void)state;
    const char *kernels = "heads.f32.any attend.f16.lane_d64.window.lse";
    assert_true(harness_takes_variant(kernels, "attend.lane_d64"));
    assert_true(harness_takes_variant(kernels, "heads.any"));
    assert_false(harness_takes_variant(kernels, "attend.lane_d6"));
    assert_false(harness_takes_variant(kernels, "attend.lane_d64_texel"));
    assert_false(harness_takes_variant(kernels, "merge.any"));
    assert_false(harness_takes_variant("", "merge.any"));
}

static void test_letters(void **state) {
    (void)state;
    cli_letters letters = {.num = 0};
    cli_pattern pattern;
    double minimum, maximum;
    const ikat_tensor k = ikat_tensor_packed(IKAT_FLOAT32, 4, 1, 2, 30, 4);
    letters_learn(&letters, "[B,Hkv,M,D]", &k);
    assert_true(letters_range(&letters, "0..M", &minimum, &maximum));
    assert_true(minimum == 0 && maximum == 30);
    assert_true(letters_range(&letters, "-1..M-1", &minimum, &maximum));
    assert_true(minimum == -1 && maximum == 29);
    assert_false(letters_range(&letters, "0..N", &minimum, &maximum));
    assert_false(letters_range(&letters, "", &minimum, &maximum));
    assert_true(pattern_read("[H] or [B,H]", 2, &pattern));
    assert_int_equal(pattern_axis(&pattern, "H"), 1);
    assert_true(pattern_read("[B or 1,H or 1,N,M]", 4, &pattern));
    assert_int_equal(pattern.axes[0].num_words, 2);
    assert_int_equal(pattern_axis(&pattern, "M"), 3);
    assert_false(pattern_read("[H] or [B,H]", 3, &pattern));
}

// Poison lies where lengths say, and nowhere else.
static void test_poison(void **state) {
    (void)state;
    cli_drawing drawing;
    char message[256];
    const ikat_mechanism_info *info = ikat_mechanism_find("dense");
    assert_true(drawing_make(info, "q=2,1,3,2 k=2,1,3,2 v=2,1,3,2 lengths=2@3,1", "", IKAT_FLOAT32,
                             FILL_POISONED, 1, &drawing, message, sizeof(message)));
    for (uint32_t i = 0; i < 3; i++) {
        for (uint64_t element = 0; element < 12; element++) {
            double value = value_load(IKAT_FLOAT32, drawing.inputs[i].data, element);
            assert_int_equal(isnan(value), element >= 8);
        }
    }
    drawing_free(&drawing);
    assert_false(drawing_make(info, "q=2,1,x", "", IKAT_FLOAT32, FILL_RANDOM, 1, &drawing, message,
                              sizeof(message)));
    assert_false(drawing_make(info, "q=2", "causal", IKAT_FLOAT32, FILL_RANDOM, 1, &drawing,
                              message, sizeof(message)));
}

static void test_given_values(void **state) {
    (void)state;
    static const char *const bad[] = {"lengths=4@1*", "lengths=4@2*0", "lengths=4@*2"};
    cli_drawing drawing;
    char message[256];
    const ikat_mechanism_info *info = ikat_mechanism_find("dense");
    assert_true(drawing_make(info, "lengths=8@5,0*3,1", "", IKAT_FLOAT32, FILL_RANDOM, 1, &drawing,
                             message, sizeof(message)));
    assert_memory_equal(drawing.inputs[0].data, ((int32_t[]){5, 0, 0, 0, 1, 5, 0, 0}), 32);
    drawing_free(&drawing);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(drawing_make(info, bad[i], "", IKAT_FLOAT32, FILL_RANDOM, 1, &drawing, message,
                                  sizeof(message)));
    }
}

// Changes the last element of an output: it is in the last row, which is always sampled.
static void spoil(cli_job *job, const char *output, float by) {
    const job_tensor *tensor = job_output(job, output);
    ((float *)job->images[tensor->image].bytes)[tensor_count(&tensor->tensor) - 1] += by;
}

// Sampled rows of a whole call agree with it under every kind of mask, and one wrong row is seen.
static void check_sampled(const cli_harness *harness, const char *name, const char *inputs,
                          const char *settings) {
    cli_drawing drawing;
    cli_job job;
    cli_sampled sampled;
    char message[256];
    const ikat_mechanism_info *info = ikat_mechanism_find(name);
    assert_true(drawing_make(info, inputs, settings, IKAT_FLOAT32, FILL_RANDOM, 1, &drawing,
                             message, sizeof(message)));
    layout_inputs(&drawing, LAYOUT_PACKED, &job);
    job_add_tensor(&job, "out", (ikat_tensor){0}, JOB_NO_IMAGE, true);
    job_add_tensor(&job, "lse", (ikat_tensor){0}, JOB_NO_IMAGE, true);
    assert_int_equal(job_compute(&job, harness->reference), IKAT_OK);
    if (!sample_check(harness->tool, harness->reference, &drawing, &job, 1, &sampled)) {
        fail_msg("%s: %s", settings, sampled.text);
    }
    assert_true(sampled.num_rows >= 10);
    for (int i = 0; i < 2; i++) {
        const char *output = i ? "lse" : "out";
        spoil(&job, output, 0.5f);
        assert_false(sample_check(harness->tool, harness->reference, &drawing, &job, 1, &sampled));
        assert_non_null(strstr(sampled.text, output));
        spoil(&job, output, -0.5f);
    }
    job_free(&job);
    drawing_free(&drawing);
}

static void test_sampled_rows(void **state) {
    (void)state;
    cli_tool tool;
    cli_harness harness;
    const char *self = "q=2,2,300,8 k=2,1,300,8 v=2,1,300,8";
    const char *padded = "q=2,2,300,8 k=2,1,300,8 v=2,1,300,8 lengths=2@64,300";
    assert_int_equal(tool_open(&tool, false, NULL), IKAT_OK);
    assert_int_equal(harness_open(&harness, &tool), IKAT_OK);
    check_sampled(&harness, "dense", self, "causal=1 window_left=20");
    check_sampled(&harness, "dense", padded, "window_right=7 alibi=1");
    check_sampled(&harness, "dense", "q=1,2,50,8 k=1,1,300,8 v=1,1,300,8", "causal=1");
    check_sampled(&harness, "longformer", self, "window=20 dilation=1,2");
    check_sampled(&harness, "longformer", padded, "window=20 causal=1");
    check_sampled(&harness, "bigbird", padded, "block_size=16");
    check_sampled(&harness, "sparse", padded, "stride=8");
    harness_close(&harness);
    tool_close(&tool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),      cmocka_unit_test(test_guards),
        cmocka_unit_test(test_pairs),        cmocka_unit_test(test_variant_names),
        cmocka_unit_test(test_letters),      cmocka_unit_test(test_poison),
        cmocka_unit_test(test_given_values), cmocka_unit_test(test_sampled_rows),
    };
    return cmocka_run_group_tests_name("harness", tests, NULL, NULL);
}
