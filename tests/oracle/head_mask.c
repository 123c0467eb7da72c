// Pruned heads, of any mechanism whose out is [B,H,N,Dv].

#include "self.h"

#include <math.h>
#include <string.h>

static const self_sizes usual = {.b = 2, .h = 4, .hkv = 2, .n = 13, .d = 6, .dv = 5};

enum { HEADS = 4, ROWS = 13, PROBLEMS = 8 };

static oracle *begin(const char *mechanism, const int32_t *mask) {
    oracle *call = self_begin(mechanism, &usual);
    if (strcmp(mechanism, "longformer") == 0) {
        oracle_set(call, "window", "2");
        oracle_set(call, "dilation", "1,2,3,1");
    } else if (strcmp(mechanism, "axial") == 0) {
        oracle_set(call, "grid", "13");
    } else if (strcmp(mechanism, "linformer") == 0) {
        oracle_set(call, "projection", "mean");
        oracle_set(call, "kernel_size", "3");
    } else if (strcmp(mechanism, "memory_compressed") == 0) {
        oracle_set(call, "compression", "mean");
        oracle_set(call, "null", "zero");
    }
    if (mask) {
        memcpy(oracle_ints(call, "head_mask", EXTENTS(HEADS)), mask, HEADS * sizeof(*mask));
    }
    return call;
}

static const char *const mechanisms[] = {
    "dense", "longformer", "bigbird",      "sparse",    "custom",           "blockwise",
    "local", "axial",      "hierarchical", "linformer", "memory_compressed"};
enum { NUM_MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

static double all_ones_is_plain(void) {
    static const int32_t ones[] = {1, 1, 1, 1};
    double worst = 0;
    for (int m = 0; m < NUM_MECHANISMS; m++) {
        worst = oracle_larger(
            worst, oracle_run_and_compare(begin(mechanisms[m], ones), begin(mechanisms[m], NULL)));
    }
    return worst;
}

// Kept heads are as without a mask, pruned ones are 0 and -inf, also where they hold NaN: heads 2
// and 3 share a key/value head that no kept head reads.
static double pruned(const char *mechanism, const int32_t *mask) {
    oracle *plain = begin(mechanism, NULL), *call = begin(mechanism, mask);
    oracle_run_both(plain);
    float out[PROBLEMS * ROWS * 5], lse[PROBLEMS * ROWS];
    memcpy(out, oracle_result(plain, "out", NULL), sizeof(out));
    memcpy(lse, oracle_result(plain, "lse", NULL), sizeof(lse));
    for (int64_t row = 0; row < PROBLEMS * ROWS; row++) {
        const int64_t head = row / ROWS % HEADS;
        if (mask[head]) {
            continue;
        }
        memset(out + row * 5, 0, 5 * sizeof(*out));
        lse[row] = -INFINITY;
        oracle_values(call, "q")[row * 6] = NAN;
        if (!mask[head ^ 1]) {
            const int64_t shared = (row / ROWS / HEADS * 2 + head / 2) * ROWS + row % ROWS;
            oracle_values(call, "k")[shared * 6] = NAN;
            oracle_values(call, "v")[shared * 5] = NAN;
        }
    }
    oracle_end(plain);
    return oracle_run_and_expect(call, out, lse);
}

static double some_pruned(void) {
    static const int32_t masks[][HEADS] = {{1, 0, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 0}};
    double worst = 0;
    for (int m = 0; m < NUM_MECHANISMS; m++) {
        for (int i = 0; i < 3; i++) {
            worst = oracle_larger(worst, pruned(mechanisms[m], masks[i]));
        }
    }
    return worst;
}

static double sinks_are_pruned(void) {
    static const int32_t mask[] = {0, 1, 1, 1};
    oracle *call = begin("dense", mask);
    oracle_floats(call, "sinks", EXTENTS(HEADS))[0] = 3;
    oracle_run_both(call);
    const double worst = oracle_result(call, "lse", NULL)[0] == -INFINITY ? 0 : INFINITY;
    oracle_end(call);
    return worst;
}

static double refused(void) {
    double worst = 0;
    for (int m = 0; m < NUM_MECHANISMS; m++) {
        static const int32_t two[] = {1, 2, 1, 1};
        oracle *call = begin(mechanisms[m], NULL);
        oracle_ints(call, "head_mask", EXTENTS(HEADS + 1));
        worst = oracle_larger(worst, self_refused(call));
        worst = oracle_larger(worst, self_refused(begin(mechanisms[m], two)));
    }
    return worst;
}

static const oracle_identity identities[] = {
    {"all_ones_is_plain", all_ones_is_plain, false},
    {"some_pruned", some_pruned, false},
    {"sinks_are_pruned", sinks_are_pruned, false},
    {"refused", refused, false},
};

int main(void) {
    return oracle_main("head_mask", identities, sizeof(identities) / sizeof(identities[0]),
                       ORACLE_BROKEN);
}
