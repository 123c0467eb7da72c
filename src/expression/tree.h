// Building the tree of an expression from the leaves up, checking types on the way. For the files
// of this folder.

#ifndef IKATI_TREE_H
#define IKATI_TREE_H

#include "lexer.h"
#include "symbols.h"

// A part of the text that is parsed: its node and where it starts.
typedef struct ikati_part {
    uint32_t node;
    uint32_t start;
} ikati_part;

// `tree->nodes` has room for all.
typedef struct ikati_builder {
    const ikati_source *source;
    const ikati_symbols *symbols;
    ikati_expression *tree;
} ikati_builder;

// A binary operator.
//
// chains     a op b op c is (a op b) op c; else it is an error
// swaps      is computed as b op a
typedef struct ikati_operator {
    uint32_t token;
    const char *text;
    uint8_t precedence; // binds the tighter, the higher
    bool chains, swaps;
    int on_ints, on_floats; // as in ikati_builtin
} ikati_operator;

// NULL for a token that is no binary operator.
const ikati_operator *ikati_operator_find(uint32_t token);

// All log what is wrong and return IKAT_INVALID. Operands are replaced by the result: the first one.
ikat_status ikati_build_number(ikati_builder *builder, const ikati_token *token, ikati_part *out);
// A name that is a value by itself.
ikat_status ikati_build_name(ikati_builder *builder, const ikati_token *token,
                             const ikati_meaning *meaning, ikati_part *out);
// `token`: '-', '+' or '!', at `start`.
ikat_status ikati_build_unary(ikati_builder *builder, uint32_t token, uint32_t start,
                              ikati_part *operand);
ikat_status ikati_build_binary(ikati_builder *builder, const ikati_operator *binary,
                               ikati_part operands[2]);
// condition ? a : b.
ikat_status ikati_build_select(ikati_builder *builder, ikati_part operands[3]);
ikat_status ikati_build_call(ikati_builder *builder, const ikati_builtin *builtin, uint32_t start,
                             ikati_part operands[]);
// One index of a table: from axis 1 on operands[0] is the position so far, operands[1] the index.
ikat_status ikati_build_index(ikati_builder *builder, uint32_t table, uint32_t axis,
                              ikati_part operands[]);
void ikati_build_load(ikati_builder *builder, uint32_t table, uint32_t start, ikati_part *position);
// The whole: what a score gives is a float.
void ikati_build_root(ikati_builder *builder, ikati_part *operand);

#endif
