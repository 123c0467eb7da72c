// The identities and edge cases of the page of `performer`.

#include "oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, GROUP = H / HKV, N = 8, D = 6, DV = 3, R = 7 };

static oracle *begin_sized(int64_t queries, int64_t keys) {
    oracle *call = oracle_begin("performer");
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, queries, D)), (size_t)(B * H * queries * D),
                1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, keys, D)), (size_t)(B * HKV * keys * D),
                2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, keys, DV)), (size_t)(B * HKV * keys * DV),
                3);
    return call;
}

static oracle *begin(void) { return begin_sized(N, N); }

static float *add_features(oracle *call, int64_t heads) {
    float *features = oracle_floats(call, "features", EXTENTS(heads, R, D));
    oracle_fill(features, (size_t)(heads * R * D), 4);
    return features;
}

// Results of the page's own words for one kernel, of given features, one matrix a head.
typedef struct by_hand {
    const char *kernel;
    double scale, eps, den_eps;
    int64_t queries, keys, valid_keys, valid_queries;
    bool causal;
} by_hand;

static double project(const by_hand *c, const float *w, const float *x) {
    double sum = 0;
    for (int d = 0; d < D; d++) {
        sum += (double)w[d] * sqrt(c->scale) * x[d];
    }
    return sum;
}

static bool is_hyperbolic(const by_hand *c) { return strcmp(c->kernel, "hyperbolic") == 0; }

// Features of a row, and returns how many; `maximum` is what the page calls m.
static int features_of(const by_hand *c, const float *w, const float *x, double maximum,
                       double *out) {
    const int num = is_hyperbolic(c) ? 2 * R : R;
    double square = 0;
    for (int d = 0; d < D; d++) {
        square += c->scale * x[d] * x[d] / 2;
    }
    for (int r = 0; r < num; r++) {
        const double u = project(c, w + r % R * D, x) * (r < R ? 1 : -1);
        out[r] = strcmp(c->kernel, "relu") == 0 ? fmax(u, 0) + c->eps
                                                : (exp(u - square - maximum) + c->eps) / sqrt(num);
    }
    return num;
}

static double largest_of(const by_hand *c, const float *w, const float *x, int64_t rows) {
    double maximum = -INFINITY;
    for (int64_t r = 0; r < rows * R; r++) {
        const double u = project(c, w + r % R * D, x + r / R * D);
        maximum = fmax(maximum, is_hyperbolic(c) ? fabs(u) : u);
    }
    return maximum;
}

static void row_by_hand(const by_hand *c, oracle *call, int64_t head, int64_t i, double out[DV]) {
    const float *w = oracle_values(call, "features") + head % H * R * D;
    const int64_t kv = head / H * HKV + head % H / GROUP;
    const float *q = oracle_values(call, "q") + (head * c->queries + i) * D;
    const float *k = oracle_values(call, "k") + kv * c->keys * D;
    const int64_t last = c->causal ? i + c->valid_keys - c->valid_queries : c->valid_keys - 1;
    double phi_q[2 * R], phi_k[2 * R], sum = 0;
    memset(out, 0, DV * sizeof(*out));
    const int num = features_of(c, w, q, largest_of(c, w, q, 1), phi_q);
    const double maximum = largest_of(c, w, k, c->valid_keys);
    for (int64_t j = 0; j <= last && i < c->valid_queries; j++) {
        double weight = 0;
        features_of(c, w, k + j * D, maximum, phi_k);
        for (int r = 0; r < num; r++) {
            weight += phi_q[r] * phi_k[r];
        }
        sum += weight;
        for (int d = 0; d < DV; d++) {
            out[d] += weight * oracle_values(call, "v")[(kv * c->keys + j) * DV + d];
        }
    }
    sum += c->den_eps > 0 && fabs(sum) <= c->den_eps ? 2 * c->den_eps : 0;
    for (int d = 0; d < DV; d++) {
        out[d] = sum == 0 ? 0 : out[d] / sum;
    }
}

