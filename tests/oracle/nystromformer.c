// The identities and edge cases of the page of `nystromformer`.

#include "oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, N = 23, D = 5, DV = 3, L = 6 };

static oracle *begin_sized(const char *mechanism, int64_t batches, int64_t heads, int64_t kv_heads,
                           int64_t n) {
    oracle *call = oracle_begin(mechanism);
    oracle_fill(oracle_floats(call, "q", EXTENTS(batches, heads, n, D)),
                (size_t)(batches * heads * n * D), 1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(batches, kv_heads, n, D)),
                (size_t)(batches * kv_heads * n * D), 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(batches, kv_heads, n, DV)),
                (size_t)(batches * kv_heads * n * DV), 3);
    return call;
}

static oracle *begin(const char *mechanism) { return begin_sized(mechanism, B, H, HKV, N); }

// The call keeps the text.
static void set_integer(oracle *call, const char *name, int value) {
    static char texts[32][8];
    static int next;
    char *text = texts[next++ % 32];
    snprintf(text, sizeof(texts[0]), "%d", value);
    oracle_set(call, name, text);
}

static oracle *begin_with(int landmarks) {
    oracle *call = begin("nystromformer");
    set_integer(call, "num_landmarks", landmarks);
    return call;
}

static double many_landmarks_are_dense(void) {
    return oracle_larger(oracle_run_and_compare_out(begin_with(N), begin("dense")),
                         oracle_run_and_compare_out(begin_with(1000), begin("dense")));
}

// Rows past the lengths are 0, the others those of the truncated sequences: one is dense.
static double lengths_truncate(void) {
    oracle *whole = begin_with(L), *truncated[B];
    const int32_t lengths[B] = {17, 4};
    oracle_set_lengths(whole, lengths[0], lengths[1]);
    for (int b = 0; b < B; b++) {
        const int64_t n = lengths[b];
        truncated[b] = begin_sized("nystromformer", 1, H, HKV, n);
        set_integer(truncated[b], "num_landmarks", L);
        const struct {
            const char *name;
            int64_t heads, size;
        } tensors[] = {{"q", H, D}, {"k", HKV, D}, {"v", HKV, DV}};
        for (int t = 0; t < 3; t++) {
            const int64_t heads = tensors[t].heads, size = tensors[t].size;
            float *from = oracle_values(whole, tensors[t].name) + b * heads * N * size;
            float *to = oracle_values(truncated[b], tensors[t].name);
            for (int64_t h = 0; h < heads; h++) {
                memcpy(to + h * n * size, from + h * N * size, (size_t)(n * size) * sizeof(float));
                for (int64_t i = n * size; i < N * size; i++) {
                    from[h * N * size + i] = NAN;
                }
            }
        }
        oracle_run(truncated[b], "out", NULL);
    }
    oracle_run(whole, "out", NULL);
    double worst = 0;
    for (int64_t row = 0; row < B * H * N; row++) {
        const int64_t b = row / (H * N), i = row % N, head = row / N % H;
        const float zeros[DV] = {0}, *out = oracle_result(whole, "out", NULL) + row * DV;
        const float *other = oracle_result(truncated[b], "out", NULL);
        const float *want = i < lengths[b] ? other + (head * lengths[b] + i) * DV : zeros;
        worst = oracle_larger(worst, oracle_deviation(out, want, DV));
    }
    for (int b = 0; b < B; b++) {
        oracle_end(truncated[b]);
    }
    oracle_end(whole);
    return worst;
}

// One landmark: all rows are that of dense attention with the mean query.
static double one_landmark_is_the_mean(void) {
    oracle *call = begin_with(1), *dense = begin("dense");
    float *q = oracle_values(dense, "q");
    for (int64_t m = 0; m < B * H; m++) {
        for (int64_t d = 0; d < D; d++) {
            double mean = 0;
            for (int64_t i = 0; i < N; i++) {
                mean += q[(m * N + i) * D + d] / (double)N;
            }
            for (int64_t i = 0; i < N; i++) {
                q[(m * N + i) * D + d] = (float)mean;
            }
        }
    }
    return oracle_run_and_compare_out(call, dense);
}

