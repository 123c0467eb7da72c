// The reference of `hierarchical` with what a finer level has covered counted once more: the oracle's
// tests must notice.

#define HIERARCHICAL_COVERED 0
#include "../../../backends/cpu/reference/hierarchical.c"
