// The identities and edge cases of the page of `longformer`.

#include "self.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 13, .d = 6, .dv = 5};

static oracle *begin(const char *window, const char *dilation, const char *causal) {
    oracle *call = self_begin("longformer", &usual);
    oracle_set(call, "window", window);
    oracle_set(call, "dilation", dilation);
    oracle_set(call, "causal", causal);
    return call;
}

// Positions 2 and 7 of entry 0, 12 of entry 1.
static const int32_t globals[2 * 13] = {[2] = 1, [7] = 1, [13 + 12] = 1};

static void add_globals(oracle *call) {
    memcpy(oracle_ints(call, "global_mask", EXTENTS(2, 13)), globals, sizeof(globals));
}

static void add_projections(oracle *call, uint32_t seed) {
    const self_sizes *s = &usual;
    oracle_fill(oracle_floats(call, "q_global", EXTENTS(s->b, s->h, s->n, s->d)),
                (size_t)(s->b * s->h * s->n * s->d), seed);
    oracle_fill(oracle_floats(call, "k_global", EXTENTS(s->b, s->hkv, s->n, s->d)),
                (size_t)(s->b * s->hkv * s->n * s->d), seed + 1);
    oracle_fill(oracle_floats(call, "v_global", EXTENTS(s->b, s->hkv, s->n, s->dv)),
                (size_t)(s->b * s->hkv * s->n * s->dv), seed + 2);
}

static double wide_window_is_dense(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *a = begin("12", "1", causal ? "1" : "0"), *b = self_begin("dense", &usual);
        oracle_set(b, "causal", causal ? "1" : "0");
        worst = oracle_larger(worst, oracle_run_and_compare(a, b));
    }
    return worst;
}

static double window_is_dense_window(void) {
    oracle *a = begin("3", "1", "0"), *b = self_begin("dense", &usual);
    oracle_set(b, "window_left", "3");
    oracle_set(b, "window_right", "3");
    return oracle_run_and_compare(a, b);
}

static double residues_are_alone(void) {
    double worst = 0;
    oracle *whole = begin("2", "3", "0");
    oracle_run_both(whole);
    for (int64_t r = 0; r < 3; r++) {
        const int64_t count = (usual.n - r + 2) / 3;
        oracle *part = self_part("longformer", whole, &usual, r, 3, count);
        oracle_set(part, "window", "2");
        oracle_run_both(part);
        worst = oracle_larger(worst, self_compare_part(whole, part, &usual, r, 3, count));
        oracle_end(part);
    }
    oracle_end(whole);
    return worst;
}

static double shared_projections(void) {
    oracle *a = begin("2", "1", "0"), *b = begin("2", "1", "0");
    add_globals(a);
    add_globals(b);
    add_projections(b, 1); // the seeds of q, k, v
    return oracle_run_and_compare(a, b);
}

static double all_global_is_dense(void) {
    oracle *a = begin("2", "1", "0"), *b = begin("12", "1", "0");
    int32_t *mask = oracle_ints(a, "global_mask", EXTENTS(2, 13));
    for (int i = 0; i < 26; i++) {
        mask[i] = 1;
    }
    return oracle_run_and_compare(a, b);
}

static double window_zero_gives_v(void) {
    self_sizes s = usual;
    s.hkv = s.h;
    oracle *call = self_begin("longformer", &s);
    oracle_set(call, "window", "0");
    oracle_run(call, "out", NULL);
    size_t count;
    const float *out = oracle_result(call, "out", &count);
    const double worst = oracle_deviation(out, oracle_values(call, "v"), count);
    oracle_end(call);
    return worst;
}

static bool mask_of_globals(int64_t b, int64_t h, int64_t i, int64_t j) {
    static const int64_t dilations[] = {1, 2, 3, 1};
    const int64_t d = dilations[h];
    const bool local = (i - j) % d == 0 && llabs(i - j) <= 2 * d;
    return local || globals[b * 13 + i] || globals[b * 13 + j];
}

static double by_mask(void) {
    oracle *call = begin("2", "1,2,3,1", "0");
    add_globals(call);
    return self_against_mask(call, &usual, mask_of_globals);
}

