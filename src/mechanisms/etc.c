// ETC: a long input that sees its neighbourhood and a short global input that sees all, with labels
// on the edges and masks that carve structure.
//
// Ainslie et al., ETC: Encoding Long and Structured Inputs in Transformers, arXiv:2004.08483,
// section 3; labels after Shaw et al., Self-Attention with Relative Position Representations,
// arXiv:1803.02155.

#include "etc.h"

#include "../shape.h"

#include <inttypes.h>

#define LABELS(piece, shape_text, range)                                                  \
    {                                                                                     \
        .name = "labels_" piece, .shape = shape_text, .dtype = "int32", .optional = true, \
        .values = range, .help = "edge labels; absent: by position"                       \
    }
#define MASK(piece, shape_text)                                                         \
    {                                                                                   \
        .name = "mask_" piece, .shape = shape_text, .dtype = "int32", .optional = true, \
        .values = "0..1", .help = "0: the key is invisible"                             \
    }
// Labels of global rows index their own table, or without one that of the long rows.
#define GLOBAL_LABELS "0..R2-1 or 0..R-1"

static const ikat_argument_info inputs[] = {
    {.name = "q", .shape = "[B,H,N,D]", .dtype = "float", .help = "long queries"},
    {.name = "k", .shape = "[B,Hkv,N,D]", .dtype = "float", .help = "long keys; Hkv divides H"},
    {.name = "v", .shape = "[B,Hkv,N,Dv]", .dtype = "float", .help = "long values"},
    {.name = "q_global", .shape = "[B,H,G,D]", .dtype = "float", .help = "global queries"},
    {.name = "k_global", .shape = "[B,Hkv,G,D]", .dtype = "float", .help = "global keys"},
    {.name = "v_global", .shape = "[B,Hkv,G,Dv]", .dtype = "float", .help = "global values"},
    {.name = "k_l2g",
     .shape = "[B,Hkv,G,D]",
     .dtype = "float",
     .optional = true,
     .help = "global keys as long queries see them; with v_l2g or not at all"},
    {.name = "v_l2g",
     .shape = "[B,Hkv,G,Dv]",
     .dtype = "float",
     .optional = true,
     .help = "global values as long queries see them"},
    {.name = "k_g2l",
     .shape = "[B,Hkv,N,D]",
     .dtype = "float",
     .optional = true,
     .help = "long keys as global queries see them; with v_g2l or not at all"},
    {.name = "v_g2l",
     .shape = "[B,Hkv,N,Dv]",
     .dtype = "float",
     .optional = true,
     .help = "long values as global queries see them"},
    {.name = "rel_key",
     .shape = "[R,H,D]",
     .dtype = "float",
     .optional = true,
     .help = "label vectors, added to the keys; of global queries too without rel_key_global"},
    {.name = "rel_bias",
     .shape = "[R,H]",
     .dtype = "float",
     .optional = true,
     .help = "label biases; needs rel_key"},
    {.name = "rel_key_global",
     .shape = "[R2,H,D]",
     .dtype = "float",
     .optional = true,
     .help = "label vectors of global queries"},
    {.name = "rel_bias_global",
     .shape = "[R2,H]",
     .dtype = "float",
     .optional = true,
     .help = "label biases of global queries; needs rel_key_global"},
    LABELS("l2l", "[B or 1,N,W]", "0..R-1"),
    LABELS("l2g", "[B or 1,N,G]", "0..R-1"),
    LABELS("g2g", "[B or 1,G,G]", GLOBAL_LABELS),
    LABELS("g2l", "[B or 1,G,N]", GLOBAL_LABELS),
    MASK("l2l", "[B or 1,N,W]"),
    MASK("l2g", "[B or 1,N,G]"),
    MASK("g2g", "[B or 1,G,G]"),
    MASK("g2l", "[B or 1,G,N]"),
    {.name = "segment_ids",
     .shape = "[B,N]",
     .dtype = "int32",
     .optional = true,
     .help = "the global token of each long one; none if outside 0..G-1"},
    {.name = "lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..N",
     .help = "valid long positions"},
    {.name = "global_lengths",
     .shape = "[B]",
     .dtype = "int32",
     .optional = true,
     .values = "0..G",
     .help = "valid global positions"},
};

enum { OUT, LSE, OUT_GLOBAL, LSE_GLOBAL };

static const ikat_argument_info outputs[] = {
    IKATI_ATTENTION_OUTPUTS,
    {.name = "out_global",
     .shape = "[B,H,G,Dv]",
     .dtype = "float",
     .help = "result of global rows"},
    {.name = "lse_global",
     .shape = "[B,H,G]",
     .dtype = "float32",
     .optional = true,
     .help = "natural log of each global row's normaliser"},
};

