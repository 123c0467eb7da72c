// The identities and edge cases of the page of `etc`.

#include "self.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, H = 4, HKV = 2, N = 13, G = 3, D = 6, DV = 5, RADIUS = 2, REACH = 3 };
enum { W = 2 * RADIUS + 1, R = 2 * REACH + 3, R2 = R + 4 };
enum { MAX_ROWS = N, MAX_KEYS = N + G };

static const char *const names[] = {"out", "lse", "out_global", "lse_global"};
// Tokens of entry 0 in two segments and in none, of entry 1 in all.
static const int32_t segments[B][N] = {{0, 0, 0, 0, -1, 2, 2, 2, 2, 2, 7, 7, 7},
                                       {0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 1, 0, 0}};

static void add(oracle *call, const char *name, const int64_t *extents, uint32_t seed) {
    size_t count = 1;
    for (int i = 0; extents[i] >= 0; i++) {
        count *= (size_t)extents[i];
    }
    oracle_fill(oracle_floats(call, name, extents), count, seed);
}

static oracle *begin_radius(const char *radius) {
    static const self_sizes sizes = {.b = B, .h = H, .hkv = HKV, .n = N, .d = D, .dv = DV};
    oracle *call = self_begin("etc", &sizes);
    add(call, "q_global", EXTENTS(B, H, G, D), 11);
    add(call, "k_global", EXTENTS(B, HKV, G, D), 12);
    add(call, "v_global", EXTENTS(B, HKV, G, DV), 13);
    oracle_set(call, "radius", radius);
    oracle_set(call, "rel_max_distance", "3");
    return call;
}

static oracle *begin(void) { return begin_radius("2"); }

static void add_projections(oracle *call) {
    add(call, "k_l2g", EXTENTS(B, HKV, G, D), 14);
    add(call, "v_l2g", EXTENTS(B, HKV, G, DV), 15);
    add(call, "k_g2l", EXTENTS(B, HKV, N, D), 16);
    add(call, "v_g2l", EXTENTS(B, HKV, N, DV), 17);
}

static void add_table(oracle *call) {
    add(call, "rel_key", EXTENTS(R, H, D), 18);
    add(call, "rel_bias", EXTENTS(R, H), 19);
}

static void add_global_table(oracle *call) {
    add(call, "rel_key_global", EXTENTS(R2, H, D), 20);
    add(call, "rel_bias_global", EXTENTS(R2, H), 21);
}

static void add_segments(oracle *call) {
    memcpy(oracle_ints(call, "segment_ids", EXTENTS(B, N)), segments, sizeof(segments));
}

static void add_lengths(oracle *call) {
    memcpy(oracle_ints(call, "lengths", EXTENTS(B)), (int32_t[]){9, 13}, 2 * sizeof(int32_t));
    memcpy(oracle_ints(call, "global_lengths", EXTENTS(B)), (int32_t[]){3, 2}, 2 * sizeof(int32_t));
}

// Integers 0 .. most - 1; entries share them where batches is 1.
static void add_edges(oracle *call, const char *name, int batches, int rows, int columns,
                      int32_t most, uint32_t seed) {
    int32_t *edges = oracle_ints(call, name, EXTENTS(batches, rows, columns));
    for (int i = 0; i < batches * rows * columns; i++) {
        seed = seed * 1664525u + 1013904223u;
        edges[i] = (int32_t)(seed >> 8) % most;
    }
}

static void add_labels(oracle *call, int32_t most, int32_t global_most) {
    add_edges(call, "labels_l2l", B, N, W, most, 1);
    add_edges(call, "labels_l2g", 1, N, G, most, 2);
    add_edges(call, "labels_g2g", B, G, G, global_most, 3);
    add_edges(call, "labels_g2l", 1, G, N, global_most, 4);
}

