// A tree to the text of a function, in the words that GLSL and OpenCL C share.
//
// One statement an operation, so that the depth of the tree is none of the text. What the two
// languages define differently, or not at all, is called by name: shaders/*/lib/expression.*.

#include "expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// How an operation is written: $0, $1, $2 are its operands, # is its number (node_number).
static const char *const templates[IKATI_NUM_OPERATIONS] = {
    [IKATI_OP_INT] = "#",
    [IKATI_OP_FLOAT] = "float_of_bits(#)",
    [IKATI_OP_VARIABLE] = "at.#",
    [IKATI_OP_SCORE] = "score",
    [IKATI_OP_PARAM_INT] = "EXPRESSION_WORD(#)",
    [IKATI_OP_PARAM_FLOAT] = "float_of_bits(EXPRESSION_WORD(#))",
    [IKATI_OP_INDEX] = "table_step(0, EXPRESSION_WORD(#), $0)",
    [IKATI_OP_INDEX_NEXT] = "table_step($0, EXPRESSION_WORD(#), $1)",
    [IKATI_OP_LOAD_INT] = "EXPRESSION_ENTRY(#, $0)",
    [IKATI_OP_LOAD_FLOAT] = "float_of_bits(EXPRESSION_ENTRY(#, $0))",
    [IKATI_OP_NEGATE] = "int_subtract(0, $0)",
    [IKATI_OP_NOT] = "($0 == 0 ? 1 : 0)",
    [IKATI_OP_ABS] = "($0 < 0 ? int_subtract(0, $0) : $0)",
    [IKATI_OP_ADD] = "int_add($0, $1)",
    [IKATI_OP_SUBTRACT] = "int_subtract($0, $1)",
    [IKATI_OP_MULTIPLY] = "int_multiply($0, $1)",
    [IKATI_OP_DIVIDE] = "int_divide($0, $1)",
    [IKATI_OP_REMAINDER] = "int_remainder($0, $1)",
    [IKATI_OP_FLOOR_DIVIDE] = "int_floor_divide($0, $1)",
    [IKATI_OP_MODULO] = "int_modulo($0, $1)",
    [IKATI_OP_MIN] = "($0 < $1 ? $0 : $1)",
    [IKATI_OP_MAX] = "($0 > $1 ? $0 : $1)",
    [IKATI_OP_LESS] = "($0 < $1 ? 1 : 0)",
    [IKATI_OP_LESS_EQUAL] = "($0 <= $1 ? 1 : 0)",
    [IKATI_OP_EQUAL] = "($0 == $1 ? 1 : 0)",
    [IKATI_OP_NOT_EQUAL] = "($0 != $1 ? 1 : 0)",
    [IKATI_OP_AND] = "($0 != 0 && $1 != 0 ? 1 : 0)",
    [IKATI_OP_OR] = "($0 != 0 || $1 != 0 ? 1 : 0)",
    [IKATI_OP_SELECT] = "($0 != 0 ? $1 : $2)",
    [IKATI_OP_TO_INT] = "int_of_float($0)",
    [IKATI_OP_TO_FLOAT] = "float_of_int($0)",
    [IKATI_OP_FLOAT_NEGATE] = "-$0",
    [IKATI_OP_FLOAT_ABS] = "float_abs($0)",
    [IKATI_OP_FLOAT_ADD] = "$0 + $1",
    [IKATI_OP_FLOAT_SUBTRACT] = "$0 - $1",
    [IKATI_OP_FLOAT_MULTIPLY] = "$0 * $1",
    [IKATI_OP_FLOAT_DIVIDE] = "$0 / $1",
    [IKATI_OP_FLOAT_MIN] = "($0 < $1 ? $0 : $1)",
    [IKATI_OP_FLOAT_MAX] = "($0 > $1 ? $0 : $1)",
    [IKATI_OP_FLOAT_LESS] = "($0 < $1 ? 1 : 0)",
    [IKATI_OP_FLOAT_LESS_EQUAL] = "($0 <= $1 ? 1 : 0)",
    [IKATI_OP_FLOAT_EQUAL] = "($0 == $1 ? 1 : 0)",
    [IKATI_OP_FLOAT_NOT_EQUAL] = "($0 == $1 ? 0 : 1)", // 1 for NaN
    [IKATI_OP_FLOAT_SELECT] = "($0 != 0 ? $1 : $2)",
    [IKATI_OP_EXP] = "float_exp($0)",
    [IKATI_OP_LOG] = "float_log($0)",
    [IKATI_OP_SQRT] = "float_sqrt($0)",
    [IKATI_OP_TANH] = "float_tanh($0)",
    [IKATI_OP_SIN] = "float_sin($0)",
    [IKATI_OP_COS] = "float_cos($0)",
    [IKATI_OP_FLOOR] = "float_floor($0)",
};

