#include "tree.h"

#include <math.h>

static const ikati_operator operators[] = {
    {IKATI_TOKEN_OR, "||", 1, true, false, IKATI_OP_OR, IKATI_NOT_THERE},
    {IKATI_TOKEN_AND, "&&", 2, true, false, IKATI_OP_AND, IKATI_NOT_THERE},
    {IKATI_TOKEN_EQUAL, "==", 3, false, false, IKATI_OP_EQUAL, IKATI_OP_FLOAT_EQUAL},
    {IKATI_TOKEN_NOT_EQUAL, "!=", 3, false, false, IKATI_OP_NOT_EQUAL, IKATI_OP_FLOAT_NOT_EQUAL},
    {'<', "<", 4, false, false, IKATI_OP_LESS, IKATI_OP_FLOAT_LESS},
    {'>', ">", 4, false, true, IKATI_OP_LESS, IKATI_OP_FLOAT_LESS},
    {IKATI_TOKEN_LESS_EQUAL, "<=", 4, false, false, IKATI_OP_LESS_EQUAL, IKATI_OP_FLOAT_LESS_EQUAL},
    {IKATI_TOKEN_GREATER_EQUAL, ">=", 4, false, true, IKATI_OP_LESS_EQUAL,
     IKATI_OP_FLOAT_LESS_EQUAL},
    {'+', "+", 5, true, false, IKATI_OP_ADD, IKATI_OP_FLOAT_ADD},
    {'-', "-", 5, true, false, IKATI_OP_SUBTRACT, IKATI_OP_FLOAT_SUBTRACT},
    {'*', "*", 6, true, false, IKATI_OP_MULTIPLY, IKATI_OP_FLOAT_MULTIPLY},
    {'/', "/", 6, true, false, IKATI_OP_DIVIDE, IKATI_OP_FLOAT_DIVIDE},
    {'%', "%", 6, true, false, IKATI_OP_MODULO, IKATI_NOT_THERE},
};

const ikati_operator *ikati_operator_find(uint32_t token) {
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (operators[i].token == token) {
            return &operators[i];
        }
    }
    return NULL;
}

ikati_expression_type ikati_operation_type(ikati_operation operation) {
    static const uint8_t types[] = {
#define X(number, name, type, num_operands) [number] = IKATI_TYPE_##type,
        EXPRESSION_OPERATIONS(X)
#undef X
    };
    return (ikati_expression_type)types[operation];
}

uint32_t ikati_operation_operands(ikati_operation operation) {
    static const uint8_t counts[] = {
#define X(number, name, type, num_operands) [number] = num_operands,
        EXPRESSION_OPERATIONS(X)
#undef X
    };
    return counts[operation];
}

static uint32_t add_node(ikati_builder *builder, ikati_node node) {
    builder->tree->nodes[builder->tree->num_nodes] = node;
    return builder->tree->num_nodes++;
}

static ikati_expression_type type_of(const ikati_builder *builder, const ikati_part *operand) {
    return ikati_operation_type((ikati_operation)builder->tree->nodes[operand->node].operation);
}

static void convert_to_float(ikati_builder *builder, ikati_part *operand) {
    if (type_of(builder, operand) == IKATI_TYPE_INT) {
        operand->node = add_node(
            builder, (ikati_node){.operation = IKATI_OP_TO_FLOAT, .operands = {operand->node}});
    }
}

// If one of the two is a float, both become one.
static ikati_expression_type unify(ikati_builder *builder, ikati_part *a, ikati_part *b) {
    const ikati_expression_type type = type_of(builder, a);
    if (type == type_of(builder, b)) {
        return type;
    }
    convert_to_float(builder, a);
    convert_to_float(builder, b);
    return IKATI_TYPE_FLOAT;
}

static ikat_status require_int(const ikati_builder *builder, const ikati_part *operand,
                               const char *user) {
    if (type_of(builder, operand) == IKATI_TYPE_INT) {
        return IKAT_OK;
    }
    return ikati_source_fail(builder->source, operand->start, IKAT_MESSAGE_DTYPE,
                             "found a float, expected an int for '%s'", user);
}

// Masks have nothing that is a float.
static ikat_status require_score(const ikati_builder *builder, uint32_t start, const char *found) {
    if (builder->tree->kind == IKATI_EXPRESSION_SCORE) {
        return IKAT_OK;
    }
    return ikati_source_fail(builder->source, start, IKAT_MESSAGE_DTYPE,
                             "found %s, expected ints only in a mask", found);
}

ikat_status ikati_build_number(ikati_builder *builder, const ikati_token *token, ikati_part *out) {
    out->start = token->start;
    if (token->kind == IKATI_TOKEN_INTEGER) {
        out->node =
            add_node(builder, (ikati_node){.operation = IKATI_OP_INT, .integer = token->integer});
        return IKAT_OK;
    }
    out->node =
        add_node(builder, (ikati_node){.operation = IKATI_OP_FLOAT, .number = token->number});
    return require_score(builder, token->start, "a float");
}

ikat_status ikati_build_name(ikati_builder *builder, const ikati_token *token,
                             const ikati_meaning *meaning, ikati_part *out) {
    ikat_status status = IKAT_OK;
    ikati_node node = {.index = meaning->index};
    if (meaning->kind == IKATI_MEANS_VARIABLE) {
        node.operation = IKATI_OP_VARIABLE;
        builder->tree->variables |= 1u << meaning->index;
    } else if (meaning->kind == IKATI_MEANS_SCORE) {
        node.operation = IKATI_OP_SCORE;
        status = require_score(builder, token->start, "'score'");
    } else if (meaning->kind == IKATI_MEANS_INFINITY) {
        node = (ikati_node){.operation = IKATI_OP_FLOAT, .number = INFINITY};
        status = require_score(builder, token->start, "'inf'");
    } else if (builder->symbols->params[meaning->index].type == IKATI_TYPE_INT) {
        node.operation = IKATI_OP_PARAM_INT;
    } else {
        node.operation = IKATI_OP_PARAM_FLOAT;
        status = require_score(builder, token->start, "a parameter that is a float");
    }
    *out = (ikati_part){.node = add_node(builder, node), .start = token->start};
    return status;
}

