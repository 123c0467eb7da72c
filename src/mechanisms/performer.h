// Between performer.c (what it is), performer_draw.c (its features) and performer_lower.c (how it becomes
// steps).

#ifndef IKATI_PERFORMER_H
#define IKATI_PERFORMER_H

#include "../attention.h"

// The words of setting kernel, in their order.
typedef enum ikati_performer_kernel {
    IKATI_PERFORMER_SOFTMAX,
    IKATI_PERFORMER_HYPERBOLIC,
    IKATI_PERFORMER_RELU,
} ikati_performer_kernel;

// The words of setting feature_norm, in their order.
typedef enum ikati_performer_norm {
    IKATI_PERFORMER_CHI,
    IKATI_PERFORMER_SQRT,
} ikati_performer_norm;

// Draws rows w_r, [num_rows, size], in double, each element rounded once. They depend on the arguments
// alone.
//
// ortho  false: independent Gaussian rows; norm is not looked at
//
// Returns NULL (logged) if memory ran out; else the caller's to free.
float *ikati_performer_draw(const ikati_host *host, uint64_t seed, int64_t num_rows, int64_t size,
                            bool ortho, ikati_performer_norm norm);

ikat_status ikati_performer_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
