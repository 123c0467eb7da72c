// Which keys each query sees: what a mechanism with a sparse pattern says of itself. src/schedule.h
// turns it into tiles.
//
// A pattern is made of groups of query positions whose rows see the same key positions but for the
// edges of a band: a longformer head with dilation d is d groups (the residues), each with a band in
// its own keys and the global keys besides; a block of bigbird is a group that sees a few blocks.
// Strided, dilated, gathered and summary positions so become dense tiles by the choice of positions.

#ifndef IKATI_PATTERN_H
#define IKATI_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Ascending positions: table[0 .. count-1], or without a table first, first + stride, ...
// (stride >= 1). A table lives as long as the pattern.
typedef struct ikati_positions {
    uint32_t first, stride, count;
    const uint32_t *table;
} ikati_positions;

static inline uint32_t ikati_position_at(const ikati_positions *positions, uint32_t index) {
    return positions->table ? positions->table[index]
                            : positions->first + positions->stride * index;
}

static inline ikati_positions ikati_span(uint32_t first, uint32_t stride, uint32_t count) {
    ikati_positions positions = {first, stride, count, NULL};
    return positions;
}

// No edge on this side of a band.
#define IKATI_NO_LEFT (-((int64_t)1 << 40))
#define IKATI_NO_RIGHT ((int64_t)1 << 40)

// Keys of a group. Its row a (counted from the group's first query) sees key c (counted from the
// first key here) where a + left <= c <= a + right and, if `irregular`, ikati_pattern.sees agrees on
// their positions. `evaluated` sets have no band and are not irregular: the kernel's mask expression
// tells of each pair, where ikati_pattern.classify does not tell of all pairs of a tile; queries
// and keys are neighbours. No key is in two sets of a group for the same row.
typedef struct ikati_key_set {
    ikati_positions keys;
    int64_t left, right;
    bool irregular;
    bool evaluated;
} ikati_key_set;

// Takes what a pattern consists of, in order: a group, its key sets, the next group, ...
typedef struct ikati_pattern_sink {
    void (*group)(struct ikati_pattern_sink *sink, const ikati_positions *queries);
    void (*keys)(struct ikati_pattern_sink *sink, const ikati_key_set *set);
} ikati_pattern_sink;

// What is known of the pairs of a tile.
typedef enum ikati_tile_kind { IKATI_SEES_NONE, IKATI_SEES_SOME, IKATI_SEES_ALL } ikati_tile_kind;

// A pattern over num_queries and num_keys positions.
//
// num_classes  (batch, head) pairs of one class share a pattern; class_of tells which, NULL: one
// num_pruned   the last so many classes are pruned: their rows have no keys, and are written as if
//              they were padding, whatever sinks there are
// describe     hands the groups of one class to a sink. Every query is in exactly one group, unless
//              `is_partial`; one that sees nothing is in a group without keys
// sees         asked for pairs in irregular key sets only; may be NULL if there are none
// classify     asked for tiles of evaluated key sets only: queries and keys from the first to the last,
//              both inclusive
// is_partial   rows in no group are not written at all
typedef struct ikati_pattern {
    void *user;
    uint32_t num_queries, num_keys;
    uint32_t num_classes;
    uint32_t num_pruned;
    uint32_t (*class_of)(const struct ikati_pattern *pattern, uint32_t batch, uint32_t head);
    void (*describe)(const struct ikati_pattern *pattern, uint32_t class_index,
                     ikati_pattern_sink *sink);
    bool (*sees)(const struct ikati_pattern *pattern, uint32_t class_index, uint32_t query,
                 uint32_t key);
    ikati_tile_kind (*classify)(const struct ikati_pattern *pattern, uint32_t class_index,
                                uint32_t first_query, uint32_t last_query, uint32_t first_key,
                                uint32_t last_key);
    bool is_partial;
} ikati_pattern;

#endif
