// The pattern of dense with a block mask: Gray, Radford, Kingma, GPU Kernels for Block-Sparse Weights
// (2017).
//
// Rows of tiles that are alike and fill tiles of queries are a group each, whose keys are spans of
// neighbouring kept tiles. Where the mask's tiles are small, or rows of tiles differ, a group is so
// many queries as a tile takes: keys that all of them keep are spans as before, those that some keep are
// irregular. Runs of keys that are too short for an entry each become a table: few columns of an
// arbitrary 0/1 mask cost what they are.
//
// The pattern is worked out once and written down as words, which `describe` reads back.

#include "dense.h"

#include "../integers.h"
#include "../words.h"

#include <string.h>

enum {
    SMALL_BLOCK = 48, // smaller tiles of a mask never are groups by themselves
    SHORT_RUN = 32,   // keys; runs shorter than that on average go into a table
};

// Words of a class: groups of first row, number of rows, number of key sets; each followed by its key
// sets of first key, number of keys, kind. A table's keys follow that.
enum { GROUP_WORDS = 3, SET_WORDS = 3 };
enum { KIND_IRREGULAR = 1, KIND_TABLE = 2 };

// What the queries of a group keep of a tile of keys.
enum { KEEPS_NONE, KEEPS_SOME, KEEPS_ALL };

// kept       [mask, query block, key block], 1 or 0
// words_at   of class i from words_at[i] to words_at[i + 1]
typedef struct dense_pattern {
    int64_t num_queries, num_keys, block_size, num_query_blocks, num_key_blocks;
    ikati_dense_window window;
    uint32_t rows, num_classes;
    uint8_t *kept;
    uint32_t *class_of_head, *first_mask;
    const uint32_t *words;
    uint64_t *words_at;
} dense_pattern;

// The words of a class while they are written. keeps: what the group under way keeps of each key
// block.
typedef struct dense_writer {
    const dense_pattern *pattern;
    const uint8_t *kept; // of the class
    uint8_t *keeps;
    ikati_words words;
} dense_writer;

ikati_dense_window ikati_dense_window_of(const ikati_request *request) {
    const int64_t none = ikati_extent(request, "N") + ikati_extent(request, "M");
    int64_t left = ikati_setting(request, "window_left")->integer;
    int64_t right = ikati_setting(request, "window_right")->integer;
    right = ikati_setting(request, "causal")->integer ? 0 : right;
    return (ikati_dense_window){left >= none ? -1 : left, right >= none ? -1 : right};
}

static bool is_open(const dense_pattern *s) { return s->window.left < 0 && s->window.right < 0; }

// The own key of a query.
static int64_t own_key(const dense_pattern *s, int64_t query) {
    return query + s->num_keys - s->num_queries;
}

static const uint8_t *kept_of(const dense_pattern *s, uint32_t class_index) {
    return s->kept + (int64_t)s->first_mask[class_index] * s->num_query_blocks * s->num_key_blocks;
}

static bool is_same_row(const dense_writer *w, int64_t a, int64_t b) {
    const size_t size = (size_t)w->pattern->num_key_blocks;
    return memcmp(w->kept + (size_t)a * size, w->kept + (size_t)b * size, size) == 0;
}

// One past the last row of the group that begins at row `first`.
static int64_t group_end(const dense_writer *w, int64_t first) {
    const dense_pattern *s = w->pattern;
    const int64_t rows = s->rows, mixed = ikati_least(first + rows, s->num_queries);
    int64_t block = first / s->block_size + 1;
    if (s->block_size < SMALL_BLOCK) {
        return mixed;
    }
    while (block < s->num_query_blocks && is_same_row(w, block, block - 1)) {
        block++;
    }
    const int64_t end = ikati_least(block * s->block_size, s->num_queries);
    const int64_t tail = (end - first) % rows;
    if (end == s->num_queries || tail == 0 || 4 * tail >= 3 * rows) {
        return end;
    }
    return end - first > rows ? end - tail : mixed;
}

static void note_kept(dense_writer *w, int64_t first, int64_t end) {
    const dense_pattern *s = w->pattern;
    const int64_t first_block = first / s->block_size, last_block = (end - 1) / s->block_size;
    for (int64_t b = first_block; b <= last_block; b++) {
        const uint8_t *row = w->kept + b * s->num_key_blocks;
        for (int64_t c = 0; c < s->num_key_blocks; c++) {
            const uint8_t keeps = row[c] ? KEEPS_ALL : KEEPS_NONE;
            w->keeps[c] = b == first_block || keeps == w->keeps[c] ? keeps : KEEPS_SOME;
        }
    }
}

