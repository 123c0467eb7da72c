// The reference of `axial` with every key one too far to the right: the oracle's tests must notice.

#include "broken_visible.h"

#include "../../../backends/cpu/reference/axial.c"
