// Tiles: never empty or full when it is not so, by brute force; and as sharp as the page's rules.

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expressions.h"

static void parse(const char *text, const ikati_symbols *symbols, ikati_expression *out) {
    if (ikati_expression_parse(expression_host(), IKATI_EXPRESSION_MASK, text, symbols, out) !=
        IKAT_OK) {
        fail_msg("'%s': %s", text, last_expression_error.text);
    }
}

static ikati_interval bound(const char *text, const ikati_symbols *symbols,
                            const ikati_tile *tile) {
    ikati_expression mask;
    parse(text, symbols, &mask);
    ikati_interval *intervals = malloc(sizeof(*intervals) * mask.num_nodes);
    const ikati_interval result = ikati_expression_bound(&mask, symbols, tile, intervals);
    free(intervals);
    ikati_expression_clear(expression_host(), &mask);
    return result;
}

// The tile i in [-3, 10], j in [5, 7]: positions are never negative, but intervals may be.
static void expect_bound(const char *text, int64_t low, int64_t high) {
    const ikati_tile tile = {.place = {0, 0, 1, 0, 100, 90, 80, 70},
                             .first_query = -3,
                             .last_query = 10,
                             .first_key = 5,
                             .last_key = 7};
    const ikati_interval result = bound(text, sample_symbols(), &tile);
    if (result.low != low || result.high != high) {
        fail_msg("'%s' is bounded by [%" PRId64 ", %" PRId64 "], expected [%" PRId64 ", %" PRId64
                 "]",
                 text, result.low, result.high, low, high);
    }
}

static void arithmetic_rules(void **state) {
    (void)state;
    expect_bound("i", -3, 10);
    expect_bound("i + j", 2, 17);
    expect_bound("i - j", -10, 5);
    expect_bound("i - i", -13, 13);
    expect_bound("-i", -10, 3);
    expect_bound("i * j", -21, 70);
    expect_bound("i * -j", -70, 21);
    expect_bound("i * i", -30, 100);
    expect_bound("big + j", INT32_MIN, INT32_MAX);
    expect_bound("i * 1000000000", INT32_MIN, INT32_MAX);
    expect_bound("-(least + j - 5)", INT32_MIN, INT32_MAX);
    expect_bound("-(least + j - 4)", 2147483645, 2147483647);
    expect_bound("abs(i)", 0, 10);
    expect_bound("abs(i - 20)", 10, 23);
    expect_bound("abs(j)", 5, 7);
    expect_bound("abs(least + j - 5)", INT32_MIN, INT32_MAX);
    expect_bound("min(i, j)", -3, 7);
    expect_bound("max(i, j)", 5, 10);
    expect_bound("min(i, 0 - 5)", -5, -5);
    expect_bound("(h + 41) * 1103515245 + 12345", -896987621, -896987621); // known, though it wraps
    expect_bound("-least", INT32_MIN, INT32_MIN);
}

static void division_rules(void **state) {
    (void)state;
    expect_bound("i / 2", -1, 5);
    expect_bound("fdiv(i, 2)", -2, 5);
    expect_bound("i / -2", -5, 1);
    expect_bound("fdiv(i, 0 - 2)", -5, 1);
    expect_bound("100 / j", 14, 20);
    expect_bound("100 / i", -100, 100);
    expect_bound("100 / (i - 10)", -100, 0); // and 0 for division by 0
    expect_bound("100 / (i + 3)", 0, 100);
    expect_bound("i / 0", 0, 0);
    expect_bound("(least + j) / -1", -(int64_t)INT32_MIN - 7, -(int64_t)INT32_MIN - 5);
    expect_bound("(least + j - 5) / i", INT32_MIN, INT32_MAX);
    expect_bound("i % 4", 0, 3);
    expect_bound("j % 8", 5, 7);
    expect_bound("(j + 8) % 8", 5, 7);
    expect_bound("(j - 16) % 8", 5, 7);
    expect_bound("j % 6", 0, 5);
    expect_bound("j % 5", 0, 2);
    expect_bound("j % j", 0, 6);
    expect_bound("j % i", -2, 9);
    expect_bound("j % -4", -3, 0);
    expect_bound("j % 0", 0, 0);
    expect_bound("rem(i, 4)", -3, 3);
    expect_bound("rem(i, j)", -3, 6);
    expect_bound("rem(i, 2)", -1, 1);
    expect_bound("rem(j, 100)", 0, 7);
    expect_bound("rem(-j, i)", -7, 0);
    expect_bound("rem(j, least)", 0, 7);
    expect_bound("rem(j, 0)", 0, 0);
}

