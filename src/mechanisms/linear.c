// Linear attention: a sum of outer products in place of softmax, with decay if wanted; its state goes
// in and out, so that sequences can be fed in pieces.
//
// Katharopoulos, Vyas, Pappas, Fleuret, Transformers are RNNs: Fast Autoregressive Transformers with Linear
// Attention, arXiv:2006.16236, section 3. Decay: Sun et al., Retentive Network, arXiv:2307.08621.

#include "linear.h"

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    {.name = "decay",
     .shape = "[Hkv] or [B,Hkv,M]",
     .dtype = "any float",
     .optional = true,
     .help = "factor in (0,1] on the state before a key enters; only with causal=1"},
    {.name = "state_s",
     .shape = "[B,Hkv,D,Dv]",
     .dtype = "float32",
     .optional = true,
     .help = "sum of phi(k) v^T before the first key; with state_z"},
    {.name = "state_z",
     .shape = "[B,Hkv,D]",
     .dtype = "float32",
     .optional = true,
     .help = "sum of phi(k) before the first key; with state_s"},
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..M",
     .help = "valid keys; valid queries too where N = M"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out", .shape = "[B,H,N,Dv]", .dtype = "float", .help = "result"},
    {.name = "state_s_out",
     .shape = "[B,Hkv,D,Dv]",
     .dtype = "float32",
     .optional = true,
     .help = "state_s after the last valid key"},
    {.name = "state_z_out",
     .shape = "[B,Hkv,D]",
     .dtype = "float32",
     .optional = true,
     .help = "state_z after the last valid key"},
};

static const char *const maps[] = {"elu", "relu", "exp", "identity", NULL};

#define FINITE .minimum = -INFINITY, .maximum = INFINITY

static const ikat_setting_info settings[] = {
    {.name = "feature_map",
     .type = IKAT_SETTING_WORD,
     .default_text = "elu",
     .words = maps,
     .help = "phi: elu(x)+1, max(x,0), exp(x) or x"},
    {.name = "feature_eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "0",
     FINITE,
     .help = "added to every feature"},
    {.name = "normalize",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "0: no denominator"},
    {.name = "eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1e-6",
     FINITE,
     .help = "added to the denominator"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: rows see keys up to their own, counted from the last"},
    {.name = "scale",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1",
     FINITE,
     .help = "factor on phi(q).phi(k)"},
    {.name = "chunk",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = IKATI_MAX_INTEGER,
     .help = "positions a chunk of the causal form, roughly; 0: chosen; changes rounding only"},
};

#define STATE(s, z) " state_s=" s " state_z=" z

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,70,16", "2,3,70,16"), "", ""},
    {"head_64", "q=1,4,300,64 k=1,2,300,64 v=1,2,300,64", "", "the most common head, grouped"},
    {"cross",
     "q=2,3,37,12@-1.5,0.5,2,-0.25,1 k=2,3,90,12@0.5,-2,1,0.25,-0.5,1.5,-1 v=2,3,90,20 "
     "lengths=2@90,41",
     "feature_map=exp feature_eps=0.01 scale=0.5", "exp of what is not large"},
    {"causal", "q=2,4,150,16 k=2,2,150,16 v=2,2,150,24" STATE("2,2,16,24", "2,2,16@1,2,3"),
     "causal=1 feature_map=relu feature_eps=0.1", "several chunks after a state"},
    {"causal_head_64", IKATI_QKV("1,2,300,64", "1,2,300,64"), "causal=1", ""},
    {"causal_odd",
     "q=3,2,21,5 k=3,2,90,5 v=3,2,90,7 lengths=3@90,13,0" STATE("3,2,5,7", "3,2,5@2,1"),
     "causal=1 chunk=32 eps=0.01",
     "sizes that are multiples of nothing, rows left of the first key"},
    {"retention", IKATI_QKV("1,2,140,16", "1,2,140,24") " decay=2@0.96875,0.984375",
     "causal=1 feature_map=identity normalize=0 scale=0.25 chunk=64", "RetNet's"},
    {"slow_decay", "q=1,1,5000,4 k=1,1,5000,4@0 v=1,1,5000,5 decay=1@0.999755859375", "causal=1",
     "a chunk's factor is no float: its error must not add up over chunks"},
    {"gated",
     "q=2,2,100,16 k=2,2,100,16 v=2,2,100,16 decay=2,2,100@0.9,1,0.7,0.95,0.99 lengths=2@100,61",
     "causal=1", "a factor a token"},
    {"decode", "q=2,4,1,32 k=2,2,1,32 v=2,2,1,40 decay=2@0.9,0.5" STATE("2,2,32,40", "2,2,32@1,3"),
     "causal=1", "one new token"},
    {"decode_tokens",
     "q=2,4,3,5 k=2,2,3,5 v=2,2,3,37 decay=2,2,3@0.9,0.5,1,0.7" STATE("2,2,5,37", "2,2,5@1,3"),
     "causal=1 normalize=0", "three at once"},
    {"head_mask", IKATI_QKV("2,3,50,16", "2,3,50,16") " head_mask=3@1,0,1", "", "a pruned head"},
    {"empty", "q=2,2,5,8 k=2,2,0,8 v=2,2,0,8" STATE("2,2,8,8", "2,2,8@1"), "", "M = 0: the state"},
    {"large_causal", IKATI_QKV("1,2,20000,64", "1,2,20000,64"), "causal=1", "many chunks"},
};

static ikat_status check(ikati_request *request) {
    const bool has_sum = ikati_input(request, "state_s")->present;
    if (has_sum != ikati_input(request, "state_z")->present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                          "%s is given without %s, expected both or none",
                          has_sum ? "state_s" : "state_z", has_sum ? "state_z" : "state_s");
    }
    if (ikati_input(request, "decay")->present && !ikati_setting(request, "causal")->integer) {
        return ikati_attention_refuse(request, "decay", "only with causal=1");
    }
    return ikati_attention_check(request);
}

static ikati_cost cost(const ikati_request *request) {
    const double heads = (double)ikati_extent(request, "H"),
                 keys = (double)ikati_extent(request, "M");
    const double sizes = (double)ikati_extent(request, "D") * (double)ikati_extent(request, "Dv");
    ikati_cost result = ikati_attention_cost(request, 0);
    result.flops =
        2 * (double)ikati_extent(request, "B") * sizes *
        (heads * (double)ikati_extent(request, "N") + keys * (double)ikati_extent(request, "Hkv"));
    return result;
}

// The page's own where there is a decay.
static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    const ikati_tensor_use *decay = ikati_input(request, "decay");
    if (request->dtype == IKAT_FLOAT16 || !decay->present) {
        return ikati_tolerance_default(request->dtype, (double)ikati_extent(request, "M"));
    }
    return decay->tensor.rank == 1 ? 5e-6 : 1e-4;
}

const ikati_mechanism ikati_mechanism_linear = {
    .info =
        {
            .name = "linear",
            .title = "Linear attention",
            .citation =
                "Katharopoulos et al., Transformers are RNNs, arXiv:2006.16236; decay: Sun et "
                "al., Retentive Network, arXiv:2307.08621",
            .family = "kernels",
            .cost = "time O((N + M) D Dv), causal O(M (D Dv + chunk (D + Dv))); memory O(D Dv) a "
                    "head and chunk beyond the tensors and their features",
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
    .lower = ikati_linear_lower,
    .tolerance = tolerance,
};