// A run of keys of which the group keeps the same: [first, end).
typedef struct key_run {
    int64_t first, end;
    uint8_t keeps;
} key_run;

// The first run in [from, end) of which anything is kept; empty at its end.
static key_run next_run(const dense_writer *w, int64_t from, int64_t end) {
    const int64_t size = w->pattern->block_size;
    while (from < end && w->keeps[from / size] == KEEPS_NONE) {
        from = (from / size + 1) * size;
    }
    key_run run = {ikati_least(from, end), ikati_least(from, end), KEEPS_NONE};
    if (run.first < end) {
        run.keeps = w->keeps[run.first / size];
    }
    while (run.end < end && w->keeps[run.end / size] == run.keeps) {
        run.end = ikati_least((run.end / size + 1) * size, end);
    }
    return run;
}

static void write_words(dense_writer *w, int64_t a, int64_t b, uint32_t c) {
    const uint32_t words[] = {(uint32_t)a, (uint32_t)b, c};
    ikati_words_append(&w->words, words, 3);
}

// Keys [first, end) as one table, or a span a run. Returns the number of key sets.
static uint32_t write_keys(dense_writer *w, int64_t first, int64_t end, int64_t in_table) {
    uint32_t num_sets = 0;
    bool irregular = !is_open(w->pattern);
    const uint64_t at = w->words.num;
    if (in_table) {
        write_words(w, 0, in_table, KIND_TABLE);
    }
    for (key_run run = next_run(w, first, end); run.first < run.end;
         run = next_run(w, run.end, end)) {
        irregular = irregular || run.keeps == KEEPS_SOME;
        for (int64_t key = run.first; in_table && key < run.end; key++) {
            const uint32_t word = (uint32_t)key;
            ikati_words_append(&w->words, &word, 1);
        }
        if (!in_table) {
            write_words(w, run.first, run.end - run.first,
                        run.keeps == KEEPS_SOME ? KIND_IRREGULAR : 0);
            num_sets++;
        }
    }
    if (in_table && !w->words.failed) {
        w->words.data[at + 2] |= irregular ? KIND_IRREGULAR : 0;
    }
    return in_table ? 1 : num_sets;
}

static void write_group(dense_writer *w, int64_t first, int64_t end) {
    const dense_pattern *s = w->pattern;
    const int64_t left = s->window.left, right = s->window.right;
    const int64_t first_key = left < 0 ? 0 : ikati_most(own_key(s, first) - left, 0);
    const int64_t end_key =
        right < 0 ? s->num_keys : ikati_least(own_key(s, end - 1) + right + 1, s->num_keys);
    int64_t num_runs = 0, num_keys = 0;
    note_kept(w, first, end);
    for (key_run run = next_run(w, first_key, end_key); run.first < run.end;
         run = next_run(w, run.end, end_key)) {
        num_runs++;
        num_keys += run.end - run.first;
    }
    const uint64_t at = w->words.num;
    write_words(w, first, end - first, 0);
    const bool gathers = num_runs > 1 && num_keys < SHORT_RUN * num_runs;
    const uint32_t num_sets = write_keys(w, first_key, end_key, gathers ? num_keys : 0);
    if (!w->words.failed) {
        w->words.data[at + 2] = num_sets;
    }
}

static void hand_over_keys(const dense_pattern *s, const uint32_t *words, int64_t first_row,
                           ikati_pattern_sink *sink) {
    const bool is_table = words[2] & KIND_TABLE, irregular = words[2] & KIND_IRREGULAR;
    ikati_key_set set = {.keys = ikati_span(words[0], 1, words[1]),
                         .left = IKATI_NO_LEFT,
                         .right = IKATI_NO_RIGHT,
                         .irregular = irregular};
    set.keys.table = is_table ? words + SET_WORDS : NULL;
    // Row 0 of the group and key 0 of the span lie so far from the diagonal.
    const int64_t own = own_key(s, first_row) - words[0];
    if (!irregular && s->window.left >= 0) {
        set.left = own - s->window.left;
    }
    if (!irregular && s->window.right >= 0) {
        set.right = own + s->window.right;
    }
    sink->keys(sink, &set);
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const dense_pattern *s = pattern->user;
    for (uint64_t at = s->words_at[class_index]; at < s->words_at[class_index + 1];) {
        const uint32_t *group = s->words + at;
        const ikati_positions rows = ikati_span(group[0], 1, group[1]);
        sink->group(sink, &rows);
        at += GROUP_WORDS;
        for (uint32_t i = 0; i < group[2]; i++) {
            const uint32_t *set = s->words + at;
            hand_over_keys(s, set, rows.first, sink);
            at += SET_WORDS + (set[2] & KIND_TABLE ? set[1] : 0);
        }
    }
}

