// The grammar of expressions: what is read how, and which errors are told at which column.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expressions.h"

static const ikati_place place = {5, 3, 2, 1, 100, 90, 80, 70}; // i j h b n m len qlen

static ikat_status parse(ikati_expression_kind kind, const char *text, ikati_expression *out) {
    return ikati_expression_parse(expression_host(), kind, text, sample_symbols(), out);
}

static ikati_expression_value value_of(ikati_expression_kind kind, const char *text) {
    ikati_expression expression;
    if (parse(kind, text, &expression) != IKAT_OK) {
        fail_msg("'%.100s': %s", text, last_expression_error.text);
    }
    ikati_expression_value *values = malloc(sizeof(*values) * expression.num_nodes);
    const ikati_expression_value value =
        ikati_expression_evaluate(&expression, sample_symbols(), place, 1.5, values);
    free(values);
    ikati_expression_clear(expression_host(), &expression);
    return value;
}

static void expect_mask(const char *text, int32_t expected) {
    const int32_t value = value_of(IKATI_EXPRESSION_MASK, text).integer;
    if (value != expected) {
        fail_msg("'%.100s' is %d, expected %d", text, value, expected);
    }
}

static void expect_score(const char *text, double expected) {
    const double value = value_of(IKATI_EXPRESSION_SCORE, text).number;
    if (value != expected) {
        fail_msg("'%.100s' is %g, expected %g", text, value, expected);
    }
}

static void expect_error(ikati_expression_kind kind, const char *text, unsigned column,
                         ikat_message_id id) {
    ikati_expression expression;
    const uint32_t count = last_expression_error.count;
    if (parse(kind, text, &expression) != IKAT_INVALID) {
        fail_msg("'%.100s' has no error", text);
    }
    assert_null(expression.nodes);
    char start[64];
    snprintf(start, sizeof(start), "%s, column %u: found ",
             kind == IKATI_EXPRESSION_MASK ? "mask" : "score", column);
    const expression_error *error = &last_expression_error;
    if (error->count != count + 1 || error->id != id ||
        strncmp(error->text, start, strlen(start)) != 0 || !strstr(error->text, "expected")) {
        fail_msg("'%.100s': %u errors, id %d, '%s'; expected id %d, '%s'", text,
                 error->count - count, (int)error->id, error->text, (int)id, start);
    }
}

static void mask_error(const char *text, unsigned column) {
    expect_error(IKATI_EXPRESSION_MASK, text, column, IKAT_MESSAGE_SYNTAX);
}

static void numbers(void **state) {
    (void)state;
    expect_mask("2147483647", 2147483647);
    expect_mask("0x7fFFffFf", 2147483647);
    expect_mask("007", 7);
    expect_mask("0x0010", 16);
    expect_score("1.", 1);
    expect_score(".5", 0.5);
    expect_score("1e3", 1000);
    expect_score("1.e-2", (float)1e-2);
    expect_score("25E+1", 250);
    expect_score("0.1", 0.1f);
    expect_score("16777217.0", 16777216);
    expect_score("3.4028235e38", 0x1.fffffep127);
    expect_score("123456789012345678901234567890.0", 123456789012345678901234567890.0f);
    expect_score("0.00000000000000000000000000000000000001", 1e-38f);
    expect_score("1e-999999999999", 0);
    expect_score("0e99999999999", 0);
    static const char *const wrong[] = {"1x",    "12ab", "0x",    "0xg",   "0X1", "1e",   "1e+",
                                        "1.2.3", "1..2", "0x1.5", "1_000", ".",   "1.5f", "1.e"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        mask_error(wrong[i], 1);
        expect_error(IKATI_EXPRESSION_SCORE, wrong[i], 1, IKAT_MESSAGE_SYNTAX);
    }
    expect_error(IKATI_EXPRESSION_MASK, "1 + 2147483648", 5, IKAT_MESSAGE_RANGE);
    expect_error(IKATI_EXPRESSION_MASK, "0x80000000", 1, IKAT_MESSAGE_RANGE);
    expect_error(IKATI_EXPRESSION_MASK, "99999999999999999999999999", 1, IKAT_MESSAGE_RANGE);
    expect_error(IKATI_EXPRESSION_SCORE, "1e39", 1, IKAT_MESSAGE_RANGE);
    expect_error(IKATI_EXPRESSION_SCORE, "1e99999999999", 1, IKAT_MESSAGE_RANGE);
}

