// The identities and edge cases of the page of `dense`.

#include <math.h>
#include <string.h>

#include "oracle.h"

// Shapes of a problem with random q, k, v.
typedef struct sizes {
    int64_t b, h, hkv, n, m, d, dv;
} sizes;

static const sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 5, .m = 7, .d = 9, .dv = 6};
static const sizes square = {.b = 2, .h = 4, .hkv = 2, .n = 6, .m = 6, .d = 8, .dv = 5};

static oracle *begin(const sizes *s) {
    oracle *call = oracle_begin("dense");
    oracle_fill(oracle_floats(call, "q", EXTENTS(s->b, s->h, s->n, s->d)),
                (size_t)(s->b * s->h * s->n * s->d), 1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(s->b, s->hkv, s->m, s->d)),
                (size_t)(s->b * s->hkv * s->m * s->d), 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(s->b, s->hkv, s->m, s->dv)),
                (size_t)(s->b * s->hkv * s->m * s->dv), 3);
    return call;
}

// Visibility.

static double scale_zero(void) {
    oracle *call = begin(&usual);
    oracle_set(call, "scale", "0");
    oracle_set(call, "causal", "1");
    float *v = oracle_values(call, "v"), expected[2 * 4 * 5 * 6], lse[2 * 4 * 5];
    for (int64_t row = 0; row < 2 * 4 * 5; row++) {
        const int64_t visible = row % 5 + 3;           // N = 5, M = 7
        const float *values = v + row / 5 / 2 * 7 * 6; // two query heads share values
        for (int64_t c = 0; c < 6; c++) {
            double sum = 0;
            for (int64_t j = 0; j < visible; j++) {
                sum += values[j * 6 + c];
            }
            expected[row * 6 + c] = (float)(sum / (double)visible);
        }
        lse[row] = (float)log((double)visible);
    }
    return oracle_run_and_expect(call, expected, lse);
}

static double window_is_bias(void) {
    oracle *a = begin(&usual), *b = begin(&usual);
    oracle_set(a, "window_left", "2");
    oracle_set(a, "window_right", "1");
    float *bias = oracle_floats(b, "bias", EXTENTS(1, 1, 5, 7));
    for (int64_t i = 0; i < 5; i++) {
        for (int64_t j = 0; j < 7; j++) {
            const int64_t r = i + 2 - j;
            bias[i * 7 + j] = r <= 2 && -r <= 1 ? 0 : -INFINITY;
        }
    }
    return oracle_run_and_compare(a, b);
}

static double window_zero_gives_v(void) {
    sizes s = square;
    s.hkv = s.h;
    oracle *call = begin(&s);
    oracle_set(call, "window_left", "0");
    oracle_set(call, "window_right", "0");
    oracle_run(call, "out", NULL);
    size_t count;
    const float *out = oracle_result(call, "out", &count);
    const double worst = oracle_deviation(out, oracle_values(call, "v"), count);
    oracle_end(call);
    return worst;
}

static double wide_window_is_none(void) {
    oracle *a = begin(&usual), *b = begin(&usual);
    oracle_set(a, "window_left", "2147483647");
    oracle_set(a, "window_right", "7");
    return oracle_run_and_compare(a, b);
}

static double causal_overrides_window_right(void) {
    oracle *a = begin(&usual), *b = begin(&usual);
    oracle_set(a, "causal", "1");
    oracle_set(a, "window_right", "3");
    oracle_set(b, "window_right", "0");
    return oracle_run_and_compare(a, b);
}

static double one_query_causal(void) {
    sizes s = usual;
    s.n = 1;
    oracle *a = begin(&s), *b = begin(&s);
    oracle_set(a, "causal", "1");
    return oracle_run_and_compare(a, b);
}

