// The command line: exit codes, bad input of every kind, files written whole or not at all, known
// answers.
//
//   test_cli_cli IKAT   (IKAT_TEST_DATA: the folder of known answers)

#include "shell.h"
#include "values.h"

#include <cjson/cJSON.h>
#include <ikat/ikat.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char qkv[] = "--device cpu --in q=q.npy --in k=k.npy --in v=v.npy";

// Exit status 2, one line, and in it a word that says what was wrong.
static void expect_refusal(const char *word) {
    if (shell_num_errors() != 1 || !strstr(shell_errors(), word)) {
        fail_msg("expected one line with '%s', got: %s", word, shell_errors());
    }
}

static void write_inputs(void) {
    shell_write_floats("q.npy", "(1, 2, 3, 4)", 24);
    shell_write_floats("k.npy", "(1, 2, 5, 4)", 40);
    shell_write_floats("v.npy", "(1, 2, 5, 4)", 40);
}

static void test_usage(void **state) {
    (void)state;
    static const char *const commands[] = {"devices", "list", "run", "check",
                                           "bench",   "plan", "show"};
    assert_int_equal(shell_run("--help"), 0);
    assert_int_equal(shell_run("--version"), 0);
    assert_non_null(strstr(shell_output(), "ikat 0."));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        assert_int_equal(shell_run("%s --help", commands[i]), 0);
        assert_non_null(strstr(shell_output(), commands[i]));
        assert_int_equal(shell_run("%s --nonsense", commands[i]), 2);
        expect_refusal("--nonsense");
    }
    assert_int_equal(shell_run(" "), 2);
    assert_int_equal(shell_run("frobnicate"), 2);
    expect_refusal("frobnicate");
}

static void test_options(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"run", "missing"},
        {"run dense dense --out out=o.npy", "dense"},
        {"run dense", "--out"},
        {"run dense --in q", "--in"},
        {"run dense --in =q.npy --out out=o.npy", "--in"},
        {"run dense --out out=o.npy --in", "--in"},
        {"run dense --out out=o.npy --device cpu --device cpu", "--device"},
        {"run dense --out out=o.npy --verbose=1", "--verbose"},
        {"run dense -x", "-x"},
        {"check dense --seed x", "--seed"},
        {"check nosuch", "nosuch"},
        {"check dense --all", "--all"},
        {"bench dense --n 0", "--n"},
        {"bench dense --n 8:4", "--n"},
        {"bench dense --n 8, --device cpu", "--n"},
        {"bench dense --heads 1.5", "--heads"},
        {"bench dense --dtype float64", "--dtype"},
        {"bench nosuch", "nosuch"},
        {"bench dense --device cpu --variant nosuch", "--variant"},
        {"bench dense --device ''", "--device"},
        {"bench dense --against nosuch", "nosuch"},
        {"bench dense --device cpu --set causal=3", "causal"},
        {"bench dense --device cpu --set foo=3", "foo"},
        {"bench dense --device cpu --kv-heads 3", "Hkv"},
        {"list nosuch", "nosuch"},
        {"plan dense --shape q=1,x", "--shape"},
        {"plan nosuch", "nosuch"},
        {"devices cpu", "cpu"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (shell_run("%s", wrong[i][0]) != 2) {
            fail_msg("expected exit status 2: ikat %s", wrong[i][0]);
        }
        expect_refusal(wrong[i][1]);
    }
    assert_int_equal(shell_num_files(), 0);
}

