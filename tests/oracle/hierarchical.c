// The identities and edge cases of the page of `hierarchical`.

#include "self.h"

#include <math.h>
#include <string.h>

// Blocks of 4: three levels, whose last clusters have 1, 1 and 1 position.
static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 29, .d = 6, .dv = 5};
static const self_sizes small = {.b = 2, .h = 2, .hkv = 1, .n = 8, .d = 6, .dv = 5};
static const self_sizes even = {.b = 1, .h = 2, .hkv = 2, .n = 32, .d = 4, .dv = 3};
static const self_sizes single = {.b = 1, .h = 1, .hkv = 1, .n = 10, .d = 1, .dv = 1};

static oracle *begin(const char *mechanism, const self_sizes *sizes, bool causal) {
    oracle *call = self_begin(mechanism, sizes);
    if (strcmp(mechanism, "hierarchical") == 0) {
        oracle_set(call, "block_size", "4");
    }
    oracle_set(call, "causal", causal ? "1" : "0");
    return call;
}

static double against_dense(const self_sizes *sizes, bool causal) {
    return oracle_run_and_compare(begin("hierarchical", sizes, causal),
                                  begin("dense", sizes, causal));
}

static double two_blocks_are_dense(void) {
    return oracle_larger(against_dense(&small, false), against_dense(&small, true));
}

static void zero(oracle *call, const char *name, int64_t count) {
    memset(oracle_values(call, name), 0, (size_t)count * sizeof(float));
}

// Without scores a row is the mean of what it sees: as dense, so every pair counts once.
static double pairs_count_once(bool causal, const char *zeroed) {
    oracle *calls[2] = {begin("hierarchical", &usual, causal), begin("dense", &usual, causal)};
    for (int i = 0; i < 2; i++) {
        int32_t *lengths = oracle_ints(calls[i], "lengths", EXTENTS(2));
        lengths[0] = 29;
        lengths[1] = 22;
        if (!zeroed) {
            oracle_set(calls[i], "scale", "0");
        } else {
            zero(calls[i], zeroed, (zeroed[0] == 'q' ? usual.h : usual.hkv) * 2 * 29 * 6);
        }
    }
    return oracle_run_and_compare(calls[0], calls[1]);
}

static double no_scores_give_means(void) {
    double worst = pairs_count_once(false, NULL);
    worst = oracle_larger(worst, pairs_count_once(false, "q"));
    return oracle_larger(worst, pairs_count_once(false, "k"));
}

static double no_scores_give_means_causal(void) { return pairs_count_once(true, NULL); }

// Makes rows of [problems, 32, 4] constant on aligned runs of four, 2^(m - 1) for 32 = 4 * 2^3.
static void make_runs(float *values, int64_t problems) {
    for (int64_t row = 0; row < problems * 32; row++) {
        memcpy(values + row * 4, values + row / 4 * 4 * 4, 4 * sizeof(float));
    }
}

static double runs_are_exact(bool causal) {
    oracle *calls[2] = {begin("hierarchical", &even, causal), begin("dense", &even, causal)};
    for (int i = 0; i < 2; i++) {
        make_runs(oracle_values(calls[i], "q"), 2);
        make_runs(oracle_values(calls[i], "k"), 2);
    }
    return oracle_run_and_compare(calls[0], calls[1]);
}

static double constant_runs_are_dense(void) {
    return oracle_larger(runs_are_exact(false), runs_are_exact(true));
}

// Changing position 13 changes no row before it.
static double causal_rows_see_no_later(void) {
    static const char *const names[] = {"q", "k", "v"};
    oracle *before = begin("hierarchical", &usual, true),
           *after = begin("hierarchical", &usual, true);
    for (int t = 0; t < 3; t++) {
        const int64_t size = t == 2 ? usual.dv : usual.d, problems = 2 * (t ? usual.hkv : usual.h);
        for (int64_t p = 0; p < problems; p++) {
            oracle_fill(oracle_values(after, names[t]) + (p * 29 + 13) * size, (size_t)size, 77);
        }
    }
    oracle_run_both(before);
    oracle_run_both(after);
    const float *out[2] = {oracle_result(before, "out", NULL), oracle_result(after, "out", NULL)};
    double worst = 0;
    for (int64_t p = 0; p < 8; p++) {
        const int64_t at = p * 29 * usual.dv;
        worst = oracle_larger(worst,
                              oracle_deviation(out[0] + at, out[1] + at, (size_t)(13 * usual.dv)));
    }
    oracle_end(before);
    oracle_end(after);
    return worst;
}

