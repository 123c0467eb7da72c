// .npy files in memory: what is read, what is refused, what is converted.

#include "values.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A file made of parts; `version` 1 or 2.
static size_t make_file(uint8_t *bytes, int version, const char *dictionary, const void *data,
                        size_t size) {
    size_t length = strlen(dictionary);
    size_t start = version == 2 ? 12 : 10;
    memcpy(bytes, "\x93NUMPY", 6);
    memset(bytes + 6, 0, 6);
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)(length & 255);
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + start, dictionary, length);
    memcpy(bytes + start + length, data, size);
    return start + length + size;
}

static bool parse(int version, const char *dictionary, const void *data, size_t size,
                  npy_array *out) {
    static uint8_t bytes[4096];
    char message[256] = "";
    size_t total = make_file(bytes, version, dictionary, data, size);
    bool good = npy_parse(bytes, total, out, message, sizeof(message));
    assert_true(good || message[0] != '\0');
    return good;
}

static void test_versions(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    npy_array array;
    for (int version = 1; version <= 2; version++) {
        assert_true(parse(version,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", data,
                          sizeof(data), &array));
        assert_int_equal(array.rank, 2);
        assert_int_equal(array.shape[0], 2);
        assert_int_equal(array.shape[1], 3);
        assert_int_equal(array.count, 6);
        assert_int_equal(npy_dtype(&array), IKAT_FLOAT32);
    }
    assert_false(parse(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data,
                       sizeof(data), &array));
}

static void test_shapes(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    npy_array array;
    const char *one = "{'descr':'<f4','fortran_order':False,'shape':()}";
    assert_true(parse(1, one, data, 4, &array));
    assert_int_equal(array.rank, 0);
    assert_int_equal(array.count, 1);
    assert_true(parse(1, "{\"shape\": (6,), \"descr\": \"<f4\", \"fortran_order\": True}", data, 24,
                      &array));
    assert_true(parse(1, "{'descr':'<f4','fortran_order':False,'shape':(0, 7)}", data, 0, &array));
    assert_int_equal(array.count, 0);
    assert_true(
        parse(1, "{'descr':'<f4','fortran_order':False,'shape':(2L, 3L)}", data, 24, &array));
}

static void test_lies(void **state) {
    (void)state;
    const float data[6] = {0};
    npy_array array;
    static const char *const dictionaries[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (6,)}",
        "{'descr': '<f1', 'fortran_order': False, 'shape': (24,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} garbage",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
        "1,1,1,1,1,1,1,1,1,1,1,1,6)}",
    };
    for (size_t i = 0; i < sizeof(dictionaries) / sizeof(dictionaries[0]); i++) {
        if (parse(1, dictionaries[i], data, sizeof(data), &array)) {
            fail_msg("was read: %s", dictionaries[i]);
        }
    }
}

// Every prefix of a good file, and every file with one more byte, is refused.
static void test_cut(void **state) {
    (void)state;
    const float data[6] = {0};
    uint8_t bytes[256];
    char message[256];
    npy_array array;
    size_t size =
        make_file(bytes, 2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", data,
                  sizeof(data));
    for (size_t cut = 0; cut <= size + 1; cut++) {
        // A block of its own, so that a sanitizer sees the end.
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut < size ? cut : size);
        bool good = npy_parse(copy, cut, &array, message, sizeof(message));
        assert_int_equal(good, cut == size);
        free(copy);
    }
}

static bool convert(const char *type, const void *data, size_t size, int64_t count,
                    ikat_dtype dtype, void *out) {
    char dictionary[128], message[256];
    npy_array array;
    snprintf(dictionary, sizeof(dictionary),
             "{'descr': '%s', 'fortran_order': False, 'shape': (%d,)}", type, (int)count);
    assert_true(parse(1, dictionary, data, size, &array));
    return values_convert(&array, dtype, out, message, sizeof(message));
}

