#include "schedule.h"

#include "schedule_tiles.h"

#include "../shaders/params/attend.h"
#include "../shaders/params/merge.h"

// A tile is split if it is FAR_LONGER times the mean's work and more than SPLIT_WORK; then each
// workgroup gets about that much. Where there are few tiles, a workgroup gets its share of all work,
// but LEAST_WORK.
enum { FAR_LONGER = 8, SPLIT_WORK = 4096, LEAST_WORK = 256 };

// What is known of all tiles before they are laid out.
typedef struct layout {
    const ikati_tile_builder *tiles;
    const ikati_schedule_params *params;
    const double *class_copies;
    ikati_words words, entries; // entries: with those of split tiles cut again
    uint64_t split_from;        // tiles with more work than that are split
    uint64_t work_per_split;
} layout;

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    return pattern->class_of ? pattern->class_of(pattern, batch, head) : 0;
}

static double *count_copies(const ikati_host *host, const ikati_pattern *pattern,
                            uint32_t num_batches, uint32_t num_heads) {
    double *copies = ikati_alloc(host, pattern->num_classes, sizeof(*copies));
    for (uint32_t i = 0; copies && i < num_batches * num_heads; i++) {
        copies[class_of(pattern, i / num_heads, i % num_heads)] += 1.0;
    }
    return copies;
}

static void choose_split(layout *self) {
    const ikati_tile_builder *tiles = self->tiles;
    uint64_t most = self->params->max_keys, sum = 0;
    double all_tiles = 0, all_work = 0; // of all batches and heads
    for (uint32_t c = 0; c < tiles->pattern->num_classes; c++) {
        for (uint64_t i = tiles->class_starts[c]; i < tiles->class_starts[c + 1]; i++) {
            sum += ikati_tile_work(&tiles->tiles[i]);
            all_tiles += self->class_copies[c];
            all_work += (double)ikati_tile_work(&tiles->tiles[i]) * self->class_copies[c];
        }
    }
    uint64_t mean = tiles->num_tiles ? sum / tiles->num_tiles : 0;
    uint64_t far = FAR_LONGER * mean > SPLIT_WORK ? FAR_LONGER * mean : SPLIT_WORK;
    uint64_t wanted = SPLIT_WORK > mean ? SPLIT_WORK : mean;
    if (all_tiles < (double)self->params->num_groups) {
        wanted = (uint64_t)(all_work / (double)self->params->num_groups) + 1;
        wanted = far = wanted > LEAST_WORK ? wanted : LEAST_WORK;
    }
    self->split_from = far < most ? far : most;
    self->work_per_split = wanted < most ? wanted : most;
}

static bool is_split(const layout *self, const ikati_tile *tile) {
    return ikati_tile_work(tile) > self->split_from;
}

// Sizes one list: as many tiles a class as the class with most of them has.
static void measure_list(const layout *self, bool split, ikati_tile_list *out) {
    const ikati_tile_builder *tiles = self->tiles;
    uint64_t most_work = 0;
    for (uint32_t c = 0; c < tiles->pattern->num_classes; c++) {
        uint32_t num = 0;
        for (uint64_t i = tiles->class_starts[c]; i < tiles->class_starts[c + 1]; i++) {
            const ikati_tile *tile = &tiles->tiles[i];
            if (is_split(self, tile) == split) {
                num++;
                most_work = ikati_tile_work(tile) > most_work ? ikati_tile_work(tile) : most_work;
                out->pairs +=
                    (double)tile->num_keys * self->params->tile_rows * self->class_copies[c];
            }
        }
        out->num_tiles = num > out->num_tiles ? num : out->num_tiles;
    }
    out->num_splits = split ? (uint32_t)ikati_divide_up(most_work, self->work_per_split) : 1;
}

