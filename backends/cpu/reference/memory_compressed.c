// Memory-compressed attention: Liu et al., arXiv:1801.10198, section 4.2, in double. A key/value head at a
// time: the keys and values that its rows may see, the null key first, then the rows of its query heads.

#include "windows.h"

#include <math.h>
#include <string.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef MEMORY_COMPRESSED_AHEAD
#define MEMORY_COMPRESSED_AHEAD 0
#endif

enum { MULTIPLIES_PER_THREAD = 1 << 18 };
// The words of the settings, in their order.
enum { COMPRESSED, LOCAL };
enum { CONV, MEAN };
enum { PAD, DROP };
enum { FIRST, ZERO, LEARNED, NONE };

// Keys or values.
typedef struct rows {
    const ikati_call_tensor *x, *null;
    cpu_windows windows;
    double *values; // [1 + num_keys, size]: the null key, then windows or positions
    int64_t size;
} rows;

typedef struct memory_compressed {
    const cpu_call *call;
    const ikati_call_tensor *q, *lengths, *out, *lse;
    rows keys, values;
    int64_t mode, tail, null;
    int64_t window, stride, block_size, look_back;
    bool causal;
    int64_t num_queries, num_positions, num_keys, num_rows;
    double scale;
    uint32_t num_workers;
    // The key/value head being worked on.
    int64_t b, kv_head, group, num_valid;
    double *scratch; // a worker's query, result and scores
} memory_compressed;

// The keys that a row sees, of those behind the null key: first to end - 1.
typedef struct seen_keys {
    bool null;
    int64_t first, end;
} seen_keys;

static void make_key(const memory_compressed *s, const rows *r, int64_t c) {
    double *row = r->values + (1 + c) * r->size;
    if (s->mode == LOCAL) {
        cpu_load_row(r->x, cpu_index(r->x, s->b, s->kv_head, c, 0), r->size, row);
    } else {
        cpu_reduce_window(&r->windows, s->b, s->kv_head, s->num_valid, c, row);
    }
}

static void make_null(const memory_compressed *s, const rows *r) {
    memset(r->values, 0, (size_t)r->size * sizeof(double));
    if (s->mode == COMPRESSED && s->null == FIRST && s->num_valid) {
        cpu_load_row(r->x, cpu_index(r->x, s->b, s->kv_head, 0, 0), r->size, r->values);
    } else if (s->mode == COMPRESSED && s->null == LEARNED) {
        cpu_load_row(r->null, cpu_index(r->null, s->kv_head, 0, 0, 0), r->size, r->values);
    }
}

static void make_keys(void *user, uint32_t worker) {
    const memory_compressed *s = user;
    for (int64_t c = worker; c < s->num_keys; c += s->num_workers) {
        const int64_t first = s->mode == LOCAL ? c : c * s->stride;
        if (first < s->num_valid) {
            make_key(s, &s->keys, c);
            make_key(s, &s->values, c);
        }
    }
}

// Windows whose last position is at most `last`.
static int64_t count_ending(const memory_compressed *s, int64_t last) {
    return last < s->window - 1 ? 0 : (last - (s->window - 1)) / s->stride + 1;
}

// own: the last position that the row may see.
static seen_keys see_windows(const memory_compressed *s, int64_t own) {
    seen_keys seen = {.null = s->null != NONE};
    if (s->null == FIRST) {
        seen.null = s->num_valid > 0 && (!s->causal || own >= 0);
    }
    const int64_t begun = cpu_count_windows(s->num_valid, s->stride);
    if (s->causal) {
        const int64_t ended = own < 0 ? 0 : count_ending(s, own + MEMORY_COMPRESSED_AHEAD);
        seen.end = ended < begun ? ended : begun;
    } else {
        seen.end = s->tail == DROP ? count_ending(s, s->num_valid - 1) : begun;
    }
    return seen;
}

static seen_keys see_blocks(const memory_compressed *s, int64_t own) {
    const int64_t block = own / s->block_size, back = block < s->look_back ? block : s->look_back;
    seen_keys seen = {.null = false};
    if (own < 0) {
        return seen;
    }
    seen.first = (block - back) * s->block_size;
    // The end of the block, without a product that may not fit.
    seen.end = s->num_valid - own <= s->block_size - own % s->block_size
                   ? s->num_valid
                   : own + s->block_size - own % s->block_size;
    if (s->causal && own + 1 + MEMORY_COMPRESSED_AHEAD < seen.end) {
        seen.end = own + 1 + MEMORY_COMPRESSED_AHEAD;
    }
    seen.end = seen.end < seen.first ? seen.first : seen.end;
    return seen;
}

// Leaves the row in `result` and returns its lse.
static double attend_row(const memory_compressed *s, const double *query, int64_t i, double *scores,
                         double *result) {
    const bool is_self = s->num_queries == s->num_positions;
    const int64_t own = is_self ? i : i + s->num_valid - s->num_queries;
    seen_keys seen = {.null = false};
    if (!is_self || i < s->num_valid) {
        seen = s->mode == LOCAL ? see_blocks(s, own) : see_windows(s, own);
    }
    const int64_t begin = seen.null ? 0 : 1 + seen.first, end = 1 + seen.end;
    return cpu_attend_keys(query, s->keys.values + begin * s->keys.size,
                           s->values.values + begin * s->values.size, end > begin ? end - begin : 0,
                           s->keys.size, s->values.size, s->scale, scores, result);
}