ikat_status ikati_build_unary(ikati_builder *builder, uint32_t token, uint32_t start,
                              ikati_part *operand) {
    const bool is_float = type_of(builder, operand) == IKATI_TYPE_FLOAT;
    ikati_node node = {.operands = {operand->node}};
    if (token == '!') {
        const ikat_status status = require_int(builder, operand, "!");
        if (status != IKAT_OK) {
            return status;
        }
        node.operation = IKATI_OP_NOT;
    } else {
        node.operation = is_float ? IKATI_OP_FLOAT_NEGATE : IKATI_OP_NEGATE;
    }
    operand->start = start;
    operand->node = token == '+' ? operand->node : add_node(builder, node);
    return IKAT_OK;
}

ikat_status ikati_build_binary(ikati_builder *builder, const ikati_operator *binary,
                               ikati_part operands[2]) {
    int operation = binary->on_ints;
    if (binary->on_floats == IKATI_NOT_THERE) {
        for (uint32_t k = 0; k < 2; k++) {
            const ikat_status status = require_int(builder, &operands[k], binary->text);
            if (status != IKAT_OK) {
                return status;
            }
        }
    } else if (unify(builder, &operands[0], &operands[1]) == IKATI_TYPE_FLOAT) {
        operation = binary->on_floats;
    }
    const uint32_t first = binary->swaps ? 1 : 0;
    operands[0].node = add_node(
        builder, (ikati_node){.operation = (uint8_t)operation,
                              .operands = {operands[first].node, operands[1 - first].node}});
    return IKAT_OK;
}

ikat_status ikati_build_select(ikati_builder *builder, ikati_part operands[3]) {
    const ikat_status status = require_int(builder, &operands[0], "?:");
    if (status != IKAT_OK) {
        return status;
    }
    const bool is_float = unify(builder, &operands[1], &operands[2]) == IKATI_TYPE_FLOAT;
    operands[0].node = add_node(
        builder, (ikati_node){.operation = is_float ? IKATI_OP_FLOAT_SELECT : IKATI_OP_SELECT,
                              .operands = {operands[0].node, operands[1].node, operands[2].node}});
    return IKAT_OK;
}

// Brings the operands of a function to one type that it works on.
static ikat_status resolve_call(ikati_builder *builder, const ikati_builtin *builtin,
                                ikati_part operands[], int *out_operation) {
    const uint32_t last = builtin->num_operands - 1;
    for (uint32_t k = 0; k <= last; k++) {
        if (builtin->on_floats == IKATI_NOT_THERE) {
            const ikat_status status = require_int(builder, &operands[k], builtin->name);
            if (status != IKAT_OK) {
                return status;
            }
        } else if (builtin->on_ints == IKATI_NOT_THERE) {
            convert_to_float(builder, &operands[k]);
        }
    }
    *out_operation = unify(builder, &operands[0], &operands[last]) == IKATI_TYPE_INT
                         ? builtin->on_ints
                         : builtin->on_floats;
    return IKAT_OK;
}

ikat_status ikati_build_call(ikati_builder *builder, const ikati_builtin *builtin, uint32_t start,
                             ikati_part operands[]) {
    int operation = IKATI_NO_CHANGE;
    const ikat_status status = resolve_call(builder, builtin, operands, &operation);
    if (status != IKAT_OK) {
        return status;
    }
    operands[0].start = start;
    if (operation == IKATI_NO_CHANGE) {
        return IKAT_OK;
    }
    ikati_node node = {.operation = (uint8_t)operation, .operands = {operands[0].node}};
    if (builtin->num_operands == 2) {
        node.operands[1] = operands[1].node;
    }
    operands[0].node = add_node(builder, node);
    return IKAT_OK;
}

ikat_status ikati_build_index(ikati_builder *builder, uint32_t table, uint32_t axis,
                              ikati_part operands[]) {
    const uint32_t index = axis == 0 ? 0 : 1;
    const ikat_status status = require_int(builder, &operands[index], "[]");
    if (status != IKAT_OK) {
        return status;
    }
    ikati_node node = {.operation = axis == 0 ? IKATI_OP_INDEX : IKATI_OP_INDEX_NEXT,
                       .axis = (uint8_t)axis,
                       .index = table,
                       .operands = {operands[0].node}};
    if (axis > 0) {
        node.operands[1] = operands[1].node;
    }
    operands[0].node = add_node(builder, node);
    return IKAT_OK;
}

void ikati_build_load(ikati_builder *builder, uint32_t table, uint32_t start,
                      ikati_part *position) {
    const bool is_int = builder->symbols->tables[table].type == IKATI_TYPE_INT;
    const ikati_node node = {.operation = is_int ? IKATI_OP_LOAD_INT : IKATI_OP_LOAD_FLOAT,
                             .index = table,
                             .operands = {position->node}};
    *position = (ikati_part){.node = add_node(builder, node), .start = start};
}

void ikati_build_root(ikati_builder *builder, ikati_part *operand) {
    if (builder->tree->kind == IKATI_EXPRESSION_SCORE) {
        convert_to_float(builder, operand);
    }
}
