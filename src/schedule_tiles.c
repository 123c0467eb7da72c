// Finds the tiles of a pattern: cuts its groups into rows that one workgroup owns, and their key sets
// into entries that it walks.

#include "schedule_tiles.h"

#include "../shaders/params/attend.h"

#include <string.h>

// A position table of the pattern, and where its copy begins among the words.
struct ikati_table_use {
    const uint32_t *table;
    uint32_t count;
    uint64_t at;
};

typedef ikati_tile_builder builder;
typedef ikati_tile tile;
typedef struct ikati_table_use table_use;

// The slot of a table, or the empty one where it belongs.
static table_use *find_table(const builder *self, const uint32_t *table) {
    uint64_t slot =
        ((uintptr_t)table >> 2) * UINT64_C(11400714819323198485) % self->num_table_slots;
    while (self->tables[slot].table && self->tables[slot].table != table) {
        slot = (slot + 1) % self->num_table_slots;
    }
    return &self->tables[slot];
}

static bool make_table_room(builder *self) {
    if (self->num_table_slots >= 2 * (self->num_tables + 1)) {
        return true;
    }
    uint64_t num_old = self->num_table_slots;
    table_use *old = self->tables;
    uint64_t wanted = num_old ? 2 * num_old : 64;
    table_use *grown = ikati_alloc(self->host, (size_t)wanted, sizeof(*grown));
    if (!grown) {
        self->failed = true;
        return false;
    }
    self->tables = grown;
    self->num_table_slots = wanted;
    for (uint64_t i = 0; i < num_old; i++) {
        if (old[i].table) {
            *find_table(self, old[i].table) = old[i];
        }
    }
    ikati_free(self->host, old);
    return true;
}

// Patterns hand over prefixes of one table, short ones first: so the longest is looked for before
// anything is copied.
static void note_table(builder *self, const ikati_positions *positions) {
    if (!positions->table || !positions->count || !make_table_room(self)) {
        return;
    }
    table_use *use = find_table(self, positions->table);
    self->num_tables += !use->table;
    use->table = positions->table;
    use->count = positions->count > use->count ? positions->count : use->count;
}

static void note_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    note_table((builder *)sink, queries);
}

static void note_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    note_table((builder *)sink, &set->keys);
}

static void copy_tables(builder *self) {
    for (uint64_t i = 0; i < self->num_table_slots; i++) {
        table_use *use = &self->tables[i];
        if (use->table) {
            use->at = ikati_words_append(&self->positions, use->table, use->count);
        }
    }
}

// `count` of the positions from `index` on, as kernels read them: base and stride, stride 0 for a
// place in the table of positions.
static void locate(const builder *self, const ikati_positions *positions, uint64_t index,
                   uint32_t out_base_stride[2]) {
    out_base_stride[0] = (uint32_t)(positions->first + positions->stride * index);
    out_base_stride[1] = positions->stride;
    if (positions->table) {
        out_base_stride[0] = (uint32_t)(find_table(self, positions->table)->at + index);
        out_base_stride[1] = 0;
    }
}

static void add_entry(builder *self, tile *to, const ikati_positions *keys, int64_t first,
                      int64_t end, uint32_t mask) {
    uint32_t entry[ATTEND_ENTRY_WORDS] = {0, 0, (uint32_t)(end - first), mask};
    locate(self, keys, (uint64_t)first, entry);
    ikati_words_append(&self->entries, entry, ATTEND_ENTRY_WORDS);
    to->num_entries++;
    to->num_keys += (uint64_t)(end - first);
    to->key_work += (uint64_t)(end - first) *
                    (mask == ATTEND_EVALUATE ? self->key_work.evaluated : self->key_work.seen);
}

// The bits of rows [a0, a1) and at most ATTEND_MASK_KEYS keys from `first` on. Returns how many are
// set.
static uint64_t fill_mask(builder *self, const ikati_key_set *set, int64_t a0, int64_t a1,
                          int64_t first, int64_t end) {
    const ikati_pattern *pattern = self->pattern;
    uint64_t num_set = 0;
    memset(self->mask, 0, self->masks.run_words * sizeof(*self->mask));
    for (int64_t a = a0; a < a1; a++) {
        int64_t from = a + set->left > first ? a + set->left : first;
        int64_t to = a + set->right + 1 < end ? a + set->right + 1 : end;
        uint32_t query = ikati_position_at(&self->queries, (uint32_t)a);
        for (int64_t c = from; c < to; c++) {
            if (!set->irregular || pattern->sees(pattern, self->class_index, query,
                                                 ikati_position_at(&set->keys, (uint32_t)c))) {
                uint64_t word = (uint64_t)(c - first) / 32 * self->tile_rows;
                self->mask[word + (uint64_t)(a - a0)] |= 1u << ((c - first) % 32);
                num_set++;
            }
        }
    }
    return num_set;
}

