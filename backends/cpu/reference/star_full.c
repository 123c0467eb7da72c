// Star-Transformer: Guo et al., arXiv:1902.09113, algorithm 1: the whole cyclic update of satellites
// and relay, in double.

#include "star.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// One of the two attentions: its weights in the round under way, as doubles, and sizes.
typedef struct multihead {
    const char *prefix; // of its inputs: "ring", "relay"
    int64_t heads, size, value_size;
    double scale;
    double *weights[4], *biases[4]; // q, k, v, o; NULL: no bias
    double *gamma, *beta;           // NULL: 1, 0
} multihead;

// One batch entry's states: n satellites of C channels, and the relay.
typedef struct state {
    const cpu_call *call;
    const ikati_call_tensor *x;
    int64_t num_positions, num_valid, channels, rounds;
    bool sees_embedding;
    double eps;
    multihead ring, relay;
    double *embeddings, *satellites, *next, *star; // star: the relay
    // Of all satellites, their embeddings and the relay, one after the other.
    double *keys, *values, *query, *joined, *projected;
    double *scores;
    const double **key_rows, **value_rows;
} state;

static const char *const letters = "qkvo";

static const ikati_call_tensor *find(const cpu_call *call, const char *prefix, const char *rest) {
    char name[32];
    snprintf(name, sizeof(name), "%s_%s", prefix, rest);
    return cpu_input(call, name);
}

static const ikati_call_tensor *find_matrix(const cpu_call *call, const char *prefix, char kind,
                                            char letter) {
    const char rest[] = {kind, '_', letter, '\0'};
    return find(call, prefix, rest);
}

// Layer `round`, or the only one, of a tensor [L,rows,columns] or [L,columns]. NULL if it is absent.
static double *load_layer(const ikati_call_tensor *tensor, int64_t round, double *room) {
    if (!tensor) {
        return NULL;
    }
    const int64_t *shape = tensor->tensor.shape;
    const int64_t layer = shape[0] == 1 ? 0 : round;
    const int64_t rows = tensor->tensor.rank == 3 ? shape[1] : 1;
    const int64_t columns = shape[tensor->tensor.rank - 1];
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = tensor->tensor.rank == 3 ? cpu_index(tensor, layer, r, 0, 0)
                                                    : cpu_index(tensor, layer, 0, 0, 0);
        cpu_load_row(tensor, at, columns, room + r * columns);
    }
    return room;
}

static void load_weights(const state *s, multihead *m, int64_t round, double *room) {
    const int64_t columns[4] = {m->heads * m->size, m->heads * m->size, m->heads * m->value_size,
                                s->channels};
    for (int i = 0; i < 4; i++) {
        const int64_t rows = i < 3 ? s->channels : m->heads * m->value_size;
        const ikati_call_tensor *weight = find_matrix(s->call, m->prefix, 'w', letters[i]);
        const ikati_call_tensor *bias = find_matrix(s->call, m->prefix, 'b', letters[i]);
        m->weights[i] = load_layer(weight, round, room);
        room += rows * columns[i];
        m->biases[i] = load_layer(bias, round, room);
        room += columns[i];
    }
    m->gamma = load_layer(find(s->call, m->prefix, "gamma"), round, room);
    m->beta = load_layer(find(s->call, m->prefix, "beta"), round, room + s->channels);
}

static int64_t weights_room(const state *s, const multihead *m) {
    const int64_t qk = m->heads * m->size, v = m->heads * m->value_size;
    return (s->channels + 1) * (2 * qk + v) + (v + 1) * s->channels + 2 * s->channels;
}

// y = x W + b.
static void project(const double *x, int64_t rows, const double *weight, const double *bias,
                    int64_t columns, double *y) {
    for (int64_t j = 0; j < columns; j++) {
        y[j] = bias ? bias[j] : 0;
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            y[j] += x[i] * weight[i * columns + j];
        }
    }
}

