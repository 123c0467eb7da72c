// The reference of `cpc` with rows that are not valid counted all the same. Linked ahead of the
// library, it takes the place of the right one, and the oracle's tests must notice.

#define CPC_KEEPS_INVALID 1
#include "../../../backends/cpu/reference/cpc.c"
