// Linformer: Wang et al., arXiv:2006.04768, section 4: attention over keys and values that were projected
// from M positions to K, in double. A key/value head at a time: its positions as doubles, its projected
// keys and values, then the rows of its query heads.

#include "windows.h"

#include <math.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef LINFORMER_COLUMN_SHIFT
#define LINFORMER_COLUMN_SHIFT 0
#endif

enum { LINEAR }; // of setting `projection`; windows follow
enum { MULTIPLIES_PER_THREAD = 1 << 18 };

// What a projection is made of; of keys or of values.
typedef struct projected {
    const ikati_call_tensor *x, *matrix;
    cpu_windows windows;
    double *rows; // [num_projected, size]
    int64_t size;
} projected;

typedef struct linformer {
    const cpu_call *call;
    const ikati_call_tensor *q, *lengths, *out, *lse;
    projected keys, values;
    bool is_linear;
    int64_t num_queries, num_positions, num_projected, num_rows;
    double scale;
    uint32_t num_workers;
    // The key/value head being worked on.
    int64_t b, kv_head, group, num_valid, num_visible;
    double *positions; // [num_valid, size]
    double *scratch;   // a worker's query, result and scores
    projected *current;
} linformer;

// Row c of the projection: sum_j matrix_cj x_j over the valid positions.
static void project_row(const linformer *s, const projected *p, int64_t c) {
    double *row = p->rows + c * p->size;
    for (int64_t d = 0; d < p->size; d++) {
        row[d] = 0;
    }
    for (int64_t j = 0; j < s->num_valid; j++) {
        const int64_t column = (j + LINFORMER_COLUMN_SHIFT) % s->num_positions;
        const double factor = cpu_load(p->matrix, cpu_index(p->matrix, s->kv_head, c, column, 0));
        cpu_add_scaled(row, factor, s->positions + j * p->size, p->size);
    }
}

static void project_rows(void *user, uint32_t worker) {
    const linformer *s = user;
    const projected *p = s->current;
    for (int64_t c = worker; c < s->num_visible; c += s->num_workers) {
        if (s->is_linear) {
            project_row(s, p, c);
        } else {
            cpu_reduce_window(&p->windows, s->b, s->kv_head, s->num_valid, c,
                              p->rows + c * p->size);
        }
    }
}

static void project(linformer *s, projected *p) {
    for (int64_t j = 0; j < s->num_valid && s->is_linear; j++) {
        cpu_load_row(p->x, cpu_index(p->x, s->b, s->kv_head, j, 0), p->size,
                     s->positions + j * p->size);
    }
    s->current = p;
    ikati_run_threads(s->num_workers, project_rows, s);
}

static int64_t scratch_size(const linformer *s) {
    return s->keys.size + s->values.size + s->num_projected;
}

static void attend_rows(void *user, uint32_t worker) {
    const linformer *s = user;
    double *query = s->scratch + worker * scratch_size(s), *result = query + s->keys.size;
    double *scores = result + s->values.size;
    const bool is_self = s->num_queries == s->num_positions;
    for (int64_t r = worker; r < s->group * s->num_rows; r += s->num_workers) {
        const int64_t head = s->kv_head * s->group + r / s->num_rows;
        const int64_t i = cpu_row_at(s->call, r % s->num_rows);
        const int64_t num = is_self && i >= s->num_valid ? 0 : s->num_visible;
        cpu_load_row(s->q, cpu_index(s->q, s->b, head, i, 0), s->keys.size, query);
        const double lse = cpu_attend_keys(query, s->keys.rows, s->values.rows, num, s->keys.size,
                                           s->values.size, s->scale, scores, result);
        if (s->out) {
            cpu_store_row(s->out, cpu_index(s->out, s->b, head, i, 0), s->values.size, result);
        }
        if (s->lse) {
            cpu_store(s->lse, cpu_index(s->lse, s->b, head, i, 0), lse);
        }
    }
}