// N = 6, M = 4, causal: two rows see nothing, the others are a square.
static double more_queries_than_keys(void) {
    const sizes s = {.b = 1, .h = 2, .hkv = 1, .n = 6, .m = 4, .d = 3, .dv = 3};
    oracle *whole = begin(&s), *part = oracle_begin("dense");
    float *q = oracle_floats(part, "q", EXTENTS(1, 2, 4, 3));
    memcpy(oracle_floats(part, "k", EXTENTS(1, 1, 4, 3)), oracle_values(whole, "k"),
           12 * sizeof(float));
    memcpy(oracle_floats(part, "v", EXTENTS(1, 1, 4, 3)), oracle_values(whole, "v"),
           12 * sizeof(float));
    for (int64_t h = 0; h < 2; h++) {
        memcpy(q + h * 12, oracle_values(whole, "q") + (h * 6 + 2) * 3, 12 * sizeof(float));
    }
    oracle_set(whole, "causal", "1");
    oracle_set(part, "causal", "1");
    oracle_run_both(part);
    float out[36] = {0}, lse[12];
    for (int64_t h = 0; h < 2; h++) {
        lse[h * 6] = lse[h * 6 + 1] = -INFINITY;
        memcpy(out + h * 18 + 6, oracle_result(part, "out", NULL) + h * 12, 12 * sizeof(float));
        memcpy(lse + h * 6 + 2, oracle_result(part, "lse", NULL) + h * 4, 4 * sizeof(float));
    }
    oracle_end(part);
    return oracle_run_and_expect(whole, out, lse);
}

// Lengths.

// Entry b of a call with lengths is a call of its own with the valid keys and queries only.
static double entry_alone(oracle *whole, const sizes *s, int64_t b, int64_t keys, int64_t queries) {
    oracle *part = oracle_begin("dense");
    oracle_set(part, "causal", "1");
    oracle_set(part, "window_left", "3");
    oracle_set(part, "alibi", "1");
    float *q = oracle_floats(part, "q", EXTENTS(1, s->h, queries, s->d));
    float *k = oracle_floats(part, "k", EXTENTS(1, s->hkv, keys, s->d));
    float *v = oracle_floats(part, "v", EXTENTS(1, s->hkv, keys, s->dv));
    for (int64_t h = 0; h < s->h; h++) {
        memcpy(q + h * queries * s->d, oracle_values(whole, "q") + (b * s->h + h) * s->n * s->d,
               (size_t)(queries * s->d) * sizeof(float));
    }
    for (int64_t h = 0; h < s->hkv; h++) {
        memcpy(k + h * keys * s->d, oracle_values(whole, "k") + (b * s->hkv + h) * s->m * s->d,
               (size_t)(keys * s->d) * sizeof(float));
        memcpy(v + h * keys * s->dv, oracle_values(whole, "v") + (b * s->hkv + h) * s->m * s->dv,
               (size_t)(keys * s->dv) * sizeof(float));
    }
    oracle_run_both(part);
    const float *out = oracle_result(whole, "out", NULL), *lse = oracle_result(whole, "lse", NULL);
    double worst = 0;
    for (int64_t h = 0; h < s->h; h++) {
        const float *head_out = out + (b * s->h + h) * s->n * s->dv,
                    *head_lse = lse + (b * s->h + h) * s->n;
        const double out_error =
            oracle_deviation(head_out, oracle_result(part, "out", NULL) + h * queries * s->dv,
                             (size_t)(queries * s->dv));
        const double lse_error = oracle_deviation(
            head_lse, oracle_result(part, "lse", NULL) + h * queries, (size_t)queries);
        worst = oracle_larger(worst, oracle_larger(out_error, lse_error));
        for (int64_t i = queries; i < s->n; i++) { // the rest is empty
            worst = oracle_larger(worst, head_lse[i] == -INFINITY ? 0 : INFINITY);
            for (int64_t c = 0; c < s->dv; c++) {
                worst = oracle_larger(worst, head_out[i * s->dv + c] == 0 ? 0 : INFINITY);
            }
        }
    }
    oracle_end(part);
    return worst;
}

