// For tests of the pattern language: a set of declared names, random expressions over it, and the
// errors that parsing logs.

#ifndef TESTS_EXPRESSIONS_H
#define TESTS_EXPRESSIONS_H

#include "src/expression/expression.h"

// Int params w, l, c, big, least; float params slope, cap. Int tables row [7], pair [3,5], deep
// [2,2,3,2], none [0]; float tables rel [9], bias [2,4].
const ikati_symbols *sample_symbols(void);

uint32_t draw_bits(uint64_t *state);
// A whole number from `low` to `high`, both included.
int32_t draw_between(uint64_t *state, int32_t low, int32_t high);

// Writes a valid random expression, nested at most `levels` deep, cut to nothing longer than
// `capacity` (then a leaf is written instead).
void draw_expression(uint64_t *state, ikati_expression_kind kind, uint32_t levels, char *text,
                     size_t capacity);

// The last error that was logged through expression_host().
typedef struct expression_error {
    uint32_t count;
    ikat_message_id id;
    char text[512];
} expression_error;

extern expression_error last_expression_error;
const ikati_host *expression_host(void);

// Runs bytecode as a kernel would, but with doubles for floats. Asserts that its stack is never
// deeper than it says.
ikati_expression_value run_bytecode(const ikati_bytecode *bytecode, const uint32_t *words,
                                    const ikati_place place, double score);

#endif
