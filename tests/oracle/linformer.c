// The identities and edge cases of the page of `linformer`.

#include "oracle.h"

#include <math.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, N = 5, M = 12, D = 6, DV = 4, WINDOW = 4 };

static oracle *begin_sized(const char *mechanism, int64_t queries, int64_t value_size) {
    oracle *call = oracle_begin(mechanism);
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, queries, D)), (size_t)(B * H * queries * D),
                1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, M, D)), B * HKV * M * D, 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, M, value_size)),
                (size_t)(B * HKV * M * value_size), 3);
    return call;
}

static oracle *begin(const char *mechanism) { return begin_sized(mechanism, N, DV); }

// A matrix [1,M,columns] of which row c has its one at position c.
static void put_identity(oracle *call, const char *name, int64_t columns) {
    float *matrix = oracle_floats(call, name, EXTENTS(1, M, columns));
    for (int64_t c = 0; c < M; c++) {
        matrix[c * columns + c] = 1;
    }
}

// A projection of `heads` matrices of random rows.
static void put_projection(oracle *call, const char *name, int64_t heads, int64_t rows,
                           uint32_t seed) {
    oracle_fill(oracle_floats(call, name, EXTENTS(heads, rows, M)), (size_t)(heads * rows * M),
                seed);
}

// Bank of one tap that hands each channel on.
static void put_tap(oracle *call, const char *name, int64_t columns) {
    float *tap = oracle_floats(call, name, EXTENTS(1, columns, columns));
    for (int64_t c = 0; c < columns; c++) {
        tap[c * columns + c] = 1;
    }
}

static double identity_is_dense(void) {
    oracle *call = begin("linformer");
    put_identity(call, "proj_k", M + 3); // columns past M are not used
    return oracle_run_and_compare(call, begin("dense"));
}

static double identity_of_self_attention_is_dense(void) {
    oracle *call = begin_sized("linformer", M, DV), *dense = begin_sized("dense", M, DV);
    put_identity(call, "proj_k", M);
    put_identity(call, "proj_v", M);
    return oracle_run_and_compare(call, dense);
}

static double windows_of_one_are_dense(void) {
    oracle *mean = begin("linformer"), *maximum = begin("linformer");
    oracle_set(mean, "projection", "mean");
    oracle_set(mean, "kernel_size", "1");
    oracle_set(maximum, "projection", "max");
    oracle_set(maximum, "kernel_size", "1");
    oracle_set_lengths(mean, 9, 0);
    oracle_set_lengths(maximum, 9, 0);
    oracle *dense = begin("dense"), *again = begin("dense");
    oracle_set_lengths(dense, 9, 0);
    oracle_set_lengths(again, 9, 0);
    return oracle_larger(oracle_run_and_compare(mean, dense),
                         oracle_run_and_compare(maximum, again));
}

static double one_tap_is_dense(void) {
    oracle *call = begin("linformer"), *shared = begin_sized("linformer", M, D);
    oracle_set(call, "projection", "conv");
    oracle_set(shared, "projection", "conv");
    put_tap(call, "conv_k", D);
    put_tap(call, "conv_v", DV);
    put_tap(shared, "conv_k", D * HKV); // all heads at once, for keys and values
    oracle_set_lengths(shared, 7, 0);
    oracle *dense = begin_sized("dense", M, D);
    oracle_set_lengths(dense, 7, 0);
    return oracle_larger(oracle_run_and_compare(call, begin("dense")),
                         oracle_run_and_compare(shared, dense));
}

// Rows that have their one at some positions: dense attention over those alone.
static double one_hot_rows_choose_keys(void) {
    static const int64_t chosen[] = {7, 0, 11};
    oracle *call = begin("linformer"), *dense = oracle_begin("dense");
    float *matrix = oracle_floats(call, "proj_k", EXTENTS(1, 3, M));
    memcpy(oracle_floats(dense, "q", EXTENTS(B, H, N, D)), oracle_values(call, "q"),
           B * H * N * D * sizeof(float));
    float *k = oracle_floats(dense, "k", EXTENTS(B, HKV, 3, D));
    float *v = oracle_floats(dense, "v", EXTENTS(B, HKV, 3, DV));
    for (int64_t c = 0; c < 3; c++) {
        matrix[c * M + chosen[c]] = 1;
        for (int64_t h = 0; h < B * HKV; h++) {
            memcpy(k + (h * 3 + c) * D, oracle_values(call, "k") + (h * M + chosen[c]) * D,
                   D * sizeof(float));
            memcpy(v + (h * 3 + c) * DV, oracle_values(call, "v") + (h * M + chosen[c]) * DV,
                   DV * sizeof(float));
        }
    }
    return oracle_run_and_compare(call, dense);
}

// Rows of 1 / WINDOW over a window each.
static void put_means(oracle *call) {
    float *matrix = oracle_floats(call, "proj_k", EXTENTS(1, M / WINDOW, M));
    for (int64_t j = 0; j < M; j++) {
        matrix[j / WINDOW * M + j] = 1.0f / WINDOW;
    }
}

