// Between hierarchical.c (descriptor), hierarchical_pattern.c (who sees whom on a level) and
// hierarchical_lower.c (coarse tensors and steps).

#ifndef IKATI_HIERARCHICAL_H
#define IKATI_HIERARCHICAL_H

#include "../attention.h"

// One level: coarse tokens of 2^shift positions.
//
// num_tokens    those that have a position
// half          tokens of half a block: what a finer level has covered ends at its edges
// group_halves  half blocks of queries that become one group of the pattern: 1, or even
typedef struct ikati_hierarchical_level {
    uint32_t shift, num_tokens, half, group_halves;
    bool causal;
} ikati_hierarchical_level;

// Levels of a call, at least one.
uint32_t ikati_hierarchical_num_levels(const ikati_request *request);

// rows  that a group of queries should have, as far as blocks allow
ikati_hierarchical_level ikati_hierarchical_level_at(const ikati_request *request, uint32_t shift,
                                                     uint32_t rows);

// The pattern of a level over its tokens; `level` must outlive it.
ikati_pattern ikati_hierarchical_pattern(const ikati_hierarchical_level *level);

ikat_status ikati_hierarchical_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
