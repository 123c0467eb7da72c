// Known answers: every case below tests/data/cases of a mechanism that this build has. They were
// computed in float64 by an implementation that shares nothing with this one.
//
// A case is a folder: case.json (mechanism, params, inputs, outputs, rtol: relative L2 error of an
// output), in_NAME.npy, out_NAME.npy. Infinities must match, NaN never passes, integers must be
// equal.

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "npy.h"
#include "oracle.h"

enum { MAX_ARRAYS = 16, MAX_OUTPUTS = 8, MAX_CASES = 512, MAX_PATH = 1024 };

// False if the path is too long.
static bool join(char *out_path, const char *folder, const char *name) {
    const int length = snprintf(out_path, MAX_PATH, "%s/%s", folder, name);
    return length > 0 && length < MAX_PATH;
}

static cJSON *read_json(const char *folder) {
    char path[MAX_PATH], text[16384];
    FILE *file = join(path, folder, "case.json") ? fopen(path, "rb") : NULL;
    if (!file) {
        return NULL;
    }
    const size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    return cJSON_Parse(text);
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

// A parameter as the command line takes it: lists are joined by commas.
static void print_value(const cJSON *value, char *out_text, size_t size) {
    if (cJSON_IsArray(value)) {
        size_t used = 0;
        const cJSON *item;
        out_text[0] = '\0';
        cJSON_ArrayForEach(item, value) {
            if (used > 0 && used + 1 < size) {
                out_text[used++] = ',';
            }
            print_value(item, out_text + used, size - used);
            used += strlen(out_text + used);
        }
    } else if (cJSON_IsString(value)) {
        snprintf(out_text, size, "%s", value->valuestring);
    } else {
        snprintf(out_text, size, "%.17g", value->valuedouble);
    }
}

static npy read_array(const char *folder, const char *direction, const char *name) {
    char file[256], path[MAX_PATH];
    npy array;
    assert_true(snprintf(file, sizeof(file), "%s_%s.npy", direction, name) < (int)sizeof(file));
    assert_true(join(path, folder, file));
    assert_true(npy_read(path, &array));
    return array;
}

static void check_output(const char *name, const npy *expected, const float *got, size_t count,
                         double rtol) {
    assert_int_equal(count, expected->count);
    const bool exact = !expected->is_double && expected->tensor.dtype >= IKAT_INT32;
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        const double want = npy_element(expected, i);
        if (isnan(got[i]) ||
            (isinf(want) || isinf(got[i]) ? want != got[i] : exact && want != got[i])) {
            fail_msg("%s[%zu]: expected %.9g, got %.9g", name, i, want, got[i]);
        }
        if (isfinite(want)) {
            error += (got[i] - want) * (got[i] - want);
            norm += want * want;
        }
    }
    if (sqrt(error) > rtol * sqrt(norm)) {
        fail_msg("%s: relative error %.3g, allowed %.3g", name, sqrt(error / norm), rtol);
    }
}

static void check_outputs(const oracle *call, const char *folder, const cJSON *json) {
    const double rtol = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "rtol"));
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "outputs")) {
        npy expected = read_array(folder, "out", item->valuestring);
        size_t count = 0;
        const float *got = oracle_result(call, item->valuestring, &count);
        check_output(item->valuestring, &expected, got, count, rtol);
        free(expected.data);
    }
}

static void check_case(void **state) {
    const char *folder = *state;
    cJSON *json = read_json(folder);
    assert_non_null(json);
    oracle *call = oracle_begin(text_of(json, "mechanism"));

    npy arrays[MAX_ARRAYS];
    char texts[MAX_ARRAYS][256];
    const char *outputs[MAX_OUTPUTS];
    uint32_t num_arrays = 0, num_texts = 0, num_outputs = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "inputs")) {
        assert_true(num_arrays < MAX_ARRAYS);
        npy *array = &arrays[num_arrays++];
        *array = read_array(folder, "in", item->valuestring);
        oracle_input(call, item->valuestring, &array->tensor, array->data, array->size_bytes);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "params")) {
        assert_true(num_texts < MAX_ARRAYS);
        print_value(item, texts[num_texts], sizeof(texts[0]));
        oracle_set(call, item->string, texts[num_texts++]);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "outputs")) {
        assert_true(num_outputs < MAX_OUTPUTS);
        outputs[num_outputs++] = item->valuestring;
    }
    oracle_run_outputs(call, outputs, num_outputs);
    check_outputs(call, folder, json);
    oracle_end(call);
    for (uint32_t i = 0; i < num_arrays; i++) {
        free(arrays[i].data);
    }
    cJSON_Delete(json);
}

// Whether the case's mechanism is in this build.
static bool is_known(const char *folder) {
    cJSON *json = read_json(folder);
    const bool known = json && ikat_mechanism_find(text_of(json, "mechanism"));
    cJSON_Delete(json);
    return known;
}

static size_t list_folder(const char *parent, struct CMUnitTest *tests, size_t num_tests) {
    DIR *folder = opendir(parent);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL && num_tests < MAX_CASES) {
        char path[MAX_PATH];
        if (entry->d_name[0] != '.' && join(path, parent, entry->d_name) && is_known(path)) {
            char *kept = strdup(path);
            tests[num_tests++] =
                (struct CMUnitTest){.name = kept, .test_func = check_case, .initial_state = kept};
        }
    }
    if (folder) {
        closedir(folder);
    }
    return num_tests;
}

int main(void) {
    static struct CMUnitTest tests[MAX_CASES];
    char parent[MAX_PATH];
    const char *data = getenv("IKAT_TEST_DATA");
    size_t num_tests = 0;
    DIR *folder = join(parent, data ? data : "tests/data", "cases") ? opendir(parent) : NULL;
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        char path[MAX_PATH];
        if (entry->d_name[0] != '.' && join(path, parent, entry->d_name)) {
            num_tests = list_folder(path, tests, num_tests);
        }
    }
    if (folder) {
        closedir(folder);
    }
    if (num_tests == 0) {
        fprintf(stderr, "no cases below %s: set IKAT_TEST_DATA\n", parent);
        return 1;
    }
    const int failed = _cmocka_run_group_tests("cases", tests, num_tests, NULL, NULL);
    for (size_t i = 0; i < num_tests; i++) {
        free(tests[i].initial_state);
    }
    return failed;
}
