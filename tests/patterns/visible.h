// Which keys a query sees, in the words of each mechanism's page, and calls drawn at random: what
// patterns are compared with.

#ifndef TESTS_VISIBLE_H
#define TESTS_VISIBLE_H

#include "src/patterns.h"
#include "src/mechanism.h"

#include <stdio.h>

// A mechanism with patterns.
//
// sees          the page's definition, lengths apart; it shares nothing with the patterns
// draw          writes a random call as in ikat_mechanism_case; `seed` picks it
typedef struct patterned {
    const char *name;
    bool (*sees)(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j);
    void (*draw)(uint32_t seed, char *inputs, char *settings, size_t capacity);
} patterned;

extern const patterned patterned_mechanisms[];
extern const uint32_t num_patterned_mechanisms;

#define PATTERNED(name)                                                                         \
    bool name##_sees(const ikati_request *request, int64_t b, int64_t h, int64_t i, int64_t j); \
    void name##_draw(uint32_t seed, char *inputs, char *settings, size_t capacity);
PATTERNED(dense)
PATTERNED(longformer)
PATTERNED(bigbird)
PATTERNED(sparse)
PATTERNED(blockwise)
PATTERNED(local)
PATTERNED(axial)
#undef PATTERNED

#endif
