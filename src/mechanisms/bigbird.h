// What the two files of bigbird share.

#ifndef IKATI_BIGBIRD_H
#define IKATI_BIGBIRD_H

#include "../attention.h"

// Random key blocks of a query block, by the settings and the table, if one is given.
int64_t ikati_bigbird_num_random(const ikati_request *request);

// Writes the table of the call, [H,nb,r]: the given one or the drawn one. IKAT_NO_MEMORY if memory
// ran out.
ikat_status ikati_bigbird_table(const ikati_request *request, int32_t *out_table);

// The pattern of a call, one; to be freed by ikati_patterns_free.
ikat_status ikati_bigbird_patterns(const ikati_request *request, ikati_patterns *out_patterns);

#endif
