// The pattern language of the mechanism `custom`: masks (integers) and scores (floats) as functions
// of positions, written as text. Knows nothing of plans, devices or tensors.
//
//   text -> ikati_expression       checked: names, types, limits
//        -> _evaluate              the value at one pair, on the CPU
//        -> _classify              a tile of pairs: empty, partial or full
//        -> _compile               bytecode, for kernels that interpret it
//        -> _emit                  a function, for kernels that are compiled with it
//
// Values: an int is int32, a float is double on the CPU and float32 on devices; constants and
// tables of floats are float32 everywhere. Nothing traps, whatever the values are (arithmetic.h).
//
// Thread-safety: functions change only what is behind their pointers that are not const.

#ifndef IKATI_EXPRESSION_H
#define IKATI_EXPRESSION_H

#include "../host.h"
#include "../../shaders/params/expression.h"

enum {
    IKATI_MAX_EXPRESSION_CHARACTERS = 65536,
    IKATI_MAX_EXPRESSION_LEVELS = 1024,
    IKATI_MAX_EXPRESSION_STACK = EXPRESSION_STACK_WORDS,
    IKATI_MAX_EXPRESSION_PARAMS = 64,
    IKATI_MAX_EXPRESSION_TABLES = 16,
    IKATI_MAX_TABLE_RANK = 4
};

typedef enum ikati_expression_kind {
    IKATI_EXPRESSION_MASK, // ints only
    IKATI_EXPRESSION_SCORE // its value is a float
} ikati_expression_kind;

typedef enum ikati_expression_type { IKATI_TYPE_INT, IKATI_TYPE_FLOAT } ikati_expression_type;

typedef enum ikati_operation {
#define X(number, name, type, num_operands) IKATI_##name = number,
    EXPRESSION_OPERATIONS(X)
#undef X
        IKATI_NUM_OPERATIONS
} ikati_operation;

typedef enum ikati_variable {
#define X(number, name, text) IKATI_##name = number,
    EXPRESSION_VARIABLES(X)
#undef X
        IKATI_NUM_VARIABLES
} ikati_variable;

// --- Declared names (symbols.c)

// A named constant, `param.NAME`.
typedef struct ikati_expression_param {
    const char *name; // without "param."
    ikati_expression_type type;
    int32_t integer; // the value, by type
    float number;
} ikati_expression_param;

// A table, `table.NAME`, read as NAME[...].
//
// data           packed row-major, int32_t or float by type; NULL is fine while only names are
//                needed (parsing, compiling, emitting)
// lowest, highest  range of all entries of an int table, set by ikati_expression_measure; [0, 0] if it
//                has none. Only _classify reads them
typedef struct ikati_expression_table {
    const char *name; // without "table."
    ikati_expression_type type;
    uint32_t rank;
    int64_t shape[IKATI_MAX_TABLE_RANK];
    const void *data;
    int32_t lowest, highest;
} ikati_expression_table;

// All that a call declares. Expressions refer to params and tables by their place in these arrays,
// so an expression may be used with other values, shapes and data of the same names and types.
typedef struct ikati_symbols {
    const ikati_expression_param *params;
    uint32_t num_params;
    const ikati_expression_table *tables;
    uint32_t num_tables;
} ikati_symbols;

// Checks names (form, reserved, twice), numbers of them, ranks and shapes. The extents of a table,
// other than 0, multiply to less than 2^31.
//
// IKAT_INVALID (logged, naming `param.NAME` or `table.NAME`)
ikat_status ikati_symbols_check(const ikati_host *host, const ikati_symbols *symbols);

// Reads a value from text and sets its type: an int when written as an optional sign and digits, else
// a float.
//
// name  in messages, "param.cap"
//
// IKAT_INVALID (logged): no number, or outside int32 or float32
ikat_status ikati_expression_param_read(const ikati_host *host, const char *name, const char *text,
                                        ikati_expression_param *param);

// Sets lowest and highest of a table with data.
void ikati_expression_measure(ikati_expression_table *table);

// --- Parsing (lexer.c, parser.c, tree.c)

// One operation of the tree.
//
// operands  places of nodes, all before this one; as many as EXPRESSION_OPERATIONS says
// integer   the constant of OP_INT
// number    the constant of OP_FLOAT
// index     variable, param or table of the operations that name one
// axis      of OP_INDEX and OP_INDEX_NEXT
//
// A read of a table is a chain: OP_INDEX(x0) gives the position along axis 0, each
// OP_INDEX_NEXT(position, x) goes on to position * extent + x, both -1 once an index is outside;
// OP_LOAD_*(position) gives the entry, or 0 for -1.
typedef struct ikati_node {
    uint8_t operation; // ikati_operation
    uint8_t axis;
    union {
        int32_t integer;
        float number;
        uint32_t index;
    };
    uint32_t operands[3];
} ikati_node;

// A checked expression. The value is the last node's.
//
// variables  bit v: reads ikati_variable v
typedef struct ikati_expression {
    ikati_expression_kind kind;
    ikati_node *nodes;
    uint32_t num_nodes;
    uint32_t variables;
} ikati_expression;

ikati_expression_type ikati_operation_type(ikati_operation operation);
uint32_t ikati_operation_operands(ikati_operation operation);

