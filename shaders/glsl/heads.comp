#version 450
#extension GL_GOOGLE_include_directive : require
// heads: gathers valid keys, valid queries, ALiBi slope and sink of each (batch, head) into one table for
// `attend`. 64 (batch, head) pairs a workgroup, one an invocation; no shared memory. See params/heads.h.

#include "../params/heads.h"
#define KERNEL_PARAMS HEADS_PARAMS
#define KERNEL_SPECIALISATION HEADS_SPECIALISATION
#include "lib/kernel.glsl"
#include "lib/numbers.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) readonly buffer Lengths { int lengths[]; };
layout(std430, set = 0, binding = 1) readonly buffer QueryLengths { int query_lengths[]; };
layout(std430, set = 0, binding = 2) readonly buffer Slopes { uint slopes[]; };
layout(std430, set = 0, binding = 3) readonly buffer Sinks { uint sinks[]; };
layout(std430, set = 0, binding = 4) readonly buffer HeadMask { int head_mask[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Table { uint table[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

// Float bits of element e of `slopes` and `sinks`.
uint slope_bits(uint e) {
    if (!has(HEADS_SLOPES_HALF)) return slopes[e];
    return floatBitsToUint(unpackHalf2x16(slopes[e >> 1])[e & 1u]);
}

uint sink_bits(uint e) {
    if (!has(HEADS_SINKS_HALF)) return sinks[e];
    return floatBitsToUint(unpackHalf2x16(sinks[e >> 1])[e & 1u]);
}

// Clusters that have one of `count` positions.
uint clusters_of(uint count) { return (count + (1u << p.cluster_shift) - 1u) >> p.cluster_shift; }

// log2 of the share of the last cluster that `count` positions fill.
float log_tail(uint count) {
    uint before = (clusters_of(count) - 1u) << p.cluster_shift;
    return count == 0u ? 0.0 : log2(float(count - before)) - float(p.cluster_shift);
}

// Keys that n valid positions make.
int keys_of(int n) {
    int front = n >= p.front_least ? int(p.front_keys) : 0;
    return n < p.window_least ? front : front + (n - p.window_least) / int(p.window_stride) + 1;
}

void main() {
    uint record = group_index() * 64u + gl_LocalInvocationIndex;
    uint batch = record / p.num_heads;
    uint head = record % p.num_heads;
    if (batch >= p.num_batches) return;

    int num_keys = int(p.num_keys);
    int num_queries = int(p.num_queries);
    int keys = has(HEADS_WINDOWS) ? int(p.num_positions) : num_keys;
    int queries = num_queries;
    if (has(HEADS_LENGTHS)) {
        keys = lengths[p.base_lengths + batch * p.lengths_stride];
        if (has(HEADS_SELF)) queries = keys;
    }
    if (has(HEADS_QUERY_LENGTHS))
        queries = query_lengths[p.base_query_lengths + batch * p.query_lengths_stride];
    int positions = clamp(keys, 0, int(p.num_positions));
    if (has(HEADS_WINDOWS)) keys = keys_of(positions);
    if (has(HEADS_MASK) && head_mask[p.base_head_mask + head] == 0) {
        keys = 0;
        queries = 0;
    }

    uint slope = 0u;
    uint sink = floatBitsToUint(-INFINITY);
    if (has(HEADS_SLOPES))
        slope = slope_bits(p.base_slopes + batch * p.slopes_batch + head * p.slopes_head);
    if (has(HEADS_WINDOWS)) slope = uint(positions);
    if (has(HEADS_SINKS)) sink = sink_bits(p.base_sinks + head * p.sinks_stride);

    uint valid_keys = uint(clamp(keys, 0, num_keys));
    uint valid_queries = uint(clamp(queries, 0, num_queries));
    if (has(HEADS_CLUSTERS)) {
        slope = floatBitsToUint(log_tail(valid_keys));
        valid_keys = clusters_of(valid_keys);
        valid_queries = clusters_of(valid_queries);
    }
    uint e = p.base_table + 4u * record;
    table[e] = valid_keys;
    table[e + 1u] = valid_queries;
    table[e + 2u] = slope;
    table[e + 3u] = sink;
}
