#include "visible.h"

#include <math.h>
#include <string.h>

enum {
    MULTIPLIES_PER_THREAD = 1 << 18, // less work is not worth a thread
};

// The tensors that a row's scores and values come from, and the key/value head being worked on in
// double.
typedef struct projections {
    const ikati_call_tensor *q, *k, *v;
    double *keys, *values; // [valid keys, head size], [valid keys, value size]
} projections;

typedef struct visible_call {
    const cpu_call *call;
    const cpu_visible *visible;
    projections local, global;
    const ikati_call_tensor *lengths, *head_mask, *out, *lse;
    int64_t num_heads, num_kv_heads, num_positions, head_size, value_size;
    int64_t num_rows; // positions to compute
    double scale;
    uint32_t num_workers;
    int64_t b, kv_head;
    int64_t num_valid;
    double *scratch; // a worker's query, accumulator, scores
    uint8_t *seen;   // a worker's marks
} visible_call;

// Scratch of one worker.
typedef struct worker_room {
    double *q, *accumulator, *scores;
    uint8_t *seen;
} worker_room;

static int64_t scratch_size(const visible_call *c) {
    return c->head_size + c->value_size + c->num_positions;
}

static int64_t next_seen(const uint8_t *seen, int64_t from, int64_t end) {
    const uint8_t *found = from < end ? memchr(seen + from, 1, (size_t)(end - from)) : NULL;
    return found ? found - seen : end;
}

static double score(const visible_call *c, const double *q, const double *key) {
    return c->scale * cpu_dot(q, key, c->head_size);
}

static bool keeps_head(const visible_call *c, int64_t head) {
    return !c->head_mask || cpu_load(c->head_mask, cpu_index(c->head_mask, head, 0, 0, 0)) != 0;
}

