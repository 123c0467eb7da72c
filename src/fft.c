#include "fft.h"

#include <math.h>

static const double pi = 3.1415926535897932384626433832795;

typedef struct number {
    double re, im;
} number;

// exp(-2 pi i a / num), a below num. From the nearest quarter of a turn on, so that what is 0, or equal,
// is so exactly.
static number root(uint64_t a, uint64_t num) {
    const uint64_t quarter = (8 * a / num + 1) / 2;
    const double angle = 2 * pi * ((double)a - (double)quarter * (double)num / 4) / (double)num;
    const double c = cos(angle), s = sin(angle);
    switch (quarter % 4) {
    case 0: return (number){c, -s};
    case 1: return (number){-s, -c};
    case 2: return (number){-c, s};
    default: return (number){s, c};
    }
}

// Takes a size apart; false if it has other prime factors than 2, 3, 5 and 7.
static bool factorise(uint32_t size, uint32_t *radices, uint32_t *out_num) {
    static const uint32_t odd[] = {7, 5, 3};
    uint32_t num = 0, twos = 0;
    while (size % 2 == 0) {
        size /= 2;
        twos++;
    }
    for (; twos >= 6 || twos == 4; twos -= 4) {
        radices[num++] = 16;
    }
    if (twos == 5) { // 8 and 4 rather than 16 and 2
        radices[num++] = 8;
        twos = 2;
    }
    if (twos) {
        radices[num++] = 1u << twos;
    }
    for (int i = 0; i < 3; i++) {
        for (; size % odd[i] == 0; size /= odd[i]) {
            radices[num++] = odd[i];
        }
    }
    if (!num) {
        radices[num++] = 1; // size 1: a pass that copies
    }
    *out_num = num;
    return size == 1;
}

// The least size of a convolution that holds a length, a multiple of what vectors of 16 along it take.
static uint32_t convolution_size(uint32_t length) {
    const uint32_t step = length >= 256 ? 256 : length >= 32 ? 64 : 4;
    uint32_t radices[IKATI_FFT_MAX_PASSES], num;
    uint32_t size = (uint32_t)ikati_round_up(2 * (uint64_t)length - 1, step);
    while (!factorise(size, radices, &num)) {
        size += step;
    }
    return size;
}

static uint32_t padded(uint32_t count) {
    return (uint32_t)ikati_round_up(count, IKATI_FFT_PADDING);
}

// Decides where what lies in the table.
static void lay_out(ikati_fft *fft) {
    uint64_t at = 0;
    uint32_t span = 1;
    for (uint32_t i = 0; i < fft->num_passes; span *= fft->radices[i++]) {
        fft->twiddles_at[i] = (uint32_t)at;
        for (uint32_t power = 1; power < fft->radices[i]; power *= 2) {
            at += 2 * (uint64_t)span;
        }
        at = ikati_round_up(at, IKATI_FFT_PADDING);
    }
    if (fft->convolves) {
        fft->chirp_at = (uint32_t)at;
        fft->response_at = fft->chirp_at + 2 * padded(fft->length);
        fft->unchirp_at = fft->response_at + 2 * padded(fft->size);
        at = fft->unchirp_at + 2 * (uint64_t)padded(fft->length);
    }
    fft->num_floats = at ? at : IKATI_FFT_PADDING;
}

static void fill_twiddles(ikati_fft *fft) {
    uint32_t span = 1;
    for (uint32_t i = 0; i < fft->num_passes; span *= fft->radices[i++]) {
        float *to = fft->table + fft->twiddles_at[i];
        for (uint32_t power = 1; power < fft->radices[i]; power *= 2, to += 2 * (size_t)span) {
            for (uint32_t q = 0; q < span; q++) {
                const number w = root((uint64_t)power * q, (uint64_t)span * fft->radices[i]);
                to[q] = (float)w.re;
                to[span + q] = (float)w.im;
            }
        }
    }
}

