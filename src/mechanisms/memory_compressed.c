// Memory-compressed attention: keys and values shortened by a strided convolution, with a null key in
// front; or attention inside blocks, the layers that alternate with it.
//
// Liu et al., Generating Wikipedia by Summarizing Long Sequences, arXiv:1801.10198, section 4.2; the null
// keys and strides as in Tensor2Tensor, Mesh TensorFlow and Wang's port.

#include "../integers.h"
#include "../windows.h"

#include <inttypes.h>
#include <string.h>

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    IKATI_CONV_INPUTS,
    {.name = "null_k",
     .shape = "[Hkv,D]",
     .dtype = "float",
     .optional = true,
     .help = "null=learned: key in front of the windows"},
    {.name = "null_v",
     .shape = "[Hkv,Dv]",
     .dtype = "float",
     .optional = true,
     .help = "null=learned: its value"},
    IKATI_KEY_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {IKATI_ATTENTION_OUTPUTS};

// The words of the settings, in their order.
typedef enum mode { COMPRESSED, LOCAL } mode;
typedef enum compression { CONV, MEAN } compression;
typedef enum tail { PAD, DROP } tail;
typedef enum null_key { FIRST, ZERO, LEARNED, NONE } null_key;

static const char *const modes[] = {"compressed", "local", NULL};
static const char *const compressions[] = {"conv", "mean", NULL};
static const char *const tails[] = {"pad", "drop", NULL};
static const char *const null_keys[] = {"first", "zero", "learned", "none", NULL};

static const ikat_setting_info settings[] = {
    {.name = "mode",
     .type = IKAT_SETTING_WORD,
     .default_text = "compressed",
     .words = modes,
     .help = "local: attention inside blocks, without windows"},
    {.name = "compression",
     .type = IKAT_SETTING_WORD,
     .default_text = "conv",
     .words = compressions,
     .help = "how a window becomes a key: by conv_k and conv_v, or as its mean"},
    {.name = "stride",
     .type = IKAT_SETTING_INT,
     .default_text = "w, 3 with mean",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "distance of windows; with mean their size too"},
    {.name = "tail",
     .type = IKAT_SETTING_WORD,
     .default_text = "pad",
     .words = tails,
     .help = "drop: an incomplete last window is invisible"},
    {.name = "null",
     .type = IKAT_SETTING_WORD,
     .default_text = "first",
     .words = null_keys,
     .help = "the extra key: position 0 itself; score and value 0; null_k and null_v; none"},
    {.name = "block_size",
     .type = IKAT_SETTING_INT,
     .default_text = "256",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "mode=local: positions of a block"},
    {.name = "look_back",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = IKATI_MAX_INTEGER,
     .help = "mode=local: earlier blocks that are visible too"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: only windows that end at the query or before, keys up to the query"},
    IKATI_SCALE_SETTING,
};

#define FILTERS(shape, outputs) \
    " conv_k=" shape " conv_v=" shape " conv_k_bias=" outputs " conv_v_bias=" outputs

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,61,16", "2,3,61,16") FILTERS("3,16,48", "48"), "",
     "a bank a head; the last window is short"},
    {"causal", "q=2,4,50,16 k=2,2,50,16 v=2,2,50,8 conv_k=5,16,16 conv_v=5,8,16 lengths=2@50,33",
     "causal=1 stride=2", "windows overlap; heads are mixed in the values"},
    {"causal_cross",
     "q=3,2,23,8 k=3,2,90,8 v=3,2,90,8 conv_k=2,1,16 conv_v=2,2,8 lengths=3@90,31,11",
     "causal=1 stride=5 null=zero scale=0.3", "gaps between windows; rows end where keys do"},
    {"drop", IKATI_QKV("3,2,40,8", "3,2,40,8") " null_k=2,8 null_v=2,8 lengths=3@40,39,0",
     "compression=mean tail=drop null=learned", ""},
    {"mean", IKATI_QKV("1,3,65,16", "1,3,65,16") " head_mask=3@1,0,1",
     "compression=mean stride=7 causal=1", "a pruned head"},
    {"none", "q=1,2,9,16 k=1,1,70,16 v=1,1,70,5 lengths=1@50",
     "compression=mean stride=90 null=none tail=pad", "one window, wider than the input"},
    {"more_queries", "q=1,2,70,8 k=1,2,41,8 v=1,2,41,8 conv_k=3,8,8 conv_v=3,8,8", "causal=1",
     "the first rows are before position 0"},
    {"large", "q=1,2,700,64 k=1,2,700,64 v=1,2,700,64 conv_k=3,64,64 conv_v=3,64,64", "causal=1",
     "many tiles"},
    {"local", IKATI_QKV("2,2,75,16", "2,2,75,16") " lengths=2@75,40", "mode=local block_size=16",
     ""},
    {"local_causal", IKATI_QKV("1,2,300,16", "1,2,300,16"),
     "mode=local block_size=64 look_back=1 causal=1", ""},
    {"local_cross", "q=3,4,31,8 k=3,2,50,8 v=3,2,50,12 lengths=3@50,20,0",
     "mode=local block_size=7 look_back=2 causal=1", "rows end where keys do"},
    {"large_causal", "q=1,2,20000,64 k=1,2,20000,64 v=1,2,20000,64 conv_k=3,64,64 conv_v=3,64,64",
     "causal=1", ""},
};

