// Synthesizer: attention weights that are learned, or predicted from each row alone, and mixtures of them
// with dot products.
//
// Tay et al., Synthesizer: Rethinking Self-Attention for Transformer Models, arXiv:2005.00743, section 3.

#include "synthesizer.h"

#include "../shape.h"

#include <inttypes.h>
#include <string.h>

#define INPUT(input_name, input_shape, input_help)                                    \
    {                                                                                 \
        .name = input_name, .shape = input_shape, .dtype = "float", .optional = true, \
        .help = input_help                                                            \
    }

static const ikat_argument_info inputs[] = {
    {.name = "v", .shape = "[B,Hkv,N,Dv]", .dtype = "float", .help = "values; Hkv divides heads"},
    INPUT("x", "[B,N,C]", "dense, factorized_dense: hidden states"),
    INPUT("w1", "[1 or H,C,F]", "dense: first layer"),
    INPUT("w2", "[1 or H,F,Nw]", "dense: second layer, a column a position; Nw >= N"),
    INPUT("b1", "[1 or H,F]", "dense: bias of the first layer; absent: 0"),
    INPUT("b2", "[1 or H,Nb]", "dense: bias of the second layer, Nb >= N; absent: 0"),
    INPUT("w_a", "[1 or H,C,a]", "factorized_dense: first factor"),
    INPUT("w_b", "[1 or H,C,b]", "factorized_dense: second factor; a b >= N"),
    INPUT("b_a", "[1 or H,a]", "factorized_dense: bias; absent: 0"),
    INPUT("b_b", "[1 or H,b]", "factorized_dense: bias; absent: 0"),
    INPUT("r", "[1 or H,Nr,Nr]", "random: logits, Nr >= N; absent: drawn"),
    INPUT("r1", "[1 or H,Nr1,K]", "factorized_random: rows, Nr1 >= N; absent: drawn"),
    INPUT("r2", "[1 or H,Nr2,K]", "factorized_random: columns, Nr2 >= N; with r1 or not at all"),
    INPUT("q", "[B,H,N,D]", "dot: queries"),
    INPUT("k", "[B,Hkv,N,D]", "dot: keys"),
    INPUT("alpha", "[1 or H,A]", "weights of the A components; absent: 1 / A each"),
    IKATI_LENGTHS_INPUT,
};

// Letters of what is drawn: Nx is max_length, Ky is rank.
static const ikat_argument_info outputs[] = {
    IKATI_ATTENTION_OUTPUTS,
    {.name = "r",
     .shape = "[H,Nx,Nx]",
     .dtype = "float32",
     .optional = true,
     .help = "random: what was drawn"},
    {.name = "r1",
     .shape = "[H,Nx,Ky]",
     .dtype = "float32",
     .optional = true,
     .help = "factorized_random: what was drawn"},
    {.name = "r2",
     .shape = "[H,Nx,Ky]",
     .dtype = "float32",
     .optional = true,
     .help = "factorized_random: what was drawn"},
};

static const char *const tilings[] = {"tile", "outer", NULL};

