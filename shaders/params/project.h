// Kernel `project`: to = from weight, [rows, C] x [C, C], sums of a product in blocks so that long ones
// stay accurate. One invocation owns a block of tile_rows x tile_keys elements of `to`.
#define PROJECT_BINDINGS(X) X(from, READ) X(weight, READ) X(to, WRITE)

//   from, weight  float32, or float16 with PROJECT_HALF; strides in elements, innermost stride 1
//   to            float32, rows packed
#define PROJECT_PARAMS(X)                                                                                             \
    X(uint, base_from) X(uint, base_weight) X(uint, base_to)                                                          \
    X(uint, num_rows) X(uint, size) X(uint, from_row) X(uint, weight_row)

#define PROJECT_SPECIALISATION(X) X(0, OPTIONS)

#define PROJECT_HALF 1u
