// Star-Transformer: satellites, one a token, see their two neighbours on a ring and one relay node, which
// sees them all. By setting `step` one of its two attentions on projected tensors, or the whole update.
//
// Guo et al., Star-Transformer, arXiv:1902.09113, section 3.

#include "star.h"

#include <inttypes.h>
#include <string.h>

// Every input belongs to some steps only: the table `uses` says to which.
#define OPTIONAL(input_name, input_shape, input_help)                                 \
    {                                                                                 \
        .name = input_name, .shape = input_shape, .dtype = "float", .optional = true, \
        .help = input_help                                                            \
    }

static const ikat_argument_info inputs[] = {
    OPTIONAL("q", "[B,H,Nq,D]", "queries; Nq is N for step=ring, 1 for step=relay"),
    OPTIONAL("k", "[B,Hkv,N,D]", "keys of the satellites; Hkv divides H"),
    OPTIONAL("v", "[B,Hkv,N,Dv]", "values of the satellites"),
    OPTIONAL("k_emb", "[B,Hkv,N,D]", "step=ring: keys of the tokens' embeddings"),
    OPTIONAL("v_emb", "[B,Hkv,N,Dv]", "step=ring: values of the tokens' embeddings"),
    OPTIONAL("k_relay", "[B,Hkv,1,D]", "key of the relay"),
    OPTIONAL("v_relay", "[B,Hkv,1,Dv]", "value of the relay"),
    OPTIONAL("x", "[B,N,C]", "step=full, as all that follow: token embeddings"),
    OPTIONAL("ring_w_q", "[L,C,HD]", "satellites' queries; HD is heads times D"),
    OPTIONAL("ring_w_k", "[L,C,HD]", "satellites' keys"),
    OPTIONAL("ring_w_v", "[L,C,HDv]", "satellites' values"),
    OPTIONAL("ring_w_o", "[L,HDv,C]", "from the satellites' heads back to C"),
    OPTIONAL("relay_w_q", "[L,C,RD]", "the relay's queries; its D and Dv are its own"),
    OPTIONAL("relay_w_k", "[L,C,RD]", "the relay's keys"),
    OPTIONAL("relay_w_v", "[L,C,RDv]", "the relay's values"),
    OPTIONAL("relay_w_o", "[L,RDv,C]", "from the relay's heads back to C"),
    OPTIONAL("ring_b_q", "[L,HD]", "bias"),
    OPTIONAL("ring_b_k", "[L,HD]", "bias"),
    OPTIONAL("ring_b_v", "[L,HDv]", "bias"),
    OPTIONAL("ring_b_o", "[L,C]", "bias"),
    OPTIONAL("relay_b_q", "[L,RD]", "bias"),
    OPTIONAL("relay_b_k", "[L,RD]", "bias"),
    OPTIONAL("relay_b_v", "[L,RDv]", "bias"),
    OPTIONAL("relay_b_o", "[L,C]", "bias"),
    OPTIONAL("ring_gamma", "[L,C]", "gain of the satellites' layer norm; absent: 1"),
    OPTIONAL("ring_beta", "[L,C]", "offset of the satellites' layer norm; absent: 0"),
    OPTIONAL("relay_gamma", "[L,C]", "gain of the relay's layer norm; absent: 1"),
    OPTIONAL("relay_beta", "[L,C]", "offset of the relay's layer norm; absent: 0"),
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..N",
     .help = "number of satellites"},
};

static const ikat_argument_info outputs[] = {
    {.name = "out",
     .shape = "[B,H,Nq,Dv] or [B,N,C]",
     .dtype = "float",
     .help = "result; of step=full the satellites"},
    {.name = "lse",
     .shape = "[B,H,Nq]",
     .dtype = "float32",
     .optional = true,
     .help = "natural log of each row's normaliser; not with step=full"},
    {.name = "relay",
     .shape = "[B,C]",
     .dtype = "float",
     .optional = true,
     .help = "step=full: the relay"},
};

static const char *const steps[] = {"full", "ring", "relay", NULL};

