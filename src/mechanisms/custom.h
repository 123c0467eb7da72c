// What the files of custom share.

#ifndef IKATI_CUSTOM_H
#define IKATI_CUSTOM_H

#include "../attention.h"
#include "../expression/expression.h"
#include "../lower_attend.h"

// The expressions of a call, checked, with what they read.
//
// lengths, query_lengths  valid positions of each batch entry, B of them: N and M without lengths
// intervals               room for one classification
typedef struct ikati_custom {
    const ikati_request *request;
    const ikati_host *host;
    ikati_expression_param params[IKATI_MAX_EXPRESSION_PARAMS];
    ikati_expression_table tables[IKATI_MAX_EXPRESSION_TABLES];
    float *converted[IKATI_MAX_EXPRESSION_TABLES]; // float16 tables as float32
    ikati_symbols symbols;
    ikati_expression mask, score;
    int32_t *lengths, *query_lengths;
    ikati_interval *intervals;
} ikati_custom;

// Reads and checks the expressions. Close it either way.
//
// IKAT_INVALID (logged, with expression and column), IKAT_NO_MEMORY
ikat_status ikati_custom_open(const ikati_request *request, ikati_custom *out_custom);
void ikati_custom_close(ikati_custom *custom);

// Variables of a batch entry and head; i and j are left as they are.
void ikati_custom_place(const ikati_custom *custom, uint32_t batch, uint32_t head,
                        ikati_place place);

// Whether the score is the variable itself.
bool ikati_custom_score_is_plain(const ikati_custom *custom);
// Whether every pair is visible, lengths not regarded.
bool ikati_custom_sees_all(const ikati_custom *custom);

// Both expressions as kernels take them, a plain score left out; the lowering keeps what it points to.
//
// IKAT_UNSUPPORTED (logged): the tables exceed what the device binds. IKAT_NO_MEMORY
ikat_status ikati_custom_programs(const ikati_custom *custom, ikati_lowering *lowering,
                                  ikati_attend_expressions *out_expressions);

// The pattern of the mask, lengths not regarded; freed before `custom` is closed.
ikat_status ikati_custom_patterns(ikati_custom *custom, ikati_patterns *out_patterns);

// The words of output block_map, [B,H,ceil(N/tile),ceil(M/tile)] packed; NULL (logged) if memory ran
// out. The caller's to free.
int32_t *ikati_custom_block_map(ikati_custom *custom);

// Whether the mask is not 0, for each key of a row.
ikat_status ikati_custom_sees(const ikati_request *request, uint32_t batch, uint32_t head,
                              uint32_t query, uint8_t *out_keys);

// Visible pairs over all batch entries and heads, lengths taken as full. In tiles that the mask cuts
// they are counted one by one, or, where there are very many, a part of them that is spread evenly.
double ikati_custom_pairs(ikati_custom *custom);

// The largest slope of the score expression in the score, about, but at least 1.
double ikati_custom_slope(const ikati_custom *custom);

#endif
