// The text of emitted functions: what it says, and that it needs the prelude alone. That it compiles
// and computes the same is tested in tests/expression.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expressions.h"
#include "scarce.h"

static char *emit(ikati_expression_kind kind, const char *text) {
    const ikati_host *host = expression_host();
    ikati_expression expression;
    if (ikati_expression_parse(host, kind, text, sample_symbols(), &expression) != IKAT_OK) {
        fail_msg("'%s': %s", text, last_expression_error.text);
    }
    char *emitted;
    assert_int_equal(ikati_expression_emit(host, &expression, sample_symbols(), &emitted), IKAT_OK);
    ikati_expression_clear(host, &expression);
    return emitted;
}

static void expect_text(ikati_expression_kind kind, const char *text, const char *expected) {
    char *emitted = emit(kind, text);
    assert_string_equal(emitted, expected);
    ikati_free(expression_host(), emitted);
}

// 7 params come first among the words, then blocks of 5 words: row 7, pair 12, ..., rel 27.
static void texts(void **state) {
    (void)state;
    expect_text(IKATI_EXPRESSION_MASK, "1",
                "int expression_mask(EXPRESSION_PLACE) {\n    return 1;\n}\n");
    expect_text(IKATI_EXPRESSION_MASK, "i > w || pair[b, j % 2]",
                "int expression_mask(EXPRESSION_PLACE) {\n"
                "    int t2 = (EXPRESSION_WORD(0) < at.i ? 1 : 0);\n"
                "    int t4 = table_step(0, EXPRESSION_WORD(13), at.b);\n"
                "    int t7 = int_modulo(at.j, 2);\n"
                "    int t8 = table_step(t4, EXPRESSION_WORD(14), t7);\n"
                "    int t9 = EXPRESSION_ENTRY(12, t8);\n"
                "    int t10 = (t2 != 0 || t9 != 0 ? 1 : 0);\n"
                "    return t10;\n}\n");
    expect_text(IKATI_EXPRESSION_SCORE, "score - slope * rel[qlen]",
                "float expression_score(EXPRESSION_PLACE, float score) {\n"
                "    int t3 = table_step(0, EXPRESSION_WORD(28), at.qlen);\n"
                "    EXPRESSION_FLOAT t4 = float_of_bits(EXPRESSION_ENTRY(27, t3));\n"
                "    EXPRESSION_FLOAT t5 = float_of_bits(EXPRESSION_WORD(5)) * t4;\n"
                "    EXPRESSION_FLOAT t6 = score - t5;\n"
                "    return t6;\n}\n");
    expect_text(IKATI_EXPRESSION_SCORE, "i < 2 ? -inf : 0.5",
                "float expression_score(EXPRESSION_PLACE, float score) {\n"
                "    int t2 = (at.i < 2 ? 1 : 0);\n"
                "    EXPRESSION_FLOAT t4 = -float_of_bits(0x7f800000);\n"
                "    EXPRESSION_FLOAT t6 = (t2 != 0 ? t4 : float_of_bits(0x3f000000));\n"
                "    return t6;\n}\n");
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Words of the prelude and of the two languages.
static bool is_allowed(const char *word, size_t length) {
    static const char *const allowed[] = {
        "int",
        "float",
        "return",
        "expression_mask",
        "at",
        "score",
        "expression_score",
        "EXPRESSION_PLACE",
        "i",
        "j",
        "h",
        "b",
        "n",
        "m",
        "len",
        "qlen",
        "table_step",
        "int_add",
        "EXPRESSION_WORD",
        "EXPRESSION_ENTRY",
        "EXPRESSION_FLOAT",
        "int_subtract",
        "int_multiply",
        "int_divide",
        "int_remainder",
        "int_modulo",
        "float_of_bits",
        "float_of_int",
        "int_floor_divide",
        "int_of_float",
        "float_abs",
        "float_exp",
        "float_log",
        "float_sqrt",
        "float_tanh",
        "float_sin",
        "float_cos",
        "float_floor",
    };
    if (word[0] >= '0' && word[0] <= '9') {
        return true;
    }
    if (word[0] == 't' && strspn(word + 1, "0123456789") == length - 1) {
        return true;
    }
    for (size_t a = 0; a < sizeof(allowed) / sizeof(allowed[0]); a++) {
        if (strlen(allowed[a]) == length && strncmp(allowed[a], word, length) == 0) {
            return true;
        }
    }
    return false;
}

static void only_the_prelude(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252;
    for (uint32_t round = 0; round < 2000; round++) {
        char text[1024];
        const ikati_expression_kind kind =
            round % 2 ? IKATI_EXPRESSION_SCORE : IKATI_EXPRESSION_MASK;
        draw_expression(&seed, kind, 1 + round % 6, text, sizeof(text));
        char *emitted = emit(kind, text);
        for (const char *c = emitted; *c; c++) {
            size_t length = 0;
            while (is_word(c[length])) {
                length++;
            }
            if (length > 0 && !is_allowed(c, length)) {
                fail_msg("'%s' gives '%.*s' in\n%s", text, (int)length, c, emitted);
            }
            c += length > 0 ? length - 1 : 0;
        }
        ikati_free(expression_host(), emitted);
    }
}

// Everything that allocates; false if one of them found no memory.
static bool work(const ikati_host *host) {
    ikati_expression expression;
    ikati_bytecode bytecode = {0};
    uint32_t *words = NULL, num_words;
    char *text = NULL;
    bool done = ikati_expression_parse(host, IKATI_EXPRESSION_SCORE, "score * i + rel[j]",
                                       sample_symbols(), &expression) == IKAT_OK;
    done =
        done && ikati_expression_compile(host, &expression, sample_symbols(), &bytecode) == IKAT_OK;
    done = done && ikati_expression_emit(host, &expression, sample_symbols(), &text) == IKAT_OK;
    done = done && ikati_symbols_pack(host, sample_symbols(), &words, &num_words) == IKAT_OK;
    ikati_free(host, words);
    ikati_free(host, text);
    ikati_bytecode_clear(host, &bytecode);
    ikati_expression_clear(host, &expression);
    return done;
}

static void memory_runs_out(void **state) {
    (void)state;
    scarce memory;
    scarce_open(&memory);
    bool done = false;
    for (int64_t number = 0; !done; number++) {
        assert_true(number < 100);
        memory.num_left = number;
        done = work(&memory.host);
        assert_int_equal(memory.num_live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(only_the_prelude),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
