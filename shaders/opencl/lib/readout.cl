// What both forms of `readout` share: the type of the output, which queries rows are, and their denominators.
#if OPTIONS & READOUT_OUT_HALF
typedef half Out;
#define store_out store_half
#define store16_out(out, e, x) vstore_half16(x, 0, (out) + (e))
#else
typedef float Out;
#define store_out store_float
#define store16_out(out, e, x) ((__global Lanes *)((out) + (e)))->x = (x)
#endif

// The query of a row, and whether it is written, and is more than 0.
typedef struct Query {
    uint index;
    bool exists, counts;
} Query;

static inline Query query_of(const Params *p, uint row, uint valid, bool kept) {
    const uint first_slot = p->total ? p->total - p->num_queries : 0u;
    Query query;
    query.index = p->row_begin + row - first_slot; // before the first one: past the last
    query.exists = query.index < p->num_queries;
    query.counts = kept && query.index < (has(READOUT_SELF) ? valid : p->num_queries);
    return query;
}

// What a row is multiplied by; `den` is the sum of its weights.
static inline float factor_of(const Params *p, float den) {
    if (!has(READOUT_NORMALIZE)) return p->scale;
    den = den * p->scale + p->eps;
    if (p->guard > 0.0f && fabs(den) <= p->guard) den += 2.0f * p->guard;
    return den == 0.0f ? 0.0f : p->scale / den;
}
