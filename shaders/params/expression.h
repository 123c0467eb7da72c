// What expressions (src/expression/) and the kernels that run them agree on: the numbers of the
// operations and of the variables.
//
// X(number, name, type of the result, number of operands). The checked tree and its bytecode use
// the same operations; types are resolved, so that each works on one type of operands.
#define EXPRESSION_OPERATIONS(X)                                                                   \
    X(0, OP_INT, INT, 0)                                                                           \
    X(1, OP_FLOAT, FLOAT, 0)                                                                       \
    X(2, OP_VARIABLE, INT, 0)                                                                      \
    X(3, OP_SCORE, FLOAT, 0)                                                                       \
    X(4, OP_PARAM_INT, INT, 0)                                                                     \
    X(5, OP_PARAM_FLOAT, FLOAT, 0)                                                                 \
    X(6, OP_INDEX, INT, 1)                                                                         \
    X(7, OP_INDEX_NEXT, INT, 2)                                                                    \
    X(8, OP_LOAD_INT, INT, 1)                                                                      \
    X(9, OP_LOAD_FLOAT, FLOAT, 1)                                                                  \
    X(10, OP_NEGATE, INT, 1)                                                                       \
    X(11, OP_NOT, INT, 1)                                                                          \
    X(12, OP_ABS, INT, 1)                                                                          \
    X(13, OP_ADD, INT, 2)                                                                          \
    X(14, OP_SUBTRACT, INT, 2)                                                                     \
    X(15, OP_MULTIPLY, INT, 2)                                                                     \
    X(16, OP_DIVIDE, INT, 2)                                                                       \
    X(17, OP_REMAINDER, INT, 2)                                                                    \
    X(18, OP_FLOOR_DIVIDE, INT, 2)                                                                 \
    X(19, OP_MODULO, INT, 2)                                                                       \
    X(20, OP_MIN, INT, 2)                                                                          \
    X(21, OP_MAX, INT, 2)                                                                          \
    X(22, OP_LESS, INT, 2)                                                                         \
    X(23, OP_LESS_EQUAL, INT, 2)                                                                   \
    X(24, OP_EQUAL, INT, 2)                                                                        \
    X(25, OP_NOT_EQUAL, INT, 2)                                                                    \
    X(26, OP_AND, INT, 2)                                                                          \
    X(27, OP_OR, INT, 2)                                                                           \
    X(28, OP_SELECT, INT, 3)                                                                       \
    X(29, OP_TO_INT, INT, 1)                                                                       \
    X(30, OP_TO_FLOAT, FLOAT, 1)                                                                   \
    X(31, OP_FLOAT_NEGATE, FLOAT, 1)                                                               \
    X(32, OP_FLOAT_ABS, FLOAT, 1)                                                                  \
    X(33, OP_FLOAT_ADD, FLOAT, 2)                                                                  \
    X(34, OP_FLOAT_SUBTRACT, FLOAT, 2)                                                             \
    X(35, OP_FLOAT_MULTIPLY, FLOAT, 2)                                                             \
    X(36, OP_FLOAT_DIVIDE, FLOAT, 2)                                                               \
    X(37, OP_FLOAT_MIN, FLOAT, 2)                                                                  \
    X(38, OP_FLOAT_MAX, FLOAT, 2)                                                                  \
    X(39, OP_FLOAT_LESS, INT, 2)                                                                   \
    X(40, OP_FLOAT_LESS_EQUAL, INT, 2)                                                             \
    X(41, OP_FLOAT_EQUAL, INT, 2)                                                                  \
    X(42, OP_FLOAT_NOT_EQUAL, INT, 2)                                                              \
    X(43, OP_FLOAT_SELECT, FLOAT, 3)                                                               \
    X(44, OP_EXP, FLOAT, 1)                                                                        \
    X(45, OP_LOG, FLOAT, 1)                                                                        \
    X(46, OP_SQRT, FLOAT, 1)                                                                       \
    X(47, OP_TANH, FLOAT, 1)                                                                       \
    X(48, OP_SIN, FLOAT, 1)                                                                        \
    X(49, OP_COS, FLOAT, 1)                                                                        \
    X(50, OP_FLOOR, FLOAT, 1)

// How deep the stack of a program may be: enough for any text that is short enough.
#define EXPRESSION_STACK_WORDS 20

// X(number, name, how expressions write it).
#define EXPRESSION_VARIABLES(X)                                                                    \
    X(0, VARIABLE_I, i)                                                                            \
    X(1, VARIABLE_J, j)                                                                            \
    X(2, VARIABLE_H, h)                                                                            \
    X(3, VARIABLE_B, b)                                                                            \
    X(4, VARIABLE_N, n)                                                                            \
    X(5, VARIABLE_M, m)                                                                            \
    X(6, VARIABLE_LEN, len)                                                                        \
    X(7, VARIABLE_QLEN, qlen)
