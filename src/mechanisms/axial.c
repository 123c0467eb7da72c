// Axial attention: along one axis of a grid at a time.
//
// Ho, Kalchbrenner, Weissenborn, Salimans, Axial Attention in Multidimensional Transformers,
// arXiv:1912.12180, sections 3.1-3.2.

#include "../attention.h"

#include <inttypes.h>

enum { MAX_AXES = 8 };

static const ikat_argument_info inputs[] = {IKATI_SELF_ATTENTION_INPUTS, IKATI_LENGTHS_INPUT};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const ikat_setting_info settings[] = {
    {.name = "grid",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "none",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .max_count = MAX_AXES,
     .help = "extents of the axes, slowest first; required"},
    {.name = "axis",
     .type = IKAT_SETTING_INT,
     .default_text = "the last",
     .maximum = MAX_AXES - 1,
     .help = "the axis along which to attend; in 2D 1 is inside a row, 0 inside a column"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key with a larger coordinate on the axis"},
    {.name = "strict",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: nor the own coordinate; needs causal=1"},
    {.name = "shift_axis",
     .type = IKAT_SETTING_INT,
     .default_text = "-1",
     .minimum = -1,
     .maximum = MAX_AXES - 1,
     .help = "the result is shifted by one along this axis; -1: not at all"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"rows", IKATI_QKV("2,2,117,16", "2,2,117,16"), "grid=9,13", "the last axis is the default"},
    {"columns", IKATI_QKV("2,2,117,16", "2,2,117,16"), "grid=9,13 axis=0", ""},
    {"rows_causal", IKATI_QKV("1,2,117,16", "1,2,117,16"), "grid=9,13 causal=1", ""},
    {"columns_causal", IKATI_QKV("1,2,117,16", "1,2,117,16"), "grid=9,13 axis=0 causal=1", ""},
    {"strict", IKATI_QKV("1,2,117,16", "1,2,117,16"), "grid=9,13 axis=0 causal=1 strict=1",
     "the first coordinate sees nothing"},
    {"strict_rows", IKATI_QKV("1,2,60,16", "1,2,60,16"), "grid=6,10 axis=1 causal=1 strict=1", ""},
    {"shift_down", IKATI_QKV("1,2,80,16", "1,2,80,16"), "grid=8,10 axis=1 shift_axis=0", ""},
    {"shift_right", IKATI_QKV("1,2,80,16", "1,2,80,16"), "grid=8,10 axis=1 causal=1 shift_axis=1",
     ""},
    {"shift_same_axis", IKATI_QKV("1,2,80,16", "1,2,80,16"),
     "grid=8,10 axis=0 causal=1 strict=1 shift_axis=0", ""},
    {"cube", IKATI_QKV("1,2,120,16", "1,2,120,16"), "grid=4,5,6 axis=1", "three axes"},
    {"cube_shift", IKATI_QKV("1,2,120,16", "1,2,120,16"), "grid=4,5,6 axis=0 causal=1 shift_axis=1",
     ""},
    {"eight_axes", IKATI_QKV("1,1,256,8", "1,1,256,8"), "grid=2,2,2,2,2,2,2,2 axis=3", ""},
    {"one_axis", IKATI_QKV("1,2,90,16", "1,2,90,16"), "grid=90", "dense"},
    {"one_axis_causal", IKATI_QKV("1,2,90,16", "1,2,90,16"), "grid=90 causal=1 shift_axis=0", ""},
    {"extent_1", IKATI_QKV("1,2,40,16", "1,2,40,16"), "grid=40,1", "out = v"},
    {"extent_1_strict", IKATI_QKV("1,2,40,16", "1,2,40,16"), "grid=1,40 axis=0 causal=1 strict=1",
     "nothing is seen"},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7"), "grid=5,10 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "grid=8,25 axis=0", "the most common head"},
    {"long_axis", IKATI_QKV("1,2,400,32", "1,2,400,32"), "grid=200,2 axis=0 causal=1", ""},
    {"lengths", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0", "grid=9,10 axis=0",
     "padding in row-major order"},
    {"lengths_shift", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0",
     "grid=9,10 axis=1 shift_axis=0", ""},
    {"grouped_query", "q=2,6,70,16 k=2,2,70,16 v=2,2,70,24", "grid=7,10 axis=0",
     "three query heads a key/value head"},
    {"everything", "q=2,4,168,24 k=2,2,168,24 v=2,2,168,40 lengths=2@168,93",
     "grid=3,8,7 axis=1 causal=1 strict=1 shift_axis=2 scale=0.2", "all options at once"},
    {"picture", IKATI_QKV("1,1,64,16", "1,1,64,16"), "grid=8,8 axis=0 causal=1",
     "what ikat show draws"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1", "grid=5,8 axis=0",
     "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16"), "grid=4,5", "B = 0"},
    {"large_columns", IKATI_QKV("1,2,20000,64", "1,2,20000,64"),
     "grid=100,200 axis=0 causal=1 shift_axis=0", "many tiles"},
};

