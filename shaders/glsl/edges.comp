#version 450
#extension GL_GOOGLE_include_directive : require
// edges: the label of each pair, or -1 where it is hidden. 128 pairs a workgroup, one an invocation. See
// params/edges.h.

#include "../params/edges.h"
#define KERNEL_PARAMS EDGES_PARAMS
#define KERNEL_SPECIALISATION EDGES_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 128) in;

layout(std430, set = 0, binding = 0) readonly buffer Labels { int labels[]; };
layout(std430, set = 0, binding = 1) readonly buffer Mask { int mask[]; };
layout(std430, set = 0, binding = 2) readonly buffer Segments { int segments[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Edges { int edges[]; };

bool has(uint option) { return (OPTIONS & option) != 0u; }

bool is_own(uint batch, int i, int j) {
    if (!has(EDGES_SEGMENTS)) return false;
    bool of_key = p.segment_of_key != 0u;
    return segments[p.base_segments + batch * p.segments_batch + uint(of_key ? j : i)] == (of_key ? i : j);
}

int label_by_position(int i, int j, bool own) {
    int reach = int(p.label_reach);
    if (p.label_between != 0u) return 2 * reach + 1 + int(own);
    return j >= i ? min(j - i, reach) : reach + min(i - j, reach);
}

void main() {
    uint pair = group_index() * 128u + gl_LocalInvocationIndex;
    uint column = pair % p.num_columns;
    uint row = pair / p.num_columns % p.num_rows;
    uint batch = pair / p.num_columns / p.num_rows;
    if (batch >= p.num_batches) return;

    int i = int(p.row_begin + row);
    int j = p.is_local != 0u ? i + int(column) - int(p.radius) : int(column);
    bool own = is_own(batch, i, j);
    bool hidden = has(EDGES_HARD) && !own;
    if (has(EDGES_MASK)) hidden = hidden || mask[p.base_mask + batch * p.mask_batch + row * p.mask_row + column] == 0;
    int label = has(EDGES_LABELS)
        ? max(labels[p.base_labels + batch * p.labels_batch + row * p.labels_row + column], 0)
        : label_by_position(i, j, own);
    edges[p.base_edges + pair] = hidden ? -1 : label;
}
