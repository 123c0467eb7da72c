// Names: the reserved ones and their meaning, and what a name is under some declarations. For the
// files of this folder.

#ifndef IKATI_SYMBOLS_H
#define IKATI_SYMBOLS_H

#include "expression.h"

// What a function does by the type of its operands.
enum {
    IKATI_NOT_THERE = -1, // only operands of the other type, converted if need be
    IKATI_NO_CHANGE = -2  // its value is the operand
};

typedef struct ikati_builtin {
    const char *name;
    uint32_t num_operands;
    int on_ints, on_floats; // ikati_operation or one of the above
    bool score_only;
} ikati_builtin;

typedef enum ikati_meaning_kind {
    IKATI_MEANS_NOTHING,
    IKATI_MEANS_VARIABLE,
    IKATI_MEANS_SCORE,
    IKATI_MEANS_INFINITY,
    IKATI_MEANS_PARAM,
    IKATI_MEANS_TABLE,
    IKATI_MEANS_FUNCTION
} ikati_meaning_kind;

typedef struct ikati_meaning {
    ikati_meaning_kind kind;
    uint32_t index; // variable, param or table
    const ikati_builtin *builtin;
} ikati_meaning;

ikati_meaning ikati_name_meaning(const ikati_symbols *symbols, const char *name, size_t length);

#endif
