// Big Bird: blocks that see their neighbours, global blocks or tokens, and a few blocks drawn at
// random.
//
// Zaheer et al., Big Bird: Transformers for Longer Sequences, arXiv:2007.14062, section 2 and
// appendix D.

#include "bigbird.h"

#include "../lowering.h"

#include "../shape.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {
    IKATI_SELF_ATTENTION_INPUTS,
    {.name = "random_blocks",
     .shape = "[H,nb,r]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .values = "-1..nb-1",
     .help = "key blocks drawn for each head and query block, -1: none; absent: drawn from seed"},
    IKATI_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {
    IKATI_ATTENTION_OUTPUTS,
    {.name = "random_blocks",
     .shape = "[H,nb,r]",
     .dtype = "int32",
     .optional = true,
     .help = "the table that was used"},
};

static const ikat_setting_info settings[] = {
    {.name = "block_size",
     .type = IKAT_SETTING_INT,
     .default_text = "64",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "positions a block; the last one may be shorter"},
    {.name = "window_blocks",
     .type = IKAT_SETTING_INT,
     .default_text = "3",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "blocks a query block sees around itself, itself included; odd"},
    {.name = "num_random_blocks",
     .type = IKAT_SETTING_INT,
     .default_text = "3, or the table's r",
     .maximum = IKATI_MAX_INTEGER,
     .help = "random key blocks a query block"},
    {.name = "global_blocks_left",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = IKATI_MAX_INTEGER,
     .help = "leading blocks that are global"},
    {.name = "global_blocks_right",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = IKATI_MAX_INTEGER,
     .help = "trailing blocks that are global"},
    {.name = "num_global_tokens",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = IKATI_MAX_INTEGER,
     .help = "leading positions that are global and lie in no block, 0..N"},
    {.name = "seed",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .minimum = -0x1p63,
     .maximum = 0x1p64,
     .help = "of the draw, 64 bits"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"itc", IKATI_QKV("2,3,157,16", "2,3,157,16"), "block_size=8", "N is no multiple of the block"},
    {"defaults", IKATI_QKV("1,2,700,16", "1,2,700,16"), "", ""},
    {"etc", IKATI_QKV("1,2,150,16", "1,2,150,16") " !random_blocks",
     "block_size=8 num_global_tokens=13 global_blocks_left=0 global_blocks_right=0 "
     "num_random_blocks=0",
     "global tokens in front"},
    {"both_globals", IKATI_QKV("1,2,130,16", "1,2,130,16"),
     "block_size=7 num_global_tokens=5 global_blocks_left=2 global_blocks_right=1 seed=3", ""},
    {"left_only", IKATI_QKV("1,2,120,16", "1,2,120,16"), "block_size=8 global_blocks_right=0", ""},
    {"right_only", IKATI_QKV("1,2,120,16", "1,2,120,16"), "block_size=8 global_blocks_left=0", ""},
    {"band", IKATI_QKV("2,2,90,16", "2,2,90,16") " !random_blocks",
     "block_size=8 num_random_blocks=0 global_blocks_left=0 global_blocks_right=0", ""},
    {"window_1", IKATI_QKV("1,2,90,16", "1,2,90,16"),
     "block_size=9 window_blocks=1 num_random_blocks=2", ""},
    {"window_5", IKATI_QKV("1,2,90,16", "1,2,90,16"), "block_size=4 window_blocks=5", ""},
    {"window_wide", IKATI_QKV("1,2,60,16", "1,2,60,16"), "block_size=8 window_blocks=99", "dense"},
    {"one_block", IKATI_QKV("1,2,37,16", "1,2,37,16"), "", "N < block_size"},
    {"blocks_of_one", IKATI_QKV("1,2,40,8", "1,2,40,8"), "block_size=1 window_blocks=3", ""},
    {"all_global", IKATI_QKV("1,2,50,16", "1,2,50,16"), "block_size=8 global_blocks_left=100",
     "dense"},
    {"all_tokens_global", IKATI_QKV("1,2,33,16", "1,2,33,16"), "block_size=8 num_global_tokens=33",
     "no block is left"},
    {"few_candidates", IKATI_QKV("1,2,60,16", "1,2,60,16"), "block_size=8 num_random_blocks=9",
     "all candidates are taken"},
    {"seed", IKATI_QKV("1,3,100,16", "1,3,100,16"), "block_size=4 seed=18446744073709551615", ""},
    {"table", IKATI_QKV("2,3,61,16", "2,3,61,16") " random_blocks=3,8,2", "block_size=8",
     "any table: globals, neighbours, doubles, -1"},
    {"table_equal", IKATI_QKV("1,3,61,16", "1,3,61,16") " random_blocks=3,8,3@5,1,-1",
     "block_size=8", "the same blocks everywhere"},
    {"table_lists_all", IKATI_QKV("1,1,30,8", "1,1,30,8") " random_blocks=1,5,5@0,1,2,3,4",
     "block_size=6 global_blocks_left=0 global_blocks_right=0 num_random_blocks=5", "dense"},
    {"table_unused", IKATI_QKV("1,2,30,8", "1,2,30,8") " random_blocks=2,5,1@-1",
     "block_size=6 window_blocks=1 global_blocks_left=0 global_blocks_right=0", ""},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7"), "block_size=6 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "block_size=16", "the most common head"},
    {"lengths", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0", "block_size=8",
     "a trailing global block is padding"},
    {"grouped_query", "q=2,6,70,16 k=2,2,70,16 v=2,2,70,24", "block_size=8 seed=5",
     "three query heads a key/value head, a table each"},
    {"everything", "q=2,4,170,24 k=2,2,170,24 v=2,2,170,40 lengths=2@170,93",
     "block_size=10 window_blocks=3 num_random_blocks=2 global_blocks_left=1 "
     "global_blocks_right=2 num_global_tokens=4 seed=11 scale=0.2",
     "all options at once"},
    {"picture", IKATI_QKV("1,1,64,16", "1,1,64,16"), "block_size=4 num_random_blocks=2 seed=5",
     "what ikat show draws"},
    {"no_positions", IKATI_QKV("1,2,0,16", "1,2,0,16"), "", "N = 0"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1", "block_size=6",
     "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16"), "block_size=4", "B = 0"},
    {"large_blocks", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "", "many tiles"},
};

