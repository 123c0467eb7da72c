// Repetition with literal indices. Register blocks are written out rather than looped over: some drivers
// keep an array that a loop indexes in memory, others take minutes to compile it.
#define REPEAT_1(X) X(0)
#define REPEAT_2(X) X(0) X(1)
#define REPEAT_4(X) X(0) X(1) X(2) X(3)
#define REPEAT_8(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

// The same with one fixed first argument; usable inside a REPEAT.
#define REPEAT_1_OF(X, a) X(a, 0)
#define REPEAT_2_OF(X, a) X(a, 0) X(a, 1)
#define REPEAT_4_OF(X, a) X(a, 0) X(a, 1) X(a, 2) X(a, 3)
#define REPEAT_8_OF(X, a) X(a, 0) X(a, 1) X(a, 2) X(a, 3) X(a, 4) X(a, 5) X(a, 6) X(a, 7)
