// Who sees whom in bigbird: a group a block of queries, and for each a few spans of keys. Neighbours
// are joined, and what is listed twice counts once. The draw of random blocks is here as well.

#include "bigbird.h"

#include "../integers.h"
#include "../philox.h"

#include <stdlib.h>
#include <string.h>

// Blocks are numbered from the first position that is no global token. Those from left_end up to
// right_start are not global.
typedef struct bigbird {
    int64_t num_positions, num_tokens, block_size, num_blocks;
    int64_t left_end, right_start;
    int64_t reach; // blocks to either side
    int64_t num_random;
    int64_t num_columns; // of the table: a draw may ask for more blocks than there are
    int32_t *table;      // [class, block, num_columns], each row ascending, unused slots last
    uint32_t *class_of_head, *first_head;
} bigbird;

static void read_sizes(const ikati_request *request, bigbird *out) {
    out->num_positions = ikati_extent(request, "N");
    out->num_tokens = ikati_setting(request, "num_global_tokens")->integer;
    out->block_size = ikati_setting(request, "block_size")->integer;
    out->num_blocks = ikati_extent(request, "nb");
    out->num_random = ikati_bigbird_num_random(request);
    out->left_end =
        ikati_least(ikati_setting(request, "global_blocks_left")->integer, out->num_blocks);
    out->right_start =
        ikati_most(out->num_blocks - ikati_setting(request, "global_blocks_right")->integer, 0);
    out->reach = ikati_least(ikati_setting(request, "window_blocks")->integer / 2, out->num_blocks);
    out->num_columns = ikati_structure(request, "random_blocks")
                           ? out->num_random
                           : ikati_least(out->num_random, out->num_blocks);
}

// The draw.

// Candidate `index` of block I: those that are neither global nor near it, in ascending order.
static int64_t candidate_at(const bigbird *s, int64_t block, int64_t index) {
    const int64_t before = ikati_most(block - s->reach - s->left_end, 0);
    return index < before ? s->left_end + index : block + s->reach + 1 + index - before;
}

static int64_t count_candidates(const bigbird *s, int64_t block) {
    return ikati_most(block - s->reach - s->left_end, 0) +
           ikati_most(s->right_start - block - s->reach - 1, 0);
}

// Shuffles the first candidates to the front, writes them, and undoes the shuffle: `order` is
// 0, 1, 2, ... before and after. `swapped` has room for as many as are drawn.
static void draw_row(const bigbird *s, uint64_t seed, int64_t row, int64_t block, int32_t *order,
                     int32_t *swapped, int32_t *out) {
    const int64_t count = count_candidates(s, block), drawn = ikati_least(count, s->num_random);
    for (int64_t t = 0; t < drawn; t++) {
        const uint64_t word =
            ikati_draw_bits(seed, 0, (uint64_t)row * (uint64_t)s->num_random + (uint64_t)t);
        swapped[t] = (int32_t)(t + (int64_t)(((word >> 8) * (uint64_t)(count - t)) >> 24));
        const int32_t taken = order[swapped[t]];
        order[swapped[t]] = order[t];
        order[t] = taken;
        out[t] = (int32_t)candidate_at(s, block, taken);
    }
    for (int64_t t = 0; t < drawn; t++) {
        order[t] = (int32_t)t;
        order[swapped[t]] = swapped[t];
    }
}

static ikat_status draw_table(const ikati_request *request, const bigbird *s, int32_t *out_table) {
    const uint64_t seed = (uint64_t)ikati_setting(request, "seed")->integer;
    const int64_t heads = ikati_extent(request, "H");
    int32_t *order = ikati_alloc(request->host, (size_t)s->num_blocks, 2 * sizeof(*order));
    if (!order) {
        return IKAT_NO_MEMORY;
    }
    for (int64_t i = 0; i < s->num_blocks; i++) {
        order[i] = (int32_t)i;
    }
    memset(out_table, -1, (size_t)(heads * s->num_blocks * s->num_columns) * sizeof(*out_table));
    for (int64_t row = 0; row < heads * s->num_blocks; row++) {
        const int64_t block = row % s->num_blocks;
        if (block >= s->left_end && block < s->right_start) {
            draw_row(s, seed, row, block, order, order + s->num_blocks,
                     out_table + row * s->num_columns);
        }
    }
    ikati_free(request->host, order);
    return IKAT_OK;
}

static ikat_status fill_table(const ikati_request *request, const bigbird *s, int32_t *out_table) {
    const int32_t *given = ikati_structure(request, "random_blocks");
    if (!given) {
        return draw_table(request, s, out_table);
    }
    const int64_t count = ikati_extent(request, "H") * s->num_blocks * s->num_columns;
    memcpy(out_table, given, (size_t)count * sizeof(*given));
    return IKAT_OK;
}

ikat_status ikati_bigbird_table(const ikati_request *request, int32_t *out_table) {
    bigbird sizes = {0};
    read_sizes(request, &sizes);
    sizes.num_columns = sizes.num_random;
    return fill_table(request, &sizes, out_table);
}

