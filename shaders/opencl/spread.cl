// spread: joins the results of levels, of which query i takes row i >> l: lse = log sum_l 2^l
// exp(lse_l), out = sum_l 2^l exp(lse_l - lse) out_l. An item, one a work-item, is COLUMNS
// neighbouring columns of one query: 4 on GPUs; on devices of type CPU, where weights cost more
// than columns, all, in vectors of 16. The work-item of a query's first columns writes its lse. See
// params/spread.h.
//
// Defines: COLUMNS (4, 512).
#define LANES 1
#include "params/spread.h"
#define KERNEL_PARAMS SPREAD_PARAMS
#include "lib/kernel.cl"
#include "lib/numbers.cl"

#if OPTIONS & SPREAD_HALF
typedef half Output;
#define store_output(x, e, value) vstore_half(value, e, x)
#define store16(x, e, value) vstore_half16(value, 0, (x) + (e))
#else
typedef float Output;
#define store_output(x, e, value) ((x)[e] = (value))
#define store16(x, e, value) vstore16(value, 0, (x) + (e))
#endif

// Vectors of columns: the first `left` of them, at least one, from an address and back to one. No
// private arrays on GPUs.
#if COLUMNS == 4
#define GROUP_SIZE 128
#define WIDTH 4
typedef float4 Wide;
static inline Wide load_columns(__global const float *x, uint left) {
    if (left >= 4u) return vload4(0, x);
    return (float4)(x[0], x[min(left - 1u, 1u)], x[min(left - 1u, 2u)], 0.0f);
}
static inline void store_columns(__global Output *out, uint e, uint left, Wide x) {
    store_output(out, e, x.x);
    if (left > 1u) store_output(out, e + 1u, x.y);
    if (left > 2u) store_output(out, e + 2u, x.z);
    if (left > 3u) store_output(out, e + 3u, x.w);
}
#else
#define GROUP_SIZE 16
#define WIDTH 16
typedef float16 Wide;
static inline Wide load_columns(__global const float *x, uint left) {
    if (left >= 16u) return vload16(0, x);
    Wide columns = 0.0f;
    for (uint d = 0; d < left; d++) ((float *)&columns)[d] = x[d];
    return columns;
}
static inline void store_columns(__global Output *out, uint e, uint left, Wide x) {
    if (left >= 16u) {
        store16(out, e, x);
    } else {
        for (uint d = 0; d < left; d++) store_output(out, e + d, ((float *)&x)[d]);
    }
}
#endif
#define VECTORS (COLUMNS / WIDTH)

// A level: its number, the place of its first row among those of all, its rows a head.
typedef struct Level {
    uint number, first, rows;
} Level;

static inline Level first_level(const Params *p) {
    const Level level = {0u, 0u, p->num_queries};
    return level;
}

static inline Level next_level(const Params *p, Level level) {
    level.number++;
    level.first += p->num_batches * p->num_heads * level.rows;
    level.rows = (level.rows + 1u) / 2u;
    return level;
}

// Where the row of a query lies; `head` counts those of all batches.
static inline uint row_of(Level level, uint head, uint query) {
    return level.first + head * level.rows + (query >> level.number);
}

// In units of log 2, the weight of the level's keys added.
static inline float load_lse(const Params *p, __global const float *level_lse, Level level,
                             uint head, uint query) {
    return level_lse[p->base_level_lse + row_of(level, head, query)] * LOG2_E + (float)level.number;
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
spread(__global const float *levels, __global const float *level_lse, __global Output *out,
       __global float *lse, const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->value_size + COLUMNS - 1u) / COLUMNS;
    const uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    const uint column = item % items_a_row * COLUMNS;
    const uint query = item / items_a_row % p->num_queries;
    const uint any_head = item / items_a_row / p->num_queries;
    const uint head = any_head % p->num_heads, batch = any_head / p->num_heads;
    if (batch >= p->num_batches) return;

    float top = load_lse(p, level_lse, first_level(p), any_head, query);
    const uint num_levels = is_negative_infinity(top) ? 1u : p->num_levels;
    for (Level level = first_level(p); level.number < num_levels; level = next_level(p, level))
        top = fmax(top, load_lse(p, level_lse, level, any_head, query));
    const float shift = is_negative_infinity(top) ? 0.0f : top;

    const uint end = min(p->value_size - column, (uint)COLUMNS);
    float sum = 0.0f;
    Wide sums[VECTORS];
    for (uint x = 0; x < VECTORS && x * WIDTH < end; x++) sums[x] = 0.0f;
    for (Level level = first_level(p); level.number < num_levels; level = next_level(p, level)) {
        const float weight = exp2(load_lse(p, level_lse, level, any_head, query) - shift);
        __global const float *row =
            levels + p->base_levels + row_of(level, any_head, query) * p->value_size + column;
        sum += weight;
        for (uint x = 0; x < VECTORS && x * WIDTH < end; x++)
            sums[x] += weight * load_columns(row + x * WIDTH, end - x * WIDTH);
    }

    const float factor = sum == 0.0f ? 1.0f : 1.0f / sum;
    const uint e =
        p->base_out + batch * p->out_batch + head * p->out_head + query * p->out_row + column;
    for (uint x = 0; x < VECTORS && x * WIDTH < end; x++)
        store_columns(out, e + x * WIDTH, end - x * WIDTH, sums[x] * factor);
    if (has(SPREAD_LSE) && column == 0u)
        lse[p->base_lse + batch * p->lse_batch + head * p->lse_head + query * p->lse_row] =
            sum == 0.0f ? -INFINITY : (shift + log2(sum)) * LN_2;
}
