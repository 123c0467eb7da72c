// CPC loss: InfoNCE over the rows of a batch, each row's own target against all others.
//
// van den Oord, Li, Vinyals, Representation Learning with Contrastive Predictive Coding,
// arXiv:1807.03748; as in Ainslie et al., ETC: Encoding Long and Structured Inputs in Transformers,
// arXiv:2004.08483.

#include "cpc.h"

#include <inttypes.h>

static const ikat_argument_info inputs[] = {
    {.name = "pred", .shape = "[S,C]", .dtype = "float", .help = "predictions, the anchors"},
    {.name = "target",
     .shape = "[S,C]",
     .dtype = "float",
     .help = "what each row should predict; a negative of the other rows"},
    {.name = "weight",
     .shape = "[C,C]",
     .dtype = "float",
     .optional = true,
     .help = "W of the score pred W target; absent: the identity"},
    {.name = "valid",
     .shape = "[S]",
     .dtype = "int32",
     .optional = true,
     .values = "0..1",
     .help = "0: the row is neither anchor nor negative, and is not read"},
};

static const ikat_argument_info outputs[] = {
    {.name = "loss",
     .shape = "[1]",
     .dtype = "float32",
     .help = "mean of the valid rows' losses; 0 if there are none"},
    {.name = "losses",
     .shape = "[S]",
     .dtype = "float32",
     .optional = true,
     .help = "each row's loss; 0 where it is not valid"},
};

static const ikat_setting_info settings[] = {
    {.name = "temperature",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1",
     .minimum = -INFINITY,
     .maximum = INFINITY,
     .help = "scores are divided by it; above 0"},
};

#define ROWS(shape) "pred=" shape " target=" shape

static const ikat_mechanism_case cases[] = {
    {"defaults", ROWS("33,24"), "", "no size a multiple of a tile"},
    {"tiles", ROWS("128,64"), "temperature=4", "whole tiles"},
    {"many", ROWS("700,32"), "temperature=2", "targets split over workgroups"},
    {"odd_size", ROWS("150,37"), "", "C is a multiple of nothing"},
    {"size_1", ROWS("70,1"), "", "the smallest C"},
    {"size_600", ROWS("40,600"), "temperature=10", "past what heads have"},
    {"size_4096", ROWS("21,4096"), "temperature=64", "long sums"},
    {"cold", ROWS("90,48"), "temperature=0.05", "one term is nearly all"},
    {"hot", ROWS("90,48"), "temperature=1e6", "all terms are alike: log S"},
    {"small_losses", "pred=5,5@9,0,0,0,0,0 target=5,5@2,0,0,0,0,0", "",
     "e^-18 a negative: nothing of them may be lost"},
    {"weight", ROWS("50,24") " weight=24,24", "temperature=8", "van den Oord's bilinear form"},
    {"weight_odd", ROWS("75,13") " weight=13,13", "temperature=5", ""},
    {"weight_300", ROWS("70,300") " weight=300,300", "temperature=100", ""},
    {"weight_1", ROWS("9,1") " weight=1,1", "", ""},
    {"valid", ROWS("90,20") " valid=90@1,0,1,1,1,0,0", "temperature=2",
     "invalid rows among the others"},
    {"valid_one", ROWS("70,12") " valid=70@0*66,1,0*3", "", "one valid row: no negatives, 0"},
    {"valid_none", ROWS("70,12") " valid=70@0", "", "nothing to average: 0"},
    {"valid_last", ROWS("200,16") " valid=200@0*150,1*50", "", "whole tiles of invalid rows"},
    {"everything", ROWS("300,40") " weight=40,40 valid=300@1,1,0,1", "temperature=7",
     "all inputs at once"},
    {"one_row", ROWS("1,16"), "", "no negatives: 0"},
    {"no_rows", ROWS("0,16"), "", "S = 0: loss is 0"},
    {"no_rows_weight", ROWS("0,16") " weight=16,16 valid=0", "", "S = 0 with everything"},
    {"large_rows", ROWS("20000,64"), "temperature=3", "where S x S would not do"},
    {"large_size", ROWS("300,20000"), "temperature=100", "rounds of loops add up with C too"},
};

static ikat_status check(ikati_request *request) {
    const double temperature = ikati_setting(request, "temperature")->number;
    if (!(temperature > 0)) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "temperature is %g, expected finite and > 0", temperature);
    }
    if (ikati_extent(request, "C") < 1) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "pred has C = %" PRId64 ", expected at least 1",
                          ikati_extent(request, "C"));
    }
    return IKAT_OK;
}

static ikati_cost cost(const ikati_request *request) {
    const double rows = (double)ikati_extent(request, "S"),
                 size = (double)ikati_extent(request, "C");
    const bool weighs = ikati_input(request, "weight")->present;
    ikati_cost result = ikati_attention_cost(request, rows * rows);
    result.flops = 2 * rows * (rows + (weighs ? size : 0)) * size;
    return result;
}

// The page's own: a difference of large numbers. Halves are exact inputs of the same sums.
static double tolerance(const ikati_request *request, uint32_t output) {
    (void)request;
    (void)output;
    return 5e-6;
}

const ikati_mechanism ikati_mechanism_cpc = {
    .info =
        {
            .name = "cpc",
            .title = "CPC loss",
            .citation = "van den Oord, Li, Vinyals, Representation Learning with Contrastive "
                        "Predictive Coding, arXiv:1807.03748; as in Ainslie et al., ETC: Encoding "
                        "Long and Structured Inputs in Transformers, arXiv:2004.08483",
            .family = "patterns",
            .cost = "time O(S (S + C) C), O(S S C) without weight; memory O(S) beyond the tensors, "
                    "O(S C) with weight",
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
    .lower = ikati_cpc_lower,
    .tolerance = tolerance,
};