// Parses and checks. A score that is an int is converted.
//
// symbols  checked by ikati_symbols_check
//
// IKAT_INVALID: an error in the text, logged with "mask" or "score", the column (1 is the first
// character, line ends count), what was found and what was expected. The message id is SYNTAX,
// UNKNOWN_NAME, DTYPE (a float where only an int may be), RANK (number of indices) or RANGE (a
// number or a limit).
// IKAT_NO_MEMORY. On failure *out_expression is empty, and clearing it does nothing.
ikat_status ikati_expression_parse(const ikati_host *host, ikati_expression_kind kind,
                                   const char *text, const ikati_symbols *symbols,
                                   ikati_expression *out_expression);
void ikati_expression_clear(const ikati_host *host, ikati_expression *expression);

// --- Values (evaluate.c)

typedef union ikati_expression_value {
    int32_t integer;
    double number;
} ikati_expression_value;

// Where an expression is evaluated: one value a variable, for example place[IKATI_VARIABLE_I].
typedef int32_t ikati_place[IKATI_NUM_VARIABLES];

// The value of an expression: of a mask `integer`, of a score `number`.
//
// score   read by scores only
// values  num_nodes values of room, overwritten
ikati_expression_value ikati_expression_evaluate(const ikati_expression *expression,
                                                 const ikati_symbols *symbols,
                                                 const ikati_place place, double score,
                                                 ikati_expression_value *values);

// --- Tiles (interval.c, classify.c)

// Bounds of an int, both inclusive.
typedef struct ikati_interval {
    int64_t low, high;
} ikati_interval;

// The numbers of `block_map`.
typedef enum ikati_tile_class {
    IKATI_TILE_EMPTY = 0,   // no pair is visible
    IKATI_TILE_PARTIAL = 1, // nothing is known
    IKATI_TILE_FULL = 2     // all pairs are visible
} ikati_tile_class;

// Pairs of queries first_query..last_query and keys first_key..last_key (inclusive, none empty).
//
// place  all variables but I and J, which are ignored; `len` and `qlen` cut the tile
typedef struct ikati_tile {
    ikati_place place;
    int32_t first_query, last_query;
    int32_t first_key, last_key;
} ikati_tile;

// The interval of an int expression over a tile, lengths not regarded: holds every value, at least
// as sharp as the rules of the page.
//
// symbols    tables with data, measured
// intervals  num_nodes intervals of room, overwritten
ikati_interval ikati_expression_bound(const ikati_expression *mask, const ikati_symbols *symbols,
                                      const ikati_tile *tile, ikati_interval *intervals);

// Classifies a tile under a mask and the lengths. Pairs past N or M do not exist: they are neither
// visible nor missing.
ikati_tile_class ikati_expression_classify(const ikati_expression *mask,
                                           const ikati_symbols *symbols, const ikati_tile *tile,
                                           ikati_interval *intervals);

// --- Devices (bytecode.c, emit.c)

// What params and tables are to a kernel: one array of 32-bit words, floats as their bits.
//
//   num_params words: the values of the params
//   num_tables blocks of 5 words: place of the table's first entry, then its extents, 1 past its rank
//   the entries of all tables
//
// `out_words` is the caller's to free. IKAT_INVALID (logged) if there would be more than 2^31 - 1 words;
// IKAT_NO_MEMORY.
ikat_status ikati_symbols_pack(const ikati_host *host, const ikati_symbols *symbols,
                               uint32_t **out_words, uint32_t *out_num_words);

enum {
    IKATI_TABLE_WORDS = 1 + IKATI_MAX_TABLE_RANK,
    IKATI_BYTECODE_SLOT_SHIFT = 8,
    IKATI_BYTECODE_SLOT_BITS = 2,
    IKATI_BYTECODE_COUNT_SHIFT = 14,
    IKATI_BYTECODE_ARGUMENT_SHIFT = 16
};

// A program for a stack machine; all values are 32-bit words, floats as their bits.
// shaders/lib/expression_run.h runs it.
//
// An instruction is a word: operation in bits 0-7, slots in bits 8-13, number of operands in bits
// 14-15, argument in bits 16-31. An operation takes its operands off the stack: with `base` the
// lowest of them, operand p is stack[base + (slots >> 2 p & 3)]; it pushes one word.
// OP_INT and OP_FLOAT push the next word of the program. The argument is the variable's number for
// OP_VARIABLE, and for the others a place in the array of ikati_symbols_pack: of the value for
// OP_PARAM_*, of the extent for OP_INDEX and OP_INDEX_NEXT, of the block for OP_LOAD_*.
//
// stack_depth  how many words the stack ever holds, at most IKATI_MAX_EXPRESSION_STACK
typedef struct ikati_bytecode {
    uint32_t *words;
    uint32_t num_words;
    uint32_t stack_depth;
} ikati_bytecode;

// Compiles. Only the numbers of params and tables are read from `symbols`. IKAT_NO_MEMORY.
ikat_status ikati_expression_compile(const ikati_host *host, const ikati_expression *expression,
                                     const ikati_symbols *symbols, ikati_bytecode *out_bytecode);
void ikati_bytecode_clear(const ikati_host *host, ikati_bytecode *bytecode);

// Writes the expression as a function, in the words that GLSL and OpenCL C share:
//
//   int expression_mask(EXPRESSION_PLACE) { ... }
//   float expression_score(EXPRESSION_PLACE, float score) { ... }
//
// The text needs shaders/glsl/lib/expression.glsl or shaders/opencl/lib/expression.cl before it and
// uses nothing else; no name of the caller's is in it. Only the numbers of params and tables are
// read from `symbols`. `out_text` is the caller's to free. IKAT_NO_MEMORY.
ikat_status ikati_expression_emit(const ikati_host *host, const ikati_expression *expression,
                                  const ikati_symbols *symbols, char **out_text);

#endif
