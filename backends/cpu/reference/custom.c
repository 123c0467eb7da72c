// A pattern and a score written as expressions: for every pair inside the lengths whose mask is not
// 0, the score expression of scale * q.k; then softmax over those pairs.
//
// Shares with the lowering what expressions mean (src/expression/), and nothing else.

#include "reference.h"

#include "../../../src/expression/expression.h"

#include <math.h>
#include <string.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef CUSTOM_KEY_SHIFT
#define CUSTOM_KEY_SHIFT 0
#endif

enum { ROWS_PER_BLOCK = 16, PAIRS_PER_THREAD = 1 << 12 };

typedef struct custom {
    const cpu_call *call;
    const ikati_call_tensor *q, *k, *v, *lengths, *query_lengths, *out, *lse;
    int64_t num_batches, num_heads, num_kv_heads, num_queries, num_keys, head_size, value_size;
    int64_t num_rows; // queries to compute
    double scale;
    ikati_expression_param params[IKATI_MAX_EXPRESSION_PARAMS];
    ikati_expression_table tables[IKATI_MAX_EXPRESSION_TABLES];
    ikati_symbols symbols;
    ikati_expression mask, score;
    uint32_t num_workers;
    double *scratch; // a worker's query, scores, accumulator
    ikati_expression_value *values;
} custom;

typedef struct worker_room {
    double *q, *scores, *accumulator;
    ikati_expression_value *values;
} worker_room;

static const ikati_call_setting *setting_of(const cpu_call *call, const char *name) {
    uint32_t i = 0;
    while (strcmp(call->settings[i].name, name) != 0) {
        i++;
    }
    return &call->settings[i];
}

static bool is_member(const char *name, const char *family) {
    return strncmp(name, family, strlen(family)) == 0 && strchr(name, '*') == NULL;
}

static void read_params(custom *c) {
    for (uint32_t i = 0; i < c->call->num_settings; i++) {
        const ikati_call_setting *setting = &c->call->settings[i];
        if (!is_member(setting->name, "param.")) {
            continue;
        }
        ikati_expression_param *param = &c->params[c->symbols.num_params++];
        param->name = setting->name + strlen("param.");
        param->type = setting->type == IKAT_SETTING_INT ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT;
        if (param->type == IKATI_TYPE_INT) {
            param->integer = (int32_t)setting->integer;
        } else {
            param->number = (float)setting->number;
        }
    }
}

// Entries packed as expressions read them. To be freed by free_tables.
static bool read_table(custom *c, const ikati_call_tensor *input) {
    ikati_expression_table *table = &c->tables[c->symbols.num_tables];
    const bool is_int = input->tensor.dtype == IKAT_INT32;
    int64_t count = 1;
    table->name = input->name + strlen("table.");
    table->type = is_int ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT;
    table->rank = input->tensor.rank;
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        table->shape[axis] = input->tensor.shape[axis];
        count *= table->shape[axis];
    }
    uint32_t *words = ikati_alloc(c->call->host, (size_t)count, sizeof(*words));
    for (int64_t e = 0; words && e < count; e++) {
        const double value = cpu_load(input, input->tensor.offset + e);
        if (is_int) {
            ((int32_t *)words)[e] = (int32_t)value;
        } else {
            ((float *)words)[e] = (float)value;
        }
    }
    table->data = words;
    c->symbols.num_tables++;
    ikati_expression_measure(words ? table : &(ikati_expression_table){0});
    return words != NULL;
}

static ikat_status read_tables(custom *c) {
    bool good = true;
    for (uint32_t i = 0; i < c->call->num_inputs && good; i++) {
        if (is_member(c->call->inputs[i].name, "table.")) {
            good = read_table(c, &c->call->inputs[i]);
        }
    }
    return good ? IKAT_OK : IKAT_NO_MEMORY;
}

static void read_call(custom *c, const cpu_call *call) {
    c->call = call;
    c->q = cpu_input(call, "q");
    c->k = cpu_input(call, "k");
    c->v = cpu_input(call, "v");
    c->lengths = cpu_input(call, "lengths");
    c->query_lengths = cpu_input(call, "query_lengths");
    c->out = cpu_output(call, "out");
    c->lse = cpu_output(call, "lse");
    c->num_batches = c->q->tensor.shape[0];
    c->num_heads = c->q->tensor.shape[1];
    c->num_queries = c->q->tensor.shape[2];
    c->head_size = c->q->tensor.shape[3];
    c->num_kv_heads = c->k->tensor.shape[1];
    c->num_rows = cpu_num_rows(call, c->num_queries);
    c->num_keys = c->k->tensor.shape[2];
    c->value_size = c->v->tensor.shape[3];
    c->scale = cpu_number(call, "scale", 1.0 / sqrt((double)c->head_size));
    c->symbols.params = c->params;
    c->symbols.tables = c->tables;
}

