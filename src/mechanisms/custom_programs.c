// What kernels have of the expressions of a call: words to interpret, and text to be compiled.

#include "custom.h"

#include <string.h>

// Longer ones take drivers' compilers too long: they are interpreted.
enum { MAX_COMPILED_NODES = 256 };

// Parameters, tables and programs, one behind the other.
static ikat_status add_words(const ikati_custom *custom, ikati_lowering *lowering,
                             const ikati_bytecode *mask, const ikati_bytecode *score,
                             ikati_attend_expressions *out) {
    uint32_t *symbols, num_symbols;
    ikat_status status = ikati_symbols_pack(custom->host, &custom->symbols, &symbols, &num_symbols);
    if (status) {
        return status;
    }
    const uint64_t num_words = (uint64_t)num_symbols + mask->num_words + score->num_words;
    *out = (ikati_attend_expressions){
        .table = UINT32_MAX,
        .num_words = (uint32_t)num_words,
        .mask_at = num_symbols,
        .mask_words = mask->num_words,
        .score_at = num_symbols + mask->num_words,
        .score_words = score->num_words,
    };
    const uint64_t most = ikati_lowering_binding_bytes(lowering);
    if (num_words * sizeof(*symbols) > most || num_words > INT32_MAX) {
        status = ikati_fail(custom->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_SHAPE,
                            "the tables have %llu entries, expected less for what %s binds at once",
                            (unsigned long long)num_symbols, ikati_lowering_device(lowering)->id);
    }
    uint32_t *words = status ? NULL : ikati_alloc(custom->host, (size_t)num_words, sizeof(*words));
    if (words) {
        memcpy(words, symbols, num_symbols * sizeof(*words));
        memcpy(words + out->mask_at, mask->words, mask->num_words * sizeof(*words));
        if (score->num_words) {
            memcpy(words + out->score_at, score->words, score->num_words * sizeof(*words));
        }
        out->table = ikati_lowering_table(lowering, words, num_words * sizeof(*words));
    }
    ikati_free(custom->host, words);
    ikati_free(custom->host, symbols);
    return status || out->table != UINT32_MAX ? status : IKAT_NO_MEMORY;
}

// Bytecode of both; a plain score is left out.
static ikat_status compile(const ikati_custom *custom, ikati_lowering *lowering,
                           ikati_attend_expressions *out) {
    ikati_bytecode mask, score = {0};
    ikat_status status =
        ikati_expression_compile(custom->host, &custom->mask, &custom->symbols, &mask);
    if (!status && !ikati_custom_score_is_plain(custom)) {
        status = ikati_expression_compile(custom->host, &custom->score, &custom->symbols, &score);
    }
    status = status ? status : add_words(custom, lowering, &mask, &score, out);
    ikati_bytecode_clear(custom->host, &mask);
    ikati_bytecode_clear(custom->host, &score);
    return status;
}

// Functions of both, if the device compiles and they are not too long.
static ikat_status emit(const ikati_custom *custom, ikati_lowering *lowering,
                        const char **out_functions) {
    const uint32_t num_nodes = custom->mask.num_nodes + custom->score.num_nodes;
    *out_functions = NULL;
    if (!ikati_lowering_device(lowering)->limits.runtime_compiler ||
        num_nodes > MAX_COMPILED_NODES) {
        return IKAT_OK;
    }
    char *mask = NULL, *score = NULL;
    ikat_status status =
        ikati_expression_emit(custom->host, &custom->mask, &custom->symbols, &mask);
    if (!status) {
        status = ikati_expression_emit(custom->host, &custom->score, &custom->symbols, &score);
    }
    if (!status) {
        *out_functions = ikati_lowering_text(lowering, mask, score);
        status = *out_functions ? IKAT_OK : IKAT_NO_MEMORY;
    }
    ikati_free(custom->host, mask);
    ikati_free(custom->host, score);
    return status;
}

ikat_status ikati_custom_programs(const ikati_custom *custom, ikati_lowering *lowering,
                                  ikati_attend_expressions *out) {
    const ikat_status status = compile(custom, lowering, out);
    return status ? status : emit(custom, lowering, &out->functions);
}
