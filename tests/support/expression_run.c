// The stack machine of expression bytecode, written as a kernel would write it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "expressions.h"
#include "src/expression/arithmetic.h"

typedef ikati_expression_value value;

static double float_of_bits(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static value value_of_bits(uint32_t bits, ikati_expression_type type) {
    return type == IKATI_TYPE_INT ? (value){.integer = (int32_t)bits}
                                  : (value){.number = float_of_bits(bits)};
}

// `constant`: the word after the instruction, for the operations that have one.
static value run_instruction(uint32_t word, uint32_t constant, const uint32_t *words,
                             const ikati_place place, double score, const value operands[3]) {
    const ikati_operation operation = (ikati_operation)(word & 0xff);
    const ikati_expression_type type = ikati_operation_type(operation);
    const uint32_t argument = word >> IKATI_BYTECODE_ARGUMENT_SHIFT;
    switch (operation) {
    case IKATI_OP_INT:
    case IKATI_OP_FLOAT: return value_of_bits(constant, type);
    case IKATI_OP_VARIABLE: return (value){.integer = place[argument]};
    case IKATI_OP_SCORE: return (value){.number = score};
    case IKATI_OP_PARAM_INT:
    case IKATI_OP_PARAM_FLOAT: return value_of_bits(words[argument], type);
    case IKATI_OP_INDEX:
        return (value){.integer =
                           ikati_table_step(0, (int32_t)words[argument], operands[0].integer)};
    case IKATI_OP_INDEX_NEXT:
        return (value){.integer = ikati_table_step(operands[0].integer, (int32_t)words[argument],
                                                   operands[1].integer)};
    case IKATI_OP_LOAD_INT:
    case IKATI_OP_LOAD_FLOAT: {
        const int32_t position = operands[0].integer;
        return value_of_bits(position < 0 ? 0 : words[words[argument] + (uint32_t)position], type);
    }
    default: return ikati_operation_apply(operation, operands[0], operands[1], operands[2]);
    }
}

ikati_expression_value run_bytecode(const ikati_bytecode *bytecode, const uint32_t *words,
                                    const ikati_place place, double score) {
    value stack[IKATI_MAX_EXPRESSION_STACK];
    uint32_t depth = 0, deepest = 0;
    for (uint32_t at = 0; at < bytecode->num_words; at++) {
        const uint32_t word = bytecode->words[at];
        const ikati_operation operation = (ikati_operation)(word & 0xff);
        const uint32_t num = word >> IKATI_BYTECODE_COUNT_SHIFT & 3u;
        assert_true(num == ikati_operation_operands(operation) && depth >= num);
        depth -= num;
        value operands[3] = {{0}, {0}, {0}};
        for (uint32_t k = 0; k < num; k++) {
            const uint32_t slot =
                word >> (IKATI_BYTECODE_SLOT_SHIFT + IKATI_BYTECODE_SLOT_BITS * k) & 3u;
            assert_true(slot < num);
            operands[k] = stack[depth + slot];
        }
        const bool constant = operation == IKATI_OP_INT || operation == IKATI_OP_FLOAT;
        at += constant;
        assert_true(at < bytecode->num_words && depth < bytecode->stack_depth);
        stack[depth++] = run_instruction(word, bytecode->words[at], words, place, score, operands);
        deepest = depth > deepest ? depth : deepest;
    }
    assert_true(depth == 1 && deepest == bytecode->stack_depth);
    return stack[0];
}