static const ikat_setting_info settings[] = {
    {.name = "radius",
     .type = IKAT_SETTING_INT,
     .default_text = "84",
     .maximum = IKATI_MAX_INTEGER,
     .help = "long keys seen on either side; 2 radius + 1 columns (W) of labels and masks"},
    {.name = "rel_max_distance",
     .type = IKAT_SETTING_INT,
     .default_text = "12",
     .maximum = IKATI_MAX_INTEGER,
     .help = "labels by position tell distances apart up to here; they need 2 of it + 3 labels"},
    {.name = "hard_l2g",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: a long token sees only its own global token; needs segment_ids"},
    {.name = "hard_g2l",
     .type = IKAT_SETTING_INT,
     .default_text = "0",
     .maximum = 1,
     .help = "1: a global token sees only its own long tokens; needs segment_ids"},
    IKATI_SCALE_SETTING,
};

const ikati_etc_side ikati_etc_sides[IKATI_ETC_SIDES] = {
    {.q = "q",
     .rel_key = "rel_key",
     .rel_bias = "rel_bias",
     .lengths = "lengths",
     .key_lengths = {"lengths", "global_lengths"},
     .out = OUT,
     .lse = LSE,
     .pieces = {{.k = "k", .v = "v", .labels = "labels_l2l", .mask = "mask_l2l", .is_local = true},
                {.k = "k_l2g",
                 .v = "v_l2g",
                 .otherwise_k = "k_global",
                 .otherwise_v = "v_global",
                 .labels = "labels_l2g",
                 .mask = "mask_l2g",
                 .hard = "hard_l2g"}}},
    {.q = "q_global",
     .rel_key = "rel_key_global",
     .rel_bias = "rel_bias_global",
     .lengths = "global_lengths",
     .key_lengths = {"global_lengths", "lengths"},
     .out = OUT_GLOBAL,
     .lse = LSE_GLOBAL,
     .pieces = {{.k = "k_global", .v = "v_global", .labels = "labels_g2g", .mask = "mask_g2g"},
                {.k = "k_g2l",
                 .v = "v_g2l",
                 .otherwise_k = "k",
                 .otherwise_v = "v",
                 .labels = "labels_g2l",
                 .mask = "mask_g2l",
                 .hard = "hard_g2l",
                 .key_is_token = true}}},
};

// The six tensors that every call has: b batch entries, h heads, n and g positions, head size d.
#define IKATI_ETC(b, h, n, g, d)                                                                \
    "q=" b "," h "," n "," d " k=" b "," h "," n "," d " v=" b "," h "," n "," d " q_global=" b \
    "," h "," g "," d " k_global=" b "," h "," g "," d " v_global=" b "," h "," g "," d

static const ikat_mechanism_case cases[] = {
    {"defaults", IKATI_ETC("1", "2", "300", "9", "16"), "", ""},
    {"radius", IKATI_ETC("2", "3", "37", "5", "16"), "radius=5", "no size a multiple of a tile"},
    {"radius_0", IKATI_ETC("1", "2", "33", "4", "8"), "radius=0", "itself and the global tokens"},
    {"radius_wide", IKATI_ETC("1", "2", "50", "7", "16"), "radius=9000000000",
     "dense over both inputs"},
    {"one_global", IKATI_ETC("1", "2", "70", "1", "16"), "radius=9", "the least there is"},
    {"as_many_globals", IKATI_ETC("2", "2", "40", "40", "16") " lengths=2@40,17", "radius=3",
     "N = G, and lengths of one input alone"},
    {"odd_sizes",
     "q=2,3,21,5 k=2,3,21,5 v=2,3,21,7 q_global=2,3,4,5 k_global=2,3,4,5 v_global=2,3,4,7",
     "radius=4 scale=0.3", "D and Dv differ"},
    {"head_64", IKATI_ETC("1", "2", "200", "20", "64"), "radius=33", "the most common head"},
    {"head_128", IKATI_ETC("1", "1", "150", "10", "128") " rel_key=9,1,128",
     "radius=20 rel_max_distance=3", ""},
    {"head_200", IKATI_ETC("1", "1", "40", "5", "200") " rel_key=5,1,200",
     "radius=7 rel_max_distance=1", "past the tuned classes"},
    {"projections",
     IKATI_ETC("2", "2", "60", "6", "16") " k_l2g=2,2,6,16 v_l2g=2,2,6,16 k_g2l=2,2,60,16 "
                                          "v_g2l=2,2,60,16",
     "radius=6", "keys and values of their own between the inputs"},
    {"projections_l2g", IKATI_ETC("1", "2", "40", "6", "16") " k_l2g=1,2,6,16 v_l2g=1,2,6,16",
     "radius=6", ""},
    {"labels_by_position", IKATI_ETC("2", "2", "90", "8", "16") " rel_key=27,2,16", "radius=20",
     "K = 12, no segments"},
    {"labels_by_segment",
     IKATI_ETC("2", "2", "90", "8", "16") " rel_key=11,2,16 rel_bias=11,2 segment_ids=2,90@-1..8",
     "radius=20 rel_max_distance=4", "one in ten tokens has no segment"},
    {"labels_reach_0", IKATI_ETC("1", "2", "50", "4", "16") " rel_key=3,2,16",
     "radius=9 rel_max_distance=0", "one label an input"},
    {"labels_own_table",
     IKATI_ETC("1", "2", "70", "8", "16") " rel_key=9,2,16 rel_bias=9,2 rel_key_global=13,2,16 "
                                          "rel_bias_global=13,2",
     "radius=12 rel_max_distance=3", "more labels than needed"},
    {"labels_of_globals", IKATI_ETC("1", "2", "70", "8", "16") " rel_key_global=9,2,16",
     "radius=12 rel_max_distance=3", "long rows have none"},
    {"labels_given",
     IKATI_ETC("2", "2", "60", "6", "16") " rel_key=5,2,16 labels_l2l=2,60,15 labels_l2g=2,60,6 "
                                          "labels_g2g=2,6,6 labels_g2l=2,6,60",
     "radius=7", "K does not count"},
    {"labels_given_shared",
     IKATI_ETC("2", "2", "60", "6", "16") " rel_key=5,2,16 rel_key_global=40,2,16 "
                                          "rel_bias_global=40,2 labels_l2l=1,60,15 "
                                          "labels_l2g=1,60,6 labels_g2g=1,6,6 labels_g2l=1,6,60",
     "radius=7", "batch entries share labels"},
    {"labels_partly_given",
     IKATI_ETC("2", "2", "60", "6", "16") " rel_key=9,2,16 labels_l2g=2,60,6 labels_g2g=1,6,6 "
                                          "segment_ids=2,60@0..5",
     "radius=7 rel_max_distance=3", "the others go by position"},
    {"labels_odd_sizes",
     "q=2,3,21,5 k=2,3,21,5 v=2,3,21,7 q_global=2,3,4,5 k_global=2,3,4,5 v_global=2,3,4,7 "
     "rel_key=7,3,5 rel_bias=7,3 segment_ids=2,21@0..3",
     "radius=4 rel_max_distance=2", ""},
    {"masks",
     IKATI_ETC("2", "2", "60", "6", "16") " mask_l2l=2,60,15@0..1 mask_l2g=1,60,6@0..1 "
                                          "mask_g2g=1,6,6@1,0,0,1,1 mask_g2l=2,6,60@0..1",
     "radius=7", "pairs are hidden, no label is there"},
    {"masks_hide_all",
     IKATI_ETC("1", "2", "30", "3", "16") " mask_l2l=1,30,7@0 mask_l2g=1,30,3@0 mask_g2g=1,3,3@0 "
                                          "mask_g2l=1,3,30@0",
     "radius=3", "rows that see nothing"},
    {"masks_labels",
     IKATI_ETC("2", "2", "60", "6", "16") " rel_key=9,2,16 mask_l2l=1,60,15@0..1 "
                                          "mask_l2g=2,60,6@0..1 mask_g2l=1,6,60@0..1 "
                                          "labels_l2l=2,60,15 segment_ids=2,60@0..5",
     "radius=7 rel_max_distance=3", "masks over given labels and over labels by position"},
    {"hard", IKATI_ETC("2", "2", "60", "6", "16") " segment_ids=2,60@-1..6",
     "radius=7 hard_l2g=1 hard_g2l=1", "tokens of no segment see none"},
    {"hard_labels",
     IKATI_ETC("1", "2", "60", "6", "16") " rel_key=9,2,16 segment_ids=1,60@0..4 labels_l2g=1,60,6",
     "radius=7 rel_max_distance=3 hard_l2g=1 hard_g2l=1", "the last global token has no token"},
    {"lengths", IKATI_ETC("3", "2", "50", "6", "16") " lengths=3@50,23,0 global_lengths=3@6,2,3",
     "radius=6", ""},
    {"lengths_global", IKATI_ETC("2", "2", "50", "6", "16") " global_lengths=2@0,5", "radius=6",
     "an entry without global tokens"},
    {"lengths_labels",
     IKATI_ETC("3", "2", "50", "6", "16") " lengths=3@50,23,0 global_lengths=3@6,2,0 "
                                          "rel_key=11,2,16 segment_ids=3,50@0..5",
     "radius=6 rel_max_distance=4", ""},
    {"grouped_query",
     "q=2,6,45,16 k=2,2,45,16 v=2,2,45,24 q_global=2,6,5,16 k_global=2,2,5,16 v_global=2,2,5,24 "
     "rel_key=7,6,16",
     "radius=4 rel_max_distance=2", "three query heads a key/value head, each with its own labels"},
    {"everything",
     "q=2,4,140,24 k=2,2,140,24 v=2,2,140,40 q_global=2,4,9,24 k_global=2,2,9,24 "
     "v_global=2,2,9,40 k_l2g=2,2,9,24 v_l2g=2,2,9,40 k_g2l=2,2,140,24 v_g2l=2,2,140,40 "
     "rel_key=15,4,24 rel_bias=15,4 rel_key_global=17,4,24 rel_bias_global=17,4 "
     "labels_l2l=2,140,41 labels_l2g=1,140,9 labels_g2g=1,9,9 labels_g2l=2,9,140 "
     "mask_l2l=1,140,41@0..1 mask_l2g=2,140,9@0..1 mask_g2g=1,9,9@0..1 mask_g2l=2,9,140@0..1 "
     "segment_ids=2,140@0..8 lengths=2@140,81 global_lengths=2@9,5 head_mask=4@1,1,0,1",
     "radius=20 hard_g2l=1 scale=0.2", "all inputs at once"},
    {"head_mask", IKATI_ETC("2", "4", "40", "5", "16") " rel_key=9,4,16 head_mask=4@1,0,1,1",
     "radius=6 rel_max_distance=3", "a pruned head"},
    {"only_global", IKATI_ETC("1", "2", "60", "5", "16") " !out !lse", "radius=6",
     "no long row is computed"},
    {"only_lse",
     "q=1,2,40,16 k=1,2,40,16 v=1,2,40,7 q_global=1,2,5,16 k_global=1,2,5,16 v_global=1,2,5,7 "
     "!out !out_global",
     "radius=6", "no values are wanted"},
    {"only_long", IKATI_ETC("1", "2", "60", "5", "16") " !out_global !lse_global !lse", "radius=6",
     ""},
    {"long_keys", IKATI_ETC("1", "1", "3000", "2", "32") " rel_key=7,1,32",
     "radius=16 rel_max_distance=2", "few global rows: their keys are split over workgroups"},
    {"one_position", IKATI_ETC("1", "1", "1", "1", "8"), "", ""},
    {"no_positions", IKATI_ETC("1", "2", "0", "4", "16") " rel_key=27,2,16", "",
     "N = 0: global rows see each other"},
    {"no_batch", IKATI_ETC("0", "2", "20", "4", "16") " rel_key=27,2,16", "", "B = 0"},
    {"large", IKATI_ETC("1", "1", "20000", "30", "64"), "", "where N x N would not do"},
    {"large_labels",
     IKATI_ETC("1", "1", "20000", "30", "64") " rel_key=27,1,64 segment_ids=1,20000@0..29", "", ""},
};

static bool has_input(const ikati_request *request, const char *name) {
    return ikati_input(request, name)->present;
}

const char *ikati_etc_table(const ikati_request *request, const ikati_etc_side *side) {
    return has_input(request, side->rel_key) ? side->rel_key
           : has_input(request, "rel_key")   ? "rel_key"
                                             : NULL;
}

bool ikati_etc_wanted(const ikati_request *request, const ikati_etc_side *side) {
    return request->outputs[side->out].present || request->outputs[side->lse].present;
}

static ikat_status fail_missing(const ikati_request *request, const char *name,
                                const char *needed_by) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                      "%s is missing, expected it where %s is given", name, needed_by);
}

