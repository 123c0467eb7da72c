// The identities and edge cases of the page of `synthesizer`.

#include "oracle.h"

#include <math.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, N = 11, D = 5, DV = 3, C = 4, F = 6, K = 3, NMAX = 13 };

static float *fill(oracle *call, const char *name, const int64_t *extents, uint32_t seed) {
    size_t count = 1;
    for (const int64_t *extent = extents; *extent >= 0; extent++) {
        count *= (size_t)*extent;
    }
    float *values = oracle_floats(call, name, extents);
    oracle_fill(values, count, seed);
    return values;
}

static oracle *begin(const char *components) {
    oracle *call = oracle_begin("synthesizer");
    fill(call, "v", EXTENTS(B, HKV, N, DV), 1);
    oracle_set(call, "components", components);
    oracle_set(call, "heads", "4");
    return call;
}

static void add_dense(oracle *call) {
    fill(call, "x", EXTENTS(B, N, C), 2);
    fill(call, "w1", EXTENTS(1, C, F), 3);
    fill(call, "w2", EXTENTS(H, F, NMAX), 4);
    fill(call, "b1", EXTENTS(H, F), 5);
    fill(call, "b2", EXTENTS(1, N), 6);
}

static void add_dot(oracle *call) {
    fill(call, "q", EXTENTS(B, H, N, D), 7);
    fill(call, "k", EXTENTS(B, HKV, N, D), 8);
}

static void add_factors(oracle *call) {
    fill(call, "r1", EXTENTS(H, NMAX, K), 9);
    fill(call, "r2", EXTENTS(1, N, K), 10);
}

static double dot_is_dense(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        oracle *call = begin("dot"), *dense = oracle_begin("dense");
        oracle *calls[] = {call, dense};
        fill(dense, "v", EXTENTS(B, HKV, N, DV), 1);
        for (int i = 0; i < 2; i++) {
            add_dot(calls[i]);
            oracle_set_lengths(calls[i], 7, N);
            oracle_set(calls[i], "causal", causal ? "1" : "0");
        }
        worst = oracle_larger(worst, oracle_run_and_compare(call, dense));
    }
    return worst;
}

// An x whose hidden layer is q, and a w2 whose columns are k: one batch entry and head.
static double dense_is_a_product(void) {
    oracle *call = oracle_begin("synthesizer"), *dense = oracle_begin("dense");
    fill(call, "v", EXTENTS(1, 1, N, DV), 1);
    fill(dense, "v", EXTENTS(1, 1, N, DV), 1);
    float *x = fill(call, "x", EXTENTS(1, N, C), 2),
          *w1 = oracle_floats(call, "w1", EXTENTS(1, C, C));
    float *w2 = fill(call, "w2", EXTENTS(1, C, N), 3);
    float *q = oracle_floats(dense, "q", EXTENTS(1, 1, N, C));
    float *k = oracle_floats(dense, "k", EXTENTS(1, 1, N, C));
    for (int c = 0; c < C; c++) {
        w1[c * C + c] = 1;
        for (int i = 0; i < N; i++) {
            q[i * C + c] = x[i * C + c] > 0 ? x[i * C + c] : 0;
            k[i * C + c] = w2[c * N + i];
        }
    }
    oracle_set_number(dense, "scale", 1);
    return oracle_run_and_compare(call, dense);
}

static double zeros_give_means(void) {
    oracle *call = begin("random");
    oracle_floats(call, "r", EXTENTS(1, NMAX, NMAX));
    oracle_set_lengths(call, 4, N);
    oracle_set(call, "causal", "1");
    float out[B * H * N * DV] = {0}, lse[B * H * N];
    for (int row = 0; row < B * H * N; row++) {
        const int i = row % N, matrix = row / N, n = matrix / H ? N : 4;
        const float *v = oracle_values(call, "v") + (matrix / H * HKV + matrix % H / 2) * N * DV;
        lse[row] = i < n ? (float)log(i + 1.0) : -INFINITY;
        for (int d = 0; d < DV && i < n; d++) {
            double sum = 0;
            for (int j = 0; j <= i; j++) {
                sum += v[j * DV + d];
            }
            out[row * DV + d] = (float)(sum / (i + 1));
        }
    }
    return oracle_run_and_expect(call, out, lse);
}

static double factors_are_random(void) {
    oracle *call = begin("factorized_random"), *random = begin("random");
    add_factors(call);
    const float *r1 = oracle_values(call, "r1"), *r2 = oracle_values(call, "r2");
    float *r = oracle_floats(random, "r", EXTENTS(H, N, N));
    for (int e = 0; e < H * N * N; e++) {
        const int h = e / (N * N), i = e / N % N, j = e % N;
        double sum = 0;
        for (int f = 0; f < K; f++) {
            sum += (double)r1[(h * NMAX + i) * K + f] * r2[j * K + f];
        }
        r[e] = (float)sum;
    }
    return oracle_run_and_compare(call, random);
}

