// The identities and edge cases of the page of `set`.

#include "oracle.h"

#include <math.h>
#include <string.h>

enum { B = 2, N = 9, M = 6, C = 4, CY = 3, E = 6, HEADS = 2, SIZE = E / HEADS, POINTS = 3 };

static void fill(oracle *call, const char *name, const int64_t *extents, uint32_t seed) {
    size_t count = 1;
    for (int axis = 0; extents[axis] >= 0; axis++) {
        count *= (size_t)extents[axis];
    }
    oracle_fill(oracle_floats(call, name, extents), count, seed);
}

#define NAMES(prefix)                                                                       \
    {                                                                                       \
        prefix "w_q", prefix "w_k", prefix "w_v", prefix "w_o", prefix "b_q", prefix "b_k", \
            prefix "b_v", prefix "b_o"                                                      \
    }
enum { PLAIN, MAB0, MAB1 }; // prefixes

static void fill_weights(oracle *call, int prefix, int64_t queries, int64_t keys, uint32_t seed) {
    static const char *const names[3][8] = {NAMES(""), NAMES("mab0_"), NAMES("mab1_")};
    const int64_t rows[] = {queries, keys, keys, E};
    for (int i = 0; i < 8; i++) {
        const int64_t *extents = i < 4 ? EXTENTS(rows[i], E) : EXTENTS(E);
        fill(call, names[prefix][i], extents, seed + (uint32_t)i);
    }
}

static oracle *begin(const char *block) {
    oracle *call = oracle_begin("set");
    oracle_set(call, "block", block);
    oracle_set(call, "heads", "2");
    fill(call, "x", EXTENTS(B, N, C), 1);
    return call;
}

static oracle *begin_sab(void) {
    oracle *call = begin("sab");
    fill_weights(call, PLAIN, C, C, 10);
    return call;
}

static oracle *begin_mab(int64_t num, int64_t channels) {
    oracle *call = begin("mab");
    fill(call, "y", EXTENTS(B, num, channels), 2);
    fill_weights(call, PLAIN, C, channels, 10);
    return call;
}

static oracle *begin_isab(int64_t points) {
    oracle *call = begin("isab");
    fill(call, "inducing", EXTENTS(points, E), 3);
    fill_weights(call, MAB0, E, C, 20);
    fill_weights(call, MAB1, C, E, 30);
    return call;
}

static oracle *begin_pma(void) {
    oracle *call = begin("pma");
    fill(call, "seeds", EXTENTS(POINTS, E), 4);
    fill_weights(call, PLAIN, E, C, 10);
    return call;
}

// Element i comes i + 1st, the last one first.
static void rotate(oracle *call, const char *name, int64_t num, int64_t channels) {
    float copy[B * N * E];
    float *values = oracle_values(call, name);
    memcpy(copy, values, (size_t)(B * num * channels) * sizeof(float));
    for (int64_t i = 0; i < B * num; i++) {
        const int64_t to = i / num * num + (i % num + 1) % num;
        memcpy(values + to * channels, copy + i * channels, (size_t)channels * sizeof(float));
    }
}

static double rows_follow_elements(oracle *call, oracle *rotated) {
    rotate(rotated, "x", N, C);
    oracle_run(call, "out", NULL);
    oracle_run(rotated, "out", NULL);
    double worst = 0;
    for (int64_t i = 0; i < B * N; i++) {
        const int64_t to = i / N * N + (i % N + 1) % N;
        worst =
            oracle_larger(worst, oracle_deviation(oracle_result(call, "out", NULL) + i * E,
                                                  oracle_result(rotated, "out", NULL) + to * E, E));
    }
    oracle_end(call);
    oracle_end(rotated);
    return worst;
}

static double sab_is_equivariant(void) { return rows_follow_elements(begin_sab(), begin_sab()); }
static double isab_is_equivariant(void) {
    return rows_follow_elements(begin_isab(POINTS), begin_isab(POINTS));
}

static double pma_is_invariant(void) {
    oracle *rotated = begin_pma();
    rotate(rotated, "x", N, C);
    return oracle_run_and_compare_out(begin_pma(), rotated);
}

static double mab_is_invariant(void) {
    oracle *rotated = begin_mab(M, CY);
    rotate(rotated, "y", M, CY);
    return oracle_run_and_compare_out(begin_mab(M, CY), rotated);
}

static double sab_is_mab_with_itself(void) {
    oracle *call = begin_mab(N, C);
    memcpy(oracle_values(call, "y"), oracle_values(call, "x"), B * N * C * sizeof(float));
    return oracle_run_and_compare_out(begin_sab(), call);
}