static int64_t word_of(const ikati_request *request, const char *name) {
    return ikati_setting(request, name)->integer;
}

// Where an argument belongs: to all calls in which these settings have these words.
typedef struct argument_use {
    const char *name, *setting;
    int64_t word;
    const char *expected;
} argument_use;

static const argument_use input_uses[] = {
    {"conv_k", "compression", CONV, "only with compression=conv"},
    {"conv_v", "compression", CONV, "only with compression=conv"},
    {"conv_k_bias", "compression", CONV, "only with compression=conv"},
    {"conv_v_bias", "compression", CONV, "only with compression=conv"},
    {"null_k", "null", LEARNED, "only with null=learned"},
    {"null_v", "null", LEARNED, "only with null=learned"},
};

static const argument_use setting_uses[] = {
    {"compression", "mode", COMPRESSED, "only with mode=compressed"},
    {"stride", "mode", COMPRESSED, "only with mode=compressed"},
    {"tail", "mode", COMPRESSED, "only with mode=compressed"},
    {"null", "mode", COMPRESSED, "only with mode=compressed"},
    {"block_size", "mode", LOCAL, "only with mode=local"},
    {"look_back", "mode", LOCAL, "only with mode=local"},
};

static ikat_status refuse_others(const ikati_request *request) {
    const bool is_local = word_of(request, "mode") == LOCAL;
    for (size_t i = 0; i < sizeof(input_uses) / sizeof(input_uses[0]); i++) {
        const argument_use *use = &input_uses[i];
        const bool is_used = !is_local && word_of(request, use->setting) == use->word;
        if (!is_used && ikati_input(request, use->name)->present) {
            return ikati_attention_refuse(request, use->name,
                                          is_local ? "only with mode=compressed" : use->expected);
        }
    }
    for (size_t i = 0; i < sizeof(setting_uses) / sizeof(setting_uses[0]); i++) {
        const argument_use *use = &setting_uses[i];
        if (word_of(request, "mode") != use->word && ikati_setting(request, use->name)->chosen) {
            return ikati_attention_refuse(request, use->name, use->expected);
        }
    }
    return IKAT_OK;
}

static ikat_status check(ikati_request *request) {
    ikat_status status = ikati_attention_check(request);
    status = status ? status : refuse_others(request);
    if (status || word_of(request, "mode") == LOCAL) {
        return status;
    }
    if (word_of(request, "compression") == CONV) {
        status = ikati_input_require(request, "conv_k", "compression=conv");
        status = status ? status : ikati_input_require(request, "conv_v", "compression=conv");
        status = status ? status : ikati_conv_check(request);
    }
    if (!status && word_of(request, "null") == LEARNED) {
        status = ikati_input_require(request, "null_k", "null=learned");
        status = status ? status : ikati_input_require(request, "null_v", "null=learned");
    }
    return status;
}

