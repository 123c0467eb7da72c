// Families of inputs and settings, strings, and schedules whose keys are evaluated: calls of `custom`.

#include <ikat/ikat.h>

#include "scarce.h"

#include "shaders/params/attend.h"
#include "src/core.h"
#include "src/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 3, N = 5, D = 4 };

// A call with a table and a parameter of the caller's naming.
typedef struct call {
    int32_t table[B * N];
    char table_name[32], param_name[32], mask[64];
    ikat_argument inputs[32];
    ikat_setting settings[80];
    ikat_plan_params params;
} call;

static void make_call(call *c) {
    const ikat_tensor shape = ikat_tensor_packed(IKAT_FLOAT32, 4, B, H, N, D);
    memset(c, 0, sizeof(*c));
    strcpy(c->table_name, "table.doc");
    strcpy(c->param_name, "param.far");
    strcpy(c->mask, "doc[b, i] == doc[b, j]");
    c->inputs[0] = (ikat_argument){"q", shape, NULL};
    c->inputs[1] = (ikat_argument){"k", shape, NULL};
    c->inputs[2] = (ikat_argument){"v", shape, NULL};
    c->inputs[3] =
        (ikat_argument){c->table_name, ikat_tensor_packed(IKAT_INT32, 2, B, N, 0, 0), c->table};
    c->settings[0] = ikat_setting_string("mask", c->mask);
    c->settings[1] = ikat_setting_text(c->param_name, "-3");
    c->params = (ikat_plan_params){.mechanism = "custom",
                                   .inputs = c->inputs,
                                   .num_inputs = 4,
                                   .settings = c->settings,
                                   .num_settings = 2};
}

static void expect_refused(const call *c, ikat_message_id id, const char *named) {
    scarce r;
    ikati_request request;
    scarce_open(&r);
    assert_int_equal(ikati_request_create(&r.host, &c->params, &request), IKAT_INVALID);
    if (r.id != id || !strstr(r.text, named)) {
        fail_msg("message %d '%s', expected %d that names '%s'", (int)r.id, r.text, (int)id, named);
    }
    assert_int_equal(r.num_live, 0);
}

static void refused_inputs(void **state) {
    (void)state;
    call c;
    make_call(&c);
    c.inputs[3].name = "table.";
    expect_refused(&c, IKAT_MESSAGE_UNKNOWN_NAME, "table.");
    c.inputs[3].name = "table.*";
    expect_refused(&c, IKAT_MESSAGE_UNKNOWN_NAME, "table.*");
    c.inputs[3].name = "table.i";
    expect_refused(&c, IKAT_MESSAGE_CONTRADICTION, "table.i");
    c.inputs[3].name = "table.far";
    expect_refused(&c, IKAT_MESSAGE_TWICE, "table.far");
    make_call(&c);
    c.inputs[c.params.num_inputs++] = c.inputs[3];
    expect_refused(&c, IKAT_MESSAGE_TWICE, "table.doc");
    make_call(&c);
    c.inputs[3].values = NULL;
    expect_refused(&c, IKAT_MESSAGE_NULL_ARGUMENT, "table.doc");
    c.inputs[3].tensor.dtype = IKAT_INT8;
    expect_refused(&c, IKAT_MESSAGE_DTYPE, "table.doc");
    make_call(&c);
    c.inputs[3].tensor.rank = 5;
    expect_refused(&c, IKAT_MESSAGE_SHAPE, "table.doc");
    make_call(&c);
    char names[IKATI_MAX_INPUTS][16];
    for (uint32_t i = 0; i < 16; i++) {
        snprintf(names[i], sizeof(names[i]), "table.t%u", i);
        c.inputs[c.params.num_inputs] = c.inputs[3];
        c.inputs[c.params.num_inputs++].name = names[i];
    }
    expect_refused(&c, IKAT_MESSAGE_RANGE, "table.t15");
}

