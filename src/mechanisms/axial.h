// What lowering and tests see of axial.

#ifndef IKATI_AXIAL_H
#define IKATI_AXIAL_H

#include "../attention.h"

// The pattern of a call, one, without the shift of its result, which stands beside it; to be freed by
// ikati_patterns_free.
ikat_status ikati_axial_patterns(const ikati_request *request, ikati_patterns *out_patterns);

#endif
