// Between linear.c (what it is) and linear_lower.c (how it becomes steps).

#ifndef IKATI_LINEAR_H
#define IKATI_LINEAR_H

#include "../attention.h"

// The words of setting feature_map, in their order.
typedef enum ikati_linear_map {
    IKATI_LINEAR_ELU,
    IKATI_LINEAR_RELU,
    IKATI_LINEAR_EXP,
    IKATI_LINEAR_IDENTITY,
} ikati_linear_map;

ikat_status ikati_linear_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
