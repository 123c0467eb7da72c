// Between star.c (the attention steps) and star_full.c (the whole update).

#ifndef IKATI_REFERENCE_STAR_H
#define IKATI_REFERENCE_STAR_H

#include "reference.h"

enum { STAR_MAX_CONTEXT = 5 };

// Places of the satellites that satellite i of n sees: itself and its neighbours on the ring.
void cpu_star_neighbours(int64_t i, int64_t n, int64_t out_places[3]);

// Softmax attention of one query over a list of keys, `size` and `value_size` long; an element of the
// list may be there several times. Leaves the result in `out`, returns the lse.
//
// scores  room for num
double cpu_star_attend(const double *query, const double *const *keys, const double *const *values,
                       int64_t num, int64_t size, int64_t value_size, double scale, double *scores,
                       double *out);

ikat_status cpu_star_full(const cpu_call *call);

#endif