static void add_masks(oracle *call) {
    add_edges(call, "mask_l2l", 1, N, W, 2, 5);
    add_edges(call, "mask_l2g", B, N, G, 2, 6);
    add_edges(call, "mask_g2g", 1, G, G, 2, 7);
    add_edges(call, "mask_g2l", B, G, N, 2, 8);
}

// What the page says of one call: whether row i of a side sees key j of an input, and by which label.
typedef struct words {
    bool tables, global_table, labels, masks, segments, lengths, hard, projections, wide;
} words;

static const int32_t *ints_of(oracle *call, const char *name) {
    return (const int32_t *)(const void *)oracle_values(call, name);
}

static int edge_of(oracle *call, const char *name, bool shared, int b, int i, int j, int rows,
                   int columns) {
    return ints_of(call, name)[((shared ? 0 : b) * rows + i) * columns + j];
}

// from, to: 0 long, 1 global.
static bool sees(oracle *call, const words *w, int b, int from, int to, int i, int j) {
    static const int lengths[2][B] = {{9, 13}, {3, 2}};
    if (w->lengths && (i >= lengths[from][b] || j >= lengths[to][b])) {
        return false;
    }
    const bool own = segments[b][from ? j : i] == (from ? i : j);
    if (w->hard && from != to && !own) {
        return false;
    }
    if (!from && !to && !w->wide && abs(j - i) > RADIUS) {
        return false;
    }
    if (!w->masks) {
        return true;
    }
    return !from && !to ? edge_of(call, "mask_l2l", true, b, i, j - i + RADIUS, N, W)
           : !from      ? edge_of(call, "mask_l2g", false, b, i, j, N, G)
           : to         ? edge_of(call, "mask_g2g", true, b, i, j, G, G)
                        : edge_of(call, "mask_g2l", false, b, i, j, G, N);
}

static int label_by_position(const words *w, int b, int from, int to, int i, int j) {
    if (from != to) {
        return 2 * REACH + 1 + (w->segments && segments[b][from ? j : i] == (from ? i : j));
    }
    const int d = j - i;
    return d >= 0 ? (d < REACH ? d : REACH) : REACH + (-d < REACH ? -d : REACH);
}

static int label_of(oracle *call, const words *w, int b, int from, int to, int i, int j) {
    if (!w->labels) {
        return label_by_position(w, b, from, to, i, j);
    }
    return !from && !to ? edge_of(call, "labels_l2l", false, b, i, j - i + RADIUS, N, W)
           : !from      ? edge_of(call, "labels_l2g", true, b, i, j, N, G)
           : to         ? edge_of(call, "labels_g2g", false, b, i, j, G, G)
                        : edge_of(call, "labels_g2l", true, b, i, j, G, N);
}

// What a pair's score has besides scale * q.k; -inf where it is not seen.
static float bias_of(oracle *call, const words *w, int b, int h, int from, int to, int i, int j) {
    if (!sees(call, w, b, from, to, i, j)) {
        return -INFINITY;
    }
    if (!w->tables) {
        return 0;
    }
    const bool own = from && w->global_table;
    const int l = label_of(call, w, b, from, to, i, j);
    const float *a = oracle_values(call, own ? "rel_key_global" : "rel_key") + (l * H + h) * D;
    const float *q = oracle_values(call, from ? "q_global" : "q");
    double sum = oracle_values(call, own ? "rel_bias_global" : "rel_bias")[l * H + h];
    for (int d = 0; d < D; d++) {
        sum += a[d] * q[((b * H + h) * (from ? G : N) + i) * D + d];
    }
    return (float)(sum / sqrt(D));
}

// Keys or values of the global input before those of the long one, as one tensor of `dense`.
static void concatenate(oracle *call, oracle *dense, const char *to, const char *globals,
                        const char *longs, int columns) {
    float *out = oracle_floats(dense, to, EXTENTS(B, HKV, G + N, columns));
    for (int p = 0; p < B * HKV; p++) {
        memcpy(out + p * (G + N) * columns, oracle_values(call, globals) + p * G * columns,
               (size_t)(G * columns) * sizeof(float));
        memcpy(out + (p * (G + N) + G) * columns, oracle_values(call, longs) + p * N * columns,
               (size_t)(N * columns) * sizeof(float));
    }
}

