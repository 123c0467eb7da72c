// Tokens to a tree, by operator precedence with a stack of its own: nesting costs no stack of the
// thread. Two states alternate: an operand is due, or an operator.

#include "tree.h"

#include <string.h>

typedef enum pending_kind {
    PENDING_UNARY,
    PENDING_BINARY,
    PENDING_QUESTION, // condition ? . . .
    PENDING_COLON,    // condition ? a : . . .
    // What only its closing bracket ends:
    PENDING_BRACKET,
    PENDING_CALL,
    PENDING_INDEX
} pending_kind;

// What waits for operands to its right.
typedef struct pending {
    uint8_t kind;         // pending_kind
    uint8_t num_operands; // of a call or table read, before the one that is parsed
    uint16_t index;       // unary: the token; read: the table
    uint32_t start;
    const ikati_operator *binary;
    const ikati_builtin *builtin;
} pending;

typedef struct parser {
    ikati_source source;
    ikati_builder builder;
    uint32_t position;
    ikati_token token;
    ikati_part *operands;
    uint32_t num_operands;
    pending *stack;
    uint32_t num_pending;
    uint32_t num_levels; // pending entries other than binary operators
} parser;

static pending *top(parser *p) { return p->num_pending > 0 ? &p->stack[p->num_pending - 1] : NULL; }

static bool top_is(parser *p, pending_kind kind) { return top(p) && top(p)->kind == kind; }

static ikat_status advance(parser *p) {
    return ikati_token_next(&p->source, &p->position, &p->token);
}

static ikat_status push(parser *p, pending entry) {
    if (entry.kind != PENDING_BINARY && ++p->num_levels > IKATI_MAX_EXPRESSION_LEVELS) {
        return ikati_source_fail(&p->source, entry.start, IKAT_MESSAGE_RANGE,
                                 "found level %d of nesting, expected at most %d",
                                 IKATI_MAX_EXPRESSION_LEVELS + 1, IKATI_MAX_EXPRESSION_LEVELS);
    }
    p->stack[p->num_pending++] = entry;
    return IKAT_OK;
}

static void pop(parser *p) {
    p->num_levels -= top(p)->kind != PENDING_BINARY;
    p->num_pending--;
}

static ikati_part *last_operands(parser *p, uint32_t num) {
    return &p->operands[p->num_operands - num];
}

// Applies the topmost operator to the operands at the end, which its result replaces.
static ikat_status reduce(parser *p) {
    const pending entry = *top(p);
    pop(p);
    const uint32_t num = entry.kind == PENDING_UNARY ? 1 : entry.kind == PENDING_BINARY ? 2 : 3;
    ikati_part *operands = last_operands(p, num);
    p->num_operands -= num - 1;
    switch (num) {
    case 1: return ikati_build_unary(&p->builder, entry.index, entry.start, operands);
    case 2: return ikati_build_binary(&p->builder, entry.binary, operands);
    default: return ikati_build_select(&p->builder, operands);
    }
}

// Applies the binary operators on top that bind at least as tightly as `precedence`.
static ikat_status reduce_binaries(parser *p, uint32_t precedence) {
    ikat_status status = IKAT_OK;
    while (status == IKAT_OK && top_is(p, PENDING_BINARY) &&
           top(p)->binary->precedence >= precedence) {
        status = reduce(p);
    }
    return status;
}

// Ends the expression that is parsed, up to a bracket, a '?' whose ':' is missing, or the start.
static ikat_status reduce_all(parser *p) {
    ikat_status status = reduce_binaries(p, 0);
    while (status == IKAT_OK && top_is(p, PENDING_COLON)) {
        status = reduce(p);
        status = status == IKAT_OK ? reduce_binaries(p, 0) : status;
    }
    return status;
}

// An operand is complete: applies the unary operators before it.
static ikat_status reduce_unaries(parser *p) {
    ikat_status status = IKAT_OK;
    while (status == IKAT_OK && top_is(p, PENDING_UNARY)) {
        status = reduce(p);
    }
    return status;
}

