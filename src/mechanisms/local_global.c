// Local and global branches side by side: a lightweight or dynamic convolution for the neighbourhood, any
// attention for the rest (long-short range attention, Lite Transformer).
//
// Wu, Liu, Lin, Lin, Han, Lite Transformer with Long-Short Range Attention, arXiv:2004.11886, section 4;
// Wu, Fan, Baevski, Dauphin, Auli, Pay Less Attention with Lightweight and Dynamic Convolutions,
// arXiv:1901.10430.

#include "local_global.h"

#include "../shape.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_INNER_INPUTS = 6, MAX_INNER_SETTINGS = 24 };

#define OPTIONAL(input_name, input_shape, input_help)                                 \
    {                                                                                 \
        .name = input_name, .shape = input_shape, .dtype = "float", .optional = true, \
        .help = input_help                                                            \
    }
// Host arrays of the inner mechanism: a family has tensors.
#define STRUCTURE(input_name)                                                                   \
    {                                                                                           \
        .name = IKATI_LOCAL_GLOBAL_PREFIX input_name, .shape = "1 to 4 axes", .dtype = "int32", \
        .optional = true, .structure = true, .help = "the inner mechanism's " input_name        \
    }

static const ikat_argument_info inputs[] = {
    {.name = "x", .shape = "[B,N,C]", .dtype = "float", .help = "hidden states"},
    {.name = "w_q",
     .shape = "[Cg,HD]",
     .dtype = "float",
     .help = "queries of channels 0..Cg-1; head h has columns h D on"},
    {.name = "w_k", .shape = "[Cg,HkD]", .dtype = "float", .help = "keys; kv_heads times D"},
    {.name = "w_v", .shape = "[Cg,HkDv]", .dtype = "float", .help = "values; kv_heads times Dv"},
    OPTIONAL("b_q", "[HD]", "bias"),
    OPTIONAL("b_k", "[HkD]", "bias"),
    OPTIONAL("b_v", "[HkDv]", "bias"),
    OPTIONAL("w_o", "[HDv,Eg]", "output layer of the global branch; absent: identity"),
    OPTIONAL("b_o", "[Eg]", "bias"),
    OPTIONAL("conv_w_in", "[Cl,Ein]",
             "input layer of the local branch, 2 E columns with glu; absent: "
             "identity"),
    OPTIONAL("conv_b_in", "[Ein]", "bias"),
    OPTIONAL("conv_kernel", "[Hl,ks]", "taps, one set for each of Hl runs of the E channels"),
    OPTIONAL("conv_w_kernel", "[E,Hl,ks]", "instead: predicts the taps at each position"),
    OPTIONAL("conv_b_kernel", "[Hl,ks]", "with conv_w_kernel: bias"),
    OPTIONAL("conv_bias", "[E]", "bias of the convolution"),
    OPTIONAL("conv_w_out", "[E,El]", "output layer of the local branch; absent: identity"),
    OPTIONAL("conv_b_out", "[El]", "bias"),
    OPTIONAL("w_out", "[Ec,Co]", "final layer, Ec columns of both branches; absent: identity"),
    OPTIONAL("b_out", "[Co]", "bias"),
    IKATI_LENGTHS_INPUT,
    STRUCTURE("global_mask"),
    STRUCTURE("block_mask"),
    STRUCTURE("head_mask"),
    STRUCTURE("random_blocks"),
    STRUCTURE("permutations"),
    {.name = IKATI_LOCAL_GLOBAL_PREFIX "*",
     .shape = "1 to 4 axes",
     .dtype = "int32 or any float",
     .optional = true,
     .max_count = MAX_INNER_INPUTS,
     .help = "other inputs of the inner mechanism"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out", .shape = "[B,N,Ex]", .dtype = "float", .help = "both branches combined"}};

static const char *const combinations[] = {"concat", "sum", NULL};

static const ikat_setting_info settings[] = {
    {.name = "heads",
     .type = IKAT_SETTING_INT,
     .default_text = "required",
     .minimum = 1,
     .maximum = IKATI_MAX_HEADS,
     .help = "H of the global branch"},
    {.name = "kv_heads",
     .type = IKAT_SETTING_INT,
     .default_text = "heads",
     .minimum = 1,
     .maximum = IKATI_MAX_HEADS,
     .help = "Hkv, a divisor of heads"},
    {.name = "glu",
     .type = IKAT_SETTING_INT,
     .default_text = "1 with conv_w_in, else none",
     .maximum = 1,
     .help = "1: the second half of the input layer's columns gates the first"},
    {.name = "kernel_softmax",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "1: taps are normalised by softmax"},
    {.name = "combine",
     .type = IKAT_SETTING_WORD,
     .default_text = "concat",
     .words = combinations,
     .help = "columns side by side, global first, or their sum"},
    {.name = "attention",
     .type = IKAT_SETTING_STRING,
     .default_text = "dense",
     .help = "mechanism of the global branch: one that takes q, k and v to [B,H,N,Dv]"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no branch sees later positions"},
    IKATI_SCALE_SETTING,
    {.name = IKATI_LOCAL_GLOBAL_PREFIX "*",
     .type = IKAT_SETTING_STRING,
     .max_count = MAX_INNER_SETTINGS,
     .help = "settings of the inner mechanism"},
};

#define GLOBAL(cg, hd, hkd, hkdv) "w_q=" cg "," hd " w_k=" cg "," hkd " w_v=" cg "," hkdv " "

static const ikat_mechanism_case cases[] = {
    {"lite_transformer",
     "x=2,40,24 " GLOBAL(
         "12", "16", "16",
         "16") "b_q=16 b_v=16 w_o=16,12 b_o=12 conv_w_in=12,32 "
               "conv_b_in=32 conv_kernel=4,7 conv_w_out=16,12 conv_b_out=12 lengths=2@40,23",
     "heads=4", "a gated input layer, taps of four heads"},
    {"dynamic",
     "x=2,45,20 " GLOBAL("10", "8", "4", "6") "conv_w_in=10,24 conv_w_kernel=12,3,5 "
                                              "conv_b_kernel=3,5 conv_bias=12 lengths=2@45,18",
     "heads=2 kv_heads=1 causal=1", "taps are predicted; one key/value head"},
    {"dynamic_wide", "x=1,90,8 " GLOBAL("4", "4", "4", "4") "conv_w_kernel=4,2,131",
     "heads=1 kernel_softmax=1", "more taps than positions, in chunks"},
    {"dynamic_raw",
     "x=1,33,9 " GLOBAL("4", "4", "4", "4") "conv_w_kernel=5,5,70 conv_b_kernel=5,70",
     "heads=1 kernel_softmax=0", ""},
    {"sum",
     "x=2,30,10 " GLOBAL("10", "12", "12", "12") "conv_w_in=10,9 conv_kernel=9,4 conv_bias=9 "
                                                 "conv_w_out=9,8 w_o=12,8 w_out=8,5 b_out=5",
     "heads=3 combine=sum glu=0 kernel_softmax=0", "no split, depthwise, an even number of taps"},
    {"final",
     "x=1,21,7 " GLOBAL("3", "3", "3",
                        "5") "b_o=5 conv_kernel=2,3 conv_b_out=4 conv_b_in=4 w_out=9,6 "
                             "lengths=1@13",
     "heads=1 scale=0.4", "biases without layers"},
    {"longformer",
     "x=2,50,16 " GLOBAL("8", "8", "8", "8") "conv_kernel=2,5 lengths=2@50,37 "
                                             "attention.global_mask=2,50@0,1,0,0,0,0,0,0,0,0,0",
     "heads=2 attention=longformer attention.window=6 attention.dilation=1,2",
     "a sparse inner pattern"},
    {"inner_setting", "x=2,20,8 " GLOBAL("4", "8", "8", "8") "conv_kernel=4,3",
     "heads=2 attention.softcap=3 causal=1", "of the inner mechanism"},
    {"empty", "x=2,0,8 " GLOBAL("4", "8", "8", "8") "conv_kernel=2,3", "heads=2", "N = 0"},
    {"large_lite",
     "x=1,3000,128 " GLOBAL("64", "64", "64", "64") "conv_w_in=64,128 conv_kernel=8,31",
     "heads=4 scale=0.01", "scores of ordinary size"},
};

ikati_local_global ikati_local_global_of(const ikati_request *request) {
    const ikati_call_setting *kv_heads = ikati_setting(request, "kv_heads");
    const ikati_call_setting *glu = ikati_setting(request, "glu");
    const bool has_in = ikati_input(request, "conv_w_in")->present;
    ikati_local_global c = {
        .num_batches = ikati_extent(request, "B"),
        .num_positions = ikati_extent(request, "N"),
        .channels = ikati_extent(request, "C"),
        .heads = ikati_setting(request, "heads")->integer,
        .global_channels = ikati_extent(request, "Cg"),
        .conv_heads = ikati_extent(request, "Hl"),
        .num_taps = ikati_extent(request, "ks"),
        .sums = ikati_setting(request, "combine")->integer == 1,
        .causal = ikati_setting(request, "causal")->integer != 0,
        .normalises = ikati_setting(request, "kernel_softmax")->integer != 0,
        .glu = glu->given ? glu->integer != 0 : has_in,
    };
    c.kv_heads = kv_heads->given ? kv_heads->integer : c.heads;
    c.size = c.heads ? ikati_extent(request, "HD") / c.heads : 0;
    c.value_size = c.kv_heads ? ikati_extent(request, "HkDv") / c.kv_heads : 0;
    c.global_size =
        ikati_input(request, "w_o")->present ? ikati_extent(request, "Eg") : c.heads * c.value_size;
    c.local_begin = c.global_channels < c.channels ? c.global_channels : 0;
    c.local_channels = c.channels - c.local_begin;
    c.conv_size = has_in ? ikati_extent(request, "Ein") / (c.glu ? 2 : 1) : c.local_channels;
    c.local_size =
        ikati_input(request, "conv_w_out")->present ? ikati_extent(request, "El") : c.conv_size;
    c.columns = c.sums ? c.global_size : c.global_size + c.local_size;
    if (ikati_input(request, "w_out")->present) {
        c.columns = ikati_extent(request, "Co");
    }
    return c;
}

static ikat_status fail(const ikati_request *request, ikat_message_id id, const char *text) {
    return ikati_fail(request->host, IKAT_INVALID, id, "%s", text);
}

static ikat_status check_global(const ikati_request *request, const ikati_local_global *c) {
    const int64_t hd = ikati_extent(request, "HD"), hkd = ikati_extent(request, "HkD");
    const int64_t hkdv = ikati_extent(request, "HkDv");
    if (!ikati_setting(request, "heads")->given) {
        return fail(request, IKAT_MESSAGE_MISSING, "setting heads is missing, expected an integer");
    }
    if (c->heads % c->kv_heads) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "kv_heads is %" PRId64 ", expected a divisor of heads = %" PRId64,
                          c->kv_heads, c->heads);
    }
    if (c->global_channels < 1 || c->global_channels > c->channels) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "w_q has Cg = %" PRId64 " rows, expected 1 to C = %" PRId64,
                          c->global_channels, c->channels);
    }
    if (hd % c->heads || hkd != c->kv_heads * c->size || hkdv % c->kv_heads || c->size < 1 ||
        c->size > IKATI_MAX_HEAD_SIZE || c->value_size < 1 || c->value_size > IKATI_MAX_HEAD_SIZE) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "w_q, w_k and w_v have %" PRId64 ", %" PRId64 " and %" PRId64
                          " columns, expected heads = %" PRId64 " times D, kv_heads = %" PRId64
                          " times the same D, and times Dv, 1 to %d each",
                          hd, hkd, hkdv, c->heads, c->kv_heads, IKATI_MAX_HEAD_SIZE);
    }
    return IKAT_OK;
}

