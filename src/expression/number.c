// Decimal text to float, independent of the locale that strtod follows.

#include "lexer.h"

#include <math.h>

enum {
    MAX_DIGITS = 18,        // of the mantissa: what follows is below half a unit of a double
    MAX_EXPONENT = 1 << 20, // stops counting: far beyond any double
    EXACT_POWER = 22        // 10^22 is the last power of ten that a double holds
};

typedef struct decimal {
    uint64_t mantissa;
    uint32_t num_digits; // of the mantissa, leading zeros not counted
    int32_t exponent;
} decimal;

// Reads digits; `point` is 1 behind the decimal point.
static const char *read_digits(const char *text, int32_t point, decimal *out) {
    for (; ikati_is_digit(*text); text++) {
        const uint64_t digit = (uint64_t)(*text - '0');
        if (out->num_digits < MAX_DIGITS) {
            out->mantissa = out->mantissa * 10 + digit;
            out->num_digits += out->mantissa != 0;
            out->exponent -= point;
        } else {
            out->exponent += 1 - point;
        }
    }
    return text;
}

// Reads an exponent if there is a whole one.
static const char *read_exponent(const char *text, decimal *out) {
    const char *digits = text + 1;
    if (*text != 'e' && *text != 'E') {
        return text;
    }
    const bool negative = *digits == '-';
    if (*digits == '-' || *digits == '+') {
        digits++;
    }
    if (!ikati_is_digit(*digits)) {
        return text;
    }
    int32_t exponent = 0;
    for (; ikati_is_digit(*digits); digits++) {
        exponent = exponent < MAX_EXPONENT ? exponent * 10 + (*digits - '0') : exponent;
    }
    out->exponent += negative ? -exponent : exponent;
    return digits;
}

// mantissa * 10^exponent. Exact where both are exact in a double; else within a few of its units,
// which float32 does not see.
static double scale(const decimal *number) {
    static const double powers[EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    double value = (double)number->mantissa;
    int32_t left = number->exponent < 0 ? -number->exponent : number->exponent;
    while (left > 0 && value != 0 && !isinf(value)) {
        const int32_t step = left < EXACT_POWER ? left : EXACT_POWER;
        value = number->exponent < 0 ? value / powers[step] : value * powers[step];
        left -= step;
    }
    return value;
}

size_t ikati_read_float(const char *text, double *out_value) {
    decimal number = {0};
    const char *end = read_digits(text, 0, &number);
    size_t num_digits = (size_t)(end - text);
    if (*end == '.') {
        const char *fraction = end + 1;
        end = read_digits(fraction, 1, &number);
        num_digits += (size_t)(end - fraction);
    }
    if (num_digits == 0) {
        return 0;
    }
    end = read_exponent(end, &number);
    *out_value = scale(&number);
    return (size_t)(end - text);
}
