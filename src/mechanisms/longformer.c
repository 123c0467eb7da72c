// Longformer: a sliding window, dilated or not, and global positions that see and are seen by all.
//
// Beltagy, Peters, Cohan, Longformer: The Long-Document Transformer, arXiv:2004.05150, sections
// 3.1-3.2.

#include "longformer.h"

static const ikat_argument_info inputs[] = {
    IKATI_SELF_ATTENTION_INPUTS,
    {.name = "q_global",
     .shape = "[B,H,N,D]",
     .dtype = "float",
     .optional = true,
     .help = "queries of global positions; with k_global and v_global or not at all"},
    {.name = "k_global",
     .shape = "[B,Hkv,N,D]",
     .dtype = "float",
     .optional = true,
     .help = "keys that global positions see"},
    {.name = "v_global",
     .shape = "[B,Hkv,N,Dv]",
     .dtype = "float",
     .optional = true,
     .help = "values that global positions see"},
    {.name = "global_mask",
     .shape = "[B,N]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .values = "0..1",
     .help = "1: the position is global; absent: none is"},
    IKATI_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const ikat_setting_info settings[] = {
    {.name = "window",
     .type = IKAT_SETTING_INT,
     .default_text = "256",
     .maximum = IKATI_MAX_INTEGER,
     .help = "keys seen on either side, dilated ones counted"},
    {.name = "dilation",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "1",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .max_count = IKATI_MAX_HEADS,
     .help = "gap between window positions, one for all heads or one each"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key right of the query, nor to and from global positions"},
    IKATI_SCALE_SETTING,
};

#define ZEROS \
    ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
#define GLOBAL(shape, value_shape) " q_global=" shape " k_global=" shape " v_global=" value_shape

static const ikat_mechanism_case cases[] = {
    {"window", IKATI_QKV("2,3,37,16", "2,3,37,16"), "window=5", ""},
    {"defaults", IKATI_QKV("1,2,600,16", "1,2,600,16"), "", ""},
    {"window_0", IKATI_QKV("1,2,33,8", "1,2,33,8"), "window=0", "out = v"},
    {"window_wide", IKATI_QKV("1,2,50,16", "1,2,50,16"), "window=9000000000", "dense"},
    {"causal", IKATI_QKV("2,2,150,32", "2,2,150,32"), "window=17 causal=1", ""},
    {"odd_sizes", IKATI_QKV("2,3,21,5", "2,3,21,7"), "window=4 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "window=33", "the most common head"},
    {"head_128", IKATI_QKV("1,1,150,128", "1,1,150,96"), "window=20 dilation=2", ""},
    {"dilation", IKATI_QKV("1,2,101,16", "1,2,101,16"), "window=6 dilation=3", ""},
    {"dilation_heads", IKATI_QKV("2,4,130,16", "2,4,130,16"), "window=7 dilation=1,2,5,2", ""},
    {"dilation_causal", IKATI_QKV("1,2,90,16", "1,2,90,16"), "window=7 dilation=4 causal=1", ""},
    {"dilation_wide", IKATI_QKV("1,2,40,8", "1,2,40,8"), "window=3 dilation=1000", "out = v"},
    {"global", IKATI_QKV("2,2,77,16", "2,2,77,16") " global_mask=2,77@1,0,0,0,0,0,0,0,0,0,1",
     "window=9", ""},
    {"global_differs", IKATI_QKV("3,2,40,16", "3,2,40,16") " global_mask=3,40@0..1", "window=3",
     "another number in each batch entry"},
    {"global_none", IKATI_QKV("1,2,40,16", "1,2,40,16") " global_mask=1,40@0", "window=3", ""},
    {"global_all", IKATI_QKV("1,2,70,16", "1,2,70,16") " global_mask=1,70@1", "window=3", "dense"},
    {"global_causal", IKATI_QKV("1,2,150,16", "1,2,150,16") " global_mask=1,150@0,0,0,1,0,0,1",
     "window=5 causal=1", ""},
    {"global_dilation",
     IKATI_QKV("1,3,90,16", "1,3,90,16") " global_mask=1,90@1,1,0,0,0,0,0,0,0,0,0,0,0",
     "window=5 dilation=1,2,3", "globals in some windows and not in others"},
    {"global_spread",
     IKATI_QKV("1,2,500,8", "1,2,500,8") " global_mask=1,500@1,0,0,0,0,0,0,0,0,0,0",
     "window=20 dilation=1,2", "many globals, near and far of most rows"},
    {"global_spread_causal",
     IKATI_QKV("1,2,500,8", "1,2,500,8") " global_mask=1,500@1,0,0,0,0,0,0,0,0,0,0",
     "window=20 dilation=1,2 causal=1", ""},
    {"global_clusters",
     IKATI_QKV("1,2,400,8", "1,2,400,8") " global_mask=1,400@1,1,1" ZEROS ZEROS ZEROS, "window=20",
     "some groups of rows are near no global"},
    {"global_projections",
     IKATI_QKV("2,2,60,16", "2,2,60,24") GLOBAL("2,2,60,16", "2,2,60,24") " global_mask=2,60@0..1",
     "window=6", ""},
    {"projections_unused", IKATI_QKV("1,2,30,8", "1,2,30,8") GLOBAL("1,2,30,8", "1,2,30,8"),
     "window=6", "no position is global"},
    {"lengths", IKATI_QKV("3,2,50,16", "3,2,50,16") " lengths=3@50,23,0", "window=6", ""},
    {"lengths_global",
     IKATI_QKV("3,2,50,16", "3,2,50,16") " global_mask=3,50@0..1 lengths=3@50,23,0", "window=6",
     "padded positions are not global"},
    {"grouped_query", "q=2,6,45,16 k=2,2,45,16 v=2,2,45,24 global_mask=2,45@0,0,0,0,1,0,0,0,0,0,0",
     "window=4 dilation=1,1,2,2,3,3", "three query heads a key/value head"},
    {"everything",
     "q=2,4,140,24 k=2,2,140,24 v=2,2,140,40 q_global=2,4,140,24 k_global=2,2,140,24 "
     "v_global=2,2,140,40 global_mask=2,140@1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 lengths=2@140,81",
     "window=20 dilation=1,2,1,7 causal=1 scale=0.2", "all options at once"},
    {"picture",
     IKATI_QKV("1,2,64,16", "1,2,64,16") " global_mask=1,64@0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0",
     "window=5 dilation=1,2", "what ikat show draws"},
    {"one_position", IKATI_QKV("1,1,1,8", "1,1,1,8") " global_mask=1,1@1", "", ""},
    {"no_positions", IKATI_QKV("1,2,0,16", "1,2,0,16"), "", "N = 0"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1", "window=4",
     "a pruned head"},
    {"lse_alone", IKATI_QKV("1,2,40,16", "1,2,40,7") " global_mask=1,40@1,0*39 !out", "window=4",
     "no values are wanted"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16") " global_mask=0,20", "", "B = 0"},
    {"large_global", IKATI_QKV("1,1,20000,64", "1,1,20000,64") " global_mask=1,20000@1,0*4999",
     "window=128", "where N x N would not do"},
    {"large_dilation",
     IKATI_QKV("1,2,20000,32", "1,2,20000,32") " global_mask=1,20000@0*63,1,0*9936 lengths=1@19000",
     "window=128 dilation=3,1", ""},
};

static ikat_status check(ikati_request *request) {
    ikat_status status = ikati_attention_check(request);
    status = status ? status : ikati_attention_check_per_head(request, "dilation");
    if (status) {
        return status;
    }
    static const char *const names[] = {"q_global", "k_global", "v_global"};
    const bool wanted = ikati_input(request, names[0])->present;
    for (uint32_t i = 1; i < IKATI_COUNT(names); i++) {
        if (ikati_input(request, names[i])->present != wanted) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                              "%s is missing, expected all of q_global, k_global and v_global or "
                              "none",
                              wanted ? names[i] : names[0]);
        }
    }
    return IKAT_OK;
}

static ikati_cost cost(const ikati_request *request) {
    return ikati_attention_cost(request, ikati_longformer_pairs(request));
}

const ikati_mechanism ikati_mechanism_longformer = {
    .info =
        {
            .name = "longformer",
            .title = "Longformer attention",
            .citation = "Beltagy, Peters, Cohan, Longformer: The Long-Document Transformer, "
                        "arXiv:2004.05150",
            .family = "patterns",
            .cost = "time O(N (2w+1+g) D + g N D) for window w and g global positions; memory O(N) "
                    "beyond the tensors",
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
    .patterns = ikati_longformer_patterns,
    .cost = cost,
    .lower = ikati_attention_lower_patterns,
    .tolerance = ikati_attention_tolerance,
};
