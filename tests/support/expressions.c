#include "expressions.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const int32_t row[7] = {0, 1, 2, 3, -1, 2, 0};
static const int32_t pair[15] = {1, 0, 0, 5, 5, 5, 5, -7, 2, 0, 0, 0, 2147483647, 1, 9};
static const int32_t deep[24] = {0, 1, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2,
                                 3, 3, 0, 4, 4, 4, 4, 4, 0, 0, 1};
static const float rel[9] = {0.5f, -1, 2, 0, 0.125f, 3, -4, 0.75f, 1e10f};
static const float bias[8] = {0, 1, 2, 3, -1, -2, -3, 0.1f};

static const ikati_expression_param params[] = {
    {.name = "w", .type = IKATI_TYPE_INT, .integer = 3},
    {.name = "l", .type = IKATI_TYPE_INT, .integer = 4},
    {.name = "c", .type = IKATI_TYPE_INT, .integer = -2},
    {.name = "big", .type = IKATI_TYPE_INT, .integer = INT32_MAX},
    {.name = "least", .type = IKATI_TYPE_INT, .integer = INT32_MIN},
    {.name = "slope", .type = IKATI_TYPE_FLOAT, .number = 0.25f},
    {.name = "cap", .type = IKATI_TYPE_FLOAT, .number = 8},
};

static ikati_expression_table tables[] = {
    {.name = "row", .type = IKATI_TYPE_INT, .rank = 1, .shape = {7}, .data = row},
    {.name = "pair", .type = IKATI_TYPE_INT, .rank = 2, .shape = {3, 5}, .data = pair},
    {.name = "deep", .type = IKATI_TYPE_INT, .rank = 4, .shape = {2, 2, 3, 2}, .data = deep},
    {.name = "none", .type = IKATI_TYPE_INT, .rank = 1, .shape = {0}},
    {.name = "rel", .type = IKATI_TYPE_FLOAT, .rank = 1, .shape = {9}, .data = rel},
    {.name = "bias", .type = IKATI_TYPE_FLOAT, .rank = 2, .shape = {2, 4}, .data = bias},
};

static const ikati_symbols symbols = {
    .params = params,
    .num_params = sizeof(params) / sizeof(params[0]),
    .tables = tables,
    .num_tables = sizeof(tables) / sizeof(tables[0]),
};

const ikati_symbols *sample_symbols(void) {
    for (uint32_t t = 0; t < symbols.num_tables; t++) {
        ikati_expression_measure(&tables[t]);
    }
    return &symbols;
}

