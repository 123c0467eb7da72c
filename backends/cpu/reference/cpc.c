// CPC loss (InfoNCE): van den Oord, Li, Vinyals, Representation Learning with Contrastive Predictive
// Coding, arXiv:1807.03748; as ETC uses it, Ainslie et al., arXiv:2004.08483.
//
//   z_st = (pred_s W) . target_t / temperature,  loss_s = log sum_t exp(z_st) - z_ss
//
// The page's difference is of large numbers. Its own term taken out of the logarithm it is
// log(1 + sum_{t != s} exp(z_st - z_ss)), which is exact near 0 too.

#include "reference.h"

#include <math.h>

// 0. The oracle's own test compiles this file once more with another value and must notice.
#ifndef CPC_KEEPS_INVALID
#define CPC_KEEPS_INVALID 0
#endif

enum { MULTIPLIES_PER_THREAD = 1 << 18 }; // less work is not worth a thread

typedef struct cpc {
    const cpu_call *call;
    const ikati_call_tensor *pred, *target, *weight, *valid;
    int64_t num_rows, size;
    double temperature;
    uint32_t num_workers;
    double *targets; // [num_rows, size]
    double *weights; // [size, size], transposed; NULL: the identity
    double *losses;  // [num_rows]
    double *scratch; // a worker's prediction, projection and row of z
} cpc;

static bool is_valid(const cpc *c, int64_t row) {
    if (!c->valid || CPC_KEEPS_INVALID) {
        return true;
    }
    return cpu_load(c->valid, cpu_index(c->valid, row, 0, 0, 0)) != 0;
}

static void load_all(void *user, uint32_t worker) {
    const cpc *c = user;
    for (int64_t t = worker; t < c->num_rows; t += c->num_workers) {
        cpu_load_row(c->target, cpu_index(c->target, t, 0, 0, 0), c->size,
                     c->targets + t * c->size);
    }
    for (int64_t i = worker; c->weights && i < c->size; i += c->num_workers) {
        for (int64_t j = 0; j < c->size; j++) {
            c->weights[i * c->size + j] = cpu_load(c->weight, cpu_index(c->weight, j, i, 0, 0));
        }
    }
}

// z_st - z_ss of the other valid rows, packed; returns how many they are.
static int64_t compare_row(const cpc *c, int64_t s, const double *anchor, double *differences) {
    const double own = cpu_dot(anchor, c->targets + s * c->size, c->size);
    int64_t num = 0;
    for (int64_t t = 0; t < c->num_rows; t++) {
        if (t != s && is_valid(c, t)) {
            const double z = cpu_dot(anchor, c->targets + t * c->size, c->size);
            differences[num++] = (z - own) / c->temperature;
        }
    }
    if (!isfinite(own)) {
        differences[num++] = NAN; // whatever the others are
    }
    return num;
}

static double loss_of(const double *differences, int64_t num) {
    double maximum = 0, sum = 0; // of the own term: log exp(0)
    for (int64_t i = 0; i < num; i++) {
        maximum = differences[i] > maximum ? differences[i] : maximum;
    }
    for (int64_t i = 0; i < num; i++) {
        sum += exp(differences[i] - maximum);
    }
    return maximum > 0 ? maximum + log(exp(-maximum) + sum) : log1p(sum);
}

static void compute_rows(void *user, uint32_t worker) {
    const cpc *c = user;
    double *pred = c->scratch + worker * (2 * c->size + c->num_rows + 1);
    double *projected = pred + c->size, *differences = projected + c->size;
    for (int64_t s = worker; s < c->num_rows; s += c->num_workers) {
        if (!is_valid(c, s)) {
            c->losses[s] = 0;
            continue;
        }
        const double *anchor = pred;
        cpu_load_row(c->pred, cpu_index(c->pred, s, 0, 0, 0), c->size, pred);
        if (c->weights) {
            for (int64_t j = 0; j < c->size; j++) {
                projected[j] = cpu_dot(pred, c->weights + j * c->size, c->size);
            }
            anchor = projected;
        }
        c->losses[s] = loss_of(differences, compare_row(c, s, anchor, differences));
    }
}

static void store(const cpc *c) {
    const ikati_call_tensor *loss = cpu_output(c->call, "loss");
    const ikati_call_tensor *losses = cpu_output(c->call, "losses");
    double sum = 0, count = 0;
    for (int64_t s = 0; s < c->num_rows; s++) {
        sum += c->losses[s];
        count += is_valid(c, s);
        if (losses) {
            cpu_store(losses, cpu_index(losses, s, 0, 0, 0), c->losses[s]);
        }
    }
    if (loss) {
        cpu_store(loss, cpu_index(loss, 0, 0, 0, 0), count > 0 ? sum / count : 0);
    }
}

static void read_call(cpc *c, const cpu_call *call) {
    c->call = call;
    c->pred = cpu_input(call, "pred");
    c->target = cpu_input(call, "target");
    c->weight = cpu_input(call, "weight");
    c->valid = cpu_input(call, "valid");
    c->num_rows = c->pred->tensor.shape[0];
    c->size = c->pred->tensor.shape[1];
    c->temperature = cpu_number(call, "temperature", 1);
    const double rows = (double)c->num_rows + (c->weight ? (double)c->size : 0);
    const double wanted = (double)c->num_rows * rows * (double)c->size / MULTIPLIES_PER_THREAD + 1;
    c->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

// One block of memory: targets, weights, losses, scratch of each worker. NULL (logged) if it does not
// fit.
static double *make_room(cpc *c) {
    const ikati_host *host = c->call->host;
    const uint64_t rows = (uint64_t)c->num_rows, size = (uint64_t)c->size;
    uint64_t targets = 0, weights = 0, scratch = 0, total = 0;
    if (!ikati_mul_size(rows, size, &targets) ||
        !ikati_mul_size(c->weight ? size : 0, size, &weights) ||
        !ikati_mul_size(2 * size + rows + 1, c->num_workers, &scratch) ||
        !ikati_add_size(targets, weights, &total) || !ikati_add_size(total, rows, &total) ||
        !ikati_add_size(total, scratch, &total) || total > SIZE_MAX) {
        ikati_log(host, IKAT_LOG_ERROR, IKAT_MESSAGE_OVERFLOW,
                  "%lld rows of this size do not fit in memory", (long long)c->num_rows);
        return NULL;
    }
    double *room = ikati_alloc(host, (size_t)total, sizeof(*room));
    if (room) {
        c->targets = room;
        c->weights = c->weight ? room + targets : NULL;
        c->losses = room + targets + weights;
        c->scratch = c->losses + rows;
    }
    return room;
}

ikat_status ikati_reference_cpc(const cpu_call *call) {
    cpc c = {0};
    read_call(&c, call);
    double *room = make_room(&c);
    if (!room) {
        return IKAT_NO_MEMORY;
    }
    ikati_run_threads(c.num_workers, load_all, &c);
    ikati_run_threads(c.num_workers, compute_rows, &c);
    store(&c);
    ikati_free(call->host, room);
    return IKAT_OK;
}
