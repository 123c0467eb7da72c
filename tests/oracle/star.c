// The identities and edge cases of the page of `star`.

#include "oracle.h"

#include <math.h>
#include <string.h>

// Sizes of the attention steps.
enum { B = 2, H = 4, HKV = 2, N = 7, D = 5, DV = 3 };
// Of step full.
enum { C = 6, HEADS = 2 };

static oracle *begin_step(const char *step, int64_t queries) {
    oracle *call = oracle_begin("star");
    oracle_fill(oracle_floats(call, "q", EXTENTS(B, H, queries, D)), B * H * queries * D, 1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(B, HKV, N, D)), B * HKV * N * D, 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(B, HKV, N, DV)), B * HKV * N * DV, 3);
    oracle_fill(oracle_floats(call, "k_relay", EXTENTS(B, HKV, 1, D)), B * HKV * D, 4);
    oracle_fill(oracle_floats(call, "v_relay", EXTENTS(B, HKV, 1, DV)), B * HKV * DV, 5);
    oracle_set(call, "step", step);
    return call;
}

static oracle *begin_ring(bool embedded) {
    oracle *call = begin_step("ring", N);
    if (embedded) {
        oracle_fill(oracle_floats(call, "k_emb", EXTENTS(B, HKV, N, D)), B * HKV * N * D, 6);
        oracle_fill(oracle_floats(call, "v_emb", EXTENTS(B, HKV, N, DV)), B * HKV * N * DV, 7);
    }
    return call;
}

// Row `at` of `size` of a tensor [B,HKV,N,size].
static void copy_row(float *to, oracle *call, const char *name, int64_t matrix, int64_t rows,
                     int64_t at, int64_t size) {
    memcpy(to, oracle_values(call, name) + (matrix * rows + at) * size,
           (size_t)size * sizeof(float));
}

// The context of query i: places of k and v, then of the embeddings (i), then the relay.
typedef struct context {
    int64_t places[3], num_places, num;
    bool embedded;
} context;

static void put_context(oracle *dense, oracle *call, const context *c, int64_t i, const char *to,
                        const char *name, const char *embedding, const char *relay, int64_t size) {
    float *rows = oracle_floats(dense, to, EXTENTS(B, HKV, c->num, size));
    for (int64_t m = 0; m < B * HKV; m++) {
        for (int64_t j = 0; j < c->num_places; j++, rows += size) {
            copy_row(rows, call, name, m, N, c->places[j], size);
        }
        if (c->embedded) {
            copy_row(rows, call, embedding, m, N, i, size);
            rows += size;
        }
        copy_row(rows, call, relay, m, 1, 0, size);
        rows += size;
    }
}

// How far row i of a ring of n satellites is from dense attention over its gathered context.
static double compare_row(oracle *call, int64_t i, int64_t n, bool embedded) {
    const context c = {.places = {(i + n - 1) % n, i, (i + 1) % n},
                       .num_places = 3,
                       .num = 4 + embedded,
                       .embedded = embedded};
    oracle *dense = oracle_begin("dense");
    float *q = oracle_floats(dense, "q", EXTENTS(B, H, 1, D));
    for (int64_t m = 0; m < B * H; m++) {
        copy_row(q + m * D, call, "q", m, N, i, D);
    }
    put_context(dense, call, &c, i, "k", "k", "k_emb", "k_relay", D);
    put_context(dense, call, &c, i, "v", "v", "v_emb", "v_relay", DV);
    oracle_run_both(dense);
    double worst = 0;
    for (int64_t m = 0; m < B * H; m++) {
        const float *out = oracle_result(call, "out", NULL) + (m * N + i) * DV;
        const float *lse = oracle_result(call, "lse", NULL) + m * N + i;
        const float *want = oracle_result(dense, "out", NULL) + m * DV;
        worst = oracle_larger(worst, oracle_deviation(out, want, DV));
        want = oracle_result(dense, "lse", NULL) + m;
        worst = oracle_larger(worst, oracle_deviation(lse, want, 1));
    }
    oracle_end(dense);
    return worst;
}

