// The identities and edge cases of the page of `linear`.

#include "oracle.h"

#include <math.h>
#include <string.h>

#include "src/half.h"

enum { B = 2, H = 4, HKV = 2, GROUP = H / HKV, N = 9, M = 9, D = 5, DV = 3 };

// Of a call whose N and M may differ.
static oracle *begin_sized(int64_t queries, int64_t keys, const char *causal) {
    oracle *call = oracle_begin("linear");
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, queries, D)), (size_t)(B * H * queries * D),
                1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, keys, D)), (size_t)(B * HKV * keys * D),
                2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, keys, DV)), (size_t)(B * HKV * keys * DV),
                3);
    oracle_set(call, "causal", causal);
    return call;
}

static oracle *begin(const char *causal) { return begin_sized(N, M, causal); }

static void add_state(oracle *call) {
    oracle_fill(oracle_floats(call, "state_s", EXTENTS(B, HKV, D, DV)), B * HKV * D * DV, 4);
    float *z = oracle_floats(call, "state_z", EXTENTS(B, HKV, D));
    oracle_fill(z, B * HKV * D, 5);
    for (int i = 0; i < B * HKV * D; i++) {
        z[i] = fabsf(z[i]) + 1;
    }
}

static float *add_decay(oracle *call, int64_t keys) {
    float *decay = oracle_floats(call, "decay", EXTENTS(B, HKV, keys));
    for (int64_t i = 0; i < B * HKV * keys; i++) {
        decay[i] = 0.5F + 0.0625F * (float)(i * 5 % 8);
    }
    return decay;
}

static void run(oracle *call) {
    static const char *const outputs[] = {"out", "state_s_out", "state_z_out"};
    oracle_run_outputs(call, outputs, 3);
}

static double compare(const oracle *a, const oracle *b) {
    return oracle_larger(
        oracle_compare(a, b, "out"),
        oracle_larger(oracle_compare(a, b, "state_s_out"), oracle_compare(a, b, "state_z_out")));
}

static double compare_and_end(oracle *a, oracle *b) {
    run(a);
    run(b);
    const double worst = compare(a, b);
    oracle_end(a);
    oracle_end(b);
    return worst;
}

// The matrix that the page's second identity speaks of: weights of all pairs, of phi = elu + 1.
typedef struct by_hand {
    int64_t queries, keys;
    int32_t valid_keys[B], valid_queries[B];
    const float *decay; // [B,HKV,keys]
    bool causal, normalizes;
    double scale, eps, feature_eps;
} by_hand;

static double phi(const by_hand *c, double x) { return (x > 0 ? x + 1 : exp(x)) + c->feature_eps; }

static double weight_of(const by_hand *c, const float *q, const float *k, int64_t head, int64_t j,
                        int64_t last) {
    double weight = 0;
    for (int d = 0; d < D; d++) {
        weight += c->scale * phi(c, q[d]) * phi(c, k[d]);
    }
    for (int64_t t = j + 1; c->decay && t <= last; t++) {
        weight *= c->decay[head * c->keys + t];
    }
    return weight;
}

static void row_by_hand(const by_hand *c, oracle *call, int64_t b, int64_t h, int64_t i,
                        double out[DV]) {
    const int64_t head = b * HKV + h / GROUP;
    const int64_t last =
        c->causal ? i + c->valid_keys[b] - c->valid_queries[b] : c->valid_keys[b] - 1;
    const float *q = oracle_values(call, "q") + ((b * H + h) * c->queries + i) * D;
    double sum = c->eps;
    memset(out, 0, DV * sizeof(*out));
    for (int64_t j = 0; j <= last && i < c->valid_queries[b]; j++) {
        const float *v = oracle_values(call, "v") + (head * c->keys + j) * DV;
        const double weight =
            weight_of(c, q, oracle_values(call, "k") + (head * c->keys + j) * D, head, j, last);
        sum += weight;
        for (int d = 0; d < DV; d++) {
            out[d] += weight * v[d];
        }
    }
    for (int d = 0; d < DV && c->normalizes; d++) {
        out[d] = sum == 0 ? 0 : out[d] / sum;
    }
}

