#include "suite.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Besides these, random ones.
static const char *const masks[] = {
    "(least + i) / (j - 3)",
    "fdiv(least + i, j - 3)",
    "(least + i) % (j - 3)",
    "rem(least + i, j - 3)",
    "(big - i) / (j - 3)",
    "fdiv(big - i, j - 3)",
    "(big - i) % (j - 3)",
    "rem(big - i, j - 3)",
    "(i - 4) / (j - 4)",
    "fdiv(i - 4, j - 4)",
    "(i - 4) % (j - 4)",
    "rem(i - 4, j - 4)",
    "(i - 4) % (least + j)",
    "fdiv(i - 4, least + j)",
    "-(least + i) + abs(least + j)",
    "(big - i) * (least + j) + big * i",
    "row[i - 2] + 10 * pair[i - 1, j - 1] + 100 * deep[h, b, i - 1, j - 1] + none[i]",
    "abs(i - j) <= w * row[h] && (i - j) % row[h] == 0 || row[i] || row[j]",
    "j / 3 >= i / 3 / 2 * 2 - 1 && j % 3 < i % 3 / 2 * 2 + 3",
};
enum { NUM_MASKS = sizeof(masks) / sizeof(masks[0]), NUM_RANDOM_MASKS = 80 };

// No random ones: float32 and double part where a result is badly conditioned.
static const char *const scores[] = {
    "score",
    "score - slope * abs(i - j)",
    "cap * tanh(score / cap)",
    "score + rel[max(-l, min(l, j - i)) + l]",
    "j <= i ? score : -inf",
    "score * bias[i, j] + 0.1",
    "exp(score / 4) + log(abs(score) + 1) + sqrt(i + j)",
    "sin(score * 10)",
    "cos(score * 10)",
    "sin(i * 1000.0) - cos(j * 7000.0)",
    "tanh(score * 0.01)",
    "tanh(score * 100)",
    "tanh(-inf * (i - j))",
    "sin(inf)",
    "floor(score) + floor(-score)",
    "int(score * 3.7)",
    "int(score * 1e9)",
    "int(inf - i) + int(-inf) + int(inf - inf)",
    "float(i) / j + i / max(j, 1)",
    "min(score, i) + max(score, 0.25)",
    "-score / (i - 3)",
    "(score == score) + (score < i) * 2 + (score <= 0.0) * 4 + (inf - inf != score) * 8",
    "big + 1.5",
    "i % 2 ? score : i * 0.5",
    "abs(-score) * slope + inf * 0",
};
enum { NUM_SCORES = sizeof(scores) / sizeof(scores[0]) };

static ikati_expression_kind function_text(uint32_t f, uint64_t *seed, char text[512]) {
    if (f >= NUM_MASKS && f < NUM_MASKS + NUM_RANDOM_MASKS) {
        draw_expression(seed, IKATI_EXPRESSION_MASK, 2 + f % 3, text, 512);
        return IKATI_EXPRESSION_MASK;
    }
    const bool mask = f < NUM_MASKS;
    snprintf(text, 512, "%s", mask ? masks[f] : scores[f - NUM_MASKS - NUM_RANDOM_MASKS]);
    return mask ? IKATI_EXPRESSION_MASK : IKATI_EXPRESSION_SCORE;
}

static void parse(ikati_expression_kind kind, const char *text, ikati_expression *out) {
    if (ikati_expression_parse(expression_host(), kind, text, sample_symbols(), out) != IKAT_OK) {
        fail_msg("'%s': %s", text, last_expression_error.text);
    }
}

// Puts words behind those that are there, and returns where.
static uint32_t append_words(suite *functions, const uint32_t *words, uint32_t num_words) {
    const uint32_t first = functions->num_words;
    functions->num_words += num_words;
    functions->words =
        ikati_resize(expression_host(), functions->words, functions->num_words, sizeof(*words));
    assert_non_null(functions->words);
    memcpy(functions->words + first, words, num_words * sizeof(*words));
    return first;
}

static void append_programs(suite *functions) {
    static uint32_t entries[SUITE_MAX_RESULTS / SUITE_PLACES];
    uint64_t seed = 88172645463325252;
    for (uint32_t f = 0; f < functions->num_functions; f++) {
        char text[512];
        ikati_expression expression;
        ikati_bytecode bytecode;
        parse(function_text(f, &seed, text), text, &expression);
        assert_int_equal(
            ikati_expression_compile(expression_host(), &expression, sample_symbols(), &bytecode),
            IKAT_OK);
        entries[2 * f] = append_words(functions, bytecode.words, bytecode.num_words);
        entries[2 * f + 1] = bytecode.num_words;
        ikati_bytecode_clear(expression_host(), &bytecode);
        ikati_expression_clear(expression_host(), &expression);
    }
    append_words(functions, entries, 2 * functions->num_functions);
}

