// ETC: Ainslie et al., ETC: Encoding Long and Structured Inputs in Transformers, arXiv:2004.08483,
// section 3, with the relative labels of Shaw et al., arXiv:1803.02155.
//
// Rows belong to a side, long or global; a side has two pieces, which are keys with their values,
// labels and masks. For one key/value head at a time the keys and values of all pieces are converted
// to double; then rows of all its query heads are computed, each with one softmax over both pieces.

#include "reference.h"

#include <math.h>
#include <string.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef ETC_KEY_SHIFT
#define ETC_KEY_SHIFT 0
#endif

enum { LONG, GLOBAL, NUM_SIDES, NUM_PIECES = 2 };
enum { MULTIPLIES_PER_THREAD = 1 << 18 }; // less work is not worth a thread

typedef struct etc_piece {
    int key_side;
    const ikati_call_tensor *k, *v, *labels, *mask;
    double *keys, *values; // [positions of the key side, head size or value size]
} etc_piece;

typedef struct etc_side {
    const ikati_call_tensor *q, *rel_key, *rel_bias, *out, *lse;
    int64_t num_positions, num_valid, num_rows; // num_rows: to compute
    etc_piece pieces[NUM_PIECES];
} etc_side;

typedef struct etc {
    const cpu_call *call;
    const ikati_call_tensor *lengths, *global_lengths, *segment_ids;
    etc_side sides[NUM_SIDES];
    int64_t num_batches, num_heads, num_kv_heads, head_size, value_size;
    int64_t radius, rel_max_distance;
    bool hard[NUM_SIDES]; // of the piece between the inputs
    double scale;
    uint32_t num_workers;
    // The key/value head being worked on.
    int64_t b, kv_head;
    double *scratch; // a worker's query, key with its label, accumulator, scores
} etc;

typedef struct etc_row {
    int side;
    int64_t head, i;
    double *q, *key, *accumulator, *scores;
} etc_row;

static int64_t scratch_size(const etc *e) {
    return 2 * e->head_size + e->value_size + e->sides[LONG].num_positions +
           e->sides[GLOBAL].num_positions;
}

// Whether segment_ids links row i of a side with key j of the other one.
static bool are_linked(const etc *e, int side, int64_t i, int64_t j) {
    const int64_t token = side == LONG ? i : j, global = side == LONG ? j : i;
    return e->segment_ids &&
           cpu_load(e->segment_ids, cpu_index(e->segment_ids, e->b, token, 0, 0)) == (double)global;
}

static bool is_local(const etc_row *row, const etc_piece *piece) {
    return row->side == LONG && piece->key_side == LONG;
}

// A pair's element of labels or a mask.
static double edge(const etc *e, const etc_row *row, const etc_piece *piece,
                   const ikati_call_tensor *edges, int64_t j) {
    const int64_t column = is_local(row, piece) ? j - row->i + e->radius : j;
    return cpu_load(edges, cpu_index(edges, e->b, row->i, column, 0));
}

static bool sees(const etc *e, const etc_row *row, const etc_piece *piece, int64_t j) {
    if (j >= e->sides[piece->key_side].num_valid) {
        return false;
    }
    if (is_local(row, piece) &&
        (j + ETC_KEY_SHIFT > row->i + e->radius || j + ETC_KEY_SHIFT < row->i - e->radius)) {
        return false;
    }
    if (piece->mask && edge(e, row, piece, piece->mask, j) == 0) {
        return false;
    }
    return piece->key_side == row->side || !e->hard[row->side] ||
           are_linked(e, row->side, row->i, j);
}

static int64_t label_of(const etc *e, const etc_row *row, const etc_piece *piece, int64_t j) {
    const int64_t k = e->rel_max_distance, d = j + ETC_KEY_SHIFT - row->i;
    if (piece->labels) {
        const int64_t label = (int64_t)edge(e, row, piece, piece->labels, j);
        const int64_t last = e->sides[row->side].rel_key->tensor.shape[0] - 1;
        return label < 0 ? 0 : label > last ? last : label; // in bounds whatever it holds
    }
    if (piece->key_side != row->side) {
        return are_linked(e, row->side, row->i, j) ? 2 * k + 2 : 2 * k + 1;
    }
    return d >= 0 ? (d < k ? d : k) : k + (-d < k ? -d : k);
}

// scale * (q.(k + a) + b)
static double score(const etc *e, const etc_row *row, const etc_piece *piece, int64_t j) {
    const etc_side *side = &e->sides[row->side];
    const double *key = piece->keys + j * e->head_size;
    if (!side->rel_key) {
        return e->scale * cpu_dot(row->q, key, e->head_size);
    }
    const int64_t label = label_of(e, row, piece, j);
    cpu_load_row(side->rel_key, cpu_index(side->rel_key, label, row->head, 0, 0), e->head_size,
                 row->key);
    for (int64_t d = 0; d < e->head_size; d++) {
        row->key[d] += key[d];
    }
    double sum = cpu_dot(row->q, row->key, e->head_size);
    if (side->rel_bias) {
        sum += cpu_load(side->rel_bias, cpu_index(side->rel_bias, label, row->head, 0, 0));
    }
    return e->scale * sum;
}

