// The identities and edge cases of the page of `fnet`.

#include "oracle.h"

#include <complex.h>
#include <math.h>
#include <string.h>

enum { B = 2, N = 12, C = 15 };

static const double pi = 3.14159265358979323846;

static oracle *begin_sized(int64_t batches, int64_t positions, int64_t channels) {
    oracle *call = oracle_begin("fnet");
    const size_t count = (size_t)(batches * positions * channels);
    oracle_fill(oracle_floats(call, "x", EXTENTS(batches, positions, channels)), count, 1);
    return call;
}

static const float *run(oracle *call) {
    oracle_run(call, "out", NULL);
    return oracle_result(call, "out", NULL);
}

// How far the result is from what is expected, relative to the largest there may be; ends the call.
static double expect(oracle *call, const double *expected, size_t count, double size) {
    const float *out = run(call);
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        const double off = fabs(out[i] - expected[i]) / size;
        worst = oracle_larger(worst, isnan(off) ? INFINITY : off);
    }
    oracle_end(call);
    return worst;
}

// One-dimensional transform by recursion over the least factor: other sums than the reference's.
static void transform(const double complex *x, int64_t num, int64_t stride, double complex *out) {
    int64_t factor = 2;
    while (factor < num && num % factor) {
        factor++;
    }
    if (num == 1) {
        out[0] = x[0];
        return;
    }
    const int64_t part = num / factor;
    double complex parts[1024];
    for (int64_t f = 0; f < factor; f++) {
        transform(x + f * stride, part, stride * factor, parts + f * part);
    }
    for (int64_t k = 0; k < num; k++) {
        out[k] = 0;
        for (int64_t f = 0; f < factor; f++) {
            out[k] +=
                parts[f * part + k % part] * cexp(-2 * pi * I * (double)(f * k) / (double)num);
        }
    }
}

static void transform_plane(const float *x, int64_t positions, int64_t channels, double *out) {
    double complex plane[1024], column[1024], result[1024];
    for (int64_t m = 0; m < positions; m++) {
        for (int64_t d = 0; d < channels; d++) {
            column[d] = x[m * channels + d];
        }
        transform(column, channels, 1, plane + m * channels);
    }
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t m = 0; m < positions; m++) {
            column[m] = plane[m * channels + c];
        }
        transform(column, positions, 1, result);
        for (int64_t n = 0; n < positions; n++) {
            out[n * channels + c] = creal(result[n]);
        }
    }
}

static double compare_with_transform(int64_t positions, int64_t channels) {
    double expected[2048];
    oracle *call = begin_sized(B, positions, channels);
    const int64_t size = positions * channels;
    for (int64_t b = 0; b < B; b++) {
        const float *x = oracle_values(call, "x") + b * size;
        transform_plane(x, positions, channels, expected + b * size);
    }
    return expect(call, expected, (size_t)(B * size), sqrt((double)size));
}

static double is_the_transform(void) { return compare_with_transform(N, C); }
static double is_it_for_primes(void) { return compare_with_transform(13, 23); }
static double is_it_for_powers(void) { return compare_with_transform(32, 16); }
static double is_it_of_one_position(void) { return compare_with_transform(1, 50); }
static double is_it_of_one_channel(void) { return compare_with_transform(77, 1); }
static double one_element_stays(void) { return compare_with_transform(1, 1); }

// out[n,c] = out[(N-n) % N, (C-c) % C].
static double is_point_symmetric(void) {
    double mirrored[B * N * C];
    oracle *call = begin_sized(B, N, C);
    const float *out = run(call);
    for (int64_t i = 0; i < B * N * C; i++) {
        const int64_t b = i / (N * C), n = i / C % N, c = i % C;
        mirrored[i] = out[(b * N + (N - n) % N) * C + (C - c) % C];
    }
    return expect(call, mirrored, B * N * C, 1);
}

static double impulse_is_a_cosine(void) {
    enum { M = 5, D = 7 };
    double expected[N * C];
    oracle *call = oracle_begin("fnet");
    oracle_floats(call, "x", EXTENTS(1, N, C))[M * C + D] = 1;
    for (int n = 0; n < N; n++) {
        for (int c = 0; c < C; c++) {
            expected[n * C + c] = cos(2 * pi * (n * M / (double)N + c * D / (double)C));
        }
    }
    return expect(call, expected, N * C, 1);
}

static double constant_is_an_impulse(void) {
    double expected[N * C] = {N * C};
    oracle *call = oracle_begin("fnet");
    float *x = oracle_floats(call, "x", EXTENTS(1, N, C));
    for (int i = 0; i < N * C; i++) {
        x[i] = 1;
    }
    return expect(call, expected, N * C, N * C);
}

static double first_is_the_sum(void) {
    oracle *call = begin_sized(B, N, C);
    const float *out = run(call), *x = oracle_values(call, "x");
    double worst = 0;
    for (int b = 0; b < B; b++) {
        double sum = 0;
        for (int i = 0; i < N * C; i++) {
            sum += x[b * N * C + i];
        }
        worst = oracle_larger(worst, fabs(out[b * N * C] - sum));
    }
    oracle_end(call);
    return worst;
}

// sum out^2 <= N C sum x^2.
static double energy_is_bounded(void) {
    oracle *call = begin_sized(1, N, C);
    const float *out = run(call), *x = oracle_values(call, "x");
    double before = 0, after = 0;
    for (int i = 0; i < N * C; i++) {
        before += (double)x[i] * x[i];
        after += (double)out[i] * out[i];
    }
    oracle_end(call);
    return after > before && after <= N * C * before * (1 + 1e-6) ? 0 : INFINITY;
}