static double against_hand(const by_hand *c, oracle *call) {
    double worst = 0;
    oracle_run(call, "out", NULL);
    const float *out = oracle_result(call, "out", NULL);
    for (int64_t row = 0; row < B * H * c->queries; row++) {
        double expected[DV];
        row_by_hand(c, call, row / c->queries / H, row / c->queries % H, row % c->queries,
                    expected);
        for (int d = 0; d < DV; d++) {
            const double off = fabs(out[row * DV + d] - expected[d]);
            worst = oracle_larger(worst, isnan(off) ? INFINITY : off / fmax(1, fabs(expected[d])));
        }
    }
    oracle_end(call);
    return worst;
}

static double is_a_matrix(void) {
    const by_hand c = {.queries = N,
                       .keys = M,
                       .valid_keys = {M, M},
                       .valid_queries = {N, N},
                       .normalizes = true,
                       .scale = 1,
                       .eps = 1e-6};
    by_hand causal = c;
    causal.causal = true;
    return oracle_larger(against_hand(&c, begin("0")), against_hand(&causal, begin("1")));
}

static double settings_count(void) {
    by_hand c = {.queries = N,
                 .keys = M,
                 .valid_keys = {M, M},
                 .valid_queries = {N, N},
                 .causal = true,
                 .normalizes = true,
                 .scale = -0.5,
                 .eps = 0.25,
                 .feature_eps = 0.125};
    double worst = 0;
    for (int normalizes = 0; normalizes < 2; normalizes++) {
        oracle *call = begin("1");
        oracle_set(call, "normalize", normalizes ? "1" : "0");
        oracle_set(call, "scale", "-0.5");
        oracle_set(call, "eps", "0.25");
        oracle_set(call, "feature_eps", "0.125");
        c.decay = add_decay(call, M);
        c.normalizes = normalizes;
        worst = oracle_larger(worst, against_hand(&c, call));
    }
    return worst;
}

// The diagonal ends at the last valid key, more keys than queries or fewer.
static double cross_is_aligned(void) {
    double worst = 0;
    for (int64_t keys = 4; keys <= 14; keys += 5) {
        by_hand c = {.queries = N,
                     .keys = keys,
                     .valid_keys = {(int32_t)keys, 3},
                     .valid_queries = {N, keys == N ? 3 : N},
                     .causal = true,
                     .normalizes = true,
                     .scale = 1,
                     .eps = 1e-6};
        oracle *call = begin_sized(N, keys, "1");
        oracle_set_lengths(call, (int32_t)keys, 3);
        c.decay = add_decay(call, keys);
        worst = oracle_larger(worst, against_hand(&c, call));
    }
    return worst;
}

static void copy_part(oracle *to, oracle *from, const char *name, int64_t heads, int64_t first,
                      int64_t count, int64_t size) {
    float *target = oracle_floats(to, name, EXTENTS(B, heads, count, size));
    for (int64_t m = 0; m < B * heads; m++) {
        memcpy(target + m * count * size, oracle_values(from, name) + (m * N + first) * size,
               (size_t)(count * size) * sizeof(float));
    }
}

// Positions first .. first + count - 1 of a call with a decay, after the state that `before` left.
static oracle *piece_of(oracle *whole, const oracle *before, int64_t first, int64_t count) {
    oracle *piece = oracle_begin("linear");
    copy_part(piece, whole, "q", H, first, count, D);
    copy_part(piece, whole, "k", HKV, first, count, D);
    copy_part(piece, whole, "v", HKV, first, count, DV);
    float *decay = oracle_floats(piece, "decay", EXTENTS(B, HKV, count));
    for (int64_t m = 0; m < B * HKV; m++) {
        memcpy(decay + m * count, oracle_values(whole, "decay") + m * N + first,
               (size_t)count * sizeof(float));
    }
    float *s = oracle_floats(piece, "state_s", EXTENTS(B, HKV, D, DV));
    float *z = oracle_floats(piece, "state_z", EXTENTS(B, HKV, D));
    memcpy(s, before ? oracle_result(before, "state_s_out", NULL) : oracle_values(whole, "state_s"),
           B * HKV * D * DV * sizeof(float));
    memcpy(z, before ? oracle_result(before, "state_z_out", NULL) : oracle_values(whole, "state_z"),
           B * HKV * D * sizeof(float));
    oracle_set(piece, "causal", "1");
    run(piece);
    return piece;
}