static double means_are_rows_of_shares(void) {
    oracle *call = begin("linformer"), *linear = begin("linformer");
    oracle_set(call, "projection", "mean");
    oracle_set(call, "kernel_size", "4");
    put_means(linear);
    return oracle_run_and_compare(call, linear);
}

// A convolution with taps of 1 / WINDOW on the channel itself; depthwise, and as one bank.
static double means_are_equal_taps(void) {
    oracle *call = begin_sized("linformer", N, D), *depthwise = begin_sized("linformer", N, D);
    oracle *linear = begin_sized("linformer", N, D), *again = begin_sized("linformer", N, D);
    float *dense_bank = oracle_floats(call, "conv_k", EXTENTS(WINDOW, D, D));
    float *taps = oracle_floats(depthwise, "conv_k", EXTENTS(WINDOW, 1, D * HKV));
    for (int64_t i = 0; i < WINDOW * D; i++) {
        dense_bank[i * D + i % D] = 1.0f / WINDOW;
    }
    for (int64_t i = 0; i < WINDOW * D * HKV; i++) {
        taps[i] = 1.0f / WINDOW;
    }
    oracle_set(call, "projection", "conv");
    oracle_set(depthwise, "projection", "conv");
    put_means(linear);
    put_means(again);
    return oracle_larger(oracle_run_and_compare(call, linear),
                         oracle_run_and_compare(depthwise, again));
}

// The last window of what is valid has one position: mean and maximum are of that alone.
static double short_windows_have_what_they_have(void) {
    double worst = 0;
    for (int i = 0; i < 2; i++) {
        oracle *call = begin("linformer"), *one_hot = begin("linformer");
        oracle_set(call, "projection", i ? "max" : "mean");
        oracle_set(call, "kernel_size", "8");
        oracle_set_lengths(call, 1, 1);
        oracle_set_lengths(one_hot, 1, 1);
        oracle_floats(one_hot, "proj_k", EXTENTS(1, 1, M))[0] = 1;
        worst = oracle_larger(worst, oracle_run_and_compare(call, one_hot));
    }
    return worst;
}

// A bias of the values is added to the result.
static double bias_is_added(void) {
    oracle *call = begin_sized("linformer", N, D), *plain = begin_sized("linformer", N, D);
    oracle_fill(oracle_floats(call, "conv_k", EXTENTS(3, 2, D)), 3 * 2 * D, 7);
    oracle_fill(oracle_floats(plain, "conv_k", EXTENTS(3, 2, D)), 3 * 2 * D, 7);
    oracle_fill(oracle_floats(call, "conv_v", EXTENTS(3, 2, D)), 3 * 2 * D, 7);
    float *bias = oracle_floats(call, "conv_v_bias", EXTENTS(D));
    for (int d = 0; d < D; d++) {
        bias[d] = 0.25f * (float)(d + 1);
    }
    oracle_set(call, "projection", "conv");
    oracle_set(plain, "projection", "conv");
    oracle_run_both(call);
    oracle_run_both(plain);
    float expected[B * H * N * D];
    for (int i = 0; i < B * H * N * D; i++) {
        expected[i] = oracle_result(plain, "out", NULL)[i] + bias[i % D];
    }
    const double worst =
        oracle_deviation(oracle_result(call, "out", NULL), expected, B * H * N * D);
    oracle_end(call);
    oracle_end(plain);
    return worst;
}

static double permuted_rows_change_nothing(void) {
    oracle *call = begin("linformer"), *permuted = begin("linformer");
    put_projection(call, "proj_k", HKV, 3, 4);
    put_projection(call, "proj_v", 1, 3, 5);
    put_projection(permuted, "proj_k", HKV, 3, 4);
    put_projection(permuted, "proj_v", 1, 3, 5);
    for (int64_t m = 0; m < HKV + 1; m++) {
        float *rows = m < HKV ? oracle_values(permuted, "proj_k") + m * 3 * M
                              : oracle_values(permuted, "proj_v");
        float first[M];
        memcpy(first, rows, sizeof(first));
        memmove(rows, rows + M, 2 * sizeof(first));
        memcpy(rows + 2 * M, first, sizeof(first));
    }
    return oracle_run_and_compare(call, permuted);
}

// One projected key: every row is its value.
static double one_row_is_its_value(void) {
    oracle *call = begin("linformer");
    put_projection(call, "proj_k", 1, 1, 6);
    oracle_run(call, "out", NULL);
    float expected[B * H * N * DV];
    for (int64_t i = 0; i < B * H * N * DV; i++) {
        const int64_t head = i / (N * DV), kv = head / H * HKV + head % H / (H / HKV);
        double sum = 0;
        for (int64_t j = 0; j < M; j++) {
            sum += (double)oracle_values(call, "proj_k")[j] *
                   oracle_values(call, "v")[(kv * M + j) * DV + i % DV];
        }
        expected[i] = (float)sum;
    }
    const double worst =
        oracle_deviation(oracle_result(call, "out", NULL), expected, B * H * N * DV);
    oracle_end(call);
    return worst;
}

