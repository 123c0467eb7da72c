// The identities and edge cases of the page of `local_global`.

#include "oracle.h"

#include <math.h>
#include <string.h>

enum { B = 2, N = 13, C = 10, CG = 4, CL = C - CG, H = 2, D = 3, HD = H * D, KS = 5, HL = 3 };

static float *fill(oracle *call, const char *name, const int64_t *extents, uint32_t seed) {
    size_t count = 1;
    for (const int64_t *extent = extents; *extent >= 0; extent++) {
        count *= (size_t)*extent;
    }
    float *values = oracle_floats(call, name, extents);
    oracle_fill(values, count, seed);
    return values;
}

// The global branch and x; a kernel is missing.
static oracle *begin_global(void) {
    oracle *call = oracle_begin("local_global");
    fill(call, "x", EXTENTS(B, N, C), 1);
    fill(call, "w_q", EXTENTS(CG, HD), 2);
    fill(call, "w_k", EXTENTS(CG, HD), 3);
    fill(call, "w_v", EXTENTS(CG, HD), 4);
    oracle_set(call, "heads", "2");
    return call;
}

static oracle *begin(void) {
    oracle *call = begin_global();
    fill(call, "conv_kernel", EXTENTS(HL, KS), 5);
    return call;
}

// Runs the call and compares columns `first` on of its rows with `expected` [B,N,columns].
static double expect_columns(oracle *call, int64_t first, int64_t columns, const float *expected) {
    size_t count;
    oracle_run(call, "out", NULL);
    const float *out = oracle_result(call, "out", &count);
    const int64_t width = (int64_t)count / (B * N);
    double worst = 0;
    for (int64_t row = 0; row < B * N; row++) {
        worst = oracle_larger(worst, oracle_deviation(out + row * width + first,
                                                      expected + row * columns, (size_t)columns));
    }
    oracle_end(call);
    return worst;
}

// One tap: the local channels are as they were.
static double one_tap_is_the_input(void) {
    float expected[B * N * CL];
    oracle *call = begin_global();
    fill(call, "conv_kernel", EXTENTS(HL, 1), 5);
    for (int64_t i = 0; i < B * N * CL; i++) {
        expected[i] = oracle_values(call, "x")[i / CL * C + CG + i % CL];
    }
    return expect_columns(call, HD, CL, expected);
}

// Softmax of the taps, zeros outside the sequence; P of them left of the position.
static double taps_with(bool causal, int64_t taps) {
    float expected[B * N * CL];
    oracle *call = begin_global();
    const float *f = fill(call, "conv_kernel", EXTENTS(HL, taps), 5);
    const float *x = oracle_values(call, "x");
    const int64_t left = causal ? taps - 1 : (taps - 1) / 2;
    oracle_set(call, "causal", causal ? "1" : "0");
    for (int64_t e = 0; e < B * N * CL; e++) {
        const int64_t c = e % CL, i = e / CL % N, b = e / CL / N, h = c / (CL / HL);
        double sum = 0, all = 0;
        for (int64_t t = 0; t < taps; t++) {
            const int64_t j = i + t - left;
            const double weight = exp(f[h * taps + t]);
            all += weight;
            sum += j >= 0 && j < N ? weight * x[(b * N + j) * C + CG + c] : 0;
        }
        expected[e] = (float)(sum / all);
    }
    return expect_columns(call, HD, CL, expected);
}
static double taps_by_hand(void) {
    return oracle_larger(taps_with(false, KS), taps_with(true, KS));
}
static double even_and_long_kernels(void) {
    return oracle_larger(oracle_larger(taps_with(false, 4), taps_with(true, 2)),
                         taps_with(false, 40));
}

// Predictors of 0 leave the bias: the same taps everywhere.
static double dynamic_of_zero_is_lightweight(void) {
    double worst = 0;
    for (int raw = 0; raw < 2; raw++) {
        oracle *dynamic = begin_global(), *lightweight = begin();
        oracle_floats(dynamic, "conv_w_kernel", EXTENTS(CL, HL, KS));
        fill(dynamic, "conv_b_kernel", EXTENTS(HL, KS), 5);
        oracle_set(dynamic, "kernel_softmax", raw ? "0" : "1");
        oracle_set(lightweight, "kernel_softmax", raw ? "0" : "1");
        worst = oracle_larger(worst, oracle_run_and_compare_out(dynamic, lightweight));
    }
    return worst;
}

// A predictor that reads one channel, which is the same at all positions.
static double dynamic_reads_its_input(void) {
    oracle *dynamic = begin_global(), *lightweight = begin();
    float *w = oracle_floats(dynamic, "conv_w_kernel", EXTENTS(CL, HL, KS));
    memcpy(w, oracle_values(lightweight, "conv_kernel"), HL * KS * sizeof(float));
    for (int64_t row = 0; row < B * N; row++) { // channel 0 of the branch is 1
        oracle_values(dynamic, "x")[row * C + CG] = 1;
        oracle_values(lightweight, "x")[row * C + CG] = 1;
    }
    return oracle_run_and_compare_out(dynamic, lightweight);
}

