// The identities and edge cases of block masks and of the best keys of a row (dense).

#include "self.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, N = 13, M = 17, D = 6, DV = 5, ROWS = B * H * N };

static oracle *begin_keys(int64_t num_keys) {
    oracle *call = oracle_begin("dense");
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, N, D)), B * H * N * D, 1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, num_keys, D)),
                (size_t)(B * HKV * num_keys * D), 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, num_keys, DV)),
                (size_t)(B * HKV * num_keys * DV), 3);
    return call;
}

static oracle *begin(void) { return begin_keys(M); }

static int tiles_of(int extent, int size) { return (extent + size - 1) / size; }

// Whether a tile is kept: looks random, differs from head to head.
static bool keeps(int64_t head, int64_t query_block, int64_t key_block) {
    return (head * 7 + query_block * 5 + key_block * 3) % 8 < 4;
}

static void add_mask(oracle *call, int num_masks, const char *text) {
    const int size = atoi(text);
    const int nq = tiles_of(N, size), nk = tiles_of(M, size);
    int32_t *mask = oracle_ints(call, "block_mask", EXTENTS(num_masks, nq, nk));
    for (int i = 0; i < num_masks * nq * nk; i++) {
        mask[i] = keeps(i / nk / nq, i / nk % nq, i % nk) ? 1 - 3 * (i & 1) : 0; // 1 or -2
    }
    oracle_set(call, "block_size", text);
}

// The same as a bias.
static float *add_bias(oracle *call, int num_masks, int size) {
    float *bias = oracle_floats(call, "bias", EXTENTS(1, H, N, M));
    for (int i = 0; i < H * N * M; i++) {
        const int head = num_masks == 1 ? 0 : i / M / N;
        bias[i] = keeps(head, i / M % N / size, i % M / size) ? 0 : -INFINITY;
    }
    return bias;
}

// Blocks.

static double ones_are_plain(void) {
    oracle *call = begin();
    int32_t *mask = oracle_ints(call, "block_mask", EXTENTS(1, 1, 1));
    mask[0] = 1;
    return oracle_run_and_compare(call, begin());
}

static double blocks_are_bias(void) {
    static const char *const sizes[] = {"1", "2", "5", "16", "400"};
    double worst = 0;
    for (int i = 0; i < 10; i++) {
        oracle *a = begin(), *b = begin();
        add_mask(a, i % 2 ? 1 : H, sizes[i / 2]);
        add_bias(b, i % 2 ? 1 : H, atoi(sizes[i / 2]));
        worst = oracle_larger(worst, oracle_run_and_compare(a, b));
    }
    return worst;
}

// Tiles count from query 0 and key 0 whatever the diagonal is.
static double blocks_with_windows(void) {
    oracle *a = begin(), *b = begin();
    add_mask(a, H, "4");
    add_bias(b, H, 4);
    for (int i = 0; i < 2; i++) {
        oracle *call = i ? b : a;
        int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(B));
        lengths[0] = 11;
        lengths[1] = M;
        oracle_fill(oracle_floats(call, "sinks", EXTENTS(H)), H, 4);
        oracle_set(call, "window_left", "9");
        oracle_set(call, "causal", "1");
        oracle_set(call, "alibi", "1");
        oracle_set(call, "softcap", "2");
    }
    return oracle_run_and_compare(a, b);
}