static double compare_rows(oracle *call, int64_t n, bool embedded) {
    double worst = 0;
    oracle_run_both(call);
    for (int64_t i = 0; i < n; i++) {
        worst = oracle_larger(worst, compare_row(call, i, n, embedded));
    }
    oracle_end(call);
    return worst;
}

static double ring_is_dense_row_by_row(void) { return compare_rows(begin_ring(false), N, false); }
static double embeddings_are_a_fifth_key(void) { return compare_rows(begin_ring(true), N, true); }

static double rings_of(int32_t n) {
    oracle *call = begin_ring(true);
    oracle_set_lengths(call, n, n);
    return compare_rows(call, n, true);
}
static double one_is_there_three_times(void) { return rings_of(1); }
static double two_see_each_other_twice(void) { return rings_of(2); }
static double lengths_close_the_ring(void) { return rings_of(4); }

// Padding is not read, and written as nothing.
static double padding_is_nothing(void) {
    static const char *const names[] = {"q", "k", "v", "k_emb", "v_emb"};
    oracle *call = begin_ring(true), *poisoned = begin_ring(true);
    oracle_set_lengths(call, 4, 0);
    oracle_set_lengths(poisoned, 4, 0);
    for (int t = 0; t < 5; t++) {
        const int64_t heads = t == 0 ? H : HKV, size = t == 2 || t == 4 ? DV : D;
        for (int64_t row = 0; row < B * heads * N; row++) {
            const bool valid = row / (heads * N) == 0 && row % N < 4;
            for (int64_t d = 0; d < size && !valid; d++) {
                oracle_values(poisoned, names[t])[row * size + d] = NAN;
            }
        }
    }
    oracle_run_both(call);
    oracle_run_both(poisoned);
    double worst =
        oracle_larger(oracle_compare(call, poisoned, "out"), oracle_compare(call, poisoned, "lse"));
    for (int64_t row = 0; row < B * H * N; row++) {
        const bool valid = row / (H * N) == 0 && row % N < 4;
        const float *out = oracle_result(call, "out", NULL) + row * DV;
        const bool is_nothing = oracle_result(call, "lse", NULL)[row] == -INFINITY && out[0] == 0 &&
                                out[1] == 0 && out[2] == 0;
        worst = valid == is_nothing ? INFINITY : worst;
    }
    oracle_end(call);
    oracle_end(poisoned);
    return worst;
}

static void rotate(oracle *call, const char *name, int64_t matrices, int64_t size) {
    float copy[B * H * N * D];
    float *values = oracle_values(call, name);
    memcpy(copy, values, (size_t)(matrices * N * size) * sizeof(float));
    for (int64_t m = 0; m < matrices; m++) {
        for (int64_t i = 0; i < N; i++) {
            memcpy(values + (m * N + (i + 1) % N) * size, copy + (m * N + i) * size,
                   (size_t)size * sizeof(float));
        }
    }
}

static double rotation_rotates_out(void) {
    oracle *call = begin_ring(true), *rotated = begin_ring(true);
    rotate(rotated, "q", B * H, D);
    rotate(rotated, "k", B * HKV, D);
    rotate(rotated, "v", B * HKV, DV);
    rotate(rotated, "k_emb", B * HKV, D);
    rotate(rotated, "v_emb", B * HKV, DV);
    oracle_run_both(call);
    oracle_run_both(rotated);
    double worst = 0;
    for (int64_t m = 0; m < B * H; m++) {
        for (int64_t i = 0; i < N; i++) {
            const float *one = oracle_result(call, "out", NULL) + (m * N + i) * DV;
            const float *other = oracle_result(rotated, "out", NULL) + (m * N + (i + 1) % N) * DV;
            worst = oracle_larger(worst, oracle_deviation(one, other, DV));
        }
    }
    oracle_end(call);
    oracle_end(rotated);
    return worst;
}

static void concatenate(oracle *dense, oracle *call, const char *to, const char *relay,
                        int64_t size) {
    float *rows = oracle_floats(dense, to, EXTENTS(B, HKV, N + 1, size));
    for (int64_t m = 0; m < B * HKV; m++, rows += (N + 1) * size) {
        copy_row(rows, call, relay, m, 1, 0, size);
        memcpy(rows + size, oracle_values(call, to) + m * N * size,
               (size_t)(N * size) * sizeof(float));
    }
}

