// Kernel `fft`: one pass of complex Fourier transforms, which takes a factor R = FFT_RADIX(options) of their length
// (Stockham: what goes in lies in order, so does what comes out). With span the product of earlier passes' factors,
// M the length over R, w_K = exp(-2 pi i / K), butterfly j < M of a transform does
//   y_((j - q) R + q + k span) = sum_r (x_(j + r M) w_(span R)^(q r)) w_R^(k r),   q = j mod span, k < R.
// Complex tensors are two planes, of real and of imaginary parts. Transforms lie along an axis of any stride; there are
// num_columns of them side by side (stride 1), in num_rows of num_batches. Radix 1 copies.
//
// What the first and the last pass of a transform do besides is said by options:
//   FFT_UNTANGLE      `from` holds transforms along rows, of num_channels, of two real rows each: row r as the real
//                     part, row r + half_rows as the imaginary one. The pass transforms the rows' spectra, times 2,
//                     column by column
//   FFT_LOAD_FACTORS  element a is multiplied by factor a of the table; a >= num_loaded are 0, and not read
//   FFT_STORE_FACTORS element a is multiplied by factor a and conjugated; a >= num_stored are not stored
//   FFT_REAL          real parts only are stored, times scale, of a < num_stored: by FFT_DIRECT where they belong, by
//   FFT_MIRROR        in the mirrored place, row (N - a) mod N, column num_channels - c, of to_im, which is a second
//                     binding of the tensor: element 0 goes to row mirror_of_zero, a to mirror_rows - a. Columns c
//                     that are their own mirror are left out
#define FFT_BINDINGS(X) X(from_re, READ) X(from_im, READ) X(table, READ) X(to_re, WRITE) X(to_im, WRITE)

//   num_imaginary     rows from there on have no imaginary part: it is read as 0
//   twiddles_at       w^(2^b q) of the pass, as src/fft.h lays them out
//   load_factors_at, store_factors_at   real parts; imaginary ones are load_padding, store_padding further
//   from_*, to_*      strides
//   num_columns       a workgroup's items are (batch, row, butterfly, column), columns running fastest, in vectors
//   first_column      of rows that FFT_UNTANGLE reads and FFT_REAL writes: what column 0 of the step is there
#define FFT_PARAMS(X)                                                                                                 \
    X(uint, base_from_re) X(uint, base_from_im) X(uint, base_table) X(uint, base_to_re) X(uint, base_to_im)           \
    X(uint, num_batches) X(uint, num_rows) X(uint, num_butterflies) X(uint, num_columns)                              \
    X(uint, first_column)                                                                                             \
    X(uint, span) X(uint, num_imaginary) X(uint, num_loaded) X(uint, num_stored)                                      \
    X(uint, twiddles_at) X(uint, load_factors_at) X(uint, load_padding) X(uint, store_factors_at)                     \
    X(uint, store_padding)                                                                                            \
    X(uint, from_batch) X(uint, from_row) X(uint, from_axis) X(uint, to_batch) X(uint, to_row) X(uint, to_axis)       \
    X(uint, half_rows) X(uint, num_channels) X(uint, mirror_rows) X(uint, mirror_of_zero)                             \
    X(float, scale)

#define FFT_SPECIALISATION(X) X(0, OPTIONS)

#define FFT_RADIX(options) ((options) & 31u)
#define FFT_ALONG 32u         // vectors lie along the transform, else across columns
#define FFT_TWIDDLES 64u      // span > 1
#define FFT_FROM_HALF 128u    // float16, element by element
#define FFT_FROM_LOOSE 256u   // element by element: no vectors, or not all of one exist
#define FFT_TO_HALF 512u      // float16 (OpenCL), element by element; with FFT_REAL alone
#define FFT_TO_LOOSE 1024u
#define FFT_UNTANGLE 2048u
#define FFT_LOAD_FACTORS 4096u
#define FFT_STORE_FACTORS 8192u
#define FFT_DIRECT 16384u
#define FFT_MIRROR 32768u
#define FFT_REAL (FFT_DIRECT | FFT_MIRROR)