// The rows of one side as dense attention over both inputs.
static double side_against_dense(oracle *call, const words *w, int side) {
    const bool p = w->projections;
    const int rows = side ? G : N;
    oracle *dense = oracle_begin("dense");
    float *q = oracle_floats(dense, "q", EXTENTS(B, H, rows, D));
    memcpy(q, oracle_values(call, side ? "q_global" : "q"),
           (size_t)(B * H * rows * D) * sizeof(float));
    concatenate(call, dense, "k", side || !p ? "k_global" : "k_l2g", side && p ? "k_g2l" : "k", D);
    concatenate(call, dense, "v", side || !p ? "v_global" : "v_l2g", side && p ? "v_g2l" : "v", DV);
    float *bias = oracle_floats(dense, "bias", EXTENTS(B, H, rows, MAX_KEYS));
    for (int at = 0; at < B * H * rows * MAX_KEYS; at++) {
        const int key = at % MAX_KEYS, i = at / MAX_KEYS % rows;
        const int h = at / MAX_KEYS / rows % H, b = at / MAX_KEYS / rows / H;
        const int to = key < G;
        bias[at] = bias_of(call, w, b, h, side, to, i, to ? key : key - G);
    }
    oracle_run_both(dense);
    size_t num_out = 0, num_lse = 0;
    const float *out = oracle_result(dense, "out", &num_out);
    const float *lse = oracle_result(dense, "lse", &num_lse);
    const double worst = oracle_larger(
        oracle_deviation(oracle_result(call, names[2 * side], NULL), out, num_out),
        oracle_deviation(oracle_result(call, names[2 * side + 1], NULL), lse, num_lse));
    oracle_end(dense);
    return worst;
}

// Runs the call and compares it with dense attention over the concatenation whose bias is what the page
// says. Ends the call.
static double against_dense(oracle *call, const words *w) {
    oracle_run_outputs(call, names, 4);
    const double worst =
        oracle_larger(side_against_dense(call, w, 0), side_against_dense(call, w, 1));
    oracle_end(call);
    return worst;
}

// Runs two calls, compares all their results, ends both.
static double compare(oracle *a, oracle *b) {
    double worst = 0;
    oracle_run_outputs(a, names, 4);
    oracle_run_outputs(b, names, 4);
    for (int i = 0; i < 4; i++) {
        worst = oracle_larger(worst, oracle_compare(a, b, names[i]));
    }
    oracle_end(a);
    oracle_end(b);
    return worst;
}

static double wide_is_dense(void) {
    return against_dense(begin_radius("12"), &(words){.wide = true});
}

static double radius_is_a_window(void) { return against_dense(begin(), &(words){0}); }

static double own_projections(void) {
    oracle *call = begin();
    add_projections(call);
    return against_dense(call, &(words){.projections = true});
}

static double shared_projections(void) {
    oracle *call = begin();
    const struct {
        const char *to, *from;
        int positions, size;
    } copies[] = {{"k_l2g", "k_global", G, D},
                  {"v_l2g", "v_global", G, DV},
                  {"k_g2l", "k", N, D},
                  {"v_g2l", "v", N, DV}};
    for (int i = 0; i < 4; i++) {
        float *to =
            oracle_floats(call, copies[i].to, EXTENTS(B, HKV, copies[i].positions, copies[i].size));
        memcpy(to, oracle_values(call, copies[i].from),
               (size_t)(B * HKV * copies[i].positions * copies[i].size) * sizeof(float));
    }
    return compare(call, begin());
}

static double by_position(void) {
    oracle *call = begin();
    add_table(call);
    return against_dense(call, &(words){.tables = true});
}

