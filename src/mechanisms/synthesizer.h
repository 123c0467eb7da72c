// Between synthesizer.c (what it is) and synthesizer_lower.c (how it becomes steps).

#ifndef IKATI_SYNTHESIZER_H
#define IKATI_SYNTHESIZER_H

#include "../attention.h"
#include "../lower_attend.h"

typedef enum ikati_component {
    IKATI_COMPONENT_DENSE,
    IKATI_COMPONENT_RANDOM,
    IKATI_COMPONENT_FACTORIZED_DENSE,
    IKATI_COMPONENT_FACTORIZED_RANDOM,
    IKATI_COMPONENT_DOT,
    IKATI_NUM_COMPONENTS
} ikati_component;

// Place of a component in `components`, as in alpha; -1 if it is not listed. Checked calls only.
int ikati_synthesizer_place(const ikati_request *request, ikati_component component);
int ikati_synthesizer_num_components(const ikati_request *request);

// Nmax of what is drawn.
int64_t ikati_synthesizer_max_length(const ikati_request *request);

ikat_status ikati_synthesizer_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