// What the library or the tool refuses about a call; each leaves no file.
static void test_bad_calls(void **state) {
    (void)state;
    write_inputs();
    const int32_t lengths[] = {6};
    shell_write_npy("six.npy", "<i4", false, "(1,)", lengths, sizeof(lengths));
    shell_write_npy("mask.npy", "<i4", false, "(1, 4)", (const int32_t[4]){0}, 16);
    shell_write_npy("mask_k.npy", "<i4", false, "(1, 3)", (const int32_t[]){0, 2, 1}, 12);
    shell_write_floats("slopes.npy", "(2,)", 2);
    shell_write_floats("wide.npy", "(1, 2, 5, 5)", 50);
    shell_write_floats("three.npy", "(1, 3, 5, 4)", 60);
    shell_write_floats("flat.npy", "(40,)", 40);
    shell_write_floats("deep.npy", "(1, 1, 1, 1, 2, 5, 4)", 40);
    shell_write_npy("half.npy", "<f2", false, "(1, 2, 5, 4)", (const uint16_t[40]){0}, 80);
    shell_write_npy("int.npy", "<i4", false, "(1, 2, 5, 4)", (const int32_t[40]){0}, 160);
    static const char *const wrong[][2] = {
        {"nosuch --in q=q.npy --out out=o.npy", "nosuch"},
        {"dense --device cpu --in q=q.npy --in k=k.npy --out out=o.npy", "v"},
        {"dense --device cpu --in q=q.npy --in k=wide.npy --in v=v.npy --out out=o.npy", "k"},
        {"dense --device cpu --in q=q.npy --in k=three.npy --in v=three.npy --out out=o.npy", "k"},
        {"dense --device cpu --in q=q.npy --in k=flat.npy --in v=v.npy --out out=o.npy", "k"},
        {"dense --device cpu --in q=q.npy --in k=deep.npy --in v=v.npy --out out=o.npy", "k"},
        {"dense --device cpu --in q=q.npy --in k=half.npy --in v=v.npy --out out=o.npy", "k"},
        {"dense --device cpu --in q=q.npy --in k=int.npy --in v=v.npy --out out=o.npy", "k"},
        {"dense %s --in foo=q.npy --out out=o.npy", "foo"},
        {"dense %s --in q=q.npy --out out=o.npy", "q"},
        {"dense %s --in lengths=six.npy --out out=o.npy", "lengths"},
        {"dense %s --in lengths=slopes.npy --out out=o.npy", "lengths"},
        {"dense %s --in alibi_slopes=slopes.npy --set alibi=0 --out out=o.npy", "alibi"},
        {"longformer %s --out out=o.npy", "k"},
        {"longformer --device cpu --in q=q.npy --in k=q.npy --in v=q.npy --in global_mask=mask.npy "
         "--out out=o.npy",
         "global_mask"},
        {"longformer --device cpu --in q=q.npy --in k=q.npy --in v=q.npy "
         "--in global_mask=mask_k.npy --out out=o.npy",
         "global_mask"},
        {"custom %s --set 'mask=j <= ii' --out out=o.npy", "mask, column 6"},
        {"custom %s --set 'mask=' --out out=o.npy", "mask"},
        {"custom %s --set 'mask=score > 0' --out out=o.npy", "mask, column 1"},
        {"custom %s --set 'score=min(score)' --out out=o.npy", "score, column"},
        {"custom %s --set 'mask=doc[i]' --out out=o.npy", "doc"},
        {"custom %s --set param.i=1 --out out=o.npy", "param.i"},
        {"custom %s --set param.=1 --out out=o.npy", "param."},
        {"custom %s --set param.x=1e400 --out out=o.npy", "param.x"},
        {"custom %s --set param.x=2147483648 --out out=o.npy", "param.x"},
        {"custom %s --set param.x=y --out out=o.npy", "param.x"},
        {"custom %s --set tile=0 --out out=o.npy", "tile"},
        {"custom %s --in table.t=deep.npy --out out=o.npy", "table.t"},
        {"dense %s --in table.t=slopes.npy --out out=o.npy", "table.t"},
        {"longformer %s --set dilation= --out out=o.npy", "dilation"},
        {"longformer %s --set dilation=1, --out out=o.npy", "dilation"},
        {"longformer %s --set dilation=1,0 --out out=o.npy", "dilation"},
        {"longformer %s --set dilation=1,x --out out=o.npy", "dilation"},
        {"dense %s --set foo=1 --out out=o.npy", "foo"},
        {"dense %s --set causal=2 --out out=o.npy", "causal"},
        {"dense %s --set causal=yes --out out=o.npy", "causal"},
        {"dense %s --set causal= --out out=o.npy", "causal"},
        {"dense %s --set causal=1 --set causal=1 --out out=o.npy", "causal"},
        {"dense %s --set window_left=-2 --out out=o.npy", "window_left"},
        {"dense %s --set window_left=99999999999999999999 --out out=o.npy", "window_left"},
        {"dense %s --set scale=nan --out out=o.npy", "scale"},
        {"dense %s --set scale=inf --out out=o.npy", "scale"},
        {"dense %s --set softcap=-1 --out out=o.npy", "softcap"},
        {"dense %s --out foo=o.npy", "foo"},
        {"dense %s --out out=o.npy --out out=p.npy", "out"},
        {"dense %s --out out=o.npy --out lse=o.npy", "lse"},
        {"dense %s --limits nonsense --out out=o.npy", "--limits"},
        {"dense --device cpu --in q=absent.npy --in k=k.npy --in v=v.npy --out out=o.npy",
         "absent.npy"},
        {"dense --device cpu --in q=. --in k=k.npy --in v=v.npy --out out=o.npy", "q"},
    };
    int num_files = shell_num_files();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[512];
        const char *given = strstr(wrong[i][0], "%s");
        snprintf(text, sizeof(text), "%.*s%s%s", given ? (int)(given - wrong[i][0]) : 400,
                 wrong[i][0], given ? qkv : "", given ? given + 2 : "");
        int code = shell_run("run %s", text);
        if (code != 2) {
            fail_msg("expected exit status 2, got %d: ikat run %s: %s", code, text, shell_errors());
        }
        expect_refusal(wrong[i][1]);
        assert_int_equal(shell_num_files(), num_files);
    }
}

