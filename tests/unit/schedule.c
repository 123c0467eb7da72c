// Schedules say what their patterns say: every pair once, every row once, nothing else. The words
// are read as kernel `attend` reads them, by a reader that shares nothing with the builder.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shaders/params/attend.h"
#include "shaders/params/merge.h"
#include "src/schedule.h"

enum { MAX_POSITIONS = 700 };

static const ikati_host host = {0};

// What is read back of one class: how often each pair is visited, and each row owned.
typedef struct reading {
    uint8_t pairs[MAX_POSITIONS][MAX_POSITIONS];
    uint8_t rows[MAX_POSITIONS];
    uint32_t longest_record; // keys
} reading;

static uint32_t position_of(const ikati_schedule *s, uint32_t base, uint32_t stride, uint32_t at) {
    return stride ? base + at * stride : s->words[s->positions_at + base + at];
}

static void read_entry(const ikati_schedule *s, const uint32_t *record, const uint32_t *entry,
                       uint32_t tile_rows, reading *out) {
    for (uint32_t r = 0; r < record[2]; r++) {
        uint32_t i = position_of(s, record[0], record[1], r);
        for (uint32_t c = 0; c < entry[2]; c++) {
            uint32_t j = position_of(s, entry[0], entry[1], c);
            assert_true(i < MAX_POSITIONS && j < MAX_POSITIONS);
            const uint32_t *mask = s->words + s->masks_at + entry[3];
            out->pairs[i][j] +=
                entry[3] == ATTEND_NO_MASK || (mask[c / 32 * tile_rows + r] >> (c % 32) & 1u);
        }
    }
}

static void read_list(const ikati_schedule *s, const ikati_tile_list *list, uint32_t class_index,
                      uint32_t tile_rows, reading *out) {
    for (uint32_t tile = 0; tile < list->num_tiles; tile++) {
        for (uint32_t split = 0; split < list->num_splits; split++) {
            uint32_t at = (class_index * list->num_tiles + tile) * list->num_splits + split;
            const uint32_t *record = s->words + list->tiles_at + at * ATTEND_TILE_WORDS;
            uint32_t num_keys = 0;
            assert_true(record[2] <= tile_rows);
            for (uint32_t r = 0; split == 0 && r < record[2]; r++) {
                out->rows[position_of(s, record[0], record[1], r)]++;
            }
            for (uint32_t e = record[3]; e < record[4]; e++) {
                const uint32_t *entry = s->words + s->entries_at + e * ATTEND_ENTRY_WORDS;
                assert_true(entry[3] == ATTEND_NO_MASK || entry[2] <= ATTEND_MASK_KEYS);
                read_entry(s, record, entry, tile_rows, out);
                num_keys += entry[2];
            }
            out->longest_record = num_keys > out->longest_record ? num_keys : out->longest_record;
        }
    }
}

// Builds a pattern for several tile sizes and compares it, pair by pair, with what `sees` says.
static void check_pattern(const ikati_pattern *pattern, uint32_t num_heads, uint64_t max_keys,
                          bool (*sees)(uint32_t class_index, uint32_t i, uint32_t j)) {
    const uint32_t tiles[] = {1, 16, 64};
    reading *read = malloc(sizeof(*read));
    for (size_t t = 0; t < sizeof(tiles) / sizeof(tiles[0]); t++) {
        ikati_schedule_params params = {1, num_heads, tiles[t], max_keys, 1, {0, 0}};
        ikati_schedule schedule;
        assert_int_equal(ikati_schedule_build(&host, pattern, &params, &schedule), IKAT_OK);
        double visible = 0;
        for (uint32_t head = 0; head < num_heads; head++) {
            uint32_t class_index = schedule.words[schedule.class_at + head];
            memset(read, 0, sizeof(*read));
            read_list(&schedule, &schedule.whole, class_index, tiles[t], read);
            read_list(&schedule, &schedule.split, class_index, tiles[t], read);
            for (uint32_t i = 0; i < pattern->num_queries; i++) {
                assert_int_equal(read->rows[i], 1);
                for (uint32_t j = 0; j < pattern->num_keys; j++) {
                    assert_int_equal(read->pairs[i][j], sees(class_index, i, j));
                    visible += sees(class_index, i, j);
                }
            }
        }
        assert_true(schedule.visible_pairs == visible);
        ikati_schedule_free(&host, &schedule);
    }
    free(read);
}

// A band of 37 keys to the left and 5 to the right; class 1 sees nothing.
static void describe_band(const ikati_pattern *pattern, uint32_t class_index,
                          ikati_pattern_sink *sink) {
    const ikati_positions all = ikati_span(0, 1, pattern->num_queries);
    const ikati_key_set set = {ikati_span(0, 1, pattern->num_keys), -37, 5, false, false};
    sink->group(sink, &all);
    if (class_index == 0) {
        sink->keys(sink, &set);
    }
}

static bool sees_band(uint32_t class_index, uint32_t i, uint32_t j) {
    return class_index == 0 && j + 37 >= i && j <= i + 5;
}

static uint32_t odd_heads(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    (void)pattern;
    (void)batch;
    return head % 2;
}

static void bands(void **state) {
    (void)state;
    const uint32_t sizes[] = {1, 5, 64, 200, 333};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ikati_pattern pattern = {.num_queries = sizes[i],
                                 .num_keys = sizes[i],
                                 .num_classes = 2,
                                 .class_of = odd_heads,
                                 .describe = describe_band};
        check_pattern(&pattern, 3, 1 << 20, sees_band);
    }
}