static const ikat_setting_info settings[] = {
    {.name = "components",
     .type = IKAT_SETTING_STRING,
     .default_text = "dense",
     .help = "whose logits are added, in the order of alpha: some of dense, random, "
             "factorized_dense, factorized_random, dot"},
    {.name = "heads",
     .type = IKAT_SETTING_INT,
     .default_text = "Hkv",
     .minimum = 1,
     .maximum = IKATI_MAX_HEADS,
     .help = "H, a multiple of Hkv"},
    {.name = "tiling",
     .type = IKAT_SETTING_WORD,
     .default_text = "tile",
     .words = tilings,
     .help = "factorized_dense: both factors repeated, or each product once"},
    {.name = "rank",
     .type = IKAT_SETTING_INT,
     .default_text = "8",
     .minimum = 1,
     .maximum = 65536,
     .help = "factorized_random: K of what is drawn"},
    {.name = "max_length",
     .type = IKAT_SETTING_INT,
     .default_text = "N",
     .minimum = 0,
     .maximum = IKATI_MAX_INTEGER,
     .help = "Nmax of what is drawn, at least N"},
    {.name = "seed",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .minimum = -0x1p63,
     .maximum = 0x1p64,
     .help = "of the draws, 64 bits"},
    {.name = "causal",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: no key right of the query"},
    {.name = "scale",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1/sqrt(D)",
     .minimum = -INFINITY,
     .maximum = INFINITY,
     .help = "dot: factor on q.k"},
};

#define DENSE_INPUTS(c, f, n) " w1=1," c "," f " w2=1," f "," n " b1=1," f " b2=1," n

static const ikat_mechanism_case cases[] = {
    {"defaults", "v=2,3,50,16 x=2,50,20" DENSE_INPUTS("20", "24", "50") " !r !r1 !r2", "", "dense"},
    {"dense_heads",
     "v=2,2,37,8 x=2,37,12 w1=4,12,9 w2=4,9,40 b1=1,9 b2=4,45 lengths=2@37,20 !r !r1 !r2",
     "heads=4 causal=1", "weights of each head's own, for longer sequences"},
    {"wide", "v=1,2,60,16 x=1,60,8 w1=1,8,600 w2=1,600,60 lengths=1@51 !r !r1 !r2", "causal=1",
     "a hidden layer larger than a head"},
    {"random", "v=2,2,45,16 r=2,50,50 lengths=2@45,31 !r !r1 !r2", "components=random", ""},
    {"random_drawn", "v=2,2,30,16 !r1 !r2",
     "components=random max_length=33 seed=7 causal=1 heads=4", ""},
    {"factorized_random", "v=1,2,70,12 !r", "components=factorized_random rank=5 seed=3", ""},
    {"tile", "v=1,3,24,8 x=1,24,10 w_a=3,10,4 w_b=1,10,6 b_a=1,4 b_b=3,6 lengths=1@19 !r !r1 !r2",
     "components=factorized_dense", "products that repeat"},
    {"outer", "v=2,2,35,8 x=2,35,10 w_a=1,10,5 w_b=1,10,7 !r !r1 !r2",
     "components=factorized_dense tiling=outer causal=1", ""},
    {"dot", "v=1,2,40,16 q=1,4,40,8 k=1,2,40,8 !r !r1 !r2", "components=dot heads=4 scale=0.5",
     "dense attention"},
    {"everything",
     "v=2,2,41,12 x=2,41,10" DENSE_INPUTS("10", "16",
                                          "43") " w_a=1,10,6 w_b=4,10,8 r1=1,42,3 "
                                                "r2=4,41,3 q=2,4,41,8 k=2,2,41,8 alpha=4,5 "
                                                "lengths=2@41,17 head_mask=4@1,0,1,1 !r1 !r2",
     "components=dot,random,dense,factorized_dense,factorized_random heads=4 causal=1 seed=2",
     "a mixture of all"},
    {"mixture",
     "v=2,2,33,8 x=2,33,6" DENSE_INPUTS("6", "7", "33") " q=2,2,33,9 k=2,2,33,9 !r !r1 !r2",
     "components=dense,dot", "one pass over concatenated rows"},
    {"wide_draw", "v=1,3,100,8 !r1 !r2", "components=random",
     "what is drawn is cut where bindings are small"},
    {"empty", "v=2,2,0,8 x=2,0,6" DENSE_INPUTS("6", "7", "9") " !r !r1 !r2", "", "N = 0"},
    {"large_factorized", "v=1,2,5000,64 !r", "components=factorized_random",
     "where N x N would not do"},
};

static const char *const names[] = {"dense", "random", "factorized_dense", "factorized_random",
                                    "dot"};

// The next component of a list; IKATI_NUM_COMPONENTS if it is none. Moves *text past it.
static int next_component(const char **text) {
    const size_t length = strcspn(*text, ",");
    int component = 0;
    while (component < IKATI_NUM_COMPONENTS &&
           (strlen(names[component]) != length || strncmp(*text, names[component], length) != 0)) {
        component++;
    }
    *text += length;
    return component;
}

int ikati_synthesizer_num_components(const ikati_request *request) {
    int num = 1;
    for (const char *text = ikati_setting(request, "components")->text; *text; text++) {
        num += *text == ',';
    }
    return num;
}

int ikati_synthesizer_place(const ikati_request *request, ikati_component component) {
    const char *text = ikati_setting(request, "components")->text;
    for (int place = 0;; place++) {
        if (next_component(&text) == (int)component) {
            return place;
        }
        if (!*text) {
            return -1;
        }
        text++; // the comma
    }
}

int64_t ikati_synthesizer_max_length(const ikati_request *request) {
    const ikati_call_setting *length = ikati_setting(request, "max_length");
    return length->given ? length->integer : ikati_extent(request, "N");
}

static ikat_status check_components(const ikati_request *request) {
    const char *const list = ikati_setting(request, "components")->text, *text = list;
    bool seen[IKATI_NUM_COMPONENTS] = {false};
    for (;;) {
        const int component = next_component(&text);
        if (component == IKATI_NUM_COMPONENTS || seen[component]) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SYNTAX,
                              "components is '%s', expected some of dense, random, "
                              "factorized_dense, factorized_random, dot, none of them twice",
                              list);
        }
        seen[component] = true;
        if (!*text) {
            return IKAT_OK;
        }
        text++;
    }
}