static double pieces_are_the_whole(void) {
    static const int64_t starts[] = {0, 4, 5, N};
    oracle *whole = begin("1"), *before = NULL;
    double worst = 0;
    add_decay(whole, M);
    add_state(whole);
    run(whole);
    for (int i = 0; i < 3; i++) {
        const int64_t count = starts[i + 1] - starts[i];
        oracle *piece = piece_of(whole, before, starts[i], count);
        for (int64_t m = 0; m < B * H; m++) {
            worst = oracle_larger(
                worst,
                oracle_deviation(oracle_result(piece, "out", NULL) + m * count * DV,
                                 oracle_result(whole, "out", NULL) + (m * N + starts[i]) * DV,
                                 (size_t)(count * DV)));
        }
        if (before) {
            oracle_end(before);
        }
        before = piece;
    }
    worst = oracle_larger(worst, oracle_compare(before, whole, "state_s_out"));
    worst = oracle_larger(worst, oracle_compare(before, whole, "state_z_out"));
    oracle_end(before);
    oracle_end(whole);
    return worst;
}

static double constant_values(void) {
    double worst = 0;
    for (int causal = 0; causal < 2; causal++) {
        float expected[B * H * N * DV];
        oracle *call = begin(causal ? "1" : "0");
        oracle_set(call, "eps", "0");
        for (int i = 0; i < B * HKV * M * DV; i++) {
            oracle_values(call, "v")[i] = 1.5F;
        }
        for (int i = 0; i < B * H * N * DV; i++) {
            expected[i] = 1.5F;
        }
        oracle_run(call, "out", NULL);
        worst = oracle_larger(
            worst, oracle_deviation(oracle_result(call, "out", NULL), expected, B * H * N * DV));
        oracle_end(call);
    }
    return worst;
}

static double last_row_is_not_causal(void) {
    oracle *causal = begin("1"), *all = begin("0");
    add_state(causal);
    add_state(all);
    run(causal);
    run(all);
    double worst = oracle_larger(oracle_compare(causal, all, "state_s_out"),
                                 oracle_compare(causal, all, "state_z_out"));
    for (int m = 0; m < B * H; m++) {
        const int last = (m * N + N - 1) * DV;
        worst = oracle_larger(worst, oracle_deviation(oracle_result(causal, "out", NULL) + last,
                                                      oracle_result(all, "out", NULL) + last, DV));
    }
    oracle_end(causal);
    oracle_end(all);
    return worst;
}

static double decays_of_one(void) {
    oracle *call = begin("1");
    float *decay = oracle_floats(call, "decay", EXTENTS(HKV));
    decay[0] = decay[1] = 1;
    return compare_and_end(call, begin("1"));
}

static double one_decay_for_all_tokens(void) {
    oracle *a = begin("1"), *b = begin("1");
    float *constant = oracle_floats(a, "decay", EXTENTS(HKV)), *decay = add_decay(b, M);
    constant[0] = 0.75F;
    constant[1] = 0.9375F;
    for (int i = 0; i < B * HKV * M; i++) {
        decay[i] = constant[i / M % HKV];
    }
    return compare_and_end(a, b);
}

// Weight g^(i-j): identity, no normaliser.
static double is_retention(void) {
    oracle *call = begin("1");
    float *decay = oracle_floats(call, "decay", EXTENTS(HKV));
    double worst = 0;
    oracle_set(call, "feature_map", "identity");
    oracle_set(call, "normalize", "0");
    oracle_set(call, "scale", "0.25");
    for (int h = 0; h < HKV; h++) {
        decay[h] = 1 - ldexpf(1, -5 - h);
    }
    oracle_run(call, "out", NULL);
    for (int row = 0; row < B * H * N; row++) {
        const int i = row % N, head = row / N / H * HKV + row / N % H / GROUP;
        double expected[DV] = {0};
        for (int j = 0; j <= i; j++) {
            double weight = 0.25 * pow(decay[head % HKV], i - j), product = 0;
            for (int d = 0; d < D; d++) {
                product += (double)oracle_values(call, "q")[row * D + d] *
                           oracle_values(call, "k")[(head * M + j) * D + d];
            }
            for (int d = 0; d < DV; d++) {
                expected[d] += weight * product * oracle_values(call, "v")[(head * M + j) * DV + d];
            }
        }
        for (int d = 0; d < DV; d++) {
            worst = oracle_larger(
                worst, fabs(oracle_result(call, "out", NULL)[row * DV + d] - expected[d]));
        }
    }
    oracle_end(call);
    return worst;
}

