// Lowers the whole update of the Star-Transformer: projections (kernel `gemm`), the two attentions, and
// ReLU with layer normalisation (kernel `norm`), round after round. All states are float32 scratch; rows
// of padding are computed like the others where nothing else reads them, and zeroed by `norm`.

#include "star.h"

#include "../lower_rows.h"

#include <stdio.h>

enum { QUERY, KEY, VALUE, OUT, NUM_WEIGHTS };

// One of the two attentions.
typedef struct multihead {
    const char *prefix; // of its inputs
    int64_t size, value_size;
    double scale;
} multihead;

// Scratch, float32: of [B,N,columns] the satellites', of [B,columns] the relay's.
typedef struct update {
    const ikati_request *request;
    ikati_lowering *lowering;
    int64_t num_batches, num_positions, channels, heads, rounds;
    ikati_view x, lengths;
    bool sees_embedding;
    double eps;
    multihead ring, relay;
    uint32_t satellites, star, projected, star_projected;
    uint32_t query, key, value, key_emb, value_emb, joined;                         // of the ring
    uint32_t relay_query, relay_key, relay_value, own_key, own_value, relay_joined; // of the relay
    ikati_relay_table table;
} update;

static bool is_one(const update *u) { return ikati_extent(u->request, "L") == 1; }

// Input "<prefix>_<rest>".
static ikati_view find(const update *u, const multihead *m, const char *rest) {
    char name[32];
    snprintf(name, sizeof(name), "%s_%s", m->prefix, rest);
    return ikati_input_view(u->request, name);
}

static uint64_t layer_offset(const update *u, const ikati_view *view, int64_t round) {
    return !view->kind || is_one(u) ? 0 : (uint64_t)(round * view->tensor->strides[0]);
}

// A row of layer `round` of a tensor [L,columns].
static ikati_matrices find_row(const update *u, const multihead *m, const char *rest,
                               int64_t round) {
    const ikati_view view = find(u, m, rest);
    ikati_matrices row = ikati_matrices_of(&view, IKATI_NO_AXIS, IKATI_NO_AXIS, IKATI_NO_AXIS, 1);
    row.offset += layer_offset(u, &view, round);
    return row;
}

// y = x W + b, by the projection `which` of a round. Matrices of `from` and `to` are [rows, columns], one
// a batch entry.
static ikat_status project(const update *u, const multihead *m, int which, int64_t round,
                           const ikati_matrices *from, int64_t rows, const ikati_matrices *to) {
    static const char *const weights[NUM_WEIGHTS] = {"w_q", "w_k", "w_v", "w_o"};
    static const char *const biases[NUM_WEIGHTS] = {"b_q", "b_k", "b_v", "b_o"};
    const ikati_view weight = find(u, m, weights[which]);
    ikati_gemm gemm = {
        .a = *from,
        .b = ikati_matrices_of(&weight, IKATI_NO_AXIS, IKATI_NO_AXIS, 1, 2),
        .bias = find_row(u, m, biases[which], round),
        .c = *to,
        .num_batches = (uint32_t)u->num_batches,
        .num_heads = 1,
        .num_rows = (uint32_t)rows,
        .num_columns = (uint32_t)weight.tensor->shape[2],
        .depth = (uint32_t)weight.tensor->shape[1],
        .scale = 1,
    };
    gemm.b.offset += layer_offset(u, &weight, round);
    return ikati_lower_gemm(u->lowering, &gemm);
}

static ikati_matrices matrices(uint32_t scratch, int64_t rows, int64_t columns) {
    return ikati_matrices_of_scratch(scratch, 1, (uint64_t)rows, (uint64_t)columns);
}

// Projects states [B,rows,C] to scratch [B,rows,columns].
static ikat_status project_states(const update *u, const multihead *m, int which, int64_t round,
                                  const ikati_matrices *states, int64_t rows, uint32_t to) {
    const int64_t size = which == VALUE ? m->value_size : m->size;
    const ikati_matrices target = matrices(to, rows, u->heads * size);
    return project(u, m, which, round, states, rows, &target);
}

// LayerNorm(ReLU(y W_o + b_o)) of joined heads, to one or two places; the second of kind NONE: to one.
static ikat_status finish(const update *u, const multihead *m, int64_t round, uint32_t joined,
                          int64_t rows, uint32_t projected, const ikati_matrices *to,
                          const ikati_matrices *also_to) {
    const ikati_matrices from = matrices(joined, rows, u->heads * m->value_size);
    const ikati_matrices y = matrices(projected, rows, u->channels);
    ikat_status status = project(u, m, OUT, round, &from, rows, &y);
    const ikati_matrices *targets[] = {to, also_to};
    for (int i = 0; i < 2 && !status; i++) {
        const ikati_norm norm = {
            .x = y,
            .gamma = find_row(u, m, "gamma", round),
            .beta = find_row(u, m, "beta", round),
            .y = *targets[i],
            .lengths = m == &u->ring ? u->lengths : (ikati_view){0},
            .num_batches = (uint32_t)u->num_batches,
            .num_rows = (uint32_t)rows,
            .num_columns = (uint32_t)u->channels,
            .eps = u->eps,
            .relu = true,
        };
        status = targets[i]->kind ? ikati_lower_norm(u->lowering, &norm) : IKAT_OK;
    }
    return status;
}

