// Plans a one-dimensional complex Fourier transform: into which factors its length is taken apart, and
// the numbers that kernel `fft` reads. Knows nothing of devices.
//
// A length whose prime factors are 2, 3, 5 and 7 is transformed by passes of a few radices. Any other is a
// cyclic convolution of a longer length that is (Bluestein): with c_a = exp(-pi i a^2 / K)
//
//   X_k = c_k sum_a (x_a c_a) conj(c_{k-a}),   a^2 reduced modulo 2 K, in integers,
//
// which is two transforms of that length with products before, between and after them.

#ifndef IKATI_FFT_H
#define IKATI_FFT_H

#include "host.h"

enum { IKATI_FFT_MAX_PASSES = 32, IKATI_FFT_PADDING = 16 };

// One transform of `length` is num_passes passes, those of a convolution twice over.
//
// size      of each transform: the length, or that of the convolution
// radices   their product is the size; the first is the largest power of 2 that there is
// table     num_floats float32, computed in double and rounded once:
//   twiddles_at   one a pass, where powers w^(2^b q) begin, w = exp(-2 pi i / (span radix)), span the
//                 product of earlier radices, q below it: real parts of all q, then imaginary parts, b
//                 after b while 2^b is below the radix
//   chirp_at, response_at, unchirp_at   of convolutions: what is multiplied before the first transform
//                 (`length` numbers), between the two (`size`), and after the second (`length`); real
//                 parts, then imaginary parts, each rounded up to a multiple of IKATI_FFT_PADDING.
//                 Products between and after are conjugated: that makes the second transform inverse
typedef struct ikati_fft {
    const ikati_host *host;
    uint32_t length, size;
    bool convolves;
    uint32_t num_passes;
    uint32_t radices[IKATI_FFT_MAX_PASSES];
    uint32_t twiddles_at[IKATI_FFT_MAX_PASSES];
    uint32_t chirp_at, response_at, unchirp_at;
    float *table;
    uint64_t num_floats;
} ikati_fft;

// Plans a length of at least 1, of at most 2^28, as extents are. After a failure nothing is left to clear.
//
// IKAT_NO_MEMORY
ikat_status ikati_fft_create(const ikati_host *host, uint32_t length, ikati_fft *out_fft);
void ikati_fft_clear(ikati_fft *fft);

// The plan of one pass that copies `length` elements. It owns nothing.
ikati_fft ikati_fft_copy(uint32_t length);

// Elements that every pass takes side by side along the transform, if vectors are to lie along it: 16, 4
// or 1.
uint32_t ikati_fft_vector(const ikati_fft *fft);

#endif