static void set(oracle *call, const char *name, double value) {
    oracle_set_number(call, name, value);
}

static double against_hand(const by_hand *c) {
    oracle *call = begin_sized(c->queries, c->keys);
    double worst = 0;
    add_features(call, H);
    oracle_set_lengths(call, (int32_t)c->valid_keys, (int32_t)c->valid_keys);
    oracle_set(call, "kernel", c->kernel);
    oracle_set(call, "causal", c->causal ? "1" : "0");
    set(call, "scale", c->scale);
    set(call, "eps", c->eps);
    set(call, "den_eps", c->den_eps);
    oracle_run(call, "out", NULL);
    const float *out = oracle_result(call, "out", NULL);
    for (int64_t row = 0; row < B * H * c->queries; row++) {
        double expected[DV];
        row_by_hand(c, call, row / c->queries, row % c->queries, expected);
        for (int d = 0; d < DV; d++) {
            const double off = fabs(out[row * DV + d] - expected[d]);
            worst = oracle_larger(worst, isnan(off) ? INFINITY : off);
        }
    }
    oracle_end(call);
    return worst;
}

static double by_the_page(void) {
    static const char *const kernels[] = {"softmax", "hyperbolic", "relu"};
    double worst = 0;
    for (int i = 0; i < 12; i++) {
        const bool cross = i / 6;
        by_hand c = {.kernel = kernels[i % 3],
                     .scale = 0.3,
                     .eps = 0.01,
                     .den_eps = i % 2 ? 0.05 : 0,
                     .queries = N,
                     .keys = cross ? N + 5 : N,
                     .valid_keys = 6,
                     .valid_queries = cross ? N : 6,
                     .causal = i / 3 % 2};
        worst = oracle_larger(worst, against_hand(&c));
    }
    return worst;
}

static double stabilizing_changes_nothing(void) {
    oracle *calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = begin();
        oracle_set(calls[i], "eps", "0");
        oracle_set(calls[i], "stabilize", i ? "1" : "0");
    }
    return oracle_run_and_compare_out(calls[0], calls[1]);
}

// 1024 features estimate softmax.
static double estimates_dense(void) {
    enum { SIZE = 16, ROWS = 12 };
    static const char *const names[] = {"q", "k", "v"}, *const kernels[] = {"softmax",
                                                                            "hyperbolic"};
    double worst = 0;
    for (int i = 0; i < 2; i++) {
        oracle *calls[2] = {oracle_begin("performer"), oracle_begin("dense")};
        double error = 0, norm = 0;
        for (int t = 0; t < 6; t++) {
            float *values = oracle_floats(calls[t / 3], names[t % 3], EXTENTS(1, 2, ROWS, SIZE));
            oracle_fill(values, 2 * ROWS * SIZE, (uint32_t)(t % 3));
            for (int e = 0; e < 2 * ROWS * SIZE && t % 3 < 2; e++) {
                values[e] *= 0.4F;
            }
        }
        oracle_set(calls[0], "num_features", "1024");
        oracle_set(calls[0], "eps", "0");
        oracle_set(calls[0], "kernel", kernels[i]);
        oracle_run(calls[0], "out", NULL);
        oracle_run(calls[1], "out", NULL);
        for (int e = 0; e < 2 * ROWS * SIZE; e++) {
            const double want = oracle_result(calls[1], "out", NULL)[e];
            error += pow(oracle_result(calls[0], "out", NULL)[e] - want, 2);
            norm += want * want;
        }
        worst = oracle_larger(worst, sqrt(error / norm) < 0.08 ? 0 : INFINITY);
        oracle_end(calls[0]);
        oracle_end(calls[1]);
    }
    return worst;
}

