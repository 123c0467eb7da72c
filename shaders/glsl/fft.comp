#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// fft: one pass of complex Fourier transforms, a butterfly of FFT_RADIX(OPTIONS) elements an invocation, of each VECTOR
// side by side, all in registers. See params/fft.h.
//
// Defines: VECTOR (1, 4: strides and offsets of vectors are multiples of 4, but for what is read or written
// element by element), GROUP_SIZE.

#include "../params/fft.h"
#define KERNEL_PARAMS FFT_PARAMS
#define KERNEL_SPECIALISATION FFT_SPECIALISATION
#include "lib/kernel.glsl"

layout(local_size_x = GROUP_SIZE) in;

#if VECTOR == 4
#define REAL vec4
#define WORDS uvec4
#define WORD(name, e) name[(e) >> 2][(e) & 3u]
#define EACH_LANE(v) [[unroll]] for (uint v = 0u; v < 4u; ++v)
#define LANE(x, v) x[v]
#else
#define REAL float
#define WORDS uint
#define WORD(name, e) name[e]
#define EACH_LANE(v) const uint v = 0u;
#define LANE(x, v) x
#endif
layout(std430, set = 0, binding = 0) readonly buffer FromRe { WORDS from_re[]; };
layout(std430, set = 0, binding = 1) readonly buffer FromIm { WORDS from_im[]; };
layout(std430, set = 0, binding = 2) readonly buffer Table { WORDS table[]; };
layout(std430, set = 0, binding = 3) writeonly buffer ToRe { WORDS to_re[]; };
layout(std430, set = 0, binding = 4) writeonly buffer ToIm { WORDS to_im[]; };

struct Complex { REAL re, im; };
#define COMPLEX(re, im) Complex(re, im)
#define FUNCTION
#include "lib/butterfly.h"

const uint RADIX = FFT_RADIX(OPTIONS);
const uint MAX_RADIX = 16u;
#define EACH_ELEMENT(k) [[unroll]] for (uint k = 0u; k < MAX_RADIX; ++k) if (k < RADIX)

bool has(uint option) { return (OPTIONS & option) != 0u; }

// The invocation's butterflies: the first of them, and the first column.
struct Item { uint batch, row, butterfly, column; };

Complex z[MAX_RADIX];

#define VECTOR_AT(name, e) uintBitsToFloat(name[(e) / VECTOR])
#define ELEMENT_LOADER(load, name) \
    float load(uint e) { \
        if (!has(FFT_FROM_HALF)) return uintBitsToFloat(WORD(name, e)); \
        return unpackHalf2x16(WORD(name, e >> 1))[e & 1u]; \
    }
ELEMENT_LOADER(load_re, from_re)
ELEMENT_LOADER(load_im, from_im)

// Elements `a`, and with FFT_ALONG those after it, of the table.
Complex load_table(uint at, uint padding) {
    if (has(FFT_ALONG)) return COMPLEX(VECTOR_AT(table, at), VECTOR_AT(table, at + padding));
    return COMPLEX(REAL(uintBitsToFloat(WORD(table, at))), REAL(uintBitsToFloat(WORD(table, at + padding))));
}

// Element `a` of the transform. Of a vector, lanes past the end are 0 along it; across columns they are others'.
Complex load_element(Item t, uint a) {
    Complex x = COMPLEX(REAL(0.0), REAL(0.0));
    if (has(FFT_LOAD_FACTORS) && a >= p.num_loaded) return x;
    uint at = t.batch * p.from_batch + t.row * p.from_row + a * p.from_axis + t.column;
    bool imaginary = t.row < p.num_imaginary;
    if (has(FFT_FROM_LOOSE)) {
        EACH_LANE(v) {
            bool exists = has(FFT_ALONG) ? a + v < p.num_loaded : t.column + v < p.num_columns;
            if (exists) LANE(x.re, v) = load_re(p.base_from_re + at + v);
            if (exists && imaginary) LANE(x.im, v) = load_im(p.base_from_im + at + v);
        }
    } else {
        x.re = VECTOR_AT(from_re, p.base_from_re + at);
        if (imaginary) x.im = VECTOR_AT(from_im, p.base_from_im + at);
    }
    return x;
}

// Twice the spectrum of row `a` in the columns from t.column on, from transforms of two rows each: those
// of the first are the part that is symmetric, z_c + conj(z_-c), those of the second the rest.
Complex load_untangled(Item t, uint a) {
    Complex x = COMPLEX(REAL(0.0), REAL(0.0));
    if (has(FFT_LOAD_FACTORS) && a >= p.num_loaded) return x;
    bool second = a >= p.half_rows;
    uint row = t.batch * p.from_batch + (second ? a - p.half_rows : a) * p.from_axis;
    Complex mirrored = x;
    EACH_LANE(v) {
        uint c = p.first_column + min(t.column + v, p.num_columns - 1u);
        uint at = row + (c == 0u ? 0u : p.num_channels - c);
        LANE(mirrored.re, v) = uintBitsToFloat(WORD(from_re, p.base_from_re + at));
        LANE(mirrored.im, v) = uintBitsToFloat(WORD(from_im, p.base_from_im + at));
    }
    uint at = row + p.first_column + t.column;
    x = COMPLEX(VECTOR_AT(from_re, p.base_from_re + at), VECTOR_AT(from_im, p.base_from_im + at));
    if (second) return COMPLEX(x.im + mirrored.im, mirrored.re - x.re);
    return COMPLEX(x.re + mirrored.re, x.im - mirrored.im);
}