// A view [B,H,rows,size] of scratch [B,rows,H*size]; the tensor is the caller's.
static ikati_view heads_of(const update *u, uint32_t scratch, int64_t rows, int64_t size,
                           ikat_tensor *tensor) {
    *tensor = (ikat_tensor){.dtype = IKAT_FLOAT32,
                            .rank = 4,
                            .shape = {u->num_batches, u->heads, rows, size},
                            .strides = {rows * u->heads * size, size, u->heads * size, 1}};
    return (ikati_view){IKATI_SLOT_SCRATCH, scratch, tensor};
}

static ikati_matrices input_states(const update *u) {
    return ikati_matrices_of(&u->x, 0, IKATI_NO_AXIS, 1, 2);
}

static ikati_matrices satellites_of(const update *u, int64_t round) {
    return round == 0 ? input_states(u) : matrices(u->satellites, u->num_positions, u->channels);
}

// Keys and values of the tokens' embeddings: once, or each round with its weights.
static ikat_status project_embeddings(const update *u, int64_t round) {
    const ikati_matrices x = input_states(u);
    if (!u->sees_embedding || (round > 0 && is_one(u))) {
        return IKAT_OK;
    }
    ikat_status status = project_states(u, &u->ring, KEY, round, &x, u->num_positions, u->key_emb);
    return status ? status
                  : project_states(u, &u->ring, VALUE, round, &x, u->num_positions, u->value_emb);
}

// The relay's key and value as kernel `ring` reads them.
static ikat_status project_relay(const update *u, int64_t round) {
    const ikati_matrices star = matrices(u->star, 1, u->channels);
    ikati_matrices key = matrices(u->table.scratch, 1, u->heads * u->ring.size);
    ikati_matrices value = matrices(u->table.scratch, 1, u->heads * u->ring.value_size);
    key.offset = u->table.k_at;
    value.offset = u->table.v_at;
    ikat_status status = project(u, &u->ring, KEY, round, &star, 1, &key);
    return status ? status : project(u, &u->ring, VALUE, round, &star, 1, &value);
}

static ikat_status attend_ring(const update *u) {
    const int64_t n = u->num_positions, size = u->ring.size, value_size = u->ring.value_size;
    ikat_tensor tensors[6];
    ikati_ring_attention ring = {
        .q = heads_of(u, u->query, n, size, &tensors[0]),
        .k = heads_of(u, u->key, n, size, &tensors[1]),
        .v = heads_of(u, u->value, n, value_size, &tensors[2]),
        .out = heads_of(u, u->joined, n, value_size, &tensors[3]),
        .table = u->table,
        .has_lengths = u->lengths.kind != IKATI_SLOT_NONE,
        .scale = u->ring.scale,
    };
    if (u->sees_embedding) {
        ring.k_emb = heads_of(u, u->key_emb, n, size, &tensors[4]);
        ring.v_emb = heads_of(u, u->value_emb, n, value_size, &tensors[5]);
    }
    return ikati_lower_ring(u->lowering, &ring);
}

static ikat_status update_satellites(const update *u, int64_t round, const ikati_matrices *out) {
    const ikati_matrices states = satellites_of(u, round);
    const int64_t n = u->num_positions;
    const uint32_t to[] = {u->query, u->key, u->value};
    ikat_status status = project_embeddings(u, round);
    for (int i = QUERY; i <= VALUE && !status; i++) {
        status = project_states(u, &u->ring, i, round, &states, n, to[i]);
    }
    status = status ? status : project_relay(u, round);
    status = status ? status : attend_ring(u);
    const ikati_matrices next = matrices(u->satellites, n, u->channels);
    return status ? status : finish(u, &u->ring, round, u->joined, n, u->projected, &next, out);
}

static ikat_status attend_relay(const update *u) {
    const int64_t n = u->num_positions, size = u->relay.size, value_size = u->relay.value_size;
    ikat_tensor tensors[6];
    const ikati_attention satellites = {
        .q = heads_of(u, u->relay_query, 1, size, &tensors[0]),
        .k = heads_of(u, u->relay_key, n, size, &tensors[1]),
        .v = heads_of(u, u->relay_value, n, value_size, &tensors[2]),
        .out = heads_of(u, u->relay_joined, 1, value_size, &tensors[3]),
        .lengths = u->lengths,
        .scale = u->relay.scale,
        .window_left = -1,
        .window_right = -1,
    };
    const ikati_view own_key = heads_of(u, u->own_key, 1, size, &tensors[4]);
    const ikati_view own_value = heads_of(u, u->own_value, 1, value_size, &tensors[5]);
    return ikati_lower_relay(u->lowering, &satellites, &own_key, &own_value);
}

