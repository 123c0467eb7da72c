// Hierarchical attention: near keys one by one, far keys as averages whose size grows with the
// distance.
//
// Zhu, Soricut, H-Transformer-1D: Fast One-Dimensional Hierarchical Attention for Sequences,
// arXiv:2107.11906, sections 4-6.

#include "hierarchical.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {IKATI_SELF_ATTENTION_INPUTS, IKATI_LENGTHS_INPUT};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const ikat_setting_info settings[] = {
    {.name = "block_size",
     .type = IKAT_SETTING_INT,
     .default_text = "16",
     .minimum = 2,
     .maximum = IKATI_MAX_INTEGER,
     .help = "tokens, or coarse tokens, a block on every level; even"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key right of the query, and the first query of a cluster stands for it"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,200,16", "2,3,200,16"), "",
     "three levels, the last clusters are short"},
    {"full_clusters", IKATI_QKV("1,2,128,16", "1,2,128,16"), "",
     "N is a block times a power of two"},
    {"one_more", IKATI_QKV("1,2,129,16", "1,2,129,16"), "",
     "a cluster of one position on every level"},
    {"one_less", IKATI_QKV("1,2,127,16", "1,2,127,16"), "",
     "all but one position in the last clusters"},
    {"two_blocks", IKATI_QKV("1,2,32,16", "1,2,32,16"), "", "dense"},
    {"two_blocks_causal", IKATI_QKV("1,2,32,16", "1,2,32,16"), "causal=1", "dense"},
    {"two_levels", IKATI_QKV("1,2,33,16", "1,2,33,16"), "", "the least that is coarse"},
    {"large_block", IKATI_QKV("1,2,50,16", "1,2,50,16"), "block_size=9007199254740992", "dense"},
    {"blocks_of_two", IKATI_QKV("2,2,75,8", "2,2,75,8"), "block_size=2",
     "six levels, halves of one"},
    {"blocks_of_two_causal", IKATI_QKV("2,2,75,8", "2,2,75,8"), "block_size=2 causal=1", ""},
    {"blocks_of_six", IKATI_QKV("1,2,150,16", "1,2,150,16"), "block_size=6", "halves of three"},
    {"blocks_of_24", IKATI_QKV("1,2,400,16", "1,2,400,16"), "block_size=24", "no power of two"},
    {"blocks_of_24_causal", IKATI_QKV("1,2,390,16", "1,2,390,16"), "block_size=24 causal=1", ""},
    {"blocks_of_128", IKATI_QKV("1,1,700,32", "1,1,700,32"), "block_size=128", "halves fill tiles"},
    {"causal", IKATI_QKV("1,3,300,16", "1,3,300,16"), "causal=1", ""},
    {"odd_sizes", IKATI_QKV("2,3,90,5", "2,3,90,7"), "block_size=4 scale=0.3", "D and Dv differ"},
    {"no_scale", IKATI_QKV("1,1,100,8", "1,1,100,8"), "block_size=4 scale=0",
     "all pairs count once"},
    {"head_64", IKATI_QKV("1,2,300,64", "1,2,300,64"), "", "the most common head"},
    {"head_128", IKATI_QKV("1,1,200,128", "1,1,200,96"), "causal=1", ""},
    {"lengths", IKATI_QKV("5,2,140,16", "5,2,140,16") " lengths=5@140,93,64,1,0", "block_size=8",
     "partial clusters, one position, none"},
    {"lengths_causal", IKATI_QKV("4,2,140,16", "4,2,140,16") " lengths=4@0,139,35,1",
     "block_size=8 causal=1", ""},
    {"lengths_two_blocks", IKATI_QKV("3,2,30,16", "3,2,30,16") " lengths=3@30,7,0", "", "dense"},
    {"grouped_query", "q=2,6,130,16 k=2,2,130,16 v=2,2,130,24", "block_size=8",
     "three query heads a key/value head"},
    {"everything", "q=2,4,333,24 k=2,2,333,24 v=2,2,333,40 lengths=2@333,201",
     "block_size=10 causal=1 scale=0.2", "all options at once"},
    {"head_mask", IKATI_QKV("1,4,90,16", "1,4,90,16") " head_mask=4@1,0,1,1",
     "block_size=8 causal=1", "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,200,16", "0,2,200,16"), "", "B = 0"},
    {"one_position", IKATI_QKV("2,2,1,16", "2,2,1,16"), "", "out is v"},
};

static ikat_status check(ikati_request *request) {
    const int64_t block_size = ikati_setting(request, "block_size")->integer;
    if (block_size % 2) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "block_size is %" PRId64 ", expected an even number", block_size);
    }
    return ikati_attention_check(request);
}

// A pair of a coarse token counts once, for it is computed once.
static ikati_cost cost(const ikati_request *request) {
    double pairs = 0;
    for (uint32_t l = 0; l < ikati_hierarchical_num_levels(request); l++) {
        const ikati_hierarchical_level level = ikati_hierarchical_level_at(request, l, 0);
        ikati_patterns patterns = {.num = 1};
        patterns.items[0] = ikati_hierarchical_pattern(&level);
        pairs += ikati_patterns_count(&patterns, request);
    }
    return ikati_attention_cost(request, pairs);
}

const ikati_mechanism ikati_mechanism_hierarchical = {
    .info =
        {
            .name = "hierarchical",
            .title = "Hierarchical attention",
            .citation =
                "Zhu, Soricut, H-Transformer-1D: Fast One-Dimensional Hierarchical Attention "
                "for Sequences, arXiv:2107.11906",
            .family = "patterns",
            .cost = "time O(N block_size D); memory O(N D) beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = ikati_hierarchical_lower,
    .tolerance = ikati_attention_tolerance,
};
