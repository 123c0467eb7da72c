// The identities and edge cases of the page of `blockwise`.

#include "self.h"

#include <math.h>
#include <string.h>

// Blocks of 7, 7 and 6 if there are three.
static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 20, .d = 6, .dv = 5};
static const self_sizes even = {.b = 2, .h = 3, .hkv = 3, .n = 12, .d = 6, .dv = 5};

static oracle *begin(const self_sizes *sizes, const char *blocks, const char *shift) {
    oracle *call = self_begin("blockwise", sizes);
    oracle_set(call, "num_blocks", blocks);
    if (shift) {
        oracle_set(call, "shift", shift);
    }
    return call;
}

static double one_block_is_dense(void) {
    return oracle_run_and_compare(begin(&usual, "1", NULL), self_begin("dense", &usual));
}

static double identity_is_blocks_alone(void) {
    static const int64_t starts[] = {0, 7, 14, 20};
    double worst = 0;
    oracle *whole = begin(&usual, "3", "0");
    oracle_run_both(whole);
    for (int block = 0; block < 3; block++) {
        const int64_t first = starts[block], count = starts[block + 1] - first;
        oracle *part = self_part("dense", whole, &usual, first, 1, count);
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &usual, first, 1, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

static double identity_is_local(void) {
    oracle *local = self_begin("local", &even);
    oracle_set(local, "query_block", "3");
    oracle_set(local, "memory", "0");
    return oracle_run_and_compare(begin(&even, "4", "0"), local);
}

static double blocks_of_one_give_v(void) {
    oracle *call = begin(&even, "12", "5");
    oracle_run(call, "out", NULL);
    float expected[2 * 3 * 12 * 5];
    for (int64_t row = 0; row < 2 * 3 * 12; row++) {
        const int64_t seen = row / 12 * 12 + (row % 12 + 5) % 12;
        memcpy(expected + row * 5, oracle_values(call, "v") + seen * 5, 5 * sizeof(float));
    }
    const double worst = oracle_deviation(oracle_result(call, "out", NULL), expected, 360);
    oracle_end(call);
    return worst;
}

// Rolling k and v by two blocks of 3 equals a shift by two.
static double shift_is_a_roll(void) {
    static const int64_t sizes[] = {6, 5};
    static const char *const names[] = {"k", "v"};
    oracle *a = begin(&even, "4", "2"), *b = begin(&even, "4", "0");
    for (int t = 0; t < 2; t++) {
        for (int64_t row = 0; row < 2 * 3 * 12; row++) {
            const int64_t from = row / 12 * 12 + (row % 12 + 6) % 12;
            memcpy(oracle_values(b, names[t]) + row * sizes[t],
                   oracle_values(a, names[t]) + from * sizes[t], (size_t)sizes[t] * sizeof(float));
        }
    }
    return oracle_run_and_compare(a, b);
}

static const int32_t permutations[4][3] = {{2, 0, 1}, {0, 1, 2}, {1, 0, 2}, {2, 1, 0}};

static bool permuted(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    return j * 3 / 20 == permutations[h][i * 3 / 20];
}

static double permutations_by_mask(void) {
    oracle *call = begin(&usual, "3", NULL);
    memcpy(oracle_ints(call, "permutations", EXTENTS(4, 3)), permutations, sizeof(permutations));
    return self_against_mask(call, &usual, permuted);
}

static bool padded_causal(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 20 : 9;
    return i < length && j < length && j <= i && permuted(b, h, i, j);
}

static double causal_and_lengths(void) {
    oracle *call = begin(&usual, "3", NULL);
    memcpy(oracle_ints(call, "permutations", EXTENTS(4, 3)), permutations, sizeof(permutations));
    oracle_set(call, "causal", "1");
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 9;
    lengths[1] = 20;
    return self_against_mask(call, &usual, padded_causal);
}

static double default_shift(void) {
    return oracle_run_and_compare(begin(&usual, "3", NULL), begin(&usual, "3", "0,1,2,0"));
}

static double refused_table(const char *shift, int64_t blocks, int32_t last) {
    oracle *call = begin(&usual, "3", shift);
    int32_t *table = oracle_ints(call, "permutations", EXTENTS(4, blocks));
    for (int64_t i = 0; i < 4 * blocks; i++) {
        table[i] = (int32_t)(i % blocks);
    }
    table[4 * blocks - 1] = last;
    return self_refused(call);
}

static double refused(void) {
    double worst = refused_table("1", 3, 2);
    worst = oracle_larger(worst, refused_table(NULL, 4, 3));
    worst = oracle_larger(worst, refused_table(NULL, 3, 3));
    worst = oracle_larger(worst, refused_table(NULL, 3, -1));
    worst = oracle_larger(worst, refused_table(NULL, 3, 0)); // 0 twice
    worst = oracle_larger(worst, self_refused(begin(&usual, "0", NULL)));
    worst = oracle_larger(worst, self_refused(begin(&usual, "21", NULL)));
    worst = oracle_larger(worst, self_refused(begin(&usual, "3", "3")));
    worst = oracle_larger(worst, self_refused(begin(&usual, "3", "-1")));
    return oracle_larger(worst, self_refused(begin(&usual, "3", "0,1")));
}

static const oracle_identity identities[] = {
    {"one_block_is_dense", one_block_is_dense, false},
    {"identity_is_blocks_alone", identity_is_blocks_alone, true},
    {"identity_is_local", identity_is_local, true},
    {"blocks_of_one_give_v", blocks_of_one_give_v, true},
    {"shift_is_a_roll", shift_is_a_roll, false},
    {"permutations_by_mask", permutations_by_mask, true},
    {"causal_and_lengths", causal_and_lengths, true},
    {"default_shift", default_shift, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("blockwise", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