static double by_position_and_segment(void) {
    oracle *call = begin();
    add_table(call);
    add_global_table(call);
    add_segments(call);
    return against_dense(call, &(words){.tables = true, .global_table = true, .segments = true});
}

static double by_labels(void) {
    oracle *call = begin();
    add_table(call);
    add_global_table(call);
    add_labels(call, R, R2);
    return against_dense(call, &(words){.tables = true, .global_table = true, .labels = true});
}

static double by_masks(void) {
    oracle *call = begin();
    add_masks(call);
    return against_dense(call, &(words){.masks = true});
}

static double hard(void) {
    oracle *call = begin();
    add_segments(call);
    oracle_set(call, "hard_l2g", "1");
    oracle_set(call, "hard_g2l", "1");
    return against_dense(call, &(words){.hard = true});
}

static double by_lengths(void) {
    oracle *call = begin();
    add_lengths(call);
    return against_dense(call, &(words){.lengths = true});
}

static double everything(void) {
    oracle *call = begin();
    add_projections(call);
    add_table(call);
    add_labels(call, R, R);
    add_masks(call);
    add_segments(call);
    add_lengths(call);
    oracle_set(call, "hard_l2g", "1");
    oracle_set(call, "hard_g2l", "1");
    return against_dense(call, &(words){.projections = true,
                                        .tables = true,
                                        .labels = true,
                                        .masks = true,
                                        .hard = true,
                                        .lengths = true});
}

// Labels given as those by position.
static double given_as_default(void) {
    static const words w = {.segments = true};
    oracle *a = begin(), *b = begin();
    oracle *calls[] = {a, b};
    for (int i = 0; i < 2; i++) {
        add_table(calls[i]);
        add_segments(calls[i]);
    }
    int32_t *l2l = oracle_ints(a, "labels_l2l", EXTENTS(B, N, W));
    int32_t *l2g = oracle_ints(a, "labels_l2g", EXTENTS(B, N, G));
    int32_t *g2g = oracle_ints(a, "labels_g2g", EXTENTS(1, G, G));
    int32_t *g2l = oracle_ints(a, "labels_g2l", EXTENTS(B, G, N));
    for (int at = 0; at < B * N * MAX_KEYS; at++) {
        const int j = at % MAX_KEYS, i = at / MAX_KEYS % N, b_at = at / MAX_KEYS / N;
        if (j < W) {
            l2l[(b_at * N + i) * W + j] = label_by_position(&w, 0, 0, 0, i, i + j - RADIUS);
        }
        if (j < G) {
            l2g[(b_at * N + i) * G + j] = label_by_position(&w, b_at, 0, 1, i, j);
            g2l[(b_at * G + j) * N + i] = label_by_position(&w, b_at, 1, 0, j, i);
        }
        if (i < G && j < G) {
            g2g[i * G + j] = label_by_position(&w, 0, 1, 1, i, j);
        }
    }
    return compare(a, b);
}

static double zero_table_is_none(void) {
    oracle *a = begin();
    oracle_floats(a, "rel_key", EXTENTS(R, H, D));
    return compare(a, begin());
}

// All label vectors equal: out stays, lse moves by scale * q.a.
static double equal_labels_shift(void) {
    oracle *a = begin(), *b = begin();
    float *table = oracle_floats(a, "rel_key", EXTENTS(R, H, D));
    for (int i = 0; i < R * H * D; i++) {
        table[i] = (float)(i % D) - 2;
    }
    oracle_run_outputs(a, names, 4);
    oracle_run_outputs(b, names, 4);
    float shifted[B * H * N];
    for (int row = 0; row < B * H * N; row++) {
        double sum = 0;
        for (int d = 0; d < D; d++) {
            sum += (d - 2.0) * oracle_values(b, "q")[row * D + d];
        }
        shifted[row] = (float)(oracle_result(b, "lse", NULL)[row] + sum / sqrt(D));
    }
    double worst = oracle_deviation(oracle_result(a, "lse", NULL), shifted, B * H * N);
    worst = oracle_larger(worst, oracle_compare(a, b, "out"));
    worst = oracle_larger(worst, oracle_compare(a, b, "out_global"));
    oracle_end(a);
    oracle_end(b);
    return worst;
}

