// Lowers softmax attention to kernels `heads`, `attend`, `merge` and `pack`: what every mechanism
// that ends in softmax over keys shares. Cuts tensors that exceed the device's storage range,
// splits long key ranges, merges the parts.

#ifndef IKATI_LOWER_ATTEND_H
#define IKATI_LOWER_ATTEND_H

#include "lowering.h"

// A tensor of the call, or none.
typedef struct ikati_view {
    ikati_slot_kind kind; // IKATI_SLOT_NONE: absent
    uint32_t index;
    const ikat_tensor *tensor; // [batch, head, position, column]; lse and bias likewise
} ikati_view;

// One attention over tensors in the layout of the spec, [B,H,N,D].
//
// window_left, window_right  -1: open
// softcap                    0: off
// alibi                      slopes from `slopes`, whatever that is (input or table); its tensor is
//                            [H] or [B,H]
typedef struct ikati_attention {
    ikati_view q, k, v, bias, out, lse;
    ikati_view lengths, query_lengths, slopes, sinks;
    bool alibi;
    double scale;
    double softcap;
    int64_t window_left, window_right;
} ikati_attention;

ikat_status ikati_lower_attention(ikati_lowering *lowering, const ikati_attention *attention);

#endif