static void precedence(void **state) {
    (void)state;
    expect_mask("2 + 3 * 4", 14);
    expect_mask("(2 + 3) * 4", 20);
    expect_mask("20 - 5 - 3", 12);
    expect_mask("100 / 5 / 2", 10);
    expect_mask("7 * 3 % 4", 1);
    expect_mask("7 % 4 * 3", 9);
    expect_mask("-7 % 4", 1); // (-7) % 4
    expect_mask("2 - -3", 5);
    expect_mask("- - 3", 3);
    expect_mask("-+-!0", 1);
    expect_mask("!3 + 1", 1);
    expect_mask("!(3 + 1)", 0);
    expect_mask("1 || 0 && 0", 1);
    expect_mask("(1 || 0) && 0", 0);
    expect_mask("0 && 0 || 1", 1);
    expect_mask("1 + 1 == 2", 1);
    expect_mask("2 == 1 + 1", 1);
    expect_mask("1 < 2 == 1", 1);
    expect_mask("1 == 1 < 2", 1);
    expect_mask("3 > 2 && 2 >= 2", 1);
    expect_mask("1 <= 0 || 2 != 2", 0);
    expect_mask("1 ? 2 : 3", 2);
    expect_mask("0 ? 2 : 0 ? 4 : 5", 5);
    expect_mask("1 ? 0 ? 6 : 7 : 8", 7);
    expect_mask("0 || 1 ? 2 : 3", 2);
    expect_mask("1 ? 2 : 3 || 4", 2);
    expect_mask("(1 ? 2 : 3) + 10", 12);
    expect_mask("1 + (0 ? 2 : 3)", 4);
    expect_mask("1 ? 2 : 3 ? 4 : 5", 2);
    expect_mask("min(1 ? 4 : 2, 7)", 4);
    expect_mask("\ti\n-\r\n j ", 2);
    expect_mask("+i", 5);
}

static void names(void **state) {
    (void)state;
    expect_mask("i * 10000000 + j * 1000000 + h * 100000 + b", 53200001);
    expect_mask("n - m + len - qlen", 20);
    expect_mask("w + l * c", -5);
    expect_mask("big", 2147483647);
    expect_mask("row[3] + pair[1, 2]", 3 - 7);
    expect_mask("deep[1, 1, 0, 1]", 4);
    expect_mask("row[row[row[1] + 1]]", 2);
    expect_score("score", 1.5);
    expect_score("-inf", -1.0 / 0.0);
    expect_score("cap * slope", 2);
    expect_score("rel[2] + bias[1, 3] * 10", 2 + (double)0.1f * 10);
    expect_score("score + i", 6.5);
    expect_score("7", 7);
    expect_score("min(i, j) + max(i, 5.5)", 8.5);
    expect_error(IKATI_EXPRESSION_MASK, "i + q", 5, IKAT_MESSAGE_UNKNOWN_NAME);
    expect_error(IKATI_EXPRESSION_MASK, "I", 1, IKAT_MESSAGE_UNKNOWN_NAME);
    expect_error(IKATI_EXPRESSION_MASK, "rows[1]", 1, IKAT_MESSAGE_UNKNOWN_NAME);
    expect_error(IKATI_EXPRESSION_MASK, "foo(1)", 1, IKAT_MESSAGE_UNKNOWN_NAME);
    expect_error(IKATI_EXPRESSION_SCORE, "pow(score, 2)", 1, IKAT_MESSAGE_UNKNOWN_NAME);
}

