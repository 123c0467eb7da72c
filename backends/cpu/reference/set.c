// Set Transformer: Lee et al., arXiv:1810.00825, section 3: the attention blocks on sets, in double. A block
// projects its elements once, then computes its rows one by one.

#include "windows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// 1: the projected query is added to what its heads attend to. The oracle's own test compiles this file
// once more with another value and must notice.
#ifndef SET_RESIDUAL
#define SET_RESIDUAL 1
#endif

enum { QUERY, KEY, VALUE, OUT, NUM_WEIGHTS };
enum { MAB, SAB, ISAB, PMA }; // of setting `block`
enum { MULTIPLIES_PER_THREAD = 1 << 18 };

typedef struct set_call {
    const cpu_call *call;
    int64_t heads, width; // E
    double scale, eps;
    bool layer_norm;
} set_call;

// A matrix of rows as doubles.
typedef struct matrix {
    double *values;
    int64_t rows, columns;
} matrix;

// One attention block under way.
typedef struct set_block {
    const set_call *set;
    matrix weights[NUM_WEIGHTS];
    double *biases[NUM_WEIGHTS], *gamma[2], *beta[2]; // NULL: 0, 1, 0
    matrix x, y, keys, values;
    matrix *out;           // rows of `places`, or all
    const int64_t *places; // rows of x to compute; NULL: all
    double *room;          // of each worker
    uint32_t num_workers;
} set_block;

static const ikati_call_tensor *find(const set_call *s, const char *prefix, const char *name) {
    char text[32];
    snprintf(text, sizeof(text), "%s%s", prefix, name);
    return cpu_input(s->call, text);
}

// A tensor [rows,columns], one of [B,rows,columns] at b, or [columns]. NULL in `values` if it is absent
// or memory ran out.
static matrix load(const set_call *s, const ikati_call_tensor *tensor, int64_t b) {
    matrix m = {NULL, 0, 0};
    if (!tensor) {
        return m;
    }
    const uint32_t rank = tensor->tensor.rank;
    m.columns = tensor->tensor.shape[rank - 1];
    m.rows = rank > 1 ? tensor->tensor.shape[rank - 2] : 1;
    m.values = ikati_alloc(s->call->host, (size_t)(m.rows * m.columns) + 1, sizeof(*m.values));
    for (int64_t r = 0; r < m.rows && m.values; r++) {
        const int64_t at = rank == 3 ? cpu_index(tensor, b, r, 0, 0)
                                     : cpu_index(tensor, rank == 2 ? r : 0, 0, 0, 0);
        cpu_load_row(tensor, at, m.columns, m.values + r * m.columns);
    }
    return m;
}

static matrix make(const set_call *s, int64_t rows, int64_t columns) {
    return (matrix){ikati_alloc(s->call->host, (size_t)(rows * columns) + 1, sizeof(double)), rows,
                    columns};
}

static void drop(const set_call *s, matrix *m) {
    ikati_free(s->call->host, m->values);
    m->values = NULL;
}

// y = x W + b.
static void project(const double *x, const matrix *weight, const double *bias, double *y) {
    for (int64_t j = 0; j < weight->columns; j++) {
        y[j] = bias ? bias[j] : 0;
    }
    for (int64_t i = 0; i < weight->rows; i++) {
        cpu_add_scaled(y, x[i], weight->values + i * weight->columns, weight->columns);
    }
}

static void normalise(const set_call *s, const double *gamma, const double *beta, double *o) {
    double sum = 0, variance = 0;
    for (int64_t c = 0; c < s->width; c++) {
        sum += o[c] - o[0]; // of equal elements exactly 0, for the variance is 0 then
    }
    const double mean = o[0] + sum / (double)s->width;
    for (int64_t c = 0; c < s->width; c++) {
        variance += (o[c] - mean) * (o[c] - mean) / (double)s->width;
    }
    for (int64_t c = 0; c < s->width; c++) {
        o[c] =
            (gamma ? gamma[c] : 1) * (o[c] - mean) / sqrt(variance + s->eps) + (beta ? beta[c] : 0);
    }
}

// Keys and values are kept head by head, [heads, rows, E / heads].
static void put_heads(const set_block *t, const matrix *to, int64_t row, const double *from) {
    const int64_t size = t->set->width / t->set->heads;
    for (int64_t h = 0; h < t->set->heads; h++) {
        memcpy(to->values + (h * to->rows + row) * size, from + h * size,
               (size_t)size * sizeof(double));
    }
}

static double *room_of(const set_block *t, uint32_t worker) {
    return t->room + worker * (2 * t->set->width + t->y.rows);
}

