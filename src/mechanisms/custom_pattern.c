// The pattern of a mask: one group, all queries, that sees all keys as far as the mask says so of
// each tile. (batch, head) pairs that the mask cannot tell apart are one class.

#include "custom.h"

// Pairs of cut tiles that are counted one by one.
enum { MAX_COUNTED = 1 << 20, COUNT_SIDE = 64 };

// classes  of each batch entry, and for each class its first batch entry; times num_heads where the
//          mask reads h
typedef struct custom_classes {
    ikati_custom *custom;
    uint32_t num_batches, num_heads;
    uint32_t *batch_class, *batch_first;
    bool by_head;
} custom_classes;

static bool reads(const ikati_custom *custom, ikati_variable variable) {
    return custom->mask.variables >> variable & 1u;
}

// Numbers the batch entries that differ in what the mask reads of them.
static uint32_t classify_batches(custom_classes *self, int32_t *rows) {
    const ikati_custom *custom = self->custom;
    for (uint32_t b = 0; b < self->num_batches; b++) {
        rows[3 * b] = reads(custom, IKATI_VARIABLE_B) ? (int32_t)b : 0;
        rows[3 * b + 1] = reads(custom, IKATI_VARIABLE_LEN) ? custom->lengths[b] : 0;
        rows[3 * b + 2] = reads(custom, IKATI_VARIABLE_QLEN) ? custom->query_lengths[b] : 0;
    }
    return ikati_classify(rows, self->num_batches, 3 * sizeof(*rows), self->batch_class,
                          self->batch_first);
}

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const custom_classes *self = pattern->user;
    const uint32_t found = self->batch_class[batch];
    return self->by_head ? found * self->num_heads + head : found;
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const ikati_positions queries = ikati_span(0, 1, pattern->num_queries);
    const ikati_key_set keys = {.keys = ikati_span(0, 1, pattern->num_keys),
                                .left = IKATI_NO_LEFT,
                                .right = IKATI_NO_RIGHT,
                                .evaluated = true};
    (void)class_index;
    sink->group(sink, &queries);
    sink->keys(sink, &keys);
}

static ikati_tile_kind kind_of(const ikati_custom *custom, const ikati_tile *tile) {
    const ikati_interval value =
        ikati_expression_bound(&custom->mask, &custom->symbols, tile, custom->intervals);
    if (value.low == 0 && value.high == 0) {
        return IKATI_SEES_NONE;
    }
    return value.low > 0 || value.high < 0 ? IKATI_SEES_ALL : IKATI_SEES_SOME;
}

static ikati_tile_kind classify(const ikati_pattern *pattern, uint32_t class_index,
                                uint32_t first_query, uint32_t last_query, uint32_t first_key,
                                uint32_t last_key) {
    const custom_classes *self = pattern->user;
    const uint32_t num_heads = self->by_head ? self->num_heads : 1;
    ikati_tile tile = {.first_query = (int32_t)first_query,
                       .last_query = (int32_t)last_query,
                       .first_key = (int32_t)first_key,
                       .last_key = (int32_t)last_key};
    ikati_custom_place(self->custom, self->batch_first[class_index / num_heads],
                       class_index % num_heads, tile.place);
    return kind_of(self->custom, &tile);
}

ikat_status ikati_custom_patterns(ikati_custom *custom, ikati_patterns *out) {
    const ikati_request *request = custom->request;
    const int64_t num_batches = ikati_extent(request, "B");
    *out = (ikati_patterns){.host = custom->host, .num = 1};
    custom_classes *self = ikati_patterns_alloc(out, 1, sizeof(*self));
    uint32_t *classes = ikati_patterns_alloc(out, 2 * num_batches, sizeof(*classes));
    int32_t *rows = ikati_patterns_alloc(out, 3 * num_batches, sizeof(*rows));
    if (!self || !classes || !rows) {
        return ikati_patterns_finish(out, false);
    }
    *self = (custom_classes){.custom = custom,
                             .num_batches = (uint32_t)num_batches,
                             .num_heads = (uint32_t)ikati_extent(request, "H"),
                             .batch_class = classes,
                             .batch_first = classes + num_batches,
                             .by_head = reads(custom, IKATI_VARIABLE_H)};
    out->items[0] = (ikati_pattern){
        .user = self,
        .num_queries = (uint32_t)ikati_extent(request, "N"),
        .num_keys = (uint32_t)ikati_extent(request, "M"),
        .num_classes = classify_batches(self, rows) * (self->by_head ? self->num_heads : 1),
        .class_of = class_of,
        .describe = describe,
        .classify = classify,
    };
    return IKAT_OK;
}

bool ikati_custom_score_is_plain(const ikati_custom *custom) {
    return custom->score.num_nodes == 1 && custom->score.nodes[0].operation == IKATI_OP_SCORE;
}

bool ikati_custom_sees_all(const ikati_custom *custom) {
    // An interval that is the same for all pairs is that of a constant.
    const ikati_tile tile = {.last_query = INT32_MAX, .last_key = INT32_MAX};
    return !custom->mask.variables && kind_of(custom, &tile) == IKATI_SEES_ALL;
}

// Tiles of one side over all queries and keys: the next one, first along the keys. False at the end;
// starts from last_key = -1.
static bool next_tile(ikati_tile *tile, int64_t side) {
    const int64_t num_queries = tile->place[IKATI_VARIABLE_N];
    const int64_t num_keys = tile->place[IKATI_VARIABLE_M];
    int64_t query = tile->first_query, key = (int64_t)tile->last_key + 1;
    if (key >= num_keys) {
        key = 0;
        query += side;
    }
    if (query >= num_queries || num_keys == 0) {
        return false;
    }
    tile->first_query = (int32_t)query;
    tile->first_key = (int32_t)key;
    tile->last_query = (int32_t)((num_queries - query < side ? num_queries : query + side) - 1);
    tile->last_key = (int32_t)((num_keys - key < side ? num_keys : key + side) - 1);
    return true;
}