static int64_t scratch_size(const memory_compressed *s) {
    return s->keys.size + s->values.size + 1 + s->num_keys;
}

static void attend_rows(void *user, uint32_t worker) {
    const memory_compressed *s = user;
    double *query = s->scratch + worker * scratch_size(s), *result = query + s->keys.size;
    double *scores = result + s->values.size;
    for (int64_t r = worker; r < s->group * s->num_rows; r += s->num_workers) {
        const int64_t head = s->kv_head * s->group + r / s->num_rows;
        const int64_t i = cpu_row_at(s->call, r % s->num_rows);
        cpu_load_row(s->q, cpu_index(s->q, s->b, head, i, 0), s->keys.size, query);
        const double lse = attend_row(s, query, i, scores, result);
        if (s->out) {
            cpu_store_row(s->out, cpu_index(s->out, s->b, head, i, 0), s->values.size, result);
        }
        if (s->lse) {
            cpu_store(s->lse, cpu_index(s->lse, s->b, head, i, 0), lse);
        }
    }
}

static void read_rows(const cpu_call *call, rows *r, const char *x, const char *weights,
                      const char *bias, const char *null) {
    r->x = cpu_input(call, x);
    r->size = r->x->tensor.shape[3];
    r->null = cpu_input(call, null);
    r->windows = (cpu_windows){
        .x = r->x,
        .weights = cpu_input(call, weights),
        .bias = cpu_input(call, bias),
        .kind = cpu_integer(call, "compression", CONV) == MEAN ? CPU_WINDOW_MEAN : CPU_WINDOW_CONV};
}

// Windows: their size and distance.
static void read_windows(memory_compressed *s, const cpu_call *call) {
    const ikati_call_tensor *weights = s->keys.windows.weights;
    s->window = weights ? weights->tensor.shape[0] : 3;
    s->stride = cpu_integer(call, "stride", s->window);
    if (!weights) {
        s->window = s->stride;
    }
    s->keys.windows.size = s->values.windows.size = s->window;
    s->keys.windows.stride = s->values.windows.stride = s->stride;
    s->num_keys = cpu_count_windows(s->num_positions, s->stride);
}

static void read_call(memory_compressed *s, const cpu_call *call) {
    s->call = call;
    s->q = cpu_input(call, "q");
    s->lengths = cpu_input(call, "lengths");
    s->out = cpu_output(call, "out");
    s->lse = cpu_output(call, "lse");
    read_rows(call, &s->keys, "k", "conv_k", "conv_k_bias", "null_k");
    read_rows(call, &s->values, "v", "conv_v", "conv_v_bias", "null_v");
    s->mode = cpu_integer(call, "mode", COMPRESSED);
    s->tail = cpu_integer(call, "tail", PAD);
    s->null = cpu_integer(call, "null", FIRST);
    s->causal = cpu_integer(call, "causal", 0) != 0;
    s->block_size = cpu_integer(call, "block_size", 256);
    s->look_back = cpu_integer(call, "look_back", 0);
    s->num_queries = s->q->tensor.shape[2];
    s->num_positions = s->keys.x->tensor.shape[2];
    s->num_rows = cpu_num_rows(call, s->num_queries);
    s->scale = cpu_number(call, "scale", 1.0 / sqrt((double)s->keys.size));
    s->group = s->q->tensor.shape[1] / s->keys.x->tensor.shape[1];
    s->num_keys = s->num_positions;
    if (s->mode == COMPRESSED) {
        read_windows(s, call);
    }
}

static void run(memory_compressed *s) {
    const int64_t *k = s->keys.x->tensor.shape;
    for (s->b = 0; s->b < k[0]; s->b++) {
        s->num_valid =
            s->lengths ? cpu_load_length(s->lengths, s->b, s->num_positions) : s->num_positions;
        for (s->kv_head = 0; s->kv_head < k[1]; s->kv_head++) {
            make_null(s, &s->keys);
            make_null(s, &s->values);
            ikati_run_threads(s->num_workers, make_keys, s);
            ikati_run_threads(s->num_workers, attend_rows, s);
        }
    }
}

static uint32_t choose_workers(const memory_compressed *s, uint32_t num_threads) {
    const double pairs = (double)(s->num_rows + s->num_positions) * (double)s->num_keys;
    const double wanted = pairs * (double)(s->keys.size + s->values.size) / MULTIPLIES_PER_THREAD;
    return wanted + 1 < num_threads ? (uint32_t)(wanted + 1) : num_threads;
}

ikat_status ikati_reference_memory_compressed(const cpu_call *call) {
    memory_compressed s = {0};
    read_call(&s, call);
    s.num_workers = choose_workers(&s, call->num_threads);
    const int64_t count =
        (1 + s.num_keys) * (s.keys.size + s.values.size) + s.num_workers * scratch_size(&s);
    double *room = ikati_alloc(call->host, (size_t)count, sizeof(*room));
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    s.keys.values = room;
    s.values.values = s.keys.values + (1 + s.num_keys) * s.keys.size;
    s.scratch = s.values.values + (1 + s.num_keys) * s.values.size;
    run(&s);
    cpu_prune_heads(call);
    ikati_free(call->host, room);
    return IKAT_OK;
}
