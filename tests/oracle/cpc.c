// The identities and edge cases of the loss `cpc` on the page of `etc`.

#include "oracle.h"

#include <math.h>
#include <string.h>

#include "src/half.h"

enum { ROWS = 12, SIZE = 6 };

static oracle *begin_sized(int64_t rows, int64_t size, const char *temperature) {
    oracle *call = oracle_begin("cpc");
    oracle_fill(oracle_floats(call, "pred", EXTENTS(rows, size)), (size_t)(rows * size), 1);
    oracle_fill(oracle_floats(call, "target", EXTENTS(rows, size)), (size_t)(rows * size), 2);
    if (temperature) {
        oracle_set(call, "temperature", temperature);
    }
    return call;
}

static oracle *begin(void) { return begin_sized(ROWS, SIZE, "2"); }

static float *add_weight(oracle *call) {
    float *weight = oracle_floats(call, "weight", EXTENTS(SIZE, SIZE));
    oracle_fill(weight, SIZE * SIZE, 3);
    return weight;
}

static void run(oracle *call) { oracle_run(call, "loss", "losses"); }

static double compare_and_end(oracle *a, oracle *b) {
    run(a);
    run(b);
    const double worst =
        oracle_larger(oracle_compare(a, b, "loss"), oracle_compare(a, b, "losses"));
    oracle_end(a);
    oracle_end(b);
    return worst;
}

// Runs the call, compares both outputs with what they must be, relative to that, and ends it.
static double expect_and_end(oracle *call, double loss, const double *losses) {
    size_t count = 0;
    run(call);
    const float *got = oracle_result(call, "losses", &count);
    double worst = fabs(*oracle_result(call, "loss", NULL) - loss) / fmax(loss, 1e-30);
    for (size_t i = 0; i < count; i++) {
        const double off = fabs(got[i] - losses[i]) / fmax(losses[i], 1e-30);
        worst = oracle_larger(worst, isnan(off) ? INFINITY : off);
    }
    oracle_end(call);
    return worst;
}

// The page's own words, for a call without weight.
static double page_words(oracle *call, double temperature, double losses[ROWS]) {
    const float *pred = oracle_values(call, "pred"), *target = oracle_values(call, "target");
    double total = 0;
    for (int s = 0; s < ROWS; s++) {
        double sum = 0, own = 0;
        for (int t = 0; t < ROWS; t++) {
            double z = 0;
            for (int c = 0; c < SIZE; c++) {
                z += (double)pred[s * SIZE + c] * target[t * SIZE + c];
            }
            sum += exp(z / temperature);
            own = t == s ? z / temperature : own;
        }
        losses[s] = log(sum) - own;
        total += losses[s];
    }
    return total / ROWS;
}

static double by_the_page(void) {
    double losses[ROWS];
    oracle *call = begin();
    const double loss = page_words(call, 2, losses);
    return expect_and_end(call, loss, losses);
}

// The logarithm is the lse of dense attention.
static double is_lse_of_dense(void) {
    oracle *call = begin_sized(ROWS, SIZE, NULL), *dense = oracle_begin("dense");
    static const char *const names[] = {"q", "k", "v"};
    for (int i = 0; i < 3; i++) {
        memcpy(oracle_floats(dense, names[i], EXTENTS(1, 1, ROWS, SIZE)),
               oracle_values(call, i ? "target" : "pred"), ROWS * SIZE * sizeof(float));
    }
    oracle_set(dense, "scale", "1");
    oracle_run_both(dense);
    run(call);
    const float *lse = oracle_result(dense, "lse", NULL);
    const float *losses = oracle_result(call, "losses", NULL);
    const float *pred = oracle_values(call, "pred"), *target = oracle_values(call, "target");
    double worst = 0;
    for (int s = 0; s < ROWS; s++) {
        double own = 0;
        for (int c = 0; c < SIZE; c++) {
            own += (double)pred[s * SIZE + c] * target[s * SIZE + c];
        }
        worst = oracle_larger(worst, fabs(lse[s] - own - losses[s]));
    }
    oracle_end(call);
    oracle_end(dense);
    return worst;
}

static double equal_targets_give_log(void) {
    oracle *call = begin();
    float *target = oracle_values(call, "target");
    double losses[ROWS];
    for (int s = 0; s < ROWS; s++) {
        memcpy(target + s * SIZE, target, SIZE * sizeof(float));
        losses[s] = log(ROWS);
    }
    return expect_and_end(call, log(ROWS), losses);
}

