// fft: one pass of complex Fourier transforms, a butterfly of FFT_RADIX(OPTIONS) elements a work-item, of each VECTOR
// side by side, all in registers. See params/fft.h.
//
// Defines: VECTOR (1, 4, 16; at any address), GROUP_SIZE.
#define LANES VECTOR
#include "params/fft.h"
#define KERNEL_PARAMS FFT_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"

#if OPTIONS & FFT_FROM_HALF
typedef half From;
#define load_from load_half
#else
typedef float From;
#define load_from load_float
#endif
#if OPTIONS & FFT_TO_HALF
typedef half To;
#define store_to store_half
#else
typedef float To;
#define store_to store_float
#endif

// Vectors at any address, and their lanes in reverse.
#if VECTOR == 16
#define REAL float16
#define REVERSED(x) (x).sfedcba9876543210
static inline float16 load_vector(__global const float *x, uint e) { return load16_float(x, e); }
static inline float16 load_halves(__global const half *x, uint e) { return load16_half(x, e); }
static inline void store_vector(__global float *x, uint e, float16 value) { ((__global Lanes *)(x + e))->x = value; }
static inline void store_halves(__global half *x, uint e, float16 value) { vstore_half16(value, 0, x + e); }
#elif VECTOR == 4
#define REAL float4
#define REVERSED(x) (x).wzyx
static inline float4 load_vector(__global const float *x, uint e) { return vload4(0, x + e); }
static inline float4 load_halves(__global const half *x, uint e) { return vload_half4(0, x + e); }
static inline void store_vector(__global float *x, uint e, float4 value) { vstore4(value, 0, x + e); }
static inline void store_halves(__global half *x, uint e, float4 value) { vstore_half4(value, 0, x + e); }
#else
#define REAL float
#define REVERSED(x) (x)
#define load_vector load_float
#define load_halves load_half
#define store_vector store_float
#define store_halves store_half
#endif
#if OPTIONS & FFT_FROM_HALF
#define load_from_vector load_halves
#else
#define load_from_vector load_vector
#endif
#if OPTIONS & FFT_TO_HALF
#define store_to_vector store_halves
#else
#define store_to_vector store_vector
#endif
#define LANE(x, v) ((float *)&(x))[v]

typedef struct Complex {
    REAL re, im;
} Complex;
#define COMPLEX(re, im) ((Complex){re, im})
#define FUNCTION static inline
#include "lib/butterfly.h"

#define RADIX FFT_RADIX(OPTIONS)
#define EACH_ELEMENT(k) _Pragma("unroll") for (uint k = 0; k < RADIX; k++)
#define EACH_LANE(v) for (uint v = 0; v < VECTOR; v++)
#define IS_ALONG ((OPTIONS & FFT_ALONG) != 0u)

// The item's butterflies: the first of them, and the first column.
typedef struct Item {
    uint batch, row, butterfly, column;
} Item;

// Elements `a`, and with FFT_ALONG those after it, of the table.
static inline Complex load_table(__global const float *table, uint at, uint padding) {
    if (IS_ALONG) return COMPLEX(load_vector(table, at), load_vector(table, at + padding));
    return COMPLEX((REAL)(table[at]), (REAL)(table[at + padding]));
}

// The first `left` lanes; others are 0.
static inline REAL load_some(__global const From *x, uint e, uint left) {
    REAL value = (REAL)(0.0f);
    EACH_LANE(v) if (v < left) LANE(value, v) = load_from(x, e + v);
    return value;
}

// Element `a` of the transform. Lanes past the end are 0 along it; across columns they are others'.
static inline Complex load_element(const Params *p, __global const From *from_re, __global const From *from_im,
                                   const Item *t, uint a) {
    Complex x = COMPLEX((REAL)(0.0f), (REAL)(0.0f));
    if (has(FFT_LOAD_FACTORS) && a >= p->num_loaded) return x;
    const uint at = t->batch * p->from_batch + t->row * p->from_row + a * p->from_axis + t->column;
    const bool imaginary = t->row < p->num_imaginary;
    uint left = VECTOR;
    if (has(FFT_FROM_LOOSE) && !IS_ALONG) left = p->num_columns - t->column;
    if (has(FFT_LOAD_FACTORS) && IS_ALONG) left = p->num_loaded - a;
    if (left < VECTOR) {
        x.re = load_some(from_re, p->base_from_re + at, left);
        if (imaginary) x.im = load_some(from_im, p->base_from_im + at, left);
        return x;
    }
    x.re = load_from_vector(from_re, p->base_from_re + at);
    if (imaginary) x.im = load_from_vector(from_im, p->base_from_im + at);
    return x;
}

#if OPTIONS & FFT_UNTANGLE
static inline REAL load_mirrored(const Params *p, __global const float *x, uint row, uint column) {
    REAL value = (REAL)(0.0f);
    if (column > 0u && column + VECTOR - 1u <= p->num_channels) {
        value = load_vector(x, row + p->num_channels - column - (VECTOR - 1u));
        return REVERSED(value);
    }
    EACH_LANE(v) {
        const uint c = min(column + v, p->first_column + p->num_columns - 1u);
        LANE(value, v) = x[row + (c == 0u ? 0u : p->num_channels - c)];
    }
    return value;
}

