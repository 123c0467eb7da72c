// Dense attention: exact softmax attention with every option of its page (windows, soft cap, ALiBi,
// bias, sinks, lengths) and what leaves work out: block masks, and the best keys of a row.
//
// Vaswani et al., Attention Is All You Need, arXiv:1706.03762; computed as in Dao,
// FlashAttention-2, arXiv:2307.08691. Block masks: Gray, Radford, Kingma, GPU Kernels for Block-Sparse
// Weights (2017). Top-k: Zhao et al., Explicit Sparse Transformer, arXiv:1912.11637.

#include "dense.h"

#include "../lower_attend.h"
#include "../shape.h"

#include <math.h>

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    {.name = "bias",
     .shape = "[B or 1,H or 1,N,M]",
     .dtype = "any float",
     .optional = true,
     .help = "added to the score; -inf removes the key"},
    {.name = "alibi_slopes",
     .shape = "[H] or [B,H]",
     .dtype = "any float",
     .optional = true,
     .help = "ALiBi slopes; turns ALiBi on"},
    {.name = "sinks",
     .shape = "[H]",
     .dtype = "any float",
     .optional = true,
     .help = "one extra logit per head in the softmax, with no value"},
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..M",
     .help = "valid keys"},
    {.name = "query_lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..N",
     .help = "valid queries; absent: lengths where N == M, else N"},
    {.name = "block_mask",
     .shape = "[1 or H,nq,nk]",
     .dtype = "int32",
     .optional = true,
     .structure = true,
     .help = "0: this tile of queries and keys is left out; nq = ceil(N / block_size), "
             "nk = ceil(M / block_size)"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out", .shape = "[B,H,N,Dv]", .dtype = "float", .help = "result"},
    {.name = "lse",
     .shape = "[B,H,N]",
     .dtype = "float32",
     .optional = true,
     .help = "natural log of each row's normaliser, the sink included"},
};

static const ikat_setting_info settings[] = {
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key right of the diagonal; overrides window_right"},
    {.name = "window_left",
     .type = IKAT_SETTING_INT,
     .default_text = "-1",
     .minimum = -1,
     .maximum = INT32_MAX,
     .help = "keys left of the diagonal that stay visible; -1: all"},
    {.name = "window_right",
     .type = IKAT_SETTING_INT,
     .default_text = "-1",
     .minimum = -1,
     .maximum = INT32_MAX,
     .help = "keys right of the diagonal that stay visible; -1: all"},
    {.name = "scale",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1/sqrt(D)",
     .minimum = -INFINITY,
     .maximum = INFINITY,
     .help = "factor on q.k"},
    {.name = "softcap",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "0",
     .maximum = INFINITY,
     .help = "scores become softcap * tanh(score / softcap); 0: off"},
    {.name = "alibi",
     .type = IKAT_SETTING_INT,
     .default_text = "1 if alibi_slopes is given, else 0",
     .maximum = 1,
     .help = "1 without slopes: the default slopes"},
    {.name = "block_size",
     .type = IKAT_SETTING_INT,
     .default_text = "64",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "side of a tile of block_mask; only with it"},
    {.name = "topk",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = IKATI_MAX_INTEGER,
     .help = "keys kept a row, those with the highest scores, ties too; 0: all"},
};

