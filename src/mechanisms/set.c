// Set Transformer: attention blocks on sets. By setting `block` attention of one set to another, of a set to
// itself, through a few inducing points, or pooling by learned seeds.
//
// Lee et al., Set Transformer, arXiv:1810.00825, section 3.

#include "set.h"

#include "../shape.h"
#include "../windows.h"

#include <inttypes.h>
#include <string.h>

#define OPTIONAL(input_name, input_shape, input_help)                                 \
    {                                                                                 \
        .name = input_name, .shape = input_shape, .dtype = "float", .optional = true, \
        .help = input_help                                                            \
    }
// Weights of a block whose queries have `cq` channels, and keys `ck`.
#define BLOCK(prefix, cq, ck, of)                                                                \
    OPTIONAL(prefix "w_q", "[" cq ",E]",                                                         \
             of "queries' projection; head h has columns h E/heads"                              \
                " and on"),                                                                      \
        OPTIONAL(prefix "w_k", "[" ck ",E]", of "keys' projection"),                             \
        OPTIONAL(prefix "w_v", "[" ck ",E]", of "values' projection"),                           \
        OPTIONAL(prefix "w_o", "[E,E]", of "feed-forward layer"),                                \
        OPTIONAL(prefix "b_q", "[E]", "bias; absent: 0"), OPTIONAL(prefix "b_k", "[E]", "bias"), \
        OPTIONAL(prefix "b_v", "[E]", "bias"), OPTIONAL(prefix "b_o", "[E]", "bias"),            \
        OPTIONAL(prefix "ln0_gamma", "[E]", "gain of the first layer norm; absent: 1"),          \
        OPTIONAL(prefix "ln0_beta", "[E]", "its offset; absent: 0"),                             \
        OPTIONAL(prefix "ln1_gamma", "[E]", "gain of the second layer norm"),                    \
        OPTIONAL(prefix "ln1_beta", "[E]", "its offset")

static const ikat_argument_info inputs[] = {
    {.name = "x",
     .shape = "[B,N,C]",
     .dtype = "float",
     .help = "the set; of block=mab the queries"},
    OPTIONAL("y", "[B,M,Cy]", "block=mab: the set attended to"),
    BLOCK("", "Cq", "Ck", "not with block=isab: "),
    OPTIONAL("inducing", "[I,E]", "block=isab: the inducing points"),
    BLOCK("mab0_", "E", "C", "block=isab, inducing points to the set: "),
    BLOCK("mab1_", "C", "E", "block=isab, the set to those: "),
    OPTIONAL("seeds", "[S,Es]", "block=pma: the seeds"),
    OPTIONAL("w_rff", "[C,Cr]", "block=pma: a layer with ReLU before; absent: none"),
    OPTIONAL("b_rff", "[Cr]", "its bias"),
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..M or 0..N",
     .help = "valid elements, of y with block=mab, else of x"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out",
     .shape = "[B,S,E] or [B,N,E]",
     .dtype = "float",
     .help = "result; a row a seed with block=pma, else one an element of x"},
};

static const char *const kinds[] = {"mab", "sab", "isab", "pma", NULL};

