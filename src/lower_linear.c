#include "linear_steps.h"

#include <inttypes.h>

enum {
    CHUNK = 64,         // slots of the causal form, at least where features are few
    MAX_CHUNK = 256,    // of the caller's wish
    WIDE_CHUNK = 128,   // with many features, whose states are large
    SUM_CHUNK = 256,    // without a causal mask
    CPU_ROOM = 1 << 22, // elements of one kind of scratch: what caches and few threads want,
    GPU_ROOM = 1 << 24, // and what keeps many busy
};

static uint32_t choose_chunk(const ikati_linear_builder *b, uint32_t num_slots) {
    const ikati_linear_attention *a = b->attention;
    uint64_t chunk = b->num_features > CHUNK ? WIDE_CHUNK : CHUNK;
    if (!a->causal) {
        chunk = SUM_CHUNK;
    } else if (a->chunk) {
        chunk = a->chunk < MAX_CHUNK ? (uint64_t)a->chunk : MAX_CHUNK;
    }
    chunk = chunk < num_slots ? chunk : num_slots;
    return (uint32_t)ikati_round_up(chunk ? chunk : 1, IKATI_SLOT_GRANULE);
}

// Slots in all: of queries and keys where they are aligned, else of keys.
static uint32_t count_slots(const ikati_linear_builder *b) {
    return b->total ? b->total : b->num_keys;
}

// Elements that a (batch, key/value head) needs of the largest kind of scratch for one segment.
static uint64_t room_of(const ikati_linear_builder *b) {
    const uint64_t rows = b->heads_per_kv > b->states_per_kv ? b->heads_per_kv : b->states_per_kv;
    const uint64_t products = b->attention->causal ? b->chunk + IKATI_FADE_EXTRA : 0;
    uint64_t row = b->num_features > b->value_stride ? b->num_features : b->value_stride;
    row = rows * (row > products ? row : products);
    const uint64_t states =
        (uint64_t)b->states_per_kv * ikati_linear_divide(b->segment, b->chunk) * b->state_size;
    return row * b->segment > states ? row * b->segment : states;
}

// Bytes that the block reaches in a tensor of the call, by the positions of one segment.
static uint64_t reach_of(const ikati_linear_builder *b, const ikati_view *view,
                         uint32_t heads_per_kv) {
    const ikati_matrices m = ikati_matrices_of(view, 0, 1, 2, 3);
    const uint64_t heads = (uint64_t)b->kv_heads.count * heads_per_kv;
    const uint64_t all = view->kind ? (uint64_t)view->tensor->shape[2] : 0;
    const uint64_t rows = b->total || all < b->segment ? all : b->segment;
    if (!view->kind || !rows) {
        return 0;
    }
    return ikat_dtype_size(m.dtype) * ((b->batches.count - 1) * m.batch + (heads - 1) * m.head +
                                       (rows - 1) * m.row + (uint64_t)view->tensor->shape[3]);
}

static bool fits(const ikati_linear_builder *b, uint64_t limit_bytes, uint64_t room) {
    const ikati_linear_attention *a = b->attention;
    const uint64_t needed = room_of(b) * b->batches.count * b->kv_heads.count;
    return needed <= room && needed * sizeof(float) <= limit_bytes &&
           reach_of(b, &a->q, b->heads_per_kv) <= limit_bytes &&
           reach_of(b, &a->k, 1) <= limit_bytes && reach_of(b, &a->v, 1) <= limit_bytes &&
           reach_of(b, &a->out, b->heads_per_kv) <= limit_bytes &&
           reach_of(b, &a->state_s, 1) <= limit_bytes && reach_of(b, &a->s_out, 1) <= limit_bytes;
}

// Halves segments to four chunks at the least, then batch entries and heads, then segments to one chunk,
// until everything fits.
static bool shrink(ikati_linear_builder *b) {
    if (b->segment > 4 * b->chunk) {
        b->segment = (uint32_t)ikati_round_up(b->segment / 2, b->chunk);
    } else if (b->batches.count > 1) {
        b->batches.count = ikati_linear_divide(b->batches.count, 2);
    } else if (b->kv_heads.count > 1) {
        b->kv_heads.count = ikati_linear_divide(b->kv_heads.count, 2);
    } else if (b->segment > b->chunk) {
        b->segment = (uint32_t)ikati_round_up(b->segment / 2, b->chunk);
    } else {
        return false;
    }
    return true;
}

static ikat_status choose_blocks(ikati_linear_builder *b) {
    const ikat_device_info *device = ikati_lowering_device(b->lowering);
    const uint64_t most = UINT32_MAX, limit = ikati_lowering_binding_bytes(b->lowering);
    uint64_t room = device->type == IKAT_DEVICE_CPU ? CPU_ROOM : GPU_ROOM;
    while (!fits(b, limit, room)) {
        if (!shrink(b)) {
            if (room < most) {
                room = most; // as small as it gets: what the device can bind is what counts
                continue;
            }
            return ikati_fail(b->lowering->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                              "a chunk of one head needs more than %s binds at once, %" PRIu64
                              " bytes",
                              device->id, limit);
        }
    }
    return IKAT_OK;
}