static double entries_alone(const sizes *s, const int32_t *keys, const int32_t *queries,
                            bool query_lengths) {
    oracle *whole = begin(s);
    oracle_set(whole, "causal", "1");
    oracle_set(whole, "window_left", "3");
    oracle_set(whole, "alibi", "1");
    memcpy(oracle_ints(whole, "lengths", EXTENTS(s->b)), keys, (size_t)s->b * sizeof(*keys));
    if (query_lengths) {
        memcpy(oracle_ints(whole, "query_lengths", EXTENTS(s->b)), queries,
               (size_t)s->b * sizeof(*queries));
    }
    oracle_run_both(whole);
    double worst = 0;
    for (int64_t b = 0; b < s->b; b++) {
        worst = oracle_larger(worst, entry_alone(whole, s, b, keys[b], queries[b]));
    }
    oracle_end(whole);
    return worst;
}

static double lengths_in_self_attention(void) {
    return entries_alone(&square, (int32_t[]){4, 6}, (int32_t[]){4, 6}, false);
}

static double lengths_in_cross_attention(void) {
    return entries_alone(&usual, (int32_t[]){6, 7}, (int32_t[]){5, 5}, false);
}

static double lengths_of_both(void) {
    return entries_alone(&square, (int32_t[]){5, 6}, (int32_t[]){3, 5}, true);
}

// A cache of 7 filled to 4, one query: it sees all 4.
static double decoding(void) {
    sizes s = usual;
    s.n = 1;
    return entries_alone(&s, (int32_t[]){4, 2}, (int32_t[]){1, 1}, false);
}

static double length_zero(void) {
    oracle *call = begin(&square);
    oracle_ints(call, "lengths", EXTENTS(2))[1] = 6; // entry 0 has none
    oracle_run_both(call);
    float zeros[4 * 6 * 5] = {0}, lse[4 * 6];
    for (int i = 0; i < 4 * 6; i++) {
        lse[i] = -INFINITY;
    }
    const double worst =
        oracle_larger(oracle_deviation(oracle_result(call, "out", NULL), zeros, 4 * 6 * 5),
                      oracle_deviation(oracle_result(call, "lse", NULL), lse, 4 * 6));
    oracle_end(call);
    return worst;
}

// NaN and infinity in padding changes nothing.
static double padded_nan(void) {
    oracle *a = begin(&square), *b = begin(&square);
    const char *names[3] = {"q", "k", "v"};
    const int64_t heads[3] = {4, 2, 2}, widths[3] = {8, 8, 5};
    for (int t = 0; t < 3; t++) {
        float *values = oracle_values(b, names[t]);
        for (int64_t row = 0; row < heads[t] * 6; row++) {
            for (int64_t c = 0; row % 6 >= 4 && c < widths[t]; c++) {
                values[row * widths[t] + c] = c % 2 ? NAN : INFINITY; // entry 0, rows 4 and 5
            }
        }
    }
    memcpy(oracle_ints(a, "lengths", EXTENTS(2)), ((int32_t[]){4, 6}), 8);
    memcpy(oracle_ints(b, "lengths", EXTENTS(2)), ((int32_t[]){4, 6}), 8);
    return oracle_run_and_compare(a, b);
}

// Under causal, NaN in key and value 3 reaches rows 3, 4, 5 and no others.
static double nan_stays_below_diagonal(void) {
    sizes s = square;
    s.b = s.h = s.hkv = 1;
    oracle *a = begin(&s), *b = begin(&s);
    oracle_set(a, "causal", "1");
    oracle_set(b, "causal", "1");
    oracle_values(b, "k")[3 * 8] = NAN;
    oracle_values(b, "v")[3 * 5] = INFINITY;
    oracle_run_both(a);
    oracle_run_both(b);
    const float *lse = oracle_result(b, "lse", NULL);
    double worst = oracle_larger(
        oracle_deviation(oracle_result(b, "out", NULL), oracle_result(a, "out", NULL), 3 * 5),
        oracle_deviation(lse, oracle_result(a, "lse", NULL), 3));
    for (int i = 3; i < 6; i++) {
        worst = isnan(lse[i]) ? worst : INFINITY;
    }
    oracle_end(a);
    oracle_end(b);
    return worst;
}

// Bias, sinks, ALiBi.

static double sink_of_minus_infinity(void) {
    oracle *a = begin(&usual), *b = begin(&usual);
    float *sinks = oracle_floats(a, "sinks", EXTENTS(4));
    for (int h = 0; h < 4; h++) {
        sinks[h] = -INFINITY;
    }
    return oracle_run_and_compare(a, b);
}

