// Nystromformer: Xiong et al., arXiv:2102.03902, section 3. Softmax attention rebuilt from landmarks,
// the means of consecutive segments of queries and keys.

#include "reference.h"

#include <math.h>
#include <string.h>

// Of the iteration, 1/4 Z (13 I - A (15 I - A (7 I - A))). The oracle's own test compiles this file once
// more with another value and must notice.
#ifndef NYSTROM_INNER
#define NYSTROM_INNER 7.0
#endif

typedef struct nystrom {
    const ikati_call_tensor *q, *k, *v, *conv, *lengths, *head_mask, *out;
    const cpu_call *call;
    int64_t num_batches, num_heads, num_positions, size, value_size;
    int64_t group;     // query heads a key/value head
    int64_t landmarks; // below N: what room is made for; 0 where all is dense
    int64_t iterations;
    bool original;
    double scale, common; // the largest c
    double *room, *largest;
    uint32_t num_workers;
} nystrom;

// A problem, and a worker's room for it. The kernel (K2), z, a, x and y are [L,L].
typedef struct problem {
    const nystrom *s;
    int64_t b, h, n, landmarks;
    double *queries, *keys; // landmarks
    double *kernel, *z, *a, *x, *y, *column;
    double *values, *product;      // K3 v; Z K3 v
    double *scores, *row, *result; // behind them a query and its result
} problem;

static int64_t room_size(const nystrom *s) {
    const int64_t l = s->landmarks;
    return 2 * l * s->size + 5 * l * l + l + 2 * l * s->value_size + s->num_positions + l +
           2 * (s->size + s->value_size);
}

static problem problem_of(const nystrom *s, uint32_t worker, int64_t index) {
    const int64_t l = s->landmarks;
    problem p = {.s = s, .b = index / s->num_heads, .h = index % s->num_heads};
    p.n = s->lengths ? cpu_load_length(s->lengths, p.b, s->num_positions) : s->num_positions;
    p.landmarks = l < p.n ? l : 0;
    p.queries = s->room + worker * room_size(s);
    p.keys = p.queries + l * s->size;
    p.kernel = p.keys + l * s->size;
    p.z = p.kernel + l * l;
    p.a = p.z + l * l;
    p.x = p.a + l * l;
    p.y = p.x + l * l;
    p.column = p.y + l * l;
    p.values = p.column + l;
    p.product = p.values + l * s->value_size;
    p.scores = p.product + l * s->value_size;
    p.row = p.scores + s->num_positions + l;
    p.result = p.row + s->size;
    return p;
}

static void load(const problem *p, const ikati_call_tensor *t, int64_t head, int64_t i,
                 int64_t count, double *out) {
    cpu_load_row(t, cpu_index(t, p->b, head, i, 0), count, out);
}

static void load_key(const problem *p, int64_t j, double *out) {
    load(p, p->s->k, p->h / p->s->group, j, p->s->size, out);
}
static void load_value(const problem *p, int64_t j, double *out) {
    load(p, p->s->v, p->h / p->s->group, j, p->s->value_size, out);
}

// Means of the first L - n % L segments of n / L positions and of the others, which have one more.
static void make_landmarks(const problem *p, const ikati_call_tensor *from, int64_t head,
                           double *landmarks) {
    const int64_t size = p->s->size, short_ones = p->landmarks - p->n % p->landmarks;
    memset(landmarks, 0, (size_t)(p->landmarks * size) * sizeof(double));
    for (int64_t l = 0, i = 0; l < p->landmarks; l++) {
        const int64_t count = p->n / p->landmarks + (l >= short_ones);
        for (int64_t end = i + count; i < end; i++) {
            load(p, from, head, i, size, p->row);
            cpu_add_scaled(landmarks + l * size, 1.0 / (double)count, p->row, size);
        }
    }
}

// In place; scores of -inf alone weigh nothing.
static void make_softmax(double *scores, int64_t count) {
    double maximum = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        maximum = scores[j] > maximum ? scores[j] : maximum;
    }
    for (int64_t j = 0; j < count; j++) {
        scores[j] = scores[j] == -INFINITY ? 0 : exp(scores[j] - maximum);
        sum += scores[j];
    }
    for (int64_t j = 0; j < count && sum != 0; j++) {
        scores[j] /= sum;
    }
}