static double relu_is_linear(void) {
    oracle *call = begin(), *linear = oracle_begin("linear");
    static const char *const names[] = {"q", "k", "v"};
    float *identity = oracle_floats(call, "features", EXTENTS(1, D, D));
    for (int i = 0; i < D; i++) {
        identity[i * D + i] = 1;
    }
    for (int t = 0; t < 3; t++) {
        const int64_t heads = t ? HKV : H, size = t == 2 ? DV : D;
        memcpy(oracle_floats(linear, names[t], EXTENTS(B, heads, N, size)),
               oracle_values(call, names[t]), (size_t)(B * heads * N * size) * sizeof(float));
    }
    oracle_set(call, "kernel", "relu");
    oracle_set(call, "scale", "1");
    oracle_set(call, "causal", "1");
    oracle_set(linear, "causal", "1");
    oracle_set(linear, "feature_map", "relu");
    oracle_set(linear, "feature_eps", "0.001");
    oracle_set(linear, "eps", "0");
    return oracle_run_and_compare_out(call, linear);
}

static double one_query_sees_all(void) {
    oracle *causal = begin_sized(1, N), *all = begin_sized(1, N);
    oracle_set(causal, "causal", "1");
    return oracle_run_and_compare_out(causal, all);
}

static void rotate(oracle *call, const char *name, int64_t matrices, int64_t rows, int64_t size) {
    float first[32];
    for (int64_t m = 0; m < matrices; m++) {
        float *matrix = oracle_values(call, name) + m * rows * size;
        memcpy(first, matrix, (size_t)size * sizeof(float));
        memmove(matrix, matrix + size, (size_t)((rows - 1) * size) * sizeof(float));
        memcpy(matrix + (rows - 1) * size, first, (size_t)size * sizeof(float));
    }
}

static double order_does_not_count(void) {
    oracle *rotated = begin(), *plain = begin();
    add_features(rotated, 1);
    add_features(plain, 1);
    rotate(rotated, "k", B * HKV, N, D);
    rotate(rotated, "v", B * HKV, N, DV);
    rotate(rotated, "features", 1, R, D);
    return oracle_run_and_compare_out(rotated, plain);
}

// A drawn matrix given as features, and a matrix that all heads have, one a head.
static double features_are_what_counts(void) {
    oracle *drawn = begin(), *given = begin(), *shared = begin(), *repeated = begin();
    static const char *const outputs[] = {"out", "features"};
    size_t count = 0;
    oracle_set(drawn, "seed", "7");
    oracle_set(drawn, "num_features", "7");
    oracle_run_outputs(drawn, outputs, 2);
    memcpy(add_features(given, 1), oracle_result(drawn, "features", &count), R * D * sizeof(float));
    oracle_run(given, "out", NULL);
    double worst =
        oracle_larger(count == R * D ? 0 : INFINITY, oracle_compare(drawn, given, "out"));
    const float *matrix = add_features(shared, 1);
    float *matrices = add_features(repeated, H);
    for (int h = 0; h < H; h++) {
        memcpy(matrices + h * R * D, matrix, R * D * sizeof(float));
    }
    oracle_end(drawn);
    oracle_end(given);
    return oracle_larger(worst, oracle_run_and_compare_out(shared, repeated));
}

static double product(const float *a, const float *b) {
    double sum = 0;
    for (int d = 0; d < D; d++) {
        sum += (double)a[d] * b[d];
    }
    return sum;
}

static oracle *draw(const char *ortho, const char *norm) {
    static const char *const outputs[] = {"out", "features"};
    oracle *call = begin();
    oracle_set(call, "num_features", "15");
    oracle_set(call, "ortho", ortho);
    oracle_set(call, "feature_norm", norm);
    oracle_run_outputs(call, outputs, 2);
    return call;
}