static void refused_settings(void **state) {
    static const struct {
        const char *name, *text;
        ikat_message_id id;
        const char *named;
    } bad[] = {
        {"param.", "1", IKAT_MESSAGE_UNKNOWN_NAME, "param."},
        {"param.*", "1", IKAT_MESSAGE_UNKNOWN_NAME, "param.*"},
        {"param.2x", "1", IKAT_MESSAGE_UNKNOWN_NAME, "param.2x"},
        {"param.min", "1", IKAT_MESSAGE_CONTRADICTION, "param.min"},
        {"param.x", "", IKAT_MESSAGE_SYNTAX, "param.x"},
        {"param.x", "0x1", IKAT_MESSAGE_SYNTAX, "param.x"},
        {"param.x", "-2147483649", IKAT_MESSAGE_RANGE, "param.x"},
        {"param.x", "1e39", IKAT_MESSAGE_RANGE, "param.x"},
        {"param.far", "1", IKAT_MESSAGE_TWICE, "param.far"},
        {"score", "score +", IKAT_MESSAGE_SYNTAX, "score, column"},
        {"score", "scor", IKAT_MESSAGE_UNKNOWN_NAME, "score, column 1"},
        {"scores", "score", IKAT_MESSAGE_UNKNOWN_NAME, "scores"},
    };
    (void)state;
    call c;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_call(&c);
        c.settings[c.params.num_settings++] = ikat_setting_text(bad[i].name, bad[i].text);
        expect_refused(&c, bad[i].id, bad[i].named);
    }
    make_call(&c);
    char names[64][16];
    for (uint32_t i = 0; i < 64; i++) {
        snprintf(names[i], sizeof(names[i]), "param.p%u", i);
        c.settings[c.params.num_settings++] = ikat_setting_int(names[i], i);
    }
    expect_refused(&c, IKAT_MESSAGE_RANGE, "param.p63");
}

static const ikati_call_setting *last_setting(const ikati_request *request) {
    return &request->settings[request->num_settings - 1];
}

static void numbers(void **state) {
    (void)state;
    const struct {
        ikat_setting setting;
        ikat_setting_type type;
        double number;
    } good[] = {
        {ikat_setting_text("param.x", "+7"), IKAT_SETTING_INT, 7},
        {ikat_setting_text("param.x", "-2147483648"), IKAT_SETTING_INT, -2147483648.0},
        {ikat_setting_text("param.x", "7.0"), IKAT_SETTING_FLOAT, 7},
        {ikat_setting_text("param.x", "1e3"), IKAT_SETTING_FLOAT, 1000},
        {ikat_setting_int("param.x", -4), IKAT_SETTING_INT, -4},
        {ikat_setting_float("param.x", -4), IKAT_SETTING_FLOAT, -4},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        call c;
        scarce r;
        ikati_request request;
        make_call(&c);
        scarce_open(&r);
        c.settings[c.params.num_settings++] = good[i].setting;
        assert_int_equal(ikati_request_create(&r.host, &c.params, &request), IKAT_OK);
        assert_int_equal(last_setting(&request)->type, good[i].type);
        assert_true(last_setting(&request)->number == good[i].number);
        ikati_request_clear(&request);
        assert_int_equal(r.num_live, 0);
    }
}

// The request has copies of names, strings and tables; what is derived has its own.
static void ownership(void **state) {
    (void)state;
    call c;
    scarce r;
    ikati_request first, second;
    scarce_open(&r);
    make_call(&c);
    assert_int_equal(ikati_request_create(&r.host, &c.params, &first), IKAT_OK);
    c.table[0] = 4;
    const ikat_argument changed = c.inputs[3];
    if (ikati_request_derive(&first, &changed, 1, &second)) fail_msg("%s", r.text);
    memset(c.mask, 'x', 4);
    ikati_request_clear(&first);
    memset(c.table_name, 'x', 4);
    memset(c.param_name, 'x', 4);
    assert_string_equal(second.inputs[second.num_inputs - 1].name, "table.doc");
    assert_int_equal(*(const int32_t *)second.inputs[second.num_inputs - 1].values, 4);
    assert_string_equal(last_setting(&second)->name, "param.far");
    assert_string_equal(ikati_setting(&second, "mask")->text, "doc[b, i] == doc[b, j]");
    assert_string_equal(ikati_setting(&second, "score")->text, "score");
    // A change that is refused leaves nothing behind, nor does one of a table that is not there.
    ikat_argument bad = {"table.doc", ikat_tensor_packed(IKAT_INT32, 1, N, 0, 0, 0), c.table};
    assert_int_equal(ikati_request_derive(&second, &bad, 1, &first), IKAT_INVALID);
    bad.name = "table.other";
    assert_int_equal(ikati_request_derive(&second, &bad, 1, &first), IKAT_INVALID);
    assert_int_equal(r.id, IKAT_MESSAGE_UNKNOWN_NAME);
    ikati_request_clear(&second);
    assert_int_equal(r.num_live, 0);
}

