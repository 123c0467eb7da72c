// Star-Transformer: Guo et al., arXiv:1902.09113, section 3. Here the two attention steps on
// projected tensors: satellites over a ring, their embeddings and the relay; the relay over all.

#include "star.h"

#include <math.h>
#include <string.h>

// 1: neighbours on the ring. The oracle's own test compiles this file once more with another value
// and must notice.
#ifndef STAR_DISTANCE
#define STAR_DISTANCE 1
#endif

// room  of one query: rows of the context as doubles
typedef struct star {
    const ikati_call_tensor *q, *k, *v, *k_emb, *v_emb, *k_relay, *v_relay, *lengths, *out, *lse;
    int64_t num_positions, num_valid, size, value_size;
    double scale;
    double *query, *keys, *values, *scores, *result;
    const double **key_rows, **value_rows;
} star;

void cpu_star_neighbours(int64_t i, int64_t n, int64_t out_places[3]) {
    for (int64_t step = -1; step <= 1; step++) {
        out_places[step + 1] = (i + step * STAR_DISTANCE + n) % n;
    }
}

double cpu_star_attend(const double *query, const double *const *keys, const double *const *values,
                       int64_t num, int64_t size, int64_t value_size, double scale, double *scores,
                       double *out) {
    double maximum = -INFINITY, sum = 0;
    for (int64_t j = 0; j < num; j++) {
        scores[j] = 0;
        for (int64_t d = 0; d < size; d++) {
            scores[j] += query[d] * keys[j][d];
        }
        scores[j] *= scale;
        maximum = scores[j] > maximum ? scores[j] : maximum;
    }
    for (int64_t d = 0; d < value_size; d++) {
        out[d] = 0;
    }
    for (int64_t j = 0; j < num; j++) {
        const double weight = exp(scores[j] - maximum);
        sum += weight;
        for (int64_t d = 0; d < value_size; d++) {
            out[d] += weight * values[j][d];
        }
    }
    for (int64_t d = 0; d < value_size; d++) {
        out[d] /= sum;
    }
    return maximum + log(sum);
}

// Puts the key and the value at a position into the context as element `at`.
static void take(const star *s, int64_t at, const ikati_call_tensor *k, const ikati_call_tensor *v,
                 int64_t b, int64_t kv_head, int64_t position) {
    double *key = s->keys + at * s->size, *value = s->values + at * s->value_size;
    cpu_load_row(k, cpu_index(k, b, kv_head, position, 0), s->size, key);
    cpu_load_row(v, cpu_index(v, b, kv_head, position, 0), s->value_size, value);
    s->key_rows[at] = key;
    s->value_rows[at] = value;
}

static void store(const star *s, int64_t b, int64_t head, int64_t row, double lse) {
    if (s->out) {
        cpu_store_row(s->out, cpu_index(s->out, b, head, row, 0), s->value_size, s->result);
    }
    if (s->lse) {
        cpu_store(s->lse, cpu_index(s->lse, b, head, row, 0), lse);
    }
}

// The row of a query over the first `num` elements of the context.
static void attend(const star *s, int64_t b, int64_t head, int64_t row, int64_t num) {
    cpu_load_row(s->q, cpu_index(s->q, b, head, row, 0), s->size, s->query);
    store(s, b, head, row,
          cpu_star_attend(s->query, s->key_rows, s->value_rows, num, s->size, s->value_size,
                          s->scale, s->scores, s->result));
}

static void attend_satellite(const star *s, int64_t b, int64_t head, int64_t kv_head, int64_t i) {
    if (i >= s->num_valid) {
        memset(s->result, 0, (size_t)s->value_size * sizeof(double));
        store(s, b, head, i, -INFINITY);
        return;
    }
    int64_t places[3], num = 0;
    cpu_star_neighbours(i, s->num_valid, places);
    for (; num < 3; num++) {
        take(s, num, s->k, s->v, b, kv_head, places[num]);
    }
    if (s->k_emb) {
        take(s, num++, s->k_emb, s->v_emb, b, kv_head, i);
    }
    take(s, num++, s->k_relay, s->v_relay, b, kv_head, 0);
    attend(s, b, head, i, num);
}

static void attend_relay(const star *s, int64_t b, int64_t head, int64_t kv_head) {
    take(s, 0, s->k_relay, s->v_relay, b, kv_head, 0);
    for (int64_t j = 0; j < s->num_valid; j++) {
        take(s, j + 1, s->k, s->v, b, kv_head, j);
    }
    attend(s, b, head, 0, s->num_valid + 1);
}

static void attend_all(star *s, const cpu_call *call, bool is_ring) {
    const int64_t *q = s->q->tensor.shape, group = q[1] / s->k->tensor.shape[1];
    for (int64_t b = 0; b < q[0]; b++) {
        s->num_valid =
            s->lengths ? cpu_load_length(s->lengths, b, s->num_positions) : s->num_positions;
        for (int64_t head = 0; head < q[1]; head++) {
            if (!is_ring) {
                attend_relay(s, b, head, head / group);
                continue;
            }
            for (int64_t i = 0; i < cpu_num_rows(call, s->num_positions); i++) {
                attend_satellite(s, b, head, head / group, cpu_row_at(call, i));
            }
        }
    }
}

static void read_call(star *s, const cpu_call *call) {
    s->q = cpu_input(call, "q");
    s->k = cpu_input(call, "k");
    s->v = cpu_input(call, "v");
    s->k_emb = cpu_input(call, "k_emb");
    s->v_emb = cpu_input(call, "v_emb");
    s->k_relay = cpu_input(call, "k_relay");
    s->v_relay = cpu_input(call, "v_relay");
    s->lengths = cpu_input(call, "lengths");
    s->out = cpu_output(call, "out");
    s->lse = cpu_output(call, "lse");
    s->num_positions = s->k->tensor.shape[2];
    s->size = s->k->tensor.shape[3];
    s->value_size = s->v->tensor.shape[3];
    s->scale = cpu_number(call, "scale", 1.0 / sqrt((double)s->size));
}

ikat_status ikati_reference_star(const cpu_call *call) {
    if (cpu_input(call, "x")) {
        return cpu_star_full(call);
    }
    star s = {0};
    read_call(&s, call);
    const bool is_ring = cpu_integer(call, "step", 0) == 1; // "full,ring,relay"
    const int64_t context = is_ring ? STAR_MAX_CONTEXT : s.num_positions + 1;
    const int64_t count = context * (s.size + s.value_size + 1) + s.size + s.value_size;
    double *room = ikati_alloc(call->host, (size_t)count, sizeof(*room));
    const double **rows = ikati_alloc(call->host, (size_t)(2 * context), sizeof(*rows));
    if (room && rows) {
        s.keys = room;
        s.values = s.keys + context * s.size;
        s.scores = s.values + context * s.value_size;
        s.query = s.scores + context;
        s.result = s.query + s.size;
        s.key_rows = rows;
        s.value_rows = rows + context;
        attend_all(&s, call, is_ring);
        cpu_prune_heads(call);
    }
    const ikat_status status = room && rows ? IKAT_OK : IKAT_NO_MEMORY;
    ikati_free(call->host, rows);
    ikati_free(call->host, room);
    return status;
}
