// The reference of `memory_compressed` with causal rows that see one position ahead: the oracle's tests
// must notice.

#define MEMORY_COMPRESSED_AHEAD 1

#include "../../../backends/cpu/reference/memory_compressed.c"
