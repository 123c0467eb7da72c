// How far one array is from another, and where most.

#ifndef COMPARE_H
#define COMPARE_H

#include "tool.h"

// error     ||got - expected|| / ||expected|| over finite elements; infinite if an infinity or NaN
//           stands where none should
// worst     index of the element that is farthest off, of `shape`
typedef struct cli_comparison {
    double error;
    bool passed;
    uint64_t num_compared;
    int64_t worst[IKAT_MAX_RANK];
    double expected;
    double got;
} cli_comparison;

// Compares packed arrays. Infinities must match exactly, and NaN stand where the reference has NaN
// and nowhere else; types of whole numbers must be equal.
//
// shape  extents of both; its dtype is that of `got`
void compare_arrays(const ikat_tensor *shape, const void *got, ikat_dtype expected_dtype,
                    const void *expected, double tolerance, cli_comparison *out);

// "worst at [0,2,5,1]: expected 0.5, got 0.25"
void compare_describe(const cli_comparison *comparison, uint32_t rank, char *out, size_t capacity);

#endif