// Key and value of a state, to place `at`.
static void project_key(const state *s, const multihead *m, const double *x, int64_t at) {
    const int64_t qk = m->heads * m->size, v = m->heads * m->value_size;
    project(x, s->channels, m->weights[1], m->biases[1], qk, s->keys + at * qk);
    project(x, s->channels, m->weights[2], m->biases[2], v, s->values + at * v);
}

// LayerNorm(ReLU(y)), in place.
static void normalise(const state *s, const multihead *m, double *y) {
    double sum = 0, variance = 0;
    for (int64_t c = 0; c < s->channels; c++) {
        y[c] = y[c] < 0 ? 0 : y[c];
        sum +=
            y[c] -
            y[0]; // of equal elements exactly 0, for the variance is 0 then and eps alone divides
    }
    const double mean = y[0] + sum / (double)s->channels;
    for (int64_t c = 0; c < s->channels; c++) {
        variance += (y[c] - mean) * (y[c] - mean) / (double)s->channels;
    }
    for (int64_t c = 0; c < s->channels; c++) {
        y[c] = (m->gamma ? m->gamma[c] : 1) * (y[c] - mean) / sqrt(variance + s->eps) +
               (m->beta ? m->beta[c] : 0);
    }
}

// The update of state x over the places of a context; `out` may be x.
static void update(const state *s, const multihead *m, const double *x, const int64_t *places,
                   int64_t num, double *out) {
    const int64_t qk = m->heads * m->size, v = m->heads * m->value_size;
    project(x, s->channels, m->weights[0], m->biases[0], qk, s->query);
    for (int64_t h = 0; h < m->heads; h++) {
        for (int64_t j = 0; j < num; j++) {
            const int64_t place = places ? places[j] : j;
            s->key_rows[j] = s->keys + place * qk + h * m->size;
            s->value_rows[j] = s->values + place * v + h * m->value_size;
        }
        cpu_star_attend(s->query + h * m->size, s->key_rows, s->value_rows, num, m->size,
                        m->value_size, m->scale, s->scores, s->joined + h * m->value_size);
    }
    project(s->joined, v, m->weights[3], m->biases[3], s->channels, s->projected);
    normalise(s, m, s->projected);
    memcpy(out, s->projected, (size_t)s->channels * sizeof(double));
}

// Places: satellites 0 .. n - 1, their embeddings from n on, the relay at 2 n.
static void update_satellites(const state *s) {
    const int64_t n = s->num_valid, c = s->channels;
    for (int64_t i = 0; i < n; i++) {
        project_key(s, &s->ring, s->satellites + i * c, i);
        project_key(s, &s->ring, s->embeddings + i * c, n + i);
    }
    project_key(s, &s->ring, s->star, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        int64_t places[STAR_MAX_CONTEXT], num = 3;
        cpu_star_neighbours(i, n, places);
        places[num++] = 2 * n;
        if (s->sees_embedding) {
            places[num++] = n + i;
        }
        update(s, &s->ring, s->satellites + i * c, places, num, s->next + i * c);
    }
    memcpy(s->satellites, s->next, (size_t)(n * c) * sizeof(double));
}

static void update_relay(const state *s) {
    project_key(s, &s->relay, s->star, 0);
    for (int64_t i = 0; i < s->num_valid; i++) {
        project_key(s, &s->relay, s->satellites + i * s->channels, i + 1);
    }
    update(s, &s->relay, s->star, NULL, s->num_valid + 1, s->star);
}

static void begin(state *s, int64_t b) {
    const ikati_call_tensor *lengths = cpu_input(s->call, "lengths");
    const int64_t c = s->channels;
    s->num_valid = lengths ? cpu_load_length(lengths, b, s->num_positions) : s->num_positions;
    memset(s->star, 0, (size_t)c * sizeof(double));
    for (int64_t i = 0; i < s->num_valid; i++) {
        cpu_load_row(s->x, cpu_index(s->x, b, i, 0, 0), c, s->embeddings + i * c);
        for (int64_t d = 0; d < c; d++) {
            s->star[d] += s->embeddings[i * c + d] / (double)s->num_valid;
        }
    }
    memcpy(s->satellites, s->embeddings, (size_t)(s->num_valid * c) * sizeof(double));
}

