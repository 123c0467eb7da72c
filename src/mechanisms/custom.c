// A pattern of the caller's own: one expression says which keys a query sees, another what becomes of
// the scores.
//
// After the idea of FlexAttention, Dong et al., arXiv:2412.05496; the language is src/expression/.

#include "custom.h"

#include "../lower_attend.h"
#include "../shape.h"

#include <string.h>

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    {.name = "table.*",
     .shape = "1 to 4 axes",
     .dtype = "int32 or any float",
     .optional = true,
     .structure = true,
     .max_count = IKATI_MAX_EXPRESSION_TABLES,
     .help = "tables that expressions read as NAME[...]; 0 outside"},
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .values = "0..M",
     .help = "valid keys"},
    {.name = "query_lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .values = "0..N",
     .help = "valid queries; absent: lengths where N == M, else N"},
};

static const ikat_argument_info outputs[] = {
    IKATI_ATTENTION_OUTPUTS,
    {.name = "block_map",
     .shape = "[B,H,Nt,Mt]",
     .dtype = "int32",
     .optional = true,
     .help = "tiles of queries and keys: 0 nothing is visible, 2 everything, 1 neither is known"},
};

enum { OUTPUT_BLOCK_MAP = 2 };

static const ikat_setting_info settings[] = {
    {.name = "mask",
     .type = IKAT_SETTING_STRING,
     .default_text = "1",
     .help = "key j is visible to query i where this is not 0, \"j <= i\""},
    {.name = "score",
     .type = IKAT_SETTING_STRING,
     .default_text = "score",
     .help = "the score of a visible pair, \"score - slope[h] * abs(i - j)\""},
    {.name = "param.*",
     .type = IKAT_SETTING_NUMBER,
     .max_count = IKATI_MAX_EXPRESSION_PARAMS,
     .help = "constants that expressions read by NAME"},
    IKATI_SCALE_SETTING,
    {.name = "tile",
     .type = IKAT_SETTING_INT,
     .default_text = "64",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "tile side of block_map"},
};

#define QKV(shape) "q=" shape " k=" shape " v=" shape

