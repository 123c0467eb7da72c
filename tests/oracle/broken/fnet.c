// The reference of `fnet` with the products of sines added, which is the transform with the channels
// turned round: the oracle's tests must notice.

#define FNET_SINE (-1)
#include "../../../backends/cpu/reference/fnet.c"