static void test_devices(void **state) {
    (void)state;
    write_inputs();
    const char *call = "--in q=q.npy --in k=k.npy --in v=v.npy --out out=device.npy";
    assert_int_equal(shell_run("run dense --device vulkan:99 %s", call), 3);
    assert_int_equal(shell_num_errors(), 1);
    assert_int_equal(shell_run("run dense --device 'opencl:no such device' %s", call), 3);
    assert_int_equal(shell_run("check dense --device cpu:7"), 3);
    assert_int_equal(shell_run("bench dense --device cpu:7"), 3);
    assert_false(shell_exists("device.npy"));
    assert_int_equal(shell_run("devices --json"), 0);
    cJSON *json = cJSON_Parse(shell_output());
    assert_non_null(json);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(json, "devices")) >= 1);
    cJSON_Delete(json);
}

static void test_bad_files(void **state) {
    (void)state;
    write_inputs();
    size_t size;
    uint8_t *good = shell_read("q.npy", &size);
    uint8_t *bad = calloc(size + 1, 1);
    memcpy(bad, good, size);
    shell_write("cut.npy", bad, size - 1);
    shell_write("long.npy", bad, size + 1);
    shell_write("head.npy", bad, 9);
    shell_write("empty.npy", bad, 0);
    shell_write_npy("lying.npy", "<f4", false, "(4611686018427387904, 4)", bad, 96);
    shell_write_npy("complex.npy", "<c8", false, "(1, 2, 3, 2)", bad, 96);
    static const char *const names[] = {"cut", "long", "head", "empty", "lying", "complex"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(shell_run("run dense --device cpu --in q=%s.npy --in k=k.npy --in v=v.npy "
                                   "--out out=o.npy",
                                   names[i]),
                         2);
        expect_refusal(names[i]);
        assert_false(shell_exists("o.npy"));
    }
    free(good);
    free(bad);
}

