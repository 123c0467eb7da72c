// Tokens of expressions. For the files of this folder.

#ifndef IKATI_LEXER_H
#define IKATI_LEXER_H

#include "expression.h"

// Operators and brackets of one character are their character.
typedef enum ikati_token_kind {
    IKATI_TOKEN_END = 0,
    IKATI_TOKEN_OR = 128,
    IKATI_TOKEN_AND,
    IKATI_TOKEN_EQUAL,
    IKATI_TOKEN_NOT_EQUAL,
    IKATI_TOKEN_LESS_EQUAL,
    IKATI_TOKEN_GREATER_EQUAL,
    IKATI_TOKEN_INTEGER,
    IKATI_TOKEN_FLOAT,
    IKATI_TOKEN_NAME
} ikati_token_kind;

typedef struct ikati_token {
    uint32_t kind; // ikati_token_kind or a character
    uint32_t start, length;
    int32_t integer;
    float number;
} ikati_token;

// What an error message needs to know of the text it is about.
typedef struct ikati_source {
    const ikati_host *host;
    const char *name; // "mask" or "score"
    const char *text;
} ikati_source;

// Logs "<name>, column <start + 1>: <message>".
ikat_status ikati_source_fail(const ikati_source *source, uint32_t start, ikat_message_id id,
                              const char *format, ...) IKATI_PRINTF(4, 5);

// Logs that a token was found where `expected` was.
ikat_status ikati_source_fail_token(const ikati_source *source, const ikati_token *token,
                                    const char *expected);

// Reads the token at or after `position`, which it moves behind it. IKAT_INVALID (logged): no token
// begins so, or a number is wrong.
ikat_status ikati_token_next(const ikati_source *source, uint32_t *position,
                             ikati_token *out_token);

// ASCII, whatever the locale is.
static inline bool ikati_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ikati_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// From here on a double rounds to an infinite float32.
#define IKATI_FLOAT_OVERFLOW 0x1.ffffffp127

// Reads a float as the grammar has it, without a sign: returns its length, 0 if none is there. A
// value beyond double is infinite.
size_t ikati_read_float(const char *text, double *out_value);

#endif