// Row 0 sees no key (N = 6, M = 5, causal), rows 4 and 5 of entry 0 are padding.
static double sink_on_empty_rows(void) {
    sizes s = square;
    s.m = 5;
    s.h = s.hkv = 1;
    oracle *call = begin(&s);
    oracle_set(call, "causal", "1");
    oracle_floats(call, "sinks", EXTENTS(1))[0] = 1.5f;
    memcpy(oracle_ints(call, "lengths", EXTENTS(2)), ((int32_t[]){3, 5}), 8);
    memcpy(oracle_ints(call, "query_lengths", EXTENTS(2)), ((int32_t[]){4, 6}), 8);
    oracle_run_both(call);
    const float *out = oracle_result(call, "out", NULL), *lse = oracle_result(call, "lse", NULL);
    const float zeros[10] = {0};
    double worst =
        oracle_larger(oracle_deviation(out, zeros, 5), oracle_deviation(out + 4 * 5, zeros, 10));
    worst = oracle_larger(worst, oracle_deviation(out + 6 * 5, zeros, 5));
    worst = oracle_larger(worst, oracle_deviation(lse, (float[]){1.5f}, 1));
    worst =
        oracle_larger(worst, oracle_deviation(lse + 4, (float[]){-INFINITY, -INFINITY, 1.5f}, 3));
    oracle_end(call);
    return worst;
}

static double bias_along_keys(void) {
    oracle *a = begin(&usual), *b = begin(&usual);
    float *bias = oracle_floats(a, "bias", EXTENTS(2, 4, 5, 7)), shift[2 * 4 * 5];
    oracle_fill(shift, 40, 7);
    for (int i = 0; i < 2 * 4 * 5 * 7; i++) {
        bias[i] = shift[i / 7];
    }
    oracle_run_both(a);
    oracle_run_both(b);
    float lse[40];
    for (int i = 0; i < 40; i++) {
        lse[i] = oracle_result(b, "lse", NULL)[i] + shift[i];
    }
    const double worst = oracle_larger(oracle_compare(a, b, "out"),
                                       oracle_deviation(oracle_result(a, "lse", NULL), lse, 40));
    oracle_end(a);
    oracle_end(b);
    return worst;
}

// A bias of extents [1,1], [2,1] and [1,4] repeats along the axes of extent 1.
static double bias_repeats(void) {
    double worst = 0;
    for (int which = 0; which < 3; which++) {
        const int64_t batches = which == 1 ? 2 : 1, heads = which == 2 ? 4 : 1;
        oracle *a = begin(&usual), *b = begin(&usual);
        float *small = oracle_floats(a, "bias", EXTENTS(batches, heads, 5, 7));
        float *full = oracle_floats(b, "bias", EXTENTS(2, 4, 5, 7));
        oracle_fill(small, (size_t)(batches * heads * 35), 9);
        for (int64_t entry = 0; entry < 2; entry++) {
            for (int64_t h = 0; h < 4; h++) {
                memcpy(full + (entry * 4 + h) * 35,
                       small + (entry % batches * heads + h % heads) * 35, 35 * sizeof(float));
            }
        }
        worst = oracle_larger(worst, oracle_run_and_compare(a, b));
    }
    return worst;
}

