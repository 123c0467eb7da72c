// One block of keys for each block of queries: Qiu et al., Blockwise Self-Attention, section 3,
// arXiv:1911.02972.

#include "visible.h"

typedef struct blockwise {
    const cpu_call *call;
    const ikati_call_tensor *permutations;
    int64_t num_blocks;
    bool causal, shifted;
} blockwise;

static int64_t block_of(const blockwise *s, const cpu_row *row, int64_t position) {
    return position * s->num_blocks / row->num_positions;
}

static void mark(const void *user, const cpu_row *row, uint8_t *seen) {
    const blockwise *s = user;
    const int64_t own = block_of(s, row, row->i);
    int64_t wanted;
    if (s->permutations) {
        wanted = (int64_t)cpu_load(s->permutations, cpu_index(s->permutations, row->h, own, 0, 0));
    } else {
        const int64_t shift =
            s->shifted ? cpu_item(s->call, "shift", row->h) : row->h % s->num_blocks;
        wanted = (own + shift) % s->num_blocks;
    }
    const int64_t last = s->causal ? row->i : row->num_positions - 1;
    // Any block is near its share of the positions.
    int64_t j = wanted * row->num_positions / s->num_blocks;
    for (; j <= last && block_of(s, row, j) <= wanted; j++) {
        if (block_of(s, row, j) == wanted) {
            cpu_mark_range(row, j, j, 1, seen);
        }
    }
}

ikat_status ikati_reference_blockwise(const cpu_call *call) {
    const blockwise s = {
        .call = call,
        .permutations = cpu_input(call, "permutations"),
        .num_blocks = cpu_integer(call, "num_blocks", 2),
        .causal = cpu_integer(call, "causal", 0) != 0,
        .shifted = cpu_num_items(call, "shift") > 0,
    };
    const cpu_visible visible = {.user = &s, .mark = mark};
    return cpu_attend_visible(call, &visible);
}
