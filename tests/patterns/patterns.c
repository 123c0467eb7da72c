// Every pattern of every example, and of calls drawn at random, expanded to a matrix and compared
// with the mechanism's page. The number of visible pairs that a plan tells is counted along.

#include "call.h"
#include "scarce.h"
#include "visible.h"

#include "src/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUM_RANDOM = 120 };

// The call being compared, for messages.
static char current[1024];

// One class of a pattern as a matrix: how often a key is seen, and which rows are in a group.
typedef struct expansion {
    ikati_pattern_sink sink; // first: the sink is cast to this
    const ikati_pattern *pattern;
    uint32_t class_index;
    ikati_positions queries;
    uint8_t *seen;
    uint8_t *in_group;
} expansion;

static void check_positions(const ikati_positions *positions, uint32_t bound) {
    for (uint32_t i = 0; i < positions->count; i++) {
        assert_true(ikati_position_at(positions, i) < bound);
        assert_true(i == 0 ||
                    ikati_position_at(positions, i - 1) < ikati_position_at(positions, i));
    }
}

static void take_group(ikati_pattern_sink *sink, const ikati_positions *queries) {
    expansion *e = (expansion *)sink;
    assert_true(queries->count > 0);
    check_positions(queries, e->pattern->num_queries);
    e->queries = *queries;
    for (uint32_t a = 0; a < queries->count; a++) {
        e->in_group[ikati_position_at(queries, a)]++;
    }
}

static void take_keys(ikati_pattern_sink *sink, const ikati_key_set *set) {
    expansion *e = (expansion *)sink;
    assert_true(set->keys.count > 0);
    check_positions(&set->keys, e->pattern->num_keys);
    for (int64_t a = 0; a < e->queries.count; a++) {
        const uint32_t query = ikati_position_at(&e->queries, (uint32_t)a);
        for (int64_t c = 0; c < set->keys.count; c++) {
            const uint32_t key = ikati_position_at(&set->keys, (uint32_t)c);
            const bool inside = a + set->left <= c && c <= a + set->right;
            if (inside &&
                (!set->irregular || e->pattern->sees(e->pattern, e->class_index, query, key))) {
                e->seen[(size_t)query * e->pattern->num_keys + key]++;
            }
        }
    }
}

// Adds a pattern's class to the matrix; its rows replace what is there, unless they are merged.
static void expand(const ikati_pattern *pattern, uint32_t class_index, bool merged, uint8_t *seen) {
    const size_t n = pattern->num_queries, m = pattern->num_keys;
    expansion e = {.sink = {take_group, take_keys}, .pattern = pattern, .class_index = class_index};
    e.seen = calloc(n * m + 1, 1);
    e.in_group = calloc(n + 1, 1);
    assert_non_null(e.seen);
    assert_non_null(e.in_group);
    pattern->describe(pattern, class_index, &e.sink);
    for (size_t i = 0; i < n; i++) {
        assert_true(e.in_group[i] == 1 || (pattern->is_partial && e.in_group[i] == 0));
        for (size_t j = 0; j < m && e.in_group[i]; j++) {
            const uint8_t before = merged ? seen[i * m + j] : 0;
            seen[i * m + j] = (uint8_t)(before + e.seen[i * m + j]);
        }
    }
    free(e.seen);
    free(e.in_group);
}

static int64_t num_keys(const ikati_request *request) {
    return ikati_input(request, "k")->tensor.shape[2];
}

static double compare_head(const patterned *mechanism, const ikati_request *request, int64_t b,
                           int64_t h, const uint8_t *seen) {
    const int64_t n = ikati_extent(request, "N"), m = num_keys(request);
    double pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < m; j++) {
            const bool expected = mechanism->sees(request, b, h, i, j);
            pairs += expected;
            if (seen[i * m + j] != expected) {
                fail_msg("%s: batch %d, head %d, query %d, key %d: seen %d times, expected %d",
                         current, (int)b, (int)h, (int)i, (int)j, seen[i * m + j], expected);
            }
        }
    }
    return pairs;
}

