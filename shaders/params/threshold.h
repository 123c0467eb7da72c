// Kernel `threshold`: the next bits of the score from which on a row keeps keys (top-k). A row, an
// invocation; no reduction, no shared memory.
//
// Scores are compared as 32-bit numbers that ascend as they do. `attend` has counted the scores whose
// bits above agree with the threshold so far by their next bits (TOPK_BINS counts, params/attend.h);
// the bin that holds the row's k-th highest score tells these bits. The counts are set back to 0.
//
// 2 words a row: the threshold, whose lower bits are 0; how many of the scores that agree with it stay, 0
// once all of them do: then the row is done, and nobody counts it any more.
#define THRESHOLD_BINDINGS(X) X(counts, WRITE) X(rows, WRITE)

//   begins   1: writes threshold 0, topk, and counts of 0
//   shift    lowest of the bits that were counted
#define THRESHOLD_PARAMS(X)                                                                                           \
    X(uint, base_counts) X(uint, base_rows) X(uint, num_rows) X(uint, topk) X(uint, begins) X(uint, shift)

#define THRESHOLD_SPECIALISATION(X) X(0, OPTIONS)
