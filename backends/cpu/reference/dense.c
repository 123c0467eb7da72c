// Dense softmax attention: Vaswani et al., Attention Is All You Need, arXiv:1706.03762, with
// windows, softcap, ALiBi (Press et al., arXiv:2108.12409), additive bias, sinks and lengths; tiles
// left out (block masks) and the best keys of a row (Zhao et al., Explicit Sparse Transformer,
// arXiv:1912.11637).
//
// For one key/value head at a time its keys and values are converted to double; then rows of all
// its query heads are computed, each on its own: scores, maximum, exponentials, weighted sum.

#include "reference.h"

#include <math.h>

// 0. The oracle's own tests compile this file once more with other values and must notice.
#ifndef DENSE_DIAGONAL_SHIFT
#define DENSE_DIAGONAL_SHIFT 0
#endif
#ifndef DENSE_TILE_SHIFT
#define DENSE_TILE_SHIFT 0
#endif
#ifndef DENSE_RANK_SHIFT
#define DENSE_RANK_SHIFT 0
#endif

enum {
    MULTIPLIES_PER_THREAD = 1 << 18, // less work is not worth a thread
};

typedef struct dense {
    const cpu_call *call;
    const ikati_call_tensor *q, *k, *v, *bias, *slopes, *sinks, *lengths, *query_lengths;
    const ikati_call_tensor *block_mask;
    const ikati_call_tensor *out, *lse;
    int64_t num_batches, num_heads, num_kv_heads, num_queries, num_keys, head_size, value_size;
    int64_t num_rows;                  // queries to compute
    int64_t window_left, window_right; // negative: open
    int64_t block_size, topk;          // topk 0: all
    double scale, softcap;
    bool alibi;
    uint32_t num_workers;
    // The key/value head being worked on.
    int64_t b, kv_head;
    int64_t valid_keys, valid_queries;
    double *keys, *values; // [valid_keys, head_size], [valid_keys, value_size]
    double *scratch;       // a worker's scores, their order, query and accumulator
} dense;

// What a query row needs of its head.
typedef struct dense_row {
    int64_t head, query;
    double slope;
    double sink; // -inf: none
    double *scores, *ranks, *accumulator;
    const double *q;
} dense_row;

static double default_slope(int64_t head, int64_t num_heads) {
    int64_t power = 1;
    while (power * 2 <= num_heads) {
        power *= 2;
    }
    if (head < power) {
        return exp2(-8.0 * (double)(head + 1) / (double)power);
    }
    return exp2(-4.0 * (double)(2 * (head - power) + 1) / (double)power);
}

static double slope_of(const dense *d, int64_t head) {
    if (!d->alibi) {
        return 0;
    }
    if (!d->slopes) {
        return default_slope(head, d->num_heads);
    }
    const bool per_batch = d->slopes->tensor.rank == 2;
    return cpu_load(d->slopes, cpu_index(d->slopes, per_batch ? d->b : head, head, 0, 0));
}

// The score of a pair inside the window, `r` keys left of the diagonal. -inf means removed: by the
// bias, whatever the key holds, or because a query or key holds infinities.
static double score(const dense *d, const dense_row *row, int64_t key, int64_t r) {
    double bias = 0;
    if (d->bias) {
        bias = cpu_load(d->bias, cpu_index(d->bias, d->b, row->head, row->query, key));
        if (bias == -INFINITY) {
            return -INFINITY;
        }
    }
    double s = d->scale * cpu_dot(row->q, d->keys + key * d->head_size, d->head_size);
    if (d->softcap > 0) {
        s = d->softcap * tanh(s / d->softcap);
    }
    if (d->alibi) {
        s -= row->slope * fabs((double)r);
    }
    return s + bias;
}

static void store(const dense *d, const dense_row *row, double lse) {
    if (d->out) {
        cpu_store_row(d->out, cpu_index(d->out, d->b, row->head, row->query, 0), d->value_size,
                      row->accumulator);
    }
    if (d->lse) {
        cpu_store(d->lse, cpu_index(d->lse, d->b, row->head, row->query, 0), lse);
    }
}

// The keys that the window leaves to a query: [first, end).
static void window(const dense *d, int64_t query, int64_t *out_first, int64_t *out_end) {
    // A visible key has -window_right <= diagonal - j <= window_left.
    const int64_t diagonal = query + (d->valid_keys - d->valid_queries) + DENSE_DIAGONAL_SHIFT;
    int64_t first = 0, end = d->valid_keys;
    if (d->window_left >= 0 && diagonal - d->window_left > first) {
        first = diagonal - d->window_left;
    }
    if (d->window_right >= 0 && diagonal + d->window_right + 1 < end) {
        end = diagonal + d->window_right + 1;
    }
    *out_first = first;
    *out_end = end;
}