static void logic_rules(void **state) {
    (void)state;
    expect_bound("i < j", 0, 1);
    expect_bound("i < 11", 1, 1);
    expect_bound("i < -3", 0, 0);
    expect_bound("i <= 10", 1, 1);
    expect_bound("i <= -4", 0, 0);
    expect_bound("i > 10", 0, 0);
    expect_bound("i >= -3", 1, 1);
    expect_bound("i == 11", 0, 0);
    expect_bound("i == 10", 0, 1);
    expect_bound("i != 11", 1, 1);
    expect_bound("h == 1", 1, 1);
    expect_bound("h != 1", 0, 0);
    expect_bound("i != j", 0, 1);
    expect_bound("!i", 0, 1);
    expect_bound("!j", 0, 0);
    expect_bound("!(j - j % 1 * j - j)", 0, 1);
    expect_bound("i && j", 0, 1);
    expect_bound("j && j", 1, 1);
    expect_bound("i && 0", 0, 0);
    expect_bound("i || j", 1, 1);
    expect_bound("i || 0", 0, 1);
    expect_bound("i ? j : 100", 5, 100);
    expect_bound("j ? i : 100", -3, 10);
    expect_bound("j > 9 ? i : 100", 100, 100);
}

static void read_rules(void **state) {
    (void)state;
    expect_bound("row[j - 5]", 0, 2);
    expect_bound("row[j - 4]", 1, 3);
    expect_bound("row[j - 2]", -1, 3); // 3, -1, 2
    expect_bound("row[j - 6]", 0, 1);  // outside, 0, 1
    expect_bound("row[j]", 0, 2);      // 2, 0, outside
    expect_bound("row[j + 3]", 0, 0);
    expect_bound("row[i]", -1, 3);
    expect_bound("row[h + 2]", 3, 3);
    expect_bound("none[i]", 0, 0);
    expect_bound("pair[h, j - 5]", -7, 5);
    expect_bound("pair[h - 1, j - 3]", 0, 5); // 0, 5 and outside
    expect_bound("pair[h, j - 7]", 0, 5);
    expect_bound("pair[j - 5, j - 5]", -7, INT32_MAX);
    expect_bound("deep[h, 1, j - 5, 1]", 0, 4);
    expect_bound("deep[i, j, 0, 0]", 0, 0);
    expect_bound("deep[i, 1, i, i]", 0, 4);
}

// Against all entries of the box one by one, on a table too large to be looked through as a whole.
static void large_tables(void **state) {
    (void)state;
    enum { ROWS = 100, COLUMNS = 300 };
    int32_t *data = malloc(sizeof(*data) * ROWS * COLUMNS);
    for (int32_t e = 0; e < ROWS * COLUMNS; e++) {
        data[e] = e;
    }
    ikati_expression_table table = {
        .name = "t", .type = IKATI_TYPE_INT, .rank = 2, .shape = {ROWS, COLUMNS}, .data = data};
    ikati_expression_measure(&table);
    assert_int_equal(table.lowest, 0);
    assert_int_equal(table.highest, ROWS * COLUMNS - 1);
    const ikati_symbols symbols = {.tables = &table, .num_tables = 1};
    ikati_tile tile = {.first_query = 10, .last_query = 73, .first_key = 64, .last_key = 127};
    ikati_interval result = bound("t[i, j]", &symbols, &tile);
    assert_int_equal(result.low, 10 * COLUMNS + 64);
    assert_int_equal(result.high, 73 * COLUMNS + 127);
    tile.last_query++;
    result = bound("t[i, j]", &symbols, &tile);
    assert_int_equal(result.low, 0);
    assert_int_equal(result.high, ROWS * COLUMNS - 1);
    free(data);
}

