// The values of every operation, at the edges of their types.

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expressions.h"

static ikati_expression_value value_of(ikati_expression_kind kind, const char *text,
                                       const ikati_symbols *symbols, double score) {
    static const ikati_place place = {5, 3, 1, 0, 100, 90, 80, 70};
    ikati_expression expression;
    if (ikati_expression_parse(expression_host(), kind, text, symbols, &expression) != IKAT_OK) {
        fail_msg("'%s': %s", text, last_expression_error.text);
    }
    ikati_expression_value *values = malloc(sizeof(*values) * expression.num_nodes);
    const ikati_expression_value value =
        ikati_expression_evaluate(&expression, symbols, place, score, values);
    free(values);
    ikati_expression_clear(expression_host(), &expression);
    return value;
}

static void expect_int(const char *text, int32_t expected) {
    const int32_t value = value_of(IKATI_EXPRESSION_MASK, text, sample_symbols(), 0).integer;
    if (value != expected) {
        fail_msg("'%s' is %" PRId32 ", expected %" PRId32, text, value, expected);
    }
}

// A NaN is expected by NaN.
static void expect_float(const char *text, double score, double expected) {
    const double value = value_of(IKATI_EXPRESSION_SCORE, text, sample_symbols(), score).number;
    if (isnan(expected) ? !isnan(value) : value != expected) {
        fail_msg("'%s' at %g is %g, expected %g", text, score, value, expected);
    }
}

static void wraps(void **state) {
    (void)state;
    expect_int("big + 1", INT32_MIN);
    expect_int("least - 1", INT32_MAX);
    expect_int("-least", INT32_MIN);
    expect_int("abs(least)", INT32_MIN);
    expect_int("abs(-7)", 7);
    expect_int("65536 * 65536", 0);
    expect_int("46341 * 46341", -2147479015);
    expect_int("big * big", 1);
    expect_int("least * -1", INT32_MIN);
    expect_int("least + least", 0);
}

// Every pair of -9..9, against the sentences of the page.
static void divisions(void **state) {
    (void)state;
    ikati_expression_param params[2] = {{.name = "x"}, {.name = "y"}};
    const ikati_symbols symbols = {.params = params, .num_params = 2};
    for (int32_t x = -9; x <= 9; x++) {
        for (int32_t y = -9; y <= 9; y++) {
            params[0].integer = x;
            params[1].integer = y;
            int32_t results[4];
            static const char *const texts[] = {"x / y", "rem(x, y)", "fdiv(x, y)", "x % y"};
            for (int t = 0; t < 4; t++) {
                results[t] = value_of(IKATI_EXPRESSION_MASK, texts[t], &symbols, 0).integer;
            }
            assert_int_equal(results[0], y == 0 ? 0 : (int32_t)trunc((double)x / y));
            assert_int_equal(results[1], y == 0 ? 0 : x - results[0] * y);
            assert_int_equal(results[2], y == 0 ? 0 : (int32_t)floor((double)x / y));
            assert_int_equal(results[3], y == 0 ? 0 : x - results[2] * y);
        }
    }
}

static void division_edges(void **state) {
    (void)state;
    expect_int("least / -1", INT32_MIN);
    expect_int("fdiv(least, -1)", INT32_MIN);
    expect_int("least % -1", 0);
    expect_int("rem(least, -1)", 0);
    expect_int("least / 0 + rem(5, 0) + fdiv(5, 0) + 5 % 0", 0);
    expect_int("least / 2", -1073741824);
    expect_int("least % big", 2147483646);
    expect_int("big % least", -1);
    expect_int("rem(big, least)", INT32_MAX);
    expect_int("fdiv(big, least)", -1);
    expect_int("fdiv(least, big)", -2);
    expect_int("(j - i) % l", 2);
}

static void logic(void **state) {
    (void)state;
    expect_int("2 && 3", 1);
    expect_int("2 && 0", 0);
    expect_int("0 || -1", 1);
    expect_int("!-5", 0);
    expect_int("!0", 1);
    expect_int("(1 < 2) + (2 <= 2) + (2 > 1) + (2 >= 2) + (2 == 2) + (1 != 2)", 6);
    expect_int("(2 < 2) + (3 <= 2) + (2 > 2) + (1 >= 2) + (1 == 2) + (2 != 2)", 0);
    expect_int("-2 ? 1 / 0 + 3 : 4", 3);
    expect_int("min(least, big)", INT32_MIN);
    expect_int("max(least, big)", INT32_MAX);
    expect_int("least < big", 1);
}