static bool keeps_block(const dense *d, const dense_row *row, int64_t key) {
    const ikati_call_tensor *mask = d->block_mask;
    key = (key + DENSE_TILE_SHIFT) % d->num_keys;
    return !mask || cpu_load(mask, cpu_index(mask, row->head, row->query / d->block_size,
                                             key / d->block_size, 0)) != 0;
}

// Scores are compared as float32. NaN is the highest: a row that sees one stays NaN.
static double rank_of(double score) { return isnan(score) ? INFINITY : (double)(float)score; }

// The value at `place` of values[0 .. count - 1] in falling order (Hoare's selection).
static double select_rank(double *values, int64_t count, int64_t place) {
    int64_t first = 0, last = count - 1;
    while (first < last) {
        const double pivot = values[first + (last - first) / 2];
        int64_t i = first, j = last;
        while (i <= j) {
            while (values[i] > pivot) i++;
            while (values[j] < pivot) j--;
            if (i <= j) {
                const double swapped = values[i];
                values[i++] = values[j];
                values[j--] = swapped;
            }
        }
        if (place > j && place < i) {
            break;
        }
        first = place >= i ? i : first;
        last = place <= j ? j : last;
    }
    return values[place];
}

// Removes all keys that score below the topk-th highest of those that the row sees.
static void keep_best(const dense *d, const dense_row *row, int64_t first, int64_t end) {
    const int64_t topk = d->topk + DENSE_RANK_SHIFT;
    int64_t num_seen = 0;
    for (int64_t j = first; j < end; j++) {
        if (row->scores[j] != -INFINITY) {
            row->ranks[num_seen++] = rank_of(row->scores[j]);
        }
    }
    if (d->topk == 0 || num_seen <= topk) {
        return;
    }
    const double least = select_rank(row->ranks, num_seen, topk - 1);
    for (int64_t j = first; j < end; j++) {
        row->scores[j] = rank_of(row->scores[j]) >= least ? row->scores[j] : -INFINITY;
    }
}

