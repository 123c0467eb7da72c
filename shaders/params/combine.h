// Kernel `combine`: element by element over the rows of matrices, one a (batch, head),
//   to = scale x,   scale (x + y) (COMBINE_ADD),   scale x y (COMBINE_MULTIPLY),   scale x sigmoid(y)
// (COMBINE_GATE).
// Rows that are not valid are not read, and written as 0. Types may differ: a copy also widens or rounds. One
// invocation owns 4 neighbouring columns of a row.
#define COMBINE_BINDINGS(X) X(x, READ) X(y, READ) X(lengths, READ) X(to, WRITE)

//   x y         float32, or float16 with COMBINE_X_HALF, COMBINE_Y_HALF; any strides, 0 repeats
//   lengths     valid rows, one a batch entry (COMBINE_LENGTHS); the first row of a step is row row_begin
//   to          float32, or float16 with COMBINE_TO_HALF, whose rows then start and end on 32-bit words in GLSL
#define COMBINE_PARAMS(X)                                                                                             \
    X(uint, base_x) X(uint, base_y) X(uint, base_lengths) X(uint, base_to)                                            \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, row_begin) X(uint, num_columns)                 \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row) X(uint, x_column)                                                 \
    X(uint, y_batch) X(uint, y_head) X(uint, y_row) X(uint, y_column)                                                 \
    X(uint, to_batch) X(uint, to_head) X(uint, to_row) X(float, scale)

#define COMBINE_SPECIALISATION(X) X(0, OPTIONS)

#define COMBINE_X_HALF 1u
#define COMBINE_Y_HALF 2u
#define COMBINE_TO_HALF 4u
#define COMBINE_LENGTHS 8u
#define COMBINE_ADD 16u
#define COMBINE_GATE 32u
#define COMBINE_MULTIPLY 64u