// Leaves the row's result in the accumulator and returns its lse.
static double attend(const visible_call *c, const projections *from, const worker_room *room) {
    double maximum = -INFINITY, sum = 0;
    bool sees_any = false;
    for (int64_t j = next_seen(room->seen, 0, c->num_valid); j < c->num_valid;
         j = next_seen(room->seen, j + 1, c->num_valid)) {
        room->scores[j] = score(c, room->q, from->keys + j * c->head_size);
        sees_any = sees_any || room->scores[j] != -INFINITY; // NaN is seen
        maximum = room->scores[j] > maximum ? room->scores[j] : maximum;
    }
    if (!sees_any) {
        return -INFINITY;
    }
    for (int64_t j = next_seen(room->seen, 0, c->num_valid); j < c->num_valid;
         j = next_seen(room->seen, j + 1, c->num_valid)) {
        if (room->scores[j] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
        const double p = exp(room->scores[j] - maximum);
        const double *values = from->values + j * c->value_size;
        sum += p;
        cpu_add_scaled(room->accumulator, p, values, c->value_size);
    }
    for (int64_t d = 0; d < c->value_size; d++) {
        room->accumulator[d] /= sum;
    }
    return maximum + log(sum);
}

static void attend_row(const visible_call *c, int64_t head, int64_t i, const worker_room *room) {
    const cpu_visible *visible = c->visible;
    const int64_t source = visible->source ? visible->source(visible->user, i) : i;
    double lse = -INFINITY;
    memset(room->accumulator, 0, (size_t)c->value_size * sizeof(double));
    if (i < c->num_valid && source >= 0 && source < c->num_valid && keeps_head(c, head)) {
        const cpu_row row = {c->b, head, source, c->num_positions};
        const bool global = visible->is_global && visible->is_global(visible->user, &row);
        const projections *from = global ? &c->global : &c->local;
        memset(room->seen, 0, (size_t)c->num_positions);
        visible->mark(visible->user, &row, room->seen);
        cpu_load_row(from->q, cpu_index(from->q, c->b, head, source, 0), c->head_size, room->q);
        lse = attend(c, from, room);
    }
    if (c->out) {
        cpu_store_row(c->out, cpu_index(c->out, c->b, head, i, 0), c->value_size,
                      room->accumulator);
    }
    if (c->lse) {
        cpu_store(c->lse, cpu_index(c->lse, c->b, head, i, 0), lse);
    }
}

// Rows of all query heads of the key/value head, dealt out in turn.
static void attend_rows(void *user, uint32_t worker) {
    const visible_call *c = user;
    const int64_t group = c->num_heads / c->num_kv_heads, num_rows = group * c->num_rows;
    worker_room room = {.q = c->scratch + worker * scratch_size(c),
                        .seen = c->seen + worker * c->num_positions};
    room.accumulator = room.q + c->head_size;
    room.scores = room.accumulator + c->value_size;
    for (int64_t i = worker; i < num_rows; i += c->num_workers) {
        attend_row(c, c->kv_head * group + i / c->num_rows, cpu_row_at(c->call, i % c->num_rows),
                   &room);
    }
}

static void convert(const visible_call *c, const projections *p, int64_t j) {
    cpu_load_row(p->k, cpu_index(p->k, c->b, c->kv_head, j, 0), c->head_size,
                 p->keys + j * c->head_size);
    cpu_load_row(p->v, cpu_index(p->v, c->b, c->kv_head, j, 0), c->value_size,
                 p->values + j * c->value_size);
}

static void convert_keys(void *user, uint32_t worker) {
    const visible_call *c = user;
    for (int64_t j = worker; j < c->num_valid; j += c->num_workers) {
        convert(c, &c->local, j);
        if (c->global.keys != c->local.keys) {
            convert(c, &c->global, j);
        }
    }
}

static void read_call(visible_call *c, const cpu_call *call) {
    c->call = call;
    c->local = (projections){
        .q = cpu_input(call, "q"), .k = cpu_input(call, "k"), .v = cpu_input(call, "v")};
    c->global = c->local;
    if (cpu_input(call, "q_global")) {
        c->global = (projections){.q = cpu_input(call, "q_global"),
                                  .k = cpu_input(call, "k_global"),
                                  .v = cpu_input(call, "v_global")};
    }
    c->lengths = cpu_input(call, "lengths");
    c->head_mask = cpu_input(call, "head_mask");
    c->out = cpu_output(call, "out");
    c->lse = cpu_output(call, "lse");
    const int64_t *shape = c->local.q->tensor.shape;
    c->num_heads = shape[1];
    c->num_positions = shape[2];
    c->num_rows = cpu_num_rows(call, c->num_positions);
    c->head_size = shape[3];
    c->num_kv_heads = c->local.k->tensor.shape[1];
    c->value_size = c->local.v->tensor.shape[3];
    c->scale = cpu_number(call, "scale", 1.0 / sqrt((double)c->head_size));
    const double work = (double)(c->num_heads / c->num_kv_heads) * (double)c->num_rows *
                        (double)c->num_positions * (double)(c->head_size + c->value_size);
    const double wanted = work / MULTIPLIES_PER_THREAD + 1;
    c->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

// NULL (logged) if it does not fit.
static double *make_room(visible_call *c, const ikati_host *host) {
    const bool separate = c->global.k != c->local.k || c->global.v != c->local.v;
    const int64_t row_size = c->head_size + c->value_size;
    const int64_t keys = c->num_positions * row_size;
    const int64_t marks = c->num_workers * c->num_positions / (int64_t)sizeof(double) + 1;
    const int64_t total = keys * (separate ? 2 : 1) + c->num_workers * scratch_size(c) + marks;
    double *room = ikati_alloc(host, (size_t)total, sizeof(*room));
    if (!room) {
        return NULL;
    }
    c->local.keys = room;
    c->local.values = room + c->num_positions * c->head_size;
    c->global.keys = c->local.keys + (separate ? keys : 0);
    c->global.values = c->local.values + (separate ? keys : 0);
    c->scratch = room + keys * (separate ? 2 : 1);
    c->seen = (uint8_t *)(c->scratch + c->num_workers * scratch_size(c));
    return room;
}

ikat_status cpu_attend_visible(const cpu_call *call, const cpu_visible *visible) {
    visible_call c = {.visible = visible};
    read_call(&c, call);
    double *room = make_room(&c, call->host);
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    for (c.b = 0; c.b < c.local.q->tensor.shape[0]; c.b++) {
        c.num_valid =
            c.lengths ? cpu_load_length(c.lengths, c.b, c.num_positions) : c.num_positions;
        for (c.kv_head = 0; c.kv_head < c.num_kv_heads; c.kv_head++) {
            ikati_run_threads(c.num_workers, convert_keys, &c);
            ikati_run_threads(c.num_workers, attend_rows, &c);
        }
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