static double larger(double a, double b) { return isnan(a) || a > b ? a : b; } // NaN is largest

// Landmarks, K2, and c: its largest column sum.
static double make_kernel(const problem *p) {
    const int64_t l = p->landmarks, size = p->s->size;
    make_landmarks(p, p->s->q, p->h, p->queries);
    make_landmarks(p, p->s->k, p->h / p->s->group, p->keys);
    memset(p->column, 0, (size_t)l * sizeof(double));
    for (int64_t i = 0; i < l; i++) {
        double *row = p->kernel + i * l;
        for (int64_t j = 0; j < l; j++) {
            row[j] = p->s->scale * cpu_dot(p->queries + i * size, p->keys + j * size, size);
        }
        make_softmax(row, l);
        cpu_add_scaled(p->column, 1, row, l);
    }
    double largest = 0;
    for (int64_t j = 0; j < l; j++) {
        largest = larger(largest, p->column[j]);
    }
    return largest;
}

// to = x y
static void multiply(const double *x, const double *y, int64_t rows, int64_t depth, int64_t columns,
                     double *to) {
    memset(to, 0, (size_t)(rows * columns) * sizeof(double));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < depth; k++) {
            cpu_add_scaled(to + i * columns, x[i * depth + k], y + k * columns, columns);
        }
    }
}

// x = diagonal I - x
static void subtract_from(double diagonal, double *x, int64_t l) {
    for (int64_t i = 0; i < l * l; i++) {
        x[i] = (i / l == i % l ? diagonal : 0) - x[i];
    }
}

static void invert(const problem *p, double c) {
    const int64_t l = p->landmarks, all = l * l;
    for (int64_t i = 0; i < all; i++) {
        p->z[i] = p->kernel[i % l * l + i / l] / c;
    }
    for (int64_t step = 0; step < p->s->iterations; step++) {
        multiply(p->kernel, p->z, l, l, l, p->a);
        memcpy(p->x, p->a, (size_t)all * sizeof(double));
        subtract_from(NYSTROM_INNER, p->x, l);
        multiply(p->a, p->x, l, l, l, p->y);
        subtract_from(15, p->y, l);
        multiply(p->a, p->y, l, l, l, p->x);
        subtract_from(13, p->x, l);
        multiply(p->z, p->x, l, l, l, p->y);
        for (int64_t i = 0; i < all; i++) {
            p->z[i] = p->y[i] / 4;
        }
    }
}

// Z K3 v.
static void make_product(const problem *p) {
    const int64_t l = p->landmarks, size = p->s->size, value_size = p->s->value_size;
    memset(p->values, 0, (size_t)(l * value_size) * sizeof(double));
    for (int64_t i = 0; i < l; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            load_key(p, j, p->row);
            p->scores[j] = p->s->scale * cpu_dot(p->queries + i * size, p->row, size);
        }
        make_softmax(p->scores, p->n);
        for (int64_t j = 0; j < p->n; j++) {
            load_value(p, j, p->result);
            cpu_add_scaled(p->values + i * value_size, p->scores[j], p->result, value_size);
        }
    }
    multiply(p->z, p->values, l, l, value_size, p->product);
}

// The row's result but for the convolution: over landmarks, or over all positions where there are few.
static void attend_row(const problem *p, int64_t i, double *query, double *result) {
    const int64_t size = p->s->size, value_size = p->s->value_size;
    const int64_t count = p->landmarks ? p->landmarks : p->n;
    load(p, p->s->q, p->h, i, size, query);
    for (int64_t j = 0; j < count; j++) {
        const double *key = p->landmarks ? p->keys + j * size : p->row;
        if (!p->landmarks) {
            load_key(p, j, p->row);
        }
        p->scores[j] = p->s->scale * cpu_dot(query, key, size);
    }
    make_softmax(p->scores, count);
    for (int64_t j = 0; j < count; j++) {
        const double *value = p->landmarks ? p->product + j * value_size : p->result;
        if (!p->landmarks) {
            load_value(p, j, p->result);
        }
        cpu_add_scaled(result, p->scores[j], value, value_size);
    }
}

