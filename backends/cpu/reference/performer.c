// Performers: Choromanski et al., Rethinking Attention with Performers, arXiv:2009.14794, section 2 and
// lemma 1.
//
//   a_ij = phi_q(i).phi_k(j),  out_i = (sum_j a_ij v_j) / sum_j a_ij
//
// For one query head at a time the features of all its keys are computed; then its rows, each from the
// weights a_ij of the keys that it sees.

#include "reference.h"

#include "../../../src/philox.h"

#include <math.h>
#include <string.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef PERFORMER_KEEPS_PADDING
#define PERFORMER_KEEPS_PADDING 0
#endif

enum { MULTIPLIES_PER_THREAD = 1 << 18 }; // less work is not worth a thread

typedef enum kernel { KERNEL_SOFTMAX, KERNEL_HYPERBOLIC, KERNEL_RELU } kernel;

typedef struct performer {
    const cpu_call *call;
    const ikati_call_tensor *q, *k, *v, *features, *lengths, *out;
    int64_t num_batches, num_heads, num_kv_heads, num_queries, num_keys, head_size, value_size;
    int64_t num_projections, num_features; // R, and what becomes of them
    kernel kernel;
    bool stabilizes, causal;
    double eps, den_eps, scale;
    uint32_t num_workers;
    float *drawn;    // [R,D]; unused where features are given
    double *weights; // [R,D] of the head being worked on
    double *phi;     // [num_keys, num_features]: first z, then features
    double *values;  // [num_keys, value_size]
    double *squares; // [num_keys]: |y_j|^2 / 2
    double *scratch; // a worker's x, features and result
    int64_t b, head, num_valid_keys;
    double maximum; // of all keys' projections
} performer;

static int64_t scratch_size(const performer *p) {
    return p->head_size + p->num_features + p->value_size;
}

// The page's draw: Gaussian rows; with ortho made orthogonal in blocks of D and given their lengths.
static void orthogonalize(double *rows, int64_t num_rows, int64_t size) {
    for (int64_t r = 0; r < num_rows; r++) {
        double *row = rows + r * size;
        for (int64_t p = r / size * size; p < r; p++) {
            cpu_add_scaled(row, -cpu_dot(row, rows + p * size, size), rows + p * size, size);
        }
        const double length = sqrt(cpu_dot(row, row, size));
        for (int64_t c = 0; c < size; c++) {
            row[c] /= length;
        }
    }
}

static double length_of_row(const performer *p, uint64_t seed, int64_t r, double *row) {
    if (cpu_integer(p->call, "feature_norm", 0) == 1) {
        return sqrt((double)p->head_size);
    }
    for (int64_t c = 0; c < p->head_size; c++) {
        row[c] = ikati_draw_normal(seed, 1, (uint64_t)(r * p->head_size + c));
    }
    return sqrt(cpu_dot(row, row, p->head_size));
}

static void draw(const performer *p) {
    const uint64_t seed = (uint64_t)cpu_integer(p->call, "seed", 0);
    const int64_t size = p->head_size, count = p->num_projections * size;
    const bool ortho = cpu_integer(p->call, "ortho", 1) != 0;
    for (int64_t i = 0; i < count; i++) {
        p->weights[i] = ikati_draw_normal(seed, 0, (uint64_t)i);
    }
    if (ortho) {
        orthogonalize(p->weights, p->num_projections, size);
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t r = i / size;
        if (ortho && i % size == 0) {
            const double length = length_of_row(p, seed, r, p->scratch);
            for (int64_t c = 0; c < size; c++) {
                p->weights[i + c] *= length;
            }
        }
        p->drawn[i] = (float)p->weights[i]; // rounded once
    }
}

static void load_weights(const performer *p) {
    for (int64_t r = 0; r < p->num_projections; r++) {
        double *row = p->weights + r * p->head_size;
        if (p->features) {
            cpu_load_row(p->features, cpu_index(p->features, p->head, r, 0, 0), p->head_size, row);
            continue;
        }
        for (int64_t c = 0; c < p->head_size; c++) {
            row[c] = p->drawn[r * p->head_size + c];
        }
    }
}

