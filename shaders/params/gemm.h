// Kernel `gemm`: products of matrices, one a (batch, head),
//   c_ij = activation(scale * sum_k a_ik b_kj + bias_scale * bias_ij),   i < num_rows, j < num_columns, k < depth.
// Depth 0 leaves out the product. Nothing is read past a matrix, and no element of `a` or `b` reaches
// an element of `c` that it does not belong to: a NaN stays in its row or column.
//
// Bindings, in order: X(name, access).
//   a b       float32 or float16 storage each; strides in elements along rows and columns, one of which
//             is 1: where it is that of a's rows the matrix is stored transposed (GEMM_A_TRANSPOSED),
//             likewise for that of b's depth (GEMM_B_TRANSPOSED)
//   bias      float32 or float16, innermost stride 1; bias_row 0: one row for all
//   depths    int32, with GEMM_DEPTHS: the depth of each batch entry, clamped to depth; past it nothing of a
//             or b is used, whatever it holds
//   c         float32 or float16, innermost stride 1. Halves that share 32-bit words with others are
//             not written by GLSL: such a c is float32 scratch, followed by `pack`
#define GEMM_BINDINGS(X) X(a, READ) X(b, READ) X(bias, READ) X(depths, READ) X(c, WRITE)

//   num_heads         matrices are counted batch * num_heads + head; strides along both, 0: repeats
//   num_row_tiles, num_column_tiles   tiles of c; a group is (batch, head, split, row tile, column
//                     tile), the last running fastest; where heads share a it is (batch, split, row tile, head,
//                     column tile)
//   depth_begin       where the step's depth begins in what `depths` counts
//   num_splits        parts into which the depth is cut; part s covers [s * depth_per_split, (s + 1) *
//                     depth_per_split) of it, and goes to c + s * c_split
//   unroll_guard      always 0: a zero that the compiler cannot see
#define GEMM_PARAMS(X)                                                                                                \
    X(uint, base_a) X(uint, base_b) X(uint, base_bias) X(uint, base_depths) X(uint, base_c)                           \
    X(uint, num_heads) X(uint, num_rows) X(uint, num_columns) X(uint, depth) X(uint, depth_begin)                     \
    X(uint, num_row_tiles) X(uint, num_column_tiles) X(uint, num_splits) X(uint, depth_per_split)                     \
    X(uint, a_batch) X(uint, a_head) X(uint, a_row) X(uint, a_column)                                                 \
    X(uint, b_batch) X(uint, b_head) X(uint, b_row) X(uint, b_column)                                                 \
    X(uint, bias_batch) X(uint, bias_head) X(uint, bias_row)                                                          \
    X(uint, c_split) X(uint, c_batch) X(uint, c_head) X(uint, c_row)                                                  \
    X(float, scale) X(float, bias_scale) X(uint, unroll_guard)

#define GEMM_SPECIALISATION(X) X(0, OPTIONS)

#define GEMM_A_HALF 1u
#define GEMM_B_HALF 2u
#define GEMM_BIAS 4u
#define GEMM_BIAS_HALF 8u
#define GEMM_C_HALF 16u
#define GEMM_A_TRANSPOSED 32u
#define GEMM_B_TRANSPOSED 64u
#define GEMM_RELU 128u
#define GEMM_DEPTHS 256u