static void chains(void **state) {
    (void)state;
    mask_error("0 <= i < n", 8);
    mask_error("i < j > n", 7);
    mask_error("i == j == n", 8);
    mask_error("i != j == n", 8);
    mask_error("i < j + 1 >= 3 * 4", 11);
    mask_error("1 ? i < j < 3 : 0", 11);
    expect_mask("(0 <= i) < n", 1);
    expect_mask("0 < i && i < n", 1);
}

static void syntax_errors(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned column;
    } wrong[] = {
        {"", 1},
        {"   ", 4},
        {"()", 2},
        {"(", 2},
        {"(1", 3},
        {"1)", 2},
        {"1 2", 3},
        {"i j", 3},
        {"1 +", 4},
        {"* 2", 1},
        {"1 + * 2", 5},
        {"1 ? 2", 6},
        {"1 ? 2 :", 8},
        {"1 : 2", 3},
        {"? 1 : 2", 1},
        {"1 ? : 2", 5},
        {"(1 ? 2) : 3", 7},
        {"min(1 ? 2, 3)", 10},
        {"min", 4},
        {"min + 1", 5},
        {"min()", 5},
        {"min(1)", 6},
        {"min(1, 2, 3)", 9},
        {"abs(1, 2)", 6},
        {"min(1,)", 7},
        {"min(,1)", 5},
        {"row", 4},
        {"row + 1", 5},
        {"row(1)", 4},
        {"row[]", 5},
        {"row[1", 6},
        {"row[1)", 6},
        {"(1]", 3},
        {"i[1]", 2},
        {"i(1)", 2},
        {"w[0]", 2},
        {"1, 2", 2},
        {"(1, 2)", 3},
        {"i = j", 3},
        {"i & j", 3},
        {"i | j", 3},
        {"i ^ j", 3},
        {"~i", 1},
        {"i << 2", 4},
        {"i ! j", 3},
        {"i;", 2},
        {"i # 1", 3},
        {"$", 1},
        {"i \x01", 3},
        {"i + \xc3\xa9", 5},
        {"'a'", 1},
        {"\"", 1},
        {"i +\n\n+ )", 8},
        {"i++", 4},
        {"table.row[1]", 6},
        {"a.b", 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (strcmp(wrong[i].text, "a.b") == 0 || strncmp(wrong[i].text, "table", 5) == 0) {
            expect_error(IKATI_EXPRESSION_MASK, wrong[i].text, 1, IKAT_MESSAGE_UNKNOWN_NAME);
        } else {
            mask_error(wrong[i].text, wrong[i].column);
        }
    }
    expect_error(IKATI_EXPRESSION_MASK, "pair[1]", 7, IKAT_MESSAGE_RANK);
    expect_error(IKATI_EXPRESSION_MASK, "row[1, 2]", 6, IKAT_MESSAGE_RANK);
    expect_error(IKATI_EXPRESSION_MASK, "1 + deep[1, 2, 3, 4, 5]", 20, IKAT_MESSAGE_RANK);
}

static void type_errors(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned column;
    } masks[] = {
        {"1.5", 1},       {"i + .5", 5},   {"1 + score", 5}, {"inf", 1},
        {"i < slope", 5}, {"rel[i]", 1},   {"float(i)", 1},  {"i + int(j)", 5},
        {"exp(1)", 1},    {"floor(i)", 1}, {"sqrt(i)", 1},   {"1 ? 1e3 : 2", 5},
    };
    static const struct {
        const char *text;
        unsigned column;
    } scores[] = {
        {"i % 1.5", 5},        {"(score + 1) % 2", 1},   {"1 + (2 * score) % 2", 5},
        {"score && 1", 1},     {"1 || score", 6},        {"!score", 2},
        {"score ? 1 : 2", 1},  {"row[score]", 5},        {"pair[1, -score]", 9},
        {"fdiv(1, 2.)", 9},    {"rem(score, 2)", 5},     {"rel[i + 0.5]", 5},
        {"1 % (score)", 5},    {"1 % min(1, score)", 5}, {"1 % -(score)", 5},
        {"1 % rel[3] * 2", 5}, {"1 < score % 2", 5},
    };
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        expect_error(IKATI_EXPRESSION_MASK, masks[i].text, masks[i].column, IKAT_MESSAGE_DTYPE);
    }
    for (size_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
        expect_error(IKATI_EXPRESSION_SCORE, scores[i].text, scores[i].column, IKAT_MESSAGE_DTYPE);
    }
    expect_score("1 % int(score)", 0);
    expect_score("score > 1 && i < 6.5 ? 2 : 3.5", 2);
    expect_score("row[int(score)]", 1);
    expect_score("1 / 2 + 1 / 2.0", 0.5);
}

