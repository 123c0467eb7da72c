// Tensor descriptions: packed strides, sizes, overlap, and everything that is refused.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/tensor.h"

static uint64_t size_of(ikat_tensor tensor) {
    uint64_t size_bytes = 77;
    assert_int_equal(ikat_tensor_size_bytes(&tensor, &size_bytes), IKAT_OK);
    return size_bytes;
}

static void refuse(ikat_tensor tensor) {
    uint64_t size_bytes = 77;
    ikat_tensor resolved;
    assert_int_equal(ikat_tensor_size_bytes(&tensor, &size_bytes), IKAT_INVALID);
    assert_int_equal(size_bytes, 0);
    assert_int_equal(ikati_tensor_resolve(&tensor, &resolved), IKAT_INVALID);
}

static void packed(void **state) {
    (void)state;
    const ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT16, 4, 2, 3, 5, 7);
    ikat_tensor resolved;
    assert_int_equal(ikati_tensor_resolve(&tensor, &resolved), IKAT_OK);
    const int64_t strides[IKAT_MAX_RANK] = {105, 35, 7, 1, 0, 0};
    assert_memory_equal(resolved.strides, strides, sizeof(strides));
    assert_int_equal(ikati_tensor_count(&resolved), 210);
    assert_int_equal(ikati_tensor_span(&resolved), 210);
    assert_true(ikati_tensor_is_packed(&resolved));
    assert_true(ikati_tensor_is_disjoint(&resolved));
    assert_int_equal(size_of(tensor), 420);
}

static void scalars_and_empty_ones(void **state) {
    (void)state;
    assert_int_equal(size_of((ikat_tensor){.dtype = IKAT_INT32}), 4);
    assert_int_equal(size_of(ikat_tensor_packed(IKAT_FLOAT32, 3, 4, 0, 5, 0)), 0);
    const ikat_tensor empty = {IKAT_FLOAT32, 2, {0, 8}, {100, 1}, 1000};
    assert_int_equal(size_of(empty), 0);
    ikat_tensor resolved;
    const ikat_tensor no_rows = ikat_tensor_packed(IKAT_FLOAT32, 3, 4, 0, 5, 0);
    assert_int_equal(ikati_tensor_resolve(&no_rows, &resolved), IKAT_OK);
    assert_int_equal(ikati_tensor_count(&resolved), 0);
    assert_int_equal(ikati_tensor_span(&resolved), 0);
    assert_true(ikati_tensor_is_disjoint(&resolved));
}

// q of a packed [B, N, 3, H, D] buffer, seen as [B, H, N, D].
static void views(void **state) {
    (void)state;
    const ikat_tensor view = {IKAT_FLOAT32, 4, {2, 3, 4, 5}, {180, 5, 45, 1}, 15};
    ikat_tensor resolved;
    assert_int_equal(ikati_tensor_resolve(&view, &resolved), IKAT_OK);
    assert_int_equal(ikati_tensor_span(&resolved), 180 + 2 * 5 + 3 * 45 + 4 + 1);
    assert_int_equal(size_of(view), 4 * (15 + 180 + 2 * 5 + 3 * 45 + 4 + 1));
    assert_true(ikati_tensor_is_disjoint(&resolved));
    assert_false(ikati_tensor_is_packed(&resolved));
}

static void repeats_overlap(void **state) {
    (void)state;
    const ikat_tensor repeated = {IKAT_FLOAT32, 3, {4, 3, 5}, {0, 5, 1}, 0};
    const ikat_tensor sliding = {IKAT_FLOAT32, 2, {4, 5}, {3, 1}, 0};
    const ikat_tensor once = {IKAT_FLOAT32, 3, {1, 3, 5}, {0, 5, 1}, 0};
    ikat_tensor resolved;
    assert_int_equal(ikati_tensor_resolve(&repeated, &resolved), IKAT_OK);
    assert_false(ikati_tensor_is_disjoint(&resolved));
    assert_int_equal(ikati_tensor_span(&resolved), 15);
    assert_int_equal(ikati_tensor_resolve(&sliding, &resolved), IKAT_OK);
    assert_false(ikati_tensor_is_disjoint(&resolved));
    assert_int_equal(ikati_tensor_resolve(&once, &resolved), IKAT_OK);
    assert_true(ikati_tensor_is_disjoint(&resolved));
    assert_true(ikati_tensor_is_packed(&resolved));
}

static void refused(void **state) {
    (void)state;
    const ikat_tensor good = {IKAT_FLOAT32, 2, {4, 5}, {5, 1}, 0};
    assert_int_equal(size_of(good), 80);
    ikat_tensor bad = good;
    bad.dtype = IKAT_DTYPE_NONE;
    refuse(bad);
    bad.dtype = (ikat_dtype)99;
    refuse(bad);
    bad = good;
    bad.rank = IKAT_MAX_RANK + 1;
    refuse(bad);
    bad = good;
    bad.shape[0] = -1;
    refuse(bad);
    bad = good;
    bad.strides[0] = -5;
    refuse(bad);
    bad = good;
    bad.strides[1] = 2;
    refuse(bad);
    bad.strides[1] = 0;
    refuse(bad);
    bad.shape[1] = 1; // one element: any innermost stride will do
    assert_int_equal(size_of(bad), 4 * 16);
    bad = good;
    bad.offset = -1;
    refuse(bad);
}

static void overflow_is_refused(void **state) {
    (void)state;
    const int64_t huge = INT64_MAX;
    refuse(ikat_tensor_packed(IKAT_UINT8, 2, huge, 2, 0, 0));
    refuse(ikat_tensor_packed(IKAT_FLOAT32, 1, huge, 0, 0, 0));
    refuse(ikat_tensor_packed(IKAT_FLOAT16, 3, (int64_t)1 << 40, (int64_t)1 << 40, (int64_t)1 << 40,
                              0));
    refuse((ikat_tensor){IKAT_FLOAT32, 2, {4, 5}, {huge, 1}, 0});
    refuse((ikat_tensor){IKAT_FLOAT32, 1, {4}, {1}, huge});
    refuse((ikat_tensor){
        IKAT_UINT8, 3, {huge, huge, 1}, {0, 0, 1}, 0}); // its count overflows, if not its size
    assert_int_equal(size_of(ikat_tensor_packed(IKAT_UINT8, 1, huge, 0, 0, 0)), (uint64_t)huge);
    assert_int_equal(ikat_tensor_size_bytes(NULL, NULL), IKAT_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed),  cmocka_unit_test(scalars_and_empty_ones),
        cmocka_unit_test(views),   cmocka_unit_test(repeats_overlap),
        cmocka_unit_test(refused), cmocka_unit_test(overflow_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