// Ten positions in blocks of two: levels of 10, 5 and 3 tokens, the last of two positions.
static double small_by_hand(bool causal, const double *weights, int num, double value_sum,
                            int64_t row) {
    oracle *call = oracle_begin("hierarchical");
    oracle_set(call, "block_size", "2");
    oracle_set(call, "causal", causal ? "1" : "0");
    oracle_set(call, "scale", "1");
    float *q = oracle_floats(call, "q", EXTENTS(1, 1, 10, 1));
    float *k = oracle_floats(call, "k", EXTENTS(1, 1, 10, 1));
    float *v = oracle_floats(call, "v", EXTENTS(1, 1, 10, 1));
    for (int i = 0; i < 10; i++) {
        q[i] = (float)(i + 1) / 8;
        k[i] = (float)(i % 4) / 2;
        v[i] = (float)i;
    }
    oracle_run_both(call);
    double sum = 0;
    for (int i = 0; i < num; i++) {
        sum += weights[i];
    }
    const float expected[2] = {(float)(value_sum / sum), (float)log(sum)};
    double worst = oracle_deviation(oracle_result(call, "out", NULL) + row, &expected[0], 1);
    worst = oracle_larger(
        worst, oracle_deviation(oracle_result(call, "lse", NULL) + row, &expected[1], 1));
    oracle_end(call);
    return worst;
}

// Row 0 sees keys 0 to 3 one by one; as token 0 of level 1, q = 3/16, tokens 2 and 3, which are keys 4 to
// 7; as token 0 of level 2, q = 5/16, token 2, which is keys 8 and 9.
static double first_row_by_hand(void) {
    const double near[4] = {1, exp(1.0 / 16), exp(2.0 / 16), exp(3.0 / 16)};
    const double far[3] = {exp(3.0 / 16 * 0.25), exp(3.0 / 16 * 1.25), exp(5.0 / 16 * 0.25)};
    const double weights[7] = {near[0],    near[1],    near[2],   near[3],
                               2 * far[0], 2 * far[1], 2 * far[2]};
    const double values = near[1] + 2 * near[2] + 3 * near[3] + (4 + 5) * far[0] +
                          (6 + 7) * far[1] + (8 + 9) * far[2];
    return small_by_hand(false, weights, 7, values, 0);
}

// Causal row 9: keys 6 to 9 one by one; as token 4, the query of position 8, tokens 2, for token 3 is
// near; as token 2 of level 2, the query of position 8 too, token 0.
static double last_row_by_hand(void) {
    const double q = 10.0 / 8, first = 9.0 / 8;
    const double near[4] = {exp(q * 1), exp(q * 1.5), 1, exp(q * 0.5)};
    const double far[2] = {exp(first * 0.25), exp(first * 0.75)};
    const double weights[6] = {near[0], near[1], near[2], near[3], 2 * far[0], 4 * far[1]};
    const double values = 6 * near[0] + 7 * near[1] + 8 * near[2] + 9 * near[3] + (4 + 5) * far[0] +
                          (0 + 1 + 2 + 3) * far[1];
    return small_by_hand(true, weights, 6, values, 9);
}

// Padding, of which nothing is read, leaves what a shorter call gives if both have the same levels.
static double padding_is_absent(bool causal) {
    oracle *padded = begin("hierarchical", &usual, causal);
    int32_t *lengths = oracle_ints(padded, "lengths", EXTENTS(2));
    lengths[0] = lengths[1] = 19;
    const self_sizes shorter = {.b = 2, .h = 4, .hkv = 2, .n = 19, .d = 6, .dv = 5};
    oracle *part = self_part("hierarchical", padded, &usual, 0, 1, 19);
    oracle_set(part, "block_size", "4");
    oracle_set(part, "causal", causal ? "1" : "0");
    for (int64_t p = 0; p < 8; p++) {
        oracle_values(padded, "q")[(p * 29 + 19) * 6] = NAN;
    }
    for (int64_t p = 0; p < 4; p++) {
        oracle_values(padded, "k")[(p * 29 + 20) * 6] = NAN;
        oracle_values(padded, "v")[(p * 29 + 19) * 5] = NAN;
    }
    oracle_run_both(padded);
    oracle_run_both(part);
    double worst = self_compare_part(padded, part, &usual, 0, 1, shorter.n);
    const float *lse = oracle_result(padded, "lse", NULL);
    worst = lse[19] == -INFINITY && lse[28] == -INFINITY ? worst : INFINITY;
    oracle_end(padded);
    oracle_end(part);
    return worst;
}

static double padding(void) {
    return oracle_larger(padding_is_absent(false), padding_is_absent(true));
}

static double refused(void) {
    static const char *const sizes[] = {"0", "1", "3", "15", "-2"};
    double worst = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        oracle *call = self_begin("hierarchical", &single);
        oracle_set(call, "block_size", sizes[i]);
        worst = oracle_larger(worst, self_refused(call));
    }
    oracle *call = begin("hierarchical", &single, false);
    oracle_set(call, "causal", "2");
    return oracle_larger(worst, self_refused(call));
}

static const oracle_identity identities[] = {
    {"two_blocks_are_dense", two_blocks_are_dense, false},
    {"no_scores_give_means", no_scores_give_means, true},
    {"no_scores_give_means_causal", no_scores_give_means_causal, true},
    {"constant_runs_are_dense", constant_runs_are_dense, true},
    {"causal_rows_see_no_later", causal_rows_see_no_later, false},
    {"first_row_by_hand", first_row_by_hand, false},
    {"last_row_by_hand", last_row_by_hand, true},
    {"padding", padding, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("hierarchical", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