// Sizes beyond all positions are cut: a window that is longer than the input stays so.
static ikati_attend_windows compressed_windows(const ikati_request *request) {
    const int64_t positions = ikati_extent(request, "M");
    const bool is_conv = word_of(request, "compression") == CONV;
    const ikati_call_setting *stride = ikati_setting(request, "stride");
    const int64_t taps = is_conv ? ikati_extent(request, "w") : 3;
    const int64_t wanted = ikati_least(stride->given ? stride->integer : taps, positions + 1);
    return (ikati_attend_windows){
        .num_positions = (uint32_t)positions,
        .num_front = word_of(request, "null") != NONE,
        .needs_position = word_of(request, "null") == FIRST,
        .size = (uint32_t)(is_conv ? taps : wanted),
        .stride = (uint32_t)wanted,
        .is_whole = word_of(request, "tail") == DROP,
        .row_block = 1,
    };
}

static ikati_attend_windows local_windows(const ikati_request *request) {
    const int64_t positions = ikati_extent(request, "M");
    const int64_t block = ikati_least(ikati_setting(request, "block_size")->integer, positions + 1);
    return (ikati_attend_windows){.num_positions = (uint32_t)positions,
                                  .size = 1,
                                  .stride = 1,
                                  .row_block = (uint32_t)block,
                                  .from_block = !word_of(request, "causal")};
}

// Pairs that rows see, of full lengths.
static double count_pairs(const ikati_request *request) {
    const bool is_local = word_of(request, "mode") == LOCAL;
    const ikati_attend_windows w = is_local ? local_windows(request) : compressed_windows(request);
    const int64_t num = ikati_extent(request, "N"), shift = (int64_t)w.num_positions - num;
    const int64_t back = is_local ? ikati_least(ikati_setting(request, "look_back")->integer,
                                                w.num_positions / w.row_block + 1)
                                  : 0;
    double pairs = 0;
    for (int64_t i = 0; i < num; i++) {
        const int64_t own = i + shift, start = own - own % w.row_block;
        if (is_local && own >= 0) {
            const int64_t first = start - back * w.row_block;
            const int64_t end =
                w.from_block ? ikati_least(start + w.row_block, w.num_positions) : own + 1;
            pairs += (double)(end - (first > 0 ? first : 0));
        } else if (!is_local && word_of(request, "causal")) {
            pairs += own < 0
                         ? !w.needs_position && w.num_front
                         : w.num_front + (own + 1 < w.size ? 0 : (own + 1 - w.size) / w.stride + 1);
        } else if (!is_local) {
            pairs += ikati_attend_count_keys(&w, w.num_positions);
        }
    }
    return pairs;
}

static ikati_cost cost(const ikati_request *request) {
    const double batches = (double)ikati_extent(request, "B");
    const double heads = batches * (double)ikati_extent(request, "H");
    ikati_cost result = ikati_attention_cost(request, heads * count_pairs(request));
    if (word_of(request, "mode") == COMPRESSED) {
        const ikati_attend_windows w = compressed_windows(request);
        const double columns = (double)(ikati_extent(request, "D") + ikati_extent(request, "Dv"));
        const double taken = word_of(request, "compression") == CONV
                                 ? 2.0 * w.size * (double)ikati_extent(request, "Cg")
                                 : w.size;
        result.flops += batches * (double)ikati_extent(request, "Hkv") * w.num_positions /
                        w.stride * columns * taken;
    }
    return result;
}

// Sums over windows within sums over keys.
static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    const double positions = (double)ikati_extent(request, "M");
    return fmax(5e-6, ikati_tolerance_default(request->dtype, positions));
}

