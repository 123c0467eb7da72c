// Expressions in `attend`: the score of a pair and whether it is seen. For rows with EXPRESSION
// defined, whose binding `bias` is `expression_words`; after lib/attend.glsl.
//
// COMPILED: the functions that ikati_expression_emit writes follow the source. Without, their bytecode is
// run; EXPRESSION_STACK(k) may be defined before, see lib/expression_run.h.

#include "expression.glsl"

Place place_of_pair(Tile t, int i, int j) {
    return Place(i, j, int(p.head_begin + t.head), int(p.batch_begin + t.batch), int(p.total_queries),
                 int(p.total_keys), t.valid_keys, t.valid_queries);
}

// From a product, as it is before modify_score, to the score in units of log 2. -inf where the tile's
// entry asks for the mask and the mask is 0.
#ifdef COMPILED

int expression_mask(EXPRESSION_PLACE);
float expression_score(EXPRESSION_PLACE, float score);

float evaluate_score(Tile t, float product, int i, int j) {
    Place at = place_of_pair(t, i, j);
    float s = product;
    if (has(OPTION_SCORE_EXPRESSION)) s = expression_score(at, p.scale * product) * LOG2_E;
    if (t.mask == ATTEND_EVALUATE) s = expression_mask(at) != 0 ? s : -INFINITY;
    return s;
}

#else

#include "lib/expression_run.h"

// One loop for both programs: the interpreter is long, and compiled once a call.
float evaluate_score(Tile t, float product, int i, int j) {
    Place at = place_of_pair(t, i, j);
    bool scored = has(OPTION_SCORE_EXPRESSION);
    float s = scored ? p.scale * product : product;
    bool sees = true;
    [[dont_unroll]] for (int program = 0; program < 2; ++program) {
        bool is_mask = program == 0;
        if (is_mask ? t.mask == ATTEND_EVALUATE : scored) {
            int value = expression_run(at, s, int(is_mask ? p.mask_at : p.score_at),
                                       int(is_mask ? p.mask_words : p.score_words));
            sees = is_mask ? value != 0 : sees;
            s = is_mask ? s : float_of_bits(value);
        }
    }
    return sees ? (scored ? s * LOG2_E : s) : -INFINITY;
}

#endif
