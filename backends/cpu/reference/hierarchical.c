// Near keys one by one, far keys as averages: Zhu, Soricut, H-Transformer-1D, arXiv:2107.11906,
// sections 4-6. A coarse token of level l is the mean of its 2^l positions, as far as they are valid.

#include "reference.h"

#include <math.h>
#include <stdlib.h>

// 1: coarse tokens are left to the level below where their half blocks were the same or neighbours
// there. The oracle's own test compiles this file once more with another value and must notice.
#ifndef HIERARCHICAL_COVERED
#define HIERARCHICAL_COVERED 1
#endif

enum { MAX_LEVELS = 64 };

// first   place of each level's first token in the arrays, and of the end
// q, k    means; v: sums; count: valid positions. Of one batch entry and head
typedef struct hierarchical {
    const ikati_call_tensor *q_tensor, *k_tensor, *v_tensor, *lengths, *out, *lse;
    int64_t num_positions, num_valid, head_size, value_size, block_size;
    bool causal;
    double scale;
    int64_t num_levels, first[MAX_LEVELS + 1];
    double *q, *k, *v, *count, *scores, *accumulator;
} hierarchical;

static bool sees(const hierarchical *s, int64_t level, int64_t a, int64_t c) {
    const int64_t step = c / s->block_size - a / s->block_size, half = s->block_size / 2;
    if (level == 0) {
        return llabs(step) <= 1 && (!s->causal || c <= a);
    }
    const bool covered = llabs(a / half - c / half) <= HIERARCHICAL_COVERED;
    return (s->causal ? step == -1 : llabs(step) == 1) && !covered;
}

// Sum over the valid positions of token `at` of a level; returns their number.
static int64_t add_positions(const hierarchical *s, const ikati_call_tensor *tensor, int64_t b,
                             int64_t head, int64_t level, int64_t at, int64_t size, double *sum) {
    const int64_t first = at << level, end = (at + 1) << level;
    int64_t count = 0;
    for (int64_t d = 0; d < size; d++) {
        sum[d] = 0;
    }
    for (int64_t j = first; j < end && j < s->num_valid; j++, count++) {
        const int64_t index = cpu_index(tensor, b, head, j, 0);
        for (int64_t d = 0; d < size; d++) {
            sum[d] += cpu_load(tensor, index + d);
        }
    }
    return count;
}

static void make_keys(hierarchical *s, int64_t b, int64_t head) {
    for (int64_t level = 0; level < s->num_levels; level++) {
        for (int64_t t = s->first[level]; t < s->first[level + 1]; t++) {
            const int64_t at = t - s->first[level];
            double *k = s->k + t * s->head_size;
            const int64_t count =
                add_positions(s, s->k_tensor, b, head, level, at, s->head_size, k);
            for (int64_t d = 0; d < s->head_size && count; d++) {
                k[d] /= (double)count;
            }
            add_positions(s, s->v_tensor, b, head, level, at, s->value_size,
                          s->v + t * s->value_size);
            s->count[t] = (double)count;
        }
    }
}

// With causal the first position stands for all, so that no row learns of later ones.
static void make_queries(hierarchical *s, int64_t b, int64_t head) {
    for (int64_t level = 0; level < s->num_levels; level++) {
        for (int64_t t = s->first[level]; t < s->first[level + 1]; t++) {
            const int64_t at = t - s->first[level];
            double *q = s->q + t * s->head_size;
            if (s->causal && s->count[t] > 0) {
                cpu_load_row(s->q_tensor, cpu_index(s->q_tensor, b, head, at << level, 0),
                             s->head_size, q);
                continue;
            }
            const int64_t count =
                add_positions(s, s->q_tensor, b, head, level, at, s->head_size, q);
            for (int64_t d = 0; d < s->head_size && count; d++) {
                q[d] /= (double)count;
            }
        }
    }
}

static double score(const hierarchical *s, const double *q, const double *k) {
    double sum = 0;
    for (int64_t d = 0; d < s->head_size; d++) {
        sum += q[d] * k[d];
    }
    return s->scale * sum;
}

// Tokens of a level that query i may see: its block and those beside it.
static void near_tokens(const hierarchical *s, int64_t level, int64_t i, int64_t *out_first,
                        int64_t *out_end) {
    const int64_t block = (i >> level) / s->block_size;
    const int64_t num = s->first[level + 1] - s->first[level];
    *out_first = block > 0 ? (block - 1) * s->block_size : 0;
    *out_end = (block + 2) * s->block_size < num ? (block + 2) * s->block_size : num;
}