static ikat_status check_local(const ikati_request *request, const ikati_local_global *c) {
    const bool is_static = ikati_input(request, "conv_kernel")->present;
    const bool is_dynamic = ikati_input(request, "conv_w_kernel")->present;
    const bool has_in = ikati_input(request, "conv_w_in")->present;
    if (is_static == is_dynamic) {
        return fail(request, is_static ? IKAT_MESSAGE_CONTRADICTION : IKAT_MESSAGE_MISSING,
                    "expected one of conv_kernel and conv_w_kernel");
    }
    if (is_static && ikati_input(request, "conv_b_kernel")->present) {
        return fail(request, IKAT_MESSAGE_CONTRADICTION,
                    "conv_b_kernel is given, expected it only with conv_w_kernel");
    }
    if (c->glu && !has_in) {
        return fail(request, IKAT_MESSAGE_CONTRADICTION, "glu is 1, expected conv_w_in with it");
    }
    if (has_in && c->glu && ikati_extent(request, "Ein") % 2) {
        return fail(request, IKAT_MESSAGE_SHAPE,
                    "conv_w_in has an odd number of columns, expected 2 E with glu");
    }
    if (c->conv_heads < 1 || c->num_taps < 1 || c->conv_size < 1 || c->conv_size % c->conv_heads) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "conv_kernel or conv_w_kernel has Hl = %" PRId64 " heads of %" PRId64
                          " taps, expected a divisor of E = %" PRId64 " and at least one tap",
                          c->conv_heads, c->num_taps, c->conv_size);
    }
    return IKAT_OK;
}