// A row whose masks leave nothing.
static double nothing_seen(void) {
    oracle *call = begin();
    oracle_ints(call, "mask_l2l", EXTENTS(1, N, W));
    oracle_ints(call, "mask_l2g", EXTENTS(1, N, G));
    oracle_run_outputs(call, names, 4);
    double worst = 0;
    for (int i = 0; i < B * H * N * DV; i++) {
        worst = oracle_larger(worst, fabs(oracle_result(call, "out", NULL)[i]));
    }
    for (int i = 0; i < B * H * N; i++) {
        worst = oracle_result(call, "lse", NULL)[i] == -INFINITY ? worst : INFINITY;
    }
    oracle_end(call);
    return worst;
}

// NaN in what is padded, and in keys and values that masks hide from all.
static double unused_values(void) {
    oracle *a = begin(), *b = begin();
    oracle *calls[] = {a, b};
    for (int c = 0; c < 2; c++) {
        add_lengths(calls[c]);
        add_projections(calls[c]);
        int32_t *l2g = oracle_ints(calls[c], "mask_l2g", EXTENTS(1, N, G));
        for (int i = 0; i < N * G; i++) {
            l2g[i] = i % G != 1;
        }
    }
    for (int p = 0; p < B * HKV; p++) {
        const int length = p < HKV ? 9 : 13;
        oracle_values(b, "k_l2g")[(p * G + 1) * D] = NAN;
        oracle_values(b, "v_l2g")[(p * G + 1) * DV] = NAN;
        for (int i = length; i < N; i++) {
            oracle_values(b, "k")[(p * N + i) * D] = NAN;
            oracle_values(b, "v_g2l")[(p * N + i) * DV] = NAN;
            oracle_values(b, "q")[(2 * p * N + i) * D] = NAN;
        }
        if (p >= HKV) {
            oracle_values(b, "k_global")[(p * G + 2) * D] = NAN;
            oracle_values(b, "q_global")[(2 * p * G + 2) * D] = NAN;
        }
    }
    return compare(a, b);
}

// Pruned heads, in the rows of both inputs, also where they hold NaN.
static double pruned_heads(void) {
    static const int32_t mask[H] = {1, 0, 1, 1};
    static const int sizes[] = {N * DV, N, G * DV, G};
    oracle *plain = begin(), *call = begin();
    memcpy(oracle_ints(call, "head_mask", EXTENTS(H)), mask, sizeof(mask));
    oracle_values(call, "q")[N * D] = NAN;
    oracle_values(call, "q_global")[G * D] = NAN;
    oracle_run_outputs(plain, names, 4);
    oracle_run_outputs(call, names, 4);
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        const float *got = oracle_result(call, names[i], NULL);
        const float *kept = oracle_result(plain, names[i], NULL);
        for (int at = 0; at < B * H * sizes[i]; at++) {
            const float none = i % 2 ? -INFINITY : 0;
            const float expected = mask[at / sizes[i] % H] ? kept[at] : none;
            worst = oracle_larger(worst, oracle_deviation(&got[at], &expected, 1));
        }
    }
    oracle_end(plain);
    oracle_end(call);
    return worst;
}

static double rows_of_the_whole(void) {
    static const int64_t rows[] = {0, 3, 8, 12};
    oracle *call = begin();
    add_lengths(call);
    add_table(call);
    return oracle_run_rows(call, N, rows, 4);
}

static oracle *begin_with(const char *name, const int64_t *extents) {
    oracle *call = begin();
    oracle_ints(call, name, extents);
    return call;
}