void suite_open(suite *out_suite) {
    *out_suite = (suite){.num_functions = NUM_MASKS + NUM_RANDOM_MASKS + NUM_SCORES};
    assert_true(2 * out_suite->num_functions * SUITE_PLACES <= SUITE_MAX_RESULTS);
    assert_int_equal(ikati_symbols_pack(expression_host(), sample_symbols(), &out_suite->words,
                                        &out_suite->num_words),
                     IKAT_OK);
    append_programs(out_suite);
    uint64_t seed = 2463534242;
    for (uint32_t p = 0; p < SUITE_PLACES; p++) {
        int32_t *place = out_suite->places[p];
        for (uint32_t v = 0; v < IKATI_NUM_VARIABLES; v++) {
            place[v] = draw_between(&seed, 0, v < IKATI_VARIABLE_H ? 8 : 3);
        }
        out_suite->scores[p] = (float)draw_between(&seed, -4000, 4000) / 1024;
    }
}

void suite_close(suite *closed) { ikati_free(expression_host(), closed->words); }

static void append(char **text, size_t *length, const char *addition) {
    const size_t size = strlen(addition);
    *text = realloc(*text, *length + size + 1);
    memcpy(*text + *length, addition, size + 1);
    *length += size;
}

static const char run_text[] =
    "    for (int f = 0; f < %u; ++f) {\\\n"
    "        int entry = %u + 2 * f;\\\n"
    "        results[(f + %u) * %d + g] = expression_run(\\\n"
    "            at CALL, scores[g], EXPRESSION_WORD(entry), EXPRESSION_WORD(entry + 1));\\\n"
    "    }\n";

char *suite_source(const suite *functions) {
    char *source = NULL, *calls = NULL, text[512], line[512];
    size_t length = 0, calls_length = 0;
    uint64_t seed = 88172645463325252;
    append(&calls, &calls_length, "#define CALLS \\\n");
    for (uint32_t f = 0; f < functions->num_functions; f++) {
        ikati_expression expression;
        char *emitted;
        const ikati_expression_kind kind = function_text(f, &seed, text);
        const bool mask = kind == IKATI_EXPRESSION_MASK;
        parse(kind, text, &expression);
        assert_int_equal(
            ikati_expression_emit(expression_host(), &expression, sample_symbols(), &emitted),
            IKAT_OK);
        snprintf(line, sizeof(line), "#define expression_%s f%u\n", mask ? "mask" : "score", f);
        append(&source, &length, line);
        append(&source, &length, emitted);
        append(&source, &length, mask ? "#undef expression_mask\n" : "#undef expression_score\n");
        snprintf(line, sizeof(line),
                 mask ? "    results[%u * %d + g] = f%u(at CALL); \\\n"
                      : "    results[%u * %d + g] = bits_of_float(f%u(at CALL, scores[g])); \\\n",
                 f, SUITE_PLACES, f);
        append(&calls, &calls_length, line);
        ikati_free(expression_host(), emitted);
        ikati_expression_clear(expression_host(), &expression);
    }
    append(&source, &length, calls);
    snprintf(line, sizeof(line), run_text, functions->num_functions,
             functions->num_words - 2 * functions->num_functions, functions->num_functions,
             SUITE_PLACES);
    append(&source, &length, line);
    free(calls);
    return source;
}

// Of floats, a few units in the last place of what goes into them are allowed.
static bool is_near(double value, double expected) {
    if (isnan(expected) || isinf(expected)) {
        return isnan(expected) ? isnan(value) : value == expected;
    }
    return fabs(value - expected) <= 4e-6 * fmax(1, fabs(expected));
}

static void check_function(const suite *functions, ikati_expression_kind kind, const char *text,
                           const int32_t *results) {
    ikati_expression expression;
    parse(kind, text, &expression);
    ikati_expression_value *values = malloc(sizeof(*values) * expression.num_nodes);
    for (uint32_t p = 0; p < SUITE_PLACES; p++) {
        const ikati_expression_value expected = ikati_expression_evaluate(
            &expression, sample_symbols(), functions->places[p], functions->scores[p], values);
        float number;
        memcpy(&number, &results[p], sizeof(number));
        const bool mask = kind == IKATI_EXPRESSION_MASK;
        if (mask ? results[p] != expected.integer : !is_near(number, expected.number)) {
            fail_msg("'%s' at i = %d, j = %d, score = %g is %.9g, expected %.9g", text,
                     (int)functions->places[p][0], (int)functions->places[p][1],
                     functions->scores[p], mask ? results[p] : (double)number,
                     mask ? expected.integer : expected.number);
        }
    }
    free(values);
    ikati_expression_clear(expression_host(), &expression);
}

void suite_check(const suite *functions, const int32_t *results) {
    uint64_t seed = 88172645463325252;
    for (uint32_t f = 0; f < functions->num_functions; f++) {
        char text[512];
        const ikati_expression_kind kind = function_text(f, &seed, text);
        check_function(functions, kind, text, results + f * SUITE_PLACES);
        check_function(functions, kind, text,
                       results + (f + functions->num_functions) * SUITE_PLACES);
    }
}

char *suite_read(const char *path, size_t *out_size_bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("cannot read %s", path);
    }
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    text[size] = 0;
    *out_size_bytes = (size_t)size;
    return text;
}