// Classes of tiles of side 64 of the patterns that users write.
static void expect_class(const char *text, int32_t first_query, int32_t first_key,
                         ikati_tile_class expected) {
    const ikati_tile tile = {.place = {0, 0, 1, 0, 1000, 1000, 900, 900},
                             .first_query = first_query,
                             .last_query = first_query + 63,
                             .first_key = first_key,
                             .last_key = first_key + 63};
    ikati_expression mask;
    parse(text, sample_symbols(), &mask);
    ikati_interval *intervals = malloc(sizeof(*intervals) * mask.num_nodes);
    const ikati_tile_class result =
        ikati_expression_classify(&mask, sample_symbols(), &tile, intervals);
    free(intervals);
    ikati_expression_clear(expression_host(), &mask);
    if (result != expected) {
        fail_msg("'%s' at %d, %d is class %d, expected %d", text, first_query, first_key,
                 (int)result, (int)expected);
    }
}

static void patterns(void **state) {
    (void)state;
    const char *causal = "j <= i", *window = "abs(i - j) <= 100", *blocks = "i / 64 == j / 64";
    expect_class(causal, 64, 0, IKATI_TILE_FULL);
    expect_class(causal, 64, 64, IKATI_TILE_PARTIAL);
    expect_class(causal, 64, 128, IKATI_TILE_EMPTY);
    expect_class(window, 128, 128, IKATI_TILE_FULL);
    expect_class(window, 128, 192, IKATI_TILE_PARTIAL);
    expect_class(window, 128, 320, IKATI_TILE_EMPTY);
    expect_class(blocks, 128, 128, IKATI_TILE_FULL);
    expect_class(blocks, 128, 192, IKATI_TILE_EMPTY);
    expect_class("j <= i && i - j < 64", 256, 0, IKATI_TILE_EMPTY);
    expect_class("1", 832, 0, IKATI_TILE_FULL);
    expect_class("1", 864, 0, IKATI_TILE_PARTIAL); // cut by the lengths
    expect_class("1", 0, 864, IKATI_TILE_PARTIAL);
    expect_class("1", 900, 0, IKATI_TILE_EMPTY);
    expect_class("1", 0, 900, IKATI_TILE_EMPTY);
    expect_class("0", 0, 0, IKATI_TILE_EMPTY);
    expect_class("j >= 900", 0, 864, IKATI_TILE_EMPTY); // only padding would be visible
}

// Pairs past N and M neither forbid a full tile nor make one.
static void cut_by_the_end(void **state) {
    (void)state;
    const ikati_tile tile = {
        .place = {0, 0, 0, 0, 10, 10, 10, 10}, .last_query = 15, .last_key = 15};
    ikati_expression mask;
    ikati_interval intervals[3];
    parse("j < 10", sample_symbols(), &mask);
    assert_int_equal(mask.num_nodes, 3);
    assert_int_equal(ikati_expression_classify(&mask, sample_symbols(), &tile, intervals),
                     IKATI_TILE_FULL);
    ikati_expression_clear(expression_host(), &mask);
    parse("j >= 10", sample_symbols(), &mask);
    assert_int_equal(ikati_expression_classify(&mask, sample_symbols(), &tile, intervals),
                     IKATI_TILE_EMPTY);
    ikati_expression_clear(expression_host(), &mask);
}