static double expect_zeros(oracle *call) {
    size_t count = 0;
    double worst = 0;
    oracle_run(call, "out", NULL);
    const float *out = oracle_result(call, "out", &count);
    for (size_t i = 0; i < count; i++) {
        worst = oracle_larger(worst, isnan(out[i]) ? INFINITY : fabs(out[i]));
    }
    oracle_end(call);
    return worst;
}

static double nothing_seen_gives_zero(void) {
    oracle *negative = begin("0"), *none = begin_sized(N, 0, "0"),
           *opposed = begin_sized(1, 1, "1");
    for (int i = 0; i < B * H * N * D; i++) {
        oracle_values(negative, "q")[i] = -1;
    }
    oracle_set(negative, "feature_map", "relu");
    oracle_set(negative, "eps", "0");
    memset(oracle_values(opposed, "k"), 0, B * HKV * D * sizeof(float));
    oracle_set(opposed, "feature_map", "identity");
    oracle_set(opposed, "eps", "0");
    return oracle_larger(oracle_larger(expect_zeros(negative), expect_zeros(none)),
                         expect_zeros(opposed));
}

// Rows left of the first key read the given state.
static double state_counts_as_seen(void) {
    oracle *call = begin_sized(N, 0, "1"), *early = begin_sized(N, 4, "1");
    add_state(call);
    add_state(early);
    run(call);
    run(early);
    double worst = 0;
    for (int m = 0; m < B * H; m++) {
        worst = oracle_larger(
            worst, oracle_deviation(oracle_result(early, "out", NULL) + m * N * DV,
                                    oracle_result(call, "out", NULL) + m * N * DV, (N - 4) * DV));
    }
    worst =
        oracle_larger(worst, oracle_deviation(oracle_result(call, "state_s_out", NULL),
                                              oracle_values(call, "state_s"), B * HKV * D * DV));
    oracle_end(call);
    oracle_end(early);
    return worst;
}

// Padding, which may hold NaN, neither enters nor decays the state; its rows are 0.
static double padding_is_absent(void) {
    oracle *padded = begin("1"), *cut = begin_sized(6, 6, "1");
    float *decay = add_decay(padded, M), *cut_decay = add_decay(cut, 6);
    oracle_set_lengths(padded, 6, 6);
    static const char *const names[] = {"q", "k", "v"};
    for (int t = 0; t < 3; t++) {
        const int64_t heads = t == 0 ? H : HKV, size = t == 2 ? DV : D;
        for (int64_t e = 0; e < B * heads * N * size; e++) {
            const int64_t m = e / size / N, i = e / size % N;
            float *value = oracle_values(padded, names[t]) + e;
            if (i < 6) {
                oracle_values(cut, names[t])[(m * 6 + i) * size + e % size] = *value;
            } else {
                *value = NAN;
            }
        }
    }
    for (int e = 0; e < B * HKV * M; e++) {
        if (e % M < 6) {
            cut_decay[e / M * 6 + e % M] = decay[e];
        } else {
            decay[e] = NAN;
        }
    }
    run(padded);
    run(cut);
    double worst = oracle_larger(oracle_compare(padded, cut, "state_s_out"),
                                 oracle_compare(padded, cut, "state_z_out"));
    for (int row = 0; row < B * H * N; row++) {
        static const float zeros[DV];
        const float *expected =
            row % N < 6 ? oracle_result(cut, "out", NULL) + (row / N * 6 + row % N) * DV : zeros;
        worst = oracle_larger(
            worst, oracle_deviation(oracle_result(padded, "out", NULL) + row * DV, expected, DV));
    }
    oracle_end(padded);
    oracle_end(cut);
    return worst;
}

