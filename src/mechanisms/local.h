// What lowering and tests see of local.

#ifndef IKATI_LOCAL_H
#define IKATI_LOCAL_H

#include "../attention.h"

// The pattern of a call, one; to be freed by ikati_patterns_free.
ikat_status ikati_local_patterns(const ikati_request *request, ikati_patterns *out_patterns);

#endif
