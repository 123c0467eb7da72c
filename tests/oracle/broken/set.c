// The reference of `set` without the projected query in what its heads attend to: the oracle's tests must
// notice.

#define SET_RESIDUAL 0

#include "../../../backends/cpu/reference/set.c"