// The pattern.

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const bigbird *s = pattern->user;
    (void)batch;
    return s->class_of_head[head];
}

static int64_t block_start(const bigbird *s, int64_t block) {
    return block >= s->num_blocks ? s->num_positions : s->num_tokens + block * s->block_size;
}

static void emit_keys(int64_t first, int64_t end, ikati_pattern_sink *sink) {
    if (end > first) {
        sink->keys(sink,
                   &(ikati_key_set){.keys = ikati_span((uint32_t)first, 1, (uint32_t)(end - first)),
                                    .left = IKATI_NO_LEFT,
                                    .right = IKATI_NO_RIGHT});
    }
}

static void emit_group(int64_t first, int64_t end, ikati_pattern_sink *sink) {
    const ikati_positions queries = ikati_span((uint32_t)first, 1, (uint32_t)(end - first));
    sink->group(sink, &queries);
}

static void emit_global(const bigbird *s, int64_t first, int64_t end, ikati_pattern_sink *sink) {
    if (end > first) {
        emit_group(first, end, sink);
        emit_keys(0, s->num_positions, sink);
    }
}

// Keys of a block that is not global, joined as they come in ascending order: what is global on the
// left, then window, random blocks and what is global on the right.
static void emit_block(const bigbird *s, const int32_t *listed, int64_t block,
                       ikati_pattern_sink *sink) {
    const int64_t fixed[2][2] = {{ikati_most(block - s->reach, 0), block + s->reach + 1},
                                 {s->right_start, s->num_blocks}};
    int64_t first = 0, end = block_start(s, s->left_end), next_fixed = 0, next_listed = 0;
    emit_group(block_start(s, block), block_start(s, block + 1), sink);
    for (;;) {
        const bool any_listed = next_listed < s->num_columns && listed[next_listed] >= 0;
        int64_t from, to;
        if (next_fixed < 2 && (!any_listed || fixed[next_fixed][0] <= listed[next_listed])) {
            from = fixed[next_fixed][0];
            to = fixed[next_fixed++][1];
        } else if (any_listed) {
            from = listed[next_listed++];
            to = from + 1;
        } else {
            break;
        }
        if (block_start(s, from) > end) {
            emit_keys(first, end, sink);
            first = block_start(s, from);
        }
        end = ikati_most(end, block_start(s, to));
    }
    emit_keys(first, end, sink);
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const bigbird *s = pattern->user;
    const int64_t left = block_start(s, s->left_end), right = block_start(s, s->right_start);
    if (s->left_end >= s->right_start) {
        emit_global(s, 0, s->num_positions, sink);
        return;
    }
    emit_global(s, 0, left, sink);
    for (int64_t block = s->left_end; block < s->right_start; block++) {
        const int64_t row = class_index * s->num_blocks + block;
        emit_block(s, s->num_columns ? s->table + row * s->num_columns : NULL, block, sink);
    }
    emit_global(s, right, s->num_positions, sink);
}

// Ascending, with unused slots last: they are the largest as unsigned numbers.
static int compare_blocks(const void *a, const void *b) {
    const uint32_t left = (uint32_t) * (const int32_t *)a, right = (uint32_t) * (const int32_t *)b;
    return left < right ? -1 : left > right;
}

static bool read_table(const ikati_request *request, ikati_patterns *patterns, bigbird *s,
                       uint32_t *out_num_classes) {
    const int64_t heads = ikati_extent(request, "H"), row = s->num_blocks * s->num_columns;
    s->class_of_head = ikati_patterns_alloc(patterns, heads, sizeof(*s->class_of_head));
    s->first_head = ikati_patterns_alloc(patterns, heads, sizeof(*s->first_head));
    s->table = ikati_patterns_alloc(patterns, heads * row, sizeof(*s->table));
    if (!s->class_of_head || !s->first_head || !s->table || fill_table(request, s, s->table)) {
        return false;
    }
    for (int64_t i = 0; i < heads * s->num_blocks && s->num_columns; i++) {
        qsort(s->table + i * s->num_columns, (size_t)s->num_columns, sizeof(*s->table),
              compare_blocks);
    }
    *out_num_classes = ikati_classify(s->table, (uint32_t)heads, (size_t)row * sizeof(*s->table),
                                      s->class_of_head, s->first_head);
    for (uint32_t i = 0; i < *out_num_classes; i++) {
        memmove(s->table + i * row, s->table + s->first_head[i] * row,
                (size_t)row * sizeof(*s->table));
    }
    return true;
}

ikat_status ikati_bigbird_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    bigbird *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    uint32_t num_classes = 0;
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    read_sizes(request, s);
    if (!read_table(request, out_patterns, s, &num_classes)) {
        return ikati_patterns_finish(out_patterns, false);
    }
    out_patterns->num = 1;
    out_patterns->items[0] = (ikati_pattern){.user = s,
                                             .num_queries = (uint32_t)s->num_positions,
                                             .num_keys = (uint32_t)s->num_positions,
                                             .num_classes = num_classes,
                                             .class_of = class_of,
                                             .describe = describe};
    return ikati_patterns_finish(out_patterns, true);
}