// Blocks are orthogonal; lengths are sqrt(D), or those of Gaussian rows: about that.
static double blocks_are_orthogonal(void) {
    oracle *roots = draw("1", "sqrt"), *chis = draw("1", "chi"), *free = draw("0", "chi");
    const float *a = oracle_result(roots, "features", NULL),
                *c = oracle_result(chis, "features", NULL);
    const float *g = oracle_result(free, "features", NULL);
    double worst = 0, mean = 0, skew = 0;
    for (int r = 0; r < 15; r++) {
        worst = oracle_larger(worst, fabs(product(a + r * D, a + r * D) - D) / D);
        mean += product(c + r * D, c + r * D) / D / 15;
        for (int s = r / D * D; s < r; s++) {
            worst = oracle_larger(worst, fabs(product(a + r * D, a + s * D)) / D);
            worst = oracle_larger(worst, fabs(product(c + r * D, c + s * D)) / D);
            skew = oracle_larger(skew, fabs(product(g + r * D, g + s * D)));
        }
        // Rows of all draws are the same directions, but for what blocks take out of each.
        worst = oracle_larger(worst, r % D ? 0
                                           : fabs(product(a + r * D, g + r * D) /
                                                      sqrt(product(a + r * D, a + r * D) *
                                                           product(g + r * D, g + r * D)) -
                                                  1));
    }
    worst = oracle_larger(worst, mean > 0.5 && mean < 2 && skew > 0.1 ? 0 : INFINITY);
    oracle_end(roots);
    oracle_end(chis);
    oracle_end(free);
    return worst;
}

static double defaults_of_the_draw(void) {
    static const struct {
        int64_t size, rows;
    } defaults[] = {{1, 1}, {2, 1}, {3, 3}, {16, 44}, {64, 266}};
    double worst = 0;
    for (int i = 0; i < 5; i++) {
        const int64_t size = defaults[i].size;
        oracle *call = oracle_begin("performer");
        size_t count = 0;
        oracle_floats(call, "q", EXTENTS(1, 1, 2, size));
        oracle_floats(call, "k", EXTENTS(1, 1, 2, size));
        oracle_floats(call, "v", EXTENTS(1, 1, 2, 1));
        oracle_run(call, "out", "features");
        oracle_result(call, "features", &count);
        worst = oracle_larger(worst, (int64_t)count == defaults[i].rows * size ? 0 : INFINITY);
        oracle_end(call);
    }
    return worst;
}

// All exponentials underflow, but for eps: out is the mean.
static double far_apart_is_the_mean(void) {
    oracle *call = begin();
    double worst = 0;
    for (int i = 0; i < B * H * N * D; i++) {
        oracle_values(call, "q")[i] *= 1000;
    }
    for (int i = 0; i < B * HKV * N * D; i++) {
        oracle_values(call, "k")[i] *= 1000;
    }
    oracle_run(call, "out", NULL);
    for (int row = 0; row < B * H * N; row++) {
        const int kv = row / N / H * HKV + row / N % H / GROUP;
        for (int d = 0; d < DV; d++) {
            double mean = 0;
            for (int j = 0; j < N; j++) {
                mean += (double)oracle_values(call, "v")[(kv * N + j) * DV + d] / N;
            }
            worst =
                oracle_larger(worst, fabs(oracle_result(call, "out", NULL)[row * DV + d] - mean));
        }
    }
    oracle_end(call);
    return worst;
}

// Padded keys and values are in no sum and no maximum, and may hold NaN.
static double padding_is_absent(void) {
    oracle *padded = begin(), *other = begin();
    oracle_set_lengths(padded, 5, 0);
    oracle_set_lengths(other, 5, 0);
    for (int j = 0; j < B * HKV * N; j++) {
        if (j % N >= 5 || j >= HKV * N) {
            oracle_values(padded, "k")[j * D] = NAN;
            oracle_values(padded, "v")[j * DV] = NAN;
            oracle_values(other, "k")[j * D] = 50;
        }
    }
    oracle_run(padded, "out", NULL);
    const float *out = oracle_result(padded, "out", NULL);
    double worst = 0;
    for (int row = 0; row < B * H * N; row++) {
        for (int d = 0; d < DV && (row % N >= 5 || row >= H * N); d++) {
            worst = oracle_larger(worst, out[row * DV + d] == 0 ? 0 : INFINITY);
        }
    }
    return oracle_larger(worst, oracle_run_and_compare_out(padded, other));
}