static double relay_with(bool with_lengths) {
    oracle *call = begin_step("relay", 1), *dense = oracle_begin("dense");
    memcpy(oracle_floats(dense, "q", EXTENTS(B, H, 1, D)), oracle_values(call, "q"),
           B * H * D * sizeof(float));
    concatenate(dense, call, "k", "k_relay", D);
    concatenate(dense, call, "v", "v_relay", DV);
    if (with_lengths) {
        oracle_set_lengths(call, 3, 0);
        int32_t *lengths = oracle_ints(dense, "lengths", EXTENTS(B));
        lengths[0] = 4;
        lengths[1] = 1;
    }
    return oracle_run_and_compare(call, dense);
}
static double relay_is_dense(void) { return relay_with(false); }
static double relay_without_satellites_sees_itself(void) { return relay_with(true); }

static const char *const matrices[] = {"ring_w_q",  "ring_w_k",  "ring_w_v",  "ring_w_o",
                                       "relay_w_q", "relay_w_k", "relay_w_v", "relay_w_o"};

// One layer of square projections, so that a head has C / HEADS elements.
static oracle *begin_full(int64_t n, int64_t layers, bool shared) {
    oracle *call = oracle_begin("star");
    oracle_fill(oracle_floats(call, "x", EXTENTS(1, n, C)), (size_t)(n * C), 1);
    for (int i = 0; i < 8; i++) {
        float *weights = oracle_floats(call, matrices[i], EXTENTS(layers, C, C));
        for (int64_t layer = 0; layer < layers; layer++) {
            const uint32_t seed = (uint32_t)(10 + i + (shared ? 0 : 10 * layer));
            oracle_fill(weights + layer * C * C, C * C, seed);
        }
    }
    oracle_set(call, "heads", "2");
    return call;
}

static void multiply(const float *x, int64_t rows, const float *w, float *y) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < C; j++) {
            double sum = 0;
            for (int64_t i = 0; i < C; i++) {
                sum += (double)x[r * C + i] * w[i * C + j];
            }
            y[r * C + j] = (float)sum;
        }
    }
}

// From [rows, HEADS * size] to [HEADS, rows, size], or back.
static void split_heads(float *heads, float *rows_of, int64_t rows, bool back) {
    const int64_t size = C / HEADS;
    for (int64_t h = 0; h < HEADS; h++) {
        for (int64_t r = 0; r < rows; r++) {
            float *one = heads + (h * rows + r) * size, *other = rows_of + r * C + h * size;
            memcpy(back ? other : one, back ? one : other, (size_t)size * sizeof(float));
        }
    }
}

// Input `to` of a step: states times a projection of `full`.
static void put_projection(oracle *step, const char *to, oracle *full, const char *weights,
                           const float *states, int64_t rows) {
    float projected[N * C];
    multiply(states, rows, oracle_values(full, weights), projected);
    split_heads(oracle_floats(step, to, EXTENTS(1, HEADS, rows, C / HEADS)), projected, rows,
                false);
}

static void finish(const oracle *step, oracle *full, const char *weights, int64_t rows,
                   float *out) {
    float joined[N * C], copy[N * C];
    memcpy(copy, oracle_result(step, "out", NULL), (size_t)(rows * C) * sizeof(float));
    split_heads(copy, joined, rows, true);
    multiply(joined, rows, oracle_values(full, weights), out);
    for (int64_t r = 0; r < rows; r++, out += C) {
        double mean = 0, variance = 0;
        for (int c = 0; c < C; c++) {
            out[c] = out[c] < 0 ? 0 : out[c];
            mean += out[c] / C;
        }
        for (int c = 0; c < C; c++) {
            variance += (out[c] - mean) * (out[c] - mean) / C;
        }
        for (int c = 0; c < C; c++) {
            out[c] = (float)((out[c] - mean) / sqrt(variance + 1e-5));
        }
    }
}