static ikati_tile first_tile(const ikati_custom *custom, uint32_t batch, uint32_t head) {
    ikati_tile tile = {.last_key = -1};
    ikati_custom_place(custom, batch, head, tile.place);
    return tile;
}

int32_t *ikati_custom_block_map(ikati_custom *custom) {
    const ikati_request *request = custom->request;
    const int64_t side = ikati_setting(request, "tile")->integer;
    const uint32_t num_heads = (uint32_t)ikati_extent(request, "H");
    const uint32_t num = (uint32_t)ikati_extent(request, "B") * num_heads;
    const int64_t per_head = ikati_extent(request, "Nt") * ikati_extent(request, "Mt");
    int32_t *map = ikati_alloc(custom->host, (size_t)(num * per_head), sizeof(*map));
    int32_t *next = map;
    for (uint32_t i = 0; map && i < num; i++) {
        ikati_tile tile = first_tile(custom, i / num_heads, i % num_heads);
        while (next_tile(&tile, side)) {
            *next++ = (int32_t)ikati_expression_classify(&custom->mask, &custom->symbols, &tile,
                                                         custom->intervals);
        }
    }
    return map;
}

static double tile_pairs(const ikati_tile *tile) {
    return (double)(tile->last_query - tile->first_query + 1) *
           (double)(tile->last_key - tile->first_key + 1);
}

// Visible pairs among every `step`th pair of a tile, times `step`. *phase carries on from tile to
// tile.
static double count_tile(const ikati_custom *custom, const ikati_tile *tile, uint64_t step,
                         uint64_t *phase, ikati_expression_value *values) {
    const uint64_t num_keys = (uint64_t)(tile->last_key - tile->first_key + 1);
    const uint64_t num = (uint64_t)(tile->last_query - tile->first_query + 1) * num_keys;
    ikati_tile at = *tile;
    double visible = 0;
    for (; *phase < num; *phase += step) {
        at.place[IKATI_VARIABLE_I] = tile->first_query + (int32_t)(*phase / num_keys);
        at.place[IKATI_VARIABLE_J] = tile->first_key + (int32_t)(*phase % num_keys);
        visible += ikati_expression_evaluate(&custom->mask, &custom->symbols, at.place, 0, values)
                       .integer != 0;
    }
    *phase -= num;
    return visible * (double)step;
}

// Pairs of one class: of full tiles, and of cut ones. step: 0 to count the pairs of cut tiles alone
static double count_class(const ikati_custom *custom, ikati_tile tile, uint64_t step,
                          ikati_expression_value *values) {
    double pairs = 0;
    uint64_t phase = step / 2;
    while (next_tile(&tile, COUNT_SIDE)) {
        const ikati_tile_kind kind = kind_of(custom, &tile);
        if (step && kind == IKATI_SEES_ALL) {
            pairs += tile_pairs(&tile);
        } else if (kind == IKATI_SEES_SOME) {
            pairs += step ? count_tile(custom, &tile, step, &phase, values) : tile_pairs(&tile);
        }
    }
    return pairs;
}

ikat_status ikati_custom_sees(const ikati_request *request, uint32_t batch, uint32_t head,
                              uint32_t query, uint8_t *out_keys) {
    ikati_custom custom;
    ikati_place place = {0};
    ikat_status status = ikati_custom_open(request, &custom);
    ikati_expression_value *values =
        status ? NULL : ikati_alloc(request->host, custom.mask.num_nodes, sizeof(*values));
    if (values) {
        ikati_custom_place(&custom, batch, head, place);
        place[IKATI_VARIABLE_I] = (int32_t)query;
        for (int32_t j = 0; j < place[IKATI_VARIABLE_M]; j++) {
            place[IKATI_VARIABLE_J] = j;
            out_keys[j] = ikati_expression_evaluate(&custom.mask, &custom.symbols, place, 0, values)
                              .integer != 0;
        }
    } else {
        status = status ? status : IKAT_NO_MEMORY;
    }
    ikati_free(request->host, values);
    ikati_custom_close(&custom);
    return status;
}

double ikati_custom_pairs(ikati_custom *custom) {
    ikati_patterns patterns;
    if (ikati_custom_patterns(custom, &patterns)) {
        return -1;
    }
    const ikati_pattern *pattern = &patterns.items[0];
    const custom_classes *self = pattern->user;
    const uint32_t num = self->num_batches * self->num_heads;
    ikati_expression_value *values =
        ikati_patterns_alloc(&patterns, custom->mask.num_nodes, sizeof(*values));
    double *of_class = ikati_patterns_alloc(&patterns, pattern->num_classes, sizeof(*of_class));
    double pairs = values && of_class ? 0 : -1;
    for (uint32_t i = 0; pairs >= 0 && i < num; i++) {
        const uint32_t batch = i / self->num_heads, head = i % self->num_heads;
        if (!ikati_keeps_head(custom->request, head)) {
            continue;
        }
        double *known = &of_class[class_of(pattern, batch, head)];
        if (*known == 0) { // not counted: what is kept is one more
            const ikati_tile tile = first_tile(custom, batch, head);
            const double cut = count_class(custom, tile, 0, values);
            const double most = (double)MAX_COUNTED / pattern->num_classes + 1;
            *known = 1 + count_class(custom, tile, (uint64_t)(cut / most) + 1, values);
        }
        pairs += *known - 1;
    }
    ikati_patterns_free(&patterns);
    return pairs;
}