static ikati_tile draw_tile(uint64_t *state) {
    ikati_tile tile = {.place = {0, 0, draw_between(state, 0, 2), draw_between(state, 0, 2)}};
    tile.place[IKATI_VARIABLE_N] = draw_between(state, 1, 20);
    tile.place[IKATI_VARIABLE_M] = draw_between(state, 1, 20);
    tile.place[IKATI_VARIABLE_QLEN] = draw_between(state, 0, tile.place[IKATI_VARIABLE_N]);
    tile.place[IKATI_VARIABLE_LEN] = draw_between(state, 0, tile.place[IKATI_VARIABLE_M]);
    tile.first_query = draw_between(state, 0, tile.place[IKATI_VARIABLE_N] - 1);
    tile.first_key = draw_between(state, 0, tile.place[IKATI_VARIABLE_M] - 1);
    tile.last_query = tile.first_query + draw_between(state, 0, 5);
    tile.last_key = tile.first_key + draw_between(state, 0, 5);
    return tile;
}

typedef struct count {
    uint32_t visible, pairs;
    int32_t low, high;
} count;

// Every pair of a tile that exists.
static count count_pairs(const ikati_expression *mask, const ikati_tile *tile) {
    ikati_expression_value *values = malloc(sizeof(*values) * mask->num_nodes);
    count result = {.low = INT32_MAX, .high = INT32_MIN};
    ikati_place place;
    for (uint32_t v = 0; v < IKATI_NUM_VARIABLES; v++) {
        place[v] = tile->place[v];
    }
    for (int32_t i = tile->first_query; i <= tile->last_query; i++) {
        for (int32_t j = tile->first_key; j <= tile->last_key; j++) {
            place[IKATI_VARIABLE_I] = i;
            place[IKATI_VARIABLE_J] = j;
            const int32_t value =
                ikati_expression_evaluate(mask, sample_symbols(), place, 0, values).integer;
            result.low = value < result.low ? value : result.low;
            result.high = value > result.high ? value : result.high;
            const bool exists = i < place[IKATI_VARIABLE_N] && j < place[IKATI_VARIABLE_M];
            const bool inside = i < place[IKATI_VARIABLE_QLEN] && j < place[IKATI_VARIABLE_LEN];
            result.pairs += exists;
            result.visible += exists && inside && value != 0;
        }
    }
    free(values);
    return result;
}

static void sound(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252;
    uint32_t num_classes[3] = {0};
    for (uint32_t round = 0; round < 20000; round++) {
        char text[512];
        draw_expression(&seed, IKATI_EXPRESSION_MASK, 1 + round % 4, text, sizeof(text));
        ikati_expression mask;
        parse(text, sample_symbols(), &mask);
        const ikati_tile tile = draw_tile(&seed);
        const count pairs = count_pairs(&mask, &tile);
        ikati_interval *intervals = malloc(sizeof(*intervals) * mask.num_nodes);
        const ikati_interval around =
            ikati_expression_bound(&mask, sample_symbols(), &tile, intervals);
        const ikati_tile_class found =
            ikati_expression_classify(&mask, sample_symbols(), &tile, intervals);
        if (around.low > pairs.low || around.high < pairs.high || around.low < INT32_MIN ||
            around.high > INT32_MAX) {
            fail_msg("'%s' is in [%" PRId32 ", %" PRId32 "], but bounded by [%" PRId64 ", %" PRId64
                     "]",
                     text, pairs.low, pairs.high, around.low, around.high);
        }
        if ((found == IKATI_TILE_EMPTY && pairs.visible > 0) ||
            (found == IKATI_TILE_FULL && pairs.visible < pairs.pairs)) {
            fail_msg("'%s' is class %d with %u of %u pairs visible", text, (int)found,
                     pairs.visible, pairs.pairs);
        }
        num_classes[found]++;
        free(intervals);
        ikati_expression_clear(expression_host(), &mask);
    }
    // The test has seen what it tests.
    for (int c = 0; c < 3; c++) {
        assert_true(num_classes[c] > 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_rules), cmocka_unit_test(division_rules),
        cmocka_unit_test(logic_rules),      cmocka_unit_test(read_rules),
        cmocka_unit_test(large_tables),     cmocka_unit_test(patterns),
        cmocka_unit_test(cut_by_the_end),   cmocka_unit_test(sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