static const ikat_mechanism_case cases[] = {
    {"self", "q=2,3,33,16 k=2,3,33,16 v=2,3,33,16", "",
     "the plain case, no size a multiple of a tile"},
    {"cross", "q=1,2,17,8 k=1,2,70,8 v=1,2,70,8", "", "more keys than queries"},
    {"odd_sizes", "q=2,3,21,5 k=2,3,29,5 v=2,3,29,7", "",
     "D and Dv differ, neither a multiple of anything"},
    {"head_1", "q=1,2,9,1 k=1,2,11,1 v=1,2,11,1", "", "the smallest head"},
    {"head_64", "q=1,2,130,64 k=1,2,130,64 v=1,2,130,64", "", "the most common head"},
    {"head_80_96", "q=1,2,40,80 k=1,2,70,80 v=1,2,70,96", "", "between the size classes"},
    {"head_128", "q=1,1,70,128 k=1,1,90,128 v=1,1,90,128", "causal=1",
     "the second most common head"},
    {"head_200_130", "q=1,1,20,200 k=1,1,40,200 v=1,1,40,130", "", "past the tuned classes"},
    {"head_512", "q=1,1,18,512 k=1,1,37,512 v=1,1,37,512", "causal=1", "the largest head"},
    {"head_33_512", "q=1,1,10,33 k=1,1,20,33 v=1,1,20,512", "", "a small head with large values"},
    {"causal", "q=2,2,150,32 k=2,2,150,32 v=2,2,150,32", "causal=1", ""},
    {"causal_fewer_queries", "q=1,2,40,16 k=1,2,100,16 v=1,2,100,16", "causal=1",
     "bottom-right alignment"},
    {"causal_fewer_keys", "q=1,2,100,16 k=1,2,40,16 v=1,2,40,16", "causal=1",
     "the first N - M rows see nothing"},
    {"window", "q=1,2,200,16 k=1,2,200,16 v=1,2,200,16", "window_left=20 window_right=7", ""},
    {"window_left", "q=1,2,90,16 k=1,2,130,16 v=1,2,130,16", "window_left=33", ""},
    {"window_right", "q=1,2,130,16 k=1,2,90,16 v=1,2,90,16", "window_right=5", ""},
    {"window_self", "q=1,2,40,8 k=1,2,40,8 v=1,2,40,8", "window_left=0 window_right=0", "out = v"},
    {"multi_query", "q=2,4,30,16 k=2,1,45,16 v=2,1,45,16", "", "one key/value head"},
    {"grouped_query", "q=2,6,30,16 k=2,2,45,16 v=2,2,45,24", "causal=1",
     "three query heads a key/value head"},
    {"softcap", "q=1,2,40,16 k=1,2,60,16 v=1,2,60,16", "softcap=1.5", ""},
    {"alibi", "q=2,6,50,16 k=2,6,50,16 v=2,6,50,16", "alibi=1 causal=1",
     "default slopes, H no power of two"},
    {"alibi_slopes", "q=1,4,50,16 k=1,4,70,16 v=1,4,70,16 alibi_slopes=4@0.5,0.1,0,2", "",
     "distance on both sides"},
    {"alibi_slopes_batch", "q=2,2,20,8 k=2,2,20,8 v=2,2,20,8 alibi_slopes=2,2", "",
     "a slope a batch and head"},
    {"sinks", "q=2,3,40,16 k=2,3,40,16 v=2,3,40,16 sinks=3@0.5,-inf,4", "",
     "one of them is no sink"},
    {"sinks_nothing_visible", "q=1,2,60,16 k=1,2,30,16 v=1,2,30,16 sinks=2@1,2", "causal=1",
     "rows that see only the sink"},
    {"bias", "q=2,3,40,16 k=2,3,50,16 v=2,3,50,16 bias=2,3,40,50", "", ""},
    {"bias_broadcast", "q=2,3,40,16 k=2,3,50,16 v=2,3,50,16 bias=1,1,40,50", "causal=1", ""},
    {"bias_removes",
     "q=1,2,40,16 k=1,2,50,16 v=1,2,50,16 bias=1,2,40,50@0,-inf,0.5,-inf,-inf,1,-inf", "",
     "-inf removes keys"},
    {"bias_removes_all", "q=1,1,9,8 k=1,1,12,8 v=1,1,12,8 bias=1,1,9,12@-inf", "",
     "rows that see nothing"},
    {"bias_not_finite", "q=1,1,9,8 k=1,1,12,8 v=1,1,12,8 bias=1,1,9,12@0,inf,0,0,0,0,0,0,0,0,0,0,0",
     "", "rows with +inf are NaN"},
    {"lengths", "q=3,2,40,16 k=3,2,40,16 v=3,2,40,16 lengths=3@40,13,0", "",
     "self-attention: queries end there too"},
    {"lengths_causal", "q=3,2,40,16 k=3,2,90,16 v=3,2,90,16 lengths=3@90,50,7", "causal=1",
     "a cache filled to different lengths"},
    {"query_lengths",
     "q=3,2,40,16 k=3,2,40,16 v=3,2,40,16 lengths=3@40,20,9 query_lengths=3@10,40,0",
     "causal=1 window_left=12", ""},
    {"everything",
     "q=2,4,70,24 k=2,2,90,24 v=2,2,90,40 bias=1,4,70,90 alibi_slopes=4 sinks=4 lengths=2@90,61 "
     "query_lengths=2@70,33",
     "causal=1 window_left=50 softcap=3 scale=0.3", "all options at once"},
    {"decode", "q=2,4,1,64 k=2,4,3000,64 v=2,4,3000,64", "causal=1",
     "one query, keys split over workgroups"},
    {"decode_lengths", "q=3,4,2,32 k=3,1,2000,32 v=3,1,2000,32 lengths=3@2000,700,1 sinks=4",
     "causal=1", "a partly filled cache; the sink goes to one part"},
    {"decode_odd", "q=1,2,3,20 k=1,2,1500,20 v=1,2,1500,9", "", "parts of odd rows"},
    {"head_mask", "q=2,4,40,16 k=2,2,50,16 v=2,2,50,16 sinks=4 lengths=2@50,21 head_mask=4@1,0,1,0",
     "causal=1 window_left=17", "pruned heads beside everything that clips"},
    {"head_mask_decode", "q=1,4,1,32 k=1,4,3000,32 v=1,4,3000,32 head_mask=4@0,1,1,1", "causal=1",
     "a pruned head beside keys that are split"},
    {"head_mask_none", "q=1,2,20,16 k=1,2,30,16 v=1,2,30,16 head_mask=2@0", "",
     "all heads are pruned"},
    {"lse_alone", "q=1,2,20,16 k=1,2,600,16 v=1,2,600,7 !out", "", "no values are wanted"},
    {"block_mask",
     "q=2,2,200,16 k=2,2,200,16 v=2,2,200,16 block_mask=2,4,4@1,0,0,1,1,1,0,0,0,0,1,1,0,1,1", "",
     "a mask a head, tiles of the default size, the last ones cut"},
    {"block_shared", "q=1,3,100,16 k=1,3,170,16 v=1,3,170,16 block_mask=1,7,11@1,0,0,1,1,0,1",
     "block_size=16", "one mask for all heads; tiles of queries hold rows of tiles that differ"},
    {"block_window",
     "q=1,2,150,16 k=1,2,190,16 v=1,2,190,16 block_mask=1,5,6@1,1,0,1,1,1,0,1,1,0,1,1,1",
     "block_size=32 window_left=60 window_right=9", "the window's edges run through tiles"},
    {"block_causal", "q=1,2,190,16 k=1,2,190,16 v=1,2,190,16 block_mask=2,4,4@1,1,0,1,1,0,1",
     "block_size=50 causal=1", "tiles count from key 0, not from the diagonal"},
    {"block_one", "q=1,2,70,16 k=1,2,90,16 v=1,2,90,16 block_mask=2,70,90@0..1", "block_size=1",
     "an arbitrary mask"},
    {"block_one_few", "q=1,1,130,16 k=1,1,300,16 v=1,1,300,16 block_mask=1,130,300@0*40,1,0*26,1",
     "block_size=1 causal=1", "few keys, far apart: gathered"},
    {"block_columns", "q=1,2,90,16 k=1,2,150,16 v=1,2,150,16 block_mask=1,9,15@1,0,0,1,0",
     "block_size=10", "all rows of tiles alike"},
    {"block_any_value", "q=1,2,40,16 k=1,2,40,16 v=1,2,40,16 block_mask=1,3,3@-5,0,7",
     "block_size=16", "what is not 0 counts as 1"},
    {"block_none", "q=1,2,40,16 k=1,2,40,16 v=1,2,40,16 block_mask=2,3,3@0*9,1,0,1 sinks=2",
     "block_size=16", "a head that sees nothing, but for its sink"},
    {"block_large_tile", "q=1,2,40,16 k=1,2,70,16 v=1,2,70,16 block_mask=2,1,1@1,0",
     "block_size=100000", "one tile"},
    {"block_decode", "q=2,4,1,64 k=2,2,3000,64 v=2,2,3000,64 block_mask=4,1,47@1,0,1,1,0,0,1",
     "causal=1", "one query, long tiles are split"},
    {"block_everything",
     "q=2,4,70,24 k=2,2,90,24 v=2,2,90,40 bias=1,4,70,90 alibi_slopes=4 sinks=4 lengths=2@90,61 "
     "query_lengths=2@70,33 head_mask=4@1,1,0,1 block_mask=4,9,12@1,0,1,1,1,0,1",
     "block_size=8 causal=1 window_left=50 softcap=3 scale=0.3", "all options at once"},
    {"topk", "q=2,3,40,16 k=2,3,90,16 v=2,3,90,16", "topk=8", ""},
    {"topk_one", "q=1,2,70,16 k=1,2,70,16 v=1,2,70,16", "topk=1 causal=1", "the best key's value"},
    {"topk_many", "q=1,2,70,16 k=1,2,300,16 v=1,2,300,16", "topk=299", "all but the worst"},
    {"topk_all", "q=1,2,40,16 k=1,2,50,16 v=1,2,50,16", "topk=50", "as without"},
    {"topk_window", "q=1,2,90,16 k=1,2,130,16 v=1,2,130,16",
     "topk=16 window_left=20 window_right=4", "the first rows see fewer keys"},
    {"topk_ties", "q=1,2,40,16 k=1,2,60,16 v=1,2,60,16 bias=1,1,40,60@0,0,0,-inf,2,2,2,1,1,1,1",
     "topk=11 scale=0", "ties stay"},
    {"topk_bias", "q=1,2,40,16 k=1,2,60,16 v=1,2,60,16 bias=1,2,40,60@0,-inf,0.5,-inf,-inf,1,-inf",
     "topk=20", "more than some rows see"},
    {"topk_sinks", "q=2,3,40,16 k=2,3,60,16 v=2,3,60,16 sinks=3@0.5,-inf,4 lengths=2@60,21",
     "topk=4 softcap=2", "sinks do not count"},
    {"topk_odd_sizes", "q=2,3,21,5 k=2,3,29,5 v=2,3,29,7", "topk=3", ""},
    {"topk_head_64", "q=1,2,130,64 k=1,2,300,64 v=1,2,300,64", "topk=32", ""},
    {"topk_head_128", "q=1,1,70,128 k=1,1,190,128 v=1,1,190,128", "topk=16 causal=1", ""},
    {"topk_head_512", "q=1,1,18,300 k=1,1,70,300 v=1,1,70,512", "topk=5", ""},
    {"topk_decode", "q=2,4,1,64 k=2,1,5000,64 v=2,1,5000,64", "topk=64 causal=1",
     "one query, keys split over workgroups"},
    {"topk_blocks",
     "q=2,4,70,24 k=2,2,90,24 v=2,2,90,40 bias=1,4,70,90 alibi_slopes=4 sinks=4 lengths=2@90,61 "
     "query_lengths=2@70,33 head_mask=4@1,1,0,1 block_mask=4,9,12@1,0,1,1,1,0,1",
     "topk=6 block_size=8 causal=1 window_left=50 softcap=3 scale=0.3", "all options at once"},
    {"topk_no_keys", "q=1,2,20,16 k=1,2,0,16 v=1,2,0,16", "topk=3", ""},
    {"topk_no_queries", "q=1,2,0,16 k=1,2,30,16 v=1,2,30,16", "topk=3", ""},
    {"scale_zero", "q=1,2,20,16 k=1,2,30,16 v=1,2,30,16", "scale=0",
     "each row is the mean of its values"},
    {"scale_negative", "q=1,2,20,16 k=1,2,30,16 v=1,2,30,16", "scale=-0.7", ""},
    {"no_queries", "q=1,2,0,16 k=1,2,30,16 v=1,2,30,16", "", "N = 0"},
    {"no_keys", "q=1,2,20,16 k=1,2,0,16 v=1,2,0,16", "", "M = 0: rows see nothing"},
    {"no_batch", "q=0,2,20,16 k=0,2,30,16 v=0,2,30,16", "", "B = 0"},
    {"many_heads", "q=3,80,4,8 k=3,80,6,8 v=3,80,6,8", "", "many small problems"},
    {"picture", "q=1,1,64,16 k=1,1,64,16 v=1,1,64,16", "causal=1 window_left=40",
     "what ikat show draws"},
    {"large_self", "q=1,1,20000,64 k=1,1,20000,64 v=1,1,20000,64", "", "where N x M would not do"},
    {"large_causal", "q=1,1,20000,64 k=1,1,20000,64 v=1,1,20000,64", "causal=1", ""},
    {"large_window", "q=1,1,20000,64 k=1,1,20000,64 v=1,1,20000,64",
     "window_left=300 window_right=40", ""},
    {"large_lengths", "q=2,1,20000,64 k=2,1,20000,64 v=2,1,20000,64 lengths=2@16385,256",
     "causal=1", ""},
    {"large_decode", "q=1,4,1,64 k=1,1,200000,64 v=1,1,200000,64", "causal=1", "a long cache"},
    {"large_blocks",
     "q=1,1,20000,64 k=1,1,20000,64 v=1,1,20000,64 block_mask=1,313,313@1,0,0,0,1,0,0", "causal=1",
     "two of seven tiles"},
    {"large_topk", "q=1,1,20000,64 k=1,1,20000,64 v=1,1,20000,64", "causal=1 topk=64", ""},
    {"large_topk_decode", "q=1,4,1,64 k=1,1,200000,64 v=1,1,200000,64", "topk=300", ""},
    {"large_head", "q=1,2,3,64 k=1,1,530000,64 v=1,1,530000,64", "",
     "a head past a storage range of 128 MiB"},
};