static const ikat_setting_info settings[] = {
    {.name = "block",
     .type = IKAT_SETTING_WORD,
     .default_text = "sab",
     .words = kinds,
     .help = "mab: x to y; sab: x to itself; isab: through inducing points; pma: seeds to x"},
    {.name = "heads",
     .type = IKAT_SETTING_INT,
     .default_text = "required",
     .minimum = 1,
     .maximum = IKATI_MAX_HEADS,
     .help = "divides E"},
    {.name = "layer_norm",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: both layer norms of every block"},
    {.name = "eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1e-5",
     .maximum = INFINITY,
     .help = "added to the variance in layer norm; above 0"},
    {.name = "scale",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1/sqrt(E)",
     .minimum = -INFINITY,
     .maximum = INFINITY,
     .help = "factor on q.k, of all blocks; E is the width of all heads"},
};

#define WEIGHTS(prefix, cq, ck, e)                                                              \
    " " prefix "w_q=" cq "," e " " prefix "w_k=" ck "," e " " prefix "w_v=" ck "," e " " prefix \
    "w_o=" e "," e
#define BIASES(prefix, e) \
    " " prefix "b_q=" e " " prefix "b_k=" e " " prefix "b_v=" e " " prefix "b_o=" e
#define NORMS(prefix, e)                                                                    \
    " " prefix "ln0_gamma=" e " " prefix "ln0_beta=" e " " prefix "ln1_gamma=" e " " prefix \
    "ln1_beta=" e

static const ikat_mechanism_case cases[] = {
    {"sab", "x=2,37,24" WEIGHTS("", "24", "24", "32") " lengths=2@37,20", "heads=4", ""},
    {"mab",
     "x=3,11,9 y=3,29,14" WEIGHTS("", "9", "14", "15") BIASES("", "15")
         NORMS("", "15") " lengths=3@29,7,0",
     "block=mab heads=3 layer_norm=1 scale=0.4", "an entry with nothing to attend to"},
    {"isab",
     "x=2,41,20 inducing=7,16" WEIGHTS("mab0_", "16", "20", "16") BIASES("mab0_", "16")
         WEIGHTS("mab1_", "20", "16", "16") BIASES("mab1_", "16") " lengths=2@41,30",
     "block=isab heads=2", ""},
    {"isab_norm",
     "x=1,300,16 inducing=1,16" WEIGHTS("mab0_", "16", "16", "16")
         WEIGHTS("mab1_", "16", "16", "16") NORMS("mab1_", "16"),
     "block=isab heads=2 layer_norm=1 eps=0.01", "one inducing point"},
    {"pma",
     "x=3,50,12 seeds=4,10 w_rff=12,18 b_rff=18" WEIGHTS("", "10", "18", "24")
         BIASES("", "24") " lengths=3@50,13,0",
     "block=pma heads=3", "seeds of another size, a layer before"},
    {"pma_norm", "x=1,900,16 seeds=1,16" WEIGHTS("", "16", "16", "16") NORMS("", "16"),
     "block=pma heads=1 layer_norm=1", "one seed: the keys are split"},
    {"no_elements", "x=2,0,8 seeds=3,8" WEIGHTS("", "8", "8", "8"), "block=pma heads=2", "N = 0"},
    {"no_batch", "x=0,5,8" WEIGHTS("", "8", "8", "8"), "heads=2", "B = 0"},
    {"large_sab", "x=1,20000,64" WEIGHTS("", "64", "64", "64"), "heads=4 layer_norm=1", ""},
};

ikati_set_kind ikati_set_kind_of(const ikati_request *request) {
    return (ikati_set_kind)ikati_setting(request, "block")->integer;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// The blocks that take an input, a bit each, and those that need it.
enum {
    MAB = 1 << IKATI_SET_MAB,
    SAB = 1 << IKATI_SET_SAB,
    ISAB = 1 << IKATI_SET_ISAB,
    PMA = 1 << IKATI_SET_PMA,
    ALL = MAB | SAB | ISAB | PMA
};

typedef struct input_use {
    const char *name;
    uint32_t taken, needed;
} input_use;

static const input_use uses[] = {
    {"x", ALL, ALL},   {"y", MAB, MAB},   {"inducing", ISAB, ISAB}, {"seeds", PMA, PMA},
    {"w_rff", PMA, 0}, {"b_rff", PMA, 0}, {"lengths", ALL, 0},
};

static input_use use_of(const char *name) {
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (strcmp(uses[i].name, name) == 0) {
            return uses[i];
        }
    }
    const uint32_t blocks = begins_with(name, "mab") ? ISAB : ALL & ~ISAB;
    return (input_use){name, blocks, strstr(name, "w_") ? blocks : 0};
}

static ikat_status check_present(const ikati_request *request) {
    const ikati_set_kind kind = ikati_set_kind_of(request);
    const bool has_norm = ikati_setting(request, "layer_norm")->integer != 0;
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        const ikati_tensor_use *input = &request->inputs[i];
        const input_use use = use_of(input->name);
        if (input->present && !(use.taken & 1u << kind)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                              "%s is given, which block=%s does not take", input->name,
                              kinds[kind]);
        }
        if (input->present && !has_norm && strstr(input->name, "ln")) {
            return ikati_attention_refuse(request, input->name, "only with layer_norm=1");
        }
        if (!input->present && (use.needed & 1u << kind)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                              "input %s is missing, expected float %s for block=%s", input->name,
                              input->info->shape, kinds[kind]);
        }
    }
    return ikati_input(request, "b_rff")->present ? ikati_input_require(request, "w_rff", "b_rff")
                                                  : IKAT_OK;
}