static void read_projection(const cpu_call *call, projected *p, const char *x, const char *matrix,
                            const char *weights, const char *bias) {
    const int64_t kind = cpu_integer(call, "projection", LINEAR);
    p->x = cpu_input(call, x);
    p->size = p->x->tensor.shape[3];
    p->matrix = cpu_input(call, matrix);
    p->windows = (cpu_windows){.x = p->x,
                               .weights = cpu_input(call, weights),
                               .bias = cpu_input(call, bias),
                               .kind = (cpu_window_kind)(kind - 1),
                               .size = cpu_integer(call, "kernel_size", 1)};
}

static void read_call(linformer *s, const cpu_call *call) {
    s->call = call;
    s->q = cpu_input(call, "q");
    s->lengths = cpu_input(call, "lengths");
    s->out = cpu_output(call, "out");
    s->lse = cpu_output(call, "lse");
    read_projection(call, &s->keys, "k", "proj_k", "conv_k", "conv_k_bias");
    read_projection(call, &s->values, "v", "proj_v", "conv_v", "conv_v_bias");
    s->is_linear = s->keys.matrix != NULL;
    if (!s->values.matrix) {
        s->values.matrix = s->keys.matrix;
    }
    if (!s->values.windows.weights) {
        s->values.windows.weights = s->keys.windows.weights;
        s->values.windows.bias = s->keys.windows.bias;
    }
    if (s->keys.windows.weights) {
        s->keys.windows.size = s->keys.windows.weights->tensor.shape[0];
        s->values.windows.size = s->keys.windows.size;
    }
    s->keys.windows.stride = s->keys.windows.size;
    s->values.windows.stride = s->values.windows.size;
    s->num_queries = s->q->tensor.shape[2];
    s->num_positions = s->keys.x->tensor.shape[2];
    s->num_rows = cpu_num_rows(call, s->num_queries);
    s->scale = cpu_number(call, "scale", 1.0 / sqrt((double)s->keys.size));
    s->group = s->q->tensor.shape[1] / s->keys.x->tensor.shape[1];
    s->num_projected = s->is_linear ? s->keys.matrix->tensor.shape[1]
                                    : cpu_count_windows(s->num_positions, s->keys.windows.stride);
}

static uint32_t choose_workers(const linformer *s, uint32_t num_threads) {
    const double columns = (double)(s->keys.size + s->values.size);
    const double rows = (double)(s->is_linear ? s->num_positions : 0) + (double)s->num_rows;
    const double wanted = rows * (double)s->num_projected * columns / MULTIPLIES_PER_THREAD + 1;
    return wanted < num_threads ? (uint32_t)wanted : num_threads;
}

static void run(linformer *s) {
    const int64_t *k = s->keys.x->tensor.shape;
    for (s->b = 0; s->b < k[0]; s->b++) {
        s->num_valid =
            s->lengths ? cpu_load_length(s->lengths, s->b, s->num_positions) : s->num_positions;
        s->num_visible = s->is_linear ? (s->num_valid ? s->num_projected : 0)
                                      : cpu_count_windows(s->num_valid, s->keys.windows.stride);
        for (s->kv_head = 0; s->kv_head < k[1]; s->kv_head++) {
            project(s, &s->keys);
            project(s, &s->values);
            ikati_run_threads(s->num_workers, attend_rows, s);
        }
    }
}

ikat_status ikati_reference_linformer(const cpu_call *call) {
    linformer s = {0};
    read_call(&s, call);
    s.num_workers = choose_workers(&s, call->num_threads);
    const int64_t widest = s.keys.size > s.values.size ? s.keys.size : s.values.size;
    const int64_t count = s.num_projected * (s.keys.size + s.values.size) +
                          s.num_positions * widest + s.num_workers * scratch_size(&s);
    double *room = ikati_alloc(call->host, (size_t)count, sizeof(*room));
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    s.keys.rows = room;
    s.values.rows = s.keys.rows + s.num_projected * s.keys.size;
    s.positions = s.values.rows + s.num_projected * s.values.size;
    s.scratch = s.positions + s.num_positions * widest;
    run(&s);
    cpu_prune_heads(call);
    ikati_free(call->host, room);
    return IKAT_OK;
}
