// Reserved and declared names.

#include "symbols.h"

#include "lexer.h"

#include <math.h>
#include <string.h>

static const ikati_builtin functions[] = {
    {"min", 2, IKATI_OP_MIN, IKATI_OP_FLOAT_MIN, false},
    {"max", 2, IKATI_OP_MAX, IKATI_OP_FLOAT_MAX, false},
    {"abs", 1, IKATI_OP_ABS, IKATI_OP_FLOAT_ABS, false},
    {"fdiv", 2, IKATI_OP_FLOOR_DIVIDE, IKATI_NOT_THERE, false},
    {"rem", 2, IKATI_OP_REMAINDER, IKATI_NOT_THERE, false},
    {"float", 1, IKATI_OP_TO_FLOAT, IKATI_NO_CHANGE, true},
    {"int", 1, IKATI_NO_CHANGE, IKATI_OP_TO_INT, true},
    {"exp", 1, IKATI_NOT_THERE, IKATI_OP_EXP, true},
    {"log", 1, IKATI_NOT_THERE, IKATI_OP_LOG, true},
    {"sqrt", 1, IKATI_NOT_THERE, IKATI_OP_SQRT, true},
    {"tanh", 1, IKATI_NOT_THERE, IKATI_OP_TANH, true},
    {"sin", 1, IKATI_NOT_THERE, IKATI_OP_SIN, true},
    {"cos", 1, IKATI_NOT_THERE, IKATI_OP_COS, true},
    {"floor", 1, IKATI_NOT_THERE, IKATI_OP_FLOOR, true},
};

static const char *const variables[IKATI_NUM_VARIABLES] = {
#define X(number, name, text) [number] = #text,
    EXPRESSION_VARIABLES(X)
#undef X
};

static bool same_name(const char *name, const char *text, size_t length) {
    return strncmp(name, text, length) == 0 && name[length] == 0;
}

static ikati_meaning reserved_meaning(const char *name, size_t length) {
    for (uint32_t v = 0; v < IKATI_NUM_VARIABLES; v++) {
        if (same_name(variables[v], name, length)) {
            return (ikati_meaning){.kind = IKATI_MEANS_VARIABLE, .index = v};
        }
    }
    for (size_t f = 0; f < sizeof(functions) / sizeof(functions[0]); f++) {
        if (same_name(functions[f].name, name, length)) {
            return (ikati_meaning){.kind = IKATI_MEANS_FUNCTION, .builtin = &functions[f]};
        }
    }
    const ikati_meaning_kind kind = same_name("score", name, length) ? IKATI_MEANS_SCORE
                                    : same_name("inf", name, length) ? IKATI_MEANS_INFINITY
                                                                     : IKATI_MEANS_NOTHING;
    return (ikati_meaning){.kind = kind};
}

ikati_meaning ikati_name_meaning(const ikati_symbols *symbols, const char *name, size_t length) {
    for (uint32_t p = 0; p < symbols->num_params; p++) {
        if (same_name(symbols->params[p].name, name, length)) {
            return (ikati_meaning){.kind = IKATI_MEANS_PARAM, .index = p};
        }
    }
    for (uint32_t t = 0; t < symbols->num_tables; t++) {
        if (same_name(symbols->tables[t].name, name, length)) {
            return (ikati_meaning){.kind = IKATI_MEANS_TABLE, .index = t};
        }
    }
    return reserved_meaning(name, length);
}

// Checks a name against the grammar, the reserved ones and those declared before it, `earlier`.
static ikat_status check_name(const ikati_host *host, const char *family, const char *name,
                              const ikati_symbols *earlier) {
    size_t length = 0;
    while (ikati_is_letter(name[length]) || (length > 0 && ikati_is_digit(name[length]))) {
        length++;
    }
    if (length == 0 || name[length] != 0) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                          "%s.%.64s: expected a name of letters, digits and '_' that does not "
                          "begin with a digit",
                          family, name);
    }
    const ikati_meaning meaning = ikati_name_meaning(earlier, name, length);
    if (meaning.kind == IKATI_MEANS_PARAM || meaning.kind == IKATI_MEANS_TABLE) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_TWICE,
                          "%s.%.64s: the name is declared twice", family, name);
    }
    if (meaning.kind != IKATI_MEANS_NOTHING) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                          "%s.%.64s: the name is reserved, expected another", family, name);
    }
    return IKAT_OK;
}

