// Calls of mechanisms of self-attention for oracle tests: random q, k, v of any mechanism, parts of
// them as calls of their own, and what results must be by a mask.

#ifndef TESTS_SELF_H
#define TESTS_SELF_H

#include "oracle.h"

// Heads share key/value heads in groups of h / hkv.
typedef struct self_sizes {
    int64_t b, h, hkv, n, d, dv;
} self_sizes;

// Begins a call with random q, k, v, which depend on the sizes alone.
oracle *self_begin(const char *mechanism, const self_sizes *sizes);

// Begins a call of `mechanism` on positions first, first + stride, ... of another's q, k, v.
oracle *self_part(const char *mechanism, oracle *whole, const self_sizes *sizes, int64_t first,
                  int64_t stride, int64_t count);

// How far rows first, first + stride, ... of `whole` are from all rows of `part`, in out and lse. Both
// have run.
double self_compare_part(const oracle *whole, const oracle *part, const self_sizes *sizes,
                         int64_t first, int64_t stride, int64_t count);

// Whether query i of head h of batch entry b sees key j.
typedef bool (*self_mask)(int64_t b, int64_t h, int64_t i, int64_t j);

// Runs the call and `dense` with a bias of the mask, and compares them; rows that see nothing are 0
// and -inf in both. Ends the call.
double self_against_mask(oracle *call, const self_sizes *sizes, self_mask mask);

// Runs a call that must be refused; returns 0 if it is, infinity if not. Ends the call.
double self_refused(oracle *call);

#endif