static const ikat_setting_info settings[] = {
    {.name = "step",
     .type = IKAT_SETTING_WORD,
     .default_text = "full",
     .words = steps,
     .help = "ring: attention of the satellites; relay: of the relay; full: the whole update"},
    IKATI_SCALE_SETTING,
    {.name = "heads",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .minimum = 1,
     .maximum = IKATI_MAX_HEADS,
     .help = "step=full, as all that follow: heads; divides the projections' columns"},
    {.name = "rounds",
     .type = IKAT_SETTING_INT,
     .default_text = "L",
     .minimum = 1,
     .maximum = 4096,
     .help = "rounds; L is 1 or as many"},
    {.name = "embedding_context",
     .type = IKAT_SETTING_INT,
     .default_text = "1",
     .maximum = 1,
     .help = "0: satellites do not see the tokens' embeddings"},
    {.name = "eps",
     .type = IKAT_SETTING_FLOAT,
     .default_text = "1e-5",
     .maximum = INFINITY,
     .help = "added to the variance in layer norm; above 0"},
};

#define RING(shape, value_shape, relay, value_relay) \
    IKATI_QKV(shape, value_shape) " k_relay=" relay " v_relay=" value_relay
#define EMBEDDED(shape, value_shape) " k_emb=" shape " v_emb=" value_shape
#define RELAY(q, shape, value_shape, relay, value_relay) \
    "q=" q " k=" shape " v=" value_shape " k_relay=" relay " v_relay=" value_relay
// Matrices of an attention of L layers.
#define WEIGHTS(part, l, c, hd, hdv)                                                         \
    " " part "_w_q=" l "," c "," hd " " part "_w_k=" l "," c "," hd " " part "_w_v=" l "," c \
    "," hdv " " part "_w_o=" l "," hdv "," c
#define BIASES(part, l, c, hd, hdv)                                                         \
    " " part "_b_q=" l "," hd " " part "_b_k=" l "," hd " " part "_b_v=" l "," hdv " " part \
    "_b_o=" l "," c " " part "_gamma=" l "," c " " part "_beta=" l "," c
#define FULL(l, c, hd, hdv) WEIGHTS("ring", l, c, hd, hdv) WEIGHTS("relay", l, c, hd, hdv)