static double isab_is_two_mabs(void) {
    oracle *call = begin_isab(POINTS), *first = oracle_begin("set"), *second = begin("mab");
    oracle_set(first, "block", "mab");
    oracle_set(first, "heads", "2");
    float *x = oracle_floats(first, "x", EXTENTS(B, POINTS, E));
    for (int64_t b = 0; b < B; b++) {
        memcpy(x + b * POINTS * E, oracle_values(call, "inducing"), POINTS * E * sizeof(float));
    }
    fill(first, "y", EXTENTS(B, N, C), 1);
    fill_weights(first, PLAIN, E, C, 20);
    oracle_run(first, "out", NULL);
    memcpy(oracle_floats(second, "y", EXTENTS(B, POINTS, E)), oracle_result(first, "out", NULL),
           B * POINTS * E * sizeof(float));
    fill_weights(second, PLAIN, C, E, 30);
    oracle_end(first);
    return oracle_run_and_compare_out(call, second);
}

static void clear(oracle *call, const char *name, size_t count) {
    memset(oracle_values(call, name), 0, count * sizeof(float));
}

static void project(oracle *call, const char *x, int64_t rows, int64_t channels, const char *weight,
                    const char *bias, float *out) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < E; c++) {
            double sum = oracle_values(call, bias)[c];
            for (int64_t i = 0; i < channels; i++) {
                sum += (double)oracle_values(call, x)[r * channels + i] *
                       oracle_values(call, weight)[i * E + c];
            }
            out[r * E + c] = (float)sum;
        }
    }
}

// An input [B,HEADS,rows,SIZE] of `dense` from rows [B,rows,E].
static void put_heads(oracle *dense, const char *name, const float *rows, int64_t num) {
    float *heads = oracle_floats(dense, name, EXTENTS(B, HEADS, num, SIZE));
    for (int64_t i = 0; i < B * num; i++) {
        for (int64_t c = 0; c < E; c++) {
            const int64_t head = i / num * HEADS + c / SIZE;
            heads[(head * num + i % num) * SIZE + c % SIZE] = rows[i * E + c];
        }
    }
}

// Without the feed-forward layer the block is the projected query plus `dense` on the heads.
static double without_feed_forward_it_is_dense(void) {
    oracle *call = begin_mab(M, CY), *dense = oracle_begin("dense");
    float q[B * N * E], k[B * M * E], v[B * M * E], out[B * N * E];
    clear(call, "w_o", E * E);
    clear(call, "b_o", E);
    oracle_set_lengths(call, M, 2);
    oracle_set_lengths(dense, M, 2);
    project(call, "x", B * N, C, "w_q", "b_q", q);
    project(call, "y", B * M, CY, "w_k", "b_k", k);
    project(call, "y", B * M, CY, "w_v", "b_v", v);
    put_heads(dense, "q", q, N);
    put_heads(dense, "k", k, M);
    put_heads(dense, "v", v, M);
    oracle_set_number(dense, "scale", 1 / sqrt(E));
    oracle_run(call, "out", NULL);
    oracle_run(dense, "out", NULL);
    for (int64_t i = 0; i < B * N * E; i++) {
        const int64_t row = i / E, c = i % E, head = row / N * HEADS + c / SIZE;
        out[i] = q[i] + oracle_result(dense, "out", NULL)[(head * N + row % N) * SIZE + c % SIZE];
    }
    const double worst = oracle_deviation(oracle_result(call, "out", NULL), out, B * N * E);
    oracle_end(call);
    oracle_end(dense);
    return worst;
}

// One inducing point: every row sees one key, O = Q + V.
static double one_point_is_one_key(void) {
    oracle *call = begin_isab(1), *first = oracle_begin("set");
    float q[B * N * E], v[B * E], out[B * N * E];
    clear(call, "mab1_w_o", E * E);
    clear(call, "mab1_b_o", E);
    oracle_set(first, "block", "pma"); // the induced row: one seed over the set
    oracle_set(first, "heads", "2");
    fill(first, "x", EXTENTS(B, N, C), 1);
    fill(first, "seeds", EXTENTS(1, E), 3);
    fill_weights(first, PLAIN, E, C, 20);
    oracle_run(first, "out", NULL);
    project(call, "x", B * N, C, "mab1_w_q", "mab1_b_q", q);
    for (int64_t b = 0; b < B; b++) {
        for (int64_t c = 0; c < E; c++) {
            double sum = oracle_values(call, "mab1_b_v")[c];
            for (int64_t i = 0; i < E; i++) {
                sum += (double)oracle_result(first, "out", NULL)[b * E + i] *
                       oracle_values(call, "mab1_w_v")[i * E + c];
            }
            v[b * E + c] = (float)sum;
        }
    }
    for (int64_t i = 0; i < B * N * E; i++) {
        out[i] = q[i] + v[i / (N * E) * E + i % E];
    }
    oracle_run(call, "out", NULL);
    const double worst = oracle_deviation(oracle_result(call, "out", NULL), out, B * N * E);
    oracle_end(call);
    oracle_end(first);
    return worst;
}