static ikat_status make_scratch(ikati_linear_builder *b) {
    const ikati_linear_attention *a = b->attention;
    const uint64_t states = (uint64_t)b->batches.count * ikati_linear_states(b);
    const uint64_t heads = (uint64_t)b->batches.count * ikati_linear_heads(b);
    const uint64_t kv_heads = (uint64_t)b->batches.count * b->kv_heads.count;
    const uint64_t copies = b->total && a->features.rows.kind ? b->segment : 0;
    const uint64_t copy = ikati_round_up(b->head_size, IKATI_SLOT_GRANULE);
    b->num_peaks =
        (uint32_t)ikati_round_up(ikati_linear_divide(count_slots(b), ikati_linear_peak_rows(b)) +
                                     ikati_linear_divide(count_slots(b), b->segment),
                                 4);
    if (ikati_linear_is_recurrent(b)) {
        // Keys' features, and behind them those of queries.
        b->query_begin = kv_heads * b->segment * b->num_features;
        b->key_features = b->query_features = ikati_lowering_scratch(
            b->lowering, b->query_begin * (1 + b->heads_per_kv) * sizeof(float));
        return b->key_features == UINT32_MAX ? IKAT_NO_MEMORY : IKAT_OK;
    }
    const struct {
        uint32_t *scratch;
        uint64_t count;
    } ranges[] = {
        {&b->key_features, states * b->segment * b->num_features},
        {&b->query_features, heads * b->segment * b->num_features},
        {&b->key_copies, kv_heads * copies * copy},
        {&b->query_copies, heads * copies * copy},
        {&b->products, a->causal ? heads * b->segment * b->chunk : 0},
        {&b->fade, a->decay.kind ? kv_heads * b->segment * (b->chunk + IKATI_FADE_EXTRA) : 0},
        {&b->states, states * ikati_linear_divide(b->segment, b->chunk) * b->state_size},
        {&b->carried, states * b->state_size},
        {&b->peaks, states * b->num_peaks},
        {&b->maxima, states},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        *ranges[i].scratch = ikati_lowering_scratch(b->lowering, ranges[i].count * sizeof(float));
        if (*ranges[i].scratch == UINT32_MAX) {
            return IKAT_NO_MEMORY;
        }
    }
    return IKAT_OK;
}

// The segment of `total` slots that begins at `first`; rounded up to whole granules.
static ikati_axis_range segment_at(const ikati_linear_builder *b, uint32_t first, uint32_t total) {
    const uint32_t granule = b->attention->causal ? b->chunk : IKATI_SLOT_GRANULE;
    const uint32_t left = total - first;
    return (ikati_axis_range){first, left < b->segment ? (uint32_t)ikati_round_up(left, granule)
                                                       : b->segment};
}

// The maxima of all keys' projections. Those of keys that are one segment can stay where they are.
static ikat_status add_maxima(const ikati_linear_builder *b, bool *projected) {
    const ikati_features *f = &b->attention->features;
    const bool exponential = f->map == IKATI_FEATURE_SOFTMAX || f->map == IKATI_FEATURE_MIRRORED;
    const uint32_t total = count_slots(b);
    ikat_status status = IKAT_OK;
    *projected = false;
    if (!exponential || !f->stabilizes || !total) {
        return status;
    }
    uint32_t num_peaks = 0;
    for (uint32_t first = 0; first < total && !status; first += b->segment) {
        const ikati_axis_range slots = segment_at(b, first, total);
        uint32_t added = 0;
        status = ikati_linear_project(b, IKATI_KEYS, slots);
        status = status ? status : ikati_linear_peaks(b, slots, num_peaks, &added);
        num_peaks += added;
    }
    *projected = total <= b->segment;
    return status ? status : ikati_linear_maxima(b, num_peaks);
}

// Features of a segment's keys, and what its chunks add to the state.
static ikat_status add_keys(const ikati_linear_builder *b, ikati_axis_range slots, uint32_t total,
                            bool projected) {
    const bool is_last = slots.first + slots.count >= total;
    ikat_status status = projected ? ikati_linear_map(b, IKATI_KEYS, slots)
                                   : ikati_linear_features(b, IKATI_KEYS, slots);
    if (!status && b->attention->decay.kind) {
        status = ikati_linear_fade(b, slots);
    }
    status = status ? status : ikati_linear_outer(b, slots);
    return status ? status
                  : ikati_linear_carry(b, ikati_linear_divide(slots.count, b->chunk),
                                       slots.first == 0, is_last);
}

static ikat_status add_all_keys(const ikati_linear_builder *b, bool projected) {
    ikat_status status = IKAT_OK;
    for (uint32_t first = 0; first < b->num_keys && !status; first += b->segment) {
        status = add_keys(b, segment_at(b, first, b->num_keys), b->num_keys, projected);
    }
    return b->num_keys ? status : ikati_linear_carry(b, 0, true, true);
}