// Keys [first, end) of a set whose visibility must be looked at pair by pair. What turns out to be
// seen by all rows needs no mask, what is seen by none is left out.
static void add_masked(builder *self, tile *to, const ikati_key_set *set, int64_t a0, int64_t a1,
                       int64_t first, int64_t end) {
    int64_t whole = first; // keys from here to c are seen by all rows
    for (int64_t c = first; c < end; c += ATTEND_MASK_KEYS) {
        int64_t last = c + ATTEND_MASK_KEYS < end ? c + ATTEND_MASK_KEYS : end;
        uint64_t num_set = fill_mask(self, set, a0, a1, c, last);
        self->visible_pairs += (double)num_set * self->class_copies[self->class_index];
        if (num_set == (uint64_t)(a1 - a0) * (uint64_t)(last - c)) {
            continue;
        }
        if (whole < c) {
            add_entry(self, to, &set->keys, whole, c, ATTEND_NO_MASK);
        }
        if (num_set) {
            uint64_t mask = ikati_word_runs_intern(&self->masks, self->mask);
            add_entry(self, to, &set->keys, c, last, (uint32_t)(mask * self->masks.run_words));
        }
        whole = last;
    }
    if (whole < end) {
        add_entry(self, to, &set->keys, whole, end, ATTEND_NO_MASK);
    }
}

// Adds keys [first, end) of an evaluated set, all of one kind.
static void add_kind(builder *self, tile *to, const ikati_key_set *set, ikati_tile_kind kind,
                     int64_t rows, int64_t first, int64_t end) {
    if (kind == IKATI_SEES_NONE || first >= end) {
        return;
    }
    add_entry(self, to, &set->keys, first, end,
              kind == IKATI_SEES_ALL ? ATTEND_NO_MASK : ATTEND_EVALUATE);
    if (kind == IKATI_SEES_ALL) {
        self->visible_pairs +=
            (double)rows * (double)(end - first) * self->class_copies[self->class_index];
    }
}

// What rows [a0, a1) of the group see of an evaluated set: neighbouring tiles of one kind are joined.
static void add_evaluated(builder *self, tile *to, const ikati_key_set *set, int64_t a0,
                          int64_t a1) {
    const ikati_pattern *pattern = self->pattern;
    const uint32_t first_query = ikati_position_at(&self->queries, (uint32_t)a0);
    const uint32_t last_query = ikati_position_at(&self->queries, (uint32_t)a1 - 1);
    ikati_tile_kind run = IKATI_SEES_NONE;
    int64_t first = 0, count = set->keys.count;
    for (int64_t c = 0; c < count; c += ATTEND_MASK_KEYS) {
        const int64_t last = (c + ATTEND_MASK_KEYS < count ? c + ATTEND_MASK_KEYS : count) - 1;
        const ikati_tile_kind kind =
            pattern->classify(pattern, self->class_index, first_query, last_query,
                              ikati_position_at(&set->keys, (uint32_t)c),
                              ikati_position_at(&set->keys, (uint32_t)last));
        if (kind != run) {
            add_kind(self, to, set, run, a1 - a0, first, c);
            run = kind;
            first = c;
        }
    }
    add_kind(self, to, set, run, a1 - a0, first, count);
}

// What rows [a0, a1) of the group see of one set: cut by the band's left edge, seen by all, cut by
// its right edge.
static void add_set(builder *self, tile *to, const ikati_key_set *set, int64_t a0, int64_t a1) {
    if (set->evaluated) {
        add_evaluated(self, to, set, a0, a1);
        return;
    }
    int64_t count = set->keys.count;
    int64_t first = a0 + set->left > 0 ? a0 + set->left : 0;
    int64_t end = a1 + set->right < count ? a1 + set->right : count;
    int64_t full_first = a1 - 1 + set->left > first ? a1 - 1 + set->left : first;
    int64_t full_end = a0 + set->right + 1 < end ? a0 + set->right + 1 : end;
    if (first >= end) {
        return;
    }
    if (set->irregular || full_first >= full_end) {
        add_masked(self, to, set, a0, a1, first, end);
        return;
    }
    add_masked(self, to, set, a0, a1, first, full_first);
    add_entry(self, to, &set->keys, full_first, full_end, ATTEND_NO_MASK);
    self->visible_pairs +=
        (double)(a1 - a0) * (double)(full_end - full_first) * self->class_copies[self->class_index];
    add_masked(self, to, set, a0, a1, full_end, end);
}

