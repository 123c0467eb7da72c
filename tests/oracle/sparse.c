// The identities and edge cases of the page of `sparse`.

#include "self.h"

#include <math.h>
#include <stdlib.h>

static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 22, .d = 6, .dv = 5};

static oracle *begin(const char *pattern, const char *stride, const char *heads) {
    oracle *call = self_begin("sparse", &usual);
    oracle_set(call, "pattern", pattern);
    oracle_set(call, "stride", stride);
    oracle_set(call, "head_mode", heads);
    return call;
}

static oracle *dense_causal(void) {
    oracle *call = self_begin("dense", &usual);
    oracle_set(call, "causal", "1");
    return call;
}

static double strided_first_is_a_window(void) {
    oracle *dense = dense_causal();
    oracle_set(dense, "window_left", "4");
    return oracle_run_and_compare(begin("strided", "5", "first"), dense);
}

static double strided_second_is_residues(void) {
    double worst = 0;
    oracle *whole = begin("strided", "5", "second");
    oracle_run_both(whole);
    for (int64_t r = 0; r < 5; r++) {
        const int64_t count = (usual.n - r + 4) / 5;
        oracle *part = self_part("dense", whole, &usual, r, 5, count);
        oracle_set(part, "causal", "1");
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &usual, r, 5, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

static double fixed_first_is_blocks(void) {
    double worst = 0;
    oracle *whole = begin("fixed", "5", "first");
    oracle_run_both(whole);
    for (int64_t first = 0; first < usual.n; first += 5) {
        const int64_t count = usual.n - first < 5 ? usual.n - first : 5;
        oracle *part = self_part("dense", whole, &usual, first, 1, count);
        oracle_set(part, "causal", "1");
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &usual, first, 1, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

static double all_columns_is_dense(void) {
    oracle *call = begin("fixed", "5", "merged");
    oracle_set(call, "c", "5");
    return oracle_run_and_compare(call, dense_causal());
}

static double stride_one_is_dense(void) {
    return oracle_larger(oracle_run_and_compare(begin("strided", "1", "merged"), dense_causal()),
                         oracle_run_and_compare(begin("fixed", "1", "second"), dense_causal()));
}

static double wide_stride_is_dense(void) {
    return oracle_run_and_compare(begin("strided", "1000000000000", "first"), dense_causal());
}

static bool strided_merged(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    return j <= i && (i - j < 4 || (i - j) % 4 == 0);
}

static double strided_by_mask(void) {
    return self_against_mask(begin("strided", "4", "merged"), &usual, strided_merged);
}

static bool strided_both(int64_t b, int64_t h, int64_t i, int64_t j) {
    return strided_merged(b, h, i > j ? i : j, i > j ? j : i);
}

static double strided_both_ways(void) {
    oracle *call = begin("strided", "4", "merged");
    oracle_set(call, "causal", "0");
    return self_against_mask(call, &usual, strided_both);
}

// Blocks of 7; heads 0 and 2 the first pattern, head 1 columns 5 and 6, head 3 columns 3 and 4.
static bool fixed_split(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    if (j > i) {
        return false;
    }
    return h % 2 == 0 ? i / 7 == j / 7 : j % 7 >= (h == 1 ? 5 : 3) && j % 7 < (h == 1 ? 7 : 5);
}

static double split_by_mask(void) {
    oracle *call = begin("fixed", "7", "split");
    oracle_set(call, "c", "2");
    oracle_set(call, "distinct", "2");
    return self_against_mask(call, &usual, fixed_split);
}

// The default is c = max(1, 9/4) = 2.
static bool default_columns(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    return j <= i && j % 9 >= 7;
}

static double default_c(void) {
    return self_against_mask(begin("fixed", "9", "second"), &usual, default_columns);
}

static bool padded(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 17 : 3;
    return i < length && j < length && default_columns(b, h, i, j);
}

static double lengths(void) {
    oracle *call = begin("fixed", "9", "second");
    int32_t *values = oracle_ints(call, "lengths", EXTENTS(2));
    values[0] = 3;
    values[1] = 17;
    return self_against_mask(call, &usual, padded);
}

static double refused_setting(const char *pattern, const char *name, const char *text) {
    oracle *call = begin(pattern, "8", "merged");
    oracle_set(call, name, text);
    return self_refused(call);
}

static double refused(void) {
    oracle *call = begin("fixed", "8", "merged");
    oracle_set(call, "c", "3");
    oracle_set(call, "distinct", "3");
    double worst = self_refused(call);
    worst = oracle_larger(worst, self_refused(begin("zigzag", "8", "merged")));
    worst = oracle_larger(worst, self_refused(begin("strided", "8", "both")));
    worst = oracle_larger(worst, self_refused(begin("strided", "0", "merged")));
    worst = oracle_larger(worst, refused_setting("strided", "c", "2"));
    worst = oracle_larger(worst, refused_setting("strided", "distinct", "1"));
    worst = oracle_larger(worst, refused_setting("fixed", "c", "9"));
    worst = oracle_larger(worst, refused_setting("fixed", "c", "0"));
    worst = oracle_larger(worst, refused_setting("fixed", "causal", "2"));
    return oracle_larger(worst, refused_setting("fixed", "window", "2"));
}

static const oracle_identity identities[] = {
    {"strided_first_is_a_window", strided_first_is_a_window, true},
    {"strided_second_is_residues", strided_second_is_residues, true},
    {"fixed_first_is_blocks", fixed_first_is_blocks, true},
    {"all_columns_is_dense", all_columns_is_dense, false},
    {"stride_one_is_dense", stride_one_is_dense, false},
    {"wide_stride_is_dense", wide_stride_is_dense, false},
    {"strided_by_mask", strided_by_mask, true},
    {"strided_both_ways", strided_both_ways, true},
    {"split_by_mask", split_by_mask, true},
    {"default_c", default_c, true},
    {"lengths", lengths, true},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("sparse", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