static double labels_are_refused(void) {
    double worst = 0;
    oracle *call = begin_with("labels_l2l", EXTENTS(1, N, W)); // no table
    worst = oracle_larger(worst, self_refused(call));
    worst = oracle_larger(worst, self_refused(begin_with("mask_l2l", EXTENTS(1, N, W - 1))));
    worst = oracle_larger(worst, self_refused(begin_with("mask_g2l", EXTENTS(1, G, G))));
    worst = oracle_larger(worst, self_refused(begin_with("labels_g2g", EXTENTS(1, G, G))));
    call = begin();
    oracle_floats(call, "rel_key", EXTENTS(R - 1, H, D));
    worst = oracle_larger(worst, self_refused(call));
    call = begin();
    add_table(call);
    oracle_floats(call, "rel_key_global", EXTENTS(R - 1, H, D));
    worst = oracle_larger(worst, self_refused(call));
    call = begin();
    oracle_floats(call, "rel_bias", EXTENTS(R, H));
    worst = oracle_larger(worst, self_refused(call));
    call = begin();
    add_table(call);
    oracle_floats(call, "rel_bias_global", EXTENTS(R, H));
    return oracle_larger(worst, self_refused(call));
}

static double refused(void) {
    static const char *const alone[] = {"k_l2g", "v_g2l"};
    static const char *const settings[][2] = {
        {"hard_l2g", "1"}, {"hard_g2l", "1"}, {"radius", "-1"}, {"rel_max_distance", "-1"},
        {"hard_l2g", "2"}, {"causal", "0"},   {"scale", "inf"}};
    double worst = 0;
    oracle *call = begin();
    oracle_floats(call, alone[0], EXTENTS(B, HKV, G, D));
    worst = oracle_larger(worst, self_refused(call));
    call = begin();
    oracle_floats(call, alone[1], EXTENTS(B, HKV, N, DV));
    worst = oracle_larger(worst, self_refused(call));
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        call = oracle_begin("etc");
        add(call, "q", EXTENTS(1, 1, 4, 3), 1);
        add(call, "k", EXTENTS(1, 1, 4, 3), 2);
        add(call, "v", EXTENTS(1, 1, 4, 3), 3);
        add(call, "q_global", EXTENTS(1, 1, 2, 3), 4);
        add(call, "k_global", EXTENTS(1, 1, 2, 3), 5);
        add(call, "v_global", EXTENTS(1, 1, 2, 3), 6);
        oracle_set(call, settings[i][0], settings[i][1]);
        worst = oracle_larger(worst, self_refused(call));
    }
    call = oracle_begin("etc");
    add(call, "q", EXTENTS(1, 1, 4, 3), 1);
    add(call, "k", EXTENTS(1, 1, 4, 3), 2);
    add(call, "v", EXTENTS(1, 1, 4, 3), 3);
    add(call, "q_global", EXTENTS(1, 1, 0, 3), 4);
    add(call, "k_global", EXTENTS(1, 1, 0, 3), 5);
    add(call, "v_global", EXTENTS(1, 1, 0, 3), 6);
    return oracle_larger(worst, self_refused(call));
}

static const oracle_identity identities[] = {
    {"wide_is_dense", wide_is_dense, false},
    {"radius_is_a_window", radius_is_a_window, true},
    {"own_projections", own_projections, true},
    {"shared_projections", shared_projections, false},
    {"by_position", by_position, true},
    {"by_position_and_segment", by_position_and_segment, true},
    {"by_labels", by_labels, true},
    {"by_masks", by_masks, true},
    {"hard", hard, true},
    {"by_lengths", by_lengths, true},
    {"everything", everything, true},
    {"given_as_default", given_as_default, true},
    {"zero_table_is_none", zero_table_is_none, false},
    {"equal_labels_shift", equal_labels_shift, false},
    {"nothing_seen", nothing_seen, false},
    {"unused_values", unused_values, false},
    {"pruned_heads", pruned_heads, false},
    {"rows_of_the_whole", rows_of_the_whole, false},
    {"labels_are_refused", labels_are_refused, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("etc", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
