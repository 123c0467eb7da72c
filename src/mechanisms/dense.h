// What the files of dense share.

#ifndef IKATI_DENSE_H
#define IKATI_DENSE_H

#include "../attention.h"

// Keys on either side of the diagonal that stay visible; -1: all.
typedef struct ikati_dense_window {
    int64_t left, right;
} ikati_dense_window;

static const ikati_dense_window IKATI_DENSE_OPEN = {-1, -1};

// The call's window; one that no pair can leave is none.
ikati_dense_window ikati_dense_window_of(const ikati_request *request);

// Who sees whom by the window and the call's block_mask; to be freed by ikati_patterns_free.
//
// window  of the call, or open where the kernel looks at it: with lengths the diagonal is known only
//         when the plan runs
// rows    queries of a group where neighbouring tiles of block_mask differ and are smaller than that
ikat_status ikati_dense_patterns(const ikati_request *request, ikati_dense_window window,
                                 uint32_t rows, ikati_patterns *out_patterns);

#endif