static void out_of_memory(void **state) {
    (void)state;
    ikat_status status = IKAT_NO_MEMORY;
    for (int64_t number = 0; status != IKAT_OK; number++) {
        call c;
        scarce r;
        ikati_request request, derived;
        make_call(&c);
        scarce_open(&r);
        r.num_left = number;
        status = ikati_request_create(&r.host, &c.params, &request);
        if (!status) {
            status = ikati_request_derive(&request, NULL, 0, &derived);
            ikati_request_clear(&request);
        }
        if (!status) {
            ikati_request_clear(&derived);
        }
        assert_int_equal(r.num_live, 0);
        assert_true(status == IKAT_OK || status == IKAT_NO_MEMORY);
        assert_true(number < 1000);
    }
}

enum { NUM_POSITIONS = 300, BAND = 20 };

// Keys up to BAND to the left.
static ikati_tile_kind classify_band(const ikati_pattern *pattern, uint32_t class_index,
                                     uint32_t first_query, uint32_t last_query, uint32_t first_key,
                                     uint32_t last_key) {
    (void)pattern;
    (void)class_index;
    if (first_key > last_query || last_key + BAND < first_query) {
        return IKATI_SEES_NONE;
    }
    return last_key <= first_query && first_key + BAND >= last_query ? IKATI_SEES_ALL
                                                                     : IKATI_SEES_SOME;
}

static void describe_all(const ikati_pattern *pattern, uint32_t class_index,
                         ikati_pattern_sink *sink) {
    const ikati_positions all = ikati_span(0, 1, pattern->num_queries);
    const ikati_key_set keys = {all, IKATI_NO_LEFT, IKATI_NO_RIGHT, false, true};
    (void)class_index;
    sink->group(sink, &all);
    sink->keys(sink, &keys);
}

static void count_entry(const uint32_t *words, const uint32_t *entry,
                        uint8_t pairs[NUM_POSITIONS][NUM_POSITIONS]) {
    assert_true(entry[1] == 1 && (entry[3] == ATTEND_NO_MASK || entry[3] == ATTEND_EVALUATE));
    for (uint32_t i = words[0]; i < words[0] + words[2]; i++) {
        for (uint32_t j = entry[0]; j < entry[0] + entry[2]; j++) {
            const bool sees = j <= i && i - j <= BAND;
            assert_true(entry[3] == ATTEND_EVALUATE || sees);
            pairs[i][j]++;
        }
    }
}

static void count_list(const ikati_schedule *s, const ikati_tile_list *list,
                       const ikati_schedule_params *params,
                       uint8_t pairs[NUM_POSITIONS][NUM_POSITIONS]) {
    for (uint32_t t = 0; t < list->num_tiles * list->num_splits; t++) {
        const uint32_t *words = s->words + list->tiles_at + t * ATTEND_TILE_WORDS;
        uint64_t work = 0;
        for (uint32_t e = words[3]; e < words[4]; e++) {
            const uint32_t *entry = s->words + s->entries_at + e * ATTEND_ENTRY_WORDS;
            count_entry(words, entry, pairs);
            work += (uint64_t)entry[2] * params->key_work.evaluated;
        }
        // A key more than its share goes to the workgroup in which it begins.
        assert_true(work <= params->max_keys + params->key_work.evaluated);
    }
}

// Visible pairs are walked once, those that are not at most once and then evaluated; no workgroup has
// more work than it may.
static void schedules(void **state) {
    (void)state;
    const ikati_host host = {0};
    const ikati_pattern pattern = {.num_queries = NUM_POSITIONS,
                                   .num_keys = NUM_POSITIONS,
                                   .num_classes = 1,
                                   .describe = describe_all,
                                   .classify = classify_band};
    for (uint32_t cost = 1; cost < 300; cost += 97) {
        static uint8_t pairs[NUM_POSITIONS][NUM_POSITIONS];
        const ikati_schedule_params params = {1, 1, 16, 1000, 1, {1, cost}};
        ikati_schedule s;
        memset(pairs, 0, sizeof(pairs));
        assert_int_equal(ikati_schedule_build(&host, &pattern, &params, &s), IKAT_OK);
        count_list(&s, &s.whole, &params, pairs);
        count_list(&s, &s.split, &params, pairs);
        for (uint32_t i = 0; i < NUM_POSITIONS; i++) {
            for (uint32_t j = 0; j < NUM_POSITIONS; j++) {
                assert_true(pairs[i][j] <= 1);
                assert_true(pairs[i][j] == 1 || j > i || i - j > BAND);
            }
        }
        ikati_schedule_free(&host, &s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_inputs), cmocka_unit_test(refused_settings),
        cmocka_unit_test(numbers),        cmocka_unit_test(ownership),
        cmocka_unit_test(out_of_memory),  cmocka_unit_test(schedules),
    };
    return cmocka_run_group_tests_name("custom", tests, NULL, NULL);
}
