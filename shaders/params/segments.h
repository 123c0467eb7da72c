// Kernel `segments`: means over consecutive rows of a matrix, one a (batch, head). Of n valid rows, min(n, L) segments
// are made: the first L - n % L have n / L rows, the others one more. One invocation owns 4 neighbouring columns of
// (a part of) a segment.
//   to_p,l,c = factor * sum of x_rc over part p of segment l / rows of the segment
// What segments do not exist is 0; with SEGMENTS_ALONE only entries with n <= L are written, of those the segments
// that exist: copies of rows.
#define SEGMENTS_BINDINGS(X) X(x, READ) X(lengths, READ) X(to, WRITE)

//   x              float32, or float16 with SEGMENTS_HALF; strides in elements, innermost stride 1; head / heads_per_kv
//                  is the head of x
//   lengths        valid rows n, one a batch entry, clamped to 0..total_rows here (SEGMENTS_LENGTHS)
//   num_rows       rows that are bound, from row row_begin on, in parts: part p of a segment begins p * rows_per_part
//                  behind its first row that is bound
//   to             float32, packed [part, batch, head, segment, column] but for to_part
#define SEGMENTS_PARAMS(X)                                                                                            \
    X(uint, base_x) X(uint, base_lengths) X(uint, base_to)                                                            \
    X(uint, num_batches) X(uint, num_heads) X(uint, heads_per_kv) X(uint, num_segments) X(uint, num_columns)          \
    X(uint, num_parts) X(uint, rows_per_part) X(uint, row_begin) X(uint, num_rows) X(uint, total_rows)                \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row) X(uint, to_part)                                                  \
    X(float, factor)

#define SEGMENTS_SPECIALISATION(X) X(0, OPTIONS)

#define SEGMENTS_HALF 1u
#define SEGMENTS_LENGTHS 2u
#define SEGMENTS_ALONE 4u
