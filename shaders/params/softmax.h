// Kernel `softmax`: of each row of a matrix, to_c = exp(x_c - max) / sum. A row of -inf alone gives 0. 32 invocations
// own a row.
#define SOFTMAX_BINDINGS(X) X(x, READ) X(to, WRITE)

//   x     float32, or float16 with SOFTMAX_HALF; innermost stride 1
//   to    float32, packed
#define SOFTMAX_PARAMS(X)                                                                                             \
    X(uint, base_x) X(uint, base_to) X(uint, num_rows) X(uint, num_columns) X(uint, x_row)

#define SOFTMAX_SPECIALISATION(X) X(0, OPTIONS)

#define SOFTMAX_HALF 1u
