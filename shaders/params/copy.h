// Kernel `copy`: 32-bit words from a packed tensor to a strided one of up to four axes. One
// invocation a word.
#define COPY_BINDINGS(X) X(from, READ) X(to, WRITE)

//   num_words   of the tensor
//   count1..3   extents of the axes but the first; stride0..2: strides of the destination along the
//               axes but the last, whose stride is 1
#define COPY_PARAMS(X)                                                                                                \
    X(uint, base_from) X(uint, base_to)                                                                               \
    X(uint, num_words) X(uint, count1) X(uint, count2) X(uint, count3)                                                \
    X(uint, stride0) X(uint, stride1) X(uint, stride2)

#define COPY_SPECIALISATION(X) X(0, UNUSED)