static double duplicates_change_nothing(void) {
    oracle *once = begin_mab(M, CY), *twice = begin_mab(2 * M, CY);
    for (int64_t i = 0; i < B * 2 * M; i++) {
        memcpy(oracle_values(twice, "y") + i * CY,
               oracle_values(once, "y") + (i / (2 * M) * M + i % M) * CY, CY * sizeof(float));
    }
    return oracle_run_and_compare_out(once, twice);
}

static double gains_are_1_and_offsets_0(void) {
    static const char *const names[] = {"ln0_gamma", "ln0_beta", "ln1_gamma", "ln1_beta"};
    oracle *plain = begin_sab(), *given = begin_sab();
    oracle_set(plain, "layer_norm", "1");
    oracle_set(given, "layer_norm", "1");
    for (int i = 0; i < 4; i++) {
        float *row = oracle_floats(given, names[i], EXTENTS(E));
        for (int c = 0; c < E; c++) {
            row[c] = i % 2 == 0;
        }
    }
    return oracle_run_and_compare_out(plain, given);
}

// The last norm leaves rows of mean 0 and mean square 1.
static double norms_normalise(void) {
    oracle *call = begin_sab();
    oracle_set(call, "layer_norm", "1");
    oracle_set(call, "eps", "1e-12");
    oracle_run(call, "out", NULL);
    double worst = 0;
    for (int64_t i = 0; i < B * N; i++) {
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < E; c++) {
            const double value = oracle_result(call, "out", NULL)[i * E + c];
            sum += value / E;
            squares += value * value / E;
        }
        worst = oracle_larger(worst, oracle_larger(fabs(sum), fabs(squares - 1)));
    }
    oracle_end(call);
    return worst;
}

// A layer that hands positive channels on.
static double unit_layer_changes_nothing(void) {
    oracle *plain = begin_pma(), *layered = begin_pma();
    float *weight = oracle_floats(layered, "w_rff", EXTENTS(C, C));
    for (int64_t i = 0; i < B * N * C; i++) {
        oracle_values(plain, "x")[i] = fabsf(oracle_values(plain, "x")[i]);
        oracle_values(layered, "x")[i] = fabsf(oracle_values(layered, "x")[i]);
        weight[i % C * C + i % C] = 1;
    }
    return oracle_run_and_compare_out(plain, layered);
}

// Padded elements are not read, and their rows are 0; an empty set leaves blocks of the query alone.
static double padding_is_nothing(oracle *call, oracle *poisoned, const char *set, int64_t num,
                                 int64_t channels, int64_t rows, bool writes_zeros) {
    oracle_set_lengths(call, 4, 0);
    oracle_set_lengths(poisoned, 4, 0);
    for (int64_t i = 0; i < B * num; i++) {
        if (i / num || i % num >= 4) {
            oracle_values(poisoned, set)[i * channels] = NAN;
        }
    }
    oracle_run(call, "out", NULL);
    oracle_run(poisoned, "out", NULL);
    double worst = oracle_compare(call, poisoned, "out");
    for (int64_t i = 0; i < B * rows && writes_zeros; i++) {
        const float *row = oracle_result(poisoned, "out", NULL) + i * E;
        bool is_zero = true;
        for (int c = 0; c < E; c++) {
            is_zero = is_zero && row[c] == 0;
        }
        worst = is_zero == (i / rows || i % rows >= 4) ? worst : INFINITY;
    }
    oracle_end(call);
    oracle_end(poisoned);
    return worst;
}

static double padding_is_nothing_anywhere(void) {
    double worst = padding_is_nothing(begin_sab(), begin_sab(), "x", N, C, N, true);
    worst = oracle_larger(
        worst, padding_is_nothing(begin_isab(POINTS), begin_isab(POINTS), "x", N, C, N, true));
    worst = oracle_larger(
        worst, padding_is_nothing(begin_mab(M, CY), begin_mab(M, CY), "y", M, CY, N, false));
    return oracle_larger(worst,
                         padding_is_nothing(begin_pma(), begin_pma(), "x", N, C, POINTS, false));
}

static const oracle_identity identities[] = {
    {"sab_is_equivariant", sab_is_equivariant, false},
    {"isab_is_equivariant", isab_is_equivariant, false},
    {"pma_is_invariant", pma_is_invariant, false},
    {"mab_is_invariant", mab_is_invariant, false},
    {"sab_is_mab_with_itself", sab_is_mab_with_itself, false},
    {"isab_is_two_mabs", isab_is_two_mabs, false},
    {"without_feed_forward_it_is_dense", without_feed_forward_it_is_dense, true},
    {"one_point_is_one_key", one_point_is_one_key, true},
    {"duplicates_change_nothing", duplicates_change_nothing, false},
    {"gains_are_1_and_offsets_0", gains_are_1_and_offsets_0, false},
    {"norms_normalise", norms_normalise, false},
    {"unit_layer_changes_nothing", unit_layer_changes_nothing, false},
    {"padding_is_nothing_anywhere", padding_is_nothing_anywhere, false},
};

int main(void) {
    return oracle_main("set", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