static ikat_status check_blocks(ikati_request *request) {
    const ikati_call_setting *size = ikati_setting(request, "block_size");
    if (!ikati_input(request, "block_mask")->present) {
        return size->chosen ? ikati_attention_refuse(request, "block_size", "only with block_mask")
                            : IKAT_OK;
    }
    const uint64_t side = (uint64_t)size->integer;
    const uint64_t num_queries = (uint64_t)ikati_extent(request, "N");
    const uint64_t num_keys = (uint64_t)ikati_extent(request, "M");
    ikat_status status =
        ikati_shape_fix(request, "nq", (int64_t)ikati_divide_up(num_queries, side));
    return status ? status
                  : ikati_shape_fix(request, "nk", (int64_t)ikati_divide_up(num_keys, side));
}

static ikat_status check(ikati_request *request) {
    ikat_status status = ikati_attention_check(request);
    if (status) {
        return status;
    }
    const ikati_call_setting *alibi = ikati_setting(request, "alibi");
    if (ikati_input(request, "alibi_slopes")->present && alibi->given && alibi->integer == 0) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                          "alibi is 0 but alibi_slopes is given, expected one or the other");
    }
    return check_blocks(request);
}

static bool uses_alibi(const ikati_request *request) {
    const ikati_call_setting *alibi = ikati_setting(request, "alibi");
    return alibi->given ? alibi->integer == 1 : ikati_input(request, "alibi_slopes")->present;
}

