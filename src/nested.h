// Calls of one mechanism inside another: it names the inner one by a setting, and hands inputs and settings
// written PREFIX.NAME on as NAME.

#ifndef IKATI_NESTED_H
#define IKATI_NESTED_H

#include "lower_attend.h"

// What the outer mechanism makes for the inner one.
//
// mechanism   its name
// prefix      of inputs and settings of the caller's, with the dot
// q, k, v     as the outer mechanism will make them, float32
// out         where the inner one's result goes, [B,H,N,Dv], float32
// causal      handed on where the inner one has the setting, as scale (if given) and lengths are
typedef struct ikati_nested {
    const char *mechanism, *prefix;
    ikat_tensor q, k, v, out;
    bool causal;
    const ikati_call_setting *scale;
    const ikati_tensor_use *lengths;
} ikati_nested;

// Checks the inner call and keeps it as request->inner; for ikati_mechanism.check.
//
// IKAT_INVALID      there is no such mechanism, or it does not take what it is given
// IKAT_UNSUPPORTED  it does not take q, k and v to [B,H,N,Dv], or cannot do so here
ikat_status ikati_nested_create(ikati_request *request, const ikati_nested *nested);

// Lowers it. q, k, v and out: scratch in the layout that was described.
ikat_status ikati_nested_lower(const ikati_request *request, ikati_lowering *lowering,
                               const char *prefix, const uint32_t qkv[3], uint32_t out);

#endif
