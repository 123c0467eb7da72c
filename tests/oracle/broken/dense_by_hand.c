// See dense.c.

#include "dense.c"
