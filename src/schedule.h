// The schedule of a sparse pattern: tiles of queries, and for each the keys it walks. Time and
// memory to build it are proportional to the tiles. Kernel `attend` reads it from one table of
// 32-bit words (shaders/params/attend.h says what the words are).

#ifndef IKATI_SCHEDULE_H
#define IKATI_SCHEDULE_H

#include "host.h"
#include "pattern.h"

// What a key costs, in keys without an expression: one that every row sees, and one whose pairs are
// evaluated. Both at least 1.
typedef struct ikati_key_work {
    uint32_t seen, evaluated;
} ikati_key_work;

// What it is built for.
//
// tile_rows   rows of a tile of the variant that will walk it
// max_keys    keys that one workgroup may visit (an entry counts as some keys besides); tiles with
//             more, or with far more than the others, are split over several workgroups
// num_groups  workgroups that there should be: of fewer, long tiles are split
typedef struct ikati_schedule_params {
    uint32_t num_batches, num_heads;
    uint32_t tile_rows;
    uint64_t max_keys;
    uint64_t num_groups;
    ikati_key_work key_work; // zeroed: 1 each
} ikati_schedule_params;

// Tiles that one dispatch owns: `num_tiles` a class, each `num_splits` workgroups.
//
// tiles_at  where their records lie, in words; rows_at: where the positions of their rows do,
//           tile_rows a tile
// pairs     (query, key) pairs that they compute, over all batches and heads
typedef struct ikati_tile_list {
    uint32_t num_tiles, num_splits;
    uint32_t tiles_at, rows_at;
    double pairs;
} ikati_tile_list;

// whole, split  tiles that one workgroup walks, and those that several share
// *_at          offsets in words. class_at: class of (batch, head), [num_batches, num_heads]
typedef struct ikati_schedule {
    uint32_t *words;
    uint64_t num_words;
    uint32_t class_at, entries_at, positions_at, masks_at;
    ikati_tile_list whole, split;
    double visible_pairs;
    uint64_t num_entries, num_masks;
} ikati_schedule;

// Builds the schedule of a pattern.
//
// out_schedule  freed with ikati_schedule_free, also after a failure
//
// IKAT_NO_MEMORY
ikat_status ikati_schedule_build(const ikati_host *host, const ikati_pattern *pattern,
                                 const ikati_schedule_params *params, ikati_schedule *out_schedule);
void ikati_schedule_free(const ikati_host *host, ikati_schedule *schedule);

// Rows of a pattern's largest group.
uint32_t ikati_pattern_largest_group(const ikati_pattern *pattern);

#endif
