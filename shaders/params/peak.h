// Kernel `peak`: the largest element of each part of a matrix, a part being some of its rows; with PEAK_ABSOLUTE the
// largest magnitude. NaN is larger than all else. Slots without a valid position (params/feature.h) are
// left out; a part of nothing else is -infinity.
#define PEAK_BINDINGS(X) X(x, READ) X(lengths, READ) X(y, WRITE)

//   x   float32, rows on multiples of 4 elements
//   y   float32, num_parts a batch entry and head
#define PEAK_PARAMS(X)                                                                                                \
    X(uint, base_x) X(uint, base_lengths) X(uint, base_y)                                                             \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, num_columns)                                    \
    X(uint, rows_per_part) X(uint, num_parts)                                                                         \
    X(uint, row_begin) X(uint, total) X(uint, num_positions)                                                          \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row) X(uint, y_batch) X(uint, y_head)

#define PEAK_SPECIALISATION(X) X(0, OPTIONS)

#define PEAK_ABSOLUTE 1u
#define PEAK_LENGTHS 2u
#define PEAK_ALL 4u // all rows count: they are no slots