static double diagonal_is_blocks_alone(void) {
    static const self_sizes sizes = {.b = 2, .h = 4, .hkv = 2, .n = 20, .d = 6, .dv = 5};
    static const int64_t starts[] = {0, 7, 14, 20};
    double worst = 0;
    oracle *whole = self_begin("dense", &sizes);
    int32_t *mask = oracle_ints(whole, "block_mask", EXTENTS(1, 3, 3));
    mask[0] = mask[4] = mask[8] = 1;
    oracle_set(whole, "block_size", "7");
    oracle_run_both(whole);
    for (int block = 0; block < 3; block++) {
        const int64_t first = starts[block], count = starts[block + 1] - first;
        oracle *part = self_part("dense", whole, &sizes, first, 1, count);
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &sizes, first, 1, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

// All tiles are left out: sinks stay the normaliser, and nothing that keys hold shows.
static double nothing_is_kept(void) {
    oracle *call = begin();
    float out[ROWS * DV] = {0}, lse[ROWS];
    oracle_ints(call, "block_mask", EXTENTS(1, 2, 3));
    oracle_set(call, "block_size", "8");
    float *sinks = oracle_floats(call, "sinks", EXTENTS(H));
    for (int h = 0; h < H; h++) {
        sinks[h] = (float)h;
    }
    for (int i = 0; i < ROWS; i++) {
        lse[i] = (float)(i / N % H);
    }
    for (int i = 0; i < B * HKV * M * D; i++) {
        oracle_values(call, "k")[i] = NAN;
    }
    return oracle_run_and_expect(call, out, lse);
}

static double nan_in_other_tiles(void) {
    oracle *a = begin(), *b = begin();
    for (int i = 0; i < 2; i++) {
        oracle *call = i ? b : a;
        int32_t *mask = oracle_ints(call, "block_mask", EXTENTS(1, 1, 2));
        mask[0] = 1;
        oracle_set(call, "block_size", "15");
    }
    for (int i = 0; i < B * HKV; i++) {
        oracle_values(a, "k")[(i * M + 16) * D] = NAN;
        oracle_values(a, "v")[(i * M + 15) * DV] = INFINITY;
    }
    return oracle_run_and_compare(a, b);
}

// The best keys.

static double many_are_plain(void) {
    static const char *const values[] = {"0", "17", "18", "9007199254740992"};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        oracle *call = begin();
        oracle_set(call, "topk", values[i]);
        worst = oracle_larger(worst, oracle_run_and_compare(call, begin()));
    }
    return worst;
}

static double one_is_the_best_value(void) {
    oracle *call = begin();
    oracle_set(call, "topk", "1");
    const float *q = oracle_values(call, "q"), *k = oracle_values(call, "k");
    const float *v = oracle_values(call, "v");
    float out[ROWS * DV], lse[ROWS];
    for (int row = 0; row < ROWS; row++) {
        const int kv = row / N / H * HKV + row / N % H / (H / HKV);
        int best = -1;
        double best_score = 0;
        for (int j = 0; j < M; j++) {
            double s = 0;
            for (int d = 0; d < D; d++) {
                s += (double)q[row * D + d] * k[(kv * M + j) * D + d];
            }
            best_score = best < 0 || s > best_score ? s : best_score;
            best = best_score == s ? j : best;
        }
        memcpy(out + row * DV, v + (kv * M + best) * DV, DV * sizeof(*out));
        lse[row] = (float)(best_score / sqrt(D));
    }
    return oracle_run_and_expect(call, out, lse);
}

// lse of one key after the other is its score. Keys that the mask, the window or a bias hides are not
// among the best; sinks neither count nor drop.
static double best_are_bias(const char *topk, bool is_masked) {
    oracle *a = begin(), *b = begin();
    float *hidden = add_bias(b, H, 4);
    for (int i = 0; i < H * N * M; i++) {
        const int64_t r = i / M % N + M - N - i % M;
        hidden[i] = !is_masked || (hidden[i] == 0 && r >= 0) ? 0 : -INFINITY;
    }
    float scores[ROWS * M], *bias = oracle_floats(a, "bias", EXTENTS(B, H, N, M));
    oracle_set(a, "softcap", "1.5");
    oracle_set(a, "alibi", "1");
    for (int j = 0; j < M; j++) {
        for (int i = 0; i < ROWS * M; i++) {
            bias[i] = i % M == j ? hidden[i % (H * N * M)] : -INFINITY;
        }
        oracle_run(a, "lse", NULL);
        for (int row = 0; row < ROWS; row++) {
            scores[row * M + j] = oracle_result(a, "lse", NULL)[row];
        }
    }
    for (int i = 0; i < ROWS * M; i++) {
        int num_better = 0;
        for (int j = 0; j < M; j++) {
            num_better += scores[i / M * M + j] > scores[i];
        }
        bias[i] = num_better < atoi(topk) ? hidden[i % (H * N * M)] : -INFINITY;
    }
    oracle_set(b, "softcap", "1.5");
    oracle_set(b, "alibi", "1");
    oracle_set(b, "topk", topk);
    oracle_fill(oracle_floats(a, "sinks", EXTENTS(H)), H, 5);
    oracle_fill(oracle_floats(b, "sinks", EXTENTS(H)), H, 5);
    return oracle_run_and_compare(b, a);
}

static double best_of_all(void) {
    return oracle_larger(best_are_bias("3", false), best_are_bias("16", false));
}

static double best_of_visible(void) {
    return oracle_larger(best_are_bias("3", true), best_are_bias("1", true));
}

static double ties_stay(void) {
    oracle *a = begin(), *b = begin();
    oracle_set(a, "scale", "0");
    oracle_set(b, "scale", "0");
    oracle_set(a, "topk", "2");
    return oracle_run_and_compare(a, b);
}

// Keys that score alike, twice each: 3 keeps 4.
static double pairs_tie(void) {
    oracle *calls[2] = {begin_keys(16), begin_keys(16)};
    for (int i = 0; i < 2; i++) {
        float *k = oracle_values(calls[i], "k");
        for (int j = 0; j < B * HKV * 16; j += 2) {
            memcpy(k + (j + 1) * D, k + j * D, D * sizeof(*k));
        }
        oracle_set(calls[i], "topk", i ? "4" : "3");
    }
    return oracle_run_and_compare(calls[0], calls[1]);
}

// A row that sees a NaN is NaN: it is no key that could be dropped.
static double nan_is_kept(void) {
    oracle *call = begin();
    oracle_set(call, "topk", "1");
    oracle_values(call, "k")[0] = NAN;
    oracle_run_both(call);
    const bool is_nan = isnan(oracle_result(call, "lse", NULL)[0]);
    oracle_end(call);
    return is_nan ? 0 : INFINITY;
}

static double refused(void) {
    static const char *const settings[][2] = {
        {"block_size", "4"}, {"topk", "-1"}, {"topk", "1.5"}, {"topk", "many"}};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        oracle *call = begin();
        oracle_set(call, settings[i][0], settings[i][1]);
        worst = oracle_larger(worst, self_refused(call));
    }
    static const int64_t shapes[][4] = {
        {2, 2, 3, -1}, {1, 3, 2, -1}, {1, 2, 2, -1}, {2, 3, -1}, {0, 2, 3, -1}};
    for (int i = 0; i < 5; i++) {
        oracle *call = begin();
        oracle_ints(call, "block_mask", shapes[i]);
        oracle_set(call, "block_size", "8");
        worst = oracle_larger(worst, self_refused(call));
    }
    oracle *call = begin();
    oracle_ints(call, "block_mask", EXTENTS(1, N, M));
    oracle_set(call, "block_size", "0");
    worst = oracle_larger(worst, self_refused(call));
    call = begin();
    oracle_floats(call, "block_mask", EXTENTS(1, 1, 1));
    return oracle_larger(worst, self_refused(call));
}

static const oracle_identity identities[] = {
    {"ones_are_plain", ones_are_plain, false},
    {"blocks_are_bias", blocks_are_bias, true},
    {"blocks_with_windows", blocks_with_windows, true},
    {"diagonal_is_blocks_alone", diagonal_is_blocks_alone, true},
    {"nothing_is_kept", nothing_is_kept, false},
    {"nan_in_other_tiles", nan_in_other_tiles, true},
    {"many_are_plain", many_are_plain, false},
    {"one_is_the_best_value", one_is_the_best_value, true},
    {"best_of_all", best_of_all, true},
    {"best_of_visible", best_of_visible, true},
    {"ties_stay", ties_stay, false},
    {"pairs_tie", pairs_tie, true},
    {"nan_is_kept", nan_is_kept, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("pruned", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
