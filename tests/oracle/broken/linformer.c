// The reference of `linformer` with each position multiplied by its neighbour's column: the oracle's tests
// must notice.

#define LINFORMER_COLUMN_SHIFT 1

#include "../../../backends/cpu/reference/linformer.c"
