// The arithmetic of expressions (spec page `custom`), defined for every value. Emitted functions use
// nothing else, nor does lib/expression_run.h.
//
// After lib/numbers.glsl. The including file declares `int expression_words[]`, a buffer in the
// layout of ikati_symbols_pack (src/expression/expression.h).

#include "params/expression.h"
#define X(number, name, type, num_operands) const int name = number;
EXPRESSION_OPERATIONS(X)
#undef X
#define X(number, name, text) const int name = number;
EXPRESSION_VARIABLES(X)
#undef X

// One value a variable; the names are those of the language.
struct Place { int i, j, h, b, n, m, len, qlen; };

#define EXPRESSION_PLACE Place at
#define EXPRESSION_WORD(place) expression_words[place]
#define EXPRESSION_ENTRY(block, position) expression_entry(block, position)
// Emitted functions round each operation, as bytecode does: else drivers fuse them, and take x - x for 0
// though x may be infinite.
#define EXPRESSION_FLOAT precise float

// Modulo 2^32: unsigned arithmetic wraps, whatever a compiler assumes of signed.
int int_add(int a, int b) { return int(uint(a) + uint(b)); }
int int_subtract(int a, int b) { return int(uint(a) - uint(b)); }
int int_multiply(int a, int b) { return int(uint(a) * uint(b)); }

// `/` and `%` of GLSL are left open for negative operands: divide magnitudes. Division by 0 gives 0.
uint int_magnitude(int a) { return a < 0 ? 0u - uint(a) : uint(a); }
int int_divide(int a, int b) {
    uint quotient = b == 0 ? 0u : int_magnitude(a) / int_magnitude(b == 0 ? 1 : b);
    return int((a ^ b) < 0 ? 0u - quotient : quotient);
}
int int_remainder(int a, int b) {
    uint rest = b == 0 ? 0u : int_magnitude(a) % int_magnitude(b == 0 ? 1 : b);
    return int(a < 0 ? 0u - rest : rest);
}
int int_modulo(int a, int b) {
    int rest = int_remainder(a, b);
    return rest != 0 && (rest ^ b) < 0 ? int_add(rest, b) : rest;
}
int int_floor_divide(int a, int b) {
    int rest = int_remainder(a, b);
    int quotient = int_divide(a, b);
    return rest != 0 && (rest ^ b) < 0 ? quotient - 1 : quotient;
}

// Toward zero, saturating; 0 for NaN.
int int_of_float(float x) {
    if (is_nan(x)) return 0;
    if (x >= 2147483648.0) return 2147483647;
    return x <= -2147483648.0 ? int(0x80000000u) : int(x);
}

// One step along an axis of a table: -1 once outside.
int table_step(int position, int extent, int index) {
    if (position < 0 || index < 0 || index >= extent) return -1;
    return position * extent + index;
}
// An entry of the table with its block there; 0 outside.
int expression_entry(int block, int position) {
    if (position < 0) return 0;
    return expression_words[expression_words[block] + position];
}

float float_of_bits(int bits) { return intBitsToFloat(bits); }
int bits_of_float(float x) { return floatBitsToInt(x); }
float float_of_int(int a) { return float(a); }
float float_abs(float x) { return abs(x); }
float float_exp(float x) { return exp(x); }
float float_log(float x) { return log(x); }
float float_sqrt(float x) { return sqrt(x); }
float float_tanh(float x) { return tanh_exact(x); }
float float_floor(float x) { return floor(x); }

// sin(x + quarter_turns * pi/2), absolute error below 1e-6 up to |x| = 1e5: whole quarter turns are
// taken off in parts of pi/2, the first so short that its products are exact; then the minimax
// polynomials of Cephes' sinf and cosf. Beyond 1e5 the driver's own.
float quarter_sine(float x, int quarter_turns) {
    if (!is_finite(x)) return NOT_A_NUMBER;
    if (abs(x) > 1e5) return quarter_turns == 0 ? sin(x) : cos(x);
    float turns = roundEven(x * 0.636619772367581);
    float r = x - turns * 1.5703125;
    r -= turns * 4.837512969970703e-4;
    r -= turns * 7.549789954891882e-8;
    float z = r * r;
    float sine = r + r * z * (-1.6666654611e-1 + z * (8.3321608736e-3 + z * -1.9515295891e-4));
    float cosine = 1.0 - 0.5 * z +
        z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    int quarter = (int(turns) + quarter_turns) & 3;
    float result = (quarter & 1) == 0 ? sine : cosine;
    return quarter < 2 ? result : -result;
}
float float_sin(float x) { return quarter_sine(x, 0); }
float float_cos(float x) { return quarter_sine(x, 1); }
