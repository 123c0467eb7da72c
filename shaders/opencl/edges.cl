// edges: the label of each pair, or -1 where it is hidden. See params/edges.h.
//
// Defines: RUN, pairs a work-item: 1, in groups of 128, or many for devices of type CPU.
#include "params/edges.h"
#define KERNEL_PARAMS EDGES_PARAMS
#include "lib/kernel.cl"

#define GROUP_SIZE (RUN == 1 ? 128 : 1)

static inline bool is_own(const Params *p, __global const int *segments, uint batch, int i, int j) {
    if (!has(EDGES_SEGMENTS)) return false;
    __global const int *of_batch = segments + p->base_segments + batch * p->segments_batch;
    return of_batch[p->segment_of_key ? j : i] == (p->segment_of_key ? i : j);
}

static inline int label_by_position(const Params *p, int i, int j, bool own) {
    const int reach = (int)p->label_reach;
    if (p->label_between) return 2 * reach + 1 + own;
    return j >= i ? min(j - i, reach) : reach + min(i - j, reach);
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
edges(__global const int *labels, __global const int *mask, __global const int *segments,
      __global int *edges, const Params params, uint first_group) {
    const Params *p = &params;
    const uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    for (uint pair = item * RUN; pair < (item + 1u) * RUN; pair++) {
        const uint column = pair % p->num_columns;
        const uint row = pair / p->num_columns % p->num_rows;
        const uint batch = pair / p->num_columns / p->num_rows;
        if (batch >= p->num_batches) return;

        const int i = (int)(p->row_begin + row);
        const int j = p->is_local ? i + (int)column - (int)p->radius : (int)column;
        const bool own = is_own(p, segments, batch, i, j);
        bool hidden = has(EDGES_HARD) && !own;
        if (has(EDGES_MASK))
            hidden |= mask[p->base_mask + batch * p->mask_batch + row * p->mask_row + column] == 0;
        const uint at = p->base_labels + batch * p->labels_batch + row * p->labels_row + column;
        const int label =
            has(EDGES_LABELS) ? max(labels[at], 0) : label_by_position(p, i, j, own);
        edges[p->base_edges + pair] = hidden ? -1 : label;
    }
}