static void add_factorized_dense(oracle *call, int64_t a, int64_t b) {
    fill(call, "x", EXTENTS(B, N, C), 2);
    fill(call, "w_a", EXTENTS(1, C, a), 3);
    fill(call, "w_b", EXTENTS(H, C, b), 4);
    fill(call, "b_a", EXTENTS(H, a), 5);
    fill(call, "b_b", EXTENTS(1, b), 6);
}

static double one_factor_tiles_alike(void) {
    double worst = 0;
    for (int i = 0; i < 2; i++) {
        oracle *tile = begin("factorized_dense"), *outer = begin("factorized_dense");
        add_factorized_dense(tile, i ? 1 : NMAX, i ? NMAX : 1);
        add_factorized_dense(outer, i ? 1 : NMAX, i ? NMAX : 1);
        oracle_set(outer, "tiling", "outer");
        worst = oracle_larger(worst, oracle_run_and_compare(tile, outer));
    }
    return worst;
}

// Factors that do not depend on x give the same products as a random r.
static double products_by_hand(bool outer) {
    enum { SA = 4, SB = 3 };
    oracle *call = begin("factorized_dense"), *random = begin("random");
    add_factorized_dense(call, SA, SB);
    memset(oracle_values(call, "x"), 0, B * N * C * sizeof(float));
    oracle_set(call, "tiling", outer ? "outer" : "tile");
    const float *a = oracle_values(call, "b_a"), *b = oracle_values(call, "b_b");
    float *r = oracle_floats(random, "r", EXTENTS(H, N, N));
    for (int e = 0; e < H * N * N; e++) {
        const int j = e % N;
        r[e] = a[e / (N * N) * SA + (outer ? j / SB : j % SA)] * b[j % SB];
    }
    return oracle_run_and_compare(call, random);
}
static double tiles_by_hand(void) { return products_by_hand(false); }
static double outer_products_by_hand(void) { return products_by_hand(true); }

static oracle *begin_mixture(const char *components, const float alpha[3]) {
    oracle *call = begin(components);
    add_dense(call);
    add_dot(call);
    add_factors(call);
    oracle_set_lengths(call, N, 6);
    if (alpha) {
        memcpy(oracle_floats(call, "alpha", EXTENTS(1, 3)), alpha, 3 * sizeof(float));
    }
    return call;
}

static double order_does_not_matter(void) {
    const float one[] = {0.5f, -1.5f, 2}, other[] = {2, 0.5f, -1.5f};
    return oracle_run_and_compare(begin_mixture("dense,dot,factorized_random", one),
                                  begin_mixture("factorized_random,dense,dot", other));
}

static double weights_are_equal_by_default(void) {
    const float third[] = {1 / 3.0f, 1 / 3.0f, 1 / 3.0f};
    return oracle_run_and_compare(begin_mixture("dense,dot,factorized_random", NULL),
                                  begin_mixture("dense,dot,factorized_random", third));
}

// Only lse sees a constant that all logits of a row gain.
static double constants_change_lse_alone(void) {
    oracle *call = begin("random"), *moved = begin("random");
    fill(call, "r", EXTENTS(H, N, N), 3);
    float *r = fill(moved, "r", EXTENTS(H, N, N), 3);
    for (int e = 0; e < H * N * N; e++) {
        r[e] += 2;
    }
    oracle_run_both(call);
    oracle_run_both(moved);
    double worst = oracle_compare(call, moved, "out");
    for (int i = 0; i < B * H * N; i++) {
        const float got = oracle_result(moved, "lse", NULL)[i] - 2;
        worst =
            oracle_larger(worst, oracle_deviation(&got, oracle_result(call, "lse", NULL) + i, 1));
    }
    oracle_end(call);
    oracle_end(moved);
    return worst;
}

// What was drawn, given, gives the same; longer draws hold shorter sequences.
static double draws_can_be_given(void) {
    oracle *drawn = begin("random,factorized_random"), *given = begin("random,factorized_random");
    oracle_set(drawn, "seed", "5");
    oracle_set(drawn, "rank", "3");
    oracle_set(drawn, "max_length", "13");
    static const char *const names[] = {"out", "lse", "r", "r1", "r2"};
    oracle_run_outputs(drawn, names, 5);
    memcpy(oracle_floats(given, "r", EXTENTS(H, NMAX, NMAX)), oracle_result(drawn, "r", NULL),
           H * NMAX * NMAX * sizeof(float));
    for (int i = 3; i < 5; i++) {
        memcpy(oracle_floats(given, names[i], EXTENTS(H, NMAX, K)),
               oracle_result(drawn, names[i], NULL), H * NMAX * K * sizeof(float));
    }
    oracle_run_both(given);
    double worst =
        oracle_larger(oracle_compare(given, drawn, "out"), oracle_compare(given, drawn, "lse"));
    size_t count;
    const float *r = oracle_result(drawn, "r", &count);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = oracle_larger(largest, fabs(r[i]));
    }
    const double limit = sqrt(6.0 / (2 * NMAX));
    oracle_end(drawn);
    oracle_end(given);
    return largest <= limit && largest > 0.95 * limit ? worst : INFINITY;
}