static void test_conversions(void **state) {
    (void)state;
    write_inputs();
    size_t size, other_size;
    assert_int_equal(shell_run("run dense %s --out out=plain.npy", qkv), 0);
    uint8_t *plain = shell_read("plain.npy", &size);
    uint8_t *bytes = shell_read("q.npy", &other_size);
    double doubles[24];
    npy_array array;
    char message[128];
    assert_true(npy_parse(bytes, other_size, &array, message, sizeof(message)));
    for (int i = 0; i < 24; i++) {
        float value;
        memcpy(&value, array.data + 4 * i, 4);
        doubles[i] = (double)value;
    }
    shell_write_npy("wide.npy", "<f8", false, "(1, 2, 3, 4)", doubles, sizeof(doubles));
    const char *call =
        "run dense --device cpu --in q=wide.npy --in k=k.npy --in v=v.npy --out out=o.npy";
    assert_int_equal(shell_run("%s", call), 0);
    assert_non_null(strstr(shell_errors(), "note: q: float64 is converted to float32"));
    uint8_t *converted = shell_read("o.npy", &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(plain, converted, size);
    doubles[5] = 0.1;
    shell_write_npy("wide.npy", "<f8", false, "(1, 2, 3, 4)", doubles, sizeof(doubles));
    assert_int_equal(shell_run("%s", call), 2);
    expect_refusal("q");
    free(plain);
    free(bytes);
    free(converted);
    const int64_t lengths[] = {5};
    shell_write_npy("lengths.npy", "<i8", false, "(1,)", lengths, sizeof(lengths));
    assert_int_equal(shell_run("run dense %s --in lengths=lengths.npy --out out=o.npy", qkv), 0);
}

static void test_whole_or_nothing(void **state) {
    (void)state;
    write_inputs();
    int num_files = shell_num_files();
    assert_int_equal(shell_run("run dense %s --out out=fresh.npy --out lse=absent/lse.npy", qkv),
                     2);
    expect_refusal("absent/lse.npy");
    assert_false(shell_exists("fresh.npy"));
    assert_int_equal(shell_num_files(), num_files);
    // A failure leaves what was there before.
    shell_write("kept.npy", "before", 6);
    assert_int_equal(shell_run("run dense %s --set causal=7 --out out=kept.npy", qkv), 2);
    size_t size;
    uint8_t *kept = shell_read("kept.npy", &size);
    assert_int_equal(size, 6);
    free(kept);
    // A device file is written to, not replaced.
    assert_int_equal(shell_run("run dense %s --out out=/dev/null", qkv), 0);
    assert_int_equal(shell_run("run dense %s --out out=/dev/full", qkv), 2);
    assert_int_equal(shell_num_files(), num_files + 1);
}

static void test_empty_axes(void **state) {
    (void)state;
    write_inputs();
    shell_write_floats("none.npy", "(1, 2, 0, 4)", 0);
    assert_int_equal(shell_run("run dense --device cpu --in q=none.npy --in k=k.npy --in v=v.npy "
                               "--out out=empty_out.npy"),
                     0);
    size_t size;
    uint8_t *bytes = shell_read("empty_out.npy", &size);
    npy_array array;
    char message[128];
    assert_true(npy_parse(bytes, size, &array, message, sizeof(message)));
    assert_int_equal(array.rank, 4);
    assert_int_equal(array.shape[2], 0);
    free(bytes);
}

static void test_plan_and_bench(void **state) {
    (void)state;
    assert_int_equal(shell_run("plan dense --device cpu --shape q=1,2,8,4 --shape k=1,2,9,4 "
                               "--shape v=1,2,9,4 --set causal=1"),
                     0);
    assert_non_null(strstr(shell_output(), "workspace"));
    assert_int_equal(
        shell_run("bench dense --device cpu --heads 2 --n 16:64 --time 0 --json b.json "
                  "--csv b.csv --set causal=1"),
        0);
    size_t size;
    uint8_t *bytes = shell_read("b.json", &size);
    assert_non_null(bytes);
    cJSON *json = cJSON_ParseWithLength((const char *)bytes, size);
    cJSON *results = cJSON_GetObjectItem(json, "results");
    assert_int_equal(cJSON_GetObjectItem(json, "schema")->valueint, 1);
    assert_int_equal(cJSON_GetArraySize(results), 3);
    const cJSON *row = cJSON_GetArrayItem(results, 2);
    assert_int_equal(cJSON_GetObjectItem(row, "n")->valueint, 64);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(row, "correct")));
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(row, "samples_ms")) >= 5);
    cJSON_Delete(json);
    free(bytes);
    assert_true(shell_exists("b.csv"));
}

// Times beside another mechanism's; the reference does so only if it is told to.
static void test_bench_against(void **state) {
    (void)state;
    static const char call[] = "bench local --device cpu --heads 2 --n 16,1024 --head-size 8 "
                               "--time 0 --set causal=1 --set query_block=32 --set memory=32 "
                               "--json against.json";
    assert_int_equal(shell_run("%s", call), 0);
    assert_null(strstr(shell_output(), "the least time of"));
    assert_int_equal(shell_run("%s --against dense", call), 0);
    assert_non_null(strstr(shell_output(), "% of the least time of dense for "));
    assert_non_null(strstr(shell_output(), "faster than dense"));
    size_t size;
    uint8_t *bytes = shell_read("against.json", &size);
    assert_non_null(bytes);
    cJSON *json = cJSON_ParseWithLength((const char *)bytes, size);
    const cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "results"), 0);
    assert_string_equal(cJSON_GetObjectItem(row, "against")->valuestring, "dense");
    assert_int_equal(cJSON_GetObjectItem(row, "against_n")->valueint, 16);
    assert_true(cJSON_GetObjectItem(row, "against_min_ms")->valuedouble > 0);
    cJSON_Delete(json);
    free(bytes);
}

