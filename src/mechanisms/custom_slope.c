// How much a score expression amplifies an error in the score: a bound of its slope.

#include "custom.h"

// Scores of inputs from N(0,1) are hardly ever larger; slopes beyond are those of an expression that
// no tolerance fits.
#define LARGEST_SCORE 8.0
#define LARGEST_SLOPE 1e3
#define LARGEST 1e30

// Bounds of a node: of its magnitude, and of its slope in the score.
typedef struct bounds {
    double size, slope;
} bounds;

static double at_most(double value, double most) { return value < most ? value : most; }

static double size_of_variable(const ikati_custom *custom, uint32_t variable) {
    ikati_place place = {0};
    if (ikati_extent(custom->request, "B")) {
        ikati_custom_place(custom, 0, (uint32_t)ikati_extent(custom->request, "H"), place);
    }
    const double num_queries = place[IKATI_VARIABLE_N], num_keys = place[IKATI_VARIABLE_M];
    switch (variable) {
    case IKATI_VARIABLE_H: return place[IKATI_VARIABLE_H];
    case IKATI_VARIABLE_B: return (double)ikati_extent(custom->request, "B");
    default: return num_queries > num_keys ? num_queries : num_keys;
    }
}

static double size_of_table(const ikati_expression_table *table) {
    const float *entries = table->data;
    int64_t count = 1;
    double size = 0;
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        count *= table->shape[axis];
    }
    for (int64_t e = 0; e < count; e++) {
        size = fabs((double)entries[e]) > size ? fabs((double)entries[e]) : size;
    }
    return size;
}

// Nodes without operands, and reads of tables.
static bounds bound_leaf(const ikati_custom *custom, const ikati_node *node) {
    const ikati_symbols *symbols = &custom->symbols;
    switch (node->operation) {
    case IKATI_OP_INT: return (bounds){fabs((double)node->integer), 0};
    case IKATI_OP_FLOAT: return (bounds){fabs((double)node->number), 0};
    case IKATI_OP_VARIABLE: return (bounds){size_of_variable(custom, node->index), 0};
    case IKATI_OP_SCORE: return (bounds){LARGEST_SCORE, 1};
    case IKATI_OP_PARAM_INT: return (bounds){fabs((double)symbols->params[node->index].integer), 0};
    case IKATI_OP_PARAM_FLOAT:
        return (bounds){fabs((double)symbols->params[node->index].number), 0};
    case IKATI_OP_LOAD_FLOAT: return (bounds){size_of_table(&symbols->tables[node->index]), 0};
    default: return (bounds){0x1p31, 0};
    }
}

static bounds bound_function(ikati_operation operation, bounds a) {
    switch (operation) {
    case IKATI_OP_EXP:
        return (bounds){exp(at_most(a.size, 60)), exp(at_most(a.size, 60)) * a.slope};
    case IKATI_OP_TANH:
    case IKATI_OP_SIN:
    case IKATI_OP_COS: return (bounds){1, a.slope};
    case IKATI_OP_FLOOR: return (bounds){a.size + 1, a.slope};
    default: return a; // signs; log and sqrt away from 0
    }
}

static bounds larger(bounds a, bounds b) {
    return (bounds){a.size > b.size ? a.size : b.size, a.slope > b.slope ? a.slope : b.slope};
}

// A divisor that is no constant counts as 1.
static bounds divide(bounds a, bounds b, bool constant) {
    const double divisor = constant && b.size > 0 ? b.size : 1;
    return (bounds){a.size / divisor, a.slope / divisor + a.size * b.slope};
}

static bounds bound_node(const ikati_custom *custom, const ikati_node *node, const bounds *of) {
    const ikati_operation operation = (ikati_operation)node->operation;
    const uint32_t num = ikati_operation_operands(operation);
    const bounds a = num > 0 ? of[node->operands[0]] : (bounds){0, 0};
    const bounds b = num > 1 ? of[node->operands[1]] : (bounds){0, 0};
    switch (operation) {
    case IKATI_OP_ADD:
    case IKATI_OP_SUBTRACT:
    case IKATI_OP_FLOAT_ADD:
    case IKATI_OP_FLOAT_SUBTRACT: return (bounds){a.size + b.size, a.slope + b.slope};
    case IKATI_OP_MULTIPLY:
    case IKATI_OP_FLOAT_MULTIPLY:
        return (bounds){a.size * b.size, a.slope * b.size + a.size * b.slope};
    case IKATI_OP_FLOAT_DIVIDE: {
        const uint8_t divisor = custom->score.nodes[node->operands[1]].operation;
        return divide(a, b, divisor == IKATI_OP_FLOAT || divisor == IKATI_OP_PARAM_FLOAT);
    }
    case IKATI_OP_FLOAT_MIN:
    case IKATI_OP_FLOAT_MAX: return larger(a, b);
    case IKATI_OP_FLOAT_SELECT: return larger(b, of[node->operands[2]]);
    case IKATI_OP_TO_INT: return (bounds){a.size, 0};
    case IKATI_OP_TO_FLOAT:
    case IKATI_OP_NEGATE:
    case IKATI_OP_ABS: return a;
    default: break;
    }
    return num == 1 && ikati_operation_type(operation) == IKATI_TYPE_FLOAT &&
                   operation != IKATI_OP_LOAD_FLOAT
               ? bound_function(operation, a)
               : bound_leaf(custom, node);
}

double ikati_custom_slope(const ikati_custom *custom) {
    const uint32_t num = custom->score.num_nodes;
    bounds *of = ikati_alloc(custom->host, num, sizeof(*of));
    double slope = 1;
    for (uint32_t i = 0; of && i < num; i++) {
        of[i] = bound_node(custom, &custom->score.nodes[i], of);
        // Infinities of the language remove keys, they scale nothing.
        of[i].size = isfinite(of[i].size) ? at_most(of[i].size, LARGEST) : 0;
        of[i].slope = isfinite(of[i].slope) ? at_most(of[i].slope, LARGEST) : LARGEST;
        slope = of[i].slope;
    }
    ikati_free(custom->host, of);
    return slope < 1 ? 1 : at_most(slope, LARGEST_SLOPE);
}
