#version 450
#extension GL_GOOGLE_include_directive : require
// threshold: finds the bin that holds a row's k-th highest score, from the highest bin down, and
// appends its number to the row's threshold. 64 rows a workgroup, one an invocation; no shared memory.
// See params/threshold.h.

#include "../params/threshold.h"
#include "../params/attend.h"
#define KERNEL_PARAMS THRESHOLD_PARAMS
#define KERNEL_SPECIALISATION THRESHOLD_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = 64) in;

layout(std430, set = 0, binding = 0) buffer Counts { uint counts[]; };
layout(std430, set = 0, binding = 1) buffer Rows { uint rows[]; };

void main() {
    uint row = group_index() * 64u + gl_LocalInvocationIndex;
    if (row >= p.num_rows) return;
    uint e = p.base_rows + 2u * row;
    uint threshold = p.begins != 0u ? 0u : rows[e];
    uint left = p.begins != 0u ? p.topk : rows[e + 1u];
    if (left == 0u) return;

    uint above = 0u; // scores in higher bins
    uint found = 0u, num_found = 0u;
    uint first = p.base_counts + TOPK_BINS * row;
    for (uint bin = TOPK_BINS; bin-- > 0u;) {
        uint count = p.begins != 0u ? 0u : counts[first + bin];
        counts[first + bin] = 0u;
        if (num_found == 0u && above + count >= left) {
            found = bin;
            num_found = count;
            left -= above;
        }
        above += count;
    }
    if (p.begins == 0u) {
        // Fewer scores than wanted are no bin's: all stay, threshold 0.
        threshold = num_found != 0u ? (threshold & ~((TOPK_BINS - 1u) << p.shift)) | found << p.shift : threshold;
        left = num_found == 0u || num_found == left ? 0u : left;
    }
    rows[e] = threshold;
    rows[e + 1u] = left;
}