// `name` is given only with `other`.
static ikat_status check_needs(const ikati_request *request, const char *name, const char *other) {
    return has_input(request, name) && !has_input(request, other)
               ? fail_missing(request, other, name)
               : IKAT_OK;
}

static ikat_status check_tables(const ikati_request *request, const ikati_etc_side *side) {
    const char *table = ikati_etc_table(request, side);
    ikat_status status = check_needs(request, side->rel_bias, side->rel_key);
    const int64_t num_labels = table ? ikati_input(request, table)->tensor.shape[0] : 0;
    const int64_t reach = ikati_setting(request, "rel_max_distance")->integer;
    int64_t least = 1;
    for (int i = 0; i < 2 && !status; i++) {
        const bool given = has_input(request, side->pieces[i].labels);
        if (given && !table) {
            status = fail_missing(request, side->rel_key, side->pieces[i].labels);
        }
        least = given ? least : 2 * reach + 3;
    }
    if (!status && table && num_labels < least) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "%s has %" PRId64 " labels, expected at least %" PRId64 "%s", table,
                            num_labels, least,
                            least > 1 ? " for labels by position (2 rel_max_distance + 3)" : "");
    }
    return status;
}

static ikat_status check_side(const ikati_request *request, const ikati_etc_side *side) {
    ikat_status status = check_tables(request, side);
    for (int i = 0; i < 2 && !status; i++) {
        const ikati_etc_piece *piece = &side->pieces[i];
        if (piece->otherwise_k) {
            status = check_needs(request, piece->k, piece->v);
            status = status ? status : check_needs(request, piece->v, piece->k);
        }
        if (!status && piece->hard && ikati_setting(request, piece->hard)->integer &&
            !has_input(request, "segment_ids")) {
            status = fail_missing(request, "segment_ids", piece->hard);
        }
    }
    return status;
}

