// The draw of random features: Choromanski et al., arXiv:2009.14794, section 2. Gaussian rows; with
// `ortho` the rows of each block of `size` are made orthogonal and keep, or not, a Gaussian row's
// length.

#include "performer.h"

#include "../philox.h"

enum { DIRECTIONS, LENGTHS }; // streams

static double dot(const double *a, const double *b, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void draw_row(uint64_t seed, uint32_t stream, int64_t row, int64_t size, double *out) {
    for (int64_t i = 0; i < size; i++) {
        out[i] = ikati_draw_normal(seed, stream, (uint64_t)row * (uint64_t)size + (uint64_t)i);
    }
}

// Takes the directions of the first `count` rows out of row `count`, one after the other (modified
// Gram-Schmidt), and makes it a unit vector.
static void orthogonalize(double *block, int64_t count, int64_t size) {
    double *row = block + count * size;
    for (int64_t p = 0; p < count; p++) {
        const double *other = block + p * size;
        const double share = dot(row, other, size);
        for (int64_t i = 0; i < size; i++) {
            row[i] -= share * other[i];
        }
    }
    const double length = sqrt(dot(row, row, size));
    for (int64_t i = 0; i < size; i++) {
        row[i] /= length;
    }
}

float *ikati_performer_draw(const ikati_host *host, uint64_t seed, int64_t num_rows, int64_t size,
                            bool ortho, ikati_performer_norm norm) {
    // A block of rows, and one more for a length.
    double *block = ikati_alloc(host, (size_t)(size + 1), (size_t)size * sizeof(*block));
    float *rows = ikati_alloc(host, (size_t)num_rows, (size_t)size * sizeof(*rows));
    for (int64_t r = 0; block && rows && r < num_rows; r++) {
        double *row = block + r % size * size, *other = block + size * size;
        double length = 1;
        draw_row(seed, DIRECTIONS, r, size, row);
        if (ortho) {
            orthogonalize(block, r % size, size);
            draw_row(seed, LENGTHS, r, size, other);
            length = sqrt(norm == IKATI_PERFORMER_SQRT ? (double)size : dot(other, other, size));
        }
        for (int64_t i = 0; i < size; i++) {
            rows[r * size + i] = (float)(length * row[i]);
        }
    }
    if (!block) {
        ikati_free(host, rows);
        rows = NULL;
    }
    ikati_free(host, block);
    return rows;
}