static double shared_matrices_are_repeated_ones(void) {
    oracle *shared = begin("linformer"), *repeated = begin("linformer");
    put_projection(shared, "proj_k", 1, 5, 8);
    float *k = oracle_floats(repeated, "proj_k", EXTENTS(HKV, 5, M));
    float *v = oracle_floats(repeated, "proj_v", EXTENTS(HKV, 5, M));
    for (int64_t h = 0; h < HKV; h++) {
        memcpy(k + h * 5 * M, oracle_values(shared, "proj_k"), 5 * M * sizeof(float));
        memcpy(v + h * 5 * M, oracle_values(shared, "proj_k"), 5 * M * sizeof(float));
    }
    return oracle_run_and_compare(shared, repeated);
}

// What is not valid is not read, and with as many queries as keys not written either.
static double padding_is_nothing(const char *projection, int64_t queries) {
    oracle *calls[2];
    for (int i = 0; i < 2; i++) {
        oracle *call = calls[i] = begin_sized("linformer", queries, D);
        oracle_set(call, "projection", projection);
        oracle_set_lengths(call, 6, 0);
        if (projection[0] == 'l') {
            put_projection(call, "proj_k", 1, 3, 4);
        } else if (projection[0] == 'c') {
            oracle_fill(oracle_floats(call, "conv_k", EXTENTS(WINDOW, 3, D)), WINDOW * 3 * D, 5);
        } else {
            oracle_set(call, "kernel_size", "4");
        }
        for (int64_t row = 0; row < B * HKV * M && i; row++) {
            const bool valid = row / (HKV * M) == 0 && row % M < 6;
            for (int64_t d = 0; d < D && !valid; d++) {
                oracle_values(call, "k")[row * D + d] = NAN;
                oracle_values(call, "v")[row * D + d] = NAN;
            }
        }
        oracle_run_both(call);
    }
    double worst = oracle_larger(oracle_compare(calls[0], calls[1], "out"),
                                 oracle_compare(calls[0], calls[1], "lse"));
    for (int64_t row = 0; row < B * H * queries; row++) {
        const bool sees = row / (H * queries) == 0 && (queries != M || row % queries < 6);
        const bool is_nothing = oracle_result(calls[1], "lse", NULL)[row] == -INFINITY &&
                                oracle_result(calls[1], "out", NULL)[row * D] == 0;
        worst = sees == is_nothing ? INFINITY : worst;
    }
    oracle_end(calls[0]);
    oracle_end(calls[1]);
    return worst;
}

static double padding_is_nothing_anywhere(void) {
    static const char *const projections[] = {"linear", "mean", "max", "conv"};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        worst = oracle_larger(worst, padding_is_nothing(projections[i], N));
        worst = oracle_larger(worst, padding_is_nothing(projections[i], M));
    }
    return worst;
}

// Padding hides no row of a projection: it contributes zeros.
static double padding_hides_no_row(void) {
    oracle *call = begin("linformer"), *zeros = begin("linformer");
    put_projection(call, "proj_k", 1, 3, 4);
    put_projection(zeros, "proj_k", 1, 3, 4);
    oracle_set_lengths(call, 6, M);
    for (int64_t row = 0; row < HKV * M; row++) {
        for (int64_t d = 0; d < D && row % M >= 6; d++) {
            oracle_values(zeros, "k")[row * D + d] = 0;
            if (d < DV) {
                oracle_values(zeros, "v")[row * DV + d] = 0;
            }
        }
    }
    return oracle_run_and_compare(call, zeros);
}

static double chosen_rows_are_the_wholes(void) {
    static const int64_t rows[] = {0, 3, 4};
    oracle *call = begin("linformer");
    put_projection(call, "proj_k", HKV, 7, 4);
    return oracle_run_rows(call, N, rows, 3);
}

static const oracle_identity identities[] = {
    {"identity_is_dense", identity_is_dense, false},
    {"identity_of_self_attention_is_dense", identity_of_self_attention_is_dense, false},
    {"windows_of_one_are_dense", windows_of_one_are_dense, false},
    {"one_tap_is_dense", one_tap_is_dense, false},
    {"one_hot_rows_choose_keys", one_hot_rows_choose_keys, true},
    {"means_are_rows_of_shares", means_are_rows_of_shares, true},
    {"means_are_equal_taps", means_are_equal_taps, true},
    {"short_windows_have_what_they_have", short_windows_have_what_they_have, true},
    {"bias_is_added", bias_is_added, false},
    {"permuted_rows_change_nothing", permuted_rows_change_nothing, false},
    {"one_row_is_its_value", one_row_is_its_value, true},
    {"shared_matrices_are_repeated_ones", shared_matrices_are_repeated_ones, false},
    {"padding_is_nothing_anywhere", padding_is_nothing_anywhere, false},
    {"padding_hides_no_row", padding_hides_no_row, false},
    {"chosen_rows_are_the_wholes", chosen_rows_are_the_wholes, false},
};

int main(void) {
    return oracle_main("linformer", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
