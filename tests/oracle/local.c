// The identities and edge cases of the page of `local`.

#include "self.h"

#include <math.h>
#include <string.h>

// 24 positions: 4 rows of 6 columns, too.
static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 24, .d = 6, .dv = 5};

static oracle *begin(const char *block, const char *memory, const char *grid, const char *causal) {
    oracle *call = self_begin("local", &usual);
    oracle_set(call, "query_block", block);
    if (memory) {
        oracle_set(call, "memory", memory);
    }
    if (grid) {
        oracle_set(call, "grid", grid);
    }
    oracle_set(call, "causal", causal);
    return call;
}

static oracle *dense(const char *causal) {
    oracle *call = self_begin("dense", &usual);
    oracle_set(call, "causal", causal);
    return call;
}

static double block_of_one_is_a_window(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *b = self_begin("dense", &usual);
        oracle_set(b, "window_left", "3");
        oracle_set(b, "window_right", causal ? "0" : "3");
        worst = oracle_larger(worst,
                              oracle_run_and_compare(begin("1", "3", NULL, causal ? "1" : "0"), b));
    }
    return worst;
}

static double no_memory_is_blocks_alone(void) {
    double worst = 0;
    oracle *whole = begin("7", "0", NULL, "1");
    oracle_run_both(whole);
    for (int64_t first = 0; first < usual.n; first += 7) {
        const int64_t count = usual.n - first < 7 ? usual.n - first : 7;
        oracle *part = self_part("dense", whole, &usual, first, 1, count);
        oracle_set(part, "causal", "1");
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &usual, first, 1, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

static double one_block_is_dense(void) {
    return oracle_larger(oracle_run_and_compare(begin("1000", "5", NULL, "0"), dense("0")),
                         oracle_run_and_compare(begin("24", NULL, NULL, "1"), dense("1")));
}

static double whole_grid_is_dense(void) {
    return oracle_larger(oracle_run_and_compare(begin("4,6", "0,0", "4,6", "0"), dense("0")),
                         oracle_run_and_compare(begin("4,6", "1,1", "4,6", "1"), dense("1")));
}

static double one_row_is_flat(void) {
    return oracle_larger(
        oracle_run_and_compare(begin("1,5", "2,3", "1,24", "0"), begin("5", "3", NULL, "0")),
        oracle_run_and_compare(begin("1,5", "2,3", "1,24", "1"), begin("5", "3", NULL, "1")));
}

static bool flat_mask(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    return j >= i / 5 * 5 - 3 && j < i / 5 * 5 + 8;
}

static double flat_by_mask(void) {
    return self_against_mask(begin("5", "3", NULL, "0"), &usual, flat_mask);
}

// Blocks of 2 rows and 4 columns in 4 rows and 6 columns, memory of 1 row and 1 column: the page's
// words with these numbers filled in.
static bool grid_mask(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    const int64_t y = i / 6, x = i % 6, ky = j / 6, kx = j % 6;
    const int64_t rows = y / 2, columns = x / 4;
    const int64_t last = columns ? 5 : 4, first = columns ? 3 : 0;
    if (ky < rows * 2) {
        return ky >= rows * 2 - 1 && kx >= first && kx <= last;
    }
    if (ky >= rows * 2 + 2) {
        return false;
    }
    if (columns && kx == 3) {
        return true;
    }
    return kx / 4 == columns && j <= i;
}

static double grid_by_mask(void) {
    return self_against_mask(begin("2,4", "1,1", "4,6", "1"), &usual, grid_mask);
}

static bool padded(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 21 : 8;
    return i < length && j < length && grid_mask(b, h, i, j);
}

static double lengths(void) {
    oracle *call = begin("2,4", "1,1", "4,6", "1");
    int32_t *values = oracle_ints(call, "lengths", EXTENTS(2));
    values[0] = 8;
    values[1] = 21;
    return self_against_mask(call, &usual, padded);
}

static void transpose(const float *from, float *to, int64_t problems, int64_t size) {
    for (int64_t p = 0; p < problems; p++) {
        for (int64_t i = 0; i < 24; i++) {
            memcpy(to + (p * 24 + i % 6 * 4 + i / 6) * size, from + (p * 24 + i) * size,
                   (size_t)size * sizeof(float));
        }
    }
}

static double transposed_image(void) {
    oracle *a = begin("3,2", "0,1", "4,6", "0"), *b = begin("2,3", "1,0", "6,4", "0");
    transpose(oracle_values(a, "q"), oracle_values(b, "q"), 8, 6);
    transpose(oracle_values(a, "k"), oracle_values(b, "k"), 4, 6);
    transpose(oracle_values(a, "v"), oracle_values(b, "v"), 4, 5);
    oracle_run_both(a);
    oracle_run_both(b);
    float expected[8 * 24 * 5];
    transpose(oracle_result(a, "out", NULL), expected, 8, 5);
    const double worst = oracle_deviation(oracle_result(b, "out", NULL), expected, 8 * 24 * 5);
    oracle_end(a);
    oracle_end(b);
    return worst;
}

static double refused(void) {
    double worst = self_refused(begin("4", "1", "4,6", "0"));
    worst = oracle_larger(worst, self_refused(begin("4", "1,1", NULL, "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4", "1", "4,6", "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4", NULL, "4,6", "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4", "1,1", NULL, "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4", "1,1", "24", "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4", "1,1", "4,5", "0")));
    worst = oracle_larger(worst, self_refused(begin("2,4,1", "1,1", "4,6", "0")));
    worst = oracle_larger(worst, self_refused(begin("0", "1", NULL, "0")));
    return oracle_larger(worst, self_refused(begin("4", "-1", NULL, "0")));
}

static const oracle_identity identities[] = {
    {"block_of_one_is_a_window", block_of_one_is_a_window, true},
    {"no_memory_is_blocks_alone", no_memory_is_blocks_alone, true},
    {"one_block_is_dense", one_block_is_dense, true},
    {"whole_grid_is_dense", whole_grid_is_dense, true},
    {"one_row_is_flat", one_row_is_flat, false},
    {"flat_by_mask", flat_by_mask, true},
    {"grid_by_mask", grid_by_mask, true},
    {"lengths", lengths, true},
    {"transposed_image", transposed_image, true},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("local", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