// `count` times `open`, then `middle`, then `count` times `close`.
static char *nest(const char *open, const char *middle, const char *close, uint32_t count) {
    const size_t size = count * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *text = malloc(size), *at = text;
    for (uint32_t k = 0; k < count; k++) {
        at += sprintf(at, "%s", open);
    }
    at += sprintf(at, "%s", middle);
    for (uint32_t k = 0; k < count; k++) {
        at += sprintf(at, "%s", close);
    }
    return text;
}

static void nesting(void **state) {
    (void)state;
    static const struct {
        const char *open, *middle, *close;
        int32_t value;
    } kinds[] = {
        {"(", "7", ")", 7},        {"-", "7", "", 7},       {"1?", "7", ":0", 7},
        {"0?0:", "7", "", 7},      {"abs(", "7", ")", 7},   {"row[", "0", "]", 0},
        {"min(9,", "7", ")", 7},   {"1+(1-", "7", ")", -5}, {"0||0&&0==1<2+3*(", "7", ")", 0},
        {"max(", "7", ",0*1)", 7},
    };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        char *text = nest(kinds[k].open, kinds[k].middle, kinds[k].close, 1024);
        expect_mask(text, kinds[k].value);
        free(text);
        text = nest(kinds[k].open, kinds[k].middle, kinds[k].close, 1025);
        ikati_expression expression;
        assert_int_equal(parse(IKATI_EXPRESSION_MASK, text, &expression), IKAT_INVALID);
        assert_int_equal(last_expression_error.id, IKAT_MESSAGE_RANGE);
        free(text);
    }
    char *text = nest("(", "", "", 1025);
    expect_error(IKATI_EXPRESSION_MASK, text, 1025, IKAT_MESSAGE_RANGE);
    free(text);
}

static void lengths(void **state) {
    (void)state;
    static char text[65538];
    memset(text, ' ', sizeof(text) - 1);
    for (size_t k = 0; k < 65535; k += 2) {
        memcpy(text + k, k == 0 ? " 1" : "+1", 2);
    }
    text[65536] = 0;
    expect_mask(text, 32768);
    text[4096] = 0;
    expect_mask(text, 2048);
    text[4096] = '+';
    text[65536] = ' ';
    expect_error(IKATI_EXPRESSION_MASK, text, 65537, IKAT_MESSAGE_RANGE);
    memset(text, '-', 65536);
    text[65536] = 0;
    expect_error(IKATI_EXPRESSION_MASK, text, 1025, IKAT_MESSAGE_RANGE);
}

