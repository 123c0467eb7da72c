// The levels of hierarchical attention share out all pairs: every pair of positions (causal: no later key)
// is on exactly one level, however many half blocks of queries a group has.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/mechanisms/hierarchical.h"

enum { MAX_POSITIONS = 300 };

// Takes a level's pattern and counts, for each pair of positions, how often its clusters meet.
typedef struct counter {
    ikati_pattern_sink sink; // first: the sink is cast to this
    const ikati_pattern *pattern;
    uint32_t shift, num_positions;
    ikati_positions queries;
    uint32_t num_rows; // taken by groups so far: they ascend
    uint8_t pairs[MAX_POSITIONS][MAX_POSITIONS];
} counter;

static void take_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    counter *self = (counter *)sink;
    assert_int_equal(queries->first, self->num_rows);
    assert_true(queries->count > 0 && queries->stride == 1 && !queries->table);
    self->queries = *queries;
    self->num_rows += queries->count;
}

static void count_clusters(counter *self, uint32_t query, uint32_t key) {
    const uint32_t size = 1u << self->shift;
    for (uint32_t i = query * size; i < (query + 1) * size && i < self->num_positions; i++) {
        for (uint32_t j = key * size; j < (key + 1) * size && j < self->num_positions; j++) {
            self->pairs[i][j]++;
        }
    }
}

static void take_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    counter *self = (counter *)sink;
    for (uint32_t row = 0; row < self->queries.count; row++) {
        for (uint32_t c = 0; c < set->keys.count; c++) {
            const uint32_t query = ikati_position_at(&self->queries, row);
            const uint32_t key = ikati_position_at(&set->keys, c);
            const bool inside = c >= row + set->left && c <= row + set->right;
            assert_true(key < self->pattern->num_keys);
            if (inside && (!set->irregular || self->pattern->sees(self->pattern, 0, query, key))) {
                count_clusters(self, query, key);
            }
        }
    }
}

static void count_level(counter *self, const ikati_hierarchical_level *level) {
    const ikati_pattern pattern = ikati_hierarchical_pattern(level);
    self->sink = (ikati_pattern_sink){take_group, take_keys};
    self->pattern = &pattern;
    self->shift = level->shift;
    self->num_rows = 0;
    pattern.describe(&pattern, 0, &self->sink);
    assert_int_equal(self->num_rows, level->num_tokens);
}

static void check(uint32_t num_positions, uint32_t half, uint32_t group_halves, bool causal) {
    static counter self;
    memset(&self, 0, sizeof(self));
    self.num_positions = num_positions;
    uint32_t num_levels = 0;
    while (2 * half << num_levels < num_positions) {
        num_levels++;
    }
    for (uint32_t l = 0; l == 0 || l < num_levels; l++) {
        const uint32_t num_tokens = (num_positions + (1u << l) - 1) >> l;
        const ikati_hierarchical_level level = {l, num_tokens, half, group_halves, causal};
        count_level(&self, &level);
    }
    for (uint32_t i = 0; i < num_positions; i++) {
        for (uint32_t j = 0; j < num_positions; j++) {
            assert_int_equal(self.pairs[i][j], !causal || j <= i);
        }
    }
}

static void test_pairs(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 2, 17, 32, 33, 100, 127, 129, 256, 299};
    static const uint32_t halves[] = {1, 2, 3, 8, 12, 64, 299};
    static const uint32_t groups[] = {1, 2, 4, 8, 16, 64};
    for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
        for (size_t h = 0; h < sizeof(halves) / sizeof(halves[0]); h++) {
            for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
                check(lengths[n], halves[h], groups[g], false);
                check(lengths[n], halves[h], groups[g], true);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs)};
    return cmocka_run_group_tests_name("levels", tests, NULL, NULL);
}