// Relative error of a file of float32 against one of float64.
static double file_error(const char *got_name, const char *expected_name) {
    size_t got_size, expected_size;
    char message[256];
    npy_array got, expected;
    uint8_t *got_bytes = shell_read(got_name, &got_size);
    uint8_t *expected_bytes = shell_read(expected_name, &expected_size);
    assert_non_null(got_bytes);
    assert_non_null(expected_bytes);
    assert_true(npy_parse(got_bytes, got_size, &got, message, sizeof(message)));
    assert_true(npy_parse(expected_bytes, expected_size, &expected, message, sizeof(message)));
    assert_int_equal(got.count, expected.count);
    double sum = 0, norm = 0;
    for (uint64_t i = 0; i < got.count; i++) {
        float is;
        double should;
        memcpy(&is, got.data + 4 * i, sizeof(is));
        memcpy(&should, expected.data + 8 * i, sizeof(should));
        if (isinf(should)) {
            assert_true((double)is == should);
        } else {
            sum += ((double)is - should) * ((double)is - should);
            norm += should * should;
        }
    }
    free(got_bytes);
    free(expected_bytes);
    return norm > 0 ? sqrt(sum / norm) : sqrt(sum);
}

// " --set NAME=VALUE", lists with commas.
static size_t print_setting(const cJSON *item, char *out, size_t capacity) {
    size_t length = (size_t)snprintf(out, capacity, " --set '%s=", item->string);
    const cJSON *element = cJSON_IsArray(item) ? item->child : item;
    for (bool first = true; element && (first || cJSON_IsArray(item)); element = element->next) {
        const char *comma = first ? "" : ",";
        length += cJSON_IsString(element)
                      ? (size_t)snprintf(out + length, capacity - length, "%s%s", comma,
                                         element->valuestring)
                      : (size_t)snprintf(out + length, capacity - length, "%s%.17g", comma,
                                         element->valuedouble);
        first = false;
    }
    return length + (size_t)snprintf(out + length, capacity - length, "'");
}

// A case below tests/data/cases, "dense/plain"; its outputs out and lse.
static void check_known(const char *name) {
    char path[4096], call[16384] = "";
    size_t size, length = 0;
    const char *data = getenv("IKAT_TEST_DATA");
    snprintf(path, sizeof(path), "%s/cases/%s", data, name);
    char file[4200];
    snprintf(file, sizeof(file), "%s/case.json", path);
    uint8_t *bytes = shell_read(file, &size);
    cJSON *json = bytes ? cJSON_ParseWithLength((const char *)bytes, size) : NULL;
    assert_non_null(json);
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "inputs")) {
        length += (size_t)snprintf(call + length, sizeof(call) - length, " --in %s='%s/in_%s.npy'",
                                   item->valuestring, path, item->valuestring);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "params")) {
        length += print_setting(item, call + length, sizeof(call) - length);
    }
    assert_int_equal(
        shell_run("run %s --device cpu --out out=known_out.npy --out lse=known_lse.npy%s",
                  cJSON_GetObjectItem(json, "mechanism")->valuestring, call),
        0);
    double tolerance = cJSON_GetObjectItem(json, "rtol")->valuedouble;
    snprintf(file, sizeof(file), "%s/out_out.npy", path);
    assert_true(file_error("known_out.npy", file) <= tolerance);
    snprintf(file, sizeof(file), "%s/out_lse.npy", path);
    assert_true(file_error("known_lse.npy", file) <= tolerance);
    cJSON_Delete(json);
    free(bytes);
}

