// Who sees whom in longformer. Positions of one residue modulo the dilation form a plain band; the
// global positions are a table of keys that every query sees besides, without those in its window;
// global rows see all keys.

#include "longformer.h"

#include <string.h>

// Where there are global keys, rows go in groups: few of the keys are near the windows of one.
// Causal global rows likewise: within a group few keys lie between the first and the last row.
enum { GLOBAL_ROWS = 128, FEW_GLOBALS = 32, CAUSAL_ROWS = 64 };

// The band of a head: dilation 1 and window 0 where a wider one shows no other position.
typedef struct head_band {
    int64_t dilation;
    int64_t window;
} head_band;

// masks  the distinct rows of global_mask, with the positions that are global in each:
//        globals[starts[m] .. starts[m + 1] - 1]
typedef struct longformer {
    uint32_t num_positions;
    bool causal;
    head_band *bands; // distinct
    uint32_t num_bands;
    uint32_t *band_of_head;
    uint32_t num_masks;
    uint32_t *mask_of_batch;
    uint32_t *globals;
    uint32_t *starts;
} longformer;

static head_band band_of(const ikati_request *request, int64_t head) {
    const int64_t num_positions = ikati_extent(request, "N");
    head_band band = {ikati_setting_item(ikati_setting(request, "dilation"), head),
                      ikati_setting(request, "window")->integer};
    if (band.dilation >= num_positions || band.window == 0) {
        return (head_band){1, 0};
    }
    band.window = band.window < num_positions ? band.window : num_positions - 1;
    return band;
}

static bool is_local(const head_band *band, int64_t query, int64_t key) {
    const int64_t distance = query > key ? query - key : key - query;
    return distance % band->dilation == 0 && distance / band->dilation <= band->window;
}

static uint32_t num_globals(const longformer *l, uint32_t mask) {
    return l->num_masks ? l->starts[mask + 1] - l->starts[mask] : 0;
}

static uint32_t local_class(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const longformer *l = pattern->user;
    const uint32_t mask = l->num_masks ? l->mask_of_batch[batch] : 0;
    return mask * l->num_bands + l->band_of_head[head];
}

static uint32_t global_class(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const longformer *l = pattern->user;
    (void)head;
    return l->mask_of_batch[batch];
}

// Rows [first, end) of one residue: query a is at residue + a * dilation.
typedef struct row_range {
    int64_t residue, first, end;
    int64_t num_rows; // of the residue
} row_range;

static void emit_keys(const ikati_positions *keys, bool irregular, ikati_pattern_sink *sink) {
    if (keys->count) {
        sink->keys(sink, &(ikati_key_set){.keys = *keys,
                                          .left = IKATI_NO_LEFT,
                                          .right = IKATI_NO_RIGHT,
                                          .irregular = irregular});
    }
}

static void emit_band(const longformer *l, const head_band *band, const row_range *rows,
                      ikati_pattern_sink *sink) {
    const int64_t step = band->dilation, after = l->causal ? 0 : band->window;
    const int64_t start = rows->first > band->window ? rows->first - band->window : 0;
    const int64_t end = rows->end + after < rows->num_rows ? rows->end + after : rows->num_rows;
    const ikati_positions queries = ikati_span((uint32_t)(rows->residue + rows->first * step),
                                               (uint32_t)step, (uint32_t)(rows->end - rows->first));
    sink->group(sink, &queries);
    sink->keys(sink, &(ikati_key_set){
                         .keys = ikati_span((uint32_t)(rows->residue + start * step),
                                            (uint32_t)step, (uint32_t)(end - start)),
                         .left = rows->first - start - band->window,
                         .right = rows->first - start + after,
                     });
}

