// Kernel `mean`: means over the rows of a matrix, one a (batch, head), in parts of its rows:
//   to_p,c = factor * sum of x_rc over part p's valid rows / number of valid rows,  0 where there is none.
// The parts, whose own mean it takes in a second step, add up to the mean. Rows that are not valid are not read. One
// invocation owns 4 neighbouring columns of one part. With one row it copies, to float32.
#define MEAN_BINDINGS(X) X(x, READ) X(lengths, READ) X(to, WRITE)

//   x              float32, or float16 with MEAN_HALF; strides in elements, innermost stride 1
//   lengths        valid rows, one a batch entry, clamped to 0..num_rows here (MEAN_LENGTHS)
//   num_rows       rows that are bound; the first is row row_begin of total_rows
//   to             float32, packed [part, batch, head, column] but for to_part
#define MEAN_PARAMS(X)                                                                                                \
    X(uint, base_x) X(uint, base_lengths) X(uint, base_to)                                                            \
    X(uint, num_parts) X(uint, rows_per_part)                                                                         \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, num_columns)                                    \
    X(uint, row_begin) X(uint, total_rows)                                                                            \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row) X(uint, to_part)                                                  \
    X(float, factor)

#define MEAN_SPECIALISATION(X) X(0, OPTIONS)

#define MEAN_HALF 1u
#define MEAN_LENGTHS 2u