static void convolve_row(const problem *p, int64_t i, double *result) {
    const ikati_call_tensor *conv = p->s->conv;
    const int64_t taps = conv ? conv->tensor.shape[1] : 0;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t j = i + t - taps / 2;
        if (j >= 0 && j < p->n) {
            load_value(p, j, p->result);
            cpu_add_scaled(result, cpu_load(conv, cpu_index(conv, p->h, t, 0, 0)), p->result,
                           p->s->value_size);
        }
    }
}

static bool keeps_head(const problem *p) {
    const ikati_call_tensor *mask = p->s->head_mask;
    return !mask || cpu_load(mask, cpu_index(mask, p->h, 0, 0, 0)) != 0;
}

static void compute(const problem *p) {
    const nystrom *s = p->s;
    double *query = p->result + s->value_size, *result = query + s->size;
    if (p->landmarks && keeps_head(p)) {
        const double own = make_kernel(p);
        invert(p, s->original ? s->common : own);
        make_product(p);
    }
    for (int64_t r = 0; r < cpu_num_rows(s->call, s->num_positions); r++) {
        const int64_t i = cpu_row_at(s->call, r);
        memset(result, 0, (size_t)s->value_size * sizeof(double));
        if (i < p->n && keeps_head(p)) {
            attend_row(p, i, query, result);
            convolve_row(p, i, result);
        }
        cpu_store_row(s->out, cpu_index(s->out, p->b, p->h, i, 0), s->value_size, result);
    }
}

static void find_largest(void *user, uint32_t worker) {
    const nystrom *s = user;
    s->largest[worker] = 0;
    for (int64_t i = worker; i < s->num_batches * s->num_heads; i += s->num_workers) {
        const problem p = problem_of(s, worker, i);
        if (p.landmarks && keeps_head(&p)) {
            s->largest[worker] = larger(s->largest[worker], make_kernel(&p));
        }
    }
}

static void compute_all(void *user, uint32_t worker) {
    const nystrom *s = user;
    for (int64_t i = worker; i < s->num_batches * s->num_heads; i += s->num_workers) {
        const problem p = problem_of(s, worker, i);
        compute(&p);
    }
}

ikat_status ikati_reference_nystromformer(const cpu_call *call) {
    nystrom s = {
        .q = cpu_input(call, "q"),
        .k = cpu_input(call, "k"),
        .v = cpu_input(call, "v"),
        .conv = cpu_input(call, "conv_v"),
        .lengths = cpu_input(call, "lengths"),
        .head_mask = cpu_input(call, "head_mask"),
        .out = cpu_output(call, "out"),
        .call = call,
        .landmarks = cpu_integer(call, "num_landmarks", 64),
        .iterations = cpu_integer(call, "pinv_iterations", 6),
        .original = cpu_integer(call, "pinv_init", 0) == 1, // "exact,original"
    };
    const int64_t *shape = s.q->tensor.shape;
    s.num_batches = shape[0];
    s.num_heads = shape[1];
    s.num_positions = shape[2];
    s.size = shape[3];
    s.value_size = s.v->tensor.shape[3];
    s.group = s.num_heads / s.k->tensor.shape[1];
    s.landmarks = s.landmarks < s.num_positions ? s.landmarks : 0;
    s.scale = cpu_number(call, "scale", 1.0 / sqrt((double)s.size));
    const int64_t problems = s.num_batches * s.num_heads;
    s.num_workers = problems < call->num_threads ? (uint32_t)problems : call->num_threads;
    const int64_t size = s.num_workers * (room_size(&s) + 1) + 1;
    double *room = ikati_alloc(call->host, (size_t)size, sizeof(*room));
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    s.room = room;
    s.largest = room + s.num_workers * room_size(&s);
    if (s.original && s.num_workers) {
        ikati_run_threads(s.num_workers, find_largest, &s);
        for (uint32_t i = 0; i < s.num_workers; i++) {
            s.common = larger(s.common, s.largest[i]);
        }
    }
    if (s.num_workers) {
        ikati_run_threads(s.num_workers, compute_all, &s);
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