// w_r.x of all r, x = sqrt(scale) times a row of q or k; returns |x|^2 / 2.
static double project(const performer *p, const ikati_call_tensor *from, int64_t index, double *x,
                      double *projections) {
    cpu_load_row(from, index, p->head_size, x);
    for (int64_t c = 0; c < p->head_size; c++) {
        x[c] *= sqrt(p->scale);
    }
    for (int64_t r = 0; r < p->num_projections; r++) {
        projections[r] = cpu_dot(p->weights + r * p->head_size, x, p->head_size);
    }
    return cpu_dot(x, x, p->head_size) / 2;
}

// NaN is the largest of all.
static double larger(double a, double b) { return isnan(a) || a > b ? a : b; }

static double largest(const performer *p, const double *projections) {
    double maximum = -INFINITY;
    for (int64_t r = 0; r < p->num_projections; r++) {
        const double z = projections[r];
        maximum = larger(p->kernel == KERNEL_HYPERBOLIC ? fabs(z) : z, maximum);
    }
    return maximum;
}

// From projections to features, in place.
static void make_features(const performer *p, double *phi, double square, double maximum) {
    const double factor = 1 / sqrt((double)p->num_features);
    for (int64_t r = 0; r < p->num_projections; r++) {
        const double z = phi[r];
        if (p->kernel == KERNEL_RELU) {
            phi[r] = (z < 0 ? 0 : z) + p->eps; // NaN stays NaN
            continue;
        }
        phi[r] = factor * (exp(z - square - maximum) + p->eps);
        if (p->kernel == KERNEL_HYPERBOLIC) {
            phi[p->num_projections + r] = factor * (exp(-z - square - maximum) + p->eps);
        }
    }
}

static void project_keys(void *user, uint32_t worker) {
    const performer *p = user;
    const int64_t kv_head = p->head / (p->num_heads / p->num_kv_heads);
    double *x = p->scratch + worker * scratch_size(p);
    for (int64_t j = worker; j < p->num_valid_keys; j += p->num_workers) {
        p->squares[j] =
            project(p, p->k, cpu_index(p->k, p->b, kv_head, j, 0), x, p->phi + j * p->num_features);
        cpu_load_row(p->v, cpu_index(p->v, p->b, kv_head, j, 0), p->value_size,
                     p->values + j * p->value_size);
    }
}

static void finish_keys(void *user, uint32_t worker) {
    const performer *p = user;
    for (int64_t j = worker; j < p->num_valid_keys; j += p->num_workers) {
        make_features(p, p->phi + j * p->num_features, p->squares[j], p->maximum);
    }
}

static void compute_row(const performer *p, int64_t i, int64_t num_visible, double *x, double *phi,
                        double *result) {
    double sum = 0;
    const double square = project(p, p->q, cpu_index(p->q, p->b, p->head, i, 0), x, phi);
    make_features(p, phi, square, p->stabilizes ? largest(p, phi) : 0);
    for (int64_t j = 0; j < num_visible; j++) {
        const double a = cpu_dot(phi, p->phi + j * p->num_features, p->num_features);
        sum += a;
        cpu_add_scaled(result, a, p->values + j * p->value_size, p->value_size);
    }
    if (p->den_eps > 0 && fabs(sum) <= p->den_eps) {
        sum += 2 * p->den_eps;
    }
    for (int64_t c = 0; c < p->value_size; c++) {
        result[c] = sum == 0 ? 0 : result[c] / sum;
    }
}

static void compute_rows(void *user, uint32_t worker) {
    const performer *p = user;
    const int64_t valid = p->num_queries == p->num_keys ? p->num_valid_keys : p->num_queries;
    double *x = p->scratch + worker * scratch_size(p), *phi = x + p->head_size;
    double *result = phi + p->num_features;
    for (int64_t n = worker; n < cpu_num_rows(p->call, p->num_queries); n += p->num_workers) {
        const int64_t i = cpu_row_at(p->call, n), end = i + p->num_valid_keys - valid + 1;
        const int64_t visible = !p->causal || end > p->num_valid_keys ? p->num_valid_keys : end;
        memset(result, 0, (size_t)p->value_size * sizeof(double));
        if (i < valid && visible > 0) {
            compute_row(p, i, visible, x, phi, result);
        }
        cpu_store_row(p->out, cpu_index(p->out, p->b, p->head, i, 0), p->value_size, result);
    }
}