// Row 0 of made keys or values: the null key.
static ikat_status lower_null(const ikati_request *request, ikati_lowering *lowering,
                              const char *name, const char *learned, const ikati_made_rows *to) {
    const null_key null = (null_key)word_of(request, "null");
    ikati_view view = ikati_input_view(request, name);
    ikat_tensor tensor = *view.tensor;
    if (null == NONE) {
        return IKAT_OK;
    }
    tensor.shape[2] = null == ZERO ? 0 : ikati_least(tensor.shape[2], 1); // no positions: zeros
    if (null == LEARNED) {
        view = ikati_input_view(request, learned);
        tensor = *view.tensor;
        tensor.rank = 4;
        memcpy(tensor.shape, to->tensor.shape, sizeof(tensor.shape));
        tensor.shape[2] = 1;
        tensor.strides[1] = view.tensor->strides[0];
        tensor.strides[0] = tensor.strides[2] = 0;
        tensor.strides[3] = 1;
    }
    view.tensor = &tensor;
    const ikati_pool pool = {.x = view,
                             .num_windows = 1,
                             .size = 1,
                             .stride = 1,
                             .to = to->view.index,
                             .to_batch = (uint64_t)to->tensor.strides[0],
                             .to_head = (uint64_t)to->tensor.strides[1],
                             .to_row = (uint64_t)to->tensor.strides[2]};
    return ikati_lower_pool(lowering, &pool);
}

static ikat_status lower_compressed(const ikati_request *request, ikati_lowering *lowering,
                                    const ikati_attention *attention) {
    const ikati_attend_windows windows = compressed_windows(request);
    const uint32_t num_windows = (uint32_t)ikati_divide_up(windows.num_positions, windows.stride);
    const bool is_conv = word_of(request, "compression") == CONV;
    ikati_made_rows keys, values;
    ikat_status status =
        ikati_lower_windows(request, lowering, is_conv ? IKATI_POOL_CONV : IKATI_POOL_MEAN,
                            &windows, num_windows, &keys, &values);
    status = status ? status : lower_null(request, lowering, "k", "null_k", &keys);
    status = status ? status : lower_null(request, lowering, "v", "null_v", &values);
    return status
               ? status
               : ikati_lower_made_attention(request, lowering, &windows, &keys, &values, attention);
}

static ikat_status lower_local(const ikati_request *request, ikati_lowering *lowering,
                               ikati_attention *attention) {
    const ikati_attend_windows windows = local_windows(request);
    const int64_t back = ikati_least(ikati_setting(request, "look_back")->integer,
                                     windows.num_positions / windows.row_block + 1);
    attention->windows = &windows;
    attention->is_cross = true;
    attention->window_left = back * windows.row_block;
    attention->window_right = windows.from_block ? (int64_t)windows.row_block - 1 : 0;
    if (ikati_extent(request, "N") == windows.num_positions) {
        attention->query_lengths = attention->lengths;
    }
    return ikati_lower_attention(lowering, attention);
}

static ikat_status lower(const ikati_request *request, ikati_lowering *lowering) {
    ikati_attention attention = ikati_attention_of_call(request);
    if (!ikati_extent(request, "B") || !ikati_extent(request, "N")) {
        return IKAT_OK;
    }
    if (word_of(request, "mode") == LOCAL) {
        return lower_local(request, lowering, &attention);
    }
    attention.window_right = word_of(request, "causal") ? 0 : -1;
    return lower_compressed(request, lowering, &attention);
}

const ikati_mechanism ikati_mechanism_memory_compressed = {
    .info =
        {
            .name = "memory_compressed",
            .title = "Memory-compressed attention",
            .citation = "Liu et al., Generating Wikipedia by Summarizing Long Sequences, "
                        "arXiv:1801.10198",
            .family = "low rank",
            .cost =
                "time O(N M D / stride), compression O(M w Cg D / stride); memory O(M / stride) "
                "beyond the tensors; mode=local O(N block_size (1 + look_back) D)",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "conv_k=3,D,D conv_v=3,Dv,Dv",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = lower,
    .tolerance = tolerance,
};
