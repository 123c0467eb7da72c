// Random draws: the published vectors of Philox4x32-10, and the rule by which elements are drawn
// from it.

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/philox.h"

static void check_block(const uint32_t counter[4], const uint32_t key[2],
                        const uint32_t expected[4]) {
    uint32_t out[4];
    ikati_philox(counter, key, out);
    assert_memory_equal(out, expected, sizeof(out));
}

// Salmon et al.'s own vectors: all zeros, all ones, digits of pi.
static void known_vectors(void **state) {
    (void)state;
    check_block((uint32_t[4]){0, 0, 0, 0}, (uint32_t[2]){0, 0},
                (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    const uint32_t ones = 0xffffffff;
    check_block((uint32_t[4]){ones, ones, ones, ones}, (uint32_t[2]){ones, ones},
                (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_block((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                (uint32_t[2]){0xa4093822, 0x299f31d0},
                (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// Element e of stream s under a seed: counter (e / 4, s, 0, 0), key (low, high word), lane e % 4.
static void elements_are_lanes(void **state) {
    (void)state;
    const uint64_t seed = 0x0123456789abcdefu;
    for (uint64_t index = 0; index < 40; index++) {
        uint32_t block[4];
        ikati_philox((uint32_t[4]){(uint32_t)index / 4, 7, 0, 0},
                     (uint32_t[2]){0x89abcdef, 0x01234567}, block);
        assert_int_equal(ikati_draw_bits(seed, 7, index), block[index % 4]);
        assert_true(ikati_draw_uniform(seed, 7, index) == (block[index % 4] >> 8) / 16777216.0);
    }
}

static void normals_come_in_pairs(void **state) {
    (void)state;
    for (uint64_t index = 0; index < 64; index += 2) {
        const double u1 = ((ikati_draw_bits(3, 1, index) >> 8) + 1) / 16777216.0;
        const double u2 = (ikati_draw_bits(3, 1, index + 1) >> 8) / 16777216.0;
        const double z0 = ikati_draw_normal(3, 1, index), z1 = ikati_draw_normal(3, 1, index + 1);
        assert_true(fabs(z0 * z0 + z1 * z1 + 2 * log(u1)) < 1e-12);
        assert_true(fabs(z0 - sqrt(-2 * log(u1)) * cos(2 * acos(-1.0) * u2)) < 1e-12);
    }
}

static void moments(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    double uniform = 0, mean = 0, square = 0;
    for (uint64_t index = 0; index < COUNT; index++) {
        const double u = ikati_draw_uniform(42, 0, index), z = ikati_draw_normal(42, 1, index);
        assert_true(u >= 0 && u < 1 && isfinite(z));
        uniform += u / COUNT;
        mean += z / COUNT;
        square += z * z / COUNT;
    }
    assert_true(fabs(uniform - 0.5) < 0.005);
    assert_true(fabs(mean) < 0.015);
    assert_true(fabs(square - 1) < 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(elements_are_lanes),
        cmocka_unit_test(normals_come_in_pairs),
        cmocka_unit_test(moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
