// The reference of `linear` with a diagonal one key to the left: the oracle's tests must notice.

#define LINEAR_DIAGONAL_SHIFT (-1)
#include "../../../backends/cpu/reference/linear.c"
