// Kernel `feature`: rows of q or k, or their projections, become feature vectors,
//   y_c = f(x_c) + eps,   f: elu + 1, relu, exp, the identity; or exp(x_c - square - maximum), without and
// with its mirror image exp(-x_c - square - maximum); square is square_scale times the sum of squares of a row of
// `source`.
//
// Rows of y are slots. Slot s holds position s, or with `total` position s - (total - n), n being the valid
// positions: then the last valid one is in slot total - 1. Slots without a valid position become 0, as columns
// past those of x do.
#define FEATURE_BINDINGS(X) X(x, READ) X(source, READ) X(maxima, READ) X(lengths, READ) X(y, WRITE)

//   x        float32, or float16 with FEATURE_X_HALF; innermost stride 1. Its first row is position
//            position_begin; with FEATURE_SLOTS the first slot: then it may be y
//   source   as x, by slots; float16 with FEATURE_SOURCE_HALF (only for exponentials)
//   maxima   with FEATURE_MAXIMA one a batch entry and head; FEATURE_ROW_MAXIMUM: the largest x_c of the row, of
//            both images
//   lengths  with FEATURE_LENGTHS valid positions, one a batch entry; else num_positions
//   y        float32; num_features columns, a multiple of 16: of mirrored ones half are of either image
//   row_begin   slot of the first row
#define FEATURE_PARAMS(X)                                                                                             \
    X(uint, base_x) X(uint, base_source) X(uint, base_maxima) X(uint, base_lengths) X(uint, base_y)                   \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, row_begin)                                      \
    X(uint, total) X(uint, num_positions) X(uint, position_begin)                                                     \
    X(uint, num_columns) X(uint, num_features) X(uint, source_size)                                                   \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row)                                                                   \
    X(uint, source_batch) X(uint, source_head) X(uint, source_row)                                                    \
    X(uint, maxima_batch) X(uint, maxima_head) X(uint, y_batch) X(uint, y_head)                                       \
    X(float, eps) X(float, square_scale)

#define FEATURE_SPECIALISATION(X) X(0, OPTIONS)

// One of these,
#define FEATURE_ELU 0u
#define FEATURE_RELU 1u
#define FEATURE_EXP 2u
#define FEATURE_IDENTITY 3u
#define FEATURE_SOFTMAX 4u
#define FEATURE_MIRRORED 5u
#define FEATURE_MAP 7u
// and any of these.
#define FEATURE_X_HALF 8u
#define FEATURE_SOURCE_HALF 16u
#define FEATURE_LENGTHS 32u
#define FEATURE_ROW_MAXIMUM 64u
#define FEATURE_MAXIMA 128u
#define FEATURE_SLOTS 256u
