// copy: to[i0, i1, i2, i3] = from[i0, i1, i2, i3], 32-bit words, `from` packed. 128 words a
// work-group, one a work-item. See params/copy.h.
#define LANES 1
#include "params/copy.h"
#define KERNEL_PARAMS COPY_PARAMS
#define OPTIONS 0u
#include "lib/kernel.cl"

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
copy(__global const uint *from, __global uint *to, const Params params, uint first_group) {
    const Params *p = &params;
    const uint word = group_index(first_group) * 128u + (uint)get_local_id(0);
    if (word >= p->num_words) return;
    const uint i3 = word % p->count3, row = word / p->count3;
    const uint i2 = row % p->count2, i1 = row / p->count2 % p->count1;
    const uint i0 = row / p->count2 / p->count1;
    to[p->base_to + i0 * p->stride0 + i1 * p->stride1 + i2 * p->stride2 + i3] =
        from[p->base_from + word];
}
