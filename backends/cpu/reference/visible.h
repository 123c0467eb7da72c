// Softmax attention over a set of keys a row: what references of sparse patterns share.
//
// A reference says which keys each query sees, as its page does; here are the scores, the softmax,
// padding, rows that see nothing, and threads.

#ifndef IKATI_REFERENCE_VISIBLE_H
#define IKATI_REFERENCE_VISIBLE_H

#include "reference.h"

// One row: query `i` of head `h` of batch entry `b`, in self-attention over `num_positions`.
typedef struct cpu_row {
    int64_t b, h, i;
    int64_t num_positions;
} cpu_row;

// mark       sets seen[j] for every key j that the row sees; it may mark a key twice, and padded
//            ones, which are dropped
// is_global  rows that take the inputs q_global, k_global, v_global; NULL: none
// source     the row whose result is written to row i, negative: zeros; NULL: i itself
typedef struct cpu_visible {
    const void *user;
    void (*mark)(const void *user, const cpu_row *row, uint8_t *seen);
    bool (*is_global)(const void *user, const cpu_row *row);
    int64_t (*source)(const void *user, int64_t i);
} cpu_visible;

// Computes outputs "out" and "lse" of a call with inputs q, k, v and perhaps lengths, and setting
// scale.
ikat_status cpu_attend_visible(const cpu_call *call, const cpu_visible *visible);

// Marks keys first, first + stride, ... up to last, as far as they exist.
static inline void cpu_mark_range(const cpu_row *row, int64_t first, int64_t last, int64_t stride,
                                  uint8_t *seen) {
    for (int64_t j = first; j <= last && j < row->num_positions; j += stride) {
        if (j >= 0) {
            seen[j] = 1;
        }
    }
}

#endif
