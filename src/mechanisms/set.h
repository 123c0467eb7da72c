// Between set.c (what it is) and set_lower.c (how it becomes steps).

#ifndef IKATI_SET_H
#define IKATI_SET_H

#include "../attention.h"
#include "../lower_attend.h"

// The words of setting block, in their order.
typedef enum ikati_set_kind {
    IKATI_SET_MAB,
    IKATI_SET_SAB,
    IKATI_SET_ISAB,
    IKATI_SET_PMA,
} ikati_set_kind;

ikati_set_kind ikati_set_kind_of(const ikati_request *request);

ikat_status ikati_set_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
