// heads: gathers valid keys, valid queries, ALiBi slope and sink of each (batch, head) into one
// table for `attend`. 64 (batch, head) pairs a work-group, one a work-item; no local memory. See
// params/heads.h.
#include "params/heads.h"
#define KERNEL_PARAMS HEADS_PARAMS
#include "lib/kernel.cl"

#if OPTIONS & HEADS_SLOPES_HALF
typedef half Slope;
#define load_slope(x, e) vload_half(e, x)
#else
typedef float Slope;
#define load_slope(x, e) (x)[e]
#endif

#if OPTIONS & HEADS_SINKS_HALF
typedef half Sink;
#define load_sink(x, e) vload_half(e, x)
#else
typedef float Sink;
#define load_sink(x, e) (x)[e]
#endif

// Clusters that have one of `count` positions.
static inline uint clusters_of(const Params *p, uint count) {
    return (count + (1u << p->cluster_shift) - 1u) >> p->cluster_shift;
}

// log2 of the share of the last cluster that `count` positions fill.
static inline float log_tail(const Params *p, uint count) {
    const uint before = (clusters_of(p, count) - 1u) << p->cluster_shift;
    return count == 0u ? 0.0f : log2((float)(count - before)) - (float)p->cluster_shift;
}

// Keys that n valid positions make.
static inline int keys_of(const Params *p, int n) {
    const int front = n >= p->front_least ? (int)p->front_keys : 0;
    return n < p->window_least ? front
                               : front + (n - p->window_least) / (int)p->window_stride + 1;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
heads(__global const int *lengths, __global const int *query_lengths, __global const Slope *slopes,
      __global const Sink *sinks, __global const int *head_mask, __global uint *table,
      const Params params, uint first_group) {
    const Params *p = &params;
    const uint record = group_index(first_group) * 64u + (uint)get_local_id(0);
    const uint batch = record / p->num_heads;
    const uint head = record % p->num_heads;
    if (batch >= p->num_batches) return;

    int keys = has(HEADS_WINDOWS) ? (int)p->num_positions : (int)p->num_keys;
    int queries = (int)p->num_queries;
    if (has(HEADS_LENGTHS)) {
        keys = lengths[p->base_lengths + batch * p->lengths_stride];
        if (has(HEADS_SELF)) queries = keys;
    }
    if (has(HEADS_QUERY_LENGTHS))
        queries = query_lengths[p->base_query_lengths + batch * p->query_lengths_stride];
    const int positions = clamp(keys, 0, (int)p->num_positions);
    if (has(HEADS_WINDOWS)) keys = keys_of(p, positions);
    if (has(HEADS_MASK) && head_mask[p->base_head_mask + head] == 0) keys = queries = 0;

    float slope = 0.0f;
    float sink = -INFINITY;
    if (has(HEADS_SLOPES))
        slope =
            load_slope(slopes, p->base_slopes + batch * p->slopes_batch + head * p->slopes_head);
    if (has(HEADS_SINKS)) sink = load_sink(sinks, p->base_sinks + head * p->sinks_stride);

    uint valid_keys = (uint)clamp(keys, 0, (int)p->num_keys);
    uint valid_queries = (uint)clamp(queries, 0, (int)p->num_queries);
    if (has(HEADS_CLUSTERS)) {
        slope = log_tail(p, valid_keys);
        valid_keys = clusters_of(p, valid_keys);
        valid_queries = clusters_of(p, valid_queries);
    }
    __global uint *to = table + p->base_table + 4u * record;
    to[0] = valid_keys;
    to[1] = valid_queries;
    to[2] = has(HEADS_WINDOWS) ? (uint)positions : as_uint(slope);
    to[3] = as_uint(sink);
}
