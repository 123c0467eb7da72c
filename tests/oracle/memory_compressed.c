// The identities and edge cases of the page of `memory_compressed`.

#include "self.h"

#include <math.h>
#include <string.h>

static const self_sizes sizes = {.b = 2, .h = 4, .hkv = 2, .n = 13, .d = 4, .dv = 3};

enum { B = 2, H = 4, HKV = 2, N = 13, D = 4, DV = 3 };

static oracle *begin(const char *mechanism, bool causal) {
    oracle *call = self_begin(mechanism, &sizes);
    if (causal) {
        oracle_set(call, "causal", "1");
    }
    return call;
}

static oracle *begin_mean(bool causal, const char *stride, const char *null) {
    oracle *call = begin("memory_compressed", causal);
    oracle_set(call, "compression", "mean");
    oracle_set(call, "stride", stride);
    oracle_set(call, "null", null);
    return call;
}

static oracle *begin_local(bool causal, const char *block, const char *back) {
    oracle *call = begin("memory_compressed", causal);
    oracle_set(call, "mode", "local");
    oracle_set(call, "block_size", block);
    oracle_set(call, "look_back", back);
    return call;
}

// With as many keys as self_begin gives, but other queries.
static oracle *begin_cross(const char *mechanism, int64_t queries) {
    oracle *call = oracle_begin(mechanism);
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, queries, D)), (size_t)(B * H * queries * D),
                1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, N, D)), B * HKV * N * D, 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, N, DV)), B * HKV * N * DV, 3);
    return call;
}

// Banks whose taps all hand each channel on, times `factor`.
static void put_taps(oracle *call, int64_t taps, float factor) {
    float *k = oracle_floats(call, "conv_k", EXTENTS(taps, D, D));
    float *v = oracle_floats(call, "conv_v", EXTENTS(taps, 1, DV));
    for (int64_t i = 0; i < taps * D; i++) {
        k[i * D + i % D] = factor;
    }
    for (int64_t i = 0; i < taps * DV; i++) {
        v[i] = factor;
    }
}

static double windows_of_one_are_dense(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *conv = begin("memory_compressed", causal);
        put_taps(conv, 1, 1);
        oracle_set(conv, "null", "none");
        worst = oracle_larger(worst, oracle_run_and_compare(conv, begin("dense", causal)));
        worst = oracle_larger(
            worst, oracle_run_and_compare(begin_mean(causal, "1", "none"), begin("dense", causal)));
    }
    return worst;
}

// Fewer queries than keys, and more; their rows end where the valid keys do.
static double cross_attention_is_dense(void) {
    double worst = 0;
    for (int64_t queries = 5; queries < 25; queries += 14) {
        for (int i = 0; i < 3; i++) {
            oracle *call = begin_cross("memory_compressed", queries);
            oracle *dense = begin_cross("dense", queries);
            oracle_set(call, i == 2 ? "block_size" : "compression", i == 2 ? "100" : "mean");
            oracle_set(call, i == 2 ? "mode" : "stride", i == 2 ? "local" : "1");
            if (i < 2) {
                oracle_set(call, "null", "none");
            }
            oracle_set(call, "causal", "1");
            oracle_set(dense, "causal", "1");
            if (i > 0) {
                oracle_set_lengths(call, 7, 0);
                oracle_set_lengths(dense, 7, 0);
            }
            worst = oracle_larger(worst, oracle_run_and_compare(call, dense));
        }
    }
    return worst;
}

// Where the window divides the number of valid positions.
static double equal_taps_are_means(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *conv = begin("memory_compressed", causal), *mean = begin_mean(causal, "3", "first");
        put_taps(conv, 3, 1.0f / 3);
        oracle_set_lengths(conv, 12, 9);
        oracle_set_lengths(mean, 12, 9);
        worst = oracle_larger(worst, oracle_run_and_compare(conv, mean));
    }
    return worst;
}

static double local_is_blocks_of_local(void) {
    static const char *const backs[] = {"0", "1", "3"};
    static const char *const memories[] = {"0", "4", "12"};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        const int back =
            i > 0 ? i - 1 : 0; // with a look back only causal rows see what `local`'s do
        oracle *call = begin_local(i > 0, "4", backs[back]), *local = begin("local", i > 0);
        oracle_set(local, "query_block", "4");
        oracle_set(local, "memory", memories[back]);
        oracle_set_lengths(call, 11, 0);
        oracle_set_lengths(local, 11, 0);
        worst = oracle_larger(worst, oracle_run_and_compare(call, local));
    }
    return worst;
}