enum {
    DENSE_BIT = 1 << IKATI_COMPONENT_DENSE,
    RANDOM_BIT = 1 << IKATI_COMPONENT_RANDOM,
    FACTORIZED_DENSE_BIT = 1 << IKATI_COMPONENT_FACTORIZED_DENSE,
    FACTORIZED_RANDOM_BIT = 1 << IKATI_COMPONENT_FACTORIZED_RANDOM,
    DOT_BIT = 1 << IKATI_COMPONENT_DOT
};

// Which components take an input, output or setting, and whether they need it.
static const struct {
    const char *name;
    uint32_t components;
    bool needed;
} uses[] = {
    {"x", DENSE_BIT | FACTORIZED_DENSE_BIT, true},
    {"w1", DENSE_BIT, true},
    {"w2", DENSE_BIT, true},
    {"b1", DENSE_BIT, false},
    {"b2", DENSE_BIT, false},
    {"w_a", FACTORIZED_DENSE_BIT, true},
    {"w_b", FACTORIZED_DENSE_BIT, true},
    {"b_a", FACTORIZED_DENSE_BIT, false},
    {"b_b", FACTORIZED_DENSE_BIT, false},
    {"r", RANDOM_BIT, false},
    {"r1", FACTORIZED_RANDOM_BIT, false},
    {"r2", FACTORIZED_RANDOM_BIT, false},
    {"q", DOT_BIT, true},
    {"k", DOT_BIT, true},
    {"tiling", FACTORIZED_DENSE_BIT, false},
    {"rank", FACTORIZED_RANDOM_BIT, false},
    {"max_length", RANDOM_BIT | FACTORIZED_RANDOM_BIT, false},
    {"seed", RANDOM_BIT | FACTORIZED_RANDOM_BIT, false},
    {"scale", DOT_BIT, false},
};

enum { NUM_INPUT_USES = 14 };

static ikat_status check_uses(const ikati_request *request) {
    const char *list = ikati_setting(request, "components")->text;
    uint32_t listed = 0;
    for (int c = 0; c < IKATI_NUM_COMPONENTS; c++) {
        listed |= ikati_synthesizer_place(request, (ikati_component)c) >= 0 ? 1u << c : 0;
    }
    for (uint32_t i = 0; i < IKATI_COUNT(uses); i++) {
        const char *name = uses[i].name;
        const bool given = i < NUM_INPUT_USES ? ikati_input(request, name)->present
                                              : ikati_setting(request, name)->chosen;
        if (given && !(uses[i].components & listed)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                              "%s is given, which no component of '%s' takes", name, list);
        }
        if (!given && uses[i].needed && (uses[i].components & listed)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                              "input %s is missing, which components '%s' need", name, list);
        }
    }
    const bool has_r1 = ikati_input(request, "r1")->present;
    if (has_r1 != ikati_input(request, "r2")->present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                          "%s is given without %s, expected both or none", has_r1 ? "r1" : "r2",
                          has_r1 ? "r2" : "r1");
    }
    return IKAT_OK;
}

// Rows or columns for all positions.
static ikat_status check_length(const ikati_request *request, const char *name, int64_t length) {
    const int64_t n = ikati_extent(request, "N");
    return length >= n
               ? IKAT_OK
               : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "%s is for %" PRId64 " positions, expected at least N = %" PRId64, name,
                            length, n);
}

static ikat_status check_lengths(const ikati_request *request) {
    static const struct {
        const char *name;
        uint32_t axis;
    } longest[] = {{"w2", 2}, {"b2", 1}, {"r", 1}, {"r1", 1}, {"r2", 1}};
    ikat_status status = IKAT_OK;
    for (int i = 0; i < 5 && !status; i++) {
        const ikati_tensor_use *use = ikati_input(request, longest[i].name);
        if (use->present) {
            status = check_length(request, longest[i].name, use->tensor.shape[longest[i].axis]);
        }
    }
    if (!status && ikati_input(request, "w_a")->present) {
        status = check_length(request, "w_a with w_b",
                              ikati_extent(request, "a") * ikati_extent(request, "b"));
    }
    if (!status && ikati_setting(request, "max_length")->given) {
        const int64_t n = ikati_extent(request, "N"), m = ikati_synthesizer_max_length(request);
        status =
            m >= n ? IKAT_OK
                   : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                                "max_length is %" PRId64 ", expected at least N = %" PRId64, m, n);
    }
    return status;
}

