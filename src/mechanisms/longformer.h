// What the two files of longformer share.

#ifndef IKATI_LONGFORMER_H
#define IKATI_LONGFORMER_H

#include "../attention.h"

// The patterns of a call; to be freed by ikati_patterns_free.
//
// items[0]  every row: its window and the global keys, with the local projections
// items[1]  only if a position is global: the global rows, which see all keys, with the global
//           projections where there are any. They replace those of items[0]
ikat_status ikati_longformer_patterns(const ikati_request *request, ikati_patterns *out_patterns);

// Visible (query, key) pairs over all batch entries and heads, in time proportional to positions.
double ikati_longformer_pairs(const ikati_request *request);

#endif
