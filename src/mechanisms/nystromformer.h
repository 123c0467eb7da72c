// Between nystromformer.c (what it is) and nystromformer_lower.c (how it becomes steps).

#ifndef IKATI_NYSTROMFORMER_H
#define IKATI_NYSTROMFORMER_H

#include "../attention.h"
#include "../lower_attend.h"

// L, or 0 where no batch entry can have more valid positions: all are dense.
int64_t ikati_nystromformer_landmarks(const ikati_request *request);

ikat_status ikati_nystromformer_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
