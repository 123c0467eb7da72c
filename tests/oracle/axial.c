// The identities and edge cases of the page of `axial`.

#include "self.h"

#include <math.h>
#include <string.h>

// 24 positions: 4 rows of 6 columns, or 2 x 3 x 4.
static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 24, .d = 6, .dv = 5};

static oracle *begin(const char *grid, const char *axis, const char *causal) {
    oracle *call = self_begin("axial", &usual);
    oracle_set(call, "grid", grid);
    oracle_set(call, "axis", axis);
    oracle_set(call, "causal", causal);
    return call;
}

static double one_axis_is_dense(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *dense = self_begin("dense", &usual);
        oracle_set(dense, "causal", causal ? "1" : "0");
        worst = oracle_larger(worst,
                              oracle_run_and_compare(begin("24", "0", causal ? "1" : "0"), dense));
    }
    return worst;
}

static double rows_are_local(void) {
    oracle *local = self_begin("local", &usual);
    oracle_set(local, "query_block", "6");
    oracle_set(local, "memory", "0");
    return oracle_run_and_compare(begin("4,6", "1", "0"), local);
}

static double columns_are_sparse(void) {
    oracle *sparse = self_begin("sparse", &usual);
    oracle_set(sparse, "stride", "6");
    oracle_set(sparse, "head_mode", "second");
    return oracle_run_and_compare(begin("4,6", "0", "1"), sparse);
}

static double neighbours_merge(void) {
    return oracle_larger(oracle_run_and_compare(begin("2,3,4", "2", "0"), begin("6,4", "1", "0")),
                         oracle_run_and_compare(begin("2,3,4", "0", "1"), begin("2,12", "0", "1")));
}

static double default_axis_is_the_last(void) {
    oracle *call = self_begin("axial", &usual);
    oracle_set(call, "grid", "4,6");
    return oracle_run_and_compare(call, begin("4,6", "1", "0"));
}

static bool middle(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    return i / 12 == j / 12 && i % 4 == j % 4 && j < i;
}

static double strict_by_mask(void) {
    oracle *call = begin("2,3,4", "1", "1");
    oracle_set(call, "strict", "1");
    return self_against_mask(call, &usual, middle);
}

static bool padded(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 21 : 7;
    return i < length && j < length && middle(b, h, i, j);
}

static double lengths_by_mask(void) {
    oracle *call = begin("2,3,4", "1", "1");
    oracle_set(call, "strict", "1");
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 7;
    lengths[1] = 21;
    return self_against_mask(call, &usual, padded);
}

// The shifted result is the plain one, moved by hand; rows from `lengths` on stay 0.
static double shift(const char *axis, int64_t stride, int64_t extent, const int32_t *valid) {
    oracle *a = begin("4,6", "1", "0"), *b = begin("4,6", "1", "0");
    oracle_set(b, "shift_axis", axis);
    memcpy(oracle_ints(a, "lengths", EXTENTS(2)), valid, 2 * sizeof(*valid));
    memcpy(oracle_ints(b, "lengths", EXTENTS(2)), valid, 2 * sizeof(*valid));
    oracle_run_both(a);
    float out[8 * 24 * 5] = {0}, lse[8 * 24];
    for (int64_t row = 0; row < 8 * 24; row++) {
        const int64_t i = row % 24;
        const bool moved = i / stride % extent > 0 && i < valid[row / 96];
        lse[row] = moved ? oracle_result(a, "lse", NULL)[row - stride] : -INFINITY;
        if (moved) {
            memcpy(out + row * 5, oracle_result(a, "out", NULL) + (row - stride) * 5,
                   5 * sizeof(float));
        }
    }
    oracle_end(a);
    return oracle_run_and_expect(b, out, lse);
}

static double shift_down(void) { return shift("0", 6, 4, (const int32_t[]){24, 24}); }
static double shift_right(void) { return shift("1", 1, 6, (const int32_t[]){24, 24}); }
static double shift_padded(void) {
    return oracle_larger(shift("0", 6, 4, (const int32_t[]){15, 3}),
                         shift("1", 1, 6, (const int32_t[]){15, 0}));
}

static double refused_setting(const char *grid, const char *name, const char *text) {
    oracle *call = self_begin("axial", &usual);
    oracle_set(call, "grid", grid);
    oracle_set(call, name, text);
    return self_refused(call);
}

static double refused(void) {
    double worst = self_refused(self_begin("axial", &usual)); // no grid
    worst = oracle_larger(worst, self_refused(begin("4,5", "0", "0")));
    worst = oracle_larger(worst, self_refused(begin("4,6,2", "0", "0")));
    worst = oracle_larger(worst, self_refused(begin("0,6", "0", "0")));
    worst = oracle_larger(worst, self_refused(begin("24,1,1,1,1,1,1,1,1", "0", "0")));
    worst = oracle_larger(worst, self_refused(begin("4,6", "2", "0")));
    worst = oracle_larger(worst, self_refused(begin("4,6", "-1", "0")));
    worst = oracle_larger(worst, refused_setting("4,6", "strict", "1"));
    worst = oracle_larger(worst, refused_setting("4,6", "shift_axis", "2"));
    return oracle_larger(worst, refused_setting("4,6", "shift_axis", "-2"));
}

static const oracle_identity identities[] = {
    {"one_axis_is_dense", one_axis_is_dense, true},
    {"rows_are_local", rows_are_local, true},
    {"columns_are_sparse", columns_are_sparse, true},
    {"neighbours_merge", neighbours_merge, false},
    {"default_axis_is_the_last", default_axis_is_the_last, false},
    {"strict_by_mask", strict_by_mask, true},
    {"lengths_by_mask", lengths_by_mask, true},
    {"shift_down", shift_down, false},
    {"shift_right", shift_right, false},
    {"shift_padded", shift_padded, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("axial", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