// A value that is NaN is seen by the rows from its own on, and by no other.
static double nan_stays_in_its_rows(void) {
    oracle *call = begin(), *plain = begin();
    oracle_values(call, "v")[4 * DV] = NAN;
    oracle_set(call, "causal", "1");
    oracle_set(plain, "causal", "1");
    oracle_run(call, "out", NULL);
    oracle_run(plain, "out", NULL);
    const float *out = oracle_result(call, "out", NULL);
    double worst = oracle_deviation(out, oracle_result(plain, "out", NULL), 4 * DV);
    worst = oracle_larger(worst, isnan(out[4 * DV]) ? 0 : INFINITY);
    oracle_end(call);
    oracle_end(plain);
    return worst;
}

static double refused_call(oracle *call, const char *output) {
    const ikat_status status = oracle_try(call, output);
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}

static double refused_setting(const char *name, const char *text, bool given) {
    oracle *call = begin();
    if (given) {
        add_features(call, 1);
    }
    oracle_set(call, name, text);
    return refused_call(call, "out");
}

static double refused_features(const int64_t *extents) {
    oracle *call = begin();
    oracle_floats(call, "features", extents);
    return refused_call(call, "out");
}

static double refused(void) {
    static const char *const settings[][2] = {
        {"kernel", "gelu"}, {"num_features", "0"}, {"ortho", "2"},    {"feature_norm", "one"},
        {"stabilize", "2"}, {"eps", "-1"},         {"den_eps", "-1"}, {"causal", "2"},
        {"scale", "0"},     {"scale", "-1"},       {"scale", "inf"},  {"chunk", "64"},
    };
    static const char *const of_draw[][2] = {
        {"num_features", "7"}, {"ortho", "1"}, {"feature_norm", "chi"}, {"seed", "0"}};
    double worst = 0;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        worst = oracle_larger(worst, refused_setting(settings[i][0], settings[i][1], false));
    }
    for (int i = 0; i < 4; i++) {
        worst = oracle_larger(worst, refused_setting(of_draw[i][0], of_draw[i][1], true));
    }
    worst = oracle_larger(worst, refused_features(EXTENTS(2, R, D)));
    worst = oracle_larger(worst, refused_features(EXTENTS(1, R, D + 1)));
    worst = oracle_larger(worst, refused_features(EXTENTS(1, 0, D)));
    worst = oracle_larger(worst, refused_features(EXTENTS(R, D)));
    oracle *given = begin(), *stabilized = begin();
    add_features(given, 1);
    oracle_set(stabilized, "kernel", "relu");
    oracle_set(stabilized, "stabilize", "1");
    worst = oracle_larger(worst, refused_call(stabilized, "out"));
    worst = oracle_larger(worst, refused_call(begin(), "lse"));
    return oracle_larger(worst, refused_call(given, "features"));
}

static const oracle_identity identities[] = {
    {"by_the_page", by_the_page, true},
    {"stabilizing_changes_nothing", stabilizing_changes_nothing, false},
    {"estimates_dense", estimates_dense, false},
    {"relu_is_linear", relu_is_linear, false},
    {"one_query_sees_all", one_query_sees_all, false},
    {"order_does_not_count", order_does_not_count, false},
    {"features_are_what_counts", features_are_what_counts, false},
    {"blocks_are_orthogonal", blocks_are_orthogonal, false},
    {"defaults_of_the_draw", defaults_of_the_draw, false},
    {"far_apart_is_the_mean", far_apart_is_the_mean, false},
    {"padding_is_absent", padding_is_absent, true},
    {"nan_stays_in_its_rows", nan_stays_in_its_rows, false},
    {"refused", refused, false},
};

int main(int argc, char **argv) {
    if (argc > 1 && !oracle_use_device(argv[1], argc > 2 ? argv[2] : NULL)) {
        return 77;
    }
    const int failed = oracle_main("performer", identities,
                                   sizeof(identities) / sizeof(identities[0]), ORACLE_BROKEN);
    oracle_leave_device();
    return failed;
}
