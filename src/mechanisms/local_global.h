// Between local_global.c (what it is) and local_global_lower.c (how it becomes steps).

#ifndef IKATI_LOCAL_GLOBAL_H
#define IKATI_LOCAL_GLOBAL_H

#include "../attention.h"
#include "../nested.h"

#define IKATI_LOCAL_GLOBAL_PREFIX "attention."

// Sizes of a call that no letter has; absent layers are the identity.
typedef struct ikati_local_global {
    int64_t num_batches, num_positions, channels;
    int64_t heads, kv_heads, size, value_size;
    int64_t global_channels, global_size;              // Cg, Eg
    int64_t local_channels, local_begin, conv_size;    // Cl, the first of them, E
    int64_t local_size, conv_heads, num_taps, columns; // El, Hl, ks, columns of out
    bool glu, sums, causal, normalises;
} ikati_local_global;

ikati_local_global ikati_local_global_of(const ikati_request *request);

ikat_status ikati_local_global_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
