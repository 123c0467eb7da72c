// Kernel `pack`: float32 workspace [batch, head, query, column] (packed) -> float16 in a strided
// view whose rows do not start on 32-bit words. One invocation owns one 32-bit word of the
// destination: it computes the halves that belong to the view and keeps the others as they are.
// Vulkan only: OpenCL stores halves one by one.
#define PACK_BINDINGS(X) X(from, READ) X(to, WRITE)

//   order        the destination's axes (0 batch, 1 head, 2 query) from the largest stride to the
//                smallest, 2 bits each, largest lowest
//   num_words    words from the one that holds the view's first element to the one that holds its
//                last
#define PACK_PARAMS(X)                                                                                                \
    X(uint, base_from) X(uint, base_to)                                                                               \
    X(uint, num_words) X(uint, order)                                                                                 \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_queries) X(uint, num_columns)                                 \
    X(uint, to_batch) X(uint, to_head) X(uint, to_row)

#define PACK_SPECIALISATION(X) X(0, UNUSED)