// A NaN in a key or value is seen by the rows from its own on, and by no other.
static double nan_stays_in_its_rows(void) {
    double worst = 0;
    for (int t = 0; t < 2; t++) {
        oracle *call = begin("1"), *plain = begin("1");
        oracle_values(call, t ? "v" : "k")[4 * (t ? DV : D)] = NAN;
        oracle_run(call, "out", NULL);
        oracle_run(plain, "out", NULL);
        const float *out = oracle_result(call, "out", NULL);
        worst =
            oracle_larger(worst, oracle_deviation(out, oracle_result(plain, "out", NULL), 4 * DV));
        worst = oracle_larger(worst, isnan(out[4 * DV]) ? 0 : INFINITY);
        oracle_end(call);
        oracle_end(plain);
    }
    return worst;
}

static double decays_as_written(void) {
    by_hand c = {.queries = N,
                 .keys = M,
                 .valid_keys = {M, M},
                 .valid_queries = {N, N},
                 .causal = true,
                 .scale = 1};
    oracle *call = begin("1");
    float *decay = add_decay(call, M);
    oracle_set(call, "normalize", "0");
    decay[3] = 0;
    decay[12] = -0.5F;
    decay[22] = 1.5F;
    c.decay = decay;
    return against_hand(&c, call);
}

static double refused_call(oracle *call, const char *output) {
    const ikat_status status = oracle_try(call, output);
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}

static double refused_setting(const char *name, const char *text) {
    oracle *call = begin("1");
    oracle_set(call, name, text);
    return refused_call(call, "out");
}

static double refused_input(const char *name, const int64_t *extents, const char *causal) {
    oracle *call = begin(causal);
    oracle_floats(call, name, extents);
    return refused_call(call, "out");
}

static double refused(void) {
    static const char *const settings[][2] = {
        {"feature_map", "gelu"}, {"feature_eps", "inf"}, {"normalize", "2"}, {"eps", "nan"},
        {"scale", "inf"},        {"chunk", "-1"},        {"causal", "2"},    {"window", "3"},
    };
    double worst = 0;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        worst = oracle_larger(worst, refused_setting(settings[i][0], settings[i][1]));
    }
    worst = oracle_larger(worst, refused_input("decay", EXTENTS(HKV), "0"));
    worst = oracle_larger(worst, refused_input("decay", EXTENTS(H), "1"));
    worst = oracle_larger(worst, refused_input("decay", EXTENTS(B, HKV, M + 1), "1"));
    worst = oracle_larger(worst, refused_input("state_s", EXTENTS(B, HKV, D, DV), "1"));
    worst = oracle_larger(worst, refused_input("state_z", EXTENTS(B, HKV, D), "1"));
    worst = oracle_larger(worst, refused_input("bias", EXTENTS(1, 1, N, M), "1"));
    worst = oracle_larger(worst, refused_call(begin("1"), "lse"));
    oracle *halves = begin("1");
    uint16_t state[B * HKV * D * DV] = {0};
    const ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT16, 4, B, HKV, D, DV);
    oracle_input(halves, "state_s", &tensor, state, sizeof(state));
    oracle_floats(halves, "state_z", EXTENTS(B, HKV, D));
    return oracle_larger(worst, refused_call(halves, "out"));
}

static const oracle_identity identities[] = {
    {"is_a_matrix", is_a_matrix, true},
    {"settings_count", settings_count, true},
    {"cross_is_aligned", cross_is_aligned, true},
    {"pieces_are_the_whole", pieces_are_the_whole, false},
    {"constant_values", constant_values, false},
    {"last_row_is_not_causal", last_row_is_not_causal, false},
    {"decays_of_one", decays_of_one, false},
    {"one_decay_for_all_tokens", one_decay_for_all_tokens, false},
    {"is_retention", is_retention, true},
    {"nothing_seen_gives_zero", nothing_seen_gives_zero, false},
    {"state_counts_as_seen", state_counts_as_seen, false},
    {"padding_is_absent", padding_is_absent, false},
    {"nan_stays_in_its_rows", nan_stays_in_its_rows, false},
    {"decays_as_written", decays_as_written, true},
    {"refused", refused, false},
};

int main(int argc, char **argv) {
    if (argc > 1 && !oracle_use_device(argv[1], argc > 2 ? argv[2] : NULL)) {
        return 77;
    }
    const int failed = oracle_main("linear", identities, sizeof(identities) / sizeof(identities[0]),
                                   ORACLE_BROKEN);
    oracle_leave_device();
    return failed;
}