// Fills the scores of what query i sees, -inf for what it does not; returns the largest.
static double score_row(const hierarchical *s, int64_t i, bool *out_sees_any) {
    double maximum = -INFINITY;
    for (int64_t level = 0; level < s->num_levels; level++) {
        const int64_t a = i >> level;
        int64_t c, end;
        near_tokens(s, level, i, &c, &end);
        for (; c < end; c++) {
            const int64_t t = s->first[level] + c;
            s->scores[t] = -INFINITY;
            if (s->count[t] > 0 && sees(s, level, a, c)) {
                s->scores[t] =
                    score(s, s->q + (s->first[level] + a) * s->head_size, s->k + t * s->head_size);
            }
            *out_sees_any = *out_sees_any || s->scores[t] != -INFINITY; // NaN is seen
            maximum = s->scores[t] > maximum ? s->scores[t] : maximum;
        }
    }
    return maximum;
}

// Leaves the row's result in the accumulator and returns its lse.
static double attend(const hierarchical *s, int64_t i) {
    bool sees_any = false;
    double sum = 0;
    const double maximum = score_row(s, i, &sees_any);
    for (int64_t level = 0; level < s->num_levels && sees_any; level++) {
        int64_t c, end;
        near_tokens(s, level, i, &c, &end);
        for (int64_t t = s->first[level] + c; t < s->first[level] + end; t++) {
            if (s->scores[t] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
            const double p = exp(s->scores[t] - maximum);
            sum += s->count[t] * p;
            cpu_add_scaled(s->accumulator, p, s->v + t * s->value_size, s->value_size);
        }
    }
    for (int64_t d = 0; d < s->value_size && sees_any; d++) {
        s->accumulator[d] /= sum;
    }
    return sees_any ? maximum + log(sum) : -INFINITY;
}

static void attend_head(const hierarchical *s, int64_t b, int64_t head) {
    for (int64_t i = 0; i < s->num_positions; i++) {
        for (int64_t d = 0; d < s->value_size; d++) {
            s->accumulator[d] = 0;
        }
        const double lse = i < s->num_valid ? attend(s, i) : -INFINITY;
        if (s->out) {
            cpu_store_row(s->out, cpu_index(s->out, b, head, i, 0), s->value_size, s->accumulator);
        }
        if (s->lse) {
            cpu_store(s->lse, cpu_index(s->lse, b, head, i, 0), lse);
        }
    }
}

static void read_call(hierarchical *s, const cpu_call *call) {
    s->q_tensor = cpu_input(call, "q");
    s->k_tensor = cpu_input(call, "k");
    s->v_tensor = cpu_input(call, "v");
    s->lengths = cpu_input(call, "lengths");
    s->out = cpu_output(call, "out");
    s->lse = cpu_output(call, "lse");
    s->num_positions = s->q_tensor->tensor.shape[2];
    s->head_size = s->q_tensor->tensor.shape[3];
    s->value_size = s->v_tensor->tensor.shape[3];
    s->block_size = cpu_integer(call, "block_size", 16);
    s->causal = cpu_integer(call, "causal", 0) != 0;
    s->scale = cpu_number(call, "scale", 1.0 / sqrt((double)s->head_size));
    int64_t power = 0; // m of the page
    for (int64_t padded = s->block_size; padded < s->num_positions; padded *= 2) {
        power++;
    }
    s->num_levels = power > 1 ? power : 1;
    for (int64_t level = 0; level < s->num_levels; level++) {
        const int64_t num = ((s->num_positions - 1) >> level) + 1;
        s->first[level + 1] = s->first[level] + num;
    }
}

// NULL (logged) if it does not fit.
static double *make_room(hierarchical *s, const ikati_host *host) {
    const int64_t num = s->first[s->num_levels], rows = 2 * s->head_size + s->value_size + 2;
    double *room = ikati_alloc(host, (size_t)(num * rows + s->value_size), sizeof(*room));
    if (room) {
        s->q = room;
        s->k = s->q + num * s->head_size;
        s->v = s->k + num * s->head_size;
        s->count = s->v + num * s->value_size;
        s->scores = s->count + num;
        s->accumulator = s->scores + num;
    }
    return room;
}

ikat_status ikati_reference_hierarchical(const cpu_call *call) {
    hierarchical s = {0};
    read_call(&s, call);
    double *room = make_room(&s, call->host);
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    const int64_t num_heads = s.q_tensor->tensor.shape[1];
    const int64_t group = num_heads / s.k_tensor->tensor.shape[1];
    for (int64_t b = 0; b < s.q_tensor->tensor.shape[0]; b++) {
        s.num_valid = s.lengths ? cpu_load_length(s.lengths, b, s.num_positions) : s.num_positions;
        for (int64_t head = 0; head < num_heads; head++) {
            if (head % group == 0) {
                make_keys(&s, b, head / group);
            }
            make_queries(&s, b, head);
            attend_head(&s, b, head);
        }
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