static tile *add_tile(builder *self) {
    if (self->num_tiles == self->max_tiles) {
        uint64_t wanted = self->max_tiles ? 2 * self->max_tiles : 64;
        tile *grown = ikati_resize(self->host, self->tiles, (size_t)wanted, sizeof(*grown));
        if (!grown) {
            self->failed = true;
            return NULL;
        }
        self->tiles = grown;
        self->max_tiles = wanted;
    }
    return &self->tiles[self->num_tiles++];
}

static ikati_positions part_of(const ikati_positions *positions, uint32_t first, uint32_t count) {
    ikati_positions part = *positions;
    part.first += part.stride * first;
    part.table = part.table ? part.table + first : NULL;
    part.count = count;
    return part;
}

static void end_group(builder *self) {
    const uint32_t rows = self->tile_rows;
    for (uint32_t a = 0; self->in_group && a < self->queries.count && !self->failed; a += rows) {
        uint32_t end = self->queries.count - a < rows ? self->queries.count : a + rows;
        tile *to = add_tile(self);
        if (!to) {
            return;
        }
        *to = (tile){.first_entry = self->entries.num / ATTEND_ENTRY_WORDS};
        to->queries = part_of(&self->queries, a, end - a);
        for (uint32_t i = 0; i < self->num_sets; i++) {
            add_set(self, to, &self->sets[i], a, end);
        }
        if (self->queries.table) {
            to->queries.first = (uint32_t)(find_table(self, self->queries.table)->at + a);
        }
    }
    self->in_group = false;
    self->num_sets = 0;
}

static void take_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    builder *self = (builder *)sink;
    end_group(self);
    self->queries = *queries;
    self->in_group = true;
}

static void take_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    builder *self = (builder *)sink;
    if (self->num_sets == self->max_sets) {
        uint32_t wanted = self->max_sets ? 2 * self->max_sets : 16;
        ikati_key_set *grown = ikati_resize(self->host, self->sets, wanted, sizeof(*grown));
        if (!grown) {
            self->failed = true;
            return;
        }
        self->sets = grown;
        self->max_sets = wanted;
    }
    self->sets[self->num_sets++] = *set;
}

static void describe_class(builder *self, uint32_t class_index) {
    self->class_index = class_index;
    self->pattern->describe(self->pattern, class_index, &self->sink);
    end_group(self);
}

static bool any_failed(const builder *self) {
    return self->failed || self->entries.failed || self->positions.failed ||
           self->masks.words.failed;
}

bool ikati_tiles_find(ikati_tile_builder *self) {
    const ikati_pattern *pattern = self->pattern;
    self->mask = ikati_alloc(self->host, self->masks.run_words, sizeof(*self->mask));
    self->class_starts =
        ikati_alloc(self->host, pattern->num_classes + 1u, sizeof(*self->class_starts));
    if (!self->mask || !self->class_starts || !make_table_room(self)) {
        return false;
    }
    self->sink = (ikati_pattern_sink){note_group, note_keys};
    for (uint32_t i = 0; i < pattern->num_classes; i++) {
        pattern->describe(pattern, i, &self->sink);
    }
    copy_tables(self);
    self->sink = (ikati_pattern_sink){take_group, take_keys};
    for (uint32_t i = 0; i < pattern->num_classes && !any_failed(self); i++) {
        self->class_starts[i] = self->num_tiles;
        describe_class(self, i);
    }
    self->class_starts[pattern->num_classes] = self->num_tiles;
    return !any_failed(self);
}

void ikati_tiles_free(ikati_tile_builder *self) {
    ikati_free(self->host, self->sets);
    ikati_free(self->host, self->tiles);
    ikati_free(self->host, self->class_starts);
    ikati_free(self->host, self->tables);
    ikati_free(self->host, self->mask);
    ikati_words_free(&self->entries);
    ikati_words_free(&self->positions);
    ikati_word_runs_free(&self->masks);
}