static bool causal_mask(int64_t b, int64_t h, int64_t i, int64_t j) {
    return j <= i && mask_of_globals(b, h, i, j);
}

static double by_mask_causal(void) {
    oracle *call = begin("2", "1,2,3,1", "1");
    add_globals(call);
    return self_against_mask(call, &usual, causal_mask);
}

// Padding comes first: entry 1's global position is padding, and entry 0's second one too.
static bool padded_mask(int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t length = b ? 9 : 6;
    return i < length && j < length && mask_of_globals(b, h, i, j);
}

static double by_mask_padded(void) {
    oracle *call = begin("2", "1,2,3,1", "0");
    add_globals(call);
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 6;
    lengths[1] = 9;
    return self_against_mask(call, &usual, padded_mask);
}

// NaN in q of global rows, q_global of others and everything padded changes nothing.
static double unused_values(void) {
    const self_sizes *s = &usual;
    oracle *a = begin("3", "1", "0"), *b = begin("3", "1", "0");
    oracle *calls[] = {a, b};
    for (int i = 0; i < 2; i++) {
        add_globals(calls[i]);
        add_projections(calls[i], 7);
        int32_t *lengths = oracle_ints(calls[i], "lengths", EXTENTS(2));
        lengths[0] = 8;
        lengths[1] = 13;
    }
    for (int64_t head = 0; head < s->b * s->h; head++) {
        for (int64_t i = 0; i < s->n; i++) {
            const bool padded = head < s->h && i >= 8, global = globals[head / s->h * s->n + i];
            float *q = oracle_values(b, padded || global ? "q" : "q_global");
            q[(head * s->n + i) * s->d + 2] = NAN;
            if (padded && head < s->hkv) {
                oracle_values(b, "k")[(head * s->n + i) * s->d] = NAN;
                oracle_values(b, "v_global")[(head * s->n + i) * s->dv] = NAN;
            }
        }
    }
    return oracle_run_and_compare(a, b);
}

static double rows_of_the_whole(void) {
    static const int64_t rows[] = {2, 3, 8, 12}; // 2 and 12 are global
    oracle *call = begin("2", "1,2,3,1", "0");
    add_globals(call);
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 9;
    lengths[1] = 13;
    return oracle_run_rows(call, usual.n, rows, 4);
}

static double refused(void) {
    double worst = 0;
    oracle *call = begin("2", "1", "0");
    oracle_floats(call, "q_global", EXTENTS(2, 4, 13, 6));
    worst = oracle_larger(worst, self_refused(call));
    worst = oracle_larger(worst, self_refused(begin("-1", "1", "0")));
    worst = oracle_larger(worst, self_refused(begin("1", "0", "0")));
    worst = oracle_larger(worst, self_refused(begin("1", "1,2", "0")));
    worst = oracle_larger(worst, self_refused(begin("1", "1", "2")));
    call = begin("2", "1", "0");
    oracle_ints(call, "global_mask", EXTENTS(2, 12));
    worst = oracle_larger(worst, self_refused(call));
    call = begin("2", "1", "0");
    oracle_ints(call, "global_mask", EXTENTS(2, 13))[4] = 3;
    worst = oracle_larger(worst, self_refused(call));
    call = begin("2", "1", "0");
    oracle_set(call, "softcap", "1");
    return oracle_larger(worst, self_refused(call));
}

static const oracle_identity identities[] = {
    {"wide_window_is_dense", wide_window_is_dense, false},
    {"window_is_dense_window", window_is_dense_window, true},
    {"residues_are_alone", residues_are_alone, false},
    {"shared_projections", shared_projections, false},
    {"all_global_is_dense", all_global_is_dense, false},
    {"window_zero_gives_v", window_zero_gives_v, true},
    {"by_mask", by_mask, true},
    {"by_mask_causal", by_mask_causal, true},
    {"by_mask_padded", by_mask_padded, true},
    {"unused_values", unused_values, false},
    {"rows_of_the_whole", rows_of_the_whole, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("longformer", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