static void end(const state *s, int64_t b) {
    const ikati_call_tensor *out = cpu_output(s->call, "out"),
                            *relay = cpu_output(s->call, "relay");
    const int64_t c = s->channels;
    memset(s->projected, 0, (size_t)c * sizeof(double));
    for (int64_t i = 0; out && i < cpu_num_rows(s->call, s->num_positions); i++) {
        const int64_t row = cpu_row_at(s->call, i);
        cpu_store_row(out, cpu_index(out, b, row, 0, 0), c,
                      row < s->num_valid ? s->satellites + row * c : s->projected);
    }
    if (relay) {
        cpu_store_row(relay, cpu_index(relay, b, 0, 0, 0), c, s->star);
    }
}

static void run(state *s, double *weights) {
    for (int64_t b = 0; b < s->x->tensor.shape[0]; b++) {
        begin(s, b);
        for (int64_t round = 0; round < s->rounds; round++) {
            load_weights(s, &s->ring, round, weights);
            load_weights(s, &s->relay, round, weights + weights_room(s, &s->ring));
            update_satellites(s);
            update_relay(s);
        }
        end(s, b);
    }
}

static void read_sizes(const cpu_call *call, multihead *m, const char *prefix) {
    m->prefix = prefix;
    m->heads = cpu_integer(call, "heads", 1);
    m->size = find(call, prefix, "w_q")->tensor.shape[2] / m->heads;
    m->value_size = find(call, prefix, "w_v")->tensor.shape[2] / m->heads;
    m->scale = cpu_number(call, "scale", 1.0 / sqrt((double)m->size));
}

static void read_call(state *s, const cpu_call *call) {
    s->call = call;
    s->x = cpu_input(call, "x");
    s->num_positions = s->x->tensor.shape[1];
    s->channels = s->x->tensor.shape[2];
    s->sees_embedding = cpu_integer(call, "embedding_context", 1) != 0;
    s->rounds = cpu_integer(call, "rounds", find(call, "ring", "w_q")->tensor.shape[0]);
    s->eps = cpu_number(call, "eps", 1e-5);
    read_sizes(call, &s->ring, "ring");
    read_sizes(call, &s->relay, "relay");
}

static double *cut(double **room, int64_t count) {
    double *at = *room;
    *room += count;
    return at;
}

ikat_status cpu_star_full(const cpu_call *call) {
    state s = {0};
    read_call(&s, call);
    const int64_t n = s.num_positions, c = s.channels, places = 2 * n + 1;
    const int64_t qk = s.ring.size > s.relay.size ? s.ring.size : s.relay.size;
    const int64_t v =
        s.ring.value_size > s.relay.value_size ? s.ring.value_size : s.relay.value_size;
    const int64_t widest = s.ring.heads * (qk + v), list = n + STAR_MAX_CONTEXT;
    const int64_t weights = weights_room(&s, &s.ring) + weights_room(&s, &s.relay);
    const int64_t count = weights + 3 * n * c + 2 * c + (places + 1) * widest + list;
    double *block = ikati_alloc(call->host, (size_t)count, sizeof(*block)), *room = block;
    const double **rows = ikati_alloc(call->host, (size_t)(2 * list), sizeof(*rows));
    if (block && rows) {
        double *layers = cut(&room, weights);
        s.embeddings = cut(&room, n * c);
        s.satellites = cut(&room, n * c);
        s.next = cut(&room, n * c);
        s.star = cut(&room, c);
        s.projected = cut(&room, c);
        s.keys = cut(&room, places * s.ring.heads * qk);
        s.values = cut(&room, places * s.ring.heads * v);
        s.query = cut(&room, s.ring.heads * qk);
        s.joined = cut(&room, s.ring.heads * v);
        s.scores = cut(&room, list);
        s.key_rows = rows;
        s.value_rows = rows + list;
        run(&s, layers);
    }
    const ikat_status status = block && rows ? IKAT_OK : IKAT_NO_MEMORY;
    ikati_free(call->host, rows);
    ikati_free(call->host, block);
    return status;
}
