// Text to tokens, and how errors in the text are told.

#include "lexer.h"

#include <stdio.h>
#include <stdarg.h>
#include <string.h>

enum { MESSAGE_BYTES = 256, QUOTED_CHARACTERS = 32 };

ikat_status ikati_source_fail(const ikati_source *source, uint32_t start, ikat_message_id id,
                              const char *format, ...) {
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return ikati_fail(source->host, IKAT_INVALID, id, "%s, column %u: %s", source->name, start + 1,
                      message);
}

ikat_status ikati_source_fail_token(const ikati_source *source, const ikati_token *token,
                                    const char *expected) {
    if (token->kind == IKATI_TOKEN_END) {
        return ikati_source_fail(source, token->start, IKAT_MESSAGE_SYNTAX,
                                 "found the end, expected %s", expected);
    }
    const int length = (int)(token->length < QUOTED_CHARACTERS ? token->length : QUOTED_CHARACTERS);
    return ikati_source_fail(source, token->start, IKAT_MESSAGE_SYNTAX, "found '%.*s', expected %s",
                             length, source->text + token->start, expected);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool ends_number(char c) { return !ikati_is_digit(c) && !ikati_is_letter(c) && c != '.'; }

// The value of a hexadecimal digit, 16 for what is none.
static uint32_t hex_digit(char c) {
    if (ikati_is_digit(c)) {
        return (uint32_t)(c - '0');
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (uint32_t)(lower - 'a') + 10 : 16;
}

// Reads digits of a base up to what is none; the value stays at most 2^31, which is too large.
static size_t read_integer(const char *text, uint32_t base, uint64_t *out_value) {
    size_t length = 0;
    *out_value = 0;
    for (; hex_digit(text[length]) < base; length++) {
        *out_value = *out_value * base + hex_digit(text[length]);
        *out_value = *out_value > INT32_MAX ? (uint64_t)INT32_MAX + 1 : *out_value;
    }
    return length;
}

static ikat_status fail_number(const ikati_source *source, const ikati_token *token) {
    const char *text = source->text + token->start;
    uint32_t length = token->length;
    while (!ends_number(text[length])) {
        length++;
    }
    const int quoted = (int)(length < QUOTED_CHARACTERS ? length : QUOTED_CHARACTERS);
    return ikati_source_fail(source, token->start, IKAT_MESSAGE_SYNTAX,
                             "found '%.*s', expected a number, and an operator after it", quoted,
                             text);
}

static ikat_status take_integer(const ikati_source *source, uint32_t prefix, size_t digits,
                                uint64_t value, ikati_token *token) {
    token->kind = IKATI_TOKEN_INTEGER;
    token->length = prefix + (uint32_t)digits;
    if (digits == 0 || !ends_number(source->text[token->start + token->length])) {
        return fail_number(source, token);
    }
    if (value > INT32_MAX) {
        return ikati_source_fail(source, token->start, IKAT_MESSAGE_RANGE,
                                 "found an integer too large, expected at most 2147483647");
    }
    token->integer = (int32_t)value;
    return IKAT_OK;
}

static ikat_status read_number(const ikati_source *source, ikati_token *token) {
    const char *text = source->text + token->start;
    uint64_t integer = 0;
    if (text[0] == '0' && text[1] == 'x') {
        const size_t digits = read_integer(text + 2, 16, &integer);
        return take_integer(source, 2, digits, integer, token);
    }
    double number = 0;
    const size_t digits = read_integer(text, 10, &integer),
                 length = ikati_read_float(text, &number);
    if (length == digits) {
        return take_integer(source, 0, digits, integer, token);
    }
    token->kind = IKATI_TOKEN_FLOAT;
    token->length = (uint32_t)length;
    if (length == 0 || !ends_number(text[length])) {
        return fail_number(source, token);
    }
    if (number >= IKATI_FLOAT_OVERFLOW) {
        return ikati_source_fail(source, token->start, IKAT_MESSAGE_RANGE,
                                 "found a float too large, expected at most 3.4028235e38");
    }
    token->number = (float)number;
    return IKAT_OK;
}

// The operator or bracket at `text`: its length, 0 if there is none.
static uint32_t read_punctuation(const char *text, uint32_t *out_kind) {
    static const struct {
        char text[3];
        uint8_t kind;
    } pairs[] = {
        {"||", IKATI_TOKEN_OR},         {"&&", IKATI_TOKEN_AND},
        {"==", IKATI_TOKEN_EQUAL},      {"!=", IKATI_TOKEN_NOT_EQUAL},
        {"<=", IKATI_TOKEN_LESS_EQUAL}, {">=", IKATI_TOKEN_GREATER_EQUAL},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strncmp(text, pairs[i].text, 2) == 0) {
            *out_kind = pairs[i].kind;
            return 2;
        }
    }
    *out_kind = (uint8_t)*text;
    return strchr("<>+-*/%!?:()[],", *text) ? 1 : 0;
}

ikat_status ikati_token_next(const ikati_source *source, uint32_t *position,
                             ikati_token *out_token) {
    while (is_blank(source->text[*position])) {
        ++*position;
    }
    const char *text = source->text + *position;
    *out_token = (ikati_token){.start = *position};
    if (*text == 0) {
        return IKAT_OK;
    }
    if (ikati_is_digit(*text) || *text == '.') {
        const ikat_status status = read_number(source, out_token);
        *position += out_token->length;
        return status;
    }
    if (ikati_is_letter(*text)) {
        out_token->kind = IKATI_TOKEN_NAME;
        while (ikati_is_letter(text[out_token->length]) ||
               ikati_is_digit(text[out_token->length])) {
            out_token->length++;
        }
    } else {
        out_token->length = read_punctuation(text, &out_token->kind);
    }
    *position += out_token->length;
    if (out_token->length > 0) {
        return IKAT_OK;
    }
    const bool printable = *text > ' ' && *text < 127;
    return ikati_source_fail(source, out_token->start, IKAT_MESSAGE_SYNTAX,
                             printable ? "found '%c', expected a number, a name or an operator"
                                       : "found the byte 0x%02x, expected printable ASCII",
                             (unsigned char)*text);
}
