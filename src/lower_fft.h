// Lowers Fourier transforms along one axis to passes of kernel `fft`, with scratch between them.

#ifndef IKATI_LOWER_FFT_H
#define IKATI_LOWER_FFT_H

#include "fft.h"
#include "lowering.h"

// Complex numbers, or real ones: where two planes lie in a slot, in elements.
//
// re, im            of the first number
// batch, row, axis  strides: of the batch, of rows of transforms, along a transform
typedef struct ikati_fft_planes {
    ikati_slot_kind kind;
    uint32_t index;
    ikat_dtype dtype;
    uint64_t re, im;
    uint64_t batch, row, axis;
} ikati_fft_planes;

// What is stored of the results.
//
// DIRECT, MIRRORED  the real part, times `scale`, of column c < num_columns in column first_column + c, or in
//                   column num_channels - first_column - c of the rows in reverse; columns that
//                   are their own mirror are not mirrored
// REAL              both, and with the first row staying where it is: all of a real transform
typedef enum ikati_fft_results {
    IKATI_FFT_COMPLEX,
    IKATI_FFT_REAL,
    IKATI_FFT_DIRECT,
    IKATI_FFT_MIRRORED,
} ikati_fft_results;

// Transforms of one length, by a plan whose table is table `table` of the lowering.
//
// along          each row is a transform, whose axis has stride 1; num_columns is 1
//                else there is one row, and transforms lie side by side, num_columns of them with stride 1
// num_imaginary  rows of `from` that have an imaginary part, the first ones
// untangle       `from` are transforms along rows, of num_channels, of two real rows each, row r and row
//                r + half_rows; the rows' spectra are transformed, times 2, from column first_column on.
//                Across columns only. half_rows 0: the second of each alone; UINT32_MAX: the first
// results        across columns only, but for COMPLEX; to.im is of no meaning for the others
typedef struct ikati_fft_call {
    const ikati_fft *fft;
    uint32_t table;
    ikati_fft_planes from, to;
    uint32_t num_batches, num_rows, num_columns, first_column;
    bool along, untangle;
    uint32_t num_imaginary;
    uint32_t half_rows, num_channels;
    ikati_fft_results results;
    double scale;
} ikati_fft_call;

// Float32 planes in scratch, [batch, row, element] each, a row padded so that vectors of it are whole.
// IKAT_NO_MEMORY
ikat_status ikati_fft_scratch(ikati_lowering *lowering, uint64_t num_batches, uint64_t num_rows,
                              uint64_t num_elements, ikati_fft_planes *out_planes);
// Elements of such a row.
uint64_t ikati_fft_row(uint64_t num_elements);

// The most elements, strides and all, of any scratch plane of a call between its passes; that of one batch
// entry.
uint64_t ikati_fft_plane(const ikati_fft_call *call);

// Adds the steps. Every plane must fit what the device binds.
ikat_status ikati_lower_fft(ikati_lowering *lowering, const ikati_fft_call *call);

#endif