// -inf removes a key, NaN in it or not; a row without any left is empty; +inf and NaN spoil their
// row only.
static double bias_of_infinity(void) {
    const sizes s = {.b = 1, .h = 1, .hkv = 1, .n = 4, .m = 3, .d = 2, .dv = 1};
    oracle *a = begin(&s), *b = begin(&s);
    float *bias_a = oracle_floats(a, "bias", EXTENTS(1, 1, 4, 3)),
          *bias_b = oracle_floats(b, "bias", EXTENTS(1, 1, 4, 3));
    const float removed[12] = {0, -INFINITY, 0, -INFINITY, -INFINITY, -INFINITY,
                               0, -INFINITY, 0, 0,         -INFINITY, 0};
    memcpy(bias_a, removed, sizeof(removed));
    memcpy(bias_b, removed, sizeof(removed));
    oracle_values(a, "k")[2] = NAN; // key 1 is removed for all
    oracle_values(a, "v")[1] = INFINITY;
    bias_a[2 * 3] = INFINITY;
    bias_a[3 * 3 + 2] = NAN;
    oracle_run_both(a);
    oracle_run_both(b);
    const float *out = oracle_result(a, "out", NULL), *lse = oracle_result(a, "lse", NULL);
    double worst = oracle_larger(oracle_deviation(out, oracle_result(b, "out", NULL), 2),
                                 oracle_deviation(lse, oracle_result(b, "lse", NULL), 2));
    worst = out[1] == 0 && lse[1] == -INFINITY ? worst : INFINITY;
    worst = isnan(out[2]) && isnan(out[3]) && isnan(lse[2]) && isnan(lse[3]) ? worst : INFINITY;
    oracle_end(a);
    oracle_end(b);
    return worst;
}

static double alibi_of_slopes(bool per_batch, const float *slopes, int64_t heads,
                              const char *alibi) {
    sizes s = usual;
    s.h = heads;
    oracle *a = begin(&s), *b = begin(&s);
    if (alibi) {
        oracle_set(a, "alibi", alibi);
    } else if (per_batch) {
        memcpy(oracle_floats(a, "alibi_slopes", EXTENTS(2, heads)), slopes,
               (size_t)heads * 2 * sizeof(*slopes));
    } else {
        memcpy(oracle_floats(a, "alibi_slopes", EXTENTS(heads)), slopes,
               (size_t)heads * sizeof(*slopes));
    }
    float *bias = oracle_floats(b, "bias", EXTENTS(2, heads, 5, 7));
    for (int64_t entry = 0; entry < 2 * heads; entry++) {
        const float slope = slopes[per_batch ? entry : entry % heads];
        for (int64_t i = 0; i < 5; i++) {
            for (int64_t j = 0; j < 7; j++) {
                bias[(entry * 5 + i) * 7 + j] = -slope * fabsf((float)(i + 2 - j));
            }
        }
    }
    return oracle_run_and_compare(a, b);
}

static double alibi_is_bias(void) {
    return alibi_of_slopes(false, (float[]){0.5f, 0.25f, 1, 2}, 4, NULL);
}

static double alibi_per_batch(void) {
    return alibi_of_slopes(true, (float[]){0.5f, 0.25f, 1, 2, 0, 0.125f, 4, 0.75f}, 4, NULL);
}

static double alibi_default_slopes(void) {
    return oracle_larger(
        alibi_of_slopes(false, (float[]){0.25f, 0.0625f, 0.015625f, 0.00390625f}, 4, "1"),
        alibi_of_slopes(false, (float[]){0.25f, 0.0625f, 0.015625f, 0.00390625f, 0.5f, 0.125f}, 6,
                        "1"));
}

// Sums.

static void copy_keys(oracle *to, oracle *from, const sizes *s, int64_t first, int64_t count) {
    float *k = oracle_floats(to, "k", EXTENTS(s->b, s->hkv, count, s->d));
    float *v = oracle_floats(to, "v", EXTENTS(s->b, s->hkv, count, s->dv));
    for (int64_t head = 0; head < s->b * s->hkv; head++) {
        memcpy(k + head * count * s->d, oracle_values(from, "k") + (head * s->m + first) * s->d,
               (size_t)(count * s->d) * sizeof(float));
        memcpy(v + head * count * s->dv, oracle_values(from, "v") + (head * s->m + first) * s->dv,
               (size_t)(count * s->dv) * sizeof(float));
    }
}

