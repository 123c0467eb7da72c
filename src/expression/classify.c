// Tiles under a mask: the interval of its value, and what that means.

#include "arithmetic.h"
#include "interval.h"

typedef ikati_interval interval;

// Boxes of a table with more entries than this are not looked through: the range of the whole
// table is taken. A tile of 64 x 64 positions is.
enum { MAX_BOX_ENTRIES = 4096 };

// A box of indices, cut to what the table has.
typedef struct box {
    int64_t first[IKATI_MAX_TABLE_RANK], last[IKATI_MAX_TABLE_RANK];
    int64_t count;
    bool leaves; // an index may be outside
} box;

// The indices of a read, found along its chain from the last axis to the first.
static box read_box(const ikati_expression *mask, const ikati_expression_table *table,
                    uint32_t position, const interval *intervals) {
    box result = {.count = 1};
    for (uint32_t axis = table->rank; axis-- > 0;) {
        const ikati_node *step = &mask->nodes[position];
        const interval index = intervals[step->operands[axis == 0 ? 0 : 1]];
        const int64_t last = table->shape[axis] - 1;
        result.leaves = result.leaves || index.low < 0 || index.high > last;
        result.first[axis] = index.low > 0 ? index.low : 0;
        result.last[axis] = index.high < last ? index.high : last;
        const int64_t extent = result.last[axis] - result.first[axis] + 1;
        result.count *= extent > 0 ? extent : 0; // below 2^31, as the table's entries are
        position = step->operands[0];
    }
    return result;
}

// The range of a box's entries: rows along the last axis, the other indices counted up.
static interval scan_box(const ikati_expression_table *table, const box *entries) {
    const int32_t *data = table->data;
    const uint32_t last_axis = table->rank - 1;
    const int64_t row_length = entries->last[last_axis] - entries->first[last_axis] + 1;
    int64_t index[IKATI_MAX_TABLE_RANK];
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        index[axis] = entries->first[axis];
    }
    interval range = {INT32_MAX, INT32_MIN};
    for (int64_t rows = entries->count / row_length; rows > 0; rows--) {
        int64_t position = 0;
        for (uint32_t axis = 0; axis < table->rank; axis++) {
            position = position * table->shape[axis] + index[axis];
        }
        for (int64_t e = position; e < position + row_length; e++) {
            range = ikati_interval_hull(range, ikati_interval_point(data[e]));
        }
        for (uint32_t axis = last_axis; axis-- > 0;) {
            if (index[axis]++ < entries->last[axis]) {
                break;
            }
            index[axis] = entries->first[axis];
        }
    }
    return range;
}

static interval bound_read(const ikati_expression *mask, const ikati_expression_table *table,
                           uint32_t position, const interval *intervals) {
    const box entries = read_box(mask, table, position, intervals);
    if (entries.count == 0) {
        return ikati_interval_point(0);
    }
    const interval range = entries.count > MAX_BOX_ENTRIES
                               ? (interval){table->lowest, table->highest}
                               : scan_box(table, &entries);
    return entries.leaves ? ikati_interval_hull(range, ikati_interval_point(0)) : range;
}

static interval bound_variable(uint32_t variable, const ikati_tile *tile) {
    switch (variable) {
    case IKATI_VARIABLE_I: return (interval){tile->first_query, tile->last_query};
    case IKATI_VARIABLE_J: return (interval){tile->first_key, tile->last_key};
    default: return ikati_interval_point(tile->place[variable]);
    }
}

// Known operands give a known value. Sharper than bounds where it wraps: patterns may be drawn from
// hashes of the head.
static bool apply_to_points(const ikati_node *node, const interval *intervals, interval *out) {
    const ikati_operation operation = (ikati_operation)node->operation;
    ikati_expression_value operands[3] = {{0}, {0}, {0}};
    for (uint32_t k = 0; k < ikati_operation_operands(operation); k++) {
        const interval operand = intervals[node->operands[k]];
        if (operand.low != operand.high) {
            return false;
        }
        operands[k].integer = (int32_t)operand.low;
    }
    *out = ikati_interval_point(
        ikati_operation_apply(operation, operands[0], operands[1], operands[2]).integer);
    return true;
}

static interval bound_operation(const ikati_node *node, const interval *intervals) {
    const ikati_operation operation = (ikati_operation)node->operation;
    const interval a = intervals[node->operands[0]];
    interval known;
    if (apply_to_points(node, intervals, &known)) {
        return known;
    }
    switch (ikati_operation_operands(operation)) {
    case 1: return ikati_interval_unary(operation, a);
    case 2: return ikati_interval_binary(operation, a, intervals[node->operands[1]]);
    default:
        return ikati_interval_select(a, intervals[node->operands[1]], intervals[node->operands[2]]);
    }
}

ikati_interval ikati_expression_bound(const ikati_expression *mask, const ikati_symbols *symbols,
                                      const ikati_tile *tile, ikati_interval *intervals) {
    for (uint32_t n = 0; n < mask->num_nodes; n++) {
        const ikati_node *node = &mask->nodes[n];
        switch (node->operation) {
        case IKATI_OP_INT: intervals[n] = ikati_interval_point(node->integer); break;
        case IKATI_OP_VARIABLE: intervals[n] = bound_variable(node->index, tile); break;
        case IKATI_OP_PARAM_INT:
            intervals[n] = ikati_interval_point(symbols->params[node->index].integer);
            break;
        case IKATI_OP_LOAD_INT:
            intervals[n] =
                bound_read(mask, &symbols->tables[node->index], node->operands[0], intervals);
            break;
        case IKATI_OP_INDEX:
        case IKATI_OP_INDEX_NEXT: break; // the read looks at the indices themselves
        default: intervals[n] = bound_operation(node, intervals); break;
        }
    }
    return intervals[mask->num_nodes - 1];
}

ikati_tile_class ikati_expression_classify(const ikati_expression *mask,
                                           const ikati_symbols *symbols, const ikati_tile *tile,
                                           ikati_interval *intervals) {
    const int32_t *place = tile->place;
    const int32_t num_queries = place[IKATI_VARIABLE_N] < place[IKATI_VARIABLE_QLEN]
                                    ? place[IKATI_VARIABLE_N]
                                    : place[IKATI_VARIABLE_QLEN];
    const int32_t num_keys = place[IKATI_VARIABLE_M] < place[IKATI_VARIABLE_LEN]
                                 ? place[IKATI_VARIABLE_M]
                                 : place[IKATI_VARIABLE_LEN];
    if (tile->first_query >= num_queries || tile->first_key >= num_keys) {
        return IKATI_TILE_EMPTY;
    }
    // Only pairs inside the lengths can be visible, so only they are bounded.
    ikati_tile inside = *tile;
    if (inside.last_query >= num_queries) {
        inside.last_query = num_queries - 1;
    }
    if (inside.last_key >= num_keys) {
        inside.last_key = num_keys - 1;
    }
    const interval truth =
        ikati_interval_truth(ikati_expression_bound(mask, symbols, &inside, intervals));
    if (truth.high == 0) {
        return IKATI_TILE_EMPTY;
    }
    // Pairs past N or M do not exist; those past a length do, and are not visible.
    const bool cut = (tile->last_query >= num_queries && num_queries < place[IKATI_VARIABLE_N]) ||
                     (tile->last_key >= num_keys && num_keys < place[IKATI_VARIABLE_M]);
    return truth.low == 1 && !cut ? IKATI_TILE_FULL : IKATI_TILE_PARTIAL;
}
