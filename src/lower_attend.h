// Lowers softmax attention to kernels `heads`, `attend`, `merge` and `pack`: what every mechanism
// that ends in softmax over keys shares. Cuts tensors that exceed the device's storage range,
// splits long key ranges, merges the parts.

#ifndef IKATI_LOWER_ATTEND_H
#define IKATI_LOWER_ATTEND_H

#include "lowering.h"
#include "pattern.h"

// A tensor of the call, or none.
typedef struct ikati_view {
    ikati_slot_kind kind; // IKATI_SLOT_NONE: absent
    uint32_t index;
    const ikat_tensor *tensor; // [batch, head, position, column]; lse and bias likewise
} ikati_view;

// Views of the call's tensors; of kind IKATI_SLOT_NONE where one is absent.
ikati_view ikati_input_view(const ikati_request *request, const char *name);
ikati_view ikati_output_view(const ikati_request *request, uint32_t index);

// Expressions of `custom`: a table with what ikati_symbols_pack wrote and the programs behind it.
//
// mask_at, score_at  where the programs begin, in words; mask_words, score_words: 0 for none
typedef struct ikati_attend_expressions {
    uint32_t table, num_words;
    uint32_t mask_at, mask_words, score_at, score_words;
} ikati_attend_expressions;

// One attention over tensors in the layout of the spec, [B,H,N,D].
//
// window_left, window_right  -1: open
// softcap                    0: off
// alibi                      slopes from `slopes`, whatever that is (input or table); its tensor is
//                            [H] or [B,H]
// pattern                    who sees whom, besides window and lengths; NULL: all. Only for
//                            ikati_lower_patterns
// expressions                NULL: none; only with a pattern, and without bias
// out_shift                  with a pattern: results of the query at position i go to i + out_shift
typedef struct ikati_attention {
    ikati_view q, k, v, bias, out, lse;
    ikati_view lengths, query_lengths, slopes, sinks;
    bool alibi;
    double scale;
    double softcap;
    int64_t window_left, window_right;
    const ikati_pattern *pattern;
    const ikati_attend_expressions *expressions;
    int32_t out_shift;
} ikati_attention;

ikat_status ikati_lower_attention(ikati_lowering *lowering, const ikati_attention *attention);

// Attention by patterns: one after the other into the same out and lse, where they own different
// rows, or all over the same rows and `merged` by lse, where they own different pairs. All have the
// same out, lse, lengths, sizes and type; sinks go with the first.
ikat_status ikati_lower_patterns(ikati_lowering *lowering, const ikati_attention *attentions,
                                 uint32_t num_attentions, bool merged);

#endif