// stride, extent  of the axis; a line is its positions of equal other coordinates
typedef struct axial {
    int64_t num_positions, stride, extent;
    int64_t right; // edge of what a coordinate sees
} axial;

static void emit_line(const ikati_positions *line, int64_t left, int64_t right,
                      ikati_pattern_sink *sink) {
    sink->group(sink, line);
    sink->keys(sink, &(ikati_key_set){.keys = *line, .left = left, .right = right});
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const axial *s = pattern->user;
    (void)class_index;
    if (s->extent == 1) {
        // Lines of one position: all of them are one band, which strictness empties.
        const ikati_positions all = ikati_span(0, 1, (uint32_t)s->num_positions);
        emit_line(&all, 0, s->right < 0 ? -1 : 0, sink);
        return;
    }
    for (int64_t outer = 0; outer < s->num_positions; outer += s->stride * s->extent) {
        for (int64_t inner = 0; inner < s->stride; inner++) {
            const ikati_positions line =
                ikati_span((uint32_t)(outer + inner), (uint32_t)s->stride, (uint32_t)s->extent);
            emit_line(&line, IKATI_NO_LEFT, s->right, sink);
        }
    }
}

// Product of the extents of faster axes.
static int64_t stride_of(const ikati_call_setting *grid, int64_t axis) {
    int64_t stride = 1;
    for (uint32_t i = grid->num_integers; i-- > axis + 1;) {
        stride *= grid->integers[i];
    }
    return stride;
}

static int64_t axis_of(const ikati_request *request) {
    const ikati_call_setting *axis = ikati_setting(request, "axis");
    return axis->given ? axis->integer : (int64_t)ikati_setting(request, "grid")->num_integers - 1;
}

static ikat_status make_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    const ikati_call_setting *grid = ikati_setting(request, "grid");
    const int64_t axis = axis_of(request), shift = ikati_setting(request, "shift_axis")->integer;
    *out_patterns = (ikati_patterns){.host = request->host};
    axial *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    s->num_positions = ikati_extent(request, "N");
    s->stride = stride_of(grid, axis);
    s->extent = grid->integers[axis];
    s->right = ikati_setting(request, "strict")->integer   ? -1
               : ikati_setting(request, "causal")->integer ? 0
                                                           : IKATI_NO_RIGHT;
    if (shift >= 0) {
        out_patterns->shift_stride = stride_of(grid, shift);
        out_patterns->shift_extent = grid->integers[shift];
    }
    out_patterns->num = 1;
    out_patterns->items[0] = (ikati_pattern){.user = s,
                                             .num_queries = (uint32_t)s->num_positions,
                                             .num_keys = (uint32_t)s->num_positions,
                                             .num_classes = 1,
                                             .describe = describe};
    return ikati_patterns_finish(out_patterns, true);
}

static ikat_status check_axis(const ikati_request *request, const char *name, int64_t axis) {
    const int64_t num_axes = ikati_setting(request, "grid")->num_integers;
    return axis < num_axes
               ? IKAT_OK
               : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "%s is %" PRId64 ", expected at most %" PRId64 " with this grid", name,
                            axis, num_axes - 1);
}

static ikat_status check_grid(const ikati_request *request) {
    const ikati_call_setting *grid = ikati_setting(request, "grid");
    int64_t left = ikati_extent(request, "N");
    if (!grid->given) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                          "grid is missing, expected the extents of the axes, slowest first");
    }
    bool fits = left > 0;
    for (uint32_t i = 0; i < grid->num_integers && fits; i++) {
        fits = left % grid->integers[i] == 0;
        left /= grid->integers[i];
    }
    return fits && left == 1 ? IKAT_OK
                             : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                                          "grid has another product than N, expected %" PRId64,
                                          ikati_extent(request, "N"));
}

static ikat_status check(ikati_request *request) {
    ikat_status status = ikati_attention_check(request);
    status = status ? status : check_grid(request);
    status = status ? status : check_axis(request, "axis", axis_of(request));
    status = status
                 ? status
                 : check_axis(request, "shift_axis", ikati_setting(request, "shift_axis")->integer);
    if (!status && ikati_setting(request, "strict")->integer &&
        !ikati_setting(request, "causal")->integer) {
        status = ikati_attention_refuse(request, "strict", "only with causal=1");
    }
    return status;
}

const ikati_mechanism ikati_mechanism_axial = {
    .info =
        {
            .name = "axial",
            .title = "Axial attention",
            .citation = "Ho, Kalchbrenner, Weissenborn, Salimans, Axial Attention in "
                        "Multidimensional Transformers, arXiv:1912.12180",
            .family = "patterns",
            .cost = "time O(N S D) for an axis of S; memory O(N) beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_settings = "grid=N1,N2",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .patterns = make_patterns,
    .cost = ikati_attention_cost_patterns,
    .lower = ikati_attention_lower_patterns,
    .tolerance = ikati_attention_tolerance,
};
