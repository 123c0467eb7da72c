// Tensor descriptions: strides made explicit, sizes, overlap. Nothing here logs.

#ifndef IKATI_TENSOR_H
#define IKATI_TENSOR_H

#include <ikat/types.h>

// Copies a description with its strides made explicit (packed where all are 0) and what lies past
// `rank` zeroed. A stride along an axis of extent 0 or 1 is kept as given, except that the
// innermost becomes 1.
//
// IKAT_INVALID for an unknown dtype, a rank above IKAT_MAX_RANK, a negative extent, stride or
// offset, an innermost stride that is not 1 where there is more than one element along it, or a
// size in bytes beyond INT64_MAX.
ikat_status ikati_tensor_resolve(const ikat_tensor *tensor, ikat_tensor *out_tensor);

// Of a resolved tensor:

// Number of elements.
uint64_t ikati_tensor_count(const ikat_tensor *tensor);
// Elements from the first to one past the last, `offset` not counted; 0 if there are none.
uint64_t ikati_tensor_span(const ikat_tensor *tensor);
// Whether no two elements share an address, as far as sorted strides tell: interleaved views that
// happen to miss each other are called overlapping.
bool ikati_tensor_is_disjoint(const ikat_tensor *tensor);
// Whether it lies row-major without gaps.
bool ikati_tensor_is_packed(const ikat_tensor *tensor);

#endif