// One round of `full` is its two steps with the projections outside.
static double full_is_its_steps(void) {
    oracle *full = begin_full(N, 1, true), *ring = oracle_begin("star"),
           *relay = oracle_begin("star");
    const float *x = oracle_values(full, "x");
    float star[C] = {0}, out[N * C], star_out[C];
    for (int i = 0; i < N * C; i++) {
        star[i % C] += x[i] / N;
    }
    oracle_set(ring, "step", "ring");
    put_projection(ring, "q", full, "ring_w_q", x, N);
    put_projection(ring, "k", full, "ring_w_k", x, N);
    put_projection(ring, "v", full, "ring_w_v", x, N);
    put_projection(ring, "k_emb", full, "ring_w_k", x, N);
    put_projection(ring, "v_emb", full, "ring_w_v", x, N);
    put_projection(ring, "k_relay", full, "ring_w_k", star, 1);
    put_projection(ring, "v_relay", full, "ring_w_v", star, 1);
    oracle_run(ring, "out", NULL);
    finish(ring, full, "ring_w_o", N, out);
    oracle_set(relay, "step", "relay");
    put_projection(relay, "q", full, "relay_w_q", star, 1);
    put_projection(relay, "k", full, "relay_w_k", out, N);
    put_projection(relay, "v", full, "relay_w_v", out, N);
    put_projection(relay, "k_relay", full, "relay_w_k", star, 1);
    put_projection(relay, "v_relay", full, "relay_w_v", star, 1);
    oracle_run(relay, "out", NULL);
    finish(relay, full, "relay_w_o", 1, star_out);
    oracle_run(full, "out", "relay");
    const double worst =
        oracle_larger(oracle_deviation(oracle_result(full, "out", NULL), out, N * C),
                      oracle_deviation(oracle_result(full, "relay", NULL), star_out, C));
    oracle_end(ring);
    oracle_end(relay);
    oracle_end(full);
    return worst;
}

static double shared_weights_are_equal_layers(void) {
    oracle *shared = begin_full(N, 1, true), *layers = begin_full(N, 3, true);
    oracle_set(shared, "rounds", "3");
    oracle_run(shared, "out", "relay");
    oracle_run(layers, "out", "relay");
    const double worst = oracle_larger(oracle_compare(shared, layers, "out"),
                                       oracle_compare(shared, layers, "relay"));
    oracle_end(shared);
    oracle_end(layers);
    return worst;
}

// The second of two rounds has weights of its own: it is no second round of the first's.
static double layers_are_taken_in_turn(void) {
    oracle *layers = begin_full(N, 2, false), *same = begin_full(N, 2, true);
    oracle_run(layers, "out", NULL);
    oracle_run(same, "out", NULL);
    const double apart = oracle_compare(layers, same, "out");
    oracle_end(layers);
    oracle_end(same);
    return apart > 0.1 ? 0 : INFINITY;
}

static double chosen_rows_are_the_wholes(void) {
    static const int64_t rows[] = {0, 3, 6};
    return oracle_run_rows(begin_ring(true), N, rows, 3);
}

static const oracle_identity identities[] = {
    {"ring_is_dense_row_by_row", ring_is_dense_row_by_row, true},
    {"embeddings_are_a_fifth_key", embeddings_are_a_fifth_key, true},
    {"one_is_there_three_times", one_is_there_three_times, false},
    {"two_see_each_other_twice", two_see_each_other_twice, true},
    {"lengths_close_the_ring", lengths_close_the_ring, true},
    {"padding_is_nothing", padding_is_nothing, false},
    {"rotation_rotates_out", rotation_rotates_out, false},
    {"relay_is_dense", relay_is_dense, false},
    {"relay_without_satellites_sees_itself", relay_without_satellites_sees_itself, false},
    {"full_is_its_steps", full_is_its_steps, false},
    {"shared_weights_are_equal_layers", shared_weights_are_equal_layers, false},
    {"layers_are_taken_in_turn", layers_are_taken_in_turn, false},
    {"chosen_rows_are_the_wholes", chosen_rows_are_the_wholes, false},
};

int main(void) {
    return oracle_main("star", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