static double one_block_is_dense(void) {
    oracle *call = begin("memory_compressed", true);
    oracle_set(call, "mode", "local");
    const double worst = oracle_run_and_compare(call, begin("dense", true));
    return oracle_larger(
        worst, oracle_run_and_compare(begin_local(false, "13", "0"), begin("dense", false)));
}

// Overlapping windows, gaps, both tails, by hand: dense attention with a bias over keys that were averaged
// here. A window of three positions every `stride`.
static bool sees_window(int64_t i, int64_t c, int64_t stride, bool causal, bool drop) {
    const int64_t last = c * stride + 2;
    return causal ? last <= i : drop ? last < N : c * stride < N;
}

static void average(const float *from, int64_t size, int64_t first, float *to) {
    for (int64_t d = 0; d < size; d++) {
        to[d] = 0;
        for (int64_t t = 0; t < 3 && first + t < N; t++) {
            to[d] += from[(first + t) * size + d] / 3;
        }
    }
}

static const char *const strides[] = {"", "1", "2", "3", "4", "5"};

static double windows_by_hand(int64_t stride, bool causal, bool drop) {
    const int64_t num = (N + stride - 1) / stride;
    oracle *call = begin("memory_compressed", causal), *dense = oracle_begin("dense");
    put_taps(call, 3, 1.0f / 3);
    oracle_set(call, "stride", strides[stride]);
    oracle_set(call, "tail", drop ? "drop" : "pad");
    memcpy(oracle_floats(dense, "q", EXTENTS(B, H, N, D)), oracle_values(call, "q"),
           B * H * N * D * sizeof(float));
    float *k = oracle_floats(dense, "k", EXTENTS(B, HKV, 1 + num, D));
    float *v = oracle_floats(dense, "v", EXTENTS(B, HKV, 1 + num, DV));
    float *bias = oracle_floats(dense, "bias", EXTENTS(1, 1, N, 1 + num));
    for (int64_t h = 0; h < B * HKV; h++) {
        const float *from_k = oracle_values(call, "k") + h * N * D;
        const float *from_v = oracle_values(call, "v") + h * N * DV;
        memcpy(k + h * (1 + num) * D, from_k, D * sizeof(float)); // the first position itself
        memcpy(v + h * (1 + num) * DV, from_v, DV * sizeof(float));
        for (int64_t c = 0; c < num; c++) {
            average(from_k, D, c * stride, k + (h * (1 + num) + 1 + c) * D);
            average(from_v, DV, c * stride, v + (h * (1 + num) + 1 + c) * DV);
        }
    }
    for (int64_t i = 0; i < N; i++) {
        for (int64_t c = 0; c < num; c++) {
            bias[i * (1 + num) + 1 + c] = sees_window(i, c, stride, causal, drop) ? 0 : -INFINITY;
        }
    }
    return oracle_run_and_compare(call, dense);
}

static double windows_are_as_by_hand(void) {
    double worst = 0;
    for (int64_t stride = 2; stride < 6; stride++) {
        worst = oracle_larger(worst, windows_by_hand(stride, true, false));
        worst = oracle_larger(worst, windows_by_hand(stride, false, false));
        worst = oracle_larger(worst, windows_by_hand(stride, false, true));
    }
    return worst;
}

static double learned_zeros_are_zero(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *learned = begin_mean(causal, "4", "learned");
        oracle_floats(learned, "null_k", EXTENTS(HKV, D));
        oracle_floats(learned, "null_v", EXTENTS(HKV, DV));
        worst =
            oracle_larger(worst, oracle_run_and_compare(learned, begin_mean(causal, "4", "zero")));
    }
    return worst;
}

// The null key `zero` is a sink of score 0.
static double zero_is_a_sink(void) {
    oracle *call = begin_mean(true, "1", "zero"), *dense = begin("dense", true);
    oracle_floats(dense, "sinks", EXTENTS(H));
    return oracle_run_and_compare(call, dense);
}

