// What lowering and tests see of blockwise.

#ifndef IKATI_BLOCKWISE_H
#define IKATI_BLOCKWISE_H

#include "../attention.h"

// The pattern of a call, one; to be freed by ikati_patterns_free.
ikat_status ikati_blockwise_patterns(const ikati_request *request, ikati_patterns *out_patterns);

#endif