static double one_position_is_v(void) {
    oracle *call = oracle_begin("synthesizer");
    float *v = fill(call, "v", EXTENTS(1, 2, 1, DV), 1);
    fill(call, "r", EXTENTS(1, 1, 1), 2);
    oracle_set(call, "components", "random");
    oracle_run(call, "out", NULL);
    const double worst = oracle_deviation(oracle_result(call, "out", NULL), v, (size_t)2 * DV);
    oracle_end(call);
    return worst;
}

static double padding_is_nothing(void) {
    oracle *call = begin_mixture("dense,dot,factorized_random", NULL);
    oracle *poisoned = begin_mixture("dense,dot,factorized_random", NULL);
    static const char *const names[] = {"v", "q", "k", "x"};
    const int64_t heads[] = {HKV, H, HKV, 1}, sizes[] = {DV, D, D, C};
    for (int t = 0; t < 4; t++) { // batch entry 1 has 6 rows
        for (int64_t row = heads[t] * N; row < 2 * heads[t] * N; row++) {
            for (int64_t d = 0; d < sizes[t] && row % N >= 6; d++) {
                oracle_values(poisoned, names[t])[row * sizes[t] + d] = NAN;
            }
        }
    }
    oracle_run_both(call);
    oracle_run_both(poisoned);
    double worst =
        oracle_larger(oracle_compare(call, poisoned, "out"), oracle_compare(call, poisoned, "lse"));
    for (int row = H * N; row < B * H * N; row++) {
        const float lse = oracle_result(call, "lse", NULL)[row];
        worst = (row % N >= 6) == (lse == -INFINITY) ? worst : INFINITY;
    }
    oracle_end(call);
    oracle_end(poisoned);
    return worst;
}

static double refused(oracle *call, const char *output) {
    const ikat_status status = oracle_try(call, output);
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}

static double bad_components_are_refused(void) {
    static const char *const bad[] = {"", "dense,", "dots", "dense,dense", ",dense", "dense dot"};
    double worst = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oracle *call = begin(bad[i]);
        add_dense(call);
        worst = oracle_larger(worst, refused(call, "out"));
    }
    return worst;
}

static double what_nobody_takes_is_refused(void) {
    static const char *const of_dot[][2] = {
        {"tiling", "tile"}, {"rank", "3"}, {"seed", "1"}, {"max_length", "20"}, {"heads", "3"}};
    double worst = 0;
    for (size_t i = 0; i < sizeof(of_dot) / sizeof(of_dot[0]); i++) {
        oracle *call = oracle_begin("synthesizer");
        fill(call, "v", EXTENTS(B, HKV, N, DV), 1);
        fill(call, "q", EXTENTS(B, HKV, N, D), 2);
        fill(call, "k", EXTENTS(B, HKV, N, D), 3);
        oracle_set(call, "components", "dot");
        oracle_set(call, of_dot[i][0], of_dot[i][1]);
        worst = oracle_larger(worst, refused(call, "out"));
    }
    oracle *random = begin("random"), *one = begin("factorized_random"), *none = begin("dot");
    oracle *scaled = begin("random"), *short_one = begin("random"), *not_drawn = begin("random");
    oracle *alpha = begin("random"), *shorter = begin("random");
    add_dot(random);
    fill(one, "r1", EXTENTS(1, N, K), 1);
    oracle_set(scaled, "scale", "1");
    fill(short_one, "r", EXTENTS(1, N - 1, N - 1), 1);
    fill(not_drawn, "r", EXTENTS(1, N, N), 1);
    fill(alpha, "alpha", EXTENTS(1, 2), 1);
    oracle_set(shorter, "max_length", "10");
    worst = oracle_larger(worst, oracle_larger(refused(random, "out"), refused(one, "out")));
    worst = oracle_larger(worst, oracle_larger(refused(none, "out"), refused(scaled, "out")));
    worst = oracle_larger(worst, oracle_larger(refused(short_one, "out"), refused(not_drawn, "r")));
    return oracle_larger(worst, oracle_larger(refused(alpha, "out"), refused(shorter, "out")));
}

static const oracle_identity identities[] = {
    {"dot_is_dense", dot_is_dense, true},
    {"dense_is_a_product", dense_is_a_product, true},
    {"zeros_give_means", zeros_give_means, false},
    {"factors_are_random", factors_are_random, false},
    {"one_factor_tiles_alike", one_factor_tiles_alike, false},
    {"tiles_by_hand", tiles_by_hand, false},
    {"outer_products_by_hand", outer_products_by_hand, false},
    {"order_does_not_matter", order_does_not_matter, false},
    {"weights_are_equal_by_default", weights_are_equal_by_default, true},
    {"constants_change_lse_alone", constants_change_lse_alone, true},
    {"draws_can_be_given", draws_can_be_given, false},
    {"one_position_is_v", one_position_is_v, false},
    {"padding_is_nothing", padding_is_nothing, false},
    {"bad_components_are_refused", bad_components_are_refused, false},
    {"what_nobody_takes_is_refused", what_nobody_takes_is_refused, false},
};

int main(void) {
    return oracle_main("synthesizer", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