static double learned_is_a_key(void) {
    oracle *call = begin_mean(false, "1", "learned"), *dense = oracle_begin("dense");
    oracle_fill(oracle_floats(call, "null_k", EXTENTS(HKV, D)), HKV * D, 8);
    oracle_fill(oracle_floats(call, "null_v", EXTENTS(HKV, DV)), HKV * DV, 9);
    memcpy(oracle_floats(dense, "q", EXTENTS(B, H, N, D)), oracle_values(call, "q"),
           B * H * N * D * sizeof(float));
    float *k = oracle_floats(dense, "k", EXTENTS(B, HKV, 1 + N, D));
    float *v = oracle_floats(dense, "v", EXTENTS(B, HKV, 1 + N, DV));
    for (int64_t h = 0; h < B * HKV; h++) {
        memcpy(k + h * (1 + N) * D, oracle_values(call, "null_k") + h % HKV * D, D * sizeof(float));
        memcpy(v + h * (1 + N) * DV, oracle_values(call, "null_v") + h % HKV * DV,
               DV * sizeof(float));
        memcpy(k + (h * (1 + N) + 1) * D, oracle_values(call, "k") + h * N * D,
               N * D * sizeof(float));
        memcpy(v + (h * (1 + N) + 1) * DV, oracle_values(call, "v") + h * N * DV,
               N * DV * sizeof(float));
    }
    return oracle_run_and_compare(call, dense);
}

// Rows that see the null key alone: with `zero` out 0 and lse 0; without one nothing.
static double rows_without_windows(void) {
    double worst = 0;
    for (int i = 0; i < 2; i++) {
        oracle *call = begin_mean(true, "20", i ? "none" : "zero");
        oracle_run_both(call);
        for (int64_t row = 0; row < B * H * N; row++) {
            const float lse = oracle_result(call, "lse", NULL)[row];
            worst = lse == (i ? -INFINITY : 0.0f) ? worst : INFINITY;
            worst = oracle_larger(worst, fabs(oracle_result(call, "out", NULL)[row * DV]));
        }
        oracle_end(call);
    }
    return worst;
}

// What is not valid is not read, nor written: whatever the null key.
static double padding_is_nothing(void) {
    static const char *const nulls[] = {"first", "zero", "none"};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        oracle *calls[2];
        for (int j = 0; j < 2; j++) {
            oracle *call = calls[j] =
                i < 3 ? begin_mean(i == 1, "5", nulls[i]) : begin_local(false, "4", "1");
            oracle_set_lengths(call, 7, 0);
            for (int64_t row = 0; row < B * HKV * N && j; row++) {
                if (row / (HKV * N) || row % N >= 7) {
                    oracle_values(call, "k")[row * D] = NAN;
                    oracle_values(call, "v")[row * DV] = NAN;
                }
            }
            oracle_run_both(call);
        }
        worst = oracle_larger(worst, oracle_compare(calls[0], calls[1], "out"));
        worst = oracle_larger(worst, oracle_compare(calls[0], calls[1], "lse"));
        for (int64_t row = 0; row < B * H * N; row++) {
            const bool is_padding = row / (H * N) || row % N >= 7;
            const float lse = oracle_result(calls[1], "lse", NULL)[row];
            worst = is_padding && lse != -INFINITY ? INFINITY : worst;
        }
        oracle_end(calls[0]);
        oracle_end(calls[1]);
    }
    return worst;
}

// The first position is a key of its own, twice where the windows are single positions.
static double first_is_one_more_key(void) {
    oracle *call = begin_mean(false, "1", "first"), *plain = begin("dense", false);
    float *bias = oracle_floats(plain, "bias", EXTENTS(1, 1, N, N));
    for (int64_t i = 0; i < N; i++) {
        bias[i * N] = logf(2);
    }
    return oracle_run_and_compare(call, plain);
}

static double chosen_rows_are_the_wholes(void) {
    static const int64_t rows[] = {0, 3, 12};
    return oracle_run_rows(begin_mean(true, "2", "first"), N, rows, 3);
}

static const oracle_identity identities[] = {
    {"windows_of_one_are_dense", windows_of_one_are_dense, true},
    {"cross_attention_is_dense", cross_attention_is_dense, true},
    {"equal_taps_are_means", equal_taps_are_means, false},
    {"local_is_blocks_of_local", local_is_blocks_of_local, true},
    {"one_block_is_dense", one_block_is_dense, true},
    {"windows_are_as_by_hand", windows_are_as_by_hand, true},
    {"learned_zeros_are_zero", learned_zeros_are_zero, false},
    {"zero_is_a_sink", zero_is_a_sink, true},
    {"learned_is_a_key", learned_is_a_key, false},
    {"rows_without_windows", rows_without_windows, false},
    {"padding_is_nothing", padding_is_nothing, false},
    {"first_is_one_more_key", first_is_one_more_key, false},
    {"chosen_rows_are_the_wholes", chosen_rows_are_the_wholes, false},
};

int main(void) {
    return oracle_main("memory_compressed", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
