// Linear attention: Katharopoulos et al., Transformers are RNNs, arXiv:2006.16236, section 3, as the
// recurrence that the title speaks of; decay as in Sun et al., Retentive Network, arXiv:2307.08621.
//
//   S_j = g_j S_{j-1} + phi(k_j) v_j^T,  Z_j = g_j Z_{j-1} + phi(k_j)
//   out_i = scale S^T phi(q_i) / (scale Z.phi(q_i) + eps)
//
// A worker takes a state head of a batch entry, walks its valid keys in order, and computes each row when
// the last key that it sees has been added.

#include "reference.h"

#include <math.h>
#include <string.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef LINEAR_DIAGONAL_SHIFT
#define LINEAR_DIAGONAL_SHIFT 0
#endif

enum { MULTIPLIES_PER_THREAD = 1 << 18 }; // less work is not worth a thread

typedef enum feature_map { MAP_ELU, MAP_RELU, MAP_EXP, MAP_IDENTITY } feature_map;

typedef struct linear {
    const cpu_call *call;
    const ikati_call_tensor *q, *k, *v, *decay, *state_s, *state_z, *lengths;
    const ikati_call_tensor *out, *state_s_out, *state_z_out;
    int64_t num_batches, num_heads, num_kv_heads, num_queries, num_keys, head_size, value_size;
    feature_map map;
    double feature_eps, eps, scale;
    bool normalizes, causal;
    uint32_t num_workers;
    uint8_t *wanted; // [num_queries]: rows to compute
    double *scratch; // a worker's state, features, value and result
} linear;

typedef struct walk {
    int64_t b, kv_head, num_valid_keys, num_valid_queries;
    double *s, *z, *features, *value, *result;
} walk;

static int64_t scratch_size(const linear *l) {
    return l->head_size * (l->value_size + 2) + 2 * l->value_size;
}

static double map_one(const linear *l, double x) {
    switch (l->map) {
    case MAP_ELU: return (x > 0 ? x + 1 : exp(x)) + l->feature_eps;
    case MAP_RELU: return (x < 0 ? 0 : x) + l->feature_eps; // NaN stays NaN
    case MAP_EXP: return exp(x) + l->feature_eps;
    case MAP_IDENTITY: break;
    }
    return x + l->feature_eps;
}

static void load_features(const linear *l, const ikati_call_tensor *x, int64_t index, double *out) {
    cpu_load_row(x, index, l->head_size, out);
    for (int64_t d = 0; d < l->head_size; d++) {
        out[d] = map_one(l, out[d]);
    }
}

static void load_state(const linear *l, const walk *w) {
    memset(w->s, 0, (size_t)(l->head_size * l->value_size) * sizeof(double));
    memset(w->z, 0, (size_t)l->head_size * sizeof(double));
    if (!l->state_s) {
        return;
    }
    for (int64_t d = 0; d < l->head_size; d++) {
        cpu_load_row(l->state_s, cpu_index(l->state_s, w->b, w->kv_head, d, 0), l->value_size,
                     w->s + d * l->value_size);
    }
    cpu_load_row(l->state_z, cpu_index(l->state_z, w->b, w->kv_head, 0, 0), l->head_size, w->z);
}

static void store_state(const linear *l, const walk *w) {
    for (int64_t d = 0; l->state_s_out && d < l->head_size; d++) {
        cpu_store_row(l->state_s_out, cpu_index(l->state_s_out, w->b, w->kv_head, d, 0),
                      l->value_size, w->s + d * l->value_size);
    }
    if (l->state_z_out) {
        cpu_store_row(l->state_z_out, cpu_index(l->state_z_out, w->b, w->kv_head, 0, 0),
                      l->head_size, w->z);
    }
}

static double decay_of(const linear *l, const walk *w, int64_t j) {
    if (!l->decay) {
        return 1;
    }
    return l->decay->tensor.rank == 1
               ? cpu_load(l->decay, cpu_index(l->decay, w->kv_head, 0, 0, 0))
               : cpu_load(l->decay, cpu_index(l->decay, w->b, w->kv_head, j, 0));
}

static void add_key(const linear *l, const walk *w, int64_t j) {
    const double decay = decay_of(l, w, j);
    load_features(l, l->k, cpu_index(l->k, w->b, w->kv_head, j, 0), w->features);
    cpu_load_row(l->v, cpu_index(l->v, w->b, w->kv_head, j, 0), l->value_size, w->value);
    for (int64_t d = 0; d < l->head_size; d++) {
        double *row = w->s + d * l->value_size;
        for (int64_t c = 0; c < l->value_size; c++) {
            row[c] = decay * row[c] + w->features[d] * w->value[c];
        }
        w->z[d] = decay * w->z[d] + w->features[d];
    }
}

// Row i of all query heads of the state head, from the state as it is.
static void compute_row(const linear *l, const walk *w, int64_t i) {
    const int64_t group = l->num_heads / l->num_kv_heads;
    for (int64_t h = w->kv_head * group; h < (w->kv_head + 1) * group; h++) {
        memset(w->result, 0, (size_t)l->value_size * sizeof(double));
        load_features(l, l->q, cpu_index(l->q, w->b, h, i, 0), w->features);
        for (int64_t d = 0; d < l->head_size; d++) {
            cpu_add_scaled(w->result, l->scale * w->features[d], w->s + d * l->value_size,
                           l->value_size);
        }
        const double sum = l->scale * cpu_dot(w->z, w->features, l->head_size) + l->eps;
        for (int64_t c = 0; l->normalizes && c < l->value_size; c++) {
            w->result[c] = sum == 0 ? 0 : w->result[c] / sum;
        }
        cpu_store_row(l->out, cpu_index(l->out, w->b, h, i, 0), l->value_size, w->result);
    }
}