static ikat_status add_all_rows(const ikati_linear_builder *b) {
    ikat_status status = IKAT_OK;
    for (uint32_t first = 0; first < b->num_queries && !status; first += b->segment) {
        const ikati_axis_range rows = segment_at(b, first, b->num_queries);
        status = ikati_linear_features(b, IKATI_QUERIES, rows);
        status = status ? status : ikati_linear_readout(b, rows, 0);
    }
    return status;
}

// The chunks of a segment that have queries.
static ikat_status add_rows(const ikati_linear_builder *b, ikati_axis_range slots) {
    const uint32_t begin = b->total ? b->total - b->num_queries : 0;
    const uint32_t end = slots.first + slots.count;
    uint32_t skipped = begin > slots.first ? (begin - slots.first) / b->chunk * b->chunk : 0;
    const ikati_axis_range rows = {slots.first + skipped, slots.count - skipped};
    if (begin >= end) {
        return IKAT_OK;
    }
    ikat_status status = ikati_linear_features(b, IKATI_QUERIES, rows);
    status = status ? status : ikati_linear_products(b, rows, skipped);
    return status ? status : ikati_linear_readout(b, rows, skipped);
}

static ikat_status add_causal(const ikati_linear_builder *b, bool projected) {
    const uint32_t total = count_slots(b);
    const bool has_rows = b->attention->out.kind && b->num_queries;
    ikat_status status = IKAT_OK;
    for (uint32_t first = 0; first < total && !status; first += b->segment) {
        const ikati_axis_range slots = segment_at(b, first, total);
        status = add_keys(b, slots, total, projected);
        status = status || !has_rows ? status : add_rows(b, slots);
    }
    return total ? status : ikati_linear_carry(b, 0, true, true);
}

static ikat_status add_block(const ikati_linear_builder *b) {
    bool projected = false;
    if (ikati_linear_is_recurrent(b)) {
        return ikati_linear_recur(b);
    }
    ikat_status status = add_maxima(b, &projected);
    if (status || b->attention->causal) {
        return status ? status : add_causal(b, projected);
    }
    status = add_all_keys(b, projected);
    return status || !b->attention->out.kind ? status : add_all_rows(b);
}

static ikat_status add_blocks(ikati_linear_builder *b) {
    const ikati_axis_range most[2] = {b->batches, b->kv_heads};
    ikat_status status = make_scratch(b);
    for (uint32_t batch = 0; batch < b->num_batches && !status; batch += most[0].count) {
        b->batches = ikati_next_range(batch, most[0].count, b->num_batches);
        for (uint32_t head = 0; head < b->num_kv_heads && !status; head += most[1].count) {
            b->kv_heads = ikati_next_range(head, most[1].count, b->num_kv_heads);
            status = add_block(b);
        }
    }
    return status;
}

static void read_sizes(ikati_linear_builder *b) {
    const ikati_linear_attention *a = b->attention;
    const int64_t *q = a->q.tensor->shape, *k = a->k.tensor->shape;
    const ikati_features *f = &a->features;
    b->num_batches = (uint32_t)q[0];
    b->num_kv_heads = (uint32_t)k[1];
    b->heads_per_kv = (uint32_t)(q[1] / k[1]);
    b->states_per_kv = f->rows.kind && f->rows.head ? b->heads_per_kv : 1;
    b->num_queries = (uint32_t)q[2];
    b->num_keys = (uint32_t)k[2];
    b->head_size = (uint32_t)q[3];
    b->value_size = (uint32_t)a->v.tensor->shape[3];
    b->num_features =
        (uint32_t)ikati_round_up(f->rows.kind ? f->num_rows : b->head_size, IKATI_SLOT_GRANULE);
    b->num_features *= f->map == IKATI_FEATURE_MIRRORED ? 2 : 1;
    b->value_stride = (uint32_t)ikati_round_up(b->value_size, IKATI_SLOT_GRANULE);
    b->state_size = (uint64_t)b->num_features * (b->value_stride + 1);
    const uint32_t larger = b->num_queries > b->num_keys ? b->num_queries : b->num_keys;
    b->total = a->causal && b->num_queries != b->num_keys ? larger : 0;
    b->chunk = choose_chunk(b, larger);
    b->segment = (uint32_t)ikati_round_up(larger ? larger : 1, b->chunk);
    b->batches.count = b->num_batches;
    b->kv_heads.count = b->num_kv_heads;
}

ikat_status ikati_lower_linear(ikati_lowering *lowering, const ikati_linear_attention *attention) {
    ikati_linear_attention own = *attention;
    ikati_linear_builder b = {.lowering = lowering, .attention = &own};
    // Kernels compute in float32, where a factor may overflow: it cancels, but for eps.
    if (own.normalizes && own.scale != 0 && own.guard == 0) {
        own.eps /= own.scale;
        own.scale = 1;
    }
    read_sizes(&b);
    if (!b.num_batches) {
        return IKAT_OK;
    }
    if (attention->head_mask) {
        b.mask_table =
            ikati_lowering_table(lowering, attention->head_mask,
                                 (uint64_t)attention->q.tensor->shape[1] * sizeof(int32_t));
    }
    ikat_status status = b.mask_table == UINT32_MAX ? IKAT_NO_MEMORY : choose_blocks(&b);
    return status ? status : add_blocks(&b);
}
