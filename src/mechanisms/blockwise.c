// Blockwise self-attention: every block of queries sees one block of keys; heads differ in which.
//
// Qiu et al., Blockwise Self-Attention for Long Document Understanding, arXiv:1911.02972, section 3.

#include "../attention.h"

#include "../shape.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {
    IKATI_SELF_ATTENTION_INPUTS,
    {.name = "permutations",
     .shape = "[H,nb]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .values = "0..nb-1",
     .help = "the key block that each head's query blocks see, a permutation a head; nb is "
             "num_blocks"},
    IKATI_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

static const ikat_setting_info settings[] = {
    {.name = "num_blocks",
     .type = IKAT_SETTING_INT,
     .default_text = "2",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "blocks that positions are cut into, 1..N"},
    {.name = "shift",
     .type = IKAT_SETTING_INT_LIST,
     .default_text = "h % num_blocks",
     .maximum = IKATI_MAX_INTEGER,
     .max_count = IKATI_MAX_HEADS,
     .help = "block I sees block (I + shift) % num_blocks, one for all heads or one each; not "
             "together with permutations"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key right of the query"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,101,16", "2,3,101,16"), "", "blocks of 51 and 50"},
    {"one_block", IKATI_QKV("1,2,70,16", "1,2,70,16"), "num_blocks=1", "dense"},
    {"blocks", IKATI_QKV("1,6,130,16", "1,6,130,16"), "num_blocks=5", "more heads than blocks"},
    {"few_heads", IKATI_QKV("1,2,130,16", "1,2,130,16"), "num_blocks=7", "not all shifts occur"},
    {"blocks_of_one", IKATI_QKV("1,3,20,8", "1,3,20,8"), "num_blocks=20", "out is v elsewhere"},
    {"identity", IKATI_QKV("2,2,90,16", "2,2,90,16"), "num_blocks=4 shift=0",
     "blocks by themselves"},
    {"shift", IKATI_QKV("1,3,90,16", "1,3,90,16"), "num_blocks=4 shift=3", "all heads alike"},
    {"shift_heads", IKATI_QKV("2,4,90,16", "2,4,90,16"), "num_blocks=3 shift=0,0,2,1", ""},
    {"permutations",
     IKATI_QKV("2,3,64,16", "2,3,64,16") " permutations=3,4@2,0,3,1,0,1,2,3,3,2,1,0",
     "num_blocks=4", ""},
    {"permutations_equal", IKATI_QKV("1,3,65,16", "1,3,65,16") " permutations=3,4@2,0,3,1",
     "num_blocks=4", "the same for all heads"},
    {"causal", IKATI_QKV("1,3,90,16", "1,3,90,16"), "num_blocks=4 causal=1",
     "blocks whose keys lie ahead see nothing"},
    {"causal_identity", IKATI_QKV("1,3,90,16", "1,3,90,16"), "num_blocks=4 shift=0 causal=1", ""},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7"), "num_blocks=3 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_QKV("1,2,200,64", "1,2,200,64"), "num_blocks=3", "the most common head"},
    {"lengths", IKATI_QKV("3,2,90,16", "3,2,90,16") " lengths=3@90,41,0", "num_blocks=3",
     "a key block is all padding"},
    {"grouped_query", "q=2,6,70,16 k=2,2,70,16 v=2,2,70,24", "num_blocks=3",
     "three query heads a key/value head, a shift each"},
    {"everything",
     "q=2,4,170,24 k=2,2,170,24 v=2,2,170,40 permutations=4,3@1,0,2,0,1,2,2,1,0,0,2,1 "
     "lengths=2@170,93",
     "num_blocks=3 causal=1 scale=0.2", "all options at once"},
    {"picture", IKATI_QKV("1,2,64,16", "1,2,64,16"), "num_blocks=4", "what ikat show draws"},
    {"head_mask", IKATI_QKV("1,4,40,16", "1,4,40,16") " head_mask=4@1,0,1,1", "num_blocks=3",
     "a pruned head"},
    {"no_batch", IKATI_QKV("0,2,20,16", "0,2,20,16"), "", "B = 0"},
    {"large_blocks", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "num_blocks=30", "many tiles"},
};

// class_of_head  heads of one class share a permutation
// shifts         by class, unless `permutations`
typedef struct blockwise {
    int64_t num_positions, num_blocks;
    bool causal;
    const int32_t *permutations; // [head, block], the request's
    int64_t *shifts;
    uint32_t *class_of_head, *first_head;
} blockwise;

static int64_t shift_of(const ikati_request *request, int64_t head) {
    const ikati_call_setting *shift = ikati_setting(request, "shift");
    return shift->given ? ikati_setting_item(shift, head)
                        : head % ikati_setting(request, "num_blocks")->integer;
}

static int64_t seen_block(const blockwise *s, uint32_t class_index, int64_t block) {
    if (s->permutations) {
        return s->permutations[s->first_head[class_index] * s->num_blocks + block];
    }
    return (block + s->shifts[class_index]) % s->num_blocks;
}

// First position p with p * num_blocks / N == block.
static int64_t block_start(const blockwise *s, int64_t block) {
    return (block * s->num_positions + s->num_blocks - 1) / s->num_blocks;
}

static ikati_positions block_positions(const blockwise *s, int64_t block) {
    const int64_t start = block_start(s, block);
    return ikati_span((uint32_t)start, 1, (uint32_t)(block_start(s, block + 1) - start));
}

static uint32_t class_of(const ikati_pattern *pattern, uint32_t batch, uint32_t head) {
    const blockwise *s = pattern->user;
    (void)batch;
    return s->class_of_head[head];
}