static uint32_t wanted_operands(const parser *p, const pending *entry) {
    return entry->kind == PENDING_CALL ? entry->builtin->num_operands
                                       : p->builder.symbols->tables[entry->index].rank;
}

// The list of a call or a read ends too early or too late.
static ikat_status fail_count(parser *p, const pending *open) {
    const bool call = open->kind == PENDING_CALL;
    return ikati_source_fail(
        &p->source, p->token.start, call ? IKAT_MESSAGE_SYNTAX : IKAT_MESSAGE_RANK,
        "found '%c' after %s %u, expected %u in all", (char)p->token.kind,
        call ? "operand" : "index", open->num_operands + 1u, wanted_operands(p, open));
}

// An operator was due, and something else came.
static ikat_status fail_operator(parser *p) {
    const pending *open = top(p);
    const char *expected = "an operator or the end";
    if (open && open->kind == PENDING_QUESTION) {
        expected = "an operator or ':'";
    } else if (open && open->kind == PENDING_BRACKET) {
        expected = "an operator or ')'";
    } else if (open) {
        const bool call = open->kind == PENDING_CALL;
        if (p->token.kind == ',' || p->token.kind == (call ? ')' : ']')) {
            return fail_count(p, open);
        }
        expected = open->num_operands + 1u < wanted_operands(p, open) ? "an operator or ','"
                   : call                                             ? "an operator or ')'"
                                                                      : "an operator or ']'";
    }
    return ikati_source_fail_token(&p->source, &p->token, expected);
}

// A name that is followed by a bracket: reads that too.
static ikat_status open_list(parser *p, pending entry, uint32_t bracket) {
    ikat_status status = advance(p);
    if (status == IKAT_OK && p->token.kind != bracket) {
        return ikati_source_fail_token(&p->source, &p->token,
                                       bracket == '(' ? "'(' after the name of a function"
                                                      : "'[' after the name of a table");
    }
    status = status == IKAT_OK ? advance(p) : status;
    return status == IKAT_OK ? push(p, entry) : status;
}

static ikat_status fail_unknown(parser *p) {
    const int length = p->token.length < 64 ? (int)p->token.length : 64;
    return ikati_source_fail(&p->source, p->token.start, IKAT_MESSAGE_UNKNOWN_NAME,
                             "found the unknown name '%.*s', expected a variable, a function or a "
                             "declared name",
                             length, p->source.text + p->token.start);
}

static ikat_status complete_operand(parser *p, bool *due) {
    *due = false;
    const ikat_status status = reduce_unaries(p);
    return status == IKAT_OK ? advance(p) : status;
}

static ikat_status take_name(parser *p, bool *due) {
    const uint32_t start = p->token.start;
    const ikati_meaning meaning =
        ikati_name_meaning(p->builder.symbols, p->source.text + start, p->token.length);
    pending entry = {.start = start, .index = (uint16_t)meaning.index};
    if (meaning.kind == IKATI_MEANS_NOTHING) {
        return fail_unknown(p);
    }
    const bool mask = p->builder.tree->kind == IKATI_EXPRESSION_MASK;
    if (meaning.kind == IKATI_MEANS_FUNCTION) {
        if (mask && meaning.builtin->score_only) {
            return ikati_source_fail(&p->source, start, IKAT_MESSAGE_DTYPE,
                                     "found the function '%s', expected ints only in a mask",
                                     meaning.builtin->name);
        }
        entry.kind = PENDING_CALL;
        entry.builtin = meaning.builtin;
        return open_list(p, entry, '(');
    }
    if (meaning.kind == IKATI_MEANS_TABLE) {
        if (mask && p->builder.symbols->tables[meaning.index].type == IKATI_TYPE_FLOAT) {
            return ikati_source_fail(&p->source, start, IKAT_MESSAGE_DTYPE,
                                     "found a table of floats, expected ints only in a mask");
        }
        entry.kind = PENDING_INDEX;
        return open_list(p, entry, '[');
    }
    const ikat_status status =
        ikati_build_name(&p->builder, &p->token, &meaning, &p->operands[p->num_operands++]);
    return status == IKAT_OK ? complete_operand(p, due) : status;
}

