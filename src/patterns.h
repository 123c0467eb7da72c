// The patterns of a call: what a mechanism with a sparse pattern hands to its lowering.

#ifndef IKATI_PATTERNS_H
#define IKATI_PATTERNS_H

#include "mechanism.h"
#include "pattern.h"

#include <stddef.h>

enum { IKATI_MAX_PATTERNS = 2, IKATI_MAX_PATTERN_BLOCKS = 8 };

// merged         a row's keys are shared out among the patterns: their results are merged by lse.
//                Else a later pattern replaces the rows that it has in common with an earlier one
// shift_stride,  row i of the result is written to row i + shift_stride; rows whose coordinate
// shift_extent   (i / shift_stride) % shift_extent is 0 are written as rows that see nothing, and
//                what would leave the axis is dropped. shift_stride 0: no shift
// inputs         names of the inputs that each reads; all NULL: "q", "k" and "v"
// blocks         memory of the patterns, the host's
struct ikati_patterns {
    const ikati_host *host;
    ikati_pattern items[IKATI_MAX_PATTERNS];
    struct {
        const char *q, *k, *v;
    } inputs[IKATI_MAX_PATTERNS];
    uint32_t num;
    bool merged;
    int64_t shift_stride, shift_extent;
    void *blocks[IKATI_MAX_PATTERN_BLOCKS];
    uint32_t num_blocks;
};

// Zeroed memory that lives as long as the patterns; NULL (logged) if there is none left.
void *ikati_patterns_alloc(ikati_patterns *patterns, int64_t count, size_t size);
// Hands over a block of the host's memory, or NULL, to be freed with the patterns.
void ikati_patterns_keep(ikati_patterns *patterns, void *block);
void ikati_patterns_free(ikati_patterns *patterns);
// Ends the making of patterns: frees them after a failure, and returns the status.
ikat_status ikati_patterns_finish(ikati_patterns *patterns, bool good);

// Counts (query, key) pairs over all batch entries and heads of the call, pruned ones apart. Asks
// for every pair of an irregular key set.
double ikati_patterns_count(const ikati_patterns *patterns, const ikati_request *request);

// Numbers `num` rows of row_bytes each so that equal rows have equal numbers, 0, 1, ... in the order
// of first occurrence; out_first gets the first row of each number. Returns how many there are.
uint32_t ikati_classify(const void *rows, uint32_t num, size_t row_bytes, uint32_t *out_class,
                        uint32_t *out_first);

#endif