static const ikat_mechanism_case cases[] = {
    {"ring", RING("2,3,50,16", "2,3,50,16", "2,3,1,16", "2,3,1,16") " !relay", "step=ring", ""},
    {"ring_embedded",
     RING("2,3,50,16", "2,3,50,8", "2,3,1,16", "2,3,1,8")
         EMBEDDED("2,3,50,16", "2,3,50,8") " !relay",
     "step=ring", "five keys"},
    {"ring_lengths",
     RING("5,2,33,16", "5,2,33,16", "5,2,1,16", "5,2,1,16")
         EMBEDDED("5,2,33,16", "5,2,33,16") " lengths=5@33,20,2,1,0 !relay",
     "step=ring", "rings that close early, of two, one and none"},
    {"ring_one", RING("2,2,1,16", "2,2,1,16", "2,2,1,16", "2,2,1,16") " !relay", "step=ring",
     "the only satellite three times"},
    {"ring_two", RING("2,2,2,16", "2,2,2,16", "2,2,1,16", "2,2,1,16") " !relay", "step=ring",
     "the other one twice"},
    {"ring_odd",
     RING("2,3,21,5", "2,3,21,7", "2,3,1,5", "2,3,1,7")
         EMBEDDED("2,3,21,5", "2,3,21,7") " lengths=2@21,9 !relay",
     "step=ring scale=0.7", "sizes that are multiples of nothing"},
    {"ring_head_64", RING("1,4,300,64", "1,4,300,64", "1,4,1,64", "1,4,1,64") " !relay",
     "step=ring", ""},
    {"ring_head_200", RING("1,2,40,200", "1,2,40,130", "1,2,1,200", "1,2,1,130") " !relay",
     "step=ring", ""},
    {"ring_grouped_query",
     "q=2,6,40,16 k=2,2,40,16 v=2,2,40,24 k_relay=2,2,1,16 v_relay=2,2,1,24 !relay", "step=ring",
     "three query heads a key/value head"},
    {"ring_head_mask",
     "q=2,4,40,16 k=2,2,40,16 v=2,2,40,16 k_relay=2,2,1,16 v_relay=2,2,1,16 head_mask=4@1,0,1,1 "
     "!relay",
     "step=ring", "a pruned head"},
    {"ring_empty", RING("2,2,0,16", "2,2,0,16", "2,2,1,16", "2,2,1,16") " !relay", "step=ring",
     "N = 0"},
    {"relay", RELAY("2,3,1,16", "2,3,50,16", "2,3,50,24", "2,3,1,16", "2,3,1,24") " !relay",
     "step=relay", ""},
    {"relay_lengths",
     RELAY("4,2,1,16", "4,2,60,16", "4,2,60,16", "4,2,1,16",
           "4,2,1,16") " lengths=4@60,13,1,0 !relay",
     "step=relay", "without satellites it sees itself"},
    {"relay_one",
     RELAY("2,2,1,8", "2,2,1,8", "2,2,1,8", "2,2,1,8", "2,2,1,8") " lengths=2@1,0 !relay",
     "step=relay scale=-0.3", ""},
    {"relay_odd", RELAY("2,3,1,5", "2,3,33,5", "2,3,33,7", "2,3,1,5", "2,3,1,7") " !relay",
     "step=relay", ""},
    {"relay_grouped_query",
     RELAY("2,6,1,16", "2,2,40,16", "2,2,40,24", "2,2,1,16", "2,2,1,24") " !relay", "step=relay",
     ""},
    {"relay_long",
     RELAY("1,2,1,64", "1,2,20000,64", "1,2,20000,64", "1,2,1,64", "1,2,1,64") " !relay",
     "step=relay", "satellites split over workgroups"},
    {"relay_head_mask",
     RELAY("2,3,1,16", "2,3,50,16", "2,3,50,16", "2,3,1,16",
           "2,3,1,16") " head_mask=3@1,1,0 !relay",
     "step=relay", ""},
    {"relay_empty", RELAY("2,2,1,16", "2,2,0,16", "2,2,0,16", "2,2,1,16", "2,2,1,16") " !relay",
     "step=relay", "N = 0: the value of the relay"},
    {"full", "x=2,20,12" FULL("1", "12", "8", "8") " !lse", "heads=2", "one round"},
    {"full_rounds", "x=2,20,12" FULL("1", "12", "8", "12") " !lse", "heads=4 rounds=3",
     "shared weights"},
    {"full_layers",
     "x=2,21,16" WEIGHTS("ring", "2", "16", "8", "12") WEIGHTS("relay", "2", "16", "12", "20")
         BIASES("ring", "2", "16", "8", "12")
             BIASES("relay", "2", "16", "12", "20") " lengths=2@21,13 !lse",
     "heads=4 eps=0.01", "weights of their own a round, sizes too"},
    {"full_odd",
     "x=3,7,5" WEIGHTS("ring", "1", "5", "3", "3") WEIGHTS("relay", "1", "5", "6", "9")
         BIASES("ring", "1", "5", "3", "3") " lengths=3@7,1,0 !lse",
     "heads=3 rounds=2 scale=0.5", ""},
    {"full_without_embeddings", "x=2,20,12" FULL("1", "12", "8", "8") " !lse",
     "rounds=2 embedding_context=0", ""},
    {"full_one_token", "x=1,1,8" FULL("1", "8", "4", "4") " !lse", "", ""},
    {"full_empty", "x=2,0,8" FULL("1", "8", "4", "4") " !lse", "rounds=2",
     "N = 0: the relay alone"},
    {"full_no_batch", "x=0,9,8" FULL("1", "8", "4", "4") " !lse", "", "B = 0"},
    {"full_large", "x=1,700,64" FULL("1", "64", "64", "64") " !lse", "heads=4 rounds=2", ""},
};

ikati_star_step ikati_star_step_of(const ikati_request *request) {
    return (ikati_star_step)ikati_setting(request, "step")->integer;
}

int64_t ikati_star_rounds(const ikati_request *request) {
    const ikati_call_setting *rounds = ikati_setting(request, "rounds");
    return rounds->given ? rounds->integer : ikati_extent(request, "L");
}