static ikat_status parse(custom *c) {
    const ikati_host *host = c->call->host;
    const char *mask = setting_of(c->call, "mask")->text;
    const char *score = setting_of(c->call, "score")->text;
    ikat_status status =
        ikati_expression_parse(host, IKATI_EXPRESSION_MASK, mask, &c->symbols, &c->mask);
    return status ? status
                  : ikati_expression_parse(host, IKATI_EXPRESSION_SCORE, score, &c->symbols,
                                           &c->score);
}

// All variables but i and j.
static void set_place(const custom *c, int64_t b, int64_t h, ikati_place place) {
    int64_t valid_keys = c->num_keys, valid_queries = c->num_queries;
    valid_keys = c->lengths ? cpu_load_length(c->lengths, b, valid_keys) : valid_keys;
    if (c->query_lengths) {
        valid_queries = cpu_load_length(c->query_lengths, b, valid_queries);
    } else if (c->num_queries == c->num_keys) {
        valid_queries = valid_keys;
    }
    place[IKATI_VARIABLE_H] = (int32_t)h;
    place[IKATI_VARIABLE_B] = (int32_t)b;
    place[IKATI_VARIABLE_N] = (int32_t)c->num_queries;
    place[IKATI_VARIABLE_M] = (int32_t)c->num_keys;
    place[IKATI_VARIABLE_LEN] = (int32_t)valid_keys;
    place[IKATI_VARIABLE_QLEN] = (int32_t)valid_queries;
}

// -inf where the key is not seen: it then counts as little as one that the score removed.
static double score_of(const custom *c, const ikati_place place, int64_t j,
                       const worker_room *room) {
    const int64_t b = place[IKATI_VARIABLE_B];
    const int64_t kv_head = place[IKATI_VARIABLE_H] / (c->num_heads / c->num_kv_heads);
    if (!ikati_expression_evaluate(&c->mask, &c->symbols, place, 0, room->values).integer) {
        return -INFINITY;
    }
    const int64_t key = cpu_index(c->k, b, kv_head, j, 0);
    double sum = 0;
    for (int64_t d = 0; d < c->head_size; d++) {
        sum += room->q[d] * cpu_load(c->k, key + d);
    }
    return ikati_expression_evaluate(&c->score, &c->symbols, place, c->scale * sum, room->values)
        .number;
}

