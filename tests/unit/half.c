// Float16 conversions: known numbers, every half there and back, rounding at every boundary.

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/half.h"

static void known_numbers(void **state) {
    (void)state;
    static const struct {
        uint16_t half;
        double value;
    } known[] = {
        {0x0000, 0.0},      {0x3c00, 1.0},      {0xc000, -2.0},        {0x3555, 0x1.554p-2},
        {0x7bff, 65504.0},  {0x0400, 0x1p-14},  {0x03ff, 0x1.ff8p-15}, {0x0001, 0x1p-24},
        {0x8001, -0x1p-24}, {0x7c00, INFINITY}, {0xfc00, -INFINITY},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_true(ikati_half_to_float(known[i].half) == (float)known[i].value);
        assert_int_equal(ikati_float_to_half((float)known[i].value), known[i].half);
        assert_int_equal(ikati_double_to_half(known[i].value), known[i].half);
    }
    assert_true(signbit(ikati_half_to_float(0x8000)));
    assert_int_equal(ikati_float_to_half(-0.0f), 0x8000);
}

static void every_half_survives(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        const float value = ikati_half_to_float((uint16_t)half);
        const uint16_t back = ikati_float_to_half(value);
        if ((half & 0x7c00u) == 0x7c00u && (half & 0x3ffu) != 0) {
            assert_true(isnan(value));
            assert_int_equal(back, half | 0x200u); // quiet, sign and payload kept
        } else {
            assert_int_equal(back, half);
        }
    }
}

// Between two neighbours: below the middle down, above it up, at it to the even one.
static void rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7bff; half++) {
        const double low = ikati_half_to_float((uint16_t)half),
                     high = ikati_half_to_float((uint16_t)(half + 1));
        const double middle = (low + high) / 2; // exact
        const uint32_t even = half % 2 ? half + 1 : half;
        assert_int_equal(ikati_double_to_half(middle), even);
        assert_int_equal(ikati_double_to_half(-middle), even | 0x8000u);
        assert_int_equal(ikati_double_to_half(nextafter(middle, 0)), half);
        assert_int_equal(ikati_double_to_half(nextafter(middle, INFINITY)), half + 1);
        assert_int_equal(ikati_float_to_half((float)middle), even);
    }
}

static void overflow_and_underflow(void **state) {
    (void)state;
    assert_int_equal(ikati_float_to_half(65519.0f), 0x7bff);
    assert_int_equal(ikati_float_to_half(65520.0f), 0x7c00); // halfway to 65536
    assert_int_equal(ikati_float_to_half(-1e30f), 0xfc00);
    assert_int_equal(ikati_double_to_half(1e300), 0x7c00);
    assert_int_equal(ikati_float_to_half(0x1p-25f), 0x0000); // halfway to the smallest, even is 0
    assert_int_equal(ikati_float_to_half(0x1.8p-25f), 0x0001);
    assert_int_equal(ikati_double_to_half(-1e-300), 0x8000);
    assert_int_equal(ikati_double_to_half(nextafter(0, 1)), 0x0000);
}

// Two roundings, through float32, would give 0x3c00.
static void doubles_round_once(void **state) {
    (void)state;
    assert_int_equal(ikati_double_to_half(1 + 0x1p-11 + 0x1p-40), 0x3c01);
}

static void nan_stays_nan(void **state) {
    (void)state;
    assert_int_equal(ikati_float_to_half(NAN) & 0x7e00, 0x7e00);
    const uint32_t bits = 0x7f800001u; // a payload that half has no room for
    float value;
    memcpy(&value, &bits, sizeof(value));
    const uint16_t half = ikati_float_to_half(value);
    assert_true((half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),          cmocka_unit_test(every_half_survives),
        cmocka_unit_test(rounds_to_nearest_even), cmocka_unit_test(overflow_and_underflow),
        cmocka_unit_test(doubles_round_once),     cmocka_unit_test(nan_stays_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
