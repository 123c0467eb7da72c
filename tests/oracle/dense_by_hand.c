// Cases of `dense` small enough to be worked by hand.

#include <math.h>

#include "oracle.h"

// With D = 1, q = 1 and scale = 1 the scores are the keys: ln 1, ln 2, ln 3 weigh 1, 2, 3. The values
// are 1, 2, 3.

static oracle *begin_by_hand(int64_t n) {
    oracle *call = oracle_begin("dense");
    float *q = oracle_floats(call, "q", EXTENTS(1, 1, n, 1));
    float *k = oracle_floats(call, "k", EXTENTS(1, 1, 3, 1));
    float *v = oracle_floats(call, "v", EXTENTS(1, 1, 3, 1));
    for (int i = 0; i < n; i++) {
        q[i] = 1;
    }
    for (int j = 0; j < 3; j++) {
        k[j] = logf((float)(j + 1));
        v[j] = (float)(j + 1);
    }
    return call;
}

static double plain_softmax(void) {
    return oracle_run_and_expect(begin_by_hand(1), (float[]){14.f / 6}, (float[]){logf(6)});
}

static double causal(void) {
    oracle *call = begin_by_hand(3);
    oracle_set(call, "causal", "1");
    return oracle_run_and_expect(call, (float[]){1, 5.f / 3, 14.f / 6},
                                 (float[]){0, logf(3), logf(6)});
}

static double window(void) {
    oracle *call = begin_by_hand(3);
    oracle_set(call, "window_left", "1");
    oracle_set(call, "window_right", "0");
    return oracle_run_and_expect(call, (float[]){1, 5.f / 3, 13.f / 5},
                                 (float[]){0, logf(3), logf(5)});
}

static double window_right(void) {
    oracle *call = begin_by_hand(3);
    oracle_set(call, "window_left", "0");
    oracle_set(call, "window_right", "1");
    return oracle_run_and_expect(call, (float[]){5.f / 3, 13.f / 5, 3},
                                 (float[]){logf(3), logf(5), logf(3)});
}

// Two queries, three keys: the last query faces the last key.
static double bottom_right(void) {
    oracle *call = begin_by_hand(2);
    oracle_set(call, "causal", "1");
    return oracle_run_and_expect(call, (float[]){5.f / 3, 14.f / 6}, (float[]){logf(3), logf(6)});
}

static double scale(void) {
    oracle *call = begin_by_hand(1);
    oracle_set(call, "scale", "2"); // weights 1, 4, 9
    return oracle_run_and_expect(call, (float[]){36.f / 14}, (float[]){logf(14)});
}

static double softcap(void) {
    oracle *call = begin_by_hand(1);
    oracle_set(call, "softcap", "2"); // tanh(ln 2 / 2) = 1/3, tanh(ln 3 / 2) = 1/2
    const double w1 = exp(2.0 / 3), w2 = exp(1), z = 1 + w1 + w2;
    return oracle_run_and_expect(call, (float[]){(float)((1 + 2 * w1 + 3 * w2) / z)},
                                 (float[]){(float)log(z)});
}

static double sink(void) {
    oracle *call = begin_by_hand(1);
    oracle_floats(call, "sinks", EXTENTS(1))[0] = logf(4);
    return oracle_run_and_expect(call, (float[]){1.4f}, (float[]){logf(10)});
}

static double bias(void) {
    oracle *call = begin_by_hand(1);
    float *bias = oracle_floats(call, "bias", EXTENTS(1, 1, 1, 3)); // weights 1, removed, 3 * 2
    bias[1] = -INFINITY;
    bias[2] = logf(2);
    return oracle_run_and_expect(call, (float[]){19.f / 7}, (float[]){logf(7)});
}

// Slope ln 2 halves the weight with every step: 1/4 + 2/2 + 3.
static double alibi(void) {
    oracle *call = begin_by_hand(1);
    oracle_floats(call, "alibi_slopes", EXTENTS(1))[0] = logf(2);
    return oracle_run_and_expect(call, (float[]){(0.25f + 2 + 9) / 4.25f}, (float[]){logf(4.25f)});
}

// Softcap acts before ALiBi and bias: weights exp(tanh) / 2^|r| * exp(bias).
static double order(void) {
    oracle *call = begin_by_hand(1);
    oracle_set(call, "softcap", "1");
    oracle_floats(call, "alibi_slopes", EXTENTS(1))[0] = logf(2);
    oracle_floats(call, "bias", EXTENTS(1, 1, 1, 3))[0] = logf(8);
    const double w0 = 2, w1 = exp(0.6) / 2, w2 = exp(0.8), z = w0 + w1 + w2;
    return oracle_run_and_expect(call, (float[]){(float)((w0 + 2 * w1 + 3 * w2) / z)},
                                 (float[]){(float)log(z)});
}

// Scores of plus and minus some millions: a row is its best key.
static double large_scores(void) {
    oracle *call = begin_by_hand(2);
    oracle_set(call, "scale", "1e6");
    oracle_values(call, "q")[1] = -1;
    for (int j = 0; j < 3; j++) {
        oracle_values(call, "k")[j] = (float)(j + 1);
    }
    return oracle_run_and_expect(call, (float[]){3, 1}, (float[]){3e6f, -1e6f});
}

static const oracle_identity identities[] = {
    {"plain_softmax", plain_softmax, false},
    {"causal", causal, true},
    {"window", window, true},
    {"window_right", window_right, true},
    {"bottom_right", bottom_right, true},
    {"scale", scale, false},
    {"softcap", softcap, false},
    {"sink", sink, false},
    {"bias", bias, false},
    {"alibi", alibi, false},
    {"order", order, false},
    {"large_scores", large_scores, false},
};

int main(void) {
    return oracle_main("dense by hand", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