// Values of inputs that are handed to a mechanism inside are checked as that one's, and what was
// converted is said only where nothing is wrong.
static void test_inner_values(void **state) {
    (void)state;
    static const char call[] =
        "local_global --device cpu --in x=x.npy --in w_q=w_q.npy --in w_k=w_q.npy "
        "--in w_v=w_q.npy --in conv_kernel=taps.npy --set heads=2 --out out=o.npy";
    shell_write_floats("x.npy", "(2, 6, 8)", 96);
    shell_write_floats("w_q.npy", "(4, 4)", 16);
    shell_write_floats("taps.npy", "(2, 3)", 6);
    shell_write_npy("good.npy", "<i8", false, "(2,)", (const int64_t[]){6, 0}, 16);
    shell_write_npy("long.npy", "<i8", false, "(2,)", (const int64_t[]){6, 7}, 16);
    assert_int_equal(shell_run("run %s --in attention.query_lengths=good.npy", call), 0);
    assert_non_null(strstr(shell_errors(), "note: attention.query_lengths: int64 is converted"));
    assert_int_equal(shell_run("run %s --in attention.query_lengths=long.npy", call), 2);
    expect_refusal("attention.query_lengths has the value 7");
    assert_null(strstr(shell_errors(), "note"));
    assert_int_equal(shell_run("run %s --set attention.softcap=-1", call), 2);
    expect_refusal("attention = dense: softcap is");
}

// Every mechanism has a usual call for the bench, and its sampled rows are right.
static void test_bench_of_all(void **state) {
    (void)state;
    assert_int_equal(
        shell_run("bench --device cpu --n 96 --heads 2 --time 0 --no-start --json all.json"), 0);
    size_t size;
    uint8_t *bytes = shell_read("all.json", &size);
    assert_non_null(bytes);
    cJSON *json = cJSON_ParseWithLength((const char *)bytes, size);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "results")),
                     ikat_mechanism_count());
    cJSON_Delete(json);
    free(bytes);
}

// A mask in a file of another type is a host array of the plan; what `ikat list` says of it.
static void test_structure(void **state) {
    (void)state;
    const int64_t mask[] = {0, 1, 0};
    shell_write_npy("mask64.npy", "<i8", false, "(1, 3)", mask, sizeof(mask));
    shell_write_floats("q.npy", "(1, 2, 3, 4)", 24);
    assert_int_equal(shell_run("run longformer --device cpu --in q=q.npy --in k=q.npy --in v=q.npy "
                               "--in global_mask=mask64.npy --set dilation=1,2 --set window=1 "
                               "--out out=o.npy"),
                     0);
    assert_int_equal(shell_run("plan longformer --device cpu --shape q=1,2,3,4 --shape k=1,2,3,4 "
                               "--shape v=1,2,3,4 --in global_mask=mask64.npy"),
                     0);
    assert_non_null(strstr(shell_output(), "global_mask"));
    assert_int_equal(shell_run("plan longformer --device cpu --shape q=1,2,3,4 --shape k=1,2,3,4 "
                               "--shape v=1,2,3,4 --shape global_mask=1,3"),
                     2);
    expect_refusal("global_mask");
    assert_int_equal(shell_run("list longformer"), 0);
    assert_non_null(strstr(shell_output(), "(host array) [0..1]"));
    assert_non_null(strstr(shell_output(), "ints >= 1"));
    assert_non_null(strstr(shell_output(), "head_mask"));
    assert_int_equal(shell_run("list sparse"), 0);
    assert_non_null(strstr(shell_output(), "strided|fixed"));
    assert_int_equal(shell_run("bench longformer --device cpu --n 64 --set dilation=1,2 --heads 2"),
                     0);
    assert_non_null(strstr(shell_output(), "correct"));
}

static void test_known_answers(void **state) {
    (void)state;
    if (!getenv("IKAT_TEST_DATA")) {
        skip();
    }
    check_known("dense/plain");
    check_known("dense/sinks-lengths");
    check_known("dense/window-right-only");
    check_known("pruned/heads");
    check_known("longformer/global-own-projection");
    check_known("longformer/lengths-global");
    check_known("bigbird/itc");
    check_known("sparse/fixed-default-c");
    check_known("blockwise/lengths");
    check_known("local/2d-lengths");
    check_known("axial/lengths-shift");
    check_known("hierarchical/lengths-causal");
    check_known("custom/map-constant");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_whole_or_nothing),
        cmocka_unit_test(test_empty_axes),
        cmocka_unit_test(test_plan_and_bench),
        cmocka_unit_test(test_bench_against),
        cmocka_unit_test(test_inner_values),
        cmocka_unit_test(test_bench_of_all),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_known_answers),
    };
    if (argc != 2) {
        fputs("expected the path of ikat\n", stderr);
        return EXIT_FAILURE;
    }
    shell_open(argv[1]);
    int failed = cmocka_run_group_tests_name("command line", tests, NULL, NULL);
    shell_close();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
