// The reference of `dense` with its diagonal shifted by one key. Linked ahead of the library, it
// takes the place of the right one, and the oracle's tests must notice.

#define DENSE_DIAGONAL_SHIFT 1
#include "../../../backends/cpu/reference/dense.c"