static ikat_status take_operand(parser *p, bool *due) {
    const ikati_token token = p->token;
    pending entry = {.start = token.start, .index = (uint16_t)token.kind};
    ikat_status status;
    switch (token.kind) {
    case IKATI_TOKEN_INTEGER:
    case IKATI_TOKEN_FLOAT:
        status = ikati_build_number(&p->builder, &token, &p->operands[p->num_operands++]);
        return status == IKAT_OK ? complete_operand(p, due) : status;
    case IKATI_TOKEN_NAME: return take_name(p, due);
    case '-':
    case '+':
    case '!': entry.kind = PENDING_UNARY; break;
    case '(': entry.kind = PENDING_BRACKET; break;
    default:
        return ikati_source_fail_token(&p->source, &token,
                                       "a number, a name, '(' or '-', '+', '!'");
    }
    status = push(p, entry);
    return status == IKAT_OK ? advance(p) : status;
}

static ikat_status take_binary(parser *p, const ikati_operator *binary) {
    ikat_status status = reduce_binaries(p, binary->precedence + !binary->chains);
    if (status != IKAT_OK) {
        return status;
    }
    if (!binary->chains && top_is(p, PENDING_BINARY) &&
        top(p)->binary->precedence == binary->precedence) {
        return ikati_source_fail(&p->source, p->token.start, IKAT_MESSAGE_SYNTAX,
                                 "found '%s' after '%s', expected '&&', '||' or brackets: "
                                 "comparisons do not chain",
                                 binary->text, top(p)->binary->text);
    }
    return push(p, (pending){.kind = PENDING_BINARY, .start = p->token.start, .binary = binary});
}

static ikat_status take_colon(parser *p) {
    const ikat_status status = reduce_all(p);
    if (status != IKAT_OK) {
        return status;
    }
    if (!top_is(p, PENDING_QUESTION)) {
        return fail_operator(p);
    }
    top(p)->kind = PENDING_COLON;
    return IKAT_OK;
}

// Takes the operand of a call or a read that ends here. Indices are joined to a position.
static ikat_status end_operand(parser *p) {
    pending *open = top(p);
    const uint32_t num = open->num_operands++;
    if (open->kind == PENDING_CALL) {
        return IKAT_OK;
    }
    const uint32_t joined = num == 0 ? 1 : 2;
    ikati_part *operands = last_operands(p, joined);
    p->num_operands -= joined - 1;
    return ikati_build_index(&p->builder, open->index, num, operands);
}

static ikat_status take_comma(parser *p) {
    ikat_status status = reduce_all(p);
    if (status != IKAT_OK) {
        return status;
    }
    const pending *open = top(p);
    if (!open || (open->kind != PENDING_CALL && open->kind != PENDING_INDEX) ||
        open->num_operands + 1u >= wanted_operands(p, open)) {
        return fail_operator(p);
    }
    return end_operand(p);
}

static ikat_status close_list(parser *p) {
    const pending open = *top(p);
    if (open.num_operands + 1u < wanted_operands(p, &open)) {
        return fail_operator(p);
    }
    const ikat_status status = end_operand(p);
    if (status != IKAT_OK) {
        return status;
    }
    pop(p);
    if (open.kind == PENDING_INDEX) {
        ikati_build_load(&p->builder, open.index, open.start, last_operands(p, 1));
        return IKAT_OK;
    }
    const uint32_t num = open.builtin->num_operands;
    ikati_part *operands = last_operands(p, num);
    p->num_operands -= num - 1;
    return ikati_build_call(&p->builder, open.builtin, open.start, operands);
}