// Parts over keys 0..2 (with the sinks) and 3..6, merged by lse.
static double split_keys(void) {
    const sizes *s = &usual;
    oracle *whole = begin(s), *parts[2];
    oracle_fill(oracle_floats(whole, "sinks", EXTENTS(s->h)), 4, 5);
    for (int p = 0; p < 2; p++) {
        parts[p] = oracle_begin("dense");
        memcpy(oracle_floats(parts[p], "q", EXTENTS(s->b, s->h, s->n, s->d)),
               oracle_values(whole, "q"), (size_t)(s->b * s->h * s->n * s->d) * sizeof(float));
        copy_keys(parts[p], whole, s, p ? 3 : 0, p ? 4 : 3);
        if (p == 0) {
            oracle_fill(oracle_floats(parts[p], "sinks", EXTENTS(s->h)), 4, 5);
        }
        oracle_run_both(parts[p]);
    }
    float out[2 * 4 * 5 * 6], lse[2 * 4 * 5];
    for (int row = 0; row < 40; row++) {
        const double lse0 = oracle_result(parts[0], "lse", NULL)[row],
                     lse1 = oracle_result(parts[1], "lse", NULL)[row];
        const double merged = log(exp(lse0) + exp(lse1));
        lse[row] = (float)merged;
        for (int c = 0; c < 6; c++) {
            out[row * 6 + c] =
                (float)(exp(lse0 - merged) * oracle_result(parts[0], "out", NULL)[row * 6 + c] +
                        exp(lse1 - merged) * oracle_result(parts[1], "out", NULL)[row * 6 + c]);
        }
    }
    oracle_end(parts[0]);
    oracle_end(parts[1]);
    return oracle_run_and_expect(whole, out, lse);
}

static double grouped_is_repeated(void) {
    const sizes *s = &usual;
    oracle *a = begin(s), *b = oracle_begin("dense");
    memcpy(oracle_floats(b, "q", EXTENTS(2, 4, 5, 9)), oracle_values(a, "q"),
           2 * 4 * 5 * 9 * sizeof(float));
    float *k = oracle_floats(b, "k", EXTENTS(2, 4, 7, 9)),
          *v = oracle_floats(b, "v", EXTENTS(2, 4, 7, 6));
    for (int64_t head = 0; head < 8; head++) {
        memcpy(k + head * 63, oracle_values(a, "k") + head / 2 * 63, 63 * sizeof(float));
        memcpy(v + head * 42, oracle_values(a, "v") + head / 2 * 42, 42 * sizeof(float));
    }
    return oracle_run_and_compare(a, b);
}

static double constant_values(void) {
    oracle *call = begin(&usual);
    float *v = oracle_values(call, "v"), expected[2 * 4 * 5 * 6];
    for (int i = 0; i < 2 * 2 * 7 * 6; i++) {
        v[i] = (float)(i % 6) - 2.5f;
    }
    for (int i = 0; i < 2 * 4 * 5 * 6; i++) {
        expected[i] = (float)(i % 6) - 2.5f;
    }
    oracle_set(call, "softcap", "3");
    oracle_run(call, "out", NULL);
    const double worst =
        oracle_deviation(oracle_result(call, "out", NULL), expected, 2 * 4 * 5 * 6);
    oracle_end(call);
    return worst;
}

static double permuted_keys(void) {
    const sizes *s = &usual;
    oracle *a = begin(s), *b = begin(s);
    const int64_t order[7] = {3, 0, 6, 2, 5, 1, 4};
    for (int64_t head = 0; head < s->b * s->hkv; head++) {
        for (int64_t j = 0; j < 7; j++) {
            memcpy(oracle_values(b, "k") + (head * 7 + j) * 9,
                   oracle_values(a, "k") + (head * 7 + order[j]) * 9, 9 * sizeof(float));
            memcpy(oracle_values(b, "v") + (head * 7 + j) * 6,
                   oracle_values(a, "v") + (head * 7 + order[j]) * 6, 6 * sizeof(float));
        }
    }
    return oracle_run_and_compare(a, b);
}

static double no_keys(void) {
    sizes s = usual;
    s.m = 0;
    oracle *call = begin(&s);
    float zeros[2 * 4 * 5 * 6] = {0}, lse[2 * 4 * 5];
    for (int i = 0; i < 40; i++) {
        lse[i] = -INFINITY;
    }
    return oracle_run_and_expect(call, zeros, lse);
}

// Layout and types.