// Groups of queries: what the variants for few rows hold on devices of type CPU, where a row's work is
// what counts; elsewhere a tile of the variants that have the best of their loads.
enum { CPU_ROWS = 16, GPU_ROWS = 64 };

static ikat_status make_patterns(const ikati_request *request, ikati_patterns *out_patterns) {
    return ikati_dense_patterns(request, ikati_dense_window_of(request), GPU_ROWS, out_patterns);
}

// Keys that a row keeps; 0: all, as where it never sees more.
static int64_t topk_of(const ikati_request *request) {
    const int64_t topk = ikati_setting(request, "topk")->integer;
    return topk < ikati_extent(request, "M") ? topk : 0;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    return ikati_tolerance_default(request->dtype, (double)ikati_extent(request, "M"));
}

// With P the largest power of two <= H: 2^(-8(h+1)/P) for h < P, else the odd-numbered slopes of 2P
// heads.
static ikat_status add_default_slopes(ikati_lowering *lowering, int64_t num_heads,
                                      uint32_t *out_table) {
    float *slopes = ikati_alloc(lowering->host, (size_t)num_heads, sizeof(*slopes));
    if (!slopes) {
        return IKAT_NO_MEMORY;
    }
    int64_t power = 1;
    while (power * 2 <= num_heads) {
        power *= 2;
    }
    for (int64_t h = 0; h < num_heads; h++) {
        double exponent = h < power ? -8.0 * (double)(h + 1) : -4.0 * (double)(2 * (h - power) + 1);
        slopes[h] = (float)exp2(exponent / (double)power);
    }
    *out_table = ikati_lowering_table(lowering, slopes, (uint64_t)num_heads * sizeof(*slopes));
    ikati_free(lowering->host, slopes);
    return *out_table == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
}

