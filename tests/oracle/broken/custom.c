// The reference of `custom` with every key's position one too far to the right in expressions: the
// oracle's tests must notice.

#define CUSTOM_KEY_SHIFT 1
#include "../../../backends/cpu/reference/custom.c"
