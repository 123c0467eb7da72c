// A tree to bytecode for a stack machine (expression.h).
//
// Of the operands of an operation, the one that needs the deepest stack is computed first, while
// nothing else lies there (Sethi and Ullman, The Generation of Optimal Code for Arithmetic
// Expressions, JACM 1970): the depth is logarithmic in the length of the text.

#include "expression.h"

#include <assert.h>
#include <string.h>

typedef struct compiler {
    const ikati_expression *expression;
    uint32_t num_params;
    uint8_t *depths; // of the stack, a node
    uint32_t *stack; // nodes still to be written
    uint32_t *words;
    uint32_t position; // words are written from the end: the first one that is
} compiler;

// The order in which operands are computed: the deepest first, else as they come.
static void order_operands(const ikati_node *node, uint32_t num, const uint8_t *depths,
                           uint32_t order[3]) {
    for (uint32_t k = 0; k < num; k++) {
        uint32_t place = k;
        while (place > 0 && depths[node->operands[order[place - 1]]] < depths[node->operands[k]]) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = k;
    }
}

static void measure_depths(compiler *c) {
    for (uint32_t n = 0; n < c->expression->num_nodes; n++) {
        const ikati_node *node = &c->expression->nodes[n];
        const uint32_t num = ikati_operation_operands((ikati_operation)node->operation);
        uint32_t order[3] = {0, 1, 2}, depth = 1;
        order_operands(node, num, c->depths, order);
        for (uint32_t k = 0; k < num; k++) {
            const uint32_t needed = c->depths[node->operands[order[k]]] + k;
            depth = needed > depth ? needed : depth;
        }
        assert(depth <= IKATI_MAX_EXPRESSION_STACK);
        c->depths[n] = (uint8_t)depth;
    }
}

static bool has_constant(const ikati_node *node) {
    return node->operation == IKATI_OP_INT || node->operation == IKATI_OP_FLOAT;
}

static uint32_t argument_of(const compiler *c, const ikati_node *node) {
    const uint32_t block = c->num_params + node->index * IKATI_TABLE_WORDS;
    switch (node->operation) {
    case IKATI_OP_VARIABLE:
    case IKATI_OP_PARAM_INT:
    case IKATI_OP_PARAM_FLOAT: return node->index;
    case IKATI_OP_INDEX:
    case IKATI_OP_INDEX_NEXT: return block + 1 + node->axis;
    case IKATI_OP_LOAD_INT:
    case IKATI_OP_LOAD_FLOAT: return block;
    default: return 0;
    }
}

// Writes a node before what is written; its operands come before it, the last computed one next.
static uint32_t write_node(compiler *c, const ikati_node *node, uint32_t num_waiting) {
    if (has_constant(node)) {
        memcpy(&c->words[--c->position], &node->integer, sizeof(*c->words)); // or number
    }
    uint32_t order[3] = {0, 1, 2};
    const uint32_t num = ikati_operation_operands((ikati_operation)node->operation);
    uint32_t word = node->operation | num << IKATI_BYTECODE_COUNT_SHIFT |
                    argument_of(c, node) << IKATI_BYTECODE_ARGUMENT_SHIFT;
    order_operands(node, num, c->depths, order);
    for (uint32_t slot = 0; slot < num; slot++) {
        const uint32_t shift = IKATI_BYTECODE_SLOT_SHIFT + IKATI_BYTECODE_SLOT_BITS * order[slot];
        word |= slot << shift;
        c->stack[num_waiting++] = node->operands[order[slot]];
    }
    c->words[--c->position] = word;
    return num_waiting;
}

static void write_program(compiler *c) {
    uint32_t num_waiting = 1;
    c->stack[0] = c->expression->num_nodes - 1;
    while (num_waiting > 0) {
        const ikati_node *node = &c->expression->nodes[c->stack[--num_waiting]];
        num_waiting = write_node(c, node, num_waiting);
    }
    assert(c->position == 0);
}

ikat_status ikati_expression_compile(const ikati_host *host, const ikati_expression *expression,
                                     const ikati_symbols *symbols, ikati_bytecode *out_bytecode) {
    const uint32_t num_nodes = expression->num_nodes;
    compiler c = {.expression = expression, .num_params = symbols->num_params};
    c.position = num_nodes;
    for (uint32_t n = 0; n < num_nodes; n++) {
        c.position += has_constant(&expression->nodes[n]);
    }
    *out_bytecode = (ikati_bytecode){.num_words = c.position};
    c.depths = ikati_alloc(host, num_nodes, sizeof(*c.depths));
    c.stack = ikati_alloc(host, num_nodes, sizeof(*c.stack));
    c.words = ikati_alloc(host, out_bytecode->num_words, sizeof(*c.words));
    out_bytecode->words = c.words;
    const bool allocated = c.depths && c.stack && c.words;
    if (allocated) {
        measure_depths(&c);
        write_program(&c);
        out_bytecode->stack_depth = c.depths[num_nodes - 1];
    } else {
        ikati_bytecode_clear(host, out_bytecode);
    }
    ikati_free(host, c.stack);
    ikati_free(host, c.depths);
    return allocated ? IKAT_OK : IKAT_NO_MEMORY;
}

void ikati_bytecode_clear(const ikati_host *host, ikati_bytecode *bytecode) {
    ikati_free(host, bytecode->words);
    *bytecode = (ikati_bytecode){0};
}
