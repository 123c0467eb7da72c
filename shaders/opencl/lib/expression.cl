// The arithmetic of expressions (spec page `custom`), defined for every value. Emitted functions use
// nothing else, nor does lib/expression_run.h.
//
// `words`: a buffer in the layout of ikati_symbols_pack (src/expression/expression.h). Every
// function here is for one pair, whatever LANES is.

#include "params/expression.h"
enum {
#define X(number, name, type, num_operands) name = number,
    EXPRESSION_OPERATIONS(X)
#undef X
#define X(number, name, text) name = number,
    EXPRESSION_VARIABLES(X)
#undef X
};

// One value a variable; the names are those of the language.
typedef struct Place {
    int i, j, h, b, n, m, len, qlen;
} Place;

#define EXPRESSION_PLACE const Place at, __global const int *expression_words
#define EXPRESSION_WORD(place) expression_words[place]
#define EXPRESSION_ENTRY(block, position) expression_entry(expression_words, block, position)
// Operations of different statements are never fused.
#define EXPRESSION_FLOAT float

// Modulo 2^32: signed overflow is undefined in C, unsigned wraps.
static inline int int_add(int a, int b) { return as_int(as_uint(a) + as_uint(b)); }
static inline int int_subtract(int a, int b) { return as_int(as_uint(a) - as_uint(b)); }
static inline int int_multiply(int a, int b) { return as_int(as_uint(a) * as_uint(b)); }

// Division by 0 gives 0, and -2^31 / -1 wraps: both are undefined in C.
static inline int int_divide(int a, int b) {
    return b == 0 ? 0 : b == -1 ? int_subtract(0, a) : a / b;
}
static inline int int_remainder(int a, int b) { return b == 0 || b == -1 ? 0 : a % b; }
static inline int int_modulo(int a, int b) {
    int rest = int_remainder(a, b);
    return rest != 0 && (rest ^ b) < 0 ? rest + b : rest;
}
static inline int int_floor_divide(int a, int b) {
    int rest = int_remainder(a, b);
    int quotient = int_divide(a, b);
    return rest != 0 && (rest ^ b) < 0 ? quotient - 1 : quotient;
}

// Toward zero, saturating; 0 for NaN.
static inline int int_of_float(float x) {
    if ((as_int(x) & 0x7fffffff) > 0x7f800000) return 0;
    return convert_int_sat_rtz(x);
}

// One step along an axis of a table: -1 once outside.
static inline int table_step(int position, int extent, int index) {
    if (position < 0 || index < 0 || index >= extent) return -1;
    return int_add(int_multiply(position, extent), index);
}
// An entry of the table with its block there; 0 outside.
static inline int expression_entry(__global const int *words, int block, int position) {
    if (position < 0) return 0;
    return words[words[block] + position];
}

// OpenCL C bounds the errors of its own functions to a few units in the last place.
#define float_of_bits(bits) as_float((int)(bits))
#define bits_of_float(x) as_int((float)(x))
#define float_of_int(a) convert_float((int)(a))
#define float_abs(x) fabs((float)(x))
#define float_exp(x) exp((float)(x))
#define float_log(x) log((float)(x))
#define float_sqrt(x) sqrt((float)(x))
#define float_tanh(x) tanh((float)(x))
#define float_sin(x) sin((float)(x))
#define float_cos(x) cos((float)(x))
#define float_floor(x) floor((float)(x))
