// Runs expression bytecode (src/expression/expression.h) on one pair, in the words that GLSL and
// OpenCL C share. After lib/expression.glsl or lib/expression.cl, of which it needs all.
//
// A program is `count` words from EXPRESSION_WORD(first) on: programs lie behind what
// ikati_symbols_pack wrote. The value is that of a mask, or the bits of a score's.
//
// EXPRESSION_STACK(k), word k of the stack, may be defined before this file: to keep the stack out of
// private memory, where an array that a loop indexes is slow on GPUs. EXPRESSION_STACK_WORDS of them
// are enough for any program.

#ifndef EXPRESSION_STACK
#define EXPRESSION_STACK(k) stack[k]
#define EXPRESSION_OWN_STACK
#endif

// The order of EXPRESSION_VARIABLES.
int variable_of_place(const Place at, int variable) {
    switch (variable) {
    case VARIABLE_I: return at.i;
    case VARIABLE_J: return at.j;
    case VARIABLE_H: return at.h;
    case VARIABLE_B: return at.b;
    case VARIABLE_N: return at.n;
    case VARIABLE_M: return at.m;
    case VARIABLE_LEN: return at.len;
    default: return at.qlen;
    }
}

int apply_to_ints(int operation, int a, int b, int c) {
    switch (operation) {
    case OP_NEGATE: return int_subtract(0, a);
    case OP_NOT: return a == 0 ? 1 : 0;
    case OP_ABS: return a < 0 ? int_subtract(0, a) : a;
    case OP_ADD: return int_add(a, b);
    case OP_SUBTRACT: return int_subtract(a, b);
    case OP_MULTIPLY: return int_multiply(a, b);
    case OP_DIVIDE: return int_divide(a, b);
    case OP_REMAINDER: return int_remainder(a, b);
    case OP_FLOOR_DIVIDE: return int_floor_divide(a, b);
    case OP_MODULO: return int_modulo(a, b);
    case OP_MIN: return a < b ? a : b;
    case OP_MAX: return a > b ? a : b;
    case OP_LESS: return a < b ? 1 : 0;
    case OP_LESS_EQUAL: return a <= b ? 1 : 0;
    case OP_EQUAL: return a == b ? 1 : 0;
    case OP_NOT_EQUAL: return a != b ? 1 : 0;
    case OP_AND: return a != 0 && b != 0 ? 1 : 0;
    case OP_OR: return a != 0 || b != 0 ? 1 : 0;
    default: return a != 0 ? b : c; // OP_SELECT, OP_FLOAT_SELECT
    }
}

float apply_to_floats(int operation, float a, float b) {
    switch (operation) {
    case OP_FLOAT_NEGATE: return -a;
    case OP_FLOAT_ABS: return float_abs(a);
    case OP_FLOAT_ADD: return a + b;
    case OP_FLOAT_SUBTRACT: return a - b;
    case OP_FLOAT_MULTIPLY: return a * b;
    case OP_FLOAT_DIVIDE: return a / b;
    case OP_FLOAT_MIN: return a < b ? a : b;
    case OP_FLOAT_MAX: return a > b ? a : b;
    case OP_EXP: return float_exp(a);
    case OP_LOG: return float_log(a);
    case OP_SQRT: return float_sqrt(a);
    case OP_TANH: return float_tanh(a);
    case OP_SIN: return float_sin(a);
    case OP_COS: return float_cos(a);
    default: return float_floor(a); // OP_FLOOR
    }
}

int compare_floats(int operation, float a, float b) {
    switch (operation) {
    case OP_FLOAT_LESS: return a < b ? 1 : 0;
    case OP_FLOAT_LESS_EQUAL: return a <= b ? 1 : 0;
    case OP_FLOAT_EQUAL: return a == b ? 1 : 0;
    default: return a == b ? 0 : 1; // OP_FLOAT_NOT_EQUAL, 1 for NaN
    }
}

int apply_operation(int operation, int a, int b, int c) {
    if (operation < OP_TO_INT || operation == OP_FLOAT_SELECT) return apply_to_ints(operation, a, b, c);
    if (operation == OP_TO_INT) return int_of_float(float_of_bits(a));
    if (operation == OP_TO_FLOAT) return bits_of_float(float_of_int(a));
    float x = float_of_bits(a);
    float y = float_of_bits(b);
    if (operation >= OP_FLOAT_LESS && operation <= OP_FLOAT_NOT_EQUAL) return compare_floats(operation, x, y);
    return bits_of_float(apply_to_floats(operation, x, y));
}

int expression_run(EXPRESSION_PLACE, float score, int first, int count) {
#ifdef EXPRESSION_OWN_STACK
    int stack[EXPRESSION_STACK_WORDS];
#endif
    int base = 0; // the stack's height, less the operands that are taken
    for (int k = first; k < first + count; ++k) {
        int word = EXPRESSION_WORD(k);
        int operation = word & 0xff;
        int num_operands = (word >> 14) & 3;
        int argument = word >> 16;
        base -= num_operands;
        int a = num_operands > 0 ? EXPRESSION_STACK(base + ((word >> 8) & 3)) : 0;
        int b = num_operands > 1 ? EXPRESSION_STACK(base + ((word >> 10) & 3)) : 0;
        int c = num_operands > 2 ? EXPRESSION_STACK(base + ((word >> 12) & 3)) : 0;
        int value;
        switch (operation) {
        case OP_INT:
        case OP_FLOAT: value = EXPRESSION_WORD(++k); break;
        case OP_VARIABLE: value = variable_of_place(at, argument); break;
        case OP_SCORE: value = bits_of_float(score); break;
        case OP_PARAM_INT:
        case OP_PARAM_FLOAT: value = EXPRESSION_WORD(argument); break;
        case OP_INDEX: value = table_step(0, EXPRESSION_WORD(argument), a); break;
        case OP_INDEX_NEXT: value = table_step(a, EXPRESSION_WORD(argument), b); break;
        case OP_LOAD_INT:
        case OP_LOAD_FLOAT: value = EXPRESSION_ENTRY(argument, a); break;
        default: value = apply_operation(operation, a, b, c); break;
        }
        EXPRESSION_STACK(base) = value;
        ++base;
    }
    return EXPRESSION_STACK(0);
}