static void read_sizes(performer *p, const cpu_call *call) {
    p->num_batches = p->q->tensor.shape[0];
    p->num_heads = p->q->tensor.shape[1];
    p->num_queries = p->q->tensor.shape[2];
    p->head_size = p->q->tensor.shape[3];
    p->num_kv_heads = p->k->tensor.shape[1];
    p->num_keys = p->k->tensor.shape[2];
    p->value_size = p->v->tensor.shape[3];
    const double size = (double)p->head_size;
    const double usual = floor(size * log(size));
    p->num_projections = p->features
                             ? p->features->tensor.shape[1]
                             : cpu_integer(call, "num_features", usual < 1 ? 1 : (int64_t)usual);
    p->num_features = p->num_projections * (p->kernel == KERNEL_HYPERBOLIC ? 2 : 1);
    const double rows = (double)p->num_keys + (double)cpu_num_rows(call, p->num_queries);
    const double wanted =
        rows * (double)(p->num_features * p->head_size) / MULTIPLIES_PER_THREAD + 1;
    p->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

static void read_call(performer *p, const cpu_call *call) {
    p->call = call;
    p->q = cpu_input(call, "q");
    p->k = cpu_input(call, "k");
    p->v = cpu_input(call, "v");
    p->features = cpu_input(call, "features");
    p->lengths = cpu_input(call, "lengths");
    p->out = cpu_output(call, "out");
    p->kernel = (kernel)cpu_integer(call, "kernel", KERNEL_SOFTMAX);
    p->stabilizes = cpu_integer(call, "stabilize", 1) != 0;
    p->causal = cpu_integer(call, "causal", 0) != 0;
    p->eps = cpu_number(call, "eps", p->kernel == KERNEL_RELU ? 1e-3 : 1e-6);
    p->den_eps = cpu_number(call, "den_eps", 0);
    p->scale = cpu_number(call, "scale", 1 / sqrt((double)p->q->tensor.shape[3]));
    read_sizes(p, call);
}

// One block of memory. NULL (logged) if it does not fit.
static double *make_room(performer *p) {
    const int64_t weights = p->num_projections * p->head_size;
    const int64_t a_key = p->num_features + p->value_size + 1;
    const int64_t total = weights + p->num_keys * a_key + p->num_workers * scratch_size(p);
    double *room = ikati_alloc(p->call->host, (size_t)total, sizeof(*room));
    p->weights = room;
    p->phi = room + weights;
    p->values = p->phi + p->num_keys * p->num_features;
    p->squares = p->values + p->num_keys * p->value_size;
    p->scratch = p->squares + p->num_keys;
    return room;
}

static void compute_head(performer *p) {
    load_weights(p);
    ikati_run_threads(p->num_workers, project_keys, p);
    p->maximum = -INFINITY;
    for (int64_t j = 0; j < p->num_valid_keys; j++) {
        p->maximum = larger(largest(p, p->phi + j * p->num_features), p->maximum);
    }
    p->maximum = p->stabilizes ? p->maximum : 0;
    ikati_run_threads(p->num_workers, finish_keys, p);
    ikati_run_threads(p->num_workers, compute_rows, p);
}

static void store_features(const performer *p) {
    const ikati_call_tensor *output = cpu_output(p->call, "features");
    for (int64_t r = 0; output && r < p->num_projections; r++) {
        for (int64_t c = 0; c < p->head_size; c++) {
            cpu_store(output, cpu_index(output, 0, r, c, 0), p->drawn[r * p->head_size + c]);
        }
    }
}

static void compute(performer *p) {
    if (!p->features) {
        draw(p);
        store_features(p);
    }
    for (p->b = 0; p->out && p->b < p->num_batches; p->b++) {
        p->num_valid_keys = p->lengths && !PERFORMER_KEEPS_PADDING
                                ? cpu_load_length(p->lengths, p->b, p->num_keys)
                                : p->num_keys;
        for (p->head = 0; p->head < p->num_heads; p->head++) {
            compute_head(p);
        }
    }
}

ikat_status ikati_reference_performer(const cpu_call *call) {
    performer p = {0};
    read_call(&p, call);
    double *room = make_room(&p);
    p.drawn =
        room ? ikati_alloc(call->host, (size_t)(p.num_projections * p.head_size), sizeof(float))
             : NULL;
    if (p.drawn) {
        compute(&p);
    }
    const ikat_status status = p.drawn ? IKAT_OK : IKAT_NO_MEMORY;
    ikati_free(call->host, p.drawn);
    ikati_free(call->host, room);
    return status;
}
