// Bytecode: the same values as the tree's, on a stack as shallow as promised.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expressions.h"

static void parse(ikati_expression_kind kind, const char *text, ikati_expression *out) {
    if (ikati_expression_parse(expression_host(), kind, text, sample_symbols(), out) != IKAT_OK) {
        fail_msg("'%.100s': %s", text, last_expression_error.text);
    }
}

static void compile(const ikati_expression *expression, ikati_bytecode *out) {
    assert_int_equal(ikati_expression_compile(expression_host(), expression, sample_symbols(), out),
                     IKAT_OK);
    assert_true(out->stack_depth <= IKATI_MAX_EXPRESSION_STACK);
}

static uint32_t depth_of(const char *text) {
    ikati_expression expression;
    ikati_bytecode bytecode;
    parse(IKATI_EXPRESSION_SCORE, text, &expression);
    compile(&expression, &bytecode);
    const uint32_t depth = bytecode.stack_depth;
    ikati_bytecode_clear(expression_host(), &bytecode);
    assert_null(bytecode.words);
    ikati_expression_clear(expression_host(), &expression);
    return depth;
}

static void shallow(void **state) {
    (void)state;
    assert_int_equal(depth_of("i"), 1);
    assert_int_equal(depth_of("i + j"), 2);
    assert_int_equal(depth_of("i + j + h + b + n + m"), 2);
    assert_int_equal(depth_of("i - (j - (h - (b - (n - m))))"), 2);
    assert_int_equal(depth_of("(i + j) * (h + b)"), 3);
    assert_int_equal(depth_of("i ? j : h"), 3);
    assert_int_equal(depth_of("i ? 1 : j ? 2 : h ? 3 : b ? 4 : 5"), 3);
    assert_int_equal(depth_of("deep[i, j, h, b + 1]"), 3);
    assert_int_equal(depth_of("deep[i + 1, j, h, b]"), 2);
    assert_int_equal(depth_of("-exp(float(-i))"), 1);
}

// The deepest that so many characters can need: conditions with all operands equally deep.
static void never_deeper(void **state) {
    (void)state;
    static char text[IKATI_MAX_EXPRESSION_CHARACTERS + 1];
    size_t length = 1;
    strcpy(text, "i");
    for (uint32_t depth = 1; 3 * length + 4 <= IKATI_MAX_EXPRESSION_CHARACTERS; depth += 2) {
        assert_int_equal(depth_of(text), depth);
        memmove(text + 1, text, length); // (text?text:text)
        memcpy(text + length + 2, text + 1, length);
        memcpy(text + 2 * length + 3, text + 1, length);
        text[0] = '(';
        text[length + 1] = '?';
        text[2 * length + 2] = ':';
        text[3 * length + 3] = ')';
        length = 3 * length + 4;
        text[length] = 0;
    }
    assert_true(depth_of(text) > 15);
}

static bool same(ikati_expression_value a, ikati_expression_value b, ikati_expression_kind kind) {
    return kind == IKATI_EXPRESSION_MASK
               ? a.integer == b.integer
               : a.number == b.number || (a.number != a.number && b.number != b.number);
}

// One expression at a few random places.
static void compare(uint64_t *seed, ikati_expression_kind kind, const char *text,
                    const uint32_t *words) {
    ikati_expression expression;
    ikati_bytecode bytecode;
    parse(kind, text, &expression);
    compile(&expression, &bytecode);
    ikati_expression_value *values = malloc(sizeof(*values) * expression.num_nodes);
    for (uint32_t k = 0; k < 8; k++) {
        ikati_place place;
        for (uint32_t v = 0; v < IKATI_NUM_VARIABLES; v++) {
            place[v] = draw_between(seed, 0, k < 6 ? 8 : INT32_MAX);
        }
        const double score = draw_between(seed, -1000, 1000) / 64.0;
        if (!same(run_bytecode(&bytecode, words, place, score),
                  ikati_expression_evaluate(&expression, sample_symbols(), place, score, values),
                  kind)) {
            fail_msg("'%s' differs at i = %d, j = %d, score = %g", text, (int)place[0],
                     (int)place[1], score);
        }
    }
    free(values);
    ikati_bytecode_clear(expression_host(), &bytecode);
    ikati_expression_clear(expression_host(), &expression);
}

static void agrees(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252;
    uint32_t *words, num_words;
    assert_int_equal(ikati_symbols_pack(expression_host(), sample_symbols(), &words, &num_words),
                     IKAT_OK);
    compare(&seed, IKATI_EXPRESSION_MASK, "deep[i % 2, j % 2, h, b] + pair[i, j] * row[h]", words);
    compare(&seed, IKATI_EXPRESSION_SCORE, "bias[h, i] + rel[j] * slope - cap + 0.1 * score",
            words);
    for (uint32_t round = 0; round < 20000; round++) {
        char text[1024];
        const ikati_expression_kind kind =
            round % 2 ? IKATI_EXPRESSION_SCORE : IKATI_EXPRESSION_MASK;
        draw_expression(&seed, kind, 1 + round % 6, text, sizeof(text));
        compare(&seed, kind, text, words);
    }
    ikati_free(expression_host(), words);
}

// The words of a program are what expression.h says.
static void layout(void **state) {
    (void)state;
    ikati_expression expression;
    ikati_bytecode bytecode;
    parse(IKATI_EXPRESSION_MASK, "j - (i + 7)", &expression);
    compile(&expression, &bytecode);
    const uint32_t two = 2u << 14; // operands
    const uint32_t expected[] = {IKATI_OP_VARIABLE | IKATI_VARIABLE_I << 16,
                                 IKATI_OP_INT,
                                 7,
                                 IKATI_OP_ADD | 1u << 10 | two,
                                 IKATI_OP_VARIABLE | IKATI_VARIABLE_J << 16,
                                 IKATI_OP_SUBTRACT | 1u << 8 | two};
    assert_int_equal(bytecode.num_words, 6);
    assert_memory_equal(bytecode.words, expected, sizeof(expected));
    ikati_bytecode_clear(expression_host(), &bytecode);
    ikati_expression_clear(expression_host(), &expression);
}

static void packing(void **state) {
    (void)state;
    static const int32_t entries[6] = {1, 2, 3, 4, 5, -6};
    static const float floats[1] = {-2};
    static const ikati_expression_param params[] = {
        {.name = "p", .type = IKATI_TYPE_INT, .integer = -1},
        {.name = "q", .type = IKATI_TYPE_FLOAT, .number = 1}};
    static const ikati_expression_table tables[] = {
        {.name = "t", .type = IKATI_TYPE_INT, .rank = 2, .shape = {2, 3}, .data = entries},
        {.name = "u", .type = IKATI_TYPE_FLOAT, .rank = 1, .shape = {1}, .data = floats}};
    const ikati_symbols symbols = {params, 2, tables, 2};
    const uint32_t expected[] = {UINT32_MAX, 0x3f800000, 12, 2, 3, 1, 1, 18,           1,         1,
                                 1,          1,          1,  2, 3, 4, 5, (uint32_t)-6, 0xc0000000};
    uint32_t *words, num_words;
    assert_int_equal(ikati_symbols_pack(expression_host(), &symbols, &words, &num_words), IKAT_OK);
    assert_int_equal(num_words, 19);
    assert_memory_equal(words, expected, sizeof(expected));
    ikati_free(expression_host(), words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shallow), cmocka_unit_test(never_deeper), cmocka_unit_test(agrees),
        cmocka_unit_test(layout),  cmocka_unit_test(packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