// Labels and masks of l2l have 2 radius + 1 columns.
static ikat_status check_columns(ikati_request *request) {
    const ikati_etc_piece *local = &ikati_etc_sides[IKATI_ETC_LONG].pieces[0];
    const int64_t columns = 2 * ikati_setting(request, "radius")->integer + 1;
    const char *name = has_input(request, local->labels) ? local->labels : local->mask;
    return has_input(request, name) ? ikati_shape_fix(request, "W", columns) : IKAT_OK;
}

static ikat_status check(ikati_request *request) {
    ikat_status status = ikati_attention_check(request);
    if (!status && ikati_extent(request, "G") == 0) {
        status = ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                            "q_global has G = 0, expected at least one global position");
    }
    for (int i = 0; i < IKATI_ETC_SIDES && !status; i++) {
        status = check_side(request, &ikati_etc_sides[i]);
    }
    return status ? status : check_columns(request);
}

// Pairs of neighbours of the long input, at either end fewer.
static double count_local(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N");
    const double radius = fmin((double)ikati_setting(request, "radius")->integer, n - 1);
    return n > 0 ? n * (2 * radius + 1) - radius * (radius + 1) : 0;
}

// What labels, masks and lengths hold is known on the device alone: all pairs count. A label's score is
// computed once a row.
static ikati_cost cost(const ikati_request *request) {
    const double n = (double)ikati_extent(request, "N"), g = (double)ikati_extent(request, "G");
    const double pairs[] = {count_local(request) + n * g, g * (n + g)}, rows[] = {n, g};
    double heads = 0, total = 0, labels = 0;
    for (int64_t h = 0; h < ikati_extent(request, "H"); h++) {
        heads += ikati_keeps_head(request, h);
    }
    heads *= (double)ikati_extent(request, "B");
    for (int i = 0; i < IKATI_ETC_SIDES; i++) {
        const ikati_etc_side *side = &ikati_etc_sides[i];
        const char *table = ikati_etc_table(request, side);
        if (ikati_etc_wanted(request, side)) {
            total += heads * pairs[i];
            labels +=
                table ? heads * rows[i] * (double)ikati_input(request, table)->tensor.shape[0] : 0;
        }
    }
    ikati_cost result = ikati_attention_cost(request, total);
    result.flops += 2 * labels * (double)ikati_extent(request, "D");
    return result;
}

static double tolerance(const ikati_request *request, uint32_t output) {
    (void)output;
    return ikati_tolerance_default(
        request->dtype, (double)(ikati_extent(request, "N") + ikati_extent(request, "G")));
}

const ikati_mechanism ikati_mechanism_etc = {
    .info =
        {
            .name = "etc",
            .title = "ETC's global-local attention",
            .citation = "Ainslie et al., ETC: Encoding Long and Structured Inputs in Transformers, "
                        "arXiv:2004.08483; labels after Shaw et al., arXiv:1803.02155",
            .family = "patterns",
            .cost =
                "time O(N (2 radius + 1 + G) D + G (N + G) D), with labels O((N + G) R D) more; "
                "memory O(N D) beyond the tensors",
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
    .lower = ikati_etc_lower,
    .tolerance = tolerance,
};
