// Synthesizer: Tay et al., arXiv:2005.00743, section 3. Logits that are learned, or predicted from each row
// alone, and mixtures of them with dot products.

#include "reference.h"

#include "../../../src/philox.h"

#include <math.h>
#include <string.h>

// What the components are multiplied by where alpha is not given. The oracle's own test compiles this file
// once more with another value and must notice.
#ifndef SYNTHESIZER_SUM
#define SYNTHESIZER_SUM 1.0
#endif

enum { DENSE, RANDOM, FACTORIZED_DENSE, FACTORIZED_RANDOM, DOT, NUM_COMPONENTS };

static const char *const component_names[] = {"dense", "random", "factorized_dense",
                                              "factorized_random", "dot"};

typedef struct synthesizer {
    const cpu_call *call;
    const ikati_call_tensor *v, *x, *q, *k, *r, *r1, *r2, *alpha, *lengths, *out, *lse;
    int components[NUM_COMPONENTS];
    int num_components;
    int64_t num_batches, num_heads, num_kv_heads, num_positions, value_size;
    bool outer, causal;
    double scale;
    int64_t max_length, rank; // of what is drawn
    uint64_t seed;
    int64_t width; // of a worker's rows: the widest layer
    double *room;
    uint32_t num_workers;
} synthesizer;

static const ikati_call_tensor *input(const synthesizer *s, const char *name) {
    return cpu_input(s->call, name);
}

// Element (head, i, j) of [1 or H,...]; 0 of what is absent.
static double at(const ikati_call_tensor *t, int64_t head, int64_t i, int64_t j) {
    return t ? cpu_load(t, cpu_index(t, head, i, j, 0)) : 0;
}

// Element `index` of a draw, in (-limit, limit) by Glorot's rule, as float32.
static double draw(const synthesizer *s, uint32_t stream, int64_t index, int64_t fan) {
    const double u = ikati_draw_uniform(s->seed, stream, (uint64_t)index);
    return (float)((2 * u - 1) * sqrt(6.0 / (double)fan));
}

static double random_logit(const synthesizer *s, int64_t head, int64_t i, int64_t j) {
    const int64_t m = s->max_length;
    return s->r ? at(s->r, head, i, j) : draw(s, 0, (head * m + i) * m + j, 2 * m);
}

// Element of r1 (which = 1) or r2.
static double factor(const synthesizer *s, int which, int64_t head, int64_t i, int64_t f) {
    const ikati_call_tensor *given = which == 1 ? s->r1 : s->r2;
    return given ? at(given, head, i, f)
                 : draw(s, (uint32_t)which, (head * s->max_length + i) * s->rank + f,
                        s->max_length + s->rank);
}

// to = x_i w + bias of a head; returns the number of columns.
static int64_t project(const synthesizer *s, int64_t b, int64_t head, int64_t i, const char *weight,
                       const char *bias, double *to) {
    const ikati_call_tensor *w = input(s, weight), *offset = input(s, bias);
    const int64_t columns = w->tensor.shape[2];
    for (int64_t f = 0; f < columns; f++) {
        to[f] = at(offset, head, f, 0);
        for (int64_t c = 0; c < w->tensor.shape[1]; c++) {
            to[f] += cpu_load(s->x, cpu_index(s->x, b, i, c, 0)) * at(w, head, c, f);
        }
    }
    return columns;
}

static void add_dense(const synthesizer *s, double alpha, int64_t b, int64_t head, int64_t i,
                      int64_t end, double *logits, double *row) {
    const ikati_call_tensor *w2 = input(s, "w2"), *b2 = input(s, "b2");
    const int64_t hidden = project(s, b, head, i, "w1", "b1", row);
    for (int64_t j = 0; j < end; j++) {
        double sum = at(b2, head, j, 0);
        for (int64_t f = 0; f < hidden; f++) {
            sum += (row[f] < 0 ? 0 : row[f]) * at(w2, head, f, j);
        }
        logits[j] += alpha * sum;
    }
}

static void add_factorized_dense(const synthesizer *s, double alpha, int64_t b, int64_t head,
                                 int64_t i, int64_t end, double *logits, double *row) {
    double *other = row + s->width;
    const int64_t size_a = project(s, b, head, i, "w_a", "b_a", row);
    const int64_t size_b = project(s, b, head, i, "w_b", "b_b", other);
    for (int64_t j = 0; j < end; j++) {
        logits[j] += alpha * row[s->outer ? j / size_b : j % size_a] * other[j % size_b];
    }
}