// The keys of an entry whose work begins in [first, end), counted from the work of its first key on:
// the first and one past the last.
static void cut_entry(const layout *self, const uint32_t *entry, uint64_t at,
                      const uint64_t work[2], uint64_t out_keys[2]) {
    const ikati_key_work *cost = &self->tiles->key_work;
    const uint64_t each = entry[3] == ATTEND_EVALUATE ? cost->evaluated : cost->seen;
    if (entry[3] < ATTEND_EVALUATE) { // goes whole where its first key goes
        out_keys[0] = 0;
        out_keys[1] = at >= work[0] && at < work[1] ? entry[2] : 0;
        return;
    }
    for (int i = 0; i < 2; i++) {
        const uint64_t keys = work[i] > at ? ikati_divide_up(work[i] - at, each) : 0;
        out_keys[i] = keys < entry[2] ? keys : entry[2];
    }
}

// Appends the entries of a tile's work [first, end), counted over the keys of all its entries; cuts
// those that reach beyond.
static void copy_entries(layout *self, const ikati_tile *tile, uint64_t first, uint64_t end) {
    const uint32_t *entry = self->tiles->entries.data + tile->first_entry * ATTEND_ENTRY_WORDS;
    const ikati_key_work *cost = &self->tiles->key_work;
    const uint64_t work[2] = {first, end};
    uint64_t at = 0; // work of the entries before
    for (uint64_t i = 0; i < tile->num_entries; i++, entry += ATTEND_ENTRY_WORDS) {
        uint64_t keys[2];
        cut_entry(self, entry, at, work, keys);
        if (keys[0] < keys[1]) {
            uint32_t stride = entry[1] ? entry[1] : 1;
            uint32_t part[ATTEND_ENTRY_WORDS] = {entry[0] + (uint32_t)keys[0] * stride, entry[1],
                                                 (uint32_t)(keys[1] - keys[0]), entry[3]};
            ikati_words_append(&self->entries, part, ATTEND_ENTRY_WORDS);
        }
        at += entry[2] * (uint64_t)(entry[3] == ATTEND_EVALUATE ? cost->evaluated : cost->seen);
    }
}

static void add_record(layout *self, const ikati_tile *tile, uint64_t first_entry,
                       uint64_t end_entry) {
    const ikati_positions *rows = &tile->queries;
    uint32_t record[ATTEND_TILE_WORDS] = {rows->first, rows->table ? 0 : rows->stride, rows->count,
                                          (uint32_t)first_entry, (uint32_t)end_entry};
    ikati_words_append(&self->words, record, ATTEND_TILE_WORDS);
}

static void add_records(layout *self, const ikati_tile *tile, uint32_t num_splits, bool pruned) {
    uint64_t work = ikati_divide_up(tile->key_work, num_splits);
    for (uint32_t s = 0; s < num_splits; s++) {
        uint64_t first_entry = self->entries.num / ATTEND_ENTRY_WORDS;
        copy_entries(self, tile, s * work, (s + 1) * work);
        uint64_t end_entry = self->entries.num / ATTEND_ENTRY_WORDS;
        add_record(self, tile, pruned ? ATTEND_PRUNED : first_entry, pruned ? 0 : end_entry);
    }
}

static void lay_out_list(layout *self, bool split, ikati_tile_list *list) {
    const ikati_tile_builder *tiles = self->tiles;
    const ikati_tile none = {0};
    list->tiles_at = (uint32_t)self->words.num;
    for (uint32_t c = 0; c < tiles->pattern->num_classes; c++) {
        bool pruned = c + tiles->pattern->num_pruned >= tiles->pattern->num_classes;
        uint32_t num = 0;
        for (uint64_t i = tiles->class_starts[c]; i < tiles->class_starts[c + 1]; i++) {
            if (is_split(self, &tiles->tiles[i]) == split) {
                add_records(self, &tiles->tiles[i], list->num_splits, pruned);
                num++;
            }
        }
        for (; num < list->num_tiles; num++) {
            for (uint32_t s = 0; s < list->num_splits; s++) {
                add_record(self, &none, 0, 0);
            }
        }
    }
}

