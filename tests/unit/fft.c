// Plans of Fourier transforms: their factors, and that what the header says of passes and tables gives the
// transform.

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/fft.h"

static const double pi = 3.14159265358979323846;
static const ikati_host host = {0};

typedef struct number {
    double re, im;
} number;

static number times(number a, number b) {
    return (number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static number turn(double fraction) {
    return (number){cos(2 * pi * fraction), -sin(2 * pi * fraction)};
}

static ikati_fft plan(uint32_t length) {
    ikati_fft fft;
    assert_int_equal(ikati_fft_create(&host, length, &fft), IKAT_OK);
    return fft;
}

static bool is_radix(uint32_t radix) {
    return radix == 2 || radix == 3 || radix == 4 || radix == 5 || radix == 7 || radix == 8 ||
           radix == 16;
}

static void factors_make_the_size(void **state) {
    (void)state;
    for (uint32_t length = 1; length <= 2100; length++) {
        ikati_fft fft = plan(length);
        uint64_t product = 1;
        for (uint32_t i = 0; i < fft.num_passes; i++) {
            assert_true(is_radix(fft.radices[i]) || (length == 1 && fft.radices[i] == 1));
            product *= fft.radices[i];
        }
        assert_int_equal(product, fft.size);
        assert_true(fft.convolves ? fft.size >= 2 * length - 1 && fft.size < 4 * length + 256
                                  : fft.size == length);
        ikati_fft_clear(&fft);
    }
}

static void vectors_are_whole(void **state) {
    (void)state;
    static const struct {
        uint32_t length, vector;
    } known[] = {{1, 1},    {12, 1},    {64, 4},   {128, 4},   {256, 16}, {512, 16},
                 {768, 16}, {1024, 16}, {1000, 1}, {1009, 16}, {96, 4},   {4096, 16}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        ikati_fft fft = plan(known[i].length);
        assert_int_equal(ikati_fft_vector(&fft), known[i].vector);
        ikati_fft_clear(&fft);
    }
}

// One pass as the kernel does it, by its definition, with the plan's powers of w.
static void run_pass(const ikati_fft *fft, uint32_t pass, uint32_t span, const number *x,
                     number *y) {
    const uint32_t radix = fft->radices[pass], num = fft->size / radix;
    for (uint32_t j = 0; j < num; j++) {
        const uint32_t q = j % span;
        number z[16];
        for (uint32_t r = 0; r < radix; r++) {
            z[r] = x[j + r * num];
            for (uint32_t b = 0; r >> b; b++) {
                const float *w = fft->table + fft->twiddles_at[pass] + 2 * (size_t)b * span;
                z[r] = r >> b & 1 ? times(z[r], (number){w[q], w[span + q]}) : z[r];
            }
        }
        for (uint32_t k = 0; k < radix; k++) {
            number sum = {0};
            for (uint32_t r = 0; r < radix; r++) {
                const number term = times(z[r], turn((double)(k * r % radix) / radix));
                sum = (number){sum.re + term.re, sum.im + term.im};
            }
            y[(j - q) * radix + q + k * span] = sum;
        }
    }
}

static void run_passes(const ikati_fft *fft, number **x, number **y) {
    uint32_t span = 1;
    for (uint32_t i = 0; i < fft->num_passes; span *= fft->radices[i++]) {
        run_pass(fft, i, span, *x, *y);
        number *swapped = *x;
        *x = *y;
        *y = swapped;
    }
}

// Products with a table of `count` numbers; `conjugates`: as those between and after are.
static void multiply(const ikati_fft *fft, number *x, uint32_t at, uint32_t count,
                     bool conjugates) {
    const uint32_t padded = (uint32_t)ikati_round_up(count, IKATI_FFT_PADDING);
    for (uint32_t i = 0; i < count; i++) {
        x[i] = times(x[i], (number){fft->table[at + i], fft->table[at + padded + i]});
        x[i].im = conjugates ? -x[i].im : x[i].im;
    }
}

static double deviation(uint32_t length) {
    ikati_fft fft = plan(length);
    number *memory = calloc(3 * (size_t)fft.size, sizeof(*memory));
    number *x = memory, *y = x + fft.size, *input = y + fft.size;
    for (uint32_t i = 0; i < length; i++) {
        input[i] = x[i] = (number){(double)(i * 37 % 19) - 9, (double)(i * 53 % 23) - 11};
    }
    if (fft.convolves) {
        multiply(&fft, x, fft.chirp_at, length, false);
        run_passes(&fft, &x, &y);
        multiply(&fft, x, fft.response_at, fft.size, true);
    }
    run_passes(&fft, &x, &y);
    if (fft.convolves) {
        multiply(&fft, x, fft.unchirp_at, length, true);
    }
    double error = 0, size = 0;
    for (uint32_t k = 0; k < length; k++) {
        number sum = {0};
        for (uint64_t i = 0; i < length; i++) {
            const number term = times(input[i], turn((double)(i * k % length) / length));
            sum = (number){sum.re + term.re, sum.im + term.im};
        }
        error += pow(sum.re - x[k].re, 2) + pow(sum.im - x[k].im, 2);
        size += sum.re * sum.re + sum.im * sum.im;
    }
    free(memory);
    ikati_fft_clear(&fft);
    return sqrt(error / size);
}

// What is left is the rounding of tables to float32.
static void passes_make_the_transform(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1,  2,  3,  4,  5,  7,   8,   11,  13,  16,   17,   22,  23,
                                       30, 31, 32, 61, 97, 143, 210, 256, 384, 1000, 1009, 1024};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_true(deviation(lengths[i]) < 2e-7);
    }
}

static void copies_own_nothing(void **state) {
    (void)state;
    const ikati_fft copy = ikati_fft_copy(1009);
    assert_int_equal(copy.size, 1009);
    assert_int_equal(copy.num_passes, 1);
    assert_int_equal(copy.radices[0], 1);
    assert_true(!copy.convolves && !copy.table && copy.num_floats == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_make_the_size),
        cmocka_unit_test(vectors_are_whole),
        cmocka_unit_test(passes_make_the_transform),
        cmocka_unit_test(copies_own_nothing),
    };
    return cmocka_run_group_tests_name("fft", tests, NULL, NULL);
}
