// Who sees whom in the Sparse Transformer.
//
// strided  first is one band; second is a group a residue modulo the stride
// fixed    groups are blocks; summary columns are a table shared by all of them, of which a block
//          sees a part
//
// A class is a kind of head: 0 where all are alike; with `split` 0 is the first pattern and 1 + u the
// second one with group u of columns; else u.

#include "sparse.h"

#include "../integers.h"

// tables  for each group the summary columns that exist, `capacity` apart; all blocks but the last
//         have all of theirs
typedef struct sparse {
    int64_t num_positions, stride, columns, distinct, num_blocks;
    ikati_sparse_heads heads;
    bool causal;
    bool own; // the stride pattern has the query's own position
    uint32_t *tables;
    int64_t *counts;
    int64_t capacity;
} sparse;

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const sparse *s = pattern->user;
    (void)batch;
    if (s->heads == IKATI_SPARSE_SPLIT) {
        return head % 2 ? 1 + (uint32_t)(head / 2 % s->distinct) : 0;
    }
    return (uint32_t)(head % s->distinct);
}

static ikati_positions span(int64_t first, int64_t stride, int64_t count) {
    return ikati_span((uint32_t)first, (uint32_t)stride, (uint32_t)count);
}

static void emit_keys(const ikati_positions *keys, int64_t left, int64_t right,
                      ikati_pattern_sink *sink) {
    if (keys->count) {
        sink->keys(sink, &(ikati_key_set){.keys = *keys, .left = left, .right = right});
    }
}

static int64_t right_edge(const sparse *s) { return s->causal ? 0 : IKATI_NO_RIGHT; }

// Strided.

static void describe_band(const sparse *s, ikati_pattern_sink *sink) {
    const ikati_positions all = span(0, 1, s->num_positions);
    if (all.count == 0) {
        return;
    }
    sink->group(sink, &all);
    emit_keys(&all, 1 - s->stride, s->causal ? 0 : s->stride - 1, sink);
}

static void describe_residues(const sparse *s, ikati_pattern_sink *sink) {
    if (s->stride >= s->num_positions && s->num_positions) {
        const ikati_positions all = span(0, 1, s->num_positions);
        sink->group(sink, &all);
        emit_keys(&all, 0, 0, sink);
        return;
    }
    for (int64_t r = 0; r < s->stride && r < s->num_positions; r++) {
        const ikati_positions own =
            span(r, s->stride, (s->num_positions - r + s->stride - 1) / s->stride);
        sink->group(sink, &own);
        emit_keys(&own, IKATI_NO_LEFT, s->own ? right_edge(s) : -1, sink);
        if (!s->own && !s->causal) {
            emit_keys(&own, 1, IKATI_NO_RIGHT, sink);
        }
    }
}

static void describe_strided_first(const ikati_pattern *pattern, uint32_t class_index,
                                   ikati_pattern_sink *sink) {
    (void)class_index;
    describe_band(pattern->user, sink);
}

static void describe_strided_second(const ikati_pattern *pattern, uint32_t class_index,
                                    ikati_pattern_sink *sink) {
    (void)class_index;
    describe_residues(pattern->user, sink);
}

static void describe_strided_split(const ikati_pattern *pattern, uint32_t class_index,
                                   ikati_pattern_sink *sink) {
    if (class_index == 0) {
        describe_band(pattern->user, sink);
    } else {
        describe_residues(pattern->user, sink);
    }
}

// Fixed.

// Summary columns of group u in blocks first .. end-1.
static ikati_positions columns_of(const sparse *s, int64_t u, int64_t first, int64_t end) {
    const int64_t from = ikati_least(first * s->columns, s->counts[u]);
    const int64_t to = end == s->num_blocks ? s->counts[u] : end * s->columns;
    ikati_positions positions = span(0, 1, to > from ? to - from : 0);
    positions.table = s->tables + u * s->capacity + from;
    return positions;
}

// Columns of a block's own group that its rows see: those to their left.
static void emit_own_columns(const sparse *s, int64_t u, int64_t block, ikati_pattern_sink *sink) {
    const int64_t lowest = s->stride - s->columns * (u + 1), first = block * s->stride + lowest;
    if (first < s->num_positions) {
        const ikati_positions own =
            span(first, 1, ikati_least(s->columns, s->num_positions - first));
        emit_keys(&own, IKATI_NO_LEFT, s->causal ? -lowest : IKATI_NO_RIGHT, sink);
    }
}

// A block of queries: whole own block or own columns, and the columns of the blocks before it and,
// unless causal, behind it.
static void describe_block(const sparse *s, bool first, bool second, int64_t u, int64_t block,
                           ikati_pattern_sink *sink) {
    const int64_t start = block * s->stride;
    const ikati_positions own = span(start, 1, ikati_least(s->stride, s->num_positions - start));
    sink->group(sink, &own);
    if (first) {
        emit_keys(&own, IKATI_NO_LEFT, right_edge(s), sink);
    } else {
        emit_own_columns(s, u, block, sink);
    }
    if (!second) {
        return;
    }
    const ikati_positions before = columns_of(s, u, 0, block);
    emit_keys(&before, IKATI_NO_LEFT, IKATI_NO_RIGHT, sink);
    if (!s->causal) {
        const ikati_positions behind = columns_of(s, u, block + 1, s->num_blocks);
        emit_keys(&behind, IKATI_NO_LEFT, IKATI_NO_RIGHT, sink);
    }
}