// Where the rows of split tiles go when their parts are merged.
static void lay_out_rows(layout *self, ikati_tile_list *list, uint32_t positions_at) {
    const ikati_tile_builder *tiles = self->tiles;
    list->rows_at = (uint32_t)self->words.num;
    for (uint32_t i = 0; i < tiles->pattern->num_classes * list->num_tiles; i++) {
        for (uint32_t r = 0; r < self->params->tile_rows && !self->words.failed; r++) {
            const uint32_t *record = self->words.data + list->tiles_at +
                                     (uint64_t)i * list->num_splits * ATTEND_TILE_WORDS;
            uint32_t position = record[0] + r * record[1];
            if (!record[1] && r < record[2]) {
                position = self->words.data[positions_at + record[0] + r];
            }
            position = r < record[2] ? position : MERGE_NO_ROW;
            ikati_words_append(&self->words, &position, 1);
        }
    }
}

static uint32_t append_all(layout *self, const ikati_words *words) {
    return (uint32_t)ikati_words_append(&self->words, words->data, words->num);
}

static ikat_status lay_out(layout *self, ikati_schedule *out) {
    const ikati_tile_builder *tiles = self->tiles;
    const ikati_schedule_params *params = self->params;
    for (uint32_t i = 0; i < params->num_batches * params->num_heads; i++) {
        uint32_t index = class_of(tiles->pattern, i / params->num_heads, i % params->num_heads);
        ikati_words_append(&self->words, &index, 1);
    }
    choose_split(self);
    measure_list(self, false, &out->whole);
    measure_list(self, true, &out->split);
    lay_out_list(self, false, &out->whole);
    lay_out_list(self, true, &out->split);
    out->positions_at = append_all(self, &tiles->positions);
    lay_out_rows(self, &out->split, out->positions_at);
    out->masks_at = append_all(self, &tiles->masks.words);
    out->entries_at = append_all(self, &self->entries);
    out->num_entries = self->entries.num / ATTEND_ENTRY_WORDS;
    out->num_masks = tiles->masks.words.num / tiles->masks.run_words;
    out->visible_pairs = tiles->visible_pairs;
    out->words = self->words.data;
    out->num_words = self->words.num;
    bool failed = self->words.failed || self->entries.failed || self->words.num > UINT32_MAX;
    ikati_words_free(&self->entries);
    return failed ? IKAT_NO_MEMORY : IKAT_OK;
}

ikat_status ikati_schedule_build(const ikati_host *host, const ikati_pattern *pattern,
                                 const ikati_schedule_params *params,
                                 ikati_schedule *out_schedule) {
    *out_schedule = (ikati_schedule){0};
    double *copies = count_copies(host, pattern, params->num_batches, params->num_heads);
    ikati_tile_builder tiles = {
        .host = host,
        .pattern = pattern,
        .class_copies = copies,
        .tile_rows = params->tile_rows,
        .key_work = {params->key_work.seen ? params->key_work.seen : 1,
                     params->key_work.evaluated ? params->key_work.evaluated : 1},
        .entries = {.host = host},
        .positions = {.host = host},
        .masks = {.words = {.host = host}, .run_words = ATTEND_MASK_KEYS / 32 * params->tile_rows},
    };
    layout self = {.tiles = &tiles,
                   .params = params,
                   .class_copies = copies,
                   .words = {.host = host},
                   .entries = {.host = host}};
    ikat_status status = copies && ikati_tiles_find(&tiles) ? IKAT_OK : IKAT_NO_MEMORY;
    if (!status) {
        status = lay_out(&self, out_schedule);
    }
    ikati_tiles_free(&tiles);
    ikati_free(host, copies);
    return status;
}

void ikati_schedule_free(const ikati_host *host, ikati_schedule *schedule) {
    ikati_free(host, schedule->words);
    *schedule = (ikati_schedule){0};
}

// A sink that looks at groups alone.
typedef struct group_reader {
    ikati_pattern_sink sink;
    uint32_t largest;
} group_reader;

static void read_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    group_reader *self = (group_reader *)sink;
    self->largest = queries->count > self->largest ? queries->count : self->largest;
}

static void ignore_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    (void)sink;
    (void)set;
}

uint32_t ikati_pattern_largest_group(const ikati_pattern *pattern) {
    group_reader self = {.sink = {read_group, ignore_keys}};
    for (uint32_t i = 0; i < pattern->num_classes; i++) {
        pattern->describe(pattern, i, &self.sink);
    }
    return self.largest;
}
