// FNet: tokens are mixed by a two-dimensional discrete Fourier transform, of which the real part is kept.
//
// Lee-Thorp, Ainslie, Eckstein, Ontanon, FNet: Mixing Tokens with Fourier Transforms, arXiv:2105.03824,
// section 3.

#include "fnet.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {
    {.name = "x", .shape = "[B,N,C]", .dtype = "float", .help = "hidden states"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out",
     .shape = "[B,N,C]",
     .dtype = "float",
     .help = "real part of the transform over positions and channels"},
};

enum { NORM_NONE, NORM_ORTHO }; // places among the words
static const char *const norms[] = {"none", "ortho", NULL};

static const ikat_setting_info settings[] = {
    {.name = "norm",
     .type = IKAT_SETTING_WORD,
     .default_text = "none",
     .words = norms,
     .help = "ortho: results are divided by sqrt(N C)"},
};

static const ikat_mechanism_case cases[] = {
    {"defaults", "x=2,30,24", "", "factors 2, 3, 5 and 4 of them"},
    {"ortho", "x=3,63,35", "norm=ortho", "odd lengths: 3, 5 and 7"},
    {"powers", "x=1,64,512", "", "in vectors all along; several passes"},
    {"passes", "x=2,672,80", "norm=ortho", "factors of all kinds one after the other"},
    {"primes", "x=2,37,23", "", "convolutions in both directions"},
    {"long_prime", "x=1,1009,6", "norm=ortho", "a convolution of several passes"},
    {"prime_channels", "x=1,6,389", "", "the same along the channels"},
    {"one_channel", "x=2,77,1", "", "over positions alone"},
    {"one_position", "x=3,1,50", "", "over channels alone"},
    {"one_element", "x=2,1,1", "", "out is x"},
    {"no_batch", "x=0,8,4", "", "B = 0"},
    {"large_powers", "x=1,2048,768", "", "what models have"},
};

static ikat_status check(ikati_request *request) {
    static const char *const letters[] = {"N", "C"};
    for (int i = 0; i < 2; i++) {
        const int64_t extent = ikati_extent(request, letters[i]);
        if (extent < 1) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                              "x has %s = %" PRId64 ", expected at least 1", letters[i], extent);
        }
    }
    return IKAT_OK;
}

double ikati_fnet_scale(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N"), c = (double)ikati_extent(request, "C");
    return ikati_setting(request, "norm")->integer == NORM_ORTHO ? 1 / sqrt(n * c) : 1;
}

// The usual count of a fast transform, halved for real input.
static ikati_cost cost(const ikati_request *request) {
    const double size = (double)ikati_extent(request, "N") * (double)ikati_extent(request, "C");
    ikati_cost result = ikati_attention_cost(request, 0);
    result.flops = 2.5 * (double)ikati_extent(request, "B") * size * log2(size);
    return result;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    return request->dtype == IKAT_FLOAT16 ? 2e-3 : 5e-6;
}

const ikati_mechanism ikati_mechanism_fnet = {
    .info =
        {
            .name = "fnet",
            .title = "FNet mixing",
            .citation = "Lee-Thorp, Ainslie, Eckstein, Ontanon, FNet: Mixing Tokens with Fourier "
                        "Transforms, arXiv:2105.03824",
            .family = "mixers",
            .cost = "time O(N C log(N C)); memory O(N C) beyond the tensors",
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
    .lower = ikati_fnet_lower,
    .tolerance = tolerance,
};
