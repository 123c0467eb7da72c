// Fuzzing of expressions: whatever the text is, parsing ends inside its memory with a tree or one
// message; classes of tiles are true; bytecode computes what the tree does.
//
// Built with -fsanitize=fuzzer this is a libFuzzer target; with FUZZ_MAIN it has a main of its own
// that runs random expressions and mutations of them, the same ones every time.

#include "expressions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool condition, const char *what, const char *text) {
    if (!condition) {
        fprintf(stderr, "%s: '%s'\n", what, text);
        abort();
    }
}

static void draw_place(uint64_t *seed, ikati_place place) {
    for (uint32_t v = 0; v < IKATI_NUM_VARIABLES; v++) {
        place[v] =
            draw_between(seed, v < IKATI_VARIABLE_N ? 0 : 4, draw_bits(seed) % 8 ? 9 : 100000);
    }
}

static bool same(ikati_expression_value a, ikati_expression_value b, ikati_expression_kind kind) {
    return kind == IKATI_EXPRESSION_MASK
               ? a.integer == b.integer
               : a.number == b.number || (a.number != a.number && b.number != b.number);
}

static void check_bytecode(const ikati_expression *expression, const char *text, uint64_t *seed,
                           ikati_expression_value *values) {
    ikati_bytecode bytecode;
    uint32_t *words, num_words;
    const ikati_host *host = expression_host();
    require(ikati_expression_compile(host, expression, sample_symbols(), &bytecode) == IKAT_OK &&
                ikati_symbols_pack(host, sample_symbols(), &words, &num_words) == IKAT_OK,
            "not compiled", text);
    for (uint32_t k = 0; k < 4; k++) {
        ikati_place place;
        draw_place(seed, place);
        const double score = draw_between(seed, -100, 100) / 8.0;
        require(same(run_bytecode(&bytecode, words, place, score),
                     ikati_expression_evaluate(expression, sample_symbols(), place, score, values),
                     expression->kind),
                "bytecode differs from the tree", text);
    }
    ikati_free(host, words);
    ikati_bytecode_clear(host, &bytecode);
}

// Whether the class of a tile is true of one pair of it.
static bool is_true_of(ikati_tile_class found, bool visible) {
    return found == IKATI_TILE_PARTIAL || visible == (found == IKATI_TILE_FULL);
}

static void check_tile(const ikati_expression *mask, const char *text, uint64_t *seed,
                       ikati_expression_value *values) {
    ikati_tile tile;
    draw_place(seed, tile.place);
    const int32_t *place = tile.place;
    tile.first_query = draw_between(seed, 0, place[IKATI_VARIABLE_N] - 1);
    tile.first_key = draw_between(seed, 0, place[IKATI_VARIABLE_M] - 1);
    tile.last_query = tile.first_query + draw_between(seed, 0, 3);
    tile.last_key = tile.first_key + draw_between(seed, 0, 3);
    ikati_interval *intervals = malloc(sizeof(*intervals) * mask->num_nodes);
    const ikati_interval around = ikati_expression_bound(mask, sample_symbols(), &tile, intervals);
    const ikati_tile_class found =
        ikati_expression_classify(mask, sample_symbols(), &tile, intervals);
    free(intervals);
    for (int32_t i = tile.first_query; i <= tile.last_query; i++) {
        for (int32_t j = tile.first_key; j <= tile.last_key; j++) {
            tile.place[IKATI_VARIABLE_I] = i;
            tile.place[IKATI_VARIABLE_J] = j;
            const int32_t value =
                ikati_expression_evaluate(mask, sample_symbols(), place, 0, values).integer;
            require(around.low <= value && value <= around.high, "bound is false", text);
            const bool inside = i < place[IKATI_VARIABLE_QLEN] && j < place[IKATI_VARIABLE_LEN];
            const bool exists = i < place[IKATI_VARIABLE_N] && j < place[IKATI_VARIABLE_M];
            require(!exists || is_true_of(found, inside && value != 0), "class is false", text);
        }
    }
}