static const ikat_mechanism_case cases[] = {
    {"defaults", QKV("2,3,33,16"), "", "dense"},
    {"picture", QKV("1,1,192,16") " table.doc=1,192@0*70,1*72,2*50",
     "mask=j<=i&&doc[b,i]==doc[b,j]||j<2", "what ikat show draws"},
    {"causal", QKV("2,2,150,32"), "mask=j<=i", ""},
    {"window", QKV("1,2,200,16"), "mask=i-j<=left&&j-i<=right param.left=20 param.right=7", ""},
    {"nothing", QKV("1,2,40,16"), "mask=0", "rows that see nothing"},
    {"some_rows_empty", QKV("1,2,90,16"), "mask=i%3!=1&&abs(i-j)<9", ""},
    {"own_key", QKV("1,2,70,8"), "mask=i==j", "out = v"},
    {"cross", "q=1,2,40,16 k=1,2,100,16 v=1,2,100,24", "mask=j<=i+m-n tile=16", "N < M"},
    {"cross_fewer_keys", "q=1,2,100,16 k=1,2,40,16 v=1,2,40,16", "mask=j<=i+m-n", "N > M"},
    {"odd_sizes", "q=2,3,21,5 k=2,3,29,5 v=2,3,29,7", "mask=(i+j)%2==0 scale=0.3", ""},
    {"head_64", QKV("1,2,130,64"), "mask=i/16==j/16||j<4 tile=16", "the most common head"},
    {"head_128", "q=1,1,70,128 k=1,1,90,128 v=1,1,90,96", "mask=j<=i+m-n", ""},
    {"head_200", QKV("1,1,30,200"), "mask=j<=i score=score*0.5", "past the tuned classes"},
    {"grouped_query", "q=2,6,45,16 k=2,2,45,16 v=2,2,45,24", "mask=(i-j)%(h+1)==0", ""},
    {"heads_differ", QKV("2,4,90,16"), "mask=h%2?(i-j)%7==0:abs(i-j)<7", ""},
    {"batches_differ", QKV("3,2,70,16"), "mask=j/(8*(b+1))==i/(8*(b+1)) tile=8", ""},
    {"arithmetic", QKV("1,2,60,16"), "mask=fdiv(i-j,5)*5+(i-j)%5==i-j&&rem(i-j,3)>=-1&&-j/7*7<=i",
     "division of negative numbers"},
    {"functions", QKV("1,2,60,16"), "mask=min(i,j)>=max(i,j)-6||abs(i-j)==11||!(i%8)", ""},
    {"wraps", QKV("1,1,40,8"), "mask=i*0x7fffffff+j*0x10000001>0", "modulo 2^32"},
    {"division_by_zero", QKV("1,1,40,8"), "mask=i/(j%4)+i%(j%3)<9", ""},
    {"choice", QKV("1,2,40,16"), "mask=i<10?j<5:i<20?j>=30:i<30?(j%2?1:i==j):1", ""},
    {"table", QKV("2,2,60,16") " table.doc=2,60@0,0,0,0,0,1,1,1,1,1,1,1,2,2,2,2,2,2,2,2",
     "mask=doc[b,i]==doc[b,j]", "packed documents"},
    {"table_outside", QKV("1,2,60,16") " table.t=20@1,0,1", "mask=t[j-10]||i==j",
     "entries outside are 0"},
    {"table_4_axes", QKV("2,3,40,8") " table.t=2,3,4,4@0..1", "mask=t[b,h,i/10,j/10]", ""},
    {"tables", QKV("2,2,50,16") " table.glob=2,50@1,0,0,0,0,0,0,0,0,0,0,0 table.dil=2@1,3",
     "mask=abs(i-j)<=w*dil[h]&&(i-j)%dil[h]==0||glob[b,i]||glob[b,j] param.w=4", "longformer"},
    {"alibi", QKV("2,4,60,16") " table.slope:float=4@0.5,0.25,0.125,0.0625",
     "mask=j<=i score=score-slope[h]*abs(i-j)", "a score, and full tiles with one"},
    {"softcap", QKV("1,2,70,16"), "score=cap*tanh(score/cap) param.cap=1.5", "no mask"},
    {"relative_bias", QKV("2,2,50,16") " table.rel:float=2,17",
     "score=score+rel[h,max(-k,min(k,j-i))+k] param.k=8", ""},
    {"score_removes", QKV("1,2,60,16"), "score=(i+j)%3?score:-inf", "-inf removes the key"},
    {"score_removes_all", QKV("1,2,40,16"), "score=i<20?-inf:score", "rows that see nothing"},
    {"score_not_finite", QKV("1,1,9,8"), "score=i==3?inf:i==5&&j==2?inf-inf:score",
     "rows that are NaN"},
    {"score_not_seen", QKV("1,1,30,8"), "mask=j<=i score=j>i?inf:score",
     "what the score gives to an invisible pair is dropped"},
    {"score_functions", QKV("1,2,40,16"),
     "score=min(sin(score),cos(score))+sqrt(abs(score))+log(1+exp(min(score,4)))+floor(score/4)",
     "every function of floats"},
    {"score_conversions", QKV("1,2,40,16"),
     "score=score+float(i-j)/64+int(2.5)-int(-1e30)/2147483647+(i<j)*0.25", ""},
    {"score_variables", QKV("3,2,40,16") " lengths=3@40,13,27",
     "score=score+0.01*(h+b+n+m+len+qlen+i-j)", ""},
    {"lengths", QKV("3,2,70,16") " lengths=3@70,23,0", "mask=j<=i+len-qlen tile=16",
     "queries end there too"},
    {"lengths_cross", "q=3,2,40,16 k=3,2,90,16 v=3,2,90,16 lengths=3@90,50,7", "mask=j<=i+len-qlen",
     ""},
    {"query_lengths", QKV("3,2,40,16") " lengths=3@40,20,9 query_lengths=3@10,40,0",
     "mask=j<=i+len-qlen&&i-j<30", ""},
    {"decode", "q=2,4,1,64 k=2,4,3000,64 v=2,4,3000,64", "mask=j%5!=0", "one query"},
    {"long_rows", QKV("1,1,600,16"), "mask=j<8||(i-j)%31<4 tile=32", ""},
    {"everything",
     "q=2,4,140,24 k=2,2,150,24 v=2,2,150,40 table.doc=2,150@0..3 table.slope:float=4 "
     "lengths=2@150,81 query_lengths=2@140,70",
     "mask=doc[b,j]!=h&&j<=i+m-n score=cap*tanh((score-slope[h]*abs(i-j))/cap) param.cap=5.5 "
     "scale=0.2 tile=32",
     "all options at once"},
    {"head_mask", QKV("1,4,40,16") " head_mask=4@1,0,1,1", "mask=j<=i score=score-0.1*h",
     "a pruned head"},
    {"head_mask_dense", QKV("1,3,40,16") " head_mask=3@0,1,1", "", "one without a pattern"},
    {"one_position", QKV("1,1,1,8"), "mask=i==j", ""},
    {"no_queries", "q=1,2,0,16 k=1,2,30,16 v=1,2,30,16", "mask=i>j", "N = 0"},
    {"no_keys", "q=1,2,20,16 k=1,2,0,16 v=1,2,0,16", "mask=i>j", "M = 0"},
    {"no_batch", "q=0,2,20,16 k=0,2,30,16 v=0,2,30,16", "mask=i>j", "B = 0"},
};

