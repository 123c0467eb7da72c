// Kernel `pool`: windows of positions, one row each: their mean, their maximum, or a convolution,
//   to_wc = bias_c + sum_t sum_i weights_tic x_(w * stride + t),(first(c) + i),   first(c) = c - c % group.
// Of a window only valid positions are read: a mean is over those, a convolution takes zeros for the others.
// Long windows are cut into parts, a row each: parts of sums add up, parts of maxima are taken the maximum
// of, both by a second step. One window of one position copies, to float32. One invocation owns 4
// neighbouring columns of a part.
#define POOL_BINDINGS(X) X(x, READ) X(weights, READ) X(bias, READ) X(lengths, READ) X(to, WRITE)

//   x              float32, or float16 with POOL_HALF, [batch, head, position, column]; strides in elements,
//                  innermost stride 1. The first row that is bound is position window_begin * stride +
//                  part_begin * part_size
//   weights, bias  float32, or float16 with POOL_WEIGHTS_HALF, [size, group, channel] and [channel], the first
//                  tap that is bound is part_begin * part_size; absent without POOL_CONV, POOL_BIAS
//   lengths        valid positions, one a batch entry, clamped to 0..num_positions here (POOL_LENGTHS)
//   to             float32, rows of (window, part). Column c of head h is channel k = (head_begin + h) *
//                  head_channels + c, and lies at k / to_group * to_group_stride + k % to_group of its row
//   head_channels  0: each head has the channels from 0 on, and a convolution stays in its head
//   num_columns    of a head of x
//   size           positions of a window; part p, of num_parts from part_begin on, has those from p * part_size
//                  on, part_size or what is left. Where not all parts are there is one window
//   factor         means are multiplied by it
#define POOL_PARAMS(X)                                                                                                \
    X(uint, base_x) X(uint, base_weights) X(uint, base_bias) X(uint, base_lengths) X(uint, base_to)                   \
    X(uint, num_batches) X(uint, num_heads) X(uint, num_windows) X(uint, num_parts) X(uint, num_columns)              \
    X(uint, num_positions) X(uint, window_begin) X(uint, size) X(uint, stride) X(uint, part_begin) X(uint, part_size) \
    X(uint, x_batch) X(uint, x_head) X(uint, x_row)                                                                   \
    X(uint, group) X(uint, weights_tap) X(uint, weights_row)                                                          \
    X(uint, head_begin) X(uint, head_channels)                                                                        \
    X(uint, to_batch) X(uint, to_head) X(uint, to_row) X(uint, to_group) X(uint, to_group_stride)                     \
    X(float, factor)

#define POOL_SPECIALISATION(X) X(0, OPTIONS)

#define POOL_HALF 1u
#define POOL_LENGTHS 2u
#define POOL_MAX 4u
#define POOL_CONV 8u
#define POOL_BIAS 16u
#define POOL_WEIGHTS_HALF 32u
