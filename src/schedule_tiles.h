// Between schedule.c, which lays out the words, and schedule_tiles.c, which finds the tiles.

#ifndef IKATI_SCHEDULE_TILES_H
#define IKATI_SCHEDULE_TILES_H

#include "schedule.h"
#include "words.h"

// A tile as it is found, before it is known which dispatch owns it. The first position of gathered
// rows (queries.table) is their place among `positions`.
//
// key_work  of all its keys: one each, more where expressions are evaluated
typedef struct ikati_tile {
    ikati_positions queries;
    uint64_t first_entry, num_entries, num_keys, key_work;
} ikati_tile;

// What a tile costs, in keys: an entry is as much work as ENTRY_COST keys besides.
enum { IKATI_ENTRY_COST = 16 };
static inline uint64_t ikati_tile_work(const ikati_tile *tile) {
    return tile->key_work + IKATI_ENTRY_COST * tile->num_entries;
}

// class_copies  how many (batch, head) pairs have each class
// tiles         of all classes: those of class i from class_starts[i] on
typedef struct ikati_tile_builder {
    ikati_pattern_sink sink; // first: sinks are builders
    const ikati_host *host;
    const ikati_pattern *pattern;
    const double *class_copies;
    uint32_t tile_rows;
    ikati_key_work key_work;

    ikati_tile *tiles;
    uint64_t num_tiles, max_tiles;
    uint64_t *class_starts; // num_classes + 1
    ikati_words entries, positions;
    ikati_word_runs masks;
    double visible_pairs;

    uint32_t class_index; // from here on: under construction
    ikati_positions queries;
    ikati_key_set *sets;
    uint32_t num_sets, max_sets;
    bool in_group;
    struct ikati_table_use *tables; // hash table by address
    uint64_t num_tables, num_table_slots;
    uint32_t *mask;
    bool failed;
} ikati_tile_builder;

// Finds all tiles. The builder has host, pattern, class_copies, tile_rows, key_work, the hosts of its arrays
// and masks.run_words set. False (logged) if memory ran out. Free it either way.
bool ikati_tiles_find(ikati_tile_builder *builder);
void ikati_tiles_free(ikati_tile_builder *builder);

#endif