// The scores of a piece's keys, -inf where a key is not seen; raises the row's maximum.
static void score_piece(const etc *e, const etc_row *row, const etc_piece *piece, double *scores,
                        double *maximum, bool *sees_any) {
    const int64_t num_keys = e->sides[piece->key_side].num_positions;
    for (int64_t j = 0; j < num_keys; j++) {
        scores[j] = sees(e, row, piece, j) ? score(e, row, piece, j) : -INFINITY;
        *sees_any = *sees_any || scores[j] != -INFINITY; // NaN is seen
        *maximum = scores[j] > *maximum ? scores[j] : *maximum;
    }
}

// Adds a piece's weights to the row's sum, and its values to the accumulator.
static double weigh_piece(const etc *e, const etc_row *row, const etc_piece *piece,
                          const double *scores, double maximum) {
    const int64_t num_keys = e->sides[piece->key_side].num_positions;
    double sum = 0;
    for (int64_t j = 0; j < num_keys; j++) {
        if (scores[j] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
        const double weight = exp(scores[j] - maximum);
        sum += weight;
        cpu_add_scaled(row->accumulator, weight, piece->values + j * e->value_size, e->value_size);
    }
    return sum;
}

// Leaves the row's result in the accumulator and returns its lse.
static double attend(const etc *e, const etc_row *row) {
    const etc_piece *pieces = e->sides[row->side].pieces;
    double *second = row->scores + e->sides[pieces[0].key_side].num_positions;
    double maximum = -INFINITY;
    bool sees_any = false;
    score_piece(e, row, &pieces[0], row->scores, &maximum, &sees_any);
    score_piece(e, row, &pieces[1], second, &maximum, &sees_any);
    if (!sees_any) {
        return -INFINITY;
    }
    double sum = weigh_piece(e, row, &pieces[0], row->scores, maximum);
    sum += weigh_piece(e, row, &pieces[1], second, maximum);
    for (int64_t d = 0; d < e->value_size; d++) {
        row->accumulator[d] /= sum;
    }
    return maximum + log(sum);
}

static void compute_row(const etc *e, const etc_row *row) {
    const etc_side *side = &e->sides[row->side];
    double lse = -INFINITY;
    memset(row->accumulator, 0, (size_t)e->value_size * sizeof(double));
    if (row->i < side->num_valid) {
        cpu_load_row(side->q, cpu_index(side->q, e->b, row->head, row->i, 0), e->head_size, row->q);
        lse = attend(e, row);
    }
    if (side->out) {
        cpu_store_row(side->out, cpu_index(side->out, e->b, row->head, row->i, 0), e->value_size,
                      row->accumulator);
    }
    if (side->lse) {
        cpu_store(side->lse, cpu_index(side->lse, e->b, row->head, row->i, 0), lse);
    }
}

// Rows of all query heads of the key/value head, dealt out in turn.
static void compute_rows(void *user, uint32_t worker) {
    const etc *e = user;
    const int64_t group = e->num_heads / e->num_kv_heads;
    double *room = e->scratch + worker * scratch_size(e);
    etc_row row = {.q = room, .key = room + e->head_size};
    row.accumulator = row.key + e->head_size;
    row.scores = row.accumulator + e->value_size;
    for (row.side = 0; row.side < NUM_SIDES; row.side++) {
        const etc_side *side = &e->sides[row.side];
        for (int64_t n = worker; n < group * side->num_rows; n += e->num_workers) {
            const int64_t at = n % side->num_rows;
            row.head = e->kv_head * group + n / side->num_rows;
            row.i = row.side == LONG ? cpu_row_at(e->call, at) : at; // the call names rows of N
            compute_row(e, &row);
        }
    }
}

static void convert_keys(void *user, uint32_t worker) {
    const etc *e = user;
    for (int n = 0; n < NUM_SIDES * NUM_PIECES; n++) {
        const etc_piece *piece = &e->sides[n / NUM_PIECES].pieces[n % NUM_PIECES];
        const int64_t num_keys = e->sides[piece->key_side].num_valid;
        for (int64_t j = worker; j < num_keys; j += e->num_workers) {
            cpu_load_row(piece->k, cpu_index(piece->k, e->b, e->kv_head, j, 0), e->head_size,
                         piece->keys + j * e->head_size);
            cpu_load_row(piece->v, cpu_index(piece->v, e->b, e->kv_head, j, 0), e->value_size,
                         piece->values + j * e->value_size);
        }
    }
}

static const ikati_call_tensor *either(const cpu_call *call, const char *name,
                                       const char *otherwise) {
    const ikati_call_tensor *tensor = cpu_input(call, name);
    return tensor ? tensor : cpu_input(call, otherwise);
}

static void read_sides(etc *e, const cpu_call *call) {
    etc_side *rows = &e->sides[LONG], *globals = &e->sides[GLOBAL];
    *rows = (etc_side){
        .q = cpu_input(call, "q"),
        .rel_key = cpu_input(call, "rel_key"),
        .rel_bias = cpu_input(call, "rel_bias"),
        .out = cpu_output(call, "out"),
        .lse = cpu_output(call, "lse"),
        .pieces = {{LONG, cpu_input(call, "k"), cpu_input(call, "v"), cpu_input(call, "labels_l2l"),
                    cpu_input(call, "mask_l2l"), NULL, NULL},
                   {GLOBAL, either(call, "k_l2g", "k_global"), either(call, "v_l2g", "v_global"),
                    cpu_input(call, "labels_l2g"), cpu_input(call, "mask_l2g"), NULL, NULL}}};
    const bool own_table = cpu_input(call, "rel_key_global") != NULL;
    *globals = (etc_side){
        .q = cpu_input(call, "q_global"),
        .rel_key = own_table ? cpu_input(call, "rel_key_global") : rows->rel_key,
        .rel_bias = own_table ? cpu_input(call, "rel_bias_global") : rows->rel_bias,
        .out = cpu_output(call, "out_global"),
        .lse = cpu_output(call, "lse_global"),
        .pieces = {{GLOBAL, cpu_input(call, "k_global"), cpu_input(call, "v_global"),
                    cpu_input(call, "labels_g2g"), cpu_input(call, "mask_g2g"), NULL, NULL},
                   {LONG, either(call, "k_g2l", "k"), either(call, "v_g2l", "v"),
                    cpu_input(call, "labels_g2l"), cpu_input(call, "mask_g2l"), NULL, NULL}}};
    for (int s = 0; s < NUM_SIDES; s++) {
        etc_side *side = &e->sides[s];
        side->num_positions = side->q->tensor.shape[2];
        side->num_rows = s == LONG ? cpu_num_rows(call, side->num_positions) : side->num_positions;
        side->num_rows = side->out || side->lse ? side->num_rows : 0;
    }
}

static void read_call(etc *e, const cpu_call *call) {
    e->call = call;
    read_sides(e, call);
    e->lengths = cpu_input(call, "lengths");
    e->global_lengths = cpu_input(call, "global_lengths");
    e->segment_ids = cpu_input(call, "segment_ids");
    const ikati_call_tensor *k = e->sides[LONG].pieces[0].k, *v = e->sides[LONG].pieces[0].v;
    const int64_t *shape = e->sides[LONG].q->tensor.shape;
    e->num_batches = shape[0];
    e->num_heads = shape[1];
    e->head_size = shape[3];
    e->num_kv_heads = k->tensor.shape[1];
    e->value_size = v->tensor.shape[3];
    e->radius = cpu_integer(call, "radius", 84);
    e->rel_max_distance = cpu_integer(call, "rel_max_distance", 12);
    e->hard[LONG] = cpu_integer(call, "hard_l2g", 0) != 0;
    e->hard[GLOBAL] = cpu_integer(call, "hard_g2l", 0) != 0;
    e->scale = cpu_number(call, "scale", 1.0 / sqrt((double)e->head_size));
    const double keys =
        (double)e->sides[LONG].num_positions + (double)e->sides[GLOBAL].num_positions;
    const double rows = (double)e->sides[LONG].num_rows + (double)e->sides[GLOBAL].num_rows;
    const double wanted = rows * keys * (double)(e->num_heads / e->num_kv_heads) *
                              (double)(e->head_size + e->value_size) / MULTIPLIES_PER_THREAD +
                          1;
    e->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

// One block of memory: keys and values of every piece, scratch of each worker. NULL (logged) if it
// does not fit.
static double *make_room(etc *e, const ikati_host *host) {
    const int64_t row_size = e->head_size + e->value_size;
    const int64_t num_positions = e->sides[LONG].num_positions + e->sides[GLOBAL].num_positions;
    const int64_t total = NUM_PIECES * num_positions * row_size + e->num_workers * scratch_size(e);
    double *room = ikati_alloc(host, (size_t)total, sizeof(*room)), *at = room;
    for (int n = 0; room && n < NUM_SIDES * NUM_PIECES; n++) {
        etc_piece *piece = &e->sides[n / NUM_PIECES].pieces[n % NUM_PIECES];
        piece->keys = at;
        piece->values = at + e->sides[piece->key_side].num_positions * e->head_size;
        at += e->sides[piece->key_side].num_positions * row_size;
    }
    e->scratch = at;
    return room;
}

ikat_status ikati_reference_etc(const cpu_call *call) {
    etc e = {0};
    read_call(&e, call);
    double *room = make_room(&e, call->host);
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    etc_side *rows = &e.sides[LONG], *globals = &e.sides[GLOBAL];
    for (e.b = 0; e.b < e.num_batches; e.b++) {
        rows->num_valid =
            e.lengths ? cpu_load_length(e.lengths, e.b, rows->num_positions) : rows->num_positions;
        globals->num_valid = e.global_lengths
                                 ? cpu_load_length(e.global_lengths, e.b, globals->num_positions)
                                 : globals->num_positions;
        for (e.kv_head = 0; e.kv_head < e.num_kv_heads; e.kv_head++) {
            ikati_run_threads(e.num_workers, convert_keys, &e);
            ikati_run_threads(e.num_workers, compute_rows, &e);
        }
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