static double one_head_starts_alike(void) {
    oracle *calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = begin_sized("nystromformer", 1, 1, 1, N);
        set_integer(calls[i], "num_landmarks", L);
        oracle_set(calls[i], "pinv_init", i ? "original" : "exact");
        set_integer(calls[i], "pinv_iterations", 2);
    }
    return oracle_run_and_compare_out(calls[0], calls[1]);
}

// A c that is another head's: with few iterations the start shows.
static double original_takes_the_largest(void) {
    oracle *own = begin_with(L), *common = begin_with(L);
    oracle_set(common, "pinv_init", "original");
    set_integer(own, "pinv_iterations", 0);
    set_integer(common, "pinv_iterations", 0);
    oracle_run(own, "out", NULL);
    oracle_run(common, "out", NULL);
    // Without iterations the result is 1 / c of what it is without c: one factor a head, at most 1, and 1
    // where the largest is.
    double worst = 0, largest = 0;
    for (int64_t m = 0; m < B * H; m++) {
        const float *a = oracle_result(own, "out", NULL) + m * N * DV;
        const float *b = oracle_result(common, "out", NULL) + m * N * DV;
        const double factor = b[0] / a[0];
        largest = oracle_larger(largest, factor);
        worst = factor <= 1 + 1e-6 ? worst : INFINITY;
        for (int64_t i = 0; i < N * DV; i++) {
            worst = oracle_larger(worst, fabs(b[i] - factor * a[i]) / fmax(1, fabs(a[i])));
        }
    }
    oracle_end(own);
    oracle_end(common);
    return oracle_larger(worst, fabs(largest - 1));
}

// Queries and keys that come L apart in kind: a query that is a landmark gets its row of dense attention.
static double landmarks_are_exact(void) {
    enum { SIZE = 4, ROWS = 3 * SIZE };
    oracle *calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = oracle_begin(i ? "dense" : "nystromformer");
        float *q = oracle_floats(calls[i], "q", EXTENTS(1, 1, ROWS, SIZE));
        float *k = oracle_floats(calls[i], "k", EXTENTS(1, 1, ROWS, SIZE));
        oracle_fill(oracle_floats(calls[i], "v", EXTENTS(1, 1, ROWS, DV)), ROWS * DV, 3);
        for (int row = 0; row < ROWS; row++) { // three equal rows a segment
            q[row * SIZE + row / 3] = 3;
            k[row * SIZE + row / 3] = 3;
        }
    }
    set_integer(calls[0], "num_landmarks", SIZE);
    set_integer(calls[0], "pinv_iterations", 25);
    return oracle_run_and_compare_out(calls[0], calls[1]);
}

static void set_taps(oracle *call, int64_t taps, int64_t at) {
    float *conv = oracle_floats(call, "conv_v", EXTENTS(H, taps));
    for (int64_t h = 0; h < H; h++) {
        conv[h * taps + at] = 1;
    }
}

// A single 1, `shift` right of the middle: the value of position i + shift is added.
static double convolution_shifts(int landmarks, int64_t taps, int64_t shift) {
    oracle *plain = begin_with(landmarks), *convolved = begin_with(landmarks);
    oracle_set_lengths(plain, N, 14);
    oracle_set_lengths(convolved, N, 14);
    set_taps(convolved, taps, taps / 2 + shift);
    oracle_run(plain, "out", NULL);
    oracle_run(convolved, "out", NULL);
    double worst = 0;
    for (int64_t row = 0; row < B * H * N; row++) {
        const int64_t matrix = row / N, i = row % N, j = i + shift, n = matrix / H ? 14 : N;
        const float *v =
            oracle_values(plain, "v") + ((matrix / H * HKV + matrix % H / (H / HKV)) * N + j) * DV;
        float want[DV];
        memcpy(want, oracle_result(plain, "out", NULL) + row * DV, sizeof(want));
        for (int64_t d = 0; d < DV && i < n && j >= 0 && j < n; d++) {
            want[d] += v[d];
        }
        worst = oracle_larger(
            worst, oracle_deviation(oracle_result(convolved, "out", NULL) + row * DV, want, DV));
    }
    oracle_end(plain);
    oracle_end(convolved);
    return worst;
}