// Which steps take an input and which need it, a bit each; what is not here is taken by step full.
enum {
    FULL_BIT = 1 << IKATI_STAR_FULL,
    RING_BIT = 1 << IKATI_STAR_RING,
    RELAY_BIT = 1 << IKATI_STAR_RELAY,
    PARTS = RING_BIT | RELAY_BIT
};

typedef struct input_use {
    const char *name;
    uint32_t taken, needed;
} input_use;

static const input_use uses[] = {
    {"q", PARTS, PARTS},       {"k", PARTS, PARTS},
    {"v", PARTS, PARTS},       {"k_emb", RING_BIT, 0},
    {"v_emb", RING_BIT, 0},    {"k_relay", PARTS, PARTS},
    {"v_relay", PARTS, PARTS}, {"lengths", PARTS | FULL_BIT, 0},
    {"head_mask", PARTS, 0},   {"x", FULL_BIT, FULL_BIT},
};

static input_use use_of(const char *name) {
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (strcmp(uses[i].name, name) == 0) {
            return uses[i];
        }
    }
    return (input_use){name, FULL_BIT, strstr(name, "_w_") ? FULL_BIT : 0};
}

static ikat_status check_present(const ikati_request *request, uint32_t step_bit,
                                 const char *step) {
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        const ikati_tensor_use *input = &request->inputs[i];
        const input_use use = use_of(input->name);
        if (input->present && !(use.taken & step_bit)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                              "%s is given, which step=%s does not take", input->name, step);
        }
        if (!input->present && (use.needed & step_bit)) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                              "input %s is missing, expected float %s for step=%s", input->name,
                              input->info->shape, step);
        }
    }
    return IKAT_OK;
}

static ikat_status refuse_output(const ikati_request *request, uint32_t index, const char *step) {
    return !request->outputs[index].present
               ? IKAT_OK
               : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_CONTRADICTION,
                            "output %s is wanted, which step=%s does not make",
                            request->outputs[index].name, step);
}

static ikat_status check_parts(ikati_request *request, ikati_star_step step) {
    static const char *const of_full[] = {"heads", "rounds", "embedding_context", "eps"};
    for (int i = 0; i < 4; i++) {
        if (ikati_setting(request, of_full[i])->chosen) {
            return ikati_attention_refuse(request, of_full[i], "only with step=full");
        }
    }
    const bool has_key = ikati_input(request, "k_emb")->present;
    if (has_key != ikati_input(request, "v_emb")->present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                          "%s is given without %s, expected both or none",
                          has_key ? "k_emb" : "v_emb", has_key ? "v_emb" : "k_emb");
    }
    const int64_t queries = ikati_extent(request, "Nq");
    const int64_t expected = step == IKATI_STAR_RELAY ? 1 : ikati_extent(request, "N");
    if (queries != expected) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                          "q has Nq = %" PRId64 ", expected %s = %" PRId64 " for step=%s", queries,
                          step == IKATI_STAR_RELAY ? "one relay" : "N", expected, steps[step]);
    }
    ikat_status status = refuse_output(request, 2, steps[step]);
    status = status ? status : ikati_shape_fix(request, "C", 0); // not made
    return status ? status : ikati_attention_check(request);
}

// Columns of a projection: heads times a size.
static ikat_status check_columns(const ikati_request *request, const char *letter) {
    const int64_t heads = ikati_setting(request, "heads")->integer;
    const int64_t columns = ikati_extent(request, letter);
    const bool good =
        columns % heads == 0 && columns >= heads && columns / heads <= IKATI_MAX_HEAD_SIZE;
    return good ? IKAT_OK
                : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                             "%s = %" PRId64 " columns are not heads = %" PRId64
                             " times a size of 1 to %d",
                             letter, columns, heads, IKATI_MAX_HEAD_SIZE);
}