int64_t ikati_bigbird_num_random(const ikati_request *request) {
    const ikati_call_setting *setting = ikati_setting(request, "num_random_blocks");
    const ikati_tensor_use *table = ikati_input(request, "random_blocks");
    return setting->given ? setting->integer : table->present ? table->tensor.shape[2] : 3;
}

static ikat_status fail_range(const ikati_request *request, const char *name, int64_t value,
                              const char *expected) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                      "%s is %" PRId64 ", expected %s", name, value, expected);
}

static ikat_status check(ikati_request *request) {
    const int64_t n = ikati_extent(request, "N");
    const int64_t tokens = ikati_setting(request, "num_global_tokens")->integer;
    const int64_t size = ikati_setting(request, "block_size")->integer;
    const int64_t window = ikati_setting(request, "window_blocks")->integer;
    ikat_status status = ikati_attention_check(request);
    if (!status && window % 2 == 0) {
        status = fail_range(request, "window_blocks", window, "an odd number");
    }
    if (!status && tokens > n) {
        status = fail_range(request, "num_global_tokens", tokens, "0 to N");
    }
    if (status) {
        return status;
    }
    const int64_t num_random = ikati_bigbird_num_random(request);
    status = ikati_shape_fix(request, "nb", (n - tokens + size - 1) / size);
    status = status ? status : ikati_shape_fix(request, "r", num_random);
    if (!status && num_random == 0 && request->outputs[2].present) {
        status = ikati_attention_refuse(request, "output random_blocks",
                                        "only where there are random blocks");
    }
    return status;
}

// The table that is used is an output too.
static ikat_status lower_table(const ikati_request *request, ikati_lowering *lowering) {
    const ikat_tensor *tensor = &request->outputs[2].tensor;
    if (!request->outputs[2].present) {
        return IKAT_OK;
    }
    const size_t count =
        (size_t)tensor->shape[0] * (size_t)tensor->shape[1] * (size_t)tensor->shape[2];
    int32_t *table = ikati_alloc(request->host, count, sizeof(*table));
    if (!table) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = ikati_bigbird_table(request, table);
    status = status ? status : ikati_lowering_write_output(lowering, request, 2, table);
    ikati_free(request->host, table);
    return status;
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    const ikat_status status = ikati_attention_lower_patterns(request, lowering);
    return status ? status : lower_table(request, lowering);
}

const ikati_mechanism ikati_mechanism_bigbird = {
    .info =
        {
            .name = "bigbird",
            .title = "Big Bird attention",
            .citation = "Zaheer et al., Big Bird: Transformers for Longer Sequences, "
                        "arXiv:2007.14062",
            .family = "patterns",
            .cost = "time O(N b (w+r+g) D) for blocks of b, w neighbours, r random and g global "
                    "blocks, and O(N D) a global row; memory O(N) beyond the tensors",
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
    .patterns = ikati_bigbird_patterns,
    .cost = ikati_attention_cost_patterns,
    .lower = lower,
    .tolerance = ikati_attention_tolerance,
};