static double one_in_the_middle_adds_v(void) {
    return oracle_larger(convolution_shifts(L, 5, 0), convolution_shifts(N, 1, 0));
}
static double taps_are_not_flipped(void) {
    return oracle_larger(convolution_shifts(L, 7, 3),
                         oracle_larger(convolution_shifts(N, 7, -2), convolution_shifts(L, 99, 9)));
}

// Pruned heads are 0, may hold NaN, and do not count for the common start.
static double pruned_heads_are_nothing(void) {
    oracle *call = begin_sized("nystromformer", 1, 2, 2, N);
    oracle *alone = begin_sized("nystromformer", 1, 1, 1, N);
    oracle *calls[] = {call, alone};
    for (int i = 0; i < 2; i++) {
        set_integer(calls[i], "num_landmarks", L);
        oracle_set(calls[i], "pinv_init", "original");
        set_integer(calls[i], "pinv_iterations", 1);
    }
    oracle_ints(call, "head_mask", EXTENTS(2))[0] = 1;
    static const char *const names[] = {"q", "k", "v"};
    for (int t = 0; t < 3; t++) {
        const size_t count = (size_t)N * (t == 2 ? DV : D);
        memcpy(oracle_values(alone, names[t]), oracle_values(call, names[t]),
               count * sizeof(float));
        oracle_values(call, names[t])[count + 7] = NAN;
    }
    oracle_run(call, "out", NULL);
    oracle_run(alone, "out", NULL);
    const float *out = oracle_result(call, "out", NULL);
    double worst = oracle_deviation(out, oracle_result(alone, "out", NULL), (size_t)N * DV);
    for (int i = N * DV; i < 2 * N * DV; i++) {
        worst = out[i] == 0 ? worst : INFINITY;
    }
    oracle_end(call);
    oracle_end(alone);
    return worst;
}

static double refused(oracle *call) {
    const ikat_status status = oracle_try(call, "out");
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}

static double bad_values_are_refused(void) {
    static const char *const bad[][2] = {{"num_landmarks", "0"},   {"pinv_iterations", "-1"},
                                         {"pinv_init", "other"},   {"scale", "nan"},
                                         {"num_landmarks", "2.5"}, {"causal", "1"}};
    double worst = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oracle *call = begin("nystromformer");
        oracle_set(call, bad[i][0], bad[i][1]);
        worst = oracle_larger(worst, refused(call));
    }
    oracle *even = begin("nystromformer"), *heads = begin("nystromformer");
    oracle_floats(even, "conv_v", EXTENTS(H, 4));
    oracle_floats(heads, "conv_v", EXTENTS(HKV, 3));
    return oracle_larger(worst, oracle_larger(refused(even), refused(heads)));
}

static const oracle_identity identities[] = {
    {"many_landmarks_are_dense", many_landmarks_are_dense, false},
    {"lengths_truncate", lengths_truncate, false},
    {"one_landmark_is_the_mean", one_landmark_is_the_mean, true},
    {"one_head_starts_alike", one_head_starts_alike, false},
    {"original_takes_the_largest", original_takes_the_largest, false},
    {"landmarks_are_exact", landmarks_are_exact, true},
    {"one_in_the_middle_adds_v", one_in_the_middle_adds_v, false},
    {"taps_are_not_flipped", taps_are_not_flipped, false},
    {"pruned_heads_are_nothing", pruned_heads_are_nothing, false},
    {"bad_values_are_refused", bad_values_are_refused, false},
};

int main(void) {
    return oracle_main("nystromformer", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