// Leaves the row's result in the accumulator and returns its lse.
static double attend(const custom *c, ikati_place place, const worker_room *room) {
    const int64_t b = place[IKATI_VARIABLE_B], valid_keys = place[IKATI_VARIABLE_LEN];
    const int64_t kv_head = place[IKATI_VARIABLE_H] / (c->num_heads / c->num_kv_heads);
    double maximum = -INFINITY, sum = 0;
    bool sees_any = false;
    for (int64_t j = 0; j < valid_keys; j++) {
        place[IKATI_VARIABLE_J] = (int32_t)j + CUSTOM_KEY_SHIFT;
        room->scores[j] = score_of(c, place, j, room);
        sees_any = sees_any || room->scores[j] != -INFINITY; // NaN is seen
        maximum = room->scores[j] > maximum ? room->scores[j] : maximum;
    }
    if (!sees_any) {
        return -INFINITY;
    }
    for (int64_t j = 0; j < valid_keys; j++) {
        if (room->scores[j] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
        const double p = exp(room->scores[j] - maximum);
        const int64_t value = cpu_index(c->v, b, kv_head, j, 0);
        sum += p;
        for (int64_t d = 0; d < c->value_size; d++) {
            room->accumulator[d] += p * cpu_load(c->v, value + d);
        }
    }
    for (int64_t d = 0; d < c->value_size; d++) {
        room->accumulator[d] /= sum;
    }
    return maximum + log(sum);
}

static void attend_row(const custom *c, int64_t b, int64_t h, int64_t i, const worker_room *room) {
    ikati_place place = {0};
    double lse = -INFINITY;
    set_place(c, b, h, place);
    place[IKATI_VARIABLE_I] = (int32_t)i;
    memset(room->accumulator, 0, (size_t)c->value_size * sizeof(double));
    if (i < place[IKATI_VARIABLE_QLEN]) {
        cpu_load_row(c->q, cpu_index(c->q, b, h, i, 0), c->head_size, room->q);
        lse = attend(c, place, room);
    }
    if (c->out) {
        cpu_store_row(c->out, cpu_index(c->out, b, h, i, 0), c->value_size, room->accumulator);
    }
    if (c->lse) {
        cpu_store(c->lse, cpu_index(c->lse, b, h, i, 0), lse);
    }
}

static int64_t scratch_size(const custom *c) { return c->head_size + c->num_keys + c->value_size; }

static uint32_t num_values(const custom *c) {
    return c->mask.num_nodes > c->score.num_nodes ? c->mask.num_nodes : c->score.num_nodes;
}

// Rows of all heads and batch entries, in blocks dealt out in turn.
static void attend_rows(void *user, uint32_t worker) {
    const custom *c = user;
    const int64_t num_rows = c->num_batches * c->num_heads * c->num_rows;
    worker_room room = {.q = c->scratch + worker * scratch_size(c),
                        .values = c->values + (size_t)worker * num_values(c)};
    room.scores = room.q + c->head_size;
    room.accumulator = room.scores + c->num_keys;
    for (int64_t begin = worker * ROWS_PER_BLOCK; begin < num_rows;
         begin += c->num_workers * ROWS_PER_BLOCK) {
        const int64_t end = begin + ROWS_PER_BLOCK < num_rows ? begin + ROWS_PER_BLOCK : num_rows;
        for (int64_t row = begin; row < end; row++) {
            const int64_t head = row / c->num_rows;
            attend_row(c, head / c->num_heads, head % c->num_heads,
                       cpu_row_at(c->call, row % c->num_rows), &room);
        }
    }
}

// The tiles of one batch entry and head.
static void map_head(const custom *c, const ikati_call_tensor *map, int64_t side, int64_t b,
                     int64_t h, ikati_interval *intervals) {
    ikati_tile tile;
    set_place(c, b, h, tile.place);
    for (int64_t i = 0; i < c->num_queries; i += side) {
        for (int64_t j = 0; j < c->num_keys; j += side) {
            tile.first_query = (int32_t)i;
            tile.first_key = (int32_t)j;
            tile.last_query =
                (int32_t)((c->num_queries - i < side ? c->num_queries : i + side) - 1);
            tile.last_key = (int32_t)((c->num_keys - j < side ? c->num_keys : j + side) - 1);
            const int32_t class =
                (int32_t)ikati_expression_classify(&c->mask, &c->symbols, &tile, intervals);
            cpu_store_int(map, cpu_index(map, b, h, i / side, j / side), class);
        }
    }
}

static ikat_status map_tiles(const custom *c) {
    const ikati_call_tensor *map = cpu_output(c->call, "block_map");
    const ikati_host *host = c->call->host;
    if (!map) {
        return IKAT_OK;
    }
    ikati_interval *intervals = ikati_alloc(host, c->mask.num_nodes, sizeof(*intervals));
    if (!intervals) {
        return IKAT_NO_MEMORY;
    }
    for (int64_t h = 0; h < c->num_batches * c->num_heads; h++) {
        map_head(c, map, cpu_integer(c->call, "tile", 64), h / c->num_heads, h % c->num_heads,
                 intervals);
    }
    ikati_free(host, intervals);
    return IKAT_OK;
}

static ikat_status run_rows(custom *c) {
    const ikati_host *host = c->call->host;
    const double pairs =
        (double)c->num_batches * (double)c->num_heads * (double)c->num_rows * (double)c->num_keys;
    const double wanted = pairs / PAIRS_PER_THREAD + 1;
    c->num_workers = wanted < c->call->num_threads ? (uint32_t)wanted : c->call->num_threads;
    c->scratch = ikati_alloc(host, c->num_workers * (size_t)scratch_size(c), sizeof(double));
    c->values = ikati_alloc(host, (size_t)c->num_workers * num_values(c), sizeof(*c->values));
    const bool good = c->scratch && c->values;
    if (good) {
        ikati_run_threads(c->num_workers, attend_rows, c);
    }
    ikati_free(host, c->values);
    ikati_free(host, c->scratch);
    return good ? IKAT_OK : IKAT_NO_MEMORY;
}

ikat_status ikati_reference_custom(const cpu_call *call) {
    custom c = {0};
    read_call(&c, call);
    read_params(&c);
    ikat_status status = read_tables(&c);
    status = status ? status : parse(&c);
    if (!status && c.num_batches && c.num_heads) {
        status = run_rows(&c);
        status = status ? status : map_tiles(&c);
    }
    ikati_expression_clear(call->host, &c.mask);
    ikati_expression_clear(call->host, &c.score);
    for (uint32_t t = 0; t < c.symbols.num_tables; t++) {
        ikati_free(call->host, (void *)(uintptr_t)c.tables[t].data);
    }
    return status;
}
