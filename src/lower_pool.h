// Lowers what makes one row of a window of positions (kernel `pool`, and `gemm` for convolutions of many
// inputs an output), for any mechanism that shortens keys and values. Tensors that exceed the device's
// storage range are cut.

#ifndef IKATI_LOWER_POOL_H
#define IKATI_LOWER_POOL_H

#include "lower_gemm.h"

typedef enum ikati_pooling {
    IKATI_POOL_MEAN,
    IKATI_POOL_MAX,
    IKATI_POOL_CONV,
} ikati_pooling;

// Row c is made of positions c * stride .. c * stride + size - 1 of each head, as far as they are valid;
// of a window with none it is 0, a convolution's bias, or for a maximum -inf.
//
// x        [B,H,M,columns], any float
// lengths  [B] int32, or absent: valid positions
// weights  of a convolution, [size,Cg,C0] (tap, in, out): C0 is columns, one bank for all heads, or H
//          times that, for channels h * columns + c; Cg divides C0, and output o reads inputs from o - o %
//          Cg on
// bias     [C0], or absent
// to       scratch, float32; row c of head h of batch entry b begins at element to_offset + b * to_batch +
//          h * to_head + c * to_row. Where C0 is not columns, to_head is columns
typedef struct ikati_pool {
    ikati_view x, lengths, weights, bias;
    ikati_pooling kind;
    uint32_t num_windows, size, stride;
    uint32_t to;
    uint64_t to_offset, to_batch, to_head, to_row;
} ikati_pool;

ikat_status ikati_lower_pool(ikati_lowering *lowering, const ikati_pool *pool);

// Copies x to float32 rows.
ikat_status ikati_lower_float_rows(ikati_lowering *lowering, const ikati_view *x, uint32_t to,
                                   uint64_t to_offset, uint64_t to_batch, uint64_t to_head,
                                   uint64_t to_row);

#endif
