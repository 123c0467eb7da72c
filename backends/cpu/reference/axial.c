// Attention along one axis of a grid: Ho et al., Axial Attention in Multidimensional Transformers,
// sections 3.1-3.2, arXiv:1912.12180.

#include "visible.h"

enum { MAX_AXES = 8 };

typedef struct axial {
    int64_t grid[MAX_AXES];
    int64_t num_axes, axis, shift_axis;
    bool causal, strict;
} axial;

static void read_coordinates(const axial *a, int64_t position, int64_t coordinates[MAX_AXES]) {
    for (int64_t axis = a->num_axes; axis-- > 0;) {
        coordinates[axis] = position % a->grid[axis];
        position /= a->grid[axis];
    }
}

static int64_t position_at(const axial *a, const int64_t coordinates[MAX_AXES]) {
    int64_t position = 0;
    for (int64_t axis = 0; axis < a->num_axes; axis++) {
        position = position * a->grid[axis] + coordinates[axis];
    }
    return position;
}

static void mark(const void *user, const cpu_row *row, uint8_t *seen) {
    const axial *a = user;
    int64_t coordinates[MAX_AXES] = {0};
    read_coordinates(a, row->i, coordinates);
    const int64_t own = coordinates[a->axis];
    for (int64_t other = 0; other < a->grid[a->axis]; other++) {
        coordinates[a->axis] = other;
        if (!a->causal || other < own || (other == own && !a->strict)) {
            const int64_t j = position_at(a, coordinates);
            cpu_mark_range(row, j, j, 1, seen);
        }
    }
}

// The result that the shift moves to row i.
static int64_t source(const void *user, int64_t i) {
    const axial *a = user;
    int64_t coordinates[MAX_AXES] = {0};
    if (a->shift_axis < 0) {
        return i;
    }
    read_coordinates(a, i, coordinates);
    return coordinates[a->shift_axis]-- > 0 ? position_at(a, coordinates) : -1;
}

ikat_status ikati_reference_axial(const cpu_call *call) {
    axial a = {
        .num_axes = cpu_num_items(call, "grid"),
        .shift_axis = cpu_integer(call, "shift_axis", -1),
        .causal = cpu_integer(call, "causal", 0) != 0,
        .strict = cpu_integer(call, "strict", 0) != 0,
    };
    a.axis = cpu_integer(call, "axis", a.num_axes - 1);
    for (int64_t axis = 0; axis < a.num_axes; axis++) {
        a.grid[axis] = cpu_item(call, "grid", axis);
    }
    const cpu_visible visible = {.user = &a, .mark = mark, .source = source};
    return cpu_attend_visible(call, &visible);
}