// Heads: the setting, or as many as v has.
static ikat_status check_heads(ikati_request *request) {
    const ikati_call_setting *setting = ikati_setting(request, "heads");
    const int64_t kv_heads = ikati_extent(request, "Hkv");
    const int64_t heads = setting->given ? setting->integer : kv_heads;
    const int64_t value_size = ikati_extent(request, "Dv");
    if (kv_heads < 1 || kv_heads > IKATI_MAX_HEADS || heads % kv_heads) {
        return ikati_fail(
            request->host, IKAT_INVALID, setting->given ? IKAT_MESSAGE_RANGE : IKAT_MESSAGE_SHAPE,
            "heads is %" PRId64 ", expected a multiple of Hkv = %" PRId64, heads, kv_heads);
    }
    if (value_size < 1 || value_size > IKATI_MAX_HEAD_SIZE) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "v has Dv = %" PRId64 ", expected 1 to %d", value_size,
                          IKATI_MAX_HEAD_SIZE);
    }
    return ikati_shape_fix(request, "H", heads);
}

// Extents of what is drawn; of what is not, none.
static ikat_status check_draws(ikati_request *request) {
    static const char *const drawn[] = {"r", "r1", "r2"};
    for (uint32_t i = 0; i < 3; i++) {
        const ikati_component component =
            i ? IKATI_COMPONENT_FACTORIZED_RANDOM : IKATI_COMPONENT_RANDOM;
        if (request->outputs[2 + i].present && (ikati_synthesizer_place(request, component) < 0 ||
                                                ikati_input(request, drawn[i])->present)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                              "output %s is wanted, which is not drawn", drawn[i]);
        }
    }
    ikat_status status = ikati_shape_fix(request, "Nx", ikati_synthesizer_max_length(request));
    return status ? status
                  : ikati_shape_fix(request, "Ky", ikati_setting(request, "rank")->integer);
}

static ikat_status check(ikati_request *request) {
    ikat_status status = check_components(request);
    status = status ? status : check_uses(request);
    status = status ? status : check_heads(request);
    status = status ? status : check_lengths(request);
    status = status ? status : check_draws(request);
    const ikati_tensor_use *alpha = ikati_input(request, "alpha");
    const int num = status ? 0 : ikati_synthesizer_num_components(request);
    if (!status && alpha->present && alpha->tensor.shape[1] != num) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "alpha has %" PRId64 " columns, expected one for each of %d components",
                            alpha->tensor.shape[1], num);
    }
    return status;
}

static ikati_cost cost(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N");
    const double rows = (double)ikati_extent(request, "B") * (double)ikati_extent(request, "H") * n;
    double pairs = rows * n;
    pairs = ikati_setting(request, "causal")->integer ? (pairs + rows) / 2 : pairs;
    ikati_cost result = ikati_attention_cost(request, pairs); // with D where there is dot
    const double f = (double)ikati_extent(request, "F"), c = (double)ikati_extent(request, "C");
    result.flops += 2 * rows * f * c + 2 * pairs * f;
    result.flops +=
        2 * rows * c * (double)(ikati_extent(request, "a") + ikati_extent(request, "b"));
    if (ikati_synthesizer_place(request, IKATI_COMPONENT_FACTORIZED_RANDOM) >= 0) {
        const bool given = ikati_input(request, "r1")->present;
        result.flops +=
            2 * pairs *
            (double)(given ? ikati_extent(request, "K") : ikati_setting(request, "rank")->integer);
    }
    return result;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    return fmax(5e-6, ikati_attention_tolerance(request, output));
}

const ikati_mechanism ikati_mechanism_synthesizer = {
    .info =
        {
            .name = "synthesizer",
            .title = "Synthesizer",
            .citation =
                "Tay et al., Synthesizer: Rethinking Self-Attention for Transformer Models, "
                "arXiv:2005.00743",
            .family = "mixers",
            .cost = "time O(N^2 Dv), dense O(N F (C + N)) more; memory O(N F) beyond the tensors, "
                    "and a "
                    "block of rows of logits where they are no products of rows",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "x=B,N,C w1=1,C,D w2=1,D,N alpha=1,1@0.002",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = ikati_synthesizer_lower,
    .tolerance = tolerance,
};
