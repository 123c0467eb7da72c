// Between etc.c (what ETC is) and etc_lower.c (what becomes of it).

#ifndef IKATI_ETC_H
#define IKATI_ETC_H

#include "../attention.h"

// The inputs of one of the four pieces, named from query to key, each with its fallback where it has
// one.
typedef struct ikati_etc_piece {
    const char *k, *v, *otherwise_k, *otherwise_v;
    const char *labels, *mask;
    bool is_local;     // l2l: labels and masks have 2 radius + 1 columns
    const char *hard;  // of pieces between the inputs: the setting that leaves own pairs alone
    bool key_is_token; // and of those: segment_ids are of the keys, not of the queries
} ikati_etc_piece;

// The rows of one input.
typedef struct ikati_etc_side {
    const char *q, *rel_key, *rel_bias;
    const char *lengths, *key_lengths[2]; // of the rows, and of the pieces' keys
    uint32_t out, lse;                    // outputs
    ikati_etc_piece pieces[2];
} ikati_etc_side;

enum { IKATI_ETC_LONG, IKATI_ETC_GLOBAL, IKATI_ETC_SIDES };

extern const ikati_etc_side ikati_etc_sides[IKATI_ETC_SIDES];

// The name of the table of a side's rows, rel_key or rel_key_global; NULL if it has none.
const char *ikati_etc_table(const ikati_request *request, const ikati_etc_side *side);

// Whether any output of a side is wanted.
bool ikati_etc_wanted(const ikati_request *request, const ikati_etc_side *side);

ikat_status ikati_etc_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
