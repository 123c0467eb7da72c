// The reference of `etc` with every key's position one too far to the right where distances count: the
// oracle's tests must notice.

#define ETC_KEY_SHIFT 1
#include "../../../backends/cpu/reference/etc.c"
