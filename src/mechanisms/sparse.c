// Sparse Transformer: two patterns a sequence, its neighbourhood and every stride-th position or a
// few summary columns, which together connect all positions in two steps.
//
// Child, Gray, Radford, Sutskever, Generating Long Sequences with Sparse Transformers,
// arXiv:1904.10509, sections 4.2-4.3.

#include "sparse.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {IKATI_SELF_ATTENTION_INPUTS, IKATI_LENGTHS_INPUT};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const char *const pattern_words[] = {"strided", "fixed", NULL};
static const char *const head_words[] = {"merged", "split", "first", "second", NULL};

static const ikat_setting_info settings[] = {
    {.name = "pattern",
     .type = IKAT_SETTING_WORD,
     .default_text = "strided",
     .words = pattern_words,
     .help = "strided suits data with a period, fixed suits text"},
    {.name = "stride",
     .type = IKAT_SETTING_INT,
     .default_text = "128",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "the period, or the block; near sqrt(N)"},
    {.name = "c",
     .type = IKAT_SETTING_INT,
     .default_text = "max(1, stride/4)",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "summary columns a block, up to stride; only with pattern=fixed"},
    {.name = "head_mode",
     .type = IKAT_SETTING_WORD,
     .default_text = "merged",
     .words = head_words,
     .help = "every head sees both patterns, even and odd heads one each, or all the same one"},
    {.name = "distinct",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "groups of summary columns that heads take turns with, up to stride/c; only with "
             "pattern=fixed"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "1: no key right of the query"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("1,2,300,16", "1,2,300,16"), "", ""},
    {"strided", IKATI_QKV("2,2,101,16", "2,2,101,16"), "stride=9",
     "N is no multiple of the stride"},
    {"strided_both_ways", IKATI_QKV("1,2,101,16", "1,2,101,16"), "stride=9 causal=0", ""},
    {"strided_first", IKATI_QKV("1,2,77,16", "1,2,77,16"), "stride=9 head_mode=first", ""},
    {"strided_second", IKATI_QKV("1,2,77,16", "1,2,77,16"), "stride=9 head_mode=second", ""},
    {"strided_second_both_ways", IKATI_QKV("1,2,77,16", "1,2,77,16"),
     "stride=5 head_mode=second causal=0", ""},
    {"strided_split", IKATI_QKV("1,3,77,16", "1,3,77,16"), "stride=7 head_mode=split", ""},
    {"stride_1", IKATI_QKV("1,2,50,16", "1,2,50,16"), "stride=1", "dense causal"},
    {"stride_1_both_ways", IKATI_QKV("1,2,50,16", "1,2,50,16"), "stride=1 causal=0", "dense"},
    {"stride_wide", IKATI_QKV("1,2,50,16", "1,2,50,16"), "stride=60", "dense causal"},
    {"stride_wide_second", IKATI_QKV("1,2,50,16", "1,2,50,16"), "stride=60 head_mode=second",
     "out = v"},
    {"fixed", IKATI_QKV("2,2,101,16", "2,2,101,16"), "pattern=fixed stride=12",
     "c has its default"},
    {"fixed_both_ways", IKATI_QKV("1,2,101,16", "1,2,101,16"),
     "pattern=fixed stride=12 c=2 causal=0", ""},
    {"fixed_first", IKATI_QKV("1,2,77,16", "1,2,77,16"),
     "pattern=fixed stride=9 c=2 head_mode=first", ""},
    {"fixed_second", IKATI_QKV("1,2,77,16", "1,2,77,16"),
     "pattern=fixed stride=9 c=2 head_mode=second", "the first rows see nothing"},
    {"fixed_second_both_ways", IKATI_QKV("1,2,77,16", "1,2,77,16"),
     "pattern=fixed stride=9 c=3 head_mode=second causal=0", ""},
    {"fixed_split", IKATI_QKV("1,5,77,16", "1,5,77,16"),
     "pattern=fixed stride=9 c=2 head_mode=split distinct=3", "odd heads take turns"},
    {"fixed_distinct", IKATI_QKV("1,5,80,16", "1,5,80,16"), "pattern=fixed stride=8 c=2 distinct=4",
     "heads take turns"},
    {"fixed_all_columns", IKATI_QKV("1,2,60,16", "1,2,60,16"), "pattern=fixed stride=8 c=8",
     "dense causal"},
    {"fixed_wide", IKATI_QKV("1,2,40,16", "1,2,40,16"),
     "pattern=fixed stride=64 c=8 head_mode=second", "summary columns beyond N: nothing is seen"},
    {"fixed_stride_1", IKATI_QKV("1,2,40,16", "1,2,40,16"), "pattern=fixed stride=1",
     "dense causal"},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7"), "stride=6 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "stride=14", "the most common head"},
    {"lengths", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0", "stride=8", ""},
    {"lengths_fixed", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0",
     "pattern=fixed stride=8 c=3 causal=0", ""},
    {"grouped_query", "q=2,6,70,16 k=2,2,70,16 v=2,2,70,24",
     "pattern=fixed stride=8 c=2 head_mode=split distinct=2", "three query heads a key/value head"},
    {"everything", "q=2,4,170,24 k=2,2,170,24 v=2,2,170,40 lengths=2@170,93",
     "pattern=fixed stride=13 c=3 distinct=4 causal=0 scale=0.2", "all options at once"},
    {"picture", IKATI_QKV("1,2,64,16", "1,2,64,16"), "stride=8 head_mode=split",
     "what ikat show draws"},
    {"no_positions", IKATI_QKV("1,2,0,16", "1,2,0,16"), "", "N = 0"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1", "stride=6",
     "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16"), "stride=4", "B = 0"},
    {"large_strided", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "stride=141", "many tiles"},
    {"large_fixed", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "pattern=fixed stride=128 c=8",
     "many tiles"},
};

