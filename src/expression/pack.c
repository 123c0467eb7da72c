// Params and tables to the words that kernels read (expression.h).

#include "expression.h"

#include <string.h>

static uint64_t num_entries(const ikati_expression_table *table) {
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < table->rank; axis++) {
        count *= (uint64_t)table->shape[axis];
    }
    return count;
}

static void pack_params(const ikati_symbols *symbols, uint32_t *words) {
    for (uint32_t p = 0; p < symbols->num_params; p++) {
        const ikati_expression_param *param = &symbols->params[p];
        if (param->type == IKATI_TYPE_INT) {
            words[p] = (uint32_t)param->integer;
        } else {
            memcpy(&words[p], &param->number, sizeof(words[p]));
        }
    }
}

// Fills the block of a table whose entries go to words[first], and the entries.
static void pack_table(const ikati_expression_table *table, uint32_t *words, uint32_t *block,
                       uint64_t first) {
    block[0] = (uint32_t)first;
    for (uint32_t axis = 0; axis < IKATI_MAX_TABLE_RANK; axis++) {
        block[1 + axis] = axis < table->rank ? (uint32_t)table->shape[axis] : 1;
    }
    const uint64_t count = num_entries(table);
    if (count > 0) { // an entry of either type is a word
        memcpy(words + first, table->data, (size_t)count * sizeof(*words));
    }
}

ikat_status ikati_symbols_pack(const ikati_host *host, const ikati_symbols *symbols,
                               uint32_t **out_words, uint32_t *out_num_words) {
    *out_words = NULL;
    *out_num_words = 0;
    uint64_t next = symbols->num_params + (uint64_t)symbols->num_tables * IKATI_TABLE_WORDS;
    uint64_t count = next;
    for (uint32_t t = 0; t < symbols->num_tables; t++) {
        count += num_entries(&symbols->tables[t]);
    }
    if (count > INT32_MAX) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "tables have %llu entries together, expected less than 2^31",
                          (unsigned long long)count);
    }
    uint32_t *words = ikati_alloc(host, (size_t)count, sizeof(*words));
    if (!words) {
        return IKAT_NO_MEMORY;
    }
    pack_params(symbols, words);
    uint32_t *block = words + symbols->num_params;
    for (uint32_t t = 0; t < symbols->num_tables; t++, block += IKATI_TABLE_WORDS) {
        pack_table(&symbols->tables[t], words, block, next);
        next += num_entries(&symbols->tables[t]);
    }
    *out_words = words;
    *out_num_words = (uint32_t)count;
    return IKAT_OK;
}