// Rows that end at key j, and at -1 those that see none; without a causal mask all end at the last key.
static void compute_rows_ending_at(const linear *l, const walk *w, int64_t j) {
    const int64_t shift = w->num_valid_keys - w->num_valid_queries + LINEAR_DIAGONAL_SHIFT;
    int64_t first = j < 0 ? 0 : j - shift, last = j - shift;
    if (!l->causal) {
        first = 0;
        last = j == w->num_valid_keys - 1 ? w->num_valid_queries - 1 : -1;
    }
    for (int64_t i = first < 0 ? 0 : first; l->out && i <= last && i < w->num_valid_queries; i++) {
        if (l->wanted[i]) {
            compute_row(l, w, i);
        }
    }
}

static void clear_padding(const linear *l, const walk *w) {
    const int64_t group = l->num_heads / l->num_kv_heads;
    memset(w->result, 0, (size_t)l->value_size * sizeof(double));
    for (int64_t n = 0; l->out && n < group * l->num_queries; n++) {
        const int64_t i = n % l->num_queries, h = w->kv_head * group + n / l->num_queries;
        if (l->wanted[i] && i >= w->num_valid_queries) {
            cpu_store_row(l->out, cpu_index(l->out, w->b, h, i, 0), l->value_size, w->result);
        }
    }
}

static void walk_heads(void *user, uint32_t worker) {
    const linear *l = user;
    walk w = {.s = l->scratch + worker * scratch_size(l)};
    w.z = w.s + l->head_size * l->value_size;
    w.features = w.z + l->head_size;
    w.value = w.features + l->head_size;
    w.result = w.value + l->value_size;
    for (int64_t n = worker; n < l->num_batches * l->num_kv_heads; n += l->num_workers) {
        w.b = n / l->num_kv_heads;
        w.kv_head = n % l->num_kv_heads;
        w.num_valid_keys = l->lengths ? cpu_load_length(l->lengths, w.b, l->num_keys) : l->num_keys;
        w.num_valid_queries = l->num_queries == l->num_keys ? w.num_valid_keys : l->num_queries;
        load_state(l, &w);
        clear_padding(l, &w);
        compute_rows_ending_at(l, &w, -1);
        for (int64_t j = 0; j < w.num_valid_keys; j++) {
            add_key(l, &w, j);
            compute_rows_ending_at(l, &w, j);
        }
        store_state(l, &w);
    }
}

static void read_call(linear *l, const cpu_call *call) {
    l->call = call;
    l->q = cpu_input(call, "q");
    l->k = cpu_input(call, "k");
    l->v = cpu_input(call, "v");
    l->decay = cpu_input(call, "decay");
    l->state_s = cpu_input(call, "state_s");
    l->state_z = cpu_input(call, "state_z");
    l->lengths = cpu_input(call, "lengths");
    l->out = cpu_output(call, "out");
    l->state_s_out = cpu_output(call, "state_s_out");
    l->state_z_out = cpu_output(call, "state_z_out");
    l->num_batches = l->q->tensor.shape[0];
    l->num_heads = l->q->tensor.shape[1];
    l->num_queries = l->q->tensor.shape[2];
    l->head_size = l->q->tensor.shape[3];
    l->num_kv_heads = l->k->tensor.shape[1];
    l->num_keys = l->k->tensor.shape[2];
    l->value_size = l->v->tensor.shape[3];
    l->map = (feature_map)cpu_integer(call, "feature_map", MAP_ELU);
    l->feature_eps = cpu_number(call, "feature_eps", 0);
    l->normalizes = cpu_integer(call, "normalize", 1) != 0;
    l->eps = cpu_number(call, "eps", 1e-6);
    l->causal = cpu_integer(call, "causal", 0) != 0;
    l->scale = cpu_number(call, "scale", 1);
    const double positions = (double)l->num_queries + (double)l->num_keys;
    const double wanted = (double)(l->num_batches * l->num_heads) * positions *
                              (double)(l->head_size * l->value_size) / MULTIPLIES_PER_THREAD +
                          1;
    l->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

ikat_status ikati_reference_linear(const cpu_call *call) {
    linear l = {0};
    read_call(&l, call);
    l.scratch = ikati_alloc(call->host, (size_t)(l.num_workers * scratch_size(&l)), sizeof(double));
    l.wanted = ikati_alloc(call->host, (size_t)l.num_queries, 1);
    ikat_status status = l.scratch && l.wanted ? IKAT_OK : IKAT_NO_MEMORY;
    if (!status) {
        for (int64_t i = 0; i < cpu_num_rows(call, l.num_queries); i++) {
            l.wanted[cpu_row_at(call, i)] = 1;
        }
        ikati_run_threads(l.num_workers, walk_heads, &l);
    }
    ikati_free(call->host, l.wanted);
    ikati_free(call->host, l.scratch);
    return status;
}