static double identity_is_no_weight(void) {
    oracle *call = begin();
    float *weight = add_weight(call);
    for (int i = 0; i < SIZE * SIZE; i++) {
        weight[i] = i % (SIZE + 1) == 0;
    }
    return compare_and_end(call, begin());
}

// pred W by hand; whole numbers, so that it is exact.
static double weight_is_a_projection(void) {
    oracle *weighted = begin(), *projected = begin();
    float *weight = add_weight(weighted), *to = oracle_values(projected, "pred");
    float *pred = oracle_values(weighted, "pred");
    for (int i = 0; i < ROWS * SIZE; i++) {
        pred[i] = rintf(pred[i]);
        weight[i % (SIZE * SIZE)] = rintf(weight[i % (SIZE * SIZE)]);
    }
    for (int i = 0; i < ROWS * SIZE; i++) {
        to[i] = 0;
        for (int c = 0; c < SIZE; c++) {
            to[i] += pred[i / SIZE * SIZE + c] * weight[c * SIZE + i % SIZE];
        }
    }
    return compare_and_end(weighted, projected);
}

static double temperature_is_a_factor(void) {
    oracle *scaled = begin_sized(ROWS, SIZE, NULL);
    float *pred = oracle_values(scaled, "pred");
    for (int i = 0; i < ROWS * SIZE; i++) {
        pred[i] *= 0.5F;
    }
    return compare_and_end(scaled, begin());
}

static double permuted_rows(void) {
    oracle *call = begin(), *permuted = begin();
    static const char *const names[] = {"pred", "target"};
    for (int i = 0; i < 2; i++) {
        for (int s = 0; s < ROWS; s++) {
            memcpy(oracle_values(permuted, names[i]) + s * SIZE,
                   oracle_values(call, names[i]) + s * 5 % ROWS * SIZE, SIZE * sizeof(float));
        }
    }
    run(call);
    run(permuted);
    double worst = oracle_compare(call, permuted, "loss");
    const float *losses = oracle_result(call, "losses", NULL);
    for (int s = 0; s < ROWS; s++) {
        const float *own = oracle_result(permuted, "losses", NULL) + s;
        worst = oracle_larger(worst, oracle_deviation(own, losses + s * 5 % ROWS, 1));
    }
    oracle_end(call);
    oracle_end(permuted);
    return worst;
}

// Rows that are not valid might as well not be there, and may hold NaN.
static double invalid_rows_are_absent(void) {
    oracle *call = begin(), *small = begin_sized(ROWS / 2, SIZE, "2");
    int32_t *valid = oracle_ints(call, "valid", EXTENTS(ROWS));
    static const char *const names[] = {"pred", "target"};
    for (int i = 0; i < 2 * ROWS; i++) {
        float *row = oracle_values(call, names[i % 2]) + i / 2 * SIZE;
        valid[i / 2] = i / 2 % 2;
        if (valid[i / 2]) {
            memcpy(oracle_values(small, names[i % 2]) + i / 4 * SIZE, row, SIZE * sizeof(float));
        } else {
            row[i % SIZE] = NAN;
        }
    }
    run(call);
    run(small);
    double worst = oracle_compare(call, small, "loss");
    const float *losses = oracle_result(call, "losses", NULL);
    const float *kept = oracle_result(small, "losses", NULL);
    for (int s = 0; s < ROWS; s++) {
        const float expected = s % 2 ? kept[s / 2] : 0;
        worst = oracle_larger(worst, oracle_deviation(losses + s, &expected, 1));
    }
    oracle_end(call);
    oracle_end(small);
    return worst;
}

static double zeros_for(int num_valid) {
    static const double zeros[ROWS];
    oracle *call = begin();
    int32_t *valid = oracle_ints(call, "valid", EXTENTS(ROWS));
    for (int s = 0; s < num_valid; s++) {
        valid[s] = 1;
    }
    return expect_and_end(call, 0, zeros);
}

static double nothing_to_compare_gives_zero(void) {
    double worst = oracle_larger(zeros_for(0), zeros_for(1));
    return oracle_larger(worst, expect_and_end(begin_sized(0, SIZE, NULL), 0, NULL));
}

