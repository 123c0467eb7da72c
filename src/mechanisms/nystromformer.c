// Nystromformer: the softmax matrix rebuilt from landmarks, means of segments of queries and keys.
//
// Xiong et al., Nystromformer: A Nystrom-Based Algorithm for Approximating Self-Attention,
// arXiv:2102.03902, section 3.

#include "nystromformer.h"

#include <inttypes.h>

enum { MAX_ITERATIONS = 4096 };

static const ikat_argument_info inputs[] = {
    IKATI_SELF_ATTENTION_INPUTS,
    {.name = "conv_v",
     .shape = "[H,ks]",
     .dtype = "float",
     .optional = true,
     .help =
         "taps of a convolution of the values along the positions, added to the result; ks is odd"},
    IKATI_LENGTHS_INPUT,
};

static const ikat_argument_info outputs[] = {
    {.name = "out", .shape = "[B,H,N,Dv]", .dtype = "float", .help = "result"}};

static const char *const starts[] = {"exact", "original", NULL};

static const ikat_setting_info settings[] = {
    {.name = "num_landmarks",
     .type = IKAT_SETTING_INT,
     .default_text = "64",
     .minimum = 1,
     .maximum = IKATI_MAX_INTEGER,
     .help = "L; where there are no more valid positions attention is dense"},
    {.name = "pinv_iterations",
     .type = IKAT_SETTING_INT,
     .default_text = "6",
     .maximum = MAX_ITERATIONS,
     .help = "steps towards the pseudo-inverse"},
    {.name = "pinv_init",
     .type = IKAT_SETTING_WORD,
     .default_text = "exact",
     .words = starts,
     .help = "where they start: from the largest column sum of each head, or of all heads and "
             "batch entries"},
    IKATI_SCALE_SETTING,
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,200,16", "2,3,200,16"), "", "64 landmarks"},
    {"uneven", IKATI_QKV("1,2,93,16", "1,2,93,24"), "num_landmarks=10", "segments of 9 and 10"},
    {"dense", IKATI_QKV("1,2,40,16", "1,2,40,16") " conv_v=2,5", "",
     "no more positions than landmarks"},
    {"original", IKATI_QKV("3,2,70,16", "3,2,70,16") " lengths=3@70,33,9 head_mask=2@1,1",
     "num_landmarks=12 pinv_init=original", "one entry is dense"},
    {"lengths", IKATI_QKV("5,2,61,8", "5,2,61,8") " lengths=5@61,16,15,1,0", "num_landmarks=15",
     "segments of valid positions; dense, one position, none"},
    {"convolution",
     "q=2,4,51,16 k=2,2,51,16 v=2,2,51,12 conv_v=4,7 lengths=2@51,20 head_mask=4@1,0,1,1",
     "num_landmarks=8", "grouped queries, a pruned head"},
    {"odd_sizes", IKATI_QKV("2,3,50,5", "2,3,50,7") " conv_v=3,33",
     "num_landmarks=7 pinv_iterations=3 scale=0.3", "more taps than half the positions"},
    {"no_iterations", IKATI_QKV("1,2,40,16", "1,2,40,16"), "num_landmarks=1 pinv_iterations=0", ""},
    {"head_mask", IKATI_QKV("2,3,40,16", "2,3,40,16") " head_mask=3@0,1,0",
     "num_landmarks=8 pinv_init=original", "pruned heads do not count for the start"},
    {"many_landmarks", IKATI_QKV("1,2,333,32", "1,2,333,32"), "num_landmarks=130",
     "tiles of products"},
    {"empty", IKATI_QKV("2,2,0,8", "2,2,0,8"), "", "N = 0"},
    {"long", IKATI_QKV("1,1,5000,32", "1,1,5000,32"), "num_landmarks=3", "segments in parts"},
    {"large_self", IKATI_QKV("1,2,9000,64", "1,2,9000,64"), "", "where N x N would not do"},
};

int64_t ikati_nystromformer_landmarks(const ikati_request *request) {
    const int64_t landmarks = ikati_setting(request, "num_landmarks")->integer;
    return landmarks < ikati_extent(request, "N") ? landmarks : 0;
}

static ikat_status check(ikati_request *request) {
    const ikati_tensor_use *conv = ikati_input(request, "conv_v");
    if (conv->present && ikati_extent(request, "ks") % 2 == 0) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "conv_v has ks = %" PRId64 " taps, expected an odd number",
                          ikati_extent(request, "ks"));
    }
    return ikati_attention_check(request);
}

static ikati_cost cost(const ikati_request *request) {
    const double heads = (double)ikati_extent(request, "B") * (double)ikati_extent(request, "H");
    const double n = (double)ikati_extent(request, "N"), dv = (double)ikati_extent(request, "Dv");
    const double l = (double)ikati_nystromformer_landmarks(request);
    const double steps = (double)ikati_setting(request, "pinv_iterations")->integer;
    ikati_cost result = ikati_attention_cost(request, heads * (l > 0 ? 2 * n * l : n * n));
    result.flops += 2 * heads * (4 * steps * l * l * l + l * l * dv);
    if (ikati_input(request, "conv_v")->present) {
        result.flops += 2 * heads * n * dv * (double)ikati_extent(request, "ks");
    }
    return result;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    const double half =
        request->dtype == IKAT_FLOAT16 ? ikati_tolerance_default(IKAT_FLOAT16, 1) : 0;
    const double more = (double)ikati_setting(request, "pinv_iterations")->integer - 6;
    const double own = fmin(5e-5 * pow(3.25, fmax(more, 0)), 5e-3);
    (void)output;
    return fmax(half, own);
}

const ikati_mechanism ikati_mechanism_nystromformer = {
    .info =
        {
            .name = "nystromformer",
            .title = "Nystromformer",
            .citation = "Xiong et al., Nystromformer: A Nystrom-Based Algorithm for Approximating "
                        "Self-Attention, arXiv:2102.03902",
            .family = "low rank",
            .cost =
                "time O(N L (D + Dv) + iterations L^3); memory O(L^2 + L (D + Dv)) a head beyond "
                "the tensors",
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
    .lower = ikati_nystromformer_lower,
    .tolerance = tolerance,
};