void load(Item t) {
    EACH_ELEMENT(k) {
        uint a = t.butterfly + k * p.num_butterflies;
        z[k] = has(FFT_UNTANGLE) ? load_untangled(t, a) : load_element(t, a);
        if (has(FFT_LOAD_FACTORS) && a < p.num_loaded)
            z[k] = times(z[k], load_table(p.base_table + p.load_factors_at + a, p.load_padding));
    }
}

void store_real(Item t, uint a, REAL x) {
    uint batch = t.batch * p.to_batch, column = p.first_column + t.column;
    uint at = p.base_to_re + batch + a * p.to_axis + column;
    uint row = a == 0u ? p.mirror_of_zero : p.mirror_rows - a;
    uint mirrored = p.base_to_im + batch + row * p.to_axis + p.num_channels - column;
    bool whole = !has(FFT_TO_LOOSE) && t.column + VECTOR <= p.num_columns;
    if (has(FFT_DIRECT) && whole) to_re[at / VECTOR] = floatBitsToUint(x);
    EACH_LANE(v) {
        uint c = column + v;
        uint word = floatBitsToUint(LANE(x, v));
        if (has(FFT_DIRECT) && !whole && t.column + v < p.num_columns) WORD(to_re, at + v) = word;
        if (has(FFT_MIRROR) && c > 0u && 2u * c < p.num_channels) WORD(to_im, mirrored - v) = word;
    }
}

void store_element(Item t, uint a, Complex x) {
    if (has(FFT_STORE_FACTORS | FFT_REAL) && a >= p.num_stored) return;
    if (has(FFT_STORE_FACTORS)) {
        x = times(x, load_table(p.base_table + p.store_factors_at + a, p.store_padding));
        x.im = -x.im;
    }
    if (has(FFT_REAL)) {
        store_real(t, a, x.re * p.scale);
        return;
    }
    uint at = t.batch * p.to_batch + t.row * p.to_row + a * p.to_axis + t.column;
    to_re[(p.base_to_re + at) / VECTOR] = floatBitsToUint(x.re);
    to_im[(p.base_to_im + at) / VECTOR] = floatBitsToUint(x.im);
}

#if VECTOR == 4
// The first pass along a transform: results of a butterfly are neighbours.
void store_side_by_side(Item t) {
    uint at = t.batch * p.to_batch + t.row * p.to_row + t.butterfly * RADIX;
    [[unroll]] for (uint k = 0u; k < MAX_RADIX; k += 4u) if (k < RADIX) EACH_LANE(v) {
        uint e = at + v * RADIX + k;
        vec4 re = vec4(z[k].re[v], z[k + 1u].re[v], z[k + 2u].re[v], z[k + 3u].re[v]);
        vec4 im = vec4(z[k].im[v], z[k + 1u].im[v], z[k + 2u].im[v], z[k + 3u].im[v]);
        to_re[(p.base_to_re + e) / 4u] = floatBitsToUint(re);
        to_im[(p.base_to_im + e) / 4u] = floatBitsToUint(im);
    }
}
#endif

void main() {
    uint columns = has(FFT_ALONG) ? 1u : (p.num_columns + VECTOR - 1u) / VECTOR;
    uint butterflies = has(FFT_ALONG) ? p.num_butterflies / VECTOR : p.num_butterflies;
    uint item = group_index() * GROUP_SIZE + gl_LocalInvocationIndex;
    Item t;
    t.column = item % columns * VECTOR;
    item /= columns;
    t.butterfly = item % butterflies * (has(FFT_ALONG) ? VECTOR : 1u);
    item /= butterflies;
    t.row = item % p.num_rows;
    t.batch = item / p.num_rows;
    if (t.batch >= p.num_batches) return;

    load(t);
    uint q = 0u;
    if (has(FFT_TWIDDLES)) {
        q = t.butterfly % p.span;
        uint twiddles = p.base_table + p.twiddles_at + q;
#define POWER(b) load_table(twiddles + 2u * b * p.span, p.span)
        TWIDDLE(z, RADIX)
    }
    BUTTERFLY(z, RADIX)
#if VECTOR == 4
    if (has(FFT_ALONG) && !has(FFT_TWIDDLES)) {
        store_side_by_side(t);
        return;
    }
#endif
    uint first = (t.butterfly - q) * RADIX + q;
    EACH_ELEMENT(k) store_element(t, first + k * p.span, z[k]);
}