// Letters of layers that are absent: their biases must still fit.
static ikat_status check_layers(ikati_request *request, const ikati_local_global *c) {
    const int64_t both = c->sums ? c->global_size : c->global_size + c->local_size;
    const struct {
        const char *letter;
        int64_t extent;
    } layers[] = {
        {"HDv", c->heads * c->value_size},
        {"Eg", c->global_size},
        {"Cl", c->local_channels},
        {"Ein", c->conv_size * (c->glu ? 2 : 1)},
        {"E", c->conv_size},
        {"El", c->local_size},
        {"Ec", both},
        {"Co", c->columns},
        {"Ex", c->columns},
    };
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < IKATI_COUNT(layers) && !status; i++) {
        status = ikati_shape_fix(request, layers[i].letter, layers[i].extent);
    }
    if (!status && c->sums && c->global_size != c->local_size) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "combine=sum has Eg = %" PRId64 " and El = %" PRId64
                            " columns, expected as many",
                            c->global_size, c->local_size);
    }
    return status;
}

// Scratch [B,N,heads * size], seen as [B,heads,N,size].
static ikat_tensor heads_of(const ikati_local_global *c, int64_t heads, int64_t size) {
    return (ikat_tensor){.dtype = IKAT_FLOAT32,
                         .rank = 4,
                         .shape = {c->num_batches, heads, c->num_positions, size},
                         .strides = {c->num_positions * heads * size, size, heads * size, 1}};
}