static void describe_fixed(const ikati_pattern *pattern, uint32_t class_index,
                           ikati_pattern_sink *sink) {
    const sparse *s = pattern->user;
    const bool split = s->heads == IKATI_SPARSE_SPLIT;
    const bool first = s->heads == IKATI_SPARSE_FIRST || s->heads == IKATI_SPARSE_MERGED ||
                       (split && class_index == 0);
    const bool second = s->heads == IKATI_SPARSE_SECOND || s->heads == IKATI_SPARSE_MERGED ||
                        (split && class_index > 0);
    const int64_t u = split && class_index ? class_index - 1 : class_index;
    if (!first && !s->causal && s->num_positions) {
        // All rows see the same columns.
        const ikati_positions all = span(0, 1, s->num_positions);
        const ikati_positions columns = columns_of(s, u, 0, s->num_blocks);
        sink->group(sink, &all);
        emit_keys(&columns, IKATI_NO_LEFT, IKATI_NO_RIGHT, sink);
        return;
    }
    for (int64_t block = 0; block < s->num_blocks; block++) {
        describe_block(s, first, second, u, block, sink);
    }
}

static bool make_tables(const ikati_request *request, ikati_patterns *patterns, sparse *s,
                        int64_t *out_num_groups) {
    const int64_t num_groups = ikati_least(s->distinct, ikati_extent(request, "H"));
    s->num_blocks = (s->num_positions + s->stride - 1) / s->stride;
    // Of columns that all lie beyond N nothing is kept.
    s->capacity = s->columns < s->num_positions
                      ? ikati_least(s->num_blocks * s->columns, s->num_positions)
                      : s->num_positions;
    s->tables = ikati_patterns_alloc(patterns, num_groups * s->capacity, sizeof(*s->tables));
    s->counts = ikati_patterns_alloc(patterns, num_groups, sizeof(*s->counts));
    *out_num_groups = num_groups;
    if (!s->tables || !s->counts) {
        return false;
    }
    for (int64_t u = 0; u < num_groups; u++) {
        const int64_t lowest = s->stride - s->columns * (u + 1);
        for (int64_t block = 0; block < s->num_blocks; block++) {
            const int64_t first = block * s->stride + lowest;
            for (int64_t j = first; j < first + s->columns && j < s->num_positions; j++) {
                s->tables[u * s->capacity + s->counts[u]++] = (uint32_t)j;
            }
        }
    }
    return true;
}

static void add(const sparse *s, ikati_patterns *patterns,
                void (*describe)(const ikati_pattern *, uint32_t, ikati_pattern_sink *),
                uint32_t num_classes) {
    ikati_pattern *pattern = &patterns->items[patterns->num++];
    *pattern = (ikati_pattern){.user = (void *)(uintptr_t)s,
                               .num_queries = (uint32_t)s->num_positions,
                               .num_keys = (uint32_t)s->num_positions,
                               .num_classes = num_classes,
                               .class_of = num_classes > 1 ? class_of : NULL,
                               .describe = describe};
}

static void add_strided(sparse *s, ikati_patterns *patterns) {
    // Every position is in step with every other, or with none.
    const bool dense = s->stride == 1, alone = s->stride >= s->num_positions;
    s->stride = alone && s->num_positions ? s->num_positions : s->stride;
    s->own = true;
    if (s->heads == IKATI_SPARSE_SPLIT) {
        add(s, patterns, describe_strided_split, 2);
    } else if (s->heads == IKATI_SPARSE_FIRST || (s->heads == IKATI_SPARSE_MERGED && alone)) {
        add(s, patterns, describe_strided_first, 1);
    } else if (s->heads == IKATI_SPARSE_SECOND || dense) {
        add(s, patterns, describe_strided_second, 1);
    } else {
        s->own = false;
        add(s, patterns, describe_strided_first, 1);
        add(s, patterns, describe_strided_second, 1);
        patterns->merged = true;
    }
}

ikat_status ikati_sparse_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    sparse *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    *s = (sparse){
        .num_positions = ikati_extent(request, "N"),
        .stride = ikati_setting(request, "stride")->integer,
        .columns = ikati_sparse_columns(request),
        .distinct = ikati_setting(request, "distinct")->integer,
        .heads = (ikati_sparse_heads)ikati_setting(request, "head_mode")->integer,
        .causal = ikati_setting(request, "causal")->integer != 0,
    };
    if (ikati_setting(request, "pattern")->integer == IKATI_SPARSE_STRIDED) {
        add_strided(s, out_patterns);
        return ikati_patterns_finish(out_patterns, true);
    }
    int64_t num_groups;
    if (!make_tables(request, out_patterns, s, &num_groups)) {
        return ikati_patterns_finish(out_patterns, false);
    }
    const uint32_t classes = (uint32_t)num_groups;
    add(s, out_patterns, describe_fixed,
        s->heads == IKATI_SPARSE_SPLIT   ? 1 + classes
        : s->heads == IKATI_SPARSE_FIRST ? 1
                                         : classes);
    return ikati_patterns_finish(out_patterns, true);
}