int64_t ikati_sparse_columns(const ikati_request *request) {
    const ikati_call_setting *columns = ikati_setting(request, "c");
    const int64_t stride = ikati_setting(request, "stride")->integer;
    return columns->given ? columns->integer : stride < 4 ? 1 : stride / 4;
}

static ikat_status check_most(const ikati_request *request, const char *name, int64_t value,
                              int64_t most) {
    return value <= most
               ? IKAT_OK
               : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "%s is %" PRId64 ", expected 1 to %" PRId64, name, value, most);
}

static ikat_status check(ikati_request *request) {
    const bool fixed = ikati_setting(request, "pattern")->integer == IKATI_SPARSE_FIXED;
    const int64_t stride = ikati_setting(request, "stride")->integer;
    const int64_t columns = ikati_sparse_columns(request);
    const ikati_call_setting *distinct = ikati_setting(request, "distinct");
    ikat_status status = ikati_attention_check(request);
    if (!status && !fixed && ikati_setting(request, "c")->given) {
        status = ikati_attention_refuse(request, "c", "only with pattern=fixed");
    }
    if (!status && !fixed && distinct->chosen) {
        status = ikati_attention_refuse(request, "distinct", "only with pattern=fixed");
    }
    status = status ? status : check_most(request, "c", columns, stride);
    return status ? status : check_most(request, "distinct", distinct->integer, stride / columns);
}

const ikati_mechanism ikati_mechanism_sparse = {
    .info =
        {
            .name = "sparse",
            .title = "Sparse Transformer attention",
            .citation = "Child, Gray, Radford, Sutskever, Generating Long Sequences with Sparse "
                        "Transformers, arXiv:1904.10509",
            .family = "patterns",
            .cost = "time O(N (l + N/l) D) for stride l, fixed O(N (l + c N/l) D); memory O(N) "
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
    .patterns = ikati_sparse_patterns,
    .cost = ikati_attention_cost_patterns,
    .lower = ikati_attention_lower_patterns,
    .tolerance = ikati_attention_tolerance,
};
