// FNet: Lee-Thorp, Ainslie, Eckstein, Ontanon, arXiv:2105.03824, section 3. The real part of the
// two-dimensional discrete Fourier transform over positions and channels,
//
//   out_nc = sum_md x_md cos(2 pi (n m / N + c d / C))
//          = sum_d (sum_m x_md cos(2 pi n m / N)) cos(2 pi c d / C)
//                - (sum_m x_md sin(2 pi n m / N)) sin(2 pi c d / C),
//
// over all n when ortho divided by sqrt(N C). Angles are whole fractions of a turn, looked up.

#include "reference.h"

#include <math.h>
#include <string.h>

// 1: sines are subtracted. The oracle's own test compiles this file once more with another value and
// must notice.
#ifndef FNET_SINE
#define FNET_SINE 1
#endif

enum { MULTIPLIES_PER_THREAD = 1 << 18 }; // less work is not worth a thread

static const double two_pi = 6.283185307179586476925286766559;

// cosine, sine  of a / K of a turn, a below K
typedef struct turns {
    double *cosine, *sine;
} turns;

typedef struct fnet {
    const cpu_call *call;
    const ikati_call_tensor *x, *out;
    int64_t num_positions, num_channels, batch;
    double factor;
    uint32_t num_workers;
    turns of_positions, of_channels;
    double *entry;   // x of one batch entry, packed
    double *scratch; // three rows a worker
} fnet;

static void tabulate(turns *t, int64_t num) {
    for (int64_t a = 0; a < num; a++) {
        t->cosine[a] = cos(two_pi * (double)a / (double)num);
        t->sine[a] = sin(two_pi * (double)a / (double)num);
    }
}

static void load_rows(void *user, uint32_t worker) {
    const fnet *f = user;
    for (int64_t m = worker; m < f->num_positions; m += f->num_workers) {
        cpu_load_row(f->x, cpu_index(f->x, f->batch, m, 0, 0), f->num_channels,
                     f->entry + m * f->num_channels);
    }
}

// The two sums over positions.
static void sum_positions(const fnet *f, int64_t n, double *cosines, double *sines) {
    const int64_t size = f->num_channels;
    memset(cosines, 0, (size_t)size * sizeof(*cosines));
    memset(sines, 0, (size_t)size * sizeof(*sines));
    for (int64_t m = 0, turn = 0; m < f->num_positions; m++) {
        cpu_add_scaled(cosines, f->of_positions.cosine[turn], f->entry + m * size, size);
        cpu_add_scaled(sines, f->of_positions.sine[turn], f->entry + m * size, size);
        turn += n; // n m modulo N
        turn -= turn >= f->num_positions ? f->num_positions : 0;
    }
}

static double sum_channels(const fnet *f, int64_t c, const double *cosines, const double *sines) {
    double sum = 0;
    for (int64_t d = 0, turn = 0; d < f->num_channels; d++) {
        sum += cosines[d] * f->of_channels.cosine[turn] -
               FNET_SINE * (sines[d] * f->of_channels.sine[turn]);
        turn += c;
        turn -= turn >= f->num_channels ? f->num_channels : 0;
    }
    return sum;
}

static void compute_rows(void *user, uint32_t worker) {
    const fnet *f = user;
    const int64_t size = f->num_channels, num = cpu_num_rows(f->call, f->num_positions);
    double *cosines = f->scratch + 3 * size * worker;
    double *sines = cosines + size, *result = sines + size;
    for (int64_t i = worker; i < num; i += f->num_workers) {
        const int64_t n = cpu_row_at(f->call, i);
        sum_positions(f, n, cosines, sines);
        for (int64_t c = 0; c < size; c++) {
            result[c] = f->factor * sum_channels(f, c, cosines, sines);
        }
        cpu_store_row(f->out, cpu_index(f->out, f->batch, n, 0, 0), size, result);
    }
}

static void read_call(fnet *f, const cpu_call *call) {
    f->call = call;
    f->x = cpu_input(call, "x");
    f->out = cpu_output(call, "out");
    f->num_positions = f->x->tensor.shape[1];
    f->num_channels = f->x->tensor.shape[2];
    const double positions = (double)f->num_positions, channels = (double)f->num_channels;
    f->factor = cpu_integer(call, "norm", 0) == 1 ? 1 / sqrt(positions * channels) : 1;
    const double rows = (double)cpu_num_rows(call, f->num_positions);
    const double work = rows * channels * (positions + channels);
    const double wanted = 2 * work / MULTIPLIES_PER_THREAD + 1;
    f->num_workers = wanted < call->num_threads ? (uint32_t)wanted : call->num_threads;
}

// One block of memory. NULL (logged) if it does not fit.
static double *make_room(fnet *f) {
    const ikati_host *host = f->call->host;
    const uint64_t positions = (uint64_t)f->num_positions, channels = (uint64_t)f->num_channels;
    uint64_t entry = 0, scratch = 0, total = 0;
    if (!ikati_mul_size(positions, channels, &entry) ||
        !ikati_mul_size(3 * channels, f->num_workers, &scratch) ||
        !ikati_add_size(entry, scratch, &total) || !ikati_add_size(total, 2 * positions, &total) ||
        !ikati_add_size(total, 2 * channels, &total) || total > SIZE_MAX) {
        ikati_log(host, IKAT_LOG_ERROR, IKAT_MESSAGE_OVERFLOW,
                  "%lld rows of this size do not fit in memory", (long long)f->num_positions);
        return NULL;
    }
    double *room = ikati_alloc(host, (size_t)total, sizeof(*room));
    if (room) {
        f->entry = room;
        f->scratch = f->entry + entry;
        f->of_positions = (turns){f->scratch + scratch, f->scratch + scratch + positions};
        f->of_channels.cosine = f->of_positions.sine + positions;
        f->of_channels.sine = f->of_channels.cosine + channels;
    }
    return room;
}

ikat_status ikati_reference_fnet(const cpu_call *call) {
    fnet f = {0};
    read_call(&f, call);
    double *room = f.out ? make_room(&f) : NULL;
    if (!room) {
        return f.out ? IKAT_NO_MEMORY : IKAT_OK;
    }
    tabulate(&f.of_positions, f.num_positions);
    tabulate(&f.of_channels, f.num_channels);
    for (f.batch = 0; f.batch < f.x->tensor.shape[0]; f.batch++) {
        ikati_run_threads(f.num_workers, load_rows, &f);
        ikati_run_threads(f.num_workers, compute_rows, &f);
    }
    ikati_free(call->host, room);
    return IKAT_OK;
}
