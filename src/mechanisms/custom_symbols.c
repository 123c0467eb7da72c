// What the expressions of a call are and what they may read.

#include "custom.h"

#include "../half.h"
#include "../tensor.h"

#include <string.h>

static void read_params(ikati_custom *custom) {
    const ikati_request *request = custom->request;
    for (uint32_t i = request->mechanism->info.num_settings; i < request->num_settings; i++) {
        const ikati_call_setting *setting = &request->settings[i];
        ikati_expression_param *param = &custom->params[custom->symbols.num_params++];
        param->name = setting->name + strlen("param.");
        param->type = setting->type == IKAT_SETTING_INT ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT;
        if (param->type == IKATI_TYPE_INT) {
            param->integer = (int32_t)setting->integer;
        } else {
            param->number = (float)setting->number;
        }
    }
}

// A float32 copy of a float16 table; NULL (logged) if memory ran out.
static float *widen(const ikati_custom *custom, const ikati_tensor_use *use) {
    const uint64_t count = ikati_tensor_count(&use->tensor);
    const uint16_t *halves = use->values;
    float *floats = ikati_alloc(custom->host, (size_t)count, sizeof(*floats));
    for (uint64_t e = 0; floats && e < count; e++) {
        floats[e] = ikati_half_to_float(halves[e]);
    }
    return floats;
}

static ikat_status read_table(ikati_custom *custom, const ikati_tensor_use *use) {
    const uint32_t index = custom->symbols.num_tables++;
    ikati_expression_table *table = &custom->tables[index];
    table->name = use->name + strlen("table.");
    table->type = use->tensor.dtype == IKAT_INT32 ? IKATI_TYPE_INT : IKATI_TYPE_FLOAT;
    table->rank = use->tensor.rank;
    memcpy(table->shape, use->tensor.shape, sizeof(table->shape));
    table->data = use->values;
    if (use->tensor.dtype == IKAT_FLOAT16) {
        table->data = custom->converted[index] = widen(custom, use);
        if (!table->data) {
            return IKAT_NO_MEMORY;
        }
    }
    ikati_expression_measure(table);
    return IKAT_OK;
}

static ikat_status read_tables(ikati_custom *custom) {
    const ikati_request *request = custom->request;
    ikat_status status = IKAT_OK;
    for (uint32_t i = request->first_member; i < request->num_inputs && !status; i++) {
        status = read_table(custom, &request->inputs[i]);
    }
    return status;
}

static ikat_status read_lengths(ikati_custom *custom) {
    const ikati_request *request = custom->request;
    const int64_t num_batches = ikati_extent(request, "B");
    const int32_t num_queries = (int32_t)ikati_extent(request, "N");
    const int32_t num_keys = (int32_t)ikati_extent(request, "M");
    const int32_t *keys = ikati_structure(request, "lengths");
    const int32_t *queries = ikati_structure(request, "query_lengths");
    queries = queries || num_queries != num_keys ? queries : keys;
    custom->lengths = ikati_alloc(custom->host, (size_t)num_batches, sizeof(int32_t));
    custom->query_lengths = ikati_alloc(custom->host, (size_t)num_batches, sizeof(int32_t));
    if (!custom->lengths || !custom->query_lengths) {
        return IKAT_NO_MEMORY;
    }
    for (int64_t b = 0; b < num_batches; b++) {
        custom->lengths[b] = keys ? keys[b] : num_keys;
        custom->query_lengths[b] = queries ? queries[b] : num_queries;
    }
    return IKAT_OK;
}

static ikat_status parse(ikati_custom *custom) {
    const ikati_request *request = custom->request;
    const ikati_symbols *symbols = &custom->symbols;
    ikat_status status = ikati_symbols_check(custom->host, symbols);
    if (!status) {
        status =
            ikati_expression_parse(custom->host, IKATI_EXPRESSION_MASK,
                                   ikati_setting(request, "mask")->text, symbols, &custom->mask);
    }
    if (!status) {
        status =
            ikati_expression_parse(custom->host, IKATI_EXPRESSION_SCORE,
                                   ikati_setting(request, "score")->text, symbols, &custom->score);
    }
    if (!status) {
        custom->intervals =
            ikati_alloc(custom->host, custom->mask.num_nodes, sizeof(*custom->intervals));
        status = custom->intervals ? IKAT_OK : IKAT_NO_MEMORY;
    }
    return status;
}

ikat_status ikati_custom_open(const ikati_request *request, ikati_custom *out_custom) {
    *out_custom = (ikati_custom){.request = request, .host = request->host};
    out_custom->symbols.params = out_custom->params;
    out_custom->symbols.tables = out_custom->tables;
    read_params(out_custom);
    ikat_status status = read_tables(out_custom);
    status = status ? status : read_lengths(out_custom);
    return status ? status : parse(out_custom);
}

void ikati_custom_close(ikati_custom *custom) {
    for (uint32_t t = 0; t < IKATI_MAX_EXPRESSION_TABLES; t++) {
        ikati_free(custom->host, custom->converted[t]);
    }
    ikati_expression_clear(custom->host, &custom->mask);
    ikati_expression_clear(custom->host, &custom->score);
    ikati_free(custom->host, custom->lengths);
    ikati_free(custom->host, custom->query_lengths);
    ikati_free(custom->host, custom->intervals);
}

void ikati_custom_place(const ikati_custom *custom, uint32_t batch, uint32_t head,
                        ikati_place place) {
    place[IKATI_VARIABLE_H] = (int32_t)head;
    place[IKATI_VARIABLE_B] = (int32_t)batch;
    place[IKATI_VARIABLE_N] = (int32_t)ikati_extent(custom->request, "N");
    place[IKATI_VARIABLE_M] = (int32_t)ikati_extent(custom->request, "M");
    place[IKATI_VARIABLE_LEN] = custom->lengths[batch];
    place[IKATI_VARIABLE_QLEN] = custom->query_lengths[batch];
}