static double zero_values_leave_the_bias(void) {
    enum { EG = 7 };
    float expected[B * N * EG];
    oracle *call = begin();
    memset(oracle_values(call, "w_v"), 0, CG * HD * sizeof(float));
    fill(call, "w_o", EXTENTS(HD, EG), 6);
    const float *bias = fill(call, "b_o", EXTENTS(EG), 7);
    oracle_set_lengths(call, N, 9);
    for (int64_t i = 0; i < B * N * EG; i++) {
        expected[i] = i / EG < N + 9 ? bias[i % EG] : 0;
    }
    return expect_columns(call, 0, EG, expected);
}

// The global branch by itself: projections here, attention there.
static double global_is_dense(void) {
    float expected[B * N * HD];
    oracle *call = begin(), *dense = oracle_begin("dense");
    static const char *const weights[] = {"w_q", "w_k", "w_v"}, *const names[] = {"q", "k", "v"};
    for (int t = 0; t < 3; t++) {
        float *to = oracle_floats(dense, names[t], EXTENTS(B, H, N, D));
        for (int64_t e = 0; e < B * H * N * D; e++) {
            const int64_t d = e % D, i = e / D % N, h = e / D / N % H, b = e / D / N / H;
            double sum = 0;
            for (int64_t c = 0; c < CG; c++) {
                sum += (double)oracle_values(call, "x")[(b * N + i) * C + c] *
                       oracle_values(call, weights[t])[c * HD + h * D + d];
            }
            to[e] = (float)sum;
        }
    }
    oracle_set(call, "causal", "1");
    oracle_set(dense, "causal", "1");
    oracle_set_number(call, "scale", 0.7);
    oracle_set_number(dense, "scale", 0.7);
    oracle_set_lengths(call, N, 6);
    oracle_set_lengths(dense, N, 6);
    oracle_run(dense, "out", NULL);
    for (int64_t e = 0; e < B * N * HD; e++) {
        const int64_t d = e % D, h = e / D % H, row = e / HD, b = row / N, i = row % N;
        expected[e] = oracle_result(dense, "out", NULL)[((b * H + h) * N + i) * D + d];
    }
    oracle_end(dense);
    return expect_columns(call, 0, HD, expected);
}

static double wide_longformer_is_dense(void) {
    oracle *dense = begin(), *sparse = begin();
    oracle_set(sparse, "attention", "longformer");
    oracle_set(sparse, "attention.window", "12");
    oracle_set_lengths(dense, N, 8);
    oracle_set_lengths(sparse, N, 8);
    return oracle_run_and_compare_out(dense, sparse);
}

static double global_mask_is_handed_on(void) {
    oracle *dense = begin(), *sparse = begin();
    oracle_set(sparse, "attention", "longformer");
    oracle_set(sparse, "attention.window", "0");
    int32_t *mask = oracle_ints(sparse, "attention.global_mask", EXTENTS(B, N));
    for (int i = 0; i < B * N; i++) {
        mask[i] = 1;
    }
    return oracle_run_and_compare_out(dense, sparse);
}

static double bias_is_handed_on(void) {
    oracle *windowed = begin(), *biased = begin();
    oracle_set(windowed, "attention.window_left", "2");
    float *bias = oracle_floats(biased, "attention.bias", EXTENTS(1, 1, N, N));
    for (int e = 0; e < N * N; e++) {
        bias[e] = e % N < e / N - 2 ? -INFINITY : 0;
    }
    return oracle_run_and_compare_out(windowed, biased);
}

static double padding_is_nothing(void) {
    oracle *call = begin(), *poisoned = begin();
    oracle *calls[] = {call, poisoned};
    for (int i = 0; i < 2; i++) {
        oracle_set_lengths(calls[i], N, 7);
        fill(calls[i], "b_k", EXTENTS(HD), 8);
        fill(calls[i], "conv_b_in", EXTENTS(CL), 9);
        fill(calls[i], "conv_bias", EXTENTS(CL), 10);
        fill(calls[i], "conv_b_out", EXTENTS(CL), 11);
        fill(calls[i], "b_out", EXTENTS(HD + CL), 12);
    }
    for (int64_t i = (N + 7) * C; i < B * N * C; i++) {
        oracle_values(poisoned, "x")[i] = NAN;
    }
    oracle_run(call, "out", NULL);
    const float *out = oracle_result(call, "out", NULL);
    double worst = 0;
    for (int64_t i = (N + 7) * (HD + CL); i < B * N * (HD + CL); i++) {
        worst = out[i] == 0 ? worst : INFINITY;
    }
    oracle_run(poisoned, "out", NULL);
    worst = oracle_larger(worst, oracle_compare(call, poisoned, "out"));
    oracle_end(call);
    oracle_end(poisoned);
    return worst;
}

