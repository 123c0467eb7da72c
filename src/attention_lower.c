// Lowers the patterns of a mechanism over [B,H,N,D].

#include "attention.h"
#include "lower_attend.h"

// A pattern whose results go elsewhere. `items` are the pattern as it is but for the rows whose
// results would leave the axis, and the rows that get nothing for it.
typedef struct shifted_pattern {
    const ikati_pattern *original;
    uint32_t stride, extent;
} shifted_pattern;

typedef struct shifted_sink {
    ikati_pattern_sink sink; // first: the sink is cast to this
    const shifted_pattern *shift;
    ikati_pattern_sink *next;
    bool dropped; // the group under way
} shifted_sink;

static uint32_t coordinate_of(const shifted_pattern *shift, uint32_t position) {
    return position / shift->stride % shift->extent;
}

// A group runs along one axis: its rows that stay come first.
static void shift_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    shifted_sink *self = (shifted_sink *)sink;
    ikati_positions kept = *queries;
    kept.count = 0;
    while (kept.count < queries->count &&
           coordinate_of(self->shift, ikati_position_at(queries, kept.count)) + 1 <
               self->shift->extent) {
        kept.count++;
    }
    self->dropped = kept.count == 0;
    if (!self->dropped) {
        self->next->group(self->next, &kept);
    }
}

static void shift_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    shifted_sink *self = (shifted_sink *)sink;
    if (!self->dropped) {
        self->next->keys(self->next, set);
    }
}

static void describe_shifted(const ikati_pattern *pattern, uint32_t class_index,
                             ikati_pattern_sink *sink) {
    const shifted_pattern *shift = pattern->user;
    shifted_sink self = {.sink = {shift_group, shift_keys}, .shift = shift, .next = sink};
    shift->original->describe(shift->original, class_index, &self.sink);
}

// The rows of coordinate 0, which see nothing.
static void describe_first(const ikati_pattern *pattern, uint32_t class_index,
                           ikati_pattern_sink *sink) {
    const shifted_pattern *shift = pattern->user;
    (void)class_index;
    for (uint32_t i = 0; i < pattern->num_queries; i += shift->stride * shift->extent) {
        const ikati_positions rows = ikati_span(i, 1, shift->stride);
        sink->group(sink, &rows);
    }
}

// The attention of pattern i.
static ikati_attention attention_of(const ikati_request *request, const ikati_patterns *patterns,
                                    uint32_t i) {
    ikati_attention attention = ikati_attention_of_call(request);
    if (patterns->inputs[i].q) {
        attention.q = ikati_input_view(request, patterns->inputs[i].q);
        attention.k = ikati_input_view(request, patterns->inputs[i].k);
        attention.v = ikati_input_view(request, patterns->inputs[i].v);
    }
    attention.pattern = &patterns->items[i];
    return attention;
}

ikat_status ikati_attention_lower_patterns(const ikati_request *request, ikati_lowering *lowering) {
    ikati_patterns patterns;
    ikat_status status = request->mechanism->patterns(request, &patterns);
    if (status) {
        return status;
    }
    ikati_attention items[IKATI_MAX_PATTERNS + 1];
    uint32_t num = patterns.num;
    for (uint32_t i = 0; i < num; i++) {
        items[i] = attention_of(request, &patterns, i);
    }
    shifted_pattern shift = {&patterns.items[0], (uint32_t)patterns.shift_stride,
                             (uint32_t)patterns.shift_extent};
    ikati_pattern shifted = patterns.items[0], first = patterns.items[0];
    if (patterns.shift_stride) { // one pattern
        shifted.user = first.user = &shift;
        shifted.describe = describe_shifted;
        first.describe = describe_first;
        first.class_of = NULL;
        first.num_classes = 1;
        items[num] = items[0];
        items[num++].pattern = &first;
        items[0].pattern = &shifted;
        items[0].out_shift = (int32_t)patterns.shift_stride;
    }
    status = ikati_lower_patterns(lowering, items, num,
                                  patterns.merged ? IKATI_PATTERNS_MERGED : IKATI_PATTERNS_APART);
    ikati_patterns_free(&patterns);
    return status;
}