static ikat_status check_table(const ikati_host *host, const ikati_expression_table *table) {
    if (table->rank < 1 || table->rank > IKATI_MAX_TABLE_RANK) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_RANK,
                          "table.%.64s has %u axes, expected 1 to %d", table->name, table->rank,
                          IKATI_MAX_TABLE_RANK);
    }
    uint64_t count = 1;
    bool fits = true;
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        const int64_t extent = table->shape[axis];
        // An extent of 0 counts as 1, so that positions in part of the axes fit as well.
        fits = fits && extent >= 0 && extent <= INT32_MAX &&
               ikati_mul_size(count, extent > 0 ? (uint64_t)extent : 1, &count);
    }
    if (!fits || count > INT32_MAX) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "table.%.64s: expected extents of at least 0 and less than 2^31 entries",
                          table->name);
    }
    return IKAT_OK;
}

static ikat_status check_number(const ikati_host *host, const char *family, uint32_t num,
                                uint32_t max) {
    return num <= max ? IKAT_OK
                      : ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                                   "%u names %s.NAME, expected at most %u", num, family, max);
}

ikat_status ikati_symbols_check(const ikati_host *host, const ikati_symbols *symbols) {
    ikat_status status =
        check_number(host, "param", symbols->num_params, IKATI_MAX_EXPRESSION_PARAMS);
    if (status == IKAT_OK) {
        status = check_number(host, "table", symbols->num_tables, IKATI_MAX_EXPRESSION_TABLES);
    }
    ikati_symbols earlier = {.params = symbols->params, .tables = symbols->tables};
    for (uint32_t p = 0; status == IKAT_OK && p < symbols->num_params; p++) {
        status = check_name(host, "param", symbols->params[p].name, &earlier);
        earlier.num_params = p + 1;
    }
    for (uint32_t t = 0; status == IKAT_OK && t < symbols->num_tables; t++) {
        status = check_name(host, "table", symbols->tables[t].name, &earlier);
        status = status == IKAT_OK ? check_table(host, &symbols->tables[t]) : status;
        earlier.num_tables = t + 1;
    }
    return status;
}

static ikat_status fail_param(const ikati_host *host, ikat_message_id id, const char *name,
                              const char *text, const char *expected) {
    return ikati_fail(host, IKAT_INVALID, id, "%.64s is '%.64s', expected %s", name, text,
                      expected);
}

ikat_status ikati_expression_param_read(const ikati_host *host, const char *name, const char *text,
                                        ikati_expression_param *param) {
    const bool negative = text[0] == '-';
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    double value = 0;
    const size_t length = ikati_read_float(digits, &value);
    if (length == 0 || digits[length] != 0) {
        return fail_param(host, IKAT_MESSAGE_SYNTAX, name, text, "an integer or a float");
    }
    value = negative ? -value : value;
    param->type = strspn(digits, "0123456789") == length ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT;
    if (param->type == IKATI_TYPE_INT) {
        if (value < INT32_MIN || value > INT32_MAX) {
            return fail_param(host, IKAT_MESSAGE_RANGE, name, text,
                              "an integer from -2147483648 to 2147483647");
        }
        param->integer = (int32_t)value;
        return IKAT_OK;
    }
    if (fabs(value) >= IKATI_FLOAT_OVERFLOW) {
        return fail_param(host, IKAT_MESSAGE_RANGE, name, text,
                          "a finite float, at most 3.4028235e38");
    }
    param->number = (float)value;
    return IKAT_OK;
}

void ikati_expression_measure(ikati_expression_table *table) {
    table->lowest = 0;
    table->highest = 0;
    int64_t count = table->type == IKATI_TYPE_INT ? 1 : 0;
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        count *= table->shape[axis];
    }
    const int32_t *entries = table->data;
    for (int64_t e = 0; e < count; e++) {
        table->lowest = e == 0 || entries[e] < table->lowest ? entries[e] : table->lowest;
        table->highest = e == 0 || entries[e] > table->highest ? entries[e] : table->highest;
    }
}