// Of losses near 0 no digit is lost: log(1 + 11 e^-30).
static double small_losses(void) {
    oracle *call = begin_sized(ROWS, 12, "0.5");
    double losses[ROWS];
    for (int i = 0; i < ROWS * 12; i++) {
        oracle_values(call, "pred")[i] = i / 12 == i % 12 ? 5 : 0;
        oracle_values(call, "target")[i] = i / 12 == i % 12 ? 3 : 0;
    }
    for (int s = 0; s < ROWS; s++) {
        losses[s] = log1p(11 * exp(-30));
    }
    return expect_and_end(call, losses[0], losses);
}

// The same values as halves in rows that lie apart.
static double strides_and_halves(void) {
    oracle *plain = begin(), *strided = oracle_begin("cpc");
    static const char *const names[] = {"pred", "target"};
    uint16_t halves[2][3 + ROWS * (SIZE + 2)] = {{0}};
    for (int i = 0; i < 2; i++) {
        float *values = oracle_values(plain, names[i]);
        for (int e = 0; e < ROWS * SIZE; e++) {
            uint16_t *half = &halves[i][3 + e / SIZE * (SIZE + 2) + e % SIZE];
            *half = ikati_double_to_half(values[e]);
            values[e] = ikati_half_to_float(*half);
        }
        ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT16, 2, ROWS, SIZE, 0, 0);
        tensor.strides[0] = SIZE + 2;
        tensor.strides[1] = 1;
        tensor.offset = 3;
        oracle_input(strided, names[i], &tensor, halves[i], sizeof(halves[i]));
    }
    oracle_set(strided, "temperature", "2");
    return compare_and_end(strided, plain);
}

static double refused_call(oracle *call) {
    const ikat_status status = oracle_try(call, "loss");
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}

static double refused_input(const char *name, const int64_t *extents, bool whole) {
    oracle *call = begin();
    if (whole) {
        oracle_ints(call, name, extents);
    } else {
        oracle_floats(call, name, extents);
    }
    return refused_call(call);
}

static double refused_temperature(double temperature) {
    oracle *call = begin_sized(ROWS, SIZE, NULL);
    oracle_set_number(call, "temperature", temperature);
    return refused_call(call);
}

static double refused_target(const int64_t *extents) {
    oracle *call = oracle_begin("cpc");
    oracle_floats(call, "pred", EXTENTS(ROWS, SIZE));
    oracle_floats(call, "target", extents);
    return refused_call(call);
}

static double refused(void) {
    static const double temperatures[] = {0, -1, NAN, INFINITY};
    double worst = 0;
    for (int i = 0; i < 4; i++) {
        worst = oracle_larger(worst, refused_temperature(temperatures[i]));
    }
    worst = oracle_larger(worst, refused_target(EXTENTS(ROWS + 1, SIZE)));
    worst = oracle_larger(worst, refused_target(EXTENTS(ROWS, SIZE - 1)));
    worst = oracle_larger(worst, refused_target(EXTENTS(1, ROWS, SIZE)));
    worst = oracle_larger(worst, refused_call(begin_sized(ROWS, 0, NULL)));
    worst = oracle_larger(worst, refused_input("weight", EXTENTS(SIZE, SIZE + 1), false));
    worst = oracle_larger(worst, refused_input("weight", EXTENTS(SIZE), false));
    worst = oracle_larger(worst, refused_input("weight", EXTENTS(SIZE, SIZE), true));
    worst = oracle_larger(worst, refused_input("valid", EXTENTS(ROWS - 1), true));
    worst = oracle_larger(worst, refused_input("valid", EXTENTS(ROWS), false));
    worst = oracle_larger(worst, refused_input("q", EXTENTS(ROWS, SIZE), false));
    oracle *alone = oracle_begin("cpc");
    oracle_floats(alone, "pred", EXTENTS(ROWS, SIZE));
    return oracle_larger(worst, refused_call(alone));
}

static const oracle_identity identities[] = {
    {"by_the_page", by_the_page, false},
    {"is_lse_of_dense", is_lse_of_dense, false},
    {"equal_targets_give_log", equal_targets_give_log, false},
    {"identity_is_no_weight", identity_is_no_weight, false},
    {"weight_is_a_projection", weight_is_a_projection, false},
    {"temperature_is_a_factor", temperature_is_a_factor, false},
    {"permuted_rows", permuted_rows, false},
    {"invalid_rows_are_absent", invalid_rows_are_absent, true},
    {"nothing_to_compare_gives_zero", nothing_to_compare_gives_zero, true},
    {"small_losses", small_losses, false},
    {"strides_and_halves", strides_and_halves, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("cpc", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
