// Single elements of the library's types, and arrays of others made into them.

#ifndef VALUES_H
#define VALUES_H

#include "npy.h"

float half_to_float(uint16_t half);
// Rounds to nearest, ties to even.
uint16_t half_from_float(float value);

double value_load(ikat_dtype dtype, const void *data, uint64_t index);
// Rounds to the type.
void value_store(ikat_dtype dtype, void *data, uint64_t index, double value);

// Converts an array of a file into packed row-major elements of `dtype` at `out` (array->count of
// them).
//
// Returns false at the first value that `dtype` does not hold exactly, and says in `message` which.
bool values_convert(const npy_array *array, ikat_dtype dtype, void *out, char *message,
                    size_t message_size);

#endif
