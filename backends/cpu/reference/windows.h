// Windows of positions that become one key each, and softmax over a run of keys: what references share
// whose keys and values are shortened first.

#ifndef IKATI_REFERENCE_WINDOWS_H
#define IKATI_REFERENCE_WINDOWS_H

#include "reference.h"

// The words of setting `projection` but the first, in their order.
typedef enum cpu_window_kind { CPU_WINDOW_MEAN, CPU_WINDOW_MAX, CPU_WINDOW_CONV } cpu_window_kind;

// Window c of a tensor [B,Hkv,M,columns] holds its positions c * stride .. c * stride + size - 1. Those
// from the number of valid ones on are not read: a mean and a maximum do without them, a convolution
// takes zeros for them.
//
// weights  of a convolution, [size, Cg, C0]: C0 is `columns` (one bank of filters for all heads), or
//          Hkv times that (channels of all heads, h * columns + c)
// bias     [C0], or NULL
typedef struct cpu_windows {
    const ikati_call_tensor *x, *weights, *bias;
    cpu_window_kind kind;
    int64_t size, stride;
} cpu_windows;

// Windows that begin before the end of so many positions.
static inline int64_t cpu_count_windows(int64_t positions, int64_t stride) {
    return (positions + stride - 1) / stride;
}

// Leaves window c of a head in `out`.
void cpu_reduce_window(const cpu_windows *windows, int64_t b, int64_t head, int64_t num_valid,
                       int64_t c, double *out);

// Softmax attention of one query over keys 0 .. num - 1, `size` and `value_size` doubles each. Leaves the
// result in `out`, zeros without keys, and returns the lse.
//
// scores  room for num
double cpu_attend_keys(const double *query, const double *keys, const double *values, int64_t num,
                       int64_t size, int64_t value_size, double scale, double *scores, double *out);

#endif