static void project_keys(void *user, uint32_t worker) {
    const set_block *t = user;
    double *row = room_of(t, worker);
    for (int64_t j = worker; j < t->y.rows; j += t->num_workers) {
        const double *y = t->y.values + j * t->y.columns;
        project(y, &t->weights[KEY], t->biases[KEY], row);
        put_heads(t, &t->keys, j, row);
        project(y, &t->weights[VALUE], t->biases[VALUE], row);
        put_heads(t, &t->values, j, row);
    }
}

static void compute_row(const set_block *t, const double *x, double *room, double *o) {
    const set_call *s = t->set;
    const int64_t e = s->width, size = e / s->heads, m = t->y.rows;
    double *query = room, *forward = room + e, *scores = room + 2 * e;
    project(x, &t->weights[QUERY], t->biases[QUERY], query);
    for (int64_t h = 0; h < s->heads; h++) {
        cpu_attend_keys(query + h * size, t->keys.values + h * m * size,
                        t->values.values + h * m * size, m, size, size, s->scale, scores,
                        o + h * size);
    }
    for (int64_t c = 0; c < e; c++) {
        o[c] += SET_RESIDUAL * query[c];
    }
    if (s->layer_norm) {
        normalise(s, t->gamma[0], t->beta[0], o);
    }
    project(o, &t->weights[OUT], t->biases[OUT], forward);
    for (int64_t c = 0; c < e; c++) {
        o[c] += forward[c] < 0 ? 0 : forward[c];
    }
    if (s->layer_norm) {
        normalise(s, t->gamma[1], t->beta[1], o);
    }
}

static void compute_rows(void *user, uint32_t worker) {
    const set_block *t = user;
    for (int64_t r = worker; r < t->out->rows; r += t->num_workers) {
        const int64_t place = t->places ? t->places[r] : r;
        compute_row(t, t->x.values + place * t->x.columns, room_of(t, worker),
                    t->out->values + r * t->set->width);
    }
}

static bool load_weights(set_block *t, const char *prefix) {
    static const char *const names[] = {"w_q", "w_k", "w_v", "w_o"};
    static const char *const biases[] = {"b_q", "b_k", "b_v", "b_o"};
    static const char *const gammas[] = {"ln0_gamma", "ln1_gamma"};
    static const char *const betas[] = {"ln0_beta", "ln1_beta"};
    bool good = true;
    for (int i = 0; i < NUM_WEIGHTS; i++) {
        t->weights[i] = load(t->set, find(t->set, prefix, names[i]), 0);
        t->biases[i] = load(t->set, find(t->set, prefix, biases[i]), 0).values;
        good = good && t->weights[i].values;
    }
    for (int i = 0; i < 2; i++) {
        t->gamma[i] = load(t->set, find(t->set, prefix, gammas[i]), 0).values;
        t->beta[i] = load(t->set, find(t->set, prefix, betas[i]), 0).values;
    }
    return good;
}

static void drop_weights(set_block *t) {
    for (int i = 0; i < NUM_WEIGHTS; i++) {
        drop(t->set, &t->weights[i]);
        ikati_free(t->set->call->host, t->biases[i]);
    }
    for (int i = 0; i < 2; i++) {
        ikati_free(t->set->call->host, t->gamma[i]);
        ikati_free(t->set->call->host, t->beta[i]);
    }
}

static uint32_t choose_workers(const set_block *t) {
    const double work = (double)(t->y.rows * (t->y.columns + t->out->rows)) * (double)t->set->width;
    const double wanted = work / MULTIPLIES_PER_THREAD + 1;
    const uint32_t most = t->set->call->num_threads;
    return wanted < most ? (uint32_t)wanted : most;
}

// MAB(x, y), rows `places` of it.
static bool attend(const set_call *s, const char *prefix, const matrix *x, const matrix *y,
                   const int64_t *places, matrix *out) {
    set_block t = {.set = s, .x = *x, .y = *y, .out = out, .places = places};
    t.num_workers = choose_workers(&t);
    t.keys = make(s, y->rows, s->width);
    t.values = make(s, y->rows, s->width);
    matrix room = make(s, t.num_workers, 2 * s->width + y->rows);
    t.room = room.values;
    const bool good =
        load_weights(&t, prefix) && t.keys.values && t.values.values && room.values && out->values;
    if (good) {
        ikati_run_threads(t.num_workers, project_keys, &t);
        ikati_run_threads(t.num_workers, compute_rows, &t);
    }
    drop_weights(&t);
    drop(s, &t.keys);
    drop(s, &t.values);
    drop(s, &room);
    return good;
}

