// The little language in which descriptors write shapes: "[B,H,N,D]", "[B or 1,H or 1,N,M]", "[H]
// or [B,H]".
//
// An axis is a letter (a name), a number, or alternatives of them; a shape may have alternatives of
// different rank. Matching binds letters: the first tensor that has a letter fixes its extent for
// the call. "1 to 4 axes" takes any shape of so many axes.

#ifndef IKATI_SHAPE_H
#define IKATI_SHAPE_H

#include "mechanism.h"

// Matches a tensor's shape against `pattern` and binds letters that are still free. On failure logs
// one line that names `argument` and what was expected, and returns IKAT_INVALID.
ikat_status ikati_shape_match(ikati_request *request, const char *argument, const char *pattern,
                              const ikat_tensor *tensor);

// Computes the shape that `pattern` has in this call: the first alternative whose letters are all
// bound. There must be one.
void ikati_shape_infer(const ikati_request *request, const char *pattern, ikat_tensor *tensor);

// Reads a range of values, "0..M" or "-1..nb-1", whose letters are bound; of alternatives, "0..R2-1 or
// 0..R-1", the first whose upper bound is.
void ikati_shape_range(const ikati_request *request, const char *range, int64_t *out_minimum,
                       int64_t *out_maximum);

// Fixes the extent of a letter that only outputs or optional inputs have. If an input has bound it
// already, to another extent, logs one line that names that input and returns IKAT_INVALID.
ikat_status ikati_shape_fix(ikati_request *request, const char *letter, int64_t extent);

#endif