static double is_linear(void) {
    double expected[B * N * C];
    oracle *a = begin_sized(B, N, C), *b = begin_sized(B, N, C), *sum = begin_sized(B, N, C);
    oracle_fill(oracle_values(b, "x"), B * N * C, 2);
    const float *out_a = run(a), *out_b = run(b);
    for (int i = 0; i < B * N * C; i++) {
        expected[i] = 2.0 * out_a[i] - 3.0 * out_b[i];
        oracle_values(sum, "x")[i] = 2 * oracle_values(a, "x")[i] - 3 * oracle_values(b, "x")[i];
    }
    oracle_end(a);
    oracle_end(b);
    return expect(sum, expected, B * N * C, sqrt(N * C));
}

// N C (x + x') / 2, x' the point reflection; with `ortho` that without the factor.
static double twice(const char *norm, double factor) {
    double expected[B * N * C];
    oracle *once = begin_sized(B, N, C), *again = begin_sized(B, N, C);
    oracle_set(once, "norm", norm);
    oracle_set(again, "norm", norm);
    const float *x = oracle_values(once, "x");
    for (int64_t i = 0; i < B * N * C; i++) {
        const int64_t b = i / (N * C), n = i / C % N, c = i % C;
        expected[i] = factor * (x[i] + x[(b * N + (N - n) % N) * C + (C - c) % C]) / 2;
    }
    memcpy(oracle_values(again, "x"), run(once), sizeof(float) * B * N * C);
    oracle_end(once);
    return expect(again, expected, B * N * C, factor);
}
static double twice_is_the_even_part(void) { return twice("none", N * C); }
static double ortho_needs_no_factor(void) { return twice("ortho", 1); }

static double ortho_divides(void) {
    double expected[B * N * C];
    oracle *plain = begin_sized(B, N, C), *ortho = begin_sized(B, N, C);
    oracle_set(ortho, "norm", "ortho");
    const float *out = run(plain);
    for (int i = 0; i < B * N * C; i++) {
        expected[i] = out[i] / sqrt(N * C);
    }
    oracle_end(plain);
    return expect(ortho, expected, B * N * C, 1);
}

// Entries of a batch are apart: a NaN stays in its own.
static double batch_entries_are_apart(void) {
    oracle *call = begin_sized(B, N, C), *poisoned = begin_sized(B, N, C);
    oracle_values(poisoned, "x")[N * C + 3] = NAN;
    const double worst = oracle_deviation(run(poisoned), run(call), N * C);
    oracle_end(call);
    oracle_end(poisoned);
    return worst;
}

// A view whose rows lie apart, amid NaN.
static double strides_are_followed(void) {
    enum { ROW = C + 4, BATCH = N * ROW + 9, OFFSET = 5 };
    float data[OFFSET + B * BATCH];
    double expected[B * N * C];
    oracle *call = begin_sized(B, N, C), *view = oracle_begin("fnet");
    const float *x = oracle_values(call, "x"), *out = run(call);
    for (int i = 0; i < OFFSET + B * BATCH; i++) {
        data[i] = NAN;
    }
    for (int i = 0; i < B * N * C; i++) {
        data[OFFSET + i / (N * C) * BATCH + i / C % N * ROW + i % C] = x[i];
        expected[i] = out[i];
    }
    ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT32, 3, B, N, C, 0);
    tensor.strides[0] = BATCH;
    tensor.strides[1] = ROW;
    tensor.strides[2] = 1;
    tensor.offset = OFFSET;
    oracle_input(view, "x", &tensor, data, sizeof(data));
    oracle_end(call);
    return expect(view, expected, B * N * C, 1);
}

static double no_extent_is_zero(void) {
    oracle *positions = oracle_begin("fnet"), *channels = oracle_begin("fnet");
    oracle_floats(positions, "x", EXTENTS(1, 0, 4));
    oracle_floats(channels, "x", EXTENTS(1, 4, 0));
    const bool refused =
        oracle_try(positions, "out") == IKAT_INVALID && oracle_try(channels, "out") == IKAT_INVALID;
    oracle_end(positions);
    oracle_end(channels);
    return refused ? 0 : INFINITY;
}

static const oracle_identity identities[] = {
    {"is_the_transform", is_the_transform, true},
    {"is_it_for_primes", is_it_for_primes, true},
    {"is_it_for_powers", is_it_for_powers, true},
    {"is_it_of_one_position", is_it_of_one_position, false},
    {"is_it_of_one_channel", is_it_of_one_channel, false},
    {"one_element_stays", one_element_stays, false},
    {"is_point_symmetric", is_point_symmetric, false},
    {"impulse_is_a_cosine", impulse_is_a_cosine, true},
    {"constant_is_an_impulse", constant_is_an_impulse, false},
    {"first_is_the_sum", first_is_the_sum, false},
    {"energy_is_bounded", energy_is_bounded, false},
    {"is_linear", is_linear, false},
    {"twice_is_the_even_part", twice_is_the_even_part, false},
    {"ortho_needs_no_factor", ortho_needs_no_factor, false},
    {"ortho_divides", ortho_divides, false},
    {"batch_entries_are_apart", batch_entries_are_apart, false},
    {"strides_are_followed", strides_are_followed, false},
    {"no_extent_is_zero", no_extent_is_zero, false},
};

// Without a device: the reference's.
//
//   test_oracle_fnet [DEVICE [LIMITS]]
int main(int argc, char **argv) {
    if (argc > 1 && !oracle_use_device(argv[1], argc > 2 ? argv[2] : NULL)) {
        return 77;
    }
    const int failed =
        oracle_main("fnet", identities, sizeof(identities) / sizeof(identities[0]), ORACLE_BROKEN);
    oracle_leave_device();
    return failed;
}