// Twice the spectrum of row `a` in the columns from t->column on, from transforms of two rows each: those
// of the first are the part that is symmetric, z_c + conj(z_-c), those of the second the rest.
static inline Complex load_untangled(const Params *p, __global const float *from_re, __global const float *from_im,
                                     const Item *t, uint a) {
    if (has(FFT_LOAD_FACTORS) && a >= p->num_loaded) return COMPLEX((REAL)(0.0f), (REAL)(0.0f));
    const bool second = a >= p->half_rows;
    const uint row = t->batch * p->from_batch + (second ? a - p->half_rows : a) * p->from_axis;
    const uint column = p->first_column + t->column;
    const REAL re = load_vector(from_re, p->base_from_re + row + column);
    const REAL im = load_vector(from_im, p->base_from_im + row + column);
    const REAL mirrored_re = load_mirrored(p, from_re, p->base_from_re + row, column);
    const REAL mirrored_im = load_mirrored(p, from_im, p->base_from_im + row, column);
    if (second) return COMPLEX(im + mirrored_im, mirrored_re - re);
    return COMPLEX(re + mirrored_re, im - mirrored_im);
}
#define LOAD load_untangled
#else
#define LOAD load_element
#endif

static inline void store_real(const Params *p, __global To *to_re, __global To *to_im, const Item *t, uint a, REAL x) {
    const uint batch = t->batch * p->to_batch, column = p->first_column + t->column;
    const uint at = p->base_to_re + batch + a * p->to_axis + column;
    const uint row = a == 0u ? p->mirror_of_zero : p->mirror_rows - a;
    const uint mirrored = p->base_to_im + batch + row * p->to_axis + p->num_channels - column;
    const bool whole = t->column + VECTOR <= p->num_columns;
    if (has(FFT_DIRECT) && whole) store_to_vector(to_re, at, x);
    if (has(FFT_DIRECT) && !whole) EACH_LANE(v) if (t->column + v < p->num_columns) store_to(to_re, at + v, LANE(x, v));
    if (!has(FFT_MIRROR)) return;
    if (column > 0u && 2u * (column + VECTOR - 1u) < p->num_channels) {
        store_to_vector(to_im, mirrored - (VECTOR - 1u), REVERSED(x));
        return;
    }
    EACH_LANE(v) {
        const uint c = column + v;
        if (c > 0u && 2u * c < p->num_channels) store_to(to_im, mirrored - v, LANE(x, v));
    }
}

static inline void store_element(const Params *p, __global const float *table, __global To *to_re,
                                 __global To *to_im, const Item *t, uint a, Complex x) {
    if (has(FFT_STORE_FACTORS | FFT_REAL) && a >= p->num_stored) return;
    if (has(FFT_STORE_FACTORS)) {
        x = times(x, load_table(table, p->base_table + p->store_factors_at + a, p->store_padding));
        x.im = -x.im;
    }
    if (has(FFT_REAL)) {
        store_real(p, to_re, to_im, t, a, x.re * p->scale);
        return;
    }
    const uint at = t->batch * p->to_batch + t->row * p->to_row + a * p->to_axis + t->column;
    store_to_vector(to_re, p->base_to_re + at, x.re);
    store_to_vector(to_im, p->base_to_im + at, x.im);
}

// The first pass along a transform: results of a butterfly are neighbours.
static inline void store_side_by_side(const Params *p, __global float *to_re, __global float *to_im, const Item *t,
                                      const Complex *z) {
    const uint at = t->batch * p->to_batch + t->row * p->to_row + t->butterfly * RADIX;
    EACH_ELEMENT(k) EACH_LANE(v) {
        to_re[p->base_to_re + at + v * RADIX + k] = LANE(z[k].re, v);
        to_im[p->base_to_im + at + v * RADIX + k] = LANE(z[k].im, v);
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
fft(__global const From *from_re, __global const From *from_im, __global const float *table, __global To *to_re,
    __global To *to_im, const Params params, uint first_group) {
    const Params *p = &params;
    const uint columns = IS_ALONG ? 1u : (p->num_columns + VECTOR - 1u) / VECTOR;
    const uint butterflies = IS_ALONG ? p->num_butterflies / VECTOR : p->num_butterflies;
    uint item = group_index(first_group) * GROUP_SIZE + (uint)get_local_id(0);
    Item t;
    t.column = item % columns * VECTOR;
    item /= columns;
    t.butterfly = item % butterflies * (IS_ALONG ? VECTOR : 1u);
    item /= butterflies;
    t.row = item % p->num_rows;
    t.batch = item / p->num_rows;
    if (t.batch >= p->num_batches) return;

    Complex z[16];
    EACH_ELEMENT(k) {
        const uint a = t.butterfly + k * p->num_butterflies;
        z[k] = LOAD(p, from_re, from_im, &t, a);
        if (has(FFT_LOAD_FACTORS) && a < p->num_loaded)
            z[k] = times(z[k], load_table(table, p->base_table + p->load_factors_at + a, p->load_padding));
    }
    uint q = 0;
    if (has(FFT_TWIDDLES)) {
        q = t.butterfly % p->span;
        const uint twiddles = p->base_table + p->twiddles_at + q;
#define POWER(b) load_table(table, twiddles + 2u * b * p->span, p->span)
        TWIDDLE(z, RADIX)
    }
    BUTTERFLY(z, RADIX)
#if VECTOR > 1 && OPTIONS & FFT_ALONG && !(OPTIONS & FFT_TWIDDLES)
    store_side_by_side(p, to_re, to_im, &t, z);
#else
    const uint first = (t.butterfly - q) * RADIX + q;
    EACH_ELEMENT(k) store_element(p, table, to_re, to_im, &t, first + k * p->span, z[k]);
#endif
}