static bool sees(const ikati_pattern *pattern, uint32_t class_index, uint32_t query, uint32_t key) {
    const dense_pattern *s = pattern->user;
    const int64_t left = own_key(s, query) - key;
    const uint32_t size = (uint32_t)s->block_size;
    return kept_of(s, class_index)[query / size * s->num_key_blocks + key / size] &&
           (s->window.left < 0 || left <= s->window.left) &&
           (s->window.right < 0 || -left <= s->window.right);
}

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    (void)batch;
    return ((const dense_pattern *)pattern->user)->class_of_head[head];
}

// The mask as 0 and 1, and which heads share one. Without a mask everything is one tile.
static bool read_mask(const ikati_request *request, ikati_patterns *patterns, dense_pattern *s) {
    const ikati_tensor_use *mask = ikati_input(request, "block_mask");
    const int64_t num_heads = ikati_extent(request, "H");
    const int64_t num_masks = mask->present ? mask->tensor.shape[0] : 1;
    if (!mask->present) {
        s->block_size = ikati_most(ikati_most(s->num_queries, s->num_keys), 1);
    }
    s->block_size =
        ikati_least(s->block_size, ikati_most(ikati_most(s->num_queries, s->num_keys), 1));
    s->num_query_blocks =
        (int64_t)ikati_divide_up((uint64_t)s->num_queries, (uint64_t)s->block_size);
    s->num_key_blocks = (int64_t)ikati_divide_up((uint64_t)s->num_keys, (uint64_t)s->block_size);
    const int64_t size = s->num_query_blocks * s->num_key_blocks;
    s->kept = ikati_patterns_alloc(patterns, num_masks * size, 1);
    s->class_of_head = ikati_patterns_alloc(patterns, num_heads, sizeof(*s->class_of_head));
    s->first_mask = ikati_patterns_alloc(patterns, num_heads, sizeof(*s->first_mask));
    if (!s->kept || !s->class_of_head || !s->first_mask) {
        return false;
    }
    const int32_t *values = mask->values;
    for (int64_t i = 0; i < num_masks * size; i++) {
        s->kept[i] = !values || values[i] != 0;
    }
    s->num_classes =
        ikati_classify(s->kept, (uint32_t)num_masks, (size_t)size, s->class_of_head, s->first_mask);
    return true;
}

static bool write_pattern(ikati_patterns *patterns, dense_pattern *s) {
    dense_writer w = {.pattern = s, .words = {.host = patterns->host}};
    w.keeps = ikati_patterns_alloc(patterns, s->num_key_blocks, 1);
    s->words_at = ikati_patterns_alloc(patterns, s->num_classes + 1, sizeof(*s->words_at));
    if (!w.keeps || !s->words_at) {
        return false;
    }
    for (uint32_t i = 0; i < s->num_classes; i++) {
        w.kept = kept_of(s, i);
        for (int64_t first = 0, end; first < s->num_queries && !w.words.failed; first = end) {
            end = group_end(&w, first);
            write_group(&w, first, end);
        }
        s->words_at[i + 1] = w.words.num;
    }
    s->words = w.words.data;
    ikati_patterns_keep(patterns, w.words.data);
    return !w.words.failed;
}

ikat_status ikati_dense_patterns(const ikati_request *request, ikati_dense_window window,
                                 uint32_t rows, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    dense_pattern *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    s->num_queries = ikati_extent(request, "N");
    s->num_keys = ikati_extent(request, "M");
    s->block_size = ikati_setting(request, "block_size")->integer;
    s->window = window;
    s->rows = rows;
    const bool good = read_mask(request, out_patterns, s) && write_pattern(out_patterns, s);
    out_patterns->num = 1;
    out_patterns->items[0] = (ikati_pattern){.user = s,
                                             .num_queries = (uint32_t)s->num_queries,
                                             .num_keys = (uint32_t)s->num_keys,
                                             .num_classes = s->num_classes,
                                             .class_of = class_of,
                                             .describe = describe,
                                             .sees = sees};
    return ikati_patterns_finish(out_patterns, good);
}
