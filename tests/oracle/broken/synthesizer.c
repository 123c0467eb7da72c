// The reference of `synthesizer` with weights that do not add up to 1: the oracle's tests must notice.

#define SYNTHESIZER_SUM 0.5

#include "../../../backends/cpu/reference/synthesizer.c"
