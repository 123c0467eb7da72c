// Blocks of queries with a nearby memory, 1D and 2D: Parmar et al., Image Transformer, section 3.3,
// arXiv:1802.05751.

#include "visible.h"

// [0] is the row axis, [1] the column axis.
typedef struct local {
    int64_t grid[2], block[2], memory[2];
    bool causal;
} local;

static void mark_1d(const void *user, const cpu_row *row, uint8_t *seen) {
    const local *l = user;
    const int64_t start = row->i / l->block[1] * l->block[1];
    const int64_t last = l->causal ? row->i : start + l->block[1] + l->memory[1] - 1;
    cpu_mark_range(row, start - l->memory[1] > 0 ? start - l->memory[1] : 0, last, 1, seen);
}

// Whether the query at (y, x) sees the key at (ky, kx).
static bool sees_2d(const local *l, int64_t y, int64_t x, int64_t ky, int64_t kx) {
    const int64_t y0 = y / l->block[0] * l->block[0], x0 = x / l->block[1] * l->block[1];
    const bool in_rows = y0 <= ky && ky < y0 + l->block[0];
    const bool in_columns = x0 <= kx && kx < x0 + l->block[1];
    const bool near_columns = x0 - l->memory[1] <= kx && kx < x0 + l->block[1] + l->memory[1];
    if (!l->causal) {
        return y0 - l->memory[0] <= ky && ky < y0 + l->block[0] + l->memory[0] && near_columns;
    }
    const bool above = y0 - l->memory[0] <= ky && ky < y0 && near_columns;
    const bool left = in_rows && x0 - l->memory[1] <= kx && kx < x0;
    const bool own = in_rows && in_columns && (ky < y || (ky == y && kx <= x));
    return above || left || own;
}

static void mark_2d(const void *user, const cpu_row *row, uint8_t *seen) {
    const local *l = user;
    const int64_t columns = l->grid[1], y = row->i / columns, x = row->i % columns;
    // No memory reaches further than a block and the memory beyond it.
    const int64_t height = l->block[0] + l->memory[0], width = l->block[1] + l->memory[1];
    for (int64_t ky = y > height ? y - height : 0; ky < l->grid[0] && ky <= y + height; ky++) {
        for (int64_t kx = x > width ? x - width : 0; kx < columns && kx <= x + width; kx++) {
            if (sees_2d(l, y, x, ky, kx)) {
                cpu_mark_range(row, ky * columns + kx, ky * columns + kx, 1, seen);
            }
        }
    }
}

ikat_status ikati_reference_local(const cpu_call *call) {
    const bool flat = cpu_num_items(call, "query_block") == 1;
    local l = {.causal = cpu_integer(call, "causal", 0) != 0};
    for (int64_t axis = flat ? 1 : 0; axis < 2; axis++) {
        const bool has_memory = cpu_num_items(call, "memory") > 0;
        l.block[axis] = cpu_item(call, "query_block", axis);
        l.memory[axis] = has_memory ? cpu_item(call, "memory", axis) : 256;
        l.grid[axis] = flat ? 0 : cpu_item(call, "grid", axis);
    }
    const cpu_visible visible = {.user = &l, .mark = flat ? mark_1d : mark_2d};
    return cpu_attend_visible(call, &visible);
}
