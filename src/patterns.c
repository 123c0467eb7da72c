#include "patterns.h"

#include <assert.h>
#include <string.h>

void *ikati_patterns_alloc(ikati_patterns *patterns, int64_t count, size_t size) {
    assert(count >= 0);
    void *block = ikati_alloc(patterns->host, (size_t)count, size);
    ikati_patterns_keep(patterns, block);
    return block;
}

void ikati_patterns_keep(ikati_patterns *patterns, void *block) {
    assert(patterns->num_blocks < IKATI_MAX_PATTERN_BLOCKS);
    patterns->blocks[patterns->num_blocks++] = block;
}

void ikati_patterns_free(ikati_patterns *patterns) {
    for (uint32_t i = 0; i < patterns->num_blocks; i++) {
        ikati_free(patterns->host, patterns->blocks[i]);
    }
    *patterns = (ikati_patterns){0};
}

ikat_status ikati_patterns_finish(ikati_patterns *patterns, bool good) {
    if (!good) {
        ikati_patterns_free(patterns);
    }
    return good ? IKAT_OK : IKAT_NO_MEMORY;
}

// Pairs of one class of a pattern.
typedef struct pair_counter {
    ikati_pattern_sink sink; // first: the sink is cast to this
    const ikati_pattern *pattern;
    uint32_t class_index;
    ikati_positions queries;
    double pairs;
} pair_counter;

static void take_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    ((pair_counter *)sink)->queries = *queries;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

static double count_row(const pair_counter *counter, const ikati_key_set *set, uint32_t row) {
    const int64_t first = clamp(row + set->left, 0, set->keys.count);
    const int64_t end = clamp(row + set->right + 1, first, set->keys.count);
    if (!set->irregular) {
        return (double)(end - first);
    }
    double pairs = 0;
    const uint32_t query = ikati_position_at(&counter->queries, row);
    for (int64_t c = first; c < end; c++) {
        pairs += counter->pattern->sees(counter->pattern, counter->class_index, query,
                                        ikati_position_at(&set->keys, (uint32_t)c));
    }
    return pairs;
}

static void take_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    pair_counter *counter = (pair_counter *)sink;
    const bool whole = set->left == IKATI_NO_LEFT && set->right == IKATI_NO_RIGHT;
    if (whole && !set->irregular) {
        counter->pairs += (double)counter->queries.count * (double)set->keys.count;
        return;
    }
    for (uint32_t row = 0; row < counter->queries.count; row++) {
        counter->pairs += count_row(counter, set, row);
    }
}

static double count_class(const ikati_pattern *pattern, uint32_t class_index) {
    pair_counter counter = {
        .sink = {take_group, take_keys}, .pattern = pattern, .class_index = class_index};
    pattern->describe(pattern, class_index, &counter.sink);
    return counter.pairs;
}

static double count_uses(const ikati_pattern *pattern, uint32_t class_index,
                         const ikati_request *request) {
    const int64_t batches = ikati_extent(request, "B"), heads = ikati_extent(request, "H");
    double uses = 0;
    for (uint32_t h = 0; h < heads; h++) {
        for (uint32_t b = 0; b < batches && ikati_keeps_head(request, h); b++) {
            uses += !pattern->class_of || pattern->class_of(pattern, b, h) == class_index;
        }
    }
    return uses;
}

double ikati_patterns_count(const ikati_patterns *patterns, const ikati_request *request) {
    double pairs = 0;
    for (uint32_t p = 0; p < patterns->num; p++) {
        const ikati_pattern *pattern = &patterns->items[p];
        for (uint32_t c = 0; c < pattern->num_classes; c++) {
            pairs += count_class(pattern, c) * count_uses(pattern, c, request);
        }
    }
    return pairs;
}

uint32_t ikati_classify(const void *rows, uint32_t num, size_t row_bytes, uint32_t *out_class,
                        uint32_t *out_first) {
    const uint8_t *bytes = rows;
    uint32_t num_classes = 0;
    for (uint32_t i = 0; i < num; i++) {
        uint32_t found = 0;
        while (found < num_classes && memcmp(bytes + out_first[found] * row_bytes,
                                             bytes + i * row_bytes, row_bytes) != 0) {
            found++;
        }
        if (found == num_classes) {
            out_first[num_classes++] = i;
        }
        out_class[i] = found;
    }
    return num_classes;
}
