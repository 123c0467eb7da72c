// Expressions in `attend`: the scores of pairs and whether they are seen. For rows with EXPRESSION
// defined, whose binding `bias` is the words of the expressions; after lib/attend.cl.
//
// COMPILED: the functions that ikati_expression_emit writes follow the source. Without, their bytecode is
// run; EXPRESSION_STACK(k) may be defined before, see lib/expression_run.h; it may name `stack`, which the
// including file declares by EXPRESSION_STACK_POINTER, the type of a pointer, and hands over.
#include "lib/expression.cl"

#ifdef COMPILED
int expression_mask(EXPRESSION_PLACE);
float expression_score(EXPRESSION_PLACE, float score);
#else
#ifdef EXPRESSION_STACK_POINTER
#undef EXPRESSION_PLACE
#define EXPRESSION_PLACE                                                                           \
    const Place at, __global const int *expression_words, EXPRESSION_STACK_POINTER stack
#endif
#include "lib/expression_run.h"
#endif

static inline Place place_of_pair(const Params *p, const Tile *t, int i, int j) {
    const Place at = {i,
                      j,
                      (int)(p->head_begin + t->head),
                      (int)(p->batch_begin + t->batch),
                      (int)p->total_queries,
                      (int)p->total_keys,
                      t->valid_keys,
                      t->valid_queries};
    return at;
}

// From a product, as it is before modify_score, to the score in units of log 2. -inf where the
// run asks for the mask and the mask is 0.
#ifdef COMPILED

static inline float evaluate_score(const Params *p, const Tile *t, const Run *run,
                                   EXPRESSION_WORDS, float product, int i, int j) {
    const Place at = place_of_pair(p, t, i, j);
    float s = product;
    if (has(OPTION_SCORE_EXPRESSION))
        s = expression_score(at, EXPRESSION_ARGUMENTS, p->scale * product) * LOG2_E;
    if (run->mask == ATTEND_EVALUATE)
        s = expression_mask(at, EXPRESSION_ARGUMENTS) != 0 ? s : -INFINITY;
    return s;
}

#else

// One loop for both programs: the interpreter is long, and compiled once a call.
static inline float evaluate_score(const Params *p, const Tile *t, const Run *run,
                                   EXPRESSION_WORDS, float product, int i, int j) {
    const Place at = place_of_pair(p, t, i, j);
    const bool scored = has(OPTION_SCORE_EXPRESSION);
    float s = scored ? p->scale * product : product;
    bool sees = true;
    _Pragma("nounroll") for (int program = 0; program < 2; program++) {
        const bool is_mask = program == 0;
        if (is_mask ? run->mask == ATTEND_EVALUATE : scored) {
            const int value = expression_run(at, EXPRESSION_ARGUMENTS, s,
                                             (int)(is_mask ? p->mask_at : p->score_at),
                                             (int)(is_mask ? p->mask_words : p->score_words));
            sees = is_mask ? value != 0 : sees;
            s = is_mask ? s : float_of_bits(value);
        }
    }
    return sees ? (scored ? s * LOG2_E : s) : -INFINITY;
}

#endif
