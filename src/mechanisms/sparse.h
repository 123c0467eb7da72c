// What the two files of sparse share.

#ifndef IKATI_SPARSE_H
#define IKATI_SPARSE_H

#include "../attention.h"

// Words of the settings `pattern` and `head_mode`, in their order.
typedef enum ikati_sparse_pattern { IKATI_SPARSE_STRIDED, IKATI_SPARSE_FIXED } ikati_sparse_pattern;
typedef enum ikati_sparse_heads {
    IKATI_SPARSE_MERGED,
    IKATI_SPARSE_SPLIT,
    IKATI_SPARSE_FIRST,
    IKATI_SPARSE_SECOND
} ikati_sparse_heads;

// Summary columns of a block, by the settings.
int64_t ikati_sparse_columns(const ikati_request *request);

// The patterns of a call; to be freed by ikati_patterns_free. Two, to be merged, where strided heads
// see both patterns: the band, and the stride without the query's own position. Else one.
ikat_status ikati_sparse_patterns(const ikati_request *request, ikati_patterns *out_patterns);

#endif