static void test_conversions(void **state) {
    (void)state;
    float floats[4];
    uint16_t halves[4];
    int32_t ints[4];
    const double doubles[4] = {0.5, -INFINITY, NAN, 65504};
    assert_true(convert("<f8", doubles, sizeof(doubles), 4, IKAT_FLOAT32, floats));
    assert_true(floats[0] == 0.5f && floats[1] == -INFINITY && isnan(floats[2]));
    assert_true(convert("<f8", doubles, sizeof(doubles), 4, IKAT_FLOAT16, halves));
    assert_int_equal(halves[3], 0x7bff);
    const double inexact = 0.1, large = 65536;
    assert_false(convert("<f8", &inexact, 8, 1, IKAT_FLOAT32, floats));
    assert_false(convert("<f8", &large, 8, 1, IKAT_FLOAT16, halves));
    const double third = 3, half = 2.5;
    assert_true(convert("<f8", &third, 8, 1, IKAT_INT32, ints));
    assert_int_equal(ints[0], 3);
    assert_false(convert("<f8", &half, 8, 1, IKAT_INT32, ints));
    const int64_t longs[2] = {-7, INT64_C(1) << 40};
    assert_true(convert("<i8", longs, 8, 1, IKAT_INT32, ints));
    assert_int_equal(ints[0], -7);
    assert_false(convert("<i8", longs + 1, 8, 1, IKAT_INT32, ints));
    assert_true(convert("<i8", longs, 16, 2, IKAT_FLOAT32, floats));
    assert_true(floats[1] == 0x1p40f);
    const uint64_t most = UINT64_MAX;
    assert_false(convert("<u8", &most, 8, 1, IKAT_FLOAT32, floats));
    const int64_t least = INT64_MIN;
    assert_true(convert("<i8", &least, 8, 1, IKAT_FLOAT32, floats));
    assert_true(floats[0] == -0x1p63f);
    const uint8_t big_endian[4] = {0, 0, 1, 2}, truth[2] = {1, 0};
    assert_true(convert(">i4", big_endian, 4, 1, IKAT_INT32, ints));
    assert_int_equal(ints[0], 258);
    assert_true(convert("|b1", truth, 2, 2, IKAT_INT32, ints));
    assert_int_equal(ints[0], 1);
}

static void test_fortran(void **state) {
    (void)state;
    const float data[6] = {1, 4, 2, 5, 3, 6};
    float out[6];
    char message[256];
    npy_array array;
    assert_true(parse(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", data,
                      sizeof(data), &array));
    assert_true(values_convert(&array, IKAT_FLOAT32, out, message, sizeof(message)));
    for (int i = 0; i < 6; i++) {
        assert_true(out[i] == (float)(i + 1));
    }
}

// All halves to float and back; rounding of what lies between.
static void test_halves(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = half_to_float((uint16_t)bits);
        if (isnan(value)) {
            assert_true(isnan(half_to_float(half_from_float(value))));
        } else {
            assert_int_equal(half_from_float(value), bits);
        }
    }
    assert_int_equal(half_from_float(1 + 0x1p-11f), 0x3c00);
    assert_int_equal(half_from_float(1 + 0x1.8p-10f), 0x3c02);
    assert_int_equal(half_from_float(65519.996f), 0x7bff);
    assert_int_equal(half_from_float(65520), 0x7c00);
    assert_int_equal(half_from_float(0x1p-25f), 0);
    assert_int_equal(half_from_float(0x1.8p-24f), 2);
}

// What is written is read again, at every rank.
static void test_header(void **state) {
    (void)state;
    const int64_t shape[IKAT_MAX_RANK] = {1, 1, 2, 1, 3, 1};
    for (uint32_t rank = 0; rank <= IKAT_MAX_RANK; rank++) {
        uint8_t bytes[NPY_MAX_HEADER + 64] = {0};
        char header[NPY_MAX_HEADER], message[256];
        size_t size = npy_header(IKAT_FLOAT16, rank, shape, header);
        npy_array array;
        size_t elements = 1;
        for (uint32_t axis = 0; axis < rank; axis++) {
            elements *= (size_t)shape[axis];
        }
        memcpy(bytes, header, size);
        assert_int_equal(size % 64, 0);
        assert_true(npy_parse(bytes, size + 2 * elements, &array, message, sizeof(message)));
        assert_int_equal(array.rank, rank);
        assert_int_equal(npy_dtype(&array), IKAT_FLOAT16);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),    cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_lies),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_fortran),
        cmocka_unit_test(test_halves),      cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