static ikat_status check_full(ikati_request *request) {
    static const char *const columns[] = {"HD", "HDv", "RD", "RDv"};
    ikat_status status = refuse_output(request, 1, "full");
    for (int i = 0; i < 4 && !status; i++) {
        status = check_columns(request, columns[i]);
    }
    const int64_t layers = ikati_extent(request, "L"), rounds = ikati_star_rounds(request);
    if (!status && (layers < 1 || (layers != 1 && layers != rounds))) {
        status =
            ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                       "the weights have L = %" PRId64 " layers, expected 1 or rounds = %" PRId64,
                       layers, rounds);
    }
    if (!status && ikati_extent(request, "C") < 1) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "x has C = 0, expected at least 1");
    }
    if (!status && !(ikati_setting(request, "eps")->number > 0)) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "eps is %g, expected above 0", ikati_setting(request, "eps")->number);
    }
    // Of lse, which is not made.
    status = status ? status : ikati_shape_fix(request, "H", 0);
    return status ? status : ikati_shape_fix(request, "Nq", 0);
}

static ikat_status check(ikati_request *request) {
    const ikati_star_step step = ikati_star_step_of(request);
    ikat_status status = check_present(request, 1u << step, steps[step]);
    if (status) {
        return status;
    }
    return step == IKATI_STAR_FULL ? check_full(request) : check_parts(request, step);
}

// Products of the projections and attention of all rounds.
static double count_full(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N"), c = (double)ikati_extent(request, "C");
    const double ring = (double)(ikati_extent(request, "HD") + ikati_extent(request, "HDv"));
    const double relay = (double)(ikati_extent(request, "RD") + ikati_extent(request, "RDv"));
    const double seen = 4.0 + (double)ikati_setting(request, "embedding_context")->integer;
    const double satellites = 2 * n * c * ring + (n + 1) * c * ring + n * seen * ring;
    const double star = 2 * c * relay + (n + 1) * c * relay + (n + 1) * relay;
    return 2.0 * (double)ikati_extent(request, "B") * (double)ikati_star_rounds(request) *
           (satellites + star);
}

static ikati_cost cost(const ikati_request *request) {
    const double rows = (double)ikati_extent(request, "B") * (double)ikati_extent(request, "H");
    const double n = (double)ikati_extent(request, "N");
    switch (ikati_star_step_of(request)) {
    case IKATI_STAR_RELAY: return ikati_attention_cost(request, rows * (n + 1));
    case IKATI_STAR_RING:
        return ikati_attention_cost(request,
                                    rows * n * (ikati_input(request, "k_emb")->present ? 5 : 4));
    case IKATI_STAR_FULL: break;
    }
    ikati_cost result = ikati_attention_cost(request, 0);
    result.flops = count_full(request);
    return result;
}

// Each round of step full renormalises.
static double tolerance(const ikati_request *request, uint32_t output) {
    const ikati_star_step step = ikati_star_step_of(request);
    if (step != IKATI_STAR_FULL || request->dtype == IKAT_FLOAT16) {
        return step == IKATI_STAR_RING ? ikati_tolerance_default(request->dtype, 5)
                                       : ikati_attention_tolerance(request, output);
    }
    return fmin(2e-5, 4e-6 * (1.0 + (double)ikati_star_rounds(request)));
}

const ikati_mechanism ikati_mechanism_star = {
    .info =
        {
            .name = "star",
            .title = "Star-Transformer",
            .citation = "Guo et al., Star-Transformer, arXiv:1902.09113",
            .family = "patterns",
            .cost = "time O(N (D + Dv)) an attention step, O(N C H D) a round of step full; memory "
                    "O(N) beyond the tensors",
            .inputs = inputs,
            .num_inputs = IKATI_COUNT(inputs),
            .outputs = outputs,
            .num_outputs = IKATI_COUNT(outputs),
            .settings = settings,
            .num_settings = IKATI_COUNT(settings),
            .bench_inputs = "q=B,H,N,D k=B,Hkv,N,D v=B,Hkv,N,Dv k_emb=B,Hkv,N,D v_emb=B,Hkv,N,Dv "
                            "k_relay=B,Hkv,1,D v_relay=B,Hkv,1,Dv",
            .bench_settings = "step=ring",
        },
    .cases = cases,
    .num_cases = IKATI_COUNT(cases),
    .check = check,
    .cost = cost,
    .lower = ikati_star_lower,
    .tolerance = tolerance,
};
