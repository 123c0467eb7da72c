// Kernel `collect`: adds up what `gemm` made of parts of its depth, and ends the product as it would have:
//   c_ij = activation(scale * sum_s parts_s,ij + bias_scale * bias_ij).
// One invocation owns one run of 4 neighbouring columns of a row (16 on devices of type CPU).
#define COLLECT_BINDINGS(X) X(parts, READ) X(bias, READ) X(c, WRITE)

//   parts       float32 [part, batch, head, row, column], packed; part_size elements a part
//   bias, c     as in gemm.h, and options of the same names
#define COLLECT_PARAMS(X)                                                                                             \
    X(uint, base_parts) X(uint, base_bias) X(uint, base_c)                                                            \
    X(uint, num_parts) X(uint, part_size)                                                                             \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_rows) X(uint, num_columns)                                    \
    X(uint, bias_batch) X(uint, bias_head) X(uint, bias_row)                                                          \
    X(uint, c_batch) X(uint, c_head) X(uint, c_row)                                                                   \
    X(float, scale) X(float, bias_scale)

#define COLLECT_SPECIALISATION(X) X(0, OPTIONS)