static void check_text(ikati_expression_kind kind, const char *text, uint64_t *seed) {
    const ikati_host *host = expression_host();
    const uint32_t num_errors = last_expression_error.count;
    ikati_expression expression;
    if (ikati_expression_parse(host, kind, text, sample_symbols(), &expression) != IKAT_OK) {
        require(last_expression_error.count == num_errors + 1, "errors logged are not one", text);
        require(strstr(last_expression_error.text, "column") != NULL, "no column", text);
        return;
    }
    require(last_expression_error.count == num_errors, "an error logged", text);
    ikati_expression_value *values = malloc(sizeof(*values) * expression.num_nodes);
    check_bytecode(&expression, text, seed, values);
    if (kind == IKATI_EXPRESSION_MASK) {
        check_tile(&expression, text, seed, values);
    }
    free(values);
    ikati_expression_clear(host, &expression);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    uint64_t seed = 88172645463325252;
    // A block of its own size, so that a sanitizer sees where it ends.
    char *text = malloc(size + 1);
    if (size > 0) {
        memcpy(text, bytes, size);
    }
    text[size] = 0;
    check_text(IKATI_EXPRESSION_MASK, text, &seed);
    check_text(IKATI_EXPRESSION_SCORE, text, &seed);
    free(text);
    return 0;
}

#ifdef FUZZ_MAIN

enum { MAX_SIZE = 512 };

static const char *const pieces[] = {
    "i",     "j",    "n",   "len",        "w",   "row[", "pair[", "rel[", "min(", "fdiv(", "int(",
    "score", "+",    "-",   "*",          "/",   "%",    "<",     "<=",   "==",   "!=",    "&&",
    "||",    "!",    "?",   ":",          "(",   ")",    "[",     "]",    ",",    " ",     "0",
    "1",     "0x7f", "1.5", "2147483647", "1e9", "inf",  "least", "big",  "\n",
};
enum { NUM_PIECES = sizeof(pieces) / sizeof(pieces[0]) };

static size_t put_in(char *text, size_t size, size_t at, const char *piece) {
    const size_t length = strlen(piece);
    if (size + length >= MAX_SIZE) {
        return size;
    }
    memmove(text + at + length, text + at, size - at);
    memcpy(text + at, piece, length);
    return size + length;
}

// Changes some bytes, takes some out, puts some in, cuts.
static size_t mutate(char *text, size_t size, uint64_t *state) {
    const uint32_t num = draw_bits(state) % 4;
    for (uint32_t k = 0; k < num && size > 0; k++) {
        const size_t at = draw_bits(state) % size;
        switch (draw_bits(state) % 6) {
        case 0: text[at] = (char)draw_bits(state); break;
        case 1: size = draw_bits(state) % 4 ? size : at; break;
        case 2:
            size--;
            memmove(text + at, text + at + 1, size - at);
            break;
        default: size = put_in(text, size, at, pieces[draw_bits(state) % NUM_PIECES]); break;
        }
    }
    return size;
}

static size_t draw_text(char *text, uint32_t round, uint64_t *state) {
    if (round % 8 == 7) { // no grammar
        size_t size = 0;
        for (uint32_t k = draw_bits(state) % 12; k > 0; k--) {
            size = put_in(text, size, size, pieces[draw_bits(state) % NUM_PIECES]);
        }
        return size;
    }
    draw_expression(state, round % 2 ? IKATI_EXPRESSION_SCORE : IKATI_EXPRESSION_MASK,
                    1 + round / 2 % 5, text, MAX_SIZE);
    return strlen(text);
}

int main(int argc, char **argv) {
    const uint32_t num = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    uint64_t state = 88172645463325252;
    for (uint32_t round = 0; round < num; round++) {
        char text[MAX_SIZE];
        const size_t size = mutate(text, draw_text(text, round, &state), &state);
        LLVMFuzzerTestOneInput((const uint8_t *)text, size);
    }
    printf("%u texts, %u errors in them\n", num, last_expression_error.count);
    return EXIT_SUCCESS;
}

#endif