// x, or max(x w_rff + b_rff, 0).
static bool feed_forward(const set_call *s, matrix *x) {
    matrix weight = load(s, cpu_input(s->call, "w_rff"), 0);
    if (!cpu_input(s->call, "w_rff")) {
        return true;
    }
    matrix bias = load(s, cpu_input(s->call, "b_rff"), 0), z = make(s, x->rows, weight.columns);
    const bool good = weight.values && z.values;
    for (int64_t r = 0; r < x->rows && good; r++) {
        double *row = z.values + r * z.columns;
        project(x->values + r * x->columns, &weight, bias.values, row);
        for (int64_t c = 0; c < z.columns; c++) {
            row[c] = row[c] < 0 ? 0 : row[c];
        }
    }
    drop(s, &weight);
    drop(s, &bias);
    drop(s, x);
    *x = z;
    return good;
}

// The block's rows of batch entry b; `x` has its valid elements.
static bool run_block(const set_call *s, int64_t block, matrix *x, const matrix *y,
                      const int64_t *places, matrix *out) {
    bool good = x->values != NULL;
    if (block == MAB) {
        return good && y->values && attend(s, "", x, y, places, out);
    }
    if (block == SAB) {
        return good && attend(s, "", x, x, places, out);
    }
    matrix points = load(s, cpu_input(s->call, block == ISAB ? "inducing" : "seeds"), 0);
    good = good && points.values;
    if (block == ISAB) {
        matrix induced = make(s, points.rows, s->width);
        good = good && attend(s, "mab0_", &points, x, NULL, &induced) &&
               attend(s, "mab1_", x, &induced, places, out);
        drop(s, &induced);
    } else {
        good = good && feed_forward(s, x) && attend(s, "", &points, x, NULL, out);
    }
    drop(s, &points);
    return good;
}

// Rows of a batch entry that the call wants, as places among the valid ones; padding is left out.
static int64_t list_places(const cpu_call *call, int64_t total, int64_t num_valid,
                           int64_t *places) {
    int64_t num = 0;
    for (int64_t i = 0; i < cpu_num_rows(call, total); i++) {
        if (cpu_row_at(call, i) < num_valid) {
            places[num++] = cpu_row_at(call, i);
        }
    }
    return num;
}

static void store(const set_call *s, int64_t b, int64_t total, int64_t num_valid, bool is_pma,
                  const matrix *out) {
    const ikati_call_tensor *to = cpu_output(s->call, "out");
    const int64_t num = is_pma ? total : cpu_num_rows(s->call, total);
    int64_t next = 0;
    for (int64_t i = 0; i < num; i++) {
        const int64_t row = is_pma ? i : cpu_row_at(s->call, i);
        const int64_t at = cpu_index(to, b, row, 0, 0);
        if (row < num_valid) {
            cpu_store_row(to, at, s->width, out->values + next++ * s->width);
            continue;
        }
        for (int64_t c = 0; c < s->width; c++) {
            cpu_store(to, at + c, 0);
        }
    }
}

static bool run_entry(const set_call *s, int64_t b, int64_t *places) {
    const int64_t block = cpu_integer(s->call, "block", SAB);
    const ikati_call_tensor *lengths = cpu_input(s->call, "lengths");
    const int64_t total = cpu_output(s->call, "out")->tensor.shape[1];
    matrix x = load(s, cpu_input(s->call, "x"), b), y = load(s, cpu_input(s->call, "y"), b);
    matrix *set = block == MAB ? &y : &x; // whose elements lengths count
    set->rows = lengths ? cpu_load_length(lengths, b, set->rows) : set->rows;
    const int64_t num_valid = block == PMA ? total : x.rows;
    const int64_t num = block == PMA ? total : list_places(s->call, total, num_valid, places);
    matrix out = make(s, num, s->width);
    const bool good = run_block(s, block, &x, &y, places, &out);
    if (good) {
        store(s, b, total, num_valid, block == PMA, &out);
    }
    drop(s, &x);
    drop(s, &y);
    drop(s, &out);
    return good;
}

ikat_status ikati_reference_set(const cpu_call *call) {
    const ikati_call_tensor *out = cpu_output(call, "out");
    set_call s = {.call = call,
                  .heads = cpu_integer(call, "heads", 1),
                  .eps = cpu_number(call, "eps", 1e-5),
                  .layer_norm = cpu_integer(call, "layer_norm", 0) != 0};
    if (!out) {
        return IKAT_OK;
    }
    s.width = out->tensor.shape[2];
    s.scale = cpu_number(call, "scale", 1.0 / sqrt((double)s.width));
    int64_t *places = ikati_alloc(call->host, (size_t)out->tensor.shape[1] + 1, sizeof(*places));
    bool good = places != NULL;
    for (int64_t b = 0; b < out->tensor.shape[0] && good; b++) {
        good = run_entry(&s, b, places);
    }
    ikati_free(call->host, places);
    return good ? IKAT_OK : IKAT_NO_MEMORY;
}