static ikat_status take_close(parser *p) {
    ikat_status status = reduce_all(p);
    if (status != IKAT_OK) {
        return status;
    }
    const pending *open = top(p);
    const bool square = p->token.kind == ']';
    if (open && open->kind == PENDING_BRACKET && !square) {
        last_operands(p, 1)->start = open->start;
        pop(p);
    } else if (open && open->kind == (square ? PENDING_INDEX : PENDING_CALL)) {
        status = close_list(p);
    } else {
        return fail_operator(p);
    }
    return status == IKAT_OK ? reduce_unaries(p) : status;
}

static ikat_status take_operator(parser *p, bool *due) {
    const ikati_operator *binary = ikati_operator_find(p->token.kind);
    ikat_status status;
    *due = true;
    if (binary) {
        status = take_binary(p, binary);
    } else if (p->token.kind == '?') {
        status = reduce_binaries(p, 0);
        const pending entry = {.kind = PENDING_QUESTION, .start = p->token.start};
        status = status == IKAT_OK ? push(p, entry) : status;
    } else if (p->token.kind == ':') {
        status = take_colon(p);
    } else if (p->token.kind == ',') {
        status = take_comma(p);
    } else if (p->token.kind == ')' || p->token.kind == ']') {
        *due = false;
        status = take_close(p);
    } else {
        status = reduce_all(p);
        return status == IKAT_OK ? fail_operator(p) : status;
    }
    return status == IKAT_OK ? advance(p) : status;
}

static ikat_status parse(parser *p) {
    bool due = true; // an operand; else an operator
    ikat_status status = advance(p);
    while (status == IKAT_OK && (due || p->token.kind != IKATI_TOKEN_END)) {
        status = due ? take_operand(p, &due) : take_operator(p, &due);
    }
    status = status == IKAT_OK ? reduce_all(p) : status;
    if (status == IKAT_OK && p->num_pending > 0) {
        return fail_operator(p);
    }
    if (status == IKAT_OK) {
        ikati_build_root(&p->builder, &p->operands[0]);
    }
    return status;
}

// A character gives at most an operation and a conversion, and the whole one conversion more.
static size_t max_nodes(size_t length) { return length * 2 + 1; }

ikat_status ikati_expression_parse(const ikati_host *host, ikati_expression_kind kind,
                                   const char *text, const ikati_symbols *symbols,
                                   ikati_expression *out_expression) {
    *out_expression = (ikati_expression){.kind = kind};
    const size_t length = strlen(text);
    parser p = {.source = {host, kind == IKATI_EXPRESSION_MASK ? "mask" : "score", text},
                .builder = {&p.source, symbols, out_expression}};
    if (length > IKATI_MAX_EXPRESSION_CHARACTERS) {
        return ikati_source_fail(&p.source, IKATI_MAX_EXPRESSION_CHARACTERS, IKAT_MESSAGE_RANGE,
                                 "found %llu characters, expected at most %d",
                                 (unsigned long long)length, IKATI_MAX_EXPRESSION_CHARACTERS);
    }
    p.operands = ikati_alloc(host, length + 1, sizeof(*p.operands));
    p.stack = ikati_alloc(host, length + 1, sizeof(*p.stack));
    ikati_node *nodes = ikati_alloc(host, max_nodes(length), sizeof(*nodes));
    out_expression->nodes = nodes;
    ikat_status status = p.operands && p.stack && nodes ? parse(&p) : IKAT_NO_MEMORY;
    if (status == IKAT_OK) {
        nodes = ikati_resize(host, nodes, out_expression->num_nodes, sizeof(*nodes));
        out_expression->nodes = nodes ? nodes : out_expression->nodes;
        status = nodes ? IKAT_OK : IKAT_NO_MEMORY;
    }
    if (status != IKAT_OK) {
        ikati_expression_clear(host, out_expression);
    }
    ikati_free(host, p.stack);
    ikati_free(host, p.operands);
    return status;
}

void ikati_expression_clear(const ikati_host *host, ikati_expression *expression) {
    ikati_free(host, expression->nodes);
    *expression = (ikati_expression){.kind = expression->kind};
}
