// The value of an expression at one pair.

#include "arithmetic.h"

#include <math.h>

typedef ikati_expression_value value;

static value of_int(int32_t integer) { return (value){.integer = integer}; }
static value of_float(double number) { return (value){.number = number}; }

static value apply_to_ints(ikati_operation operation, int32_t a, int32_t b) {
    switch (operation) {
    case IKATI_OP_NEGATE: return of_int(ikati_int_negate(a));
    case IKATI_OP_NOT: return of_int(a == 0);
    case IKATI_OP_ABS: return of_int(ikati_int_abs(a));
    case IKATI_OP_ADD: return of_int(ikati_int_add(a, b));
    case IKATI_OP_SUBTRACT: return of_int(ikati_int_subtract(a, b));
    case IKATI_OP_MULTIPLY: return of_int(ikati_int_multiply(a, b));
    case IKATI_OP_DIVIDE: return of_int(ikati_int_divide(a, b));
    case IKATI_OP_REMAINDER: return of_int(ikati_int_remainder(a, b));
    case IKATI_OP_FLOOR_DIVIDE: return of_int(ikati_int_floor_divide(a, b));
    case IKATI_OP_MODULO: return of_int(ikati_int_modulo(a, b));
    case IKATI_OP_MIN: return of_int(a < b ? a : b);
    case IKATI_OP_MAX: return of_int(a > b ? a : b);
    case IKATI_OP_LESS: return of_int(a < b);
    case IKATI_OP_LESS_EQUAL: return of_int(a <= b);
    case IKATI_OP_EQUAL: return of_int(a == b);
    case IKATI_OP_NOT_EQUAL: return of_int(a != b);
    case IKATI_OP_AND: return of_int(a != 0 && b != 0);
    case IKATI_OP_OR: return of_int(a != 0 || b != 0);
    default: return of_float(a); // IKATI_OP_TO_FLOAT
    }
}

static value apply_to_floats(ikati_operation operation, double a, double b) {
    switch (operation) {
    case IKATI_OP_FLOAT_NEGATE: return of_float(-a);
    case IKATI_OP_FLOAT_ABS: return of_float(fabs(a));
    case IKATI_OP_FLOAT_ADD: return of_float(a + b);
    case IKATI_OP_FLOAT_SUBTRACT: return of_float(a - b);
    case IKATI_OP_FLOAT_MULTIPLY: return of_float(a * b);
    case IKATI_OP_FLOAT_DIVIDE: return of_float(a / b);
    case IKATI_OP_FLOAT_MIN: return of_float(a < b ? a : b);
    case IKATI_OP_FLOAT_MAX: return of_float(a > b ? a : b);
    case IKATI_OP_FLOAT_LESS: return of_int(a < b);
    case IKATI_OP_FLOAT_LESS_EQUAL: return of_int(a <= b);
    case IKATI_OP_FLOAT_EQUAL: return of_int(a == b);
    case IKATI_OP_FLOAT_NOT_EQUAL: return of_int(a != b);
    case IKATI_OP_EXP: return of_float(exp(a));
    case IKATI_OP_LOG: return of_float(log(a));
    case IKATI_OP_SQRT: return of_float(sqrt(a));
    case IKATI_OP_TANH: return of_float(tanh(a));
    case IKATI_OP_SIN: return of_float(sin(a));
    case IKATI_OP_COS: return of_float(cos(a));
    case IKATI_OP_FLOOR: return of_float(floor(a));
    default: return of_int(ikati_int_of_float(a)); // IKATI_OP_TO_INT
    }
}

ikati_expression_value ikati_operation_apply(ikati_operation operation, ikati_expression_value a,
                                             ikati_expression_value b, ikati_expression_value c) {
    if (operation == IKATI_OP_SELECT || operation == IKATI_OP_FLOAT_SELECT) {
        return a.integer != 0 ? b : c;
    }
    const bool on_ints = operation < IKATI_OP_TO_INT || operation == IKATI_OP_TO_FLOAT;
    return on_ints ? apply_to_ints(operation, a.integer, b.integer)
                   : apply_to_floats(operation, a.number, b.number);
}

// position: of an entry, or -1.
static value load(const ikati_expression_table *table, int32_t position) {
    if (table->type == IKATI_TYPE_INT) {
        return of_int(position < 0 ? 0 : ((const int32_t *)table->data)[position]);
    }
    return of_float(position < 0 ? 0 : ((const float *)table->data)[position]);
}

static value apply_node(const ikati_node *node, const ikati_symbols *symbols, const value *values) {
    value operands[3] = {{0}, {0}, {0}};
    const uint32_t num = ikati_operation_operands((ikati_operation)node->operation);
    for (uint32_t k = 0; k < num; k++) {
        operands[k] = values[node->operands[k]];
    }
    switch (node->operation) {
    case IKATI_OP_INDEX:
    case IKATI_OP_INDEX_NEXT:
        return of_int(ikati_table_step(num == 1 ? 0 : operands[0].integer,
                                       symbols->tables[node->index].shape[node->axis],
                                       operands[num - 1].integer));
    case IKATI_OP_LOAD_INT:
    case IKATI_OP_LOAD_FLOAT: return load(&symbols->tables[node->index], operands[0].integer);
    default:
        return ikati_operation_apply((ikati_operation)node->operation, operands[0], operands[1],
                                     operands[2]);
    }
}

ikati_expression_value ikati_expression_evaluate(const ikati_expression *expression,
                                                 const ikati_symbols *symbols,
                                                 const ikati_place place, double score,
                                                 ikati_expression_value *values) {
    for (uint32_t n = 0; n < expression->num_nodes; n++) {
        const ikati_node *node = &expression->nodes[n];
        switch (node->operation) {
        case IKATI_OP_INT: values[n] = of_int(node->integer); break;
        case IKATI_OP_FLOAT: values[n] = of_float(node->number); break;
        case IKATI_OP_VARIABLE: values[n] = of_int(place[node->index]); break;
        case IKATI_OP_SCORE: values[n] = of_float(score); break;
        case IKATI_OP_PARAM_INT: values[n] = of_int(symbols->params[node->index].integer); break;
        case IKATI_OP_PARAM_FLOAT: values[n] = of_float(symbols->params[node->index].number); break;
        default: values[n] = apply_node(node, symbols, values); break;
        }
    }
    return values[expression->num_nodes - 1];
}
