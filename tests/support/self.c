#include "self.h"

#include <math.h>
#include <string.h>

oracle *self_begin(const char *mechanism, const self_sizes *s) {
    oracle *call = oracle_begin(mechanism);
    oracle_fill(oracle_floats(call, "q", EXTENTS(s->b, s->h, s->n, s->d)),
                (size_t)(s->b * s->h * s->n * s->d), 1);
    oracle_fill(oracle_floats(call, "k", EXTENTS(s->b, s->hkv, s->n, s->d)),
                (size_t)(s->b * s->hkv * s->n * s->d), 2);
    oracle_fill(oracle_floats(call, "v", EXTENTS(s->b, s->hkv, s->n, s->dv)),
                (size_t)(s->b * s->hkv * s->n * s->dv), 3);
    return call;
}

// Copies rows of [problems, n, size].
static void copy_rows(const float *from, float *to, int64_t problems, int64_t n, int64_t size,
                      int64_t first, int64_t stride, int64_t count) {
    for (int64_t p = 0; p < problems; p++) {
        for (int64_t i = 0; i < count; i++) {
            memcpy(to + (p * count + i) * size, from + (p * n + first + i * stride) * size,
                   (size_t)size * sizeof(float));
        }
    }
}

oracle *self_part(const char *mechanism, oracle *whole, const self_sizes *s, int64_t first,
                  int64_t stride, int64_t count) {
    oracle *part = oracle_begin(mechanism);
    float *q = oracle_floats(part, "q", EXTENTS(s->b, s->h, count, s->d));
    float *k = oracle_floats(part, "k", EXTENTS(s->b, s->hkv, count, s->d));
    float *v = oracle_floats(part, "v", EXTENTS(s->b, s->hkv, count, s->dv));
    copy_rows(oracle_values(whole, "q"), q, s->b * s->h, s->n, s->d, first, stride, count);
    copy_rows(oracle_values(whole, "k"), k, s->b * s->hkv, s->n, s->d, first, stride, count);
    copy_rows(oracle_values(whole, "v"), v, s->b * s->hkv, s->n, s->dv, first, stride, count);
    return part;
}

double self_compare_part(const oracle *whole, const oracle *part, const self_sizes *s,
                         int64_t first, int64_t stride, int64_t count) {
    const float *out = oracle_result(whole, "out", NULL), *lse = oracle_result(whole, "lse", NULL);
    const float *part_out = oracle_result(part, "out", NULL);
    const float *part_lse = oracle_result(part, "lse", NULL);
    double worst = 0;
    for (int64_t p = 0; p < s->b * s->h; p++) {
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = p * s->n + first + i * stride, other = p * count + i;
            worst = oracle_larger(worst, oracle_deviation(out + row * s->dv,
                                                          part_out + other * s->dv, (size_t)s->dv));
            worst = oracle_larger(worst, oracle_deviation(lse + row, part_lse + other, 1));
        }
    }
    return worst;
}

double self_against_mask(oracle *call, const self_sizes *s, self_mask mask) {
    oracle *dense = self_part("dense", call, s, 0, 1, s->n);
    float *bias = oracle_floats(dense, "bias", EXTENTS(s->b, s->h, s->n, s->n));
    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t h = 0; h < s->h; h++) {
            for (int64_t i = 0; i < s->n; i++) {
                for (int64_t j = 0; j < s->n; j++) {
                    const int64_t at = ((b * s->h + h) * s->n + i) * s->n + j;
                    bias[at] = mask(b, h, i, j) ? 0 : -INFINITY;
                }
            }
        }
    }
    return oracle_run_and_compare(call, dense);
}

double self_refused(oracle *call) {
    const ikat_status status = oracle_try(call, "out");
    oracle_end(call);
    return status == IKAT_INVALID ? 0 : INFINITY;
}
