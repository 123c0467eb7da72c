// The arithmetic of expressions, defined for every value.
//
// Ints wrap modulo 2^32; division by 0 gives 0; -2^31 / -1 wraps to itself. Floats are IEEE doubles.

#ifndef IKATI_ARITHMETIC_H
#define IKATI_ARITHMETIC_H

#include "expression.h"

static inline int32_t ikati_int_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}
static inline int32_t ikati_int_subtract(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}
static inline int32_t ikati_int_multiply(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}
static inline int32_t ikati_int_negate(int32_t a) { return ikati_int_subtract(0, a); }
static inline int32_t ikati_int_abs(int32_t a) { return a < 0 ? ikati_int_negate(a) : a; }

// Toward zero, and what it leaves: has the sign of a.
static inline int32_t ikati_int_divide(int32_t a, int32_t b) {
    return b == 0 ? 0 : b == -1 ? ikati_int_negate(a) : a / b;
}
static inline int32_t ikati_int_remainder(int32_t a, int32_t b) {
    return b == 0 || b == -1 ? 0 : a % b;
}
// Toward minus infinity, and what it leaves: has the sign of b.
static inline int32_t ikati_int_modulo(int32_t a, int32_t b) {
    const int32_t rest = ikati_int_remainder(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static inline int32_t ikati_int_floor_divide(int32_t a, int32_t b) {
    const int32_t quotient = ikati_int_divide(a, b), rest = ikati_int_remainder(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? quotient - 1 : quotient;
}

// Toward zero, saturating; 0 for NaN.
static inline int32_t ikati_int_of_float(double x) {
    if (x != x) {
        return 0;
    }
    return x >= 2147483647.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : (int32_t)x;
}

// One step along an axis of a table: -1 once outside.
static inline int32_t ikati_table_step(int32_t position, int64_t extent, int32_t index) {
    if (position < 0 || index < 0 || index >= extent) {
        return -1;
    }
    return (int32_t)(position * extent + index);
}

// The result of an operation with operands, other than OP_INDEX, OP_INDEX_NEXT and OP_LOAD_*. `c`
// is read by OP_SELECT alone.
ikati_expression_value ikati_operation_apply(ikati_operation operation, ikati_expression_value a,
                                             ikati_expression_value b, ikati_expression_value c);

#endif