static void describe(const ikati_pattern *pattern, uint32_t class_index, ikati_pattern_sink *sink) {
    const blockwise *s = pattern->user;
    for (int64_t block = 0; block < s->num_blocks; block++) {
        const int64_t seen = seen_block(s, class_index, block);
        const ikati_positions queries = block_positions(s, block);
        sink->group(sink, &queries);
        if (!s->causal || seen <= block) {
            sink->keys(sink,
                       &(ikati_key_set){.keys = block_positions(s, seen),
                                        .left = IKATI_NO_LEFT,
                                        .right = s->causal && seen == block ? 0 : IKATI_NO_RIGHT});
        }
    }
}

static bool read_heads(const ikati_request *request, ikati_patterns *patterns, blockwise *s,
                       uint32_t *out_num_classes) {
    const int64_t heads = ikati_extent(request, "H");
    s->shifts = ikati_patterns_alloc(patterns, heads, sizeof(*s->shifts));
    s->class_of_head = ikati_patterns_alloc(patterns, heads, sizeof(*s->class_of_head));
    s->first_head = ikati_patterns_alloc(patterns, heads, sizeof(*s->first_head));
    if (!s->shifts || !s->class_of_head || !s->first_head) {
        return false;
    }
    for (int64_t h = 0; h < heads && !s->permutations; h++) {
        s->shifts[h] = shift_of(request, h);
    }
    const void *rows = s->permutations ? (const void *)s->permutations : s->shifts;
    const size_t row_bytes =
        s->permutations ? (size_t)s->num_blocks * sizeof(*s->permutations) : sizeof(*s->shifts);
    *out_num_classes =
        ikati_classify(rows, (uint32_t)heads, row_bytes, s->class_of_head, s->first_head);
    for (uint32_t i = 0; i < *out_num_classes; i++) {
        s->shifts[i] = s->shifts[s->first_head[i]];
    }
    return true;
}

static ikat_status make_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    *out_patterns = (ikati_patterns){.host = request->host};
    blockwise *s = ikati_patterns_alloc(out_patterns, 1, sizeof(*s));
    uint32_t num_classes = 0;
    if (!s) {
        return ikati_patterns_finish(out_patterns, false);
    }
    s->num_positions = ikati_extent(request, "N");
    s->num_blocks = ikati_setting(request, "num_blocks")->integer;
    s->causal = ikati_setting(request, "causal")->integer != 0;
    s->permutations = ikati_structure(request, "permutations");
    if (!read_heads(request, out_patterns, s, &num_classes)) {
        return ikati_patterns_finish(out_patterns, false);
    }
    out_patterns->num = 1;
    out_patterns->items[0] = (ikati_pattern){.user = s,
                                             .num_queries = (uint32_t)s->num_positions,
                                             .num_keys = (uint32_t)s->num_positions,
                                             .num_classes = num_classes,
                                             .class_of = class_of,
                                             .describe = describe};
    return ikati_patterns_finish(out_patterns, true);
}

// Every block once in every row. Values are in range.
static ikat_status check_permutations(const ikati_request *request, int64_t num_blocks) {
    const int32_t *table = ikati_structure(request, "permutations");
    const int64_t heads = ikati_extent(request, "H");
    int64_t *last = ikati_alloc(request->host, (size_t)num_blocks, sizeof(*last));
    ikat_status status = last ? IKAT_OK : IKAT_NO_MEMORY;
    for (int64_t i = 0; i < heads * num_blocks && !status; i++) {
        const int64_t head = i / num_blocks;
        if (last[table[i]] > head) {
            status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                                "permutations has block %" PRId32 " twice for head %" PRId64
                                ", expected a permutation of 0 to %" PRId64,
                                table[i], head, num_blocks - 1);
        }
        last[table[i]] = head + 1;
    }
    ikati_free(request->host, last);
    return status;
}

static ikat_status check_shift(const ikati_request *request, int64_t num_blocks) {
    const ikati_call_setting *shift = ikati_setting(request, "shift");
    ikat_status status = ikati_attention_check_per_head(request, "shift");
    for (uint32_t i = 0; i < shift->num_integers && !status; i++) {
        if (shift->integers[i] >= num_blocks) {
            status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                                "shift is %" PRId64 ", expected 0 to %" PRId64, shift->integers[i],
                                num_blocks - 1);
        }
    }
    return status;
}

static ikat_status check(ikati_request *request) {
    const int64_t num_blocks = ikati_setting(request, "num_blocks")->integer;
    const bool table = ikati_input(request, "permutations")->present;
    ikat_status status = ikati_attention_check(request);
    if (!status && num_blocks > ikati_extent(request, "N")) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "num_blocks is %" PRId64 ", expected 1 to N = %" PRId64, num_blocks,
                            ikati_extent(request, "N"));
    }
    if (!status && table && ikati_setting(request, "shift")->given) {
        status = ikati_attention_refuse(request, "shift", "not together with permutations");
    }
    status = status ? status : check_shift(request, num_blocks);
    status = status ? status : ikati_shape_fix(request, "nb", num_blocks);
    return status || !table ? status : check_permutations(request, num_blocks);
}

const ikati_mechanism ikati_mechanism_blockwise = {
    .info =
        {
            .name = "blockwise",
            .title = "Blockwise self-attention",
            .citation = "Qiu et al., Blockwise Self-Attention for Long Document Understanding, "
                        "arXiv:1911.02972",
            .family = "patterns",
            .cost = "time O(N^2 D / num_blocks); memory O(N) beyond the tensors",
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
    .patterns = make_patterns,
    .cost = ikati_attention_cost_patterns,
    .lower = ikati_attention_lower_patterns,
    .tolerance = ikati_attention_tolerance,
};