// Residues modulo 3 with a causal band of 20 of their own keys, and some gathered keys that all see;
// those are left to the gathered set where the band has them too.
static const uint32_t gathered[] = {0, 7, 8, 9, 100, 101, 199, 300, 301, 302, 303, 304, 305};
enum { NUM_GATHERED = sizeof(gathered) / sizeof(gathered[0]) };

static bool is_gathered(uint32_t j) {
    for (int i = 0; i < NUM_GATHERED; i++) {
        if (gathered[i] == j) {
            return true;
        }
    }
    return false;
}

static bool in_band(uint32_t i, uint32_t j) { return j <= i && (i - j) % 3 == 0 && i - j <= 60; }

static bool sees_residues(uint32_t class_index, uint32_t i, uint32_t j) {
    (void)class_index;
    return in_band(i, j) || is_gathered(j);
}

static bool asks_residues(const ikati_pattern *pattern, uint32_t class_index, uint32_t i,
                          uint32_t j) {
    (void)pattern;
    (void)class_index;
    return !in_band(i, j);
}

static void describe_residues(const ikati_pattern *pattern, uint32_t class_index,
                              ikati_pattern_sink *sink) {
    (void)class_index;
    for (uint32_t r = 0; r < 3; r++) {
        uint32_t count = (pattern->num_queries - r + 2) / 3;
        ikati_positions own = ikati_span(r, 3, count);
        ikati_key_set band = {own, -20, 0, false, false};
        ikati_key_set global = {
            {0, 0, NUM_GATHERED, gathered}, IKATI_NO_LEFT, IKATI_NO_RIGHT, true, false};
        sink->group(sink, &own);
        sink->keys(sink, &band);
        sink->keys(sink, &global);
    }
}

static void residues_and_gathered_keys(void **state) {
    (void)state;
    ikati_pattern pattern = {.num_queries = 310,
                             .num_keys = 310,
                             .num_classes = 1,
                             .describe = describe_residues,
                             .sees = asks_residues};
    check_pattern(&pattern, 1, 1 << 20, sees_residues);
}

// Gathered rows that see everything, the others their own block: the long tiles are split, and their
// rows listed for the merge.
static bool sees_split(uint32_t class_index, uint32_t i, uint32_t j) {
    (void)class_index;
    return is_gathered(i) || i / 10 == j / 10;
}

static void describe_split(const ikati_pattern *pattern, uint32_t class_index,
                           ikati_pattern_sink *sink) {
    (void)class_index;
    ikati_positions rows = {0, 0, NUM_GATHERED, gathered};
    ikati_key_set all = {ikati_span(0, 1, pattern->num_keys), IKATI_NO_LEFT, IKATI_NO_RIGHT, false,
                         false};
    sink->group(sink, &rows);
    sink->keys(sink, &all);
    for (uint32_t i = 0; i < pattern->num_queries; i++) {
        if (!is_gathered(i)) {
            ikati_positions one = ikati_span(i, 1, 1);
            ikati_key_set block = {ikati_span(i / 10 * 10, 1, 10), IKATI_NO_LEFT, IKATI_NO_RIGHT,
                                   false, false};
            sink->group(sink, &one);
            sink->keys(sink, &block);
        }
    }
}

static void long_tiles_are_split(void **state) {
    (void)state;
    ikati_pattern pattern = {
        .num_queries = 600, .num_keys = 600, .num_classes = 1, .describe = describe_split};
    check_pattern(&pattern, 1, 128, sees_split);

    ikati_schedule_params params = {1, 1, 16, 128, 1, {0, 0}};
    ikati_schedule s;
    assert_int_equal(ikati_schedule_build(&host, &pattern, &params, &s), IKAT_OK);
    assert_int_equal(s.split.num_tiles, 1);
    assert_true(s.split.num_splits >= 600 / 128);
    for (uint32_t r = 0; r < 16; r++) {
        assert_int_equal(s.words[s.split.rows_at + r],
                         r < NUM_GATHERED ? gathered[r] : MERGE_NO_ROW);
    }
    reading *read = calloc(1, sizeof(*read));
    read_list(&s, &s.split, 0, 16, read);
    assert_true(read->longest_record <= 128);
    free(read);
    ikati_schedule_free(&host, &s);
}

// Two masks serve a band however long it is, and tables grow with the rows.
static void masks_are_few(void **state) {
    (void)state;
    uint64_t words[2];
    for (uint32_t i = 0; i < 2; i++) {
        ikati_pattern pattern = {.num_queries = 4096u << i,
                                 .num_keys = 4096u << i,
                                 .num_classes = 1,
                                 .describe = describe_band};
        ikati_schedule_params params = {2, 8, 16, 1 << 20, 1, {0, 0}};
        ikati_schedule schedule;
        assert_int_equal(ikati_schedule_build(&host, &pattern, &params, &schedule), IKAT_OK);
        assert_true(schedule.num_masks <= 6);
        words[i] = schedule.num_words;
        ikati_schedule_free(&host, &schedule);
    }
    assert_true(words[1] <= 2 * words[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bands),
        cmocka_unit_test(residues_and_gathered_keys),
        cmocka_unit_test(long_tiles_are_split),
        cmocka_unit_test(masks_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