static void reads(void **state) {
    (void)state;
    expect_int("row[0] + row[6] + row[4]", -1);
    expect_int("row[7]", 0);
    expect_int("row[-1]", 0);
    expect_int("row[least] + row[big]", 0);
    expect_int("none[0]", 0);
    expect_int("pair[2, 4]", 9);
    expect_int("pair[2, 5]", 0); // not what comes after in memory
    expect_int("pair[1, -1]", 0);
    expect_int("pair[-1, 4]", 0);
    expect_int("pair[3, 0]", 0);
    expect_int("deep[1, 1, 2, 1] + 10 * deep[0, 0, 0, 1] + 100 * deep[1, 0, 0, 1]", 310);
    expect_int("deep[1, 1, 3, 0] + deep[1, 2, 0, 0] + deep[2, 0, 0, 0]", 0);
    expect_float("rel[3] + rel[9] + rel[-1] + bias[0, 4] + bias[2, 0]", 0, 0);
    expect_float("rel[8]", 0, 1e10f);
}

static void floats(void **state) {
    (void)state;
    expect_float("int(score)", 2.9, 2);
    expect_float("int(score)", -2.9, -2);
    expect_float("int(score)", 1e30, INT32_MAX);
    expect_float("int(score)", -INFINITY, INT32_MIN);
    expect_float("int(score)", 2147483647.5, INT32_MAX);
    expect_float("int(score)", -2147483648.5, INT32_MIN);
    expect_float("int(score)", NAN, 0);
    expect_float("int(i)", 0, 5);
    expect_float("float(i) / 2", 0, 2.5);
    expect_float("float(score)", 0.25, 0.25);
    expect_float("i / 2", 0, 2);
    expect_float("i / 2.", 0, 2.5);
    expect_float("1 / score", 0, INFINITY);
    expect_float("-1 / score", 0, -INFINITY);
    expect_float("score / 0", 0, NAN);
    expect_float("inf - inf", 0, NAN);
    expect_float("score == score", NAN, 0);
    expect_float("score != score", NAN, 1);
    expect_float("score < 1 || score > 1 || score <= 1 || score >= 1", NAN, 0);
    expect_float("exp(score)", 0, 1);
    expect_float("log(score)", 0, -INFINITY);
    expect_float("sqrt(i + 4)", 0, 3);
    expect_float("sqrt(score)", -1, NAN);
    expect_float("tanh(score)", INFINITY, 1);
    expect_float("sin(score) + cos(score)", 0, 1);
    expect_float("floor(score)", -0.5, -1);
    expect_float("floor(7)", 0, 7);
    expect_float("abs(score)", -3, 3);
    expect_float("min(score, 2)", 3, 2);
    expect_float("max(score, i)", 3, 5);
    expect_float("min(i, j)", 0, 3);
    expect_float("-score", 3, -3);
    expect_float("+score", 3, 3);
    expect_float("i > 4 ? score : 0", 3, 3);
    expect_float("i < 4 ? score : 2", 3, 2);
    expect_float("big + 1", 0, INT32_MIN);
    expect_float("big + 1.0", 0, 2147483648.0);
    expect_float("(score > 0) + 1", 3, 2);
}

// Of the page's own identities, those that need nothing but this call's names.
static void pages(void **state) {
    (void)state;
    expect_int("j <= i + m - n", 0);
    expect_int("i - j <= w && j - i <= l", 1);
    expect_int("i / l == 0 || j / l == 0 || abs(i / l - j / l) <= 1", 1);
    expect_int("j <= i && (h % 2 ? (i - j) % l == 0 : i - j < l)", 0);
    expect_int("j <= i && (i / l == j / l || j % l >= l - 1)", 1);
    expect_float("score - slope * abs(i - j)", 1, 0.5);
    expect_float("cap * tanh(score / cap)", 0, 0);
    expect_float("score + rel[max(-l, min(l, j - i)) + l]", 1, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps), cmocka_unit_test(divisions), cmocka_unit_test(division_edges),
        cmocka_unit_test(logic), cmocka_unit_test(reads),     cmocka_unit_test(floats),
        cmocka_unit_test(pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
