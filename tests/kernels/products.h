// Products of matrices (src/lower_gemm.h) by themselves: a mechanism that is in no registry, lowered to
// nothing else, and what it ought to give.

#ifndef TESTS_KERNELS_PRODUCTS_H
#define TESTS_KERNELS_PRODUCTS_H

#include <ikat/ikat.h>

// One call. Extents of c and the depth; then how the operands lie and what is done besides.
//
// repeats   bit i: operand i (a, b, bias) is the same in all batches; bit i + 4: in all heads
// is_ragged batch entry b has (b + 1) / (batches + 1) of the depth; past it a and b are NaN
// padding   elements between a line of a, b and c and the next; offset: before the first
typedef struct product {
    const char *name;
    int64_t batches, heads, rows, columns, depth;
    bool transposed_a, transposed_b, half_a, half_b, half_c, biased, half_bias, relu, is_ragged;
    bool bias_rows;    // the bias has a row for each of c's
    double bias_scale; // 0: 1
    uint32_t repeats;
    int64_t padding, offset;
    double scale; // 0: 1
} product;

// Makes the plan of a call on a device.
ikat_status product_plan(ikat_device *device, const product *call, const char *variant,
                         ikat_plan **out_plan);

// Runs it with random values from -2 to 2 amid NaN, and compares with sums in double: the largest
// difference of an element over the depth, that of halves less their rounding. Infinity if anything
// else was written. out_status says whether a call failed.
double product_error(const ikat_plan *plan, const product *call, ikat_status *out_status);

// Median and least time of `num` runs, in nanoseconds, by the device's clock. False if a call failed.
bool product_time(ikat_device *device, const ikat_plan *plan, const product *call, uint32_t num,
                  uint64_t *out_median_ns, uint64_t *out_least_ns);

#endif