// A final layer that is a sum of both branches' columns, and the sum itself.
static double final_layer_joins(void) {
    oracle *sum = begin_global(), *final = begin_global();
    fill(sum, "conv_kernel", EXTENTS(HL, KS), 5);
    fill(final, "conv_kernel", EXTENTS(HL, KS), 5);
    oracle_set(sum, "combine", "sum"); // HD = CL columns each
    float *w = oracle_floats(final, "w_out", EXTENTS(HD + CL, HD));
    for (int c = 0; c < HD; c++) {
        w[c * HD + c] = w[(HD + c) * HD + c] = 1;
    }
    return oracle_run_and_compare_out(sum, final);
}

static double gate_of_large_is_open(void) {
    oracle *gated = begin_global(), *plain = begin();
    fill(gated, "conv_kernel", EXTENTS(HL, KS), 5);
    float *w = oracle_floats(gated, "conv_w_in", EXTENTS(CL, 2 * CL));
    float *bias = oracle_floats(gated, "conv_b_in", EXTENTS(2 * CL));
    for (int c = 0; c < CL; c++) {
        w[c * 2 * CL + c] = 1;
        bias[CL + c] = 50;
    }
    return oracle_run_and_compare_out(gated, plain);
}

static double refused(oracle *call, ikat_status expected) {
    const ikat_status status = oracle_try(call, "out");
    oracle_end(call);
    return status == expected ? 0 : INFINITY;
}

static double bad_settings_are_refused(void) {
    static const struct {
        const char *name, *value;
        ikat_status expected;
    } bad[] = {
        {"kv_heads", "4", IKAT_INVALID},
        {"glu", "1", IKAT_INVALID},
        {"combine", "both", IKAT_INVALID},
        {"attention", "", IKAT_INVALID},
        {"attention", "nothing", IKAT_INVALID},
        {"attention", "cpc", IKAT_UNSUPPORTED},
        {"attention", "local_global", IKAT_UNSUPPORTED},
        {"attention.window", "3", IKAT_INVALID},
        {"attention.causal", "1", IKAT_INVALID},
        {"attention.softcap", "-1", IKAT_INVALID},
        {"kernel_softmax", "2", IKAT_INVALID},
        {"window", "3", IKAT_INVALID},
    };
    double worst = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oracle *call = begin();
        oracle_set(call, bad[i].name, bad[i].value);
        worst = oracle_larger(worst, refused(call, bad[i].expected));
    }
    return worst;
}

static double bad_inputs_are_refused(void) {
    static const struct {
        const char *name;
        int64_t extents[4];
    } bad[] = {
        {"conv_w_kernel", {CL, HL, KS, -1}}, // besides conv_kernel
        {"conv_b_kernel", {HL, KS, -1}},     // of a dynamic one
        {"conv_bias", {CL + 1, -1}},
        {"b_q", {HD - 1, -1}},
        {"b_o", {HD + 1, -1}},
        {"w_out", {HD, 4, -1}},
        {"conv_w_in", {CL, 7, -1}}, // odd with a gate
        {"conv_w_in", {CG, 8, -1}},
        {"attention.q", {B, N, C, -1}},
        {"attention.other", {B, N, -1}},
    };
    double worst = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oracle *call = begin();
        oracle_floats(call, bad[i].name, bad[i].extents);
        worst = oracle_larger(worst, refused(call, IKAT_INVALID));
    }
    oracle *headless = oracle_begin("local_global"), *uneven = begin_global();
    fill(headless, "x", EXTENTS(B, N, C), 1);
    fill(headless, "w_q", EXTENTS(CG, HD), 2);
    fill(headless, "w_k", EXTENTS(CG, HD), 3);
    fill(headless, "w_v", EXTENTS(CG, HD), 4);
    fill(headless, "conv_kernel", EXTENTS(HL, KS), 5);
    fill(uneven, "conv_kernel", EXTENTS(4, KS), 5); // 6 channels
    worst = oracle_larger(worst, refused(headless, IKAT_INVALID));
    worst = oracle_larger(worst, refused(uneven, IKAT_INVALID));
    return oracle_larger(worst, refused(begin_global(), IKAT_INVALID));
}

static const oracle_identity identities[] = {
    {"one_tap_is_the_input", one_tap_is_the_input, true},
    {"taps_by_hand", taps_by_hand, true},
    {"even_and_long_kernels", even_and_long_kernels, true},
    {"dynamic_of_zero_is_lightweight", dynamic_of_zero_is_lightweight, false},
    {"dynamic_reads_its_input", dynamic_reads_its_input, false},
    {"zero_values_leave_the_bias", zero_values_leave_the_bias, false},
    {"global_is_dense", global_is_dense, false},
    {"wide_longformer_is_dense", wide_longformer_is_dense, false},
    {"global_mask_is_handed_on", global_mask_is_handed_on, false},
    {"bias_is_handed_on", bias_is_handed_on, false},
    {"padding_is_nothing", padding_is_nothing, false},
    {"final_layer_joins", final_layer_joins, false},
    {"gate_of_large_is_open", gate_of_large_is_open, false},
    {"bad_settings_are_refused", bad_settings_are_refused, false},
    {"bad_inputs_are_refused", bad_inputs_are_refused, false},
};

int main(void) {
    return oracle_main("local_global", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