static ikat_status check_letter(const ikati_request *request, const char *input, const char *letter,
                                const char *expected) {
    const int64_t extent = ikati_extent(request, letter), other = ikati_extent(request, expected);
    return extent == other ? IKAT_OK
                           : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                                        "%s has %s = %" PRId64 ", expected %s = %" PRId64, input,
                                        letter, extent, expected, other);
}

// The channels of queries and keys.
static ikat_status check_channels(const ikati_request *request) {
    const ikati_set_kind kind = ikati_set_kind_of(request);
    const char *queries = kind == IKATI_SET_PMA ? "Es" : "C";
    const char *keys = kind == IKATI_SET_MAB                    ? "Cy"
                       : ikati_input(request, "w_rff")->present ? "Cr"
                                                                : "C";
    if (ikati_extent(request, "C") < 1) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "x has C = 0, expected at least 1");
    }
    if (kind == IKATI_SET_ISAB) {
        return IKAT_OK; // its shapes say so already
    }
    ikat_status status = check_letter(request, "w_q", "Cq", queries);
    return status ? status : check_letter(request, "w_k", "Ck", keys);
}

static ikat_status check_heads(const ikati_request *request) {
    const ikati_call_setting *heads = ikati_setting(request, "heads");
    const int64_t width = ikati_extent(request, "E");
    if (!heads->given) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                          "heads is missing, expected a divisor of E = %" PRId64, width);
    }
    const bool good = width >= heads->integer && width % heads->integer == 0 &&
                      width / heads->integer <= IKATI_MAX_HEAD_SIZE;
    return good ? IKAT_OK
                : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                             "heads is %" PRId64 ", expected a divisor of E = %" PRId64
                             " with heads of 1 to %d",
                             heads->integer, width, IKATI_MAX_HEAD_SIZE);
}

static ikat_status check(ikati_request *request) {
    const bool is_pma = ikati_set_kind_of(request) == IKATI_SET_PMA;
    ikat_status status = check_present(request);
    status = status ? status : check_channels(request);
    status = status ? status : check_heads(request);
    if (!status && !(ikati_setting(request, "eps")->number > 0)) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "eps is %g, expected above 0", ikati_setting(request, "eps")->number);
    }
    if (!status && !is_pma) { // without seeds
        status = ikati_shape_fix(request, "S", ikati_extent(request, "N"));
    }
    return status;
}

// Multiplications of a block of n queries with cq channels and m keys with ck.
static double count_block(double n, double cq, double m, double ck, double e) {
    return n * cq * e + 2 * m * ck * e + 2 * n * m * e + n * e * e;
}

static double count_products(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N"), c = (double)ikati_extent(request, "C");
    const double e = (double)ikati_extent(request, "E");
    switch (ikati_set_kind_of(request)) {
    case IKATI_SET_MAB:
        return count_block(n, c, (double)ikati_extent(request, "M"),
                           (double)ikati_extent(request, "Cy"), e);
    case IKATI_SET_ISAB: {
        const double points = (double)ikati_extent(request, "I");
        return count_block(points, e, n, c, e) + count_block(n, c, points, e, e);
    }
    case IKATI_SET_PMA: {
        const double layer = (double)ikati_extent(request, "Cr"); // 0: none
        return n * c * layer + count_block((double)ikati_extent(request, "S"),
                                           (double)ikati_extent(request, "Es"), n,
                                           layer > 0 ? layer : c, e);
    }
    case IKATI_SET_SAB: break;
    }
    return count_block(n, c, n, c, e);
}

static ikati_cost cost(const ikati_request *request) {
    ikati_cost result = ikati_attention_cost(request, 0);
    result.flops = 2.0 * (double)ikati_extent(request, "B") * count_products(request);
    return result;
}

// Layers one after the other.
static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    const int64_t n = ikati_extent(request, "N"), m = ikati_extent(request, "M");
    return fmax(5e-6, ikati_tolerance_default(request->dtype, (double)(n > m ? n : m)));
}

const ikati_mechanism ikati_mechanism_set = {
    .info =
        {
            .name = "set",
            .title = "Set Transformer",
            .citation = "Lee et al., Set Transformer, arXiv:1810.00825",
            .family = "low rank",
            .cost = "time O(N^2 E) for sab, O(N I E) for isab, O(N S E) for pma, besides O(N C E) "
                    "of projections; memory O(N E)",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "w_q=C,C w_k=C,C w_v=C,C w_o=C,C",
            // Benches draw weights of N(0,1): scores of the usual size.
            .bench_settings = "heads=H layer_norm=1 scale=0.0002",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = ikati_set_lower,
    .tolerance = tolerance,
};