uint32_t draw_bits(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

int32_t draw_between(uint64_t *state, int32_t low, int32_t high) {
    const uint64_t span = (uint64_t)((int64_t)high - low + 1);
    return (int32_t)(low + (int64_t)(draw_bits(state) % span));
}

// An expression that is being written.
typedef struct sketch {
    uint64_t *state;
    bool mask;
    char *text;
    size_t length, capacity;
} sketch;

static void write_text(sketch *s, const char *text) {
    const size_t length = strlen(text);
    if (s->length + length < s->capacity) {
        memcpy(s->text + s->length, text, length + 1);
        s->length += length;
    }
}

static uint32_t choose(sketch *s, uint32_t count) { return draw_bits(s->state) % count; }

static void write_one_of(sketch *s, const char *const *texts, uint32_t count) {
    write_text(s, texts[choose(s, count)]);
}
#define WRITE_ONE_OF(s, ...)                            \
    write_one_of(s, (const char *const[]){__VA_ARGS__}, \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void write_value(sketch *s, ikati_expression_type type, uint32_t levels);

static void write_leaf(sketch *s, ikati_expression_type type) {
    if (type == IKATI_TYPE_FLOAT) {
        WRITE_ONE_OF(s, "score", "score", "0.5", "1e3", ".25", "3.", "inf", "slope", "cap", "0.1");
    } else if (choose(s, 3) == 0) {
        WRITE_ONE_OF(s, "0", "1", "2", "3", "7", "0x10", "64", "46341", "2147483647");
    } else {
        WRITE_ONE_OF(s, "i", "j", "i", "j", "h", "b", "n", "m", "len", "qlen", "w", "l", "c", "big",
                     "least");
    }
}

// name(a, b, ...) with any brackets; `type` is that of the operands.
static void write_list(sketch *s, const char *open, const char *close, uint32_t count,
                       ikati_expression_type type, uint32_t levels) {
    write_text(s, open);
    for (uint32_t k = 0; k < count; k++) {
        write_text(s, k > 0 ? ", " : "");
        write_value(s, type, levels);
    }
    write_text(s, close);
}

static void write_read(sketch *s, ikati_expression_type type, uint32_t levels) {
    static const struct {
        const char *open;
        uint32_t rank;
    } reads[] = {{"rel[", 1}, {"bias[", 2}, {"row[", 1}, {"pair[", 2}, {"deep[", 4}, {"none[", 1}};
    const uint32_t t = type == IKATI_TYPE_FLOAT ? choose(s, 2) : 2 + choose(s, 4);
    write_list(s, reads[t].open, "]", reads[t].rank, IKATI_TYPE_INT, levels);
}

static void write_pair(sketch *s, ikati_expression_type a, ikati_expression_type b, const char *op,
                       uint32_t levels) {
    write_text(s, "(");
    write_value(s, a, levels);
    write_text(s, op);
    write_value(s, b, levels);
    write_text(s, ")");
}

static void write_select(sketch *s, ikati_expression_type type, uint32_t levels) {
    write_text(s, "(");
    write_value(s, IKATI_TYPE_INT, levels);
    write_text(s, " ? ");
    write_value(s, type, levels);
    write_text(s, ":");
    write_value(s, type, levels);
    write_text(s, ")");
}

static void write_int(sketch *s, uint32_t levels) {
    static const char *const operators[] = {" + ",  " - ", " * ",  " / ",  " % ",  " < ",
                                            " <= ", " > ", " >= ", " == ", " != ", " && ",
                                            "||",   "-",   " % ",  " / "};
    static const char *const pairs[] = {"min(", "max(", "fdiv(", "rem("};
    static const char *const compare[] = {" < ", " <= ", " > ", ">=", " == ", " != "};
    switch (choose(s, s->mask ? 10 : 13)) {
    case 0: write_read(s, IKATI_TYPE_INT, levels); break;
    case 1: write_select(s, IKATI_TYPE_INT, levels); break;
    case 2: write_list(s, pairs[choose(s, 4)], ")", 2, IKATI_TYPE_INT, levels); break;
    case 3: write_list(s, "abs(", ")", 1, IKATI_TYPE_INT, levels); break;
    case 4:
        WRITE_ONE_OF(s, "-", "!", "+", "- ");
        write_value(s, IKATI_TYPE_INT, levels);
        break;
    case 10: write_list(s, "int(", ")", 1, IKATI_TYPE_FLOAT, levels); break;
    case 11:
        write_pair(s, IKATI_TYPE_FLOAT, IKATI_TYPE_FLOAT, compare[choose(s, 6)], levels);
        break;
    case 12: write_pair(s, IKATI_TYPE_INT, IKATI_TYPE_FLOAT, compare[choose(s, 6)], levels); break;
    default: write_pair(s, IKATI_TYPE_INT, IKATI_TYPE_INT, operators[choose(s, 16)], levels); break;
    }
}

static void write_float(sketch *s, uint32_t levels) {
    static const char *const functions[] = {"exp(", "log(", "sqrt(",  "tanh(", "sin(",
                                            "cos(", "abs(", "floor(", "float("};
    static const char *const operators[] = {" + ", " - ", " * ", " / "};
    static const ikati_expression_type types[3][2] = {{IKATI_TYPE_FLOAT, IKATI_TYPE_FLOAT},
                                                      {IKATI_TYPE_INT, IKATI_TYPE_FLOAT},
                                                      {IKATI_TYPE_FLOAT, IKATI_TYPE_INT}};
    switch (choose(s, 8)) {
    case 0: write_read(s, IKATI_TYPE_FLOAT, levels); break;
    case 1: write_select(s, IKATI_TYPE_FLOAT, levels); break;
    case 2: write_list(s, functions[choose(s, 9)], ")", 1, IKATI_TYPE_FLOAT, levels); break;
    case 3: write_list(s, "float(", ")", 1, IKATI_TYPE_INT, levels); break;
    case 4:
        write_text(s, "-");
        write_value(s, IKATI_TYPE_FLOAT, levels);
        break;
    case 5: write_list(s, choose(s, 2) ? "min(" : "max(", ")", 2, IKATI_TYPE_FLOAT, levels); break;
    default: {
        const ikati_expression_type *pair_types = types[choose(s, 3)];
        write_pair(s, pair_types[0], pair_types[1], operators[choose(s, 4)], levels);
        break;
    }
    }
}

// Something of a type; a leaf where there is no room for more, and sometimes anyway.
static void write_value(sketch *s, ikati_expression_type type, uint32_t levels) {
    enum { ROOM = 96 };
    if (levels == 0 || choose(s, 6) == 0 || s->capacity < s->length + ROOM) {
        write_leaf(s, type);
        return;
    }
    if (type == IKATI_TYPE_INT) {
        write_int(s, levels - 1);
    } else {
        write_float(s, levels - 1);
    }
}

void draw_expression(uint64_t *state, ikati_expression_kind kind, uint32_t levels, char *text,
                     size_t capacity) {
    sketch s = {
        .state = state, .mask = kind == IKATI_EXPRESSION_MASK, .text = text, .capacity = capacity};
    text[0] = 0;
    write_value(&s, s.mask ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT, levels);
    if (s.length + 32 >= capacity) { // something may be missing
        s.length = 0;
        write_leaf(&s, s.mask ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT);
    }
}

expression_error last_expression_error;

static void keep_error(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    (void)level;
    expression_error *error = user;
    error->count++;
    error->id = id;
    snprintf(error->text, sizeof(error->text), "%s", text);
}

const ikati_host *expression_host(void) {
    static const ikati_host host = {
        .log = keep_error, .log_user = &last_expression_error, .log_level = IKAT_LOG_WARNING};
    return &host;
}