static void add_factorized_random(const synthesizer *s, double alpha, int64_t head, int64_t i,
                                  int64_t end, double *logits, double *row) {
    const int64_t rank = s->r1 ? s->r1->tensor.shape[2] : s->rank;
    for (int64_t f = 0; f < rank; f++) {
        row[f] = factor(s, 1, head, i, f);
    }
    for (int64_t j = 0; j < end; j++) {
        double sum = 0;
        for (int64_t f = 0; f < rank; f++) {
            sum += row[f] * factor(s, 2, head, j, f);
        }
        logits[j] += alpha * sum;
    }
}

static void add_dot(const synthesizer *s, double alpha, int64_t b, int64_t head, int64_t i,
                    int64_t end, double *logits) {
    const int64_t kv_head = head / (s->num_heads / s->num_kv_heads);
    for (int64_t j = 0; j < end; j++) {
        double sum = 0;
        for (int64_t d = 0; d < s->q->tensor.shape[3]; d++) {
            sum += cpu_load(s->q, cpu_index(s->q, b, head, i, d)) *
                   cpu_load(s->k, cpu_index(s->k, b, kv_head, j, d));
        }
        logits[j] += alpha * s->scale * sum;
    }
}

static void add_component(const synthesizer *s, int place, int64_t b, int64_t head, int64_t i,
                          int64_t end, double *logits, double *row) {
    const double alpha =
        s->alpha ? at(s->alpha, head, place, 0) : SYNTHESIZER_SUM / s->num_components;
    switch (s->components[place]) {
    case DENSE: add_dense(s, alpha, b, head, i, end, logits, row); break;
    case FACTORIZED_DENSE: add_factorized_dense(s, alpha, b, head, i, end, logits, row); break;
    case FACTORIZED_RANDOM: add_factorized_random(s, alpha, head, i, end, logits, row); break;
    case DOT: add_dot(s, alpha, b, head, i, end, logits); break;
    case RANDOM:
        for (int64_t j = 0; j < end; j++) {
            logits[j] += alpha * random_logit(s, head, i, j);
        }
        break;
    }
}

// The softmax of logits over `end` keys times v; returns the lse. A key of -inf is not seen.
static double attend(const synthesizer *s, int64_t b, int64_t head, int64_t end,
                     const double *logits, double *value, double *result) {
    const int64_t kv_head = head / (s->num_heads / s->num_kv_heads);
    double maximum = -INFINITY, sum = 0;
    bool sees_any = false;
    for (int64_t j = 0; j < end; j++) {
        sees_any = sees_any || logits[j] != -INFINITY;
        maximum = logits[j] > maximum ? logits[j] : maximum;
    }
    for (int64_t j = 0; j < end && sees_any; j++) {
        if (logits[j] != -INFINITY) {
            const double weight = exp(logits[j] - maximum);
            sum += weight;
            cpu_load_row(s->v, cpu_index(s->v, b, kv_head, j, 0), s->value_size, value);
            cpu_add_scaled(result, weight, value, s->value_size);
        }
    }
    for (int64_t d = 0; d < s->value_size && sees_any; d++) {
        result[d] /= sum;
    }
    return sees_any ? maximum + log(sum) : -INFINITY;
}

static int64_t room_size(const synthesizer *s) {
    return s->num_positions + 2 * s->width + 2 * s->value_size;
}

static void compute_row(const synthesizer *s, int64_t b, int64_t head, int64_t i, double *room) {
    const int64_t n =
        s->lengths ? cpu_load_length(s->lengths, b, s->num_positions) : s->num_positions;
    const int64_t end = i >= n ? 0 : s->causal ? i + 1 : n;
    double *logits = room, *row = logits + s->num_positions, *value = row + 2 * s->width;
    double *result = value + s->value_size;
    memset(logits, 0, (size_t)s->num_positions * sizeof(double));
    memset(result, 0, (size_t)s->value_size * sizeof(double));
    for (int c = 0; c < s->num_components && end; c++) {
        add_component(s, c, b, head, i, end, logits, row);
    }
    const double lse = attend(s, b, head, end, logits, value, result);
    if (s->out) {
        cpu_store_row(s->out, cpu_index(s->out, b, head, i, 0), s->value_size, result);
    }
    if (s->lse) {
        cpu_store(s->lse, cpu_index(s->lse, b, head, i, 0), lse);
    }
}

