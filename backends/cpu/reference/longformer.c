// Sliding window with global positions: Beltagy, Peters, Cohan, Longformer, arXiv:2004.05150,
// sections 3.1-3.2.

#include "visible.h"

typedef struct longformer {
    const cpu_call *call;
    const ikati_call_tensor *global_mask;
    int64_t window;
    bool causal;
} longformer;

static bool is_global(const void *user, const cpu_row *row) {
    const longformer *l = user;
    return l->global_mask &&
           cpu_load(l->global_mask, cpu_index(l->global_mask, row->b, row->i, 0, 0)) != 0;
}

static void mark(const void *user, const cpu_row *row, uint8_t *seen) {
    const longformer *l = user;
    const int64_t last = l->causal ? row->i : row->num_positions - 1;
    if (is_global(user, row)) {
        cpu_mark_range(row, 0, last, 1, seen);
        return;
    }
    const int64_t dilation = cpu_item(l->call, "dilation", row->h);
    for (int64_t n = 0; n <= l->window && n * dilation < row->num_positions; n++) {
        cpu_mark_range(row, row->i - n * dilation, row->i - n * dilation, 1, seen);
        if (!l->causal) {
            cpu_mark_range(row, row->i + n * dilation, row->i + n * dilation, 1, seen);
        }
    }
    // Structure is packed.
    const int32_t *mask = l->global_mask ? l->global_mask->data : NULL;
    for (int64_t j = 0; mask && j <= last; j++) {
        seen[j] |= mask[row->b * row->num_positions + j] != 0;
    }
}

ikat_status ikati_reference_longformer(const cpu_call *call) {
    const longformer l = {
        .call = call,
        .global_mask = cpu_input(call, "global_mask"),
        .window = cpu_integer(call, "window", 256),
        .causal = cpu_integer(call, "causal", 0) != 0,
    };
    const cpu_visible visible = {.user = &l, .mark = mark, .is_global = is_global};
    return cpu_attend_visible(call, &visible);
}
