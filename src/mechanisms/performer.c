// Performers: attention by positive random features, whose dot products estimate the softmax kernel.
//
// Choromanski et al., Rethinking Attention with Performers, arXiv:2009.14794, section 2 and lemma 1.

#include "performer.h"

#include "../shape.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {
    IKATI_CROSS_ATTENTION_INPUTS,
    {.name = "features",
     .shape = "[1 or H,R,D]",
     .dtype = "any float",
     .optional = true,
     .help = "rows w_r, for all heads or one matrix a query head; absent: drawn from seed"},
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..M",
     .help = "valid keys; valid queries too where N = M"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out", .shape = "[B,H,N,Dv]", .dtype = "float", .help = "result"},
    {.name = "features",
     .shape = "[1,R,D]",
     .dtype = "float32",
     .optional = true,
     .help = "what was drawn; only without input features"},
};

static const char *const kernels[] = {"softmax", "hyperbolic", "relu", NULL};
static const char *const norms[] = {"chi", "sqrt", NULL};

enum { MAX_PROJECTIONS = 1 << 24 };

static const ikat_setting_info settings[] = {
    {.name = "kernel",
     .type = IKAT_SETTING_WORD,
     .default_text = "softmax",
     .words = kernels,
     .help = "lemma 1's two estimators, or f = ReLU"},
    {.name = "num_features",
     .type = IKAT_SETTING_INT,
     .default_text = "max(1, floor(D ln D))",
     .minimum = 1,
     .maximum = MAX_PROJECTIONS,
     .help = "rows drawn; kernel=hyperbolic makes two features of each"},
    {.name = "ortho",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "0: independent rows; 1: orthogonal in blocks of D"},
    {.name = "feature_norm",
     .type = IKAT_SETTING_WORD,
     .default_text = "chi",
     .words = norms,
     .help = "lengths of orthogonal rows: chi(D) or sqrt(D)"},
    {.name = "seed",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .minimum = -0x1p63,
     .maximum = 0x1p64,
     .help = "of the draw, 64 bits"},
    {.name = "stabilize",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "subtract maxima before exp; not with kernel=relu"},
    {.name = "eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1e-6, or 1e-3 with kernel=relu",
     .maximum = INFINITY,
     .help = "added to every feature"},
    {.name = "den_eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "0",
     .maximum = INFINITY,
     .help = "2 den_eps is added to denominators of at most den_eps"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: rows see keys up to their own, counted from the last"},
    {.name = "scale",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1/sqrt(D)",
     .minimum = -INFINITY,
     .maximum = INFINITY,
     .help = "of the estimated kernel exp(scale q.k); above 0"},
};

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_QKV("2,3,70,16", "2,3,70,16"), "", ""},
    {"head_64", "q=1,4,200,64 k=1,2,200,64 v=1,2,200,64", "", "the most common head, grouped"},
    {"cross", "q=2,3,37,12 k=2,3,90,12 v=2,3,90,20 lengths=2@90,41",
     "num_features=31 ortho=0 seed=5 scale=0.4", ""},
    {"causal", "q=2,4,150,16 k=2,2,150,16 v=2,2,150,24",
     "causal=1 num_features=48 feature_norm=sqrt den_eps=1e-6", "several chunks"},
    {"hyperbolic", "q=2,2,50,8 k=2,2,50,8 v=2,2,50,8 lengths=2@50,23",
     "kernel=hyperbolic causal=1 num_features=9", ""},
    {"relu", "q=2,4,40,5 k=2,2,90,5 v=2,2,90,7 features=4,13,5 !features", "kernel=relu causal=1",
     "a matrix a query head, sizes that are multiples of nothing"},
    {"relu_cross", "q=2,4,40,16 k=2,2,90,16 v=2,2,90,16 features=1,20,16 lengths=2@90,0 !features",
     "kernel=relu eps=0.01 den_eps=1", "den_eps where nothing is visible"},
    {"unstabilized",
     "q=1,4,50,8@-1.5,0.5,1,-0.25,1 k=1,2,50,8@0.5,-1,1,0.25,-0.5,1.5,-1 v=1,2,50,8 "
     "features=4,12,8 !features",
     "stabilize=0 eps=0 causal=1", "exp of what is not large"},
    {"head_mask", IKATI_QKV("2,3,50,16", "2,3,50,16") " head_mask=3@1,0,1", "", "a pruned head"},
    {"large_causal", IKATI_QKV("1,2,6000,32", "1,2,6000,32"), "causal=1 num_features=64",
     "many chunks"},
};

static ikat_status check_given(ikati_request *request) {
    static const char *const of_draw[] = {"num_features", "ortho", "feature_norm", "seed"};
    for (int i = 0; i < 4; i++) {
        if (ikati_setting(request, of_draw[i])->chosen) {
            return ikati_attention_refuse(request, of_draw[i], "only without features");
        }
    }
    if (request->outputs[1].present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                          "output features is wanted, expected it only without input features");
    }
    return ikati_extent(request, "R") >= 1
               ? IKAT_OK
               : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "features has R = 0, expected at least 1");
}

static ikat_status check_draw(ikati_request *request) {
    const ikati_call_setting *given = ikati_setting(request, "num_features");
    const double size = (double)ikati_extent(request, "D");
    const double usual = floor(size * log(size));
    return ikati_shape_fix(request, "R",
                           given->given ? given->integer
                           : usual < 1  ? 1
                                        : (int64_t)usual);
}

static ikat_status check(ikati_request *request) {
    const ikati_call_setting *scale = ikati_setting(request, "scale");
    const ikati_call_setting *stabilize = ikati_setting(request, "stabilize");
    ikat_status status = ikati_attention_check(request);
    if (status) {
        return status;
    }
    if (scale->given && !(scale->number > 0)) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "scale is %g, expected finite and > 0", scale->number);
    }
    if (ikati_setting(request, "kernel")->integer == IKATI_PERFORMER_RELU && stabilize->chosen &&
        stabilize->integer) {
        return ikati_attention_refuse(request, "stabilize", "only with exponential kernels");
    }
    return ikati_input(request, "features")->present ? check_given(request) : check_draw(request);
}

static ikati_cost cost(const ikati_request *request) {
    const double sizes = (double)(ikati_extent(request, "D") + ikati_extent(request, "Dv"));
    const double rows = (double)ikati_extent(request, "H") * (double)ikati_extent(request, "N") +
                        (double)ikati_extent(request, "Hkv") * (double)ikati_extent(request, "M");
    ikati_cost result = ikati_attention_cost(request, 0);
    result.flops =
        2 * (double)ikati_extent(request, "B") * rows * (double)ikati_extent(request, "R") * sizes;
    return result;
}

// The page's own: exp of large arguments, and one step of float32 where a feature was drawn.
static double tolerance(const ikati_request *request, uint32_t output) {
    if (output == 1) {
        return 1e-7;
    }
    return request->dtype == IKAT_FLOAT16 ? 2e-3 : 1e-5;
}

const ikati_mechanism ikati_mechanism_performer = {
    .info =
        {
            .name = "performer",
            .title = "Performer",
            .citation =
                "Choromanski et al., Rethinking Attention with Performers, arXiv:2009.14794",
            .family = "kernels",
            .cost = "time O((N + M) R (D + Dv)); memory O(R Dv) a head and chunk, and features of "
                    "a segment of the positions, beyond the tensors",
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
    .lower = ikati_performer_lower,
    .tolerance = tolerance,
};
