// Emitted functions on devices: expressions, the places they are evaluated at, the source that calls
// them, and what must come out. The same for every device.

#ifndef SUITE_H
#define SUITE_H

#include "expressions.h"

enum { SUITE_PLACES = 64, SUITE_MAX_RESULTS = 2 * 160 * SUITE_PLACES };

// words      those of ikati_symbols_pack, then the bytecode of every function, then for every function
//            where its program begins and its number of words
// places     the value of every variable, in the order of ikati_variable
//
// Results: of function f at place p results[f * SUITE_PLACES + p], floats as their bits; then the same
// as its bytecode gives them.
typedef struct suite {
    uint32_t num_functions;
    uint32_t *words;
    uint32_t num_words;
    ikati_place places[SUITE_PLACES];
    float scores[SUITE_PLACES];
} suite;

void suite_open(suite *out_suite);
void suite_close(suite *closed);

// The text of all functions, f0, f1, ..., then a macro CALLS: statements that put what they and the
// programs give at place `g`, `at` there, into `results`. They use the macro CALL: what comes behind
// `at` in a call.
char *suite_source(const suite *functions); // free() it

// Asserts that results are the evaluator's.
void suite_check(const suite *functions, const int32_t *results);

// All of a file; free() it. Fails the test if it cannot be read.
char *suite_read(const char *path, size_t *out_size_bytes);

#endif