static void check_request(const patterned *mechanism, const ikati_request *request) {
    const size_t size = (size_t)(ikati_extent(request, "N") * num_keys(request));
    uint8_t *seen = calloc(size + 1, 1);
    const int32_t *kept = ikati_structure(request, "head_mask");
    ikati_patterns patterns;
    double pairs = 0;
    assert_non_null(seen);
    assert_int_equal(request->mechanism->patterns(request, &patterns), IKAT_OK);
    for (uint32_t b = 0; b < ikati_extent(request, "B"); b++) {
        for (uint32_t h = 0; h < ikati_extent(request, "H"); h++) {
            memset(seen, 0, size);
            for (uint32_t p = 0; p < patterns.num; p++) {
                const ikati_pattern *pattern = &patterns.items[p];
                const uint32_t index = pattern->class_of ? pattern->class_of(pattern, b, h) : 0;
                assert_true(index < pattern->num_classes);
                expand(pattern, index, patterns.merged, seen);
            }
            // A pruned head has its pattern as well, which nobody computes.
            const double of_head = compare_head(mechanism, request, b, h, seen);
            pairs += !kept || kept[h] ? of_head : 0;
        }
    }
    const ikati_cost cost = request->mechanism->cost(request);
    if (cost.visible_pairs != pairs) {
        fail_msg("%s: %.0f visible pairs, expected %.0f", current, cost.visible_pairs, pairs);
    }
    ikati_patterns_free(&patterns);
    free(seen);
}

// Makes the request of a call in the words of an example. False if the mechanism refuses it.
static bool make_request(const ikati_host *host, const char *name, const char *inputs,
                         const char *settings, ikati_request *out_request) {
    drawn_call call;
    snprintf(current, sizeof(current), "%.800s %.200s", inputs, settings);
    drawn_call_make(name, inputs, settings, &call);
    const ikat_status status = ikati_request_create(host, &call.params, out_request);
    drawn_call_free(&call);
    return status == IKAT_OK;
}

static void test_examples(void **state) {
    const patterned *mechanism = *state;
    const ikati_host host = {.max_threads = 1};
    uint32_t num;
    const ikat_mechanism_case *examples = ikat_mechanism_cases(mechanism->name, &num);
    assert_true(num > 0);
    for (uint32_t i = 0; i < num; i++) {
        ikati_request request;
        if (strncmp(examples[i].name, "large_", 6) == 0) {
            continue; // no room for a matrix
        }
        assert_true(make_request(&host, mechanism->name, examples[i].inputs, examples[i].settings,
                                 &request));
        check_request(mechanism, &request);
        ikati_request_clear(&request);
    }
}

static void test_random(void **state) {
    const patterned *mechanism = *state;
    const ikati_host host = {.max_threads = 1};
    for (uint32_t seed = 0; seed < NUM_RANDOM; seed++) {
        char inputs[4096] = "", settings[512] = "";
        ikati_request request;
        mechanism->draw(seed * 7919 + 1, inputs, settings, sizeof(settings));
        if (!make_request(&host, mechanism->name, inputs, settings, &request)) {
            fail_msg("refused: %s %s", inputs, settings);
        }
        check_request(mechanism, &request);
        ikati_request_clear(&request);
    }
}

// Whichever allocation fails, the patterns are not made and nothing is left.
static void test_memory(void **state) {
    const patterned *mechanism = *state;
    scarce memory;
    scarce_open(&memory);
    char inputs[4096] = "", settings[512] = "";
    ikati_request request;
    ikat_status status = IKAT_NO_MEMORY;
    mechanism->draw(2, inputs, settings, sizeof(settings));
    assert_true(make_request(&memory.host, mechanism->name, inputs, settings, &request));
    const int64_t num_live = memory.num_live;
    for (int64_t number = 0; status == IKAT_NO_MEMORY; number++) {
        ikati_patterns patterns;
        memory.num_left = number;
        status = request.mechanism->patterns(&request, &patterns);
        if (!status) {
            ikati_patterns_free(&patterns);
        }
        assert_int_equal(memory.num_live, num_live);
    }
    assert_int_equal(status, IKAT_OK);
    memory.num_left = INT64_MAX;
    const double pairs = request.mechanism->cost(&request).visible_pairs;
    double counted = -1;
    for (int64_t number = 0; counted < 0; number++) {
        memory.num_left = number;
        counted = request.mechanism->cost(&request).visible_pairs;
        assert_int_equal(memory.num_live, num_live);
    }
    assert_true(counted == pairs);
    memory.num_left = INT64_MAX;
    ikati_request_clear(&request);
    assert_int_equal(memory.num_live, 0);
}

int main(void) {
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } kinds[] = {{"examples", test_examples}, {"random", test_random}, {"memory", test_memory}};
    struct CMUnitTest tests[64];
    char names[64][64];
    uint32_t num = 0;
    for (uint32_t i = 0; i < num_patterned_mechanisms; i++) {
        for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
            snprintf(names[num], sizeof(names[num]), "%s %s", patterned_mechanisms[i].name,
                     kinds[kind].name);
            tests[num] = (struct CMUnitTest){
                .name = names[num],
                .test_func = kinds[kind].run,
                .initial_state = (void *)(uintptr_t)&patterned_mechanisms[i],
            };
            num++;
        }
    }
    return _cmocka_run_group_tests("patterns", tests, num, NULL, NULL);
}