// Text that grows. Once memory has run out nothing more is written.
typedef struct writer {
    const ikati_host *host;
    const ikati_expression *expression;
    uint32_t num_params;
    char *text;
    size_t length, capacity;
    bool failed;
} writer;

static void write_text(writer *w, const char *text, size_t length) {
    if (!w->failed && w->length + length + 1 > w->capacity) {
        const size_t capacity = 2 * (w->length + length + 1);
        char *grown = ikati_resize(w->host, w->text, capacity, 1);
        w->failed = !grown;
        w->text = grown ? grown : w->text;
        w->capacity = grown ? capacity : w->capacity;
    }
    if (!w->failed) {
        memcpy(w->text + w->length, text, length);
        w->length += length;
        w->text[w->length] = 0;
    }
}

static void write_string(writer *w, const char *text) { write_text(w, text, strlen(text)); }

// What stands for '#': the constant, the name of the variable, or a place among the words of
// ikati_symbols_pack.
static void write_number(writer *w, const ikati_node *node) {
    static const char *const variables[] = {
#define X(number, name, text) [number] = #text,
        EXPRESSION_VARIABLES(X)
#undef X
    };
    const uint32_t block = w->num_params + node->index * IKATI_TABLE_WORDS;
    char text[32];
    uint32_t bits;
    switch (node->operation) {
    case IKATI_OP_INT: snprintf(text, sizeof(text), "%" PRId32, node->integer); break;
    case IKATI_OP_FLOAT: // never negative: fits an int
        memcpy(&bits, &node->number, sizeof(bits));
        snprintf(text, sizeof(text), "0x%08" PRIx32, bits);
        break;
    case IKATI_OP_VARIABLE: snprintf(text, sizeof(text), "%s", variables[node->index]); break;
    case IKATI_OP_INDEX:
    case IKATI_OP_INDEX_NEXT:
        snprintf(text, sizeof(text), "%" PRIu32, block + 1 + node->axis);
        break;
    case IKATI_OP_LOAD_INT:
    case IKATI_OP_LOAD_FLOAT: snprintf(text, sizeof(text), "%" PRIu32, block); break;
    default: snprintf(text, sizeof(text), "%" PRIu32, node->index); break;
    }
    write_string(w, text);
}

static bool is_leaf(const ikati_node *node) {
    return ikati_operation_operands((ikati_operation)node->operation) == 0;
}

// A value that is used: of leaves themselves, of operations the statement that computed it.
static void write_value(writer *w, uint32_t n);

static void write_operation(writer *w, const ikati_node *node) {
    for (const char *c = templates[node->operation]; *c; c++) {
        if (*c == '#') {
            write_number(w, node);
        } else if (*c == '$') {
            c++;
            write_value(w, node->operands[*c - '0']);
        } else {
            write_text(w, c, 1);
        }
    }
}

static void write_value(writer *w, uint32_t n) {
    const ikati_node *node = &w->expression->nodes[n];
    if (is_leaf(node)) {
        write_operation(w, node);
        return;
    }
    char name[16];
    snprintf(name, sizeof(name), "t%" PRIu32, n);
    write_string(w, name);
}

static void write_statement(writer *w, uint32_t n) {
    const ikati_node *node = &w->expression->nodes[n];
    const bool is_int = ikati_operation_type((ikati_operation)node->operation) == IKATI_TYPE_INT;
    write_string(w, is_int ? "    int " : "    EXPRESSION_FLOAT ");
    write_value(w, n);
    write_string(w, " = ");
    write_operation(w, node);
    write_string(w, ";\n");
}

ikat_status ikati_expression_emit(const ikati_host *host, const ikati_expression *expression,
                                  const ikati_symbols *symbols, char **out_text) {
    writer w = {.host = host, .expression = expression, .num_params = symbols->num_params};
    write_string(&w, expression->kind == IKATI_EXPRESSION_MASK
                         ? "int expression_mask(EXPRESSION_PLACE) {\n"
                         : "float expression_score(EXPRESSION_PLACE, float score) {\n");
    for (uint32_t n = 0; n < expression->num_nodes; n++) {
        if (!is_leaf(&expression->nodes[n])) {
            write_statement(&w, n);
        }
    }
    write_string(&w, "    return ");
    write_value(&w, expression->num_nodes - 1);
    write_string(&w, ";\n}\n");
    if (w.failed) {
        ikati_free(host, w.text);
        w.text = NULL;
    }
    *out_text = w.text;
    return w.text ? IKAT_OK : IKAT_NO_MEMORY;
}