// One pass of a transform in double, from x to y, by its definition.
static void transform_pass(const number *x, number *y, const number *roots, uint32_t size,
                           uint32_t span, uint32_t radix) {
    const uint32_t num = size / radix;
    for (uint32_t j = 0; j < num; j++) {
        const uint32_t q = j % span, to = (j - q) * radix + q;
        for (uint32_t k = 0; k < radix; k++) {
            number sum = x[j];
            // Element r turns by (k / radix + q / (span radix)) r.
            const uint64_t step = (uint64_t)(size / span / radix) * (q + (uint64_t)k * span);
            uint64_t turn = 0;
            for (uint32_t r = 1; r < radix; r++) {
                turn += step;
                turn -= turn >= size ? size : 0;
                const number z = x[j + r * num], w = roots[turn];
                sum.re += z.re * w.re - z.im * w.im;
                sum.im += z.re * w.im + z.im * w.re;
            }
            y[to + k * span] = sum;
        }
    }
}

// Transforms what is in x, by prime factors; the result is returned, in one of the two.
static number *transform(uint32_t size, number *x, number *y, const number *roots) {
    static const uint32_t primes[] = {2, 3, 5, 7};
    uint32_t span = 1;
    for (int i = 0; i < 4; i++) {
        while (size / span % primes[i] == 0) {
            transform_pass(x, y, roots, size, span, primes[i]);
            span *= primes[i];
            number *swapped = x;
            x = y;
            y = swapped;
        }
    }
    return x;
}

static void put(float *to, uint32_t padding, uint32_t i, number z, double factor) {
    to[i] = (float)(z.re * factor);
    to[padding + i] = (float)(z.im * factor);
}

static ikat_status fill_convolution(ikati_fft *fft) {
    const uint32_t length = fft->length, size = fft->size;
    number *x = ikati_alloc(fft->host, size, 3 * sizeof(*x));
    if (!x) {
        return IKAT_NO_MEMORY;
    }
    number *y = x + size, *roots = y + size;
    for (uint32_t a = 0; a < size; a++) {
        roots[a] = root(a, size);
    }
    for (uint64_t a = 0; a < length; a++) {
        const number c = root(a * a % (2 * (uint64_t)length), 2 * (uint64_t)length);
        const number conjugate = {c.re, -c.im};
        x[a] = x[a ? size - a : 0] = conjugate;
        put(fft->table + fft->chirp_at, padded(length), (uint32_t)a, c, 1);
        put(fft->table + fft->unchirp_at, padded(length), (uint32_t)a, conjugate, 1.0 / size);
    }
    const number *response = transform(size, x, y, roots);
    for (uint32_t a = 0; a < size; a++) {
        put(fft->table + fft->response_at, padded(size), a, response[a], 1);
    }
    ikati_free(fft->host, x);
    return IKAT_OK;
}

ikat_status ikati_fft_create(const ikati_host *host, uint32_t length, ikati_fft *out_fft) {
    ikati_fft fft = {.host = host, .length = length, .size = length};
    fft.convolves = !factorise(length, fft.radices, &fft.num_passes);
    if (fft.convolves) {
        fft.size = convolution_size(length);
        factorise(fft.size, fft.radices, &fft.num_passes);
    }
    lay_out(&fft);
    fft.table = ikati_alloc(host, (size_t)fft.num_floats, sizeof(*fft.table));
    if (!fft.table) {
        return IKAT_NO_MEMORY;
    }
    fill_twiddles(&fft);
    ikat_status status = fft.convolves ? fill_convolution(&fft) : IKAT_OK;
    if (status) {
        ikati_fft_clear(&fft);
        return status;
    }
    *out_fft = fft;
    return IKAT_OK;
}

ikati_fft ikati_fft_copy(uint32_t length) {
    return (ikati_fft){.length = length, .size = length, .num_passes = 1, .radices = {1}};
}

void ikati_fft_clear(ikati_fft *fft) {
    ikati_free(fft->host, fft->table);
    fft->table = NULL;
}

uint32_t ikati_fft_vector(const ikati_fft *fft) {
    for (uint32_t vector = 16; vector > 1; vector /= 4) {
        // The first pass writes the results of an element side by side, the others those of neighbours.
        bool fits = fft->radices[0] % vector == 0;
        for (uint32_t i = 0; i < fft->num_passes; i++) {
            fits = fits && fft->size / fft->radices[i] % vector == 0;
        }
        if (fits) {
            return vector;
        }
    }
    return 1;
}