static void attend_row(const dense *d, const dense_row *row) {
    for (int64_t c = 0; c < d->value_size; c++) {
        row->accumulator[c] = 0;
    }
    if (row->query >= d->valid_queries) {
        store(d, row, -INFINITY);
        return;
    }
    int64_t first, end;
    window(d, row->query, &first, &end);
    const int64_t diagonal = row->query + (d->valid_keys - d->valid_queries);
    double maximum = row->sink;
    bool sees_any = false;
    for (int64_t j = first; j < end; j++) {
        const double s = keeps_block(d, row, j) ? score(d, row, j, diagonal - j) : -INFINITY;
        row->scores[j] = s;
        sees_any = sees_any || s != -INFINITY; // NaN is seen
        maximum = s > maximum ? s : maximum;
    }
    if (!sees_any) {
        store(d, row, row->sink);
        return;
    }
    keep_best(d, row, first, end);
    double sum = exp(row->sink - maximum);
    for (int64_t j = first; j < end; j++) {
        if (row->scores[j] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
        const double p = exp(row->scores[j] - maximum);
        sum += p;
        cpu_add_scaled(row->accumulator, p, d->values + j * d->value_size, d->value_size);
    }
    for (int64_t c = 0; c < d->value_size; c++) {
        row->accumulator[c] /= sum;
    }
    store(d, row, maximum + log(sum));
}

// Rows of all query heads of the key/value head, dealt out in turn.
static void attend_rows(void *user, uint32_t worker) {
    const dense *d = user;
    const int64_t group = d->num_heads / d->num_kv_heads, num_rows = group * d->num_rows;
    double *scratch = d->scratch + worker * (2 * d->num_keys + d->head_size + d->value_size);
    double *q = scratch + 2 * d->num_keys;
    dense_row row = {
        .scores = scratch, .ranks = scratch + d->num_keys, .q = q, .accumulator = q + d->head_size};

    for (int64_t i = worker; i < num_rows; i += d->num_workers) {
        row.head = d->kv_head * group + i / d->num_rows;
        row.query = cpu_row_at(d->call, i % d->num_rows);
        row.slope = slope_of(d, row.head);
        row.sink =
            d->sinks ? cpu_load(d->sinks, cpu_index(d->sinks, row.head, 0, 0, 0)) : -INFINITY;
        cpu_load_row(d->q, cpu_index(d->q, d->b, row.head, row.query, 0), d->head_size, q);
        attend_row(d, &row);
    }
}

static void convert_keys(void *user, uint32_t worker) {
    const dense *d = user;
    for (int64_t j = worker; j < d->valid_keys; j += d->num_workers) {
        cpu_load_row(d->k, cpu_index(d->k, d->b, d->kv_head, j, 0), d->head_size,
                     d->keys + j * d->head_size);
        cpu_load_row(d->v, cpu_index(d->v, d->b, d->kv_head, j, 0), d->value_size,
                     d->values + j * d->value_size);
    }
}

static void read_lengths(dense *d) {
    d->valid_keys = d->lengths ? cpu_load_length(d->lengths, d->b, d->num_keys) : d->num_keys;
    d->valid_queries = d->num_queries;
    if (d->query_lengths) {
        d->valid_queries = cpu_load_length(d->query_lengths, d->b, d->num_queries);
    } else if (d->num_queries == d->num_keys) {
        d->valid_queries = d->valid_keys;
    }
}

static void read_call(dense *d, const cpu_call *call) {
    d->call = call;
    d->q = cpu_input(call, "q");
    d->k = cpu_input(call, "k");
    d->v = cpu_input(call, "v");
    d->bias = cpu_input(call, "bias");
    d->slopes = cpu_input(call, "alibi_slopes");
    d->sinks = cpu_input(call, "sinks");
    d->lengths = cpu_input(call, "lengths");
    d->query_lengths = cpu_input(call, "query_lengths");
    d->block_mask = cpu_input(call, "block_mask");
    d->out = cpu_output(call, "out");
    d->lse = cpu_output(call, "lse");

    const int64_t *q_shape = d->q->tensor.shape, *k_shape = d->k->tensor.shape;
    d->num_batches = q_shape[0];
    d->num_heads = q_shape[1];
    d->num_queries = q_shape[2];
    d->num_rows = cpu_num_rows(call, d->num_queries);
    d->head_size = q_shape[3];
    d->num_kv_heads = k_shape[1];
    d->num_keys = k_shape[2];
    d->value_size = d->v->tensor.shape[3];

    // A window wider than any distance is cut, so that sums with it cannot overflow.
    const int64_t widest = d->num_queries + d->num_keys;
    const int64_t left = cpu_integer(call, "window_left", -1);
    const int64_t right =
        cpu_integer(call, "causal", 0) ? 0 : cpu_integer(call, "window_right", -1);
    d->window_left = left < widest ? left : widest;
    d->window_right = right < widest ? right : widest;
    d->scale = cpu_number(call, "scale", 1.0 / sqrt((double)d->head_size));
    d->softcap = cpu_number(call, "softcap", 0);
    d->block_size = cpu_integer(call, "block_size", 64);
    d->topk = cpu_integer(call, "topk", 0);
    d->alibi = cpu_integer(call, "alibi", d->slopes ? 1 : 0) != 0;
}

static uint32_t choose_workers(const dense *d, uint32_t num_threads) {
    const double rows = (double)(d->num_heads / d->num_kv_heads) * (double)d->num_rows + 1;
    const double work = rows * (double)d->num_keys * (double)(d->head_size + d->value_size);
    const double wanted = work / MULTIPLIES_PER_THREAD + 1;
    return wanted < num_threads ? (uint32_t)wanted : num_threads;
}

// One block of memory: keys, values, scratch of each worker. NULL (logged) if it does not fit.
static double *make_room(dense *d, const ikati_host *host) {
    const uint64_t row_size = (uint64_t)d->head_size + (uint64_t)d->value_size;
    uint64_t heads = 0, scratch = 0, total = 0;
    if (!ikati_mul_size(row_size, (uint64_t)d->num_keys, &heads) ||
        !ikati_mul_size(row_size + 2 * (uint64_t)d->num_keys, d->num_workers, &scratch) ||
        !ikati_add_size(heads, scratch, &total) || total > SIZE_MAX) {
        ikati_log(host, IKAT_LOG_ERROR, IKAT_MESSAGE_OVERFLOW,
                  "%lld keys of this size do not fit in memory", (long long)d->num_keys);
        return NULL;
    }
    double *room = ikati_alloc(host, (size_t)total, sizeof(*room));
    if (room) {
        d->keys = room;
        d->values = room + d->num_keys * d->head_size;
        d->scratch = room + heads;
    }
    return room;
}

ikat_status ikati_reference_dense(const cpu_call *call) {
    dense d = {0};
    read_call(&d, call);
    if (d.num_batches == 0 || d.num_heads == 0 || d.num_queries == 0) {
        return IKAT_OK;
    }
    d.num_workers = choose_workers(&d, call->num_threads);
    double *room = make_room(&d, call->host);
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    for (d.b = 0; d.b < d.num_batches; d.b++) {
        read_lengths(&d);
        for (d.kv_head = 0; d.kv_head < d.num_kv_heads; d.kv_head++) {
            ikati_run_threads(d.num_workers, convert_keys, &d);
            ikati_run_threads(d.num_workers, attend_rows, &d);
        }
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