// By tiles of a schedule. With lengths only the kernel knows where the diagonal ends.
static ikat_status lower_pattern(const ikati_request *request, ikati_lowering *lowering,
                                 ikati_attention *attention) {
    const bool is_cpu = ikati_lowering_device(lowering)->type == IKAT_DEVICE_CPU;
    const bool moves = attention->lengths.kind || attention->query_lengths.kind;
    ikati_dense_window window = IKATI_DENSE_OPEN;
    if (!moves) {
        window = ikati_dense_window_of(request);
        attention->window_left = attention->window_right = -1;
    }
    ikati_patterns patterns;
    ikat_status status =
        ikati_dense_patterns(request, window, is_cpu ? CPU_ROWS : GPU_ROWS, &patterns);
    if (!status) {
        attention->pattern = &patterns.items[0];
        status = ikati_lower_patterns(lowering, attention, 1, IKATI_PATTERNS_APART);
        ikati_patterns_free(&patterns);
    }
    return status;
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    const ikati_dense_window window = ikati_dense_window_of(request);
    ikati_attention attention = ikati_attention_of_call(request);
    attention.bias = ikati_input_view(request, "bias");
    attention.query_lengths = ikati_input_view(request, "query_lengths");
    attention.slopes = ikati_input_view(request, "alibi_slopes");
    attention.sinks = ikati_input_view(request, "sinks");
    attention.alibi = uses_alibi(request);
    attention.softcap = ikati_setting(request, "softcap")->number;
    attention.window_left = window.left;
    attention.window_right = window.right;
    attention.topk = (uint32_t)topk_of(request);
    ikat_tensor slopes = ikat_tensor_packed(IKAT_FLOAT32, 1, ikati_extent(request, "H"), 0, 0, 0);
    slopes.strides[0] = 1;
    if (attention.alibi && attention.slopes.kind == IKATI_SLOT_NONE) {
        attention.slopes = (ikati_view){.kind = IKATI_SLOT_TABLE, .tensor = &slopes};
        ikat_status status = add_default_slopes(lowering, slopes.shape[0], &attention.slopes.index);
        if (status) {
            return status;
        }
    }
    return attention.topk || ikati_input(request, "block_mask")->present
               ? lower_pattern(request, lowering, &attention)
               : ikati_lower_attention(lowering, &attention);
}

const ikati_mechanism ikati_mechanism_dense = {
    .info =
        {
            .name = "dense",
            .title = "Dense attention",
            .citation =
                "Vaswani et al., Attention Is All You Need, arXiv:1706.03762; computed as in Dao, "
                "FlashAttention-2, arXiv:2307.08691",
            .family = "exact",
            .cost = "time O(N M (D + Dv)), less the tiles outside a window; memory O(N) beyond the "
                    "tensors",
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
    .lower = lower,
    .tolerance = tolerance,
};
