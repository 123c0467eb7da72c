// The reference of `dense` with the tiles of a block mask one key too far to the right, and one key too
// many a row: the oracle's tests of options that leave work out must notice.

#define DENSE_TILE_SHIFT 1
#define DENSE_RANK_SHIFT 1
#include "../../../backends/cpu/reference/dense.c"