static ikat_status check(ikati_request *request) {
    const ikati_local_global c = ikati_local_global_of(request);
    ikat_status status = check_global(request, &c);
    status = status ? status : check_local(request, &c);
    status = status ? status : check_layers(request, &c);
    if (status) {
        return status;
    }
    const ikati_nested nested = {
        .mechanism = ikati_setting(request, "attention")->text,
        .prefix = IKATI_LOCAL_GLOBAL_PREFIX,
        .q = heads_of(&c, c.heads, c.size),
        .k = heads_of(&c, c.kv_heads, c.size),
        .v = heads_of(&c, c.kv_heads, c.value_size),
        .out = heads_of(&c, c.heads, c.value_size),
        .causal = c.causal,
        .scale = ikati_setting(request, "scale"),
        .lengths = ikati_input(request, "lengths"),
    };
    return ikati_nested_create(request, &nested);
}

static ikati_cost cost(const ikati_request *request) {
    const ikati_local_global c = ikati_local_global_of(request);
    const double rows = (double)c.num_batches * (double)c.num_positions;
    const double e = (double)c.conv_size, ks = (double)c.num_taps;
    ikati_cost result = ikati_attention_cost(request, 0); // traffic
    const ikati_cost inner = request->inner->mechanism->cost(request->inner);
    double flops = (double)c.global_channels *
                   (double)(c.heads * c.size + c.kv_heads * (c.size + c.value_size));
    flops += e * ks;
    for (uint32_t i = 0; i < request->num_inputs; i++) { // layers
        const ikati_tensor_use *use = &request->inputs[i];
        if (use->present && use->tensor.rank == 2 && strstr(use->name, "w_") && i > 3) {
            flops += (double)use->tensor.shape[0] * (double)use->tensor.shape[1];
        }
    }
    if (ikati_input(request, "conv_w_kernel")->present) {
        flops += e * ks * (double)c.conv_heads;
    }
    result.visible_pairs = inner.visible_pairs;
    result.flops = 2 * rows * flops + inner.flops;
    return result;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    return fmax(fmax(5e-6, ikati_attention_tolerance(request, output)),
                request->inner->mechanism->tolerance(request->inner, 0));
}

const ikati_mechanism ikati_mechanism_local_global = {
    .info =
        {
            .name = "local_global",
            .title = "Long-short range attention",
            .citation = "Wu et al., Lite Transformer with Long-Short Range Attention, "
                        "arXiv:2004.11886; Wu et al., Pay Less Attention with Lightweight and "
                        "Dynamic Convolutions, arXiv:1901.10430",
            .family = "mixers",
            .cost = "time O(N E ks), with predicted taps O(N E Hl ks), and that of the inner "
                    "mechanism; memory O(N C) beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "w_q=C,C w_k=C,C w_v=C,C conv_kernel=H,31",
            .bench_settings = "heads=H scale=0.0002",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = ikati_local_global_lower,
    .tolerance = tolerance,
};
