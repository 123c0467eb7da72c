// Makes a reference of a sparse pattern wrong on purpose: every key that it marks is one too far to
// the right. Include it before the reference's own file.

#ifndef TESTS_BROKEN_VISIBLE_H
#define TESTS_BROKEN_VISIBLE_H

#include "../../backends/cpu/reference/visible.h"

static inline void mark_shifted(const cpu_row *row, int64_t first, int64_t last, int64_t stride,
                                uint8_t *seen) {
    cpu_mark_range(row, first + 1, last + 1, stride, seen);
}
#define cpu_mark_range mark_shifted

#endif