// q, k, v as views of one buffer [B, N, 3, H, D], with an offset.
static double packed_views(void) {
    const sizes s = {.b = 2, .h = 3, .hkv = 3, .n = 4, .m = 4, .d = 5, .dv = 5};
    enum { OFFSET = 7, COUNT = OFFSET + 2 * 4 * 3 * 3 * 5 };
    oracle *a = begin(&s), *b = oracle_begin("dense");
    const char *names[3] = {"q", "k", "v"};
    float packed[COUNT];
    for (int64_t t = 0; t < 3; t++) {
        for (int64_t i = 0; i < 2 * 3 * 4; i++) {
            const int64_t entry = i / 12, head = i / 4 % 3, row = i % 4;
            memcpy(packed + OFFSET + (((entry * 4 + row) * 3 + t) * 3 + head) * 5,
                   oracle_values(a, names[t]) + i * 5, 5 * sizeof(float));
        }
        const ikat_tensor view = {IKAT_FLOAT32, 4, {2, 3, 4, 5}, {180, 5, 45, 1}, OFFSET + t * 15};
        oracle_input(b, names[t], &view, packed, sizeof(packed));
    }
    oracle_set(a, "causal", "1");
    oracle_set(b, "causal", "1");
    return oracle_run_and_compare(a, b);
}

// 1, 2, 3 and the mean 2 are exact in float16.
static double halves(void) {
    oracle *call = oracle_begin("dense");
    const uint16_t zero[3] = {0}, one_two_three[3] = {0x3c00, 0x4000, 0x4200};
    const ikat_tensor q = ikat_tensor_packed(IKAT_FLOAT16, 4, 1, 1, 1, 1);
    const ikat_tensor k = ikat_tensor_packed(IKAT_FLOAT16, 4, 1, 1, 3, 1);
    oracle_input(call, "q", &q, zero, 2);
    oracle_input(call, "k", &k, one_two_three, 6);
    oracle_input(call, "v", &k, one_two_three, 6);
    return oracle_run_and_expect(call, (float[]){2}, (float[]){logf(3)});
}

static double rows_of_the_whole(void) {
    static const int64_t rows[] = {0, 2, 3, 5};
    oracle *call = begin(&square);
    oracle_set(call, "causal", "1");
    int32_t *lengths = oracle_ints(call, "lengths", EXTENTS(2));
    lengths[0] = 6;
    lengths[1] = 3;
    return oracle_run_rows(call, 6, rows, 4);
}

static const oracle_identity identities[] = {
    {"scale_zero", scale_zero, true},
    {"window_is_bias", window_is_bias, true},
    {"window_zero_gives_v", window_zero_gives_v, true},
    {"wide_window_is_none", wide_window_is_none, false},
    {"causal_overrides_window_right", causal_overrides_window_right, false},
    {"one_query_causal", one_query_causal, false},
    {"more_queries_than_keys", more_queries_than_keys, true},
    {"lengths_in_self_attention", lengths_in_self_attention, false},
    {"lengths_in_cross_attention", lengths_in_cross_attention, false},
    {"lengths_of_both", lengths_of_both, false},
    {"decoding", decoding, false},
    {"length_zero", length_zero, false},
    {"padded_nan", padded_nan, false},
    {"nan_stays_below_diagonal", nan_stays_below_diagonal, true},
    {"sink_of_minus_infinity", sink_of_minus_infinity, false},
    {"sink_on_empty_rows", sink_on_empty_rows, true},
    {"bias_along_keys", bias_along_keys, false},
    {"bias_repeats", bias_repeats, false},
    {"bias_of_infinity", bias_of_infinity, false},
    {"alibi_is_bias", alibi_is_bias, false},
    {"alibi_per_batch", alibi_per_batch, false},
    {"alibi_default_slopes", alibi_default_slopes, false},
    {"split_keys", split_keys, false},
    {"grouped_is_repeated", grouped_is_repeated, false},
    {"constant_values", constant_values, false},
    {"permuted_keys", permuted_keys, false},
    {"no_keys", no_keys, false},
    {"packed_views", packed_views, false},
    {"halves", halves, false},
    {"rows_of_the_whole", rows_of_the_whole, false},
};

int main(void) {
    return oracle_main("dense", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