static void declarations(void **state) {
    (void)state;
    static const ikati_expression_table two_axes = {.name = "t", .rank = 2, .shape = {3, 3}};
    ikati_expression_param params[65] = {{.name = "p"}, {.name = "q"}};
    ikati_expression_table tables[17] = {two_axes};
    ikati_symbols symbols = {params, 2, tables, 1};
    const ikati_host *host = expression_host();
    const expression_error *error = &last_expression_error;
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_OK);
    assert_int_equal(ikati_symbols_check(host, sample_symbols()), IKAT_OK);

    static const char *const reserved[] = {"i",     "j",    "h",     "b",    "n",   "m",
                                           "len",   "qlen", "score", "inf",  "min", "rem",
                                           "float", "int",  "exp",   "floor"};
    for (size_t r = 0; r < sizeof(reserved) / sizeof(reserved[0]); r++) {
        params[1].name = reserved[r];
        assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
        assert_int_equal(error->id, IKAT_MESSAGE_CONTRADICTION);
    }
    static const char *const malformed[] = {"", "1a", "a-b", "a b", "a.b", "\xc3\xa9"};
    for (size_t m = 0; m < sizeof(malformed) / sizeof(malformed[0]); m++) {
        params[1].name = malformed[m];
        assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
        assert_int_equal(error->id, IKAT_MESSAGE_UNKNOWN_NAME);
    }
    params[1].name = "p";
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
    assert_int_equal(error->id, IKAT_MESSAGE_TWICE);
    params[1].name = "t";
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
    assert_int_equal(error->id, IKAT_MESSAGE_TWICE);
    params[1].name = "_q9";
    symbols.num_params = 65;
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
    assert_int_equal(error->id, IKAT_MESSAGE_RANGE);
    symbols.num_params = 2;
    symbols.num_tables = 17;
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
    symbols.num_tables = 1;
    for (uint32_t rank = 0; rank < 6; rank += 5) {
        tables[0].rank = rank;
        assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
        assert_int_equal(error->id, IKAT_MESSAGE_RANK);
    }
    tables[0] = two_axes;
    tables[0].shape[1] = INT32_MAX;
    assert_int_equal(ikati_symbols_check(host, &symbols), IKAT_INVALID);
    assert_int_equal(error->id, IKAT_MESSAGE_SHAPE);
}

static void param_values(void **state) {
    (void)state;
    const ikati_host *host = expression_host();
    static const struct {
        const char *text;
        ikati_expression_type type;
        double value;
    } good[] = {
        {"7", IKATI_TYPE_INT, 7},
        {"-2147483648", IKATI_TYPE_INT, INT32_MIN},
        {"+5", IKATI_TYPE_INT, 5},
        {"007", IKATI_TYPE_INT, 7},
        {"1e3", IKATI_TYPE_FLOAT, 1000},
        {"-.5", IKATI_TYPE_FLOAT, -0.5},
        {"3000000000.", IKATI_TYPE_FLOAT, 3e9},
    };
    ikati_expression_param param = {.name = "p"};
    for (size_t g = 0; g < sizeof(good) / sizeof(good[0]); g++) {
        assert_int_equal(ikati_expression_param_read(host, "param.p", good[g].text, &param),
                         IKAT_OK);
        assert_int_equal(param.type, good[g].type);
        assert_true((param.type == IKATI_TYPE_INT ? param.integer : (double)param.number) ==
                    good[g].value);
    }
    static const char *const wrong[] = {"",    "+",   "0x10", "1 ",   " 1",
                                        "--1", "inf", "nan",  "1.5.", "e3"};
    for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
        assert_int_equal(ikati_expression_param_read(host, "param.p", wrong[w], &param),
                         IKAT_INVALID);
        assert_int_equal(last_expression_error.id, IKAT_MESSAGE_SYNTAX);
    }
    static const char *const outside[] = {"2147483648", "-2147483649", "1e39", "-1e999",
                                          "99999999999999999999"};
    for (size_t o = 0; o < sizeof(outside) / sizeof(outside[0]); o++) {
        assert_int_equal(ikati_expression_param_read(host, "param.p", outside[o], &param),
                         IKAT_INVALID);
        assert_int_equal(last_expression_error.id, IKAT_MESSAGE_RANGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),       cmocka_unit_test(precedence),
        cmocka_unit_test(names),         cmocka_unit_test(chains),
        cmocka_unit_test(syntax_errors), cmocka_unit_test(type_errors),
        cmocka_unit_test(nesting),       cmocka_unit_test(lengths),
        cmocka_unit_test(declarations),  cmocka_unit_test(param_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
