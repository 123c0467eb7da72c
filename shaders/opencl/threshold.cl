// threshold: finds the bin that holds a row's k-th highest score, from the highest bin down, and
// appends its number to the row's threshold. 64 rows a work-group, one a work-item; no local memory.
// See params/threshold.h.
#include "params/threshold.h"
#include "params/attend.h"
#define KERNEL_PARAMS THRESHOLD_PARAMS
#include "lib/kernel.cl"

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
threshold(__global uint *counts, __global uint *rows, const Params params, uint first_group) {
    const Params *p = &params;
    const uint row = group_index(first_group) * 64u + (uint)get_local_id(0);
    if (row >= p->num_rows) return;
    __global uint *to = rows + p->base_rows + 2u * row;
    const bool begins = p->begins != 0u;
    uint least = begins ? 0u : to[0];
    uint left = begins ? p->topk : to[1];
    if (left == 0u) return;

    uint above = 0u; // scores in higher bins
    uint found = 0u, num_found = 0u;
    __global uint *bins = counts + p->base_counts + TOPK_BINS * row;
    for (uint bin = TOPK_BINS; bin-- > 0u;) {
        const uint count = begins ? 0u : bins[bin];
        bins[bin] = 0u;
        if (num_found == 0u && above + count >= left) {
            found = bin;
            num_found = count;
            left -= above;
        }
        above += count;
    }
    if (!begins) {
        // Fewer scores than wanted are no bin's: all stay, threshold 0.
        if (num_found != 0u) least = (least & ~((TOPK_BINS - 1u) << p->shift)) | found << p->shift;
        left = num_found == 0u || num_found == left ? 0u : left;
    }
    to[0] = least;
    to[1] = left;
}