static ikat_status check(ikati_request *request) {
    const int64_t side = ikati_setting(request, "tile")->integer;
    ikat_status status = ikati_attention_check(request);
    if (!status) {
        ikati_custom custom;
        status = ikati_custom_open(request, &custom);
        ikati_custom_close(&custom);
    }
    const int64_t num_queries = ikati_extent(request, "N"), num_keys = ikati_extent(request, "M");
    if (!status) {
        status = ikati_shape_fix(request, "Nt", num_queries / side + (num_queries % side != 0));
    }
    return status ? status
                  : ikati_shape_fix(request, "Mt", num_keys / side + (num_keys % side != 0));
}

static ikati_cost cost(const ikati_request *request) {
    ikati_custom custom;
    const ikat_status status = ikati_custom_open(request, &custom);
    const double pairs = status ? -1 : ikati_custom_pairs(&custom);
    ikati_custom_close(&custom);
    return ikati_attention_cost(request, pairs);
}

static double tolerance(const ikati_request *request, uint32_t output) {
    ikati_custom custom;
    (void)output;
    const ikat_status status = ikati_custom_open(request, &custom);
    const double slope = status ? 1 : ikati_custom_slope(&custom);
    ikati_custom_close(&custom);
    return slope * ikati_tolerance_default(request->dtype, (double)ikati_extent(request, "M"));
}

// Lengths as a table of the plan: `heads` reads them like an input.
static ikat_status add_lengths(const int32_t *values, int64_t count, ikati_lowering *lowering,
                               const ikat_tensor *tensor, ikati_view *out) {
    const uint32_t table =
        ikati_lowering_table(lowering, values, (uint64_t)count * sizeof(*values));
    *out = (ikati_view){.kind = IKATI_SLOT_TABLE, .index = table, .tensor = tensor};
    return table == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

static ikat_status lower_attention(ikati_custom *custom, ikati_lowering *lowering) {
    const ikati_request *request = custom->request;
    const int64_t num_batches = ikati_extent(request, "B");
    ikat_tensor lengths = ikat_tensor_packed(IKAT_INT32, 1, num_batches, 0, 0, 0);
    lengths.strides[0] = 1;
    ikati_attention attention = ikati_attention_of_call(request);
    attention.lengths = (ikati_view){0}; // structure: nothing is bound
    ikat_status status = IKAT_OK;
    if (num_batches && (ikati_input(request, "lengths")->present ||
                        ikati_input(request, "query_lengths")->present)) {
        status = add_lengths(custom->lengths, num_batches, lowering, &lengths, &attention.lengths);
        status = status ? status
                        : add_lengths(custom->query_lengths, num_batches, lowering, &lengths,
                                      &attention.query_lengths);
    }
    if (!status && ikati_custom_sees_all(custom) && ikati_custom_score_is_plain(custom)) {
        return ikati_lower_attention(lowering, &attention);
    }
    ikati_attend_expressions expressions;
    ikati_patterns patterns;
    status = status ? status : ikati_custom_programs(custom, lowering, &expressions);
    status = status ? status : ikati_custom_patterns(custom, &patterns);
    if (status) {
        return status;
    }
    attention.pattern = &patterns.items[0];
    attention.expressions = &expressions;
    status = ikati_lower_patterns(lowering, &attention, 1, IKATI_PATTERNS_APART);
    ikati_patterns_free(&patterns);
    return status;
}

static ikat_status lower_block_map(ikati_custom *custom, ikati_lowering *lowering) {
    if (!custom->request->outputs[OUTPUT_BLOCK_MAP].present) {
        return IKAT_OK;
    }
    int32_t *map = ikati_custom_block_map(custom);
    const ikat_status status =
        map ? ikati_lowering_write_output(lowering, custom->request, OUTPUT_BLOCK_MAP, map)
            : IKAT_NO_MEMORY;
    ikati_free(custom->host, map);
    return status;
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    ikati_custom custom;
    ikat_status status = ikati_custom_open(request, &custom);
    status = status ? status : lower_attention(&custom, lowering);
    status = status ? status : lower_block_map(&custom, lowering);
    ikati_custom_close(&custom);
    return status;
}

const ikati_mechanism ikati_mechanism_custom = {
    .info =
        {
            .name = "custom",
            .title = "Attention by expressions",
            .citation = "The idea of FlexAttention, Dong et al., arXiv:2412.05496; the language is "
                        "ours",
            .family = "patterns",
            .cost = "time O(visible tiles (D + Dv)), and the expression once a pair of tiles that "
                    "the mask cuts; memory O(N) and an entry a tile",
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
    .lower = lower,
    .tolerance = tolerance,
    .sees = ikati_custom_sees,
};
