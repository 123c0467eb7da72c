// Work that is done row by row, in blocks small enough to be bound: what the lowerings of kernels that
// write rows share. Halves that share words go through float32 scratch and `pack`.

#ifndef IKATI_ROW_BLOCKS_H
#define IKATI_ROW_BLOCKS_H

#include "matrices.h"

enum { IKATI_MAX_ROW_READS = 2 };

// A part of the rows, and where its results go.
typedef struct ikati_row_block {
    ikati_axis_range batches, heads, rows;
    ikati_row_target to;
} ikati_row_block;

// to       [num_rows, num_columns], one a batch entry and head; columns have stride 1
// reads    what a block reads of the same rows besides, as many columns; absent ones end the list
// halo     rows more that a block reads of reads[0]
// granule  heads are cut at multiples of it; reads[0] has one for so many. 0: 1
// most_bytes  of what a block binds of a tensor, besides the device's limit; 0: none
// add      adds the steps of one block
typedef struct ikati_row_work {
    uint32_t num_batches, num_heads, num_rows, num_columns;
    ikati_matrices to;
    ikati_matrices reads[IKATI_MAX_ROW_READS];
    uint32_t halo, granule;
    uint64_t most_bytes;
    ikat_status (*add)(const void *user, ikati_lowering *lowering, const ikati_row_block *block);
    const void *user;
} ikati_row_work;

// Calls add for blocks that together are all rows; nothing is done where an extent is 0.
ikat_status ikati_lower_row_blocks(ikati_lowering *lowering, const ikati_row_work *work);

#endif