static bool keeps_head(const synthesizer *s, int64_t head) {
    const ikati_call_tensor *mask = input(s, "head_mask");
    return !mask || cpu_load(mask, cpu_index(mask, head, 0, 0, 0)) != 0;
}

static void compute_rows(void *user, uint32_t worker) {
    const synthesizer *s = user;
    const int64_t rows = cpu_num_rows(s->call, s->num_positions);
    for (int64_t t = worker; t < s->num_batches * s->num_heads * rows; t += s->num_workers) {
        const int64_t head = t / rows % s->num_heads;
        if (keeps_head(s, head)) {
            compute_row(s, t / rows / s->num_heads, head, cpu_row_at(s->call, t % rows),
                        s->room + worker * room_size(s));
        }
    }
}

static void write_draws(const synthesizer *s) {
    const ikati_call_tensor *r = cpu_output(s->call, "r");
    for (int64_t h = 0; r && h < s->num_heads; h++) {
        for (int64_t i = 0; i < s->max_length; i++) {
            for (int64_t j = 0; j < s->max_length; j++) {
                cpu_store(r, cpu_index(r, h, i, j, 0), random_logit(s, h, i, j));
            }
        }
    }
    for (int which = 1; which <= 2; which++) {
        const ikati_call_tensor *to = cpu_output(s->call, which == 1 ? "r1" : "r2");
        for (int64_t h = 0; to && h < s->num_heads; h++) {
            for (int64_t i = 0; i < s->max_length; i++) {
                for (int64_t f = 0; f < s->rank; f++) {
                    cpu_store(to, cpu_index(to, h, i, f, 0), factor(s, which, h, i, f));
                }
            }
        }
    }
}

static void read_components(synthesizer *s) {
    const char *text = cpu_text(s->call, "components");
    while (*text) {
        const size_t length = strcspn(text, ",");
        for (int c = 0; c < NUM_COMPONENTS; c++) {
            if (strlen(component_names[c]) == length &&
                strncmp(text, component_names[c], length) == 0) {
                s->components[s->num_components++] = c;
            }
        }
        text += length + (text[length] == ',');
    }
}

static void widen(synthesizer *s, const char *weight) {
    const ikati_call_tensor *w = input(s, weight);
    s->width = w && w->tensor.shape[2] > s->width ? w->tensor.shape[2] : s->width;
}

ikat_status ikati_reference_synthesizer(const cpu_call *call) {
    synthesizer s = {.call = call};
    s.v = input(&s, "v");
    s.x = input(&s, "x");
    s.q = input(&s, "q");
    s.k = input(&s, "k");
    s.r = input(&s, "r");
    s.r1 = input(&s, "r1");
    s.r2 = input(&s, "r2");
    s.alpha = input(&s, "alpha");
    s.lengths = input(&s, "lengths");
    s.out = cpu_output(call, "out");
    s.lse = cpu_output(call, "lse");
    s.num_batches = s.v->tensor.shape[0];
    s.num_kv_heads = s.v->tensor.shape[1];
    s.num_positions = s.v->tensor.shape[2];
    s.value_size = s.v->tensor.shape[3];
    s.num_heads = cpu_integer(call, "heads", s.num_kv_heads);
    s.outer = cpu_integer(call, "tiling", 0) == 1; // "tile,outer"
    s.causal = cpu_integer(call, "causal", 0) != 0;
    s.scale = s.q ? cpu_number(call, "scale", 1.0 / sqrt((double)s.q->tensor.shape[3])) : 0;
    s.max_length = cpu_integer(call, "max_length", s.num_positions);
    s.rank = cpu_integer(call, "rank", 8);
    s.seed = (uint64_t)cpu_integer(call, "seed", 0);
    read_components(&s);
    s.width = s.r1 ? s.r1->tensor.shape[2] : s.rank;
    widen(&s, "w1");
    widen(&s, "w_a");
    widen(&s, "w_b");
    s.num_workers = call->num_threads;
    s.room = ikati_alloc(call->host, (size_t)(s.num_workers * room_size(&s) + 1), sizeof(double));
    if (!s.room) {
        return IKAT_NO_MEMORY;
    }
    ikati_run_threads(s.num_workers, compute_rows, &s);
    write_draws(&s);
    cpu_prune_heads(call);
    ikati_free(call->host, s.room);
    return IKAT_OK;
}