static ikat_status update_relay(const update *u, int64_t round, const ikati_matrices *out) {
    const ikati_matrices star = matrices(u->star, 1, u->channels);
    const ikati_matrices states = matrices(u->satellites, u->num_positions, u->channels);
    const struct {
        int which;
        const ikati_matrices *from;
        int64_t rows;
        uint32_t to;
    } projections[] = {
        {QUERY, &star, 1, u->relay_query},
        {KEY, &star, 1, u->own_key},
        {VALUE, &star, 1, u->own_value},
        {KEY, &states, u->num_positions, u->relay_key},
        {VALUE, &states, u->num_positions, u->relay_value},
    };
    ikat_status status = IKAT_OK;
    for (size_t i = 0; i < sizeof(projections) / sizeof(projections[0]) && !status; i++) {
        status = project_states(u, &u->relay, projections[i].which, round, projections[i].from,
                                projections[i].rows, projections[i].to);
    }
    status = status ? status : attend_relay(u);
    return status ? status
                  : finish(u, &u->relay, round, u->relay_joined, 1, u->star_projected, &star, out);
}

static ikat_status make_scratch(update *u) {
    const int64_t b = u->num_batches, n = b * u->num_positions, h = u->heads;
    const struct {
        uint32_t *scratch;
        int64_t count;
    } ranges[] = {
        {&u->satellites, n * u->channels},
        {&u->projected, n * u->channels},
        {&u->query, n * h * u->ring.size},
        {&u->key, n * h * u->ring.size},
        {&u->value, n * h * u->ring.value_size},
        {&u->key_emb, n * h * u->ring.size},
        {&u->value_emb, n * h * u->ring.value_size},
        {&u->joined, n * h * u->ring.value_size},
        {&u->relay_key, n * h * u->relay.size},
        {&u->relay_value, n * h * u->relay.value_size},
        {&u->star, b * u->channels},
        {&u->star_projected, b * u->channels},
        {&u->relay_query, b * h * u->relay.size},
        {&u->own_key, b * h * u->relay.size},
        {&u->own_value, b * h * u->relay.value_size},
        {&u->relay_joined, b * h * u->relay.value_size},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        *ranges[i].scratch =
            ikati_lowering_scratch(u->lowering, (uint64_t)ranges[i].count * sizeof(float));
        if (*ranges[i].scratch == UINT32_MAX) {
            return IKAT_NO_MEMORY;
        }
    }
    return ikati_relay_table_create(u->lowering, &u->lengths, b, h * u->ring.size,
                                    h * u->ring.value_size, &u->table);
}

// The relay begins as the mean of the satellites.
static ikat_status begin(update *u) {
    ikat_status status = make_scratch(u);
    const ikati_mean mean = {.x = input_states(u),
                             .lengths = u->lengths,
                             .num_batches = (uint32_t)u->num_batches,
                             .num_heads = 1,
                             .num_rows = (uint32_t)u->num_positions,
                             .num_columns = (uint32_t)u->channels,
                             .to = u->star};
    return status ? status : ikati_lower_mean(u->lowering, &mean);
}

static void read_sizes(const update *u, multihead *m, const char *prefix) {
    const ikati_call_setting *scale = ikati_setting(u->request, "scale");
    m->prefix = prefix;
    m->size = find(u, m, "w_q").tensor->shape[2] / u->heads;
    m->value_size = find(u, m, "w_v").tensor->shape[2] / u->heads;
    m->scale = scale->given ? scale->number : 1.0 / sqrt((double)m->size);
}

static ikat_status lower_rounds(const update *u) {
    const ikati_view out = ikati_output_view(u->request, 0);
    const ikati_view relay = ikati_output_view(u->request, 2);
    const ikati_matrices to = ikati_matrices_of(&out, 0, IKATI_NO_AXIS, 1, 2);
    const ikati_matrices relay_to = ikati_matrices_of(&relay, 0, IKATI_NO_AXIS, IKATI_NO_AXIS, 1);
    const ikati_matrices none = {0};
    ikat_status status = IKAT_OK;
    for (int64_t round = 0; round < u->rounds && !status; round++) {
        const bool is_last = round + 1 == u->rounds;
        status = update_satellites(u, round, is_last ? &to : &none);
        if (!status && (!is_last || relay.kind)) {
            status = update_relay(u, round, is_last ? &relay_to : &none);
        }
    }
    return status;
}

ikat_status ikati_star_lower_full(const ikati_request *request, ikati_lowering *lowering) {
    update u = {
        .request = request,
        .lowering = lowering,
        .num_batches = ikati_extent(request, "B"),
        .num_positions = ikati_extent(request, "N"),
        .channels = ikati_extent(request, "C"),
        .heads = ikati_setting(request, "heads")->integer,
        .rounds = ikati_star_rounds(request),
        .x = ikati_input_view(request, "x"),
        .lengths = ikati_input_view(request, "lengths"),
        .sees_embedding = ikati_setting(request, "embedding_context")->integer != 0,
        .eps = ikati_setting(request, "eps")->number,
    };
    if (!u.num_batches) {
        return IKAT_OK;
    }
    read_sizes(&u, &u.ring, "ring");
    read_sizes(&u, &u.relay, "relay");
    ikat_status status = begin(&u);
    return status ? status : lower_rounds(&u);
}
