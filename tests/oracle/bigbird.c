// The identities and edge cases of the page of `bigbird`.

#include "self.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 23, .d = 6, .dv = 5};

// Blocks of 3: eight of them, the last one shorter.
static oracle *begin(const char *window, const char *random, const char *left, const char *right) {
    oracle *call = self_begin("bigbird", &usual);
    oracle_set(call, "block_size", "3");
    oracle_set(call, "window_blocks", window);
    oracle_set(call, "num_random_blocks", random);
    oracle_set(call, "global_blocks_left", left);
    oracle_set(call, "global_blocks_right", right);
    return call;
}

static bool band(int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)b;
    (void)h;
    return llabs(i / 3 - j / 3) <= 1;
}

static double no_random_is_a_band(void) {
    return self_against_mask(begin("3", "0", "0", "0"), &usual, band);
}

static bool with_globals(int64_t b, int64_t h, int64_t i, int64_t j) {
    return i / 3 >= 7 || j / 3 >= 7 || i / 3 < 2 || j / 3 < 2 || band(b, h, i, j);
}

static double global_blocks(void) {
    return self_against_mask(begin("3", "0", "2", "1"), &usual, with_globals);
}

// Two global tokens shift all blocks.
static bool with_tokens(int64_t b, int64_t h, int64_t i, int64_t j) {
    return i < 2 || j < 2 || band(b, h, i - 2, j - 2);
}

static double global_tokens(void) {
    oracle *call = begin("3", "0", "0", "0");
    oracle_set(call, "num_global_tokens", "2");
    return self_against_mask(call, &usual, with_tokens);
}

// Head h lists blocks h and 7 twice, and an unused slot.
static bool listed(int64_t b, int64_t h, int64_t i, int64_t j) {
    return band(b, h, i, j) || j / 3 == h || j / 3 == 7;
}

static void add_table(oracle *call) {
    int32_t *table = oracle_ints(call, "random_blocks", EXTENTS(4, 8, 4));
    for (int32_t row = 0; row < 32; row++) {
        const int32_t slots[] = {7, -1, row / 8, 7};
        memcpy(table + row * 4, slots, sizeof(slots));
    }
}

static double table_by_mask(void) {
    oracle *call = begin("3", "4", "0", "0");
    add_table(call);
    return self_against_mask(call, &usual, listed);
}

static double wide_window_is_dense(void) {
    return oracle_run_and_compare(begin("15", "3", "0", "0"), self_begin("dense", &usual));
}

static double full_table_is_dense(void) {
    oracle *call = begin("1", "8", "0", "0");
    int32_t *table = oracle_ints(call, "random_blocks", EXTENTS(4, 8, 8));
    for (int32_t i = 0; i < 4 * 8 * 8; i++) {
        table[i] = i % 8;
    }
    return oracle_run_and_compare(call, self_begin("dense", &usual));
}

static double one_block_is_dense(void) {
    return oracle_run_and_compare(self_begin("bigbird", &usual), self_begin("dense", &usual));
}

static double blocks_of_one_are_longformer(void) {
    oracle *a = self_begin("bigbird", &usual), *b = self_begin("longformer", &usual);
    oracle_set(a, "block_size", "1");
    oracle_set(a, "window_blocks", "5");
    oracle_set(a, "num_random_blocks", "0");
    oracle_set(a, "global_blocks_left", "0");
    oracle_set(a, "global_blocks_right", "0");
    oracle_set(a, "num_global_tokens", "2");
    oracle_set(b, "window", "2");
    int32_t *mask = oracle_ints(b, "global_mask", EXTENTS(2, 23));
    mask[0] = mask[1] = mask[23] = mask[24] = 1;
    // Blocks count from the first token that is not global; the window reaches no further for that.
    return oracle_run_and_compare(a, b);
}

// The drawn table, given as an input, gives the same; its default width is the table's.
static double drawn_table_again(void) {
    oracle *a = begin("1", "2", "1", "0"), *b = self_begin("bigbird", &usual);
    oracle_set(a, "seed", "12345678901");
    oracle_set(b, "block_size", "3");
    oracle_set(b, "window_blocks", "1");
    oracle_set(b, "global_blocks_right", "0");
    const char *const outputs[] = {"out", "lse", "random_blocks"};
    oracle_run_outputs(a, outputs, 3);
    const float *table = oracle_result(a, "random_blocks", NULL);
    int32_t *given = oracle_ints(b, "random_blocks", EXTENTS(4, 8, 2));
    for (int i = 0; i < 4 * 8 * 2; i++) {
        given[i] = (int32_t)table[i];
    }
    oracle_run_outputs(b, outputs, 3);
    const double worst =
        oracle_larger(oracle_larger(oracle_compare(a, b, "out"), oracle_compare(a, b, "lse")),
                      oracle_compare(a, b, "random_blocks"));
    oracle_end(a);
    oracle_end(b);
    return worst;
}

static bool padded(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 20 : 8;
    return i < length && j < length && with_globals(b, h, i, j);
}

static double globals_count_from_n(void) {
    oracle *call = begin("3", "0", "2", "1");
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 8;
    lengths[1] = 20;
    return self_against_mask(call, &usual, padded);
}

static double refused_setting(const char *name, const char *text) {
    oracle *call = self_begin("bigbird", &usual);
    oracle_set(call, name, text);
    return self_refused(call);
}

static double refused_table(int32_t value, int64_t blocks, const char *random) {
    oracle *call = begin("3", random, "1", "1");
    oracle_ints(call, "random_blocks", EXTENTS(4, blocks, 2))[0] = value;
    return self_refused(call);
}

static double refused(void) {
    double worst = refused_setting("causal", "0");
    worst = oracle_larger(worst, refused_setting("window_blocks", "2"));
    worst = oracle_larger(worst, refused_setting("window_blocks", "-1"));
    worst = oracle_larger(worst, refused_setting("block_size", "0"));
    worst = oracle_larger(worst, refused_setting("num_global_tokens", "24"));
    worst = oracle_larger(worst, refused_table(8, 8, "2"));
    worst = oracle_larger(worst, refused_table(-2, 8, "2"));
    worst = oracle_larger(worst, refused_table(0, 7, "2"));
    worst = oracle_larger(worst, refused_table(0, 8, "3"));
    oracle *call = begin("3", "0", "1", "1");
    const ikat_status status = oracle_try(call, "random_blocks"); // there is none to ask for
    oracle_end(call);
    return status == IKAT_INVALID ? worst : INFINITY;
}

static const oracle_identity identities[] = {
    {"no_random_is_a_band", no_random_is_a_band, true},
    {"global_blocks", global_blocks, true},
    {"global_tokens", global_tokens, true},
    {"table_by_mask", table_by_mask, true},
    {"wide_window_is_dense", wide_window_is_dense, false},
    {"full_table_is_dense", full_table_is_dense, false},
    {"one_block_is_dense", one_block_is_dense, false},
    {"blocks_of_one_are_longformer", blocks_of_one_are_longformer, true},
    {"drawn_table_again", drawn_table_again, false},
    {"globals_count_from_n", globals_count_from_n, true},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("bigbird", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