// First of `count` ascending positions that is not below `position`.
static uint32_t find_position(const uint32_t *positions, uint32_t count, int64_t position) {
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (positions[middle] < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Global keys before every window of the rows and, unless causal, behind all of them are seen by
// every row. Those in between need asking for each pair.
static void emit_globals(const longformer *l, const head_band *band, const row_range *rows,
                         const ikati_positions *globals, ikati_pattern_sink *sink) {
    const int64_t step = band->dilation, reach = band->window * step;
    const int64_t first = rows->residue + rows->first * step;
    const int64_t last = rows->residue + (rows->end - 1) * step;
    const uint32_t begin = find_position(globals->table, globals->count, first - reach);
    const uint32_t end =
        find_position(globals->table, globals->count, last + (l->causal ? 0 : reach) + 1);
    ikati_positions part = *globals;
    if (begin == end) {
        part.count = l->causal ? begin : globals->count;
        emit_keys(&part, false, sink);
    } else if (globals->count <= FEW_GLOBALS) {
        emit_keys(globals, true, sink); // one tile with a mask beats three
    } else {
        part.count = begin;
        emit_keys(&part, false, sink);
        part.table = globals->table + begin;
        part.count = end - begin;
        emit_keys(&part, true, sink);
        part.table = globals->table + end;
        part.count = l->causal ? 0 : globals->count - end;
        emit_keys(&part, false, sink);
    }
}

static void describe_local(const ikati_pattern *pattern, uint32_t class_index,
                           ikati_pattern_sink *sink) {
    const longformer *l = pattern->user;
    const head_band *band = &l->bands[class_index % l->num_bands];
    const uint32_t mask = class_index / l->num_bands;
    const bool hidden = band->dilation == 1 && band->window + 1 >= l->num_positions;
    const ikati_positions globals = {.stride = 1,
                                     .count = hidden ? 0 : num_globals(l, mask),
                                     .table = l->num_masks ? l->globals + l->starts[mask] : NULL};
    for (int64_t r = 0; r < band->dilation && r < l->num_positions; r++) {
        row_range rows = {.residue = r,
                          .num_rows = (l->num_positions - r + band->dilation - 1) / band->dilation};
        const int64_t step = globals.count ? GLOBAL_ROWS : rows.num_rows;
        for (; rows.first < rows.num_rows; rows.first = rows.end) {
            rows.end = rows.first + step < rows.num_rows ? rows.first + step : rows.num_rows;
            emit_band(l, band, &rows, sink);
            if (globals.count) {
                emit_globals(l, band, &rows, &globals, sink);
            }
        }
    }
}

static bool sees_local(const ikati_pattern *pattern, uint32_t class_index, uint32_t query,
                       uint32_t key) {
    const longformer *l = pattern->user;
    return (!l->causal || key <= query) &&
           !is_local(&l->bands[class_index % l->num_bands], query, key);
}

// Keys up to the group's first row are seen by all of it.
static void describe_causal_rows(const ikati_positions *rows, ikati_pattern_sink *sink) {
    const uint32_t first = rows->table[0], last = rows->table[rows->count - 1];
    sink->group(sink, rows);
    ikati_key_set set = {ikati_span(0, 1, first + 1), IKATI_NO_LEFT, IKATI_NO_RIGHT, false, false};
    sink->keys(sink, &set);
    if (last > first) {
        set.keys = ikati_span(first + 1, 1, last - first);
        set.irregular = true;
        sink->keys(sink, &set);
    }
}

static void describe_global(const ikati_pattern *pattern, uint32_t class_index,
                            ikati_pattern_sink *sink) {
    const longformer *l = pattern->user;
    const uint32_t count = num_globals(l, class_index), step = l->causal ? CAUSAL_ROWS : count;
    for (uint32_t first = 0; first < count; first += step) {
        const ikati_positions rows = {.stride = 1,
                                      .count = count - first < step ? count - first : step,
                                      .table = l->globals + l->starts[class_index] + first};
        if (l->causal) {
            describe_causal_rows(&rows, sink);
            continue;
        }
        sink->group(sink, &rows);
        sink->keys(sink, &(ikati_key_set){.keys = ikati_span(0, 1, l->num_positions),
                                          .left = IKATI_NO_LEFT,
                                          .right = IKATI_NO_RIGHT});
    }
}

static bool sees_global(const ikati_pattern *pattern, uint32_t class_index, uint32_t query,
                        uint32_t key) {
    (void)pattern;
    (void)class_index;
    return key <= query;
}

static bool read_bands(const ikati_request *request, ikati_patterns *patterns, longformer *l) {
    const int64_t heads = ikati_extent(request, "H");
    head_band *all = ikati_alloc(request->host, (size_t)heads, sizeof(*all));
    uint32_t *firsts = ikati_patterns_alloc(patterns, heads, sizeof(*firsts));
    l->bands = ikati_patterns_alloc(patterns, heads, sizeof(*l->bands));
    l->band_of_head = ikati_patterns_alloc(patterns, heads, sizeof(*l->band_of_head));
    const bool good = all && firsts && l->bands && l->band_of_head;
    for (int64_t h = 0; h < heads && good; h++) {
        all[h] = band_of(request, h);
    }
    if (good) {
        l->num_bands = ikati_classify(all, (uint32_t)heads, sizeof(*all), l->band_of_head, firsts);
    }
    for (uint32_t i = 0; i < l->num_bands; i++) {
        l->bands[i] = all[firsts[i]];
    }
    ikati_free(request->host, all);
    return good;
}

static bool read_masks(const ikati_request *request, ikati_patterns *patterns, longformer *l) {
    const int32_t *mask = ikati_structure(request, "global_mask");
    const int64_t batches = ikati_extent(request, "B"), positions = l->num_positions;
    if (!mask || batches == 0) {
        return true;
    }
    uint32_t *firsts = ikati_patterns_alloc(patterns, batches, sizeof(*firsts));
    l->mask_of_batch = ikati_patterns_alloc(patterns, batches, sizeof(*l->mask_of_batch));
    l->starts = ikati_patterns_alloc(patterns, batches + 1, sizeof(*l->starts));
    l->globals = ikati_patterns_alloc(patterns, batches * positions, sizeof(*l->globals));
    if (!firsts || !l->mask_of_batch || !l->starts || !l->globals) {
        return false;
    }
    l->num_masks = ikati_classify(mask, (uint32_t)batches, (size_t)positions * sizeof(*mask),
                                  l->mask_of_batch, firsts);
    uint32_t count = 0;
    for (uint32_t m = 0; m < l->num_masks; m++) {
        const int32_t *row = mask + (int64_t)firsts[m] * positions;
        for (uint32_t i = 0; i < positions; i++) {
            if (row[i]) {
                l->globals[count++] = i;
            }
        }
        l->starts[m + 1] = count;
    }
    return true;
}

ikat_status ikati_longformer_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    longformer *l = ikati_patterns_alloc(out_patterns, 1, sizeof(*l));
    if (!l) {
        return ikati_patterns_finish(out_patterns, false);
    }
    l->num_positions = (uint32_t)ikati_extent(request, "N");
    l->causal = ikati_setting(request, "causal")->integer != 0;
    if (!read_bands(request, out_patterns, l) || !read_masks(request, out_patterns, l)) {
        return ikati_patterns_finish(out_patterns, false);
    }
    const ikati_pattern common = {
        .user = l, .num_queries = l->num_positions, .num_keys = l->num_positions};
    ikati_pattern *local = &out_patterns->items[out_patterns->num++];
    *local = common;
    local->num_classes = l->num_bands * (l->num_masks ? l->num_masks : 1);
    local->class_of = local_class;
    local->describe = describe_local;
    local->sees = sees_local;
    if (l->num_masks && l->starts[l->num_masks]) {
        ikati_pattern *global = &out_patterns->items[out_patterns->num++];
        *global = common;
        global->num_classes = l->num_masks;
        global->class_of = global_class;
        global->describe = describe_global;
        global->sees = sees_global;
        global->is_partial = true;
        if (ikati_input(request, "q_global")->present) {
            out_patterns->inputs[1].q = "q_global";
            out_patterns->inputs[1].k = "k_global";
            out_patterns->inputs[1].v = "v_global";
        }
    }
    return ikati_patterns_finish(out_patterns, true);
}

// Counting, without a list of any kind.

typedef struct pair_count {
    const int32_t *mask; // of the batch entry; NULL: none is global
    int64_t num_positions, num_globals;
    head_band band;
    bool causal;
} pair_count;

// Pairs of the rows of one residue that are not global, less the global keys outside their windows.
static double count_residue(const pair_count *c, int64_t residue) {
    const int64_t step = c->band.dilation, reach = c->band.window * step;
    int64_t inside = 0, next = residue;
    double pairs = 0;
    for (int64_t i = residue; i < c->num_positions; i += step) {
        const int64_t end = c->causal ? i : i + reach;
        for (; next < c->num_positions && next <= end; next += step) {
            inside += c->mask && c->mask[next];
        }
        const int64_t gone = i - reach - step;
        inside -= gone >= 0 && c->mask && c->mask[gone];
        if (c->mask && c->mask[i]) {
            continue;
        }
        const int64_t before = i / step < c->band.window ? i / step : c->band.window;
        int64_t after = c->causal ? 0 : (c->num_positions - 1 - i) / step;
        after = after < c->band.window ? after : c->band.window;
        pairs += (double)(before + 1 + after - inside);
    }
    return pairs;
}

static double count_head(const pair_count *c) {
    double pairs = 0;
    for (int64_t r = 0; r < c->band.dilation && r < c->num_positions; r++) {
        pairs += count_residue(c, r);
    }
    int64_t globals_before = 0;
    for (int64_t i = 0; i < c->num_positions; i++) {
        const bool global = c->mask && c->mask[i];
        globals_before += global;
        const int64_t all = c->causal ? i + 1 : c->num_positions;
        pairs += (double)(global ? all : c->causal ? globals_before : c->num_globals);
    }
    return pairs;
}

double ikati_longformer_pairs(const ikati_request *request) {
    const int32_t *mask = ikati_structure(request, "global_mask");
    const int64_t heads = ikati_extent(request, "H");
    pair_count c = {.num_positions = ikati_extent(request, "N"),
                    .causal = ikati_setting(request, "causal")->integer != 0};
    double pairs = 0;
    for (int64_t b = 0; b < ikati_extent(request, "B"); b++) {
        c.mask = mask ? mask + b * c.num_positions : NULL;
        c.num_globals = 0;
        for (int64_t i = 0; c.mask && i < c.num_positions; i++) {
            c.num_globals += c.mask[i];
        }
        double of_head = 0;
        for (int64_t h = 0; h < heads; h++) {
            const head_band band = band_of(request, h);
            const bool same = h && memcmp(&band, &c.band, sizeof(band)) == 0;
            c.band = band;
            of_head = same ? of_head : count_head(&c);
            pairs += ikati_keeps_head(request, h) ? of_head : 0;
        }
    }
    return pairs;
}
