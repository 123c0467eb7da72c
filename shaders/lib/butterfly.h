// Small Fourier transforms in registers, in the words that GLSL and OpenCL C share.
//
// The including file has defined REAL, a float or a vector of them, and FUNCTION, what functions of its
// language begin with, and the type Complex of members re and im, with COMPLEX(re, im) to make one.
//
// BUTTERFLY_R(z) transforms z[0] .. z[R - 1] in place: z_k = sum_r z_r exp(-2 pi i k r / R).

FUNCTION Complex plus(Complex a, Complex b) { return COMPLEX(a.re + b.re, a.im + b.im); }
FUNCTION Complex minus(Complex a, Complex b) { return COMPLEX(a.re - b.re, a.im - b.im); }
FUNCTION Complex times(Complex a, Complex b) { return COMPLEX(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re); }
FUNCTION Complex times_real(Complex a, float b) { return COMPLEX(a.re * b, a.im * b); }
// Turned back by a quarter, an eighth and three eighths of a turn, and by -s of one whose cosine is c.
FUNCTION Complex quarter(Complex a) { return COMPLEX(a.im, -a.re); }
FUNCTION Complex eighth(Complex a) { return COMPLEX((a.re + a.im) * 0.70710678118654752f, (a.im - a.re) * 0.70710678118654752f); }
FUNCTION Complex eighths3(Complex a) { return COMPLEX((a.im - a.re) * 0.70710678118654752f, (a.re + a.im) * -0.70710678118654752f); }
FUNCTION Complex turned(Complex a, float c, float s) { return COMPLEX(a.re * c + a.im * s, a.im * c - a.re * s); }

#define SWAP(a, b) { Complex swapped = a; a = b; b = swapped; }
#define PAIR(a, b) { Complex kept = a; a = plus(kept, b); b = minus(kept, b); }

#define BUTTERFLY_2(z) PAIR(z[0], z[1])

// Of any four places.
#define QUAD(a, b, c, d) PAIR(a, c) PAIR(b, d) d = quarter(d); PAIR(a, b) PAIR(c, d) SWAP(b, c)
#define BUTTERFLY_4(z) QUAD(z[0], z[1], z[2], z[3])

#define BUTTERFLY_8(z) \
    QUAD(z[0], z[2], z[4], z[6]) QUAD(z[1], z[3], z[5], z[7]) \
    z[3] = eighth(z[3]); z[5] = quarter(z[5]); z[7] = eighths3(z[7]); \
    PAIR(z[0], z[1]) PAIR(z[2], z[3]) PAIR(z[4], z[5]) PAIR(z[6], z[7]) \
    SWAP(z[1], z[2]) SWAP(z[3], z[6]) SWAP(z[2], z[4]) SWAP(z[5], z[6])

// 4 x 4; then the matrix is transposed.
#define BUTTERFLY_16(z) \
    QUAD(z[0], z[4], z[8], z[12]) QUAD(z[1], z[5], z[9], z[13]) \
    QUAD(z[2], z[6], z[10], z[14]) QUAD(z[3], z[7], z[11], z[15]) \
    z[5] = turned(z[5], SIXTEENTH_C, SIXTEENTH_S); z[6] = eighth(z[6]); z[7] = turned(z[7], SIXTEENTH_S, SIXTEENTH_C); \
    z[9] = eighth(z[9]); z[10] = quarter(z[10]); z[11] = eighths3(z[11]); \
    z[13] = turned(z[13], SIXTEENTH_S, SIXTEENTH_C); z[14] = eighths3(z[14]); z[15] = turned(z[15], -SIXTEENTH_C, -SIXTEENTH_S); \
    QUAD(z[0], z[1], z[2], z[3]) QUAD(z[4], z[5], z[6], z[7]) \
    QUAD(z[8], z[9], z[10], z[11]) QUAD(z[12], z[13], z[14], z[15]) \
    SWAP(z[1], z[4]) SWAP(z[2], z[8]) SWAP(z[3], z[12]) SWAP(z[6], z[9]) SWAP(z[7], z[13]) SWAP(z[11], z[14])
#define SIXTEENTH_C 0.92387953251128676f
#define SIXTEENTH_S 0.38268343236508977f

// Odd radices: elements that lie as far from the first, either way, share their products. `even` is the sum of
// cosines, `odd` that of sines of the differences.
#define SPLIT(a, b, even, odd) a = plus(even, quarter(odd)); b = minus(even, quarter(odd));

#define BUTTERFLY_3(z) { \
    PAIR(z[1], z[2]) \
    Complex even = plus(z[0], times_real(z[1], -0.5f)), odd = times_real(z[2], 0.86602540378443865f); \
    z[0] = plus(z[0], z[1]); \
    SPLIT(z[1], z[2], even, odd) }

#define SUM_2(a, x, b, y) plus(times_real(a, x), times_real(b, y))
#define SUM_3(a, x, b, y, c, w) plus(SUM_2(a, x, b, y), times_real(c, w))

#define BUTTERFLY_5(z) { \
    PAIR(z[1], z[4]) PAIR(z[2], z[3]) \
    Complex even1 = plus(z[0], SUM_2(z[1], FIFTH_C1, z[2], FIFTH_C2)); \
    Complex even2 = plus(z[0], SUM_2(z[1], FIFTH_C2, z[2], FIFTH_C1)); \
    Complex odd1 = SUM_2(z[4], FIFTH_S1, z[3], FIFTH_S2); \
    Complex odd2 = SUM_2(z[4], FIFTH_S2, z[3], -FIFTH_S1); \
    z[0] = plus(z[0], plus(z[1], z[2])); \
    SPLIT(z[1], z[4], even1, odd1) SPLIT(z[2], z[3], even2, odd2) }
#define FIFTH_C1 0.30901699437494742f
#define FIFTH_C2 -0.80901699437494742f
#define FIFTH_S1 0.95105651629515357f
#define FIFTH_S2 0.58778525229247313f

#define BUTTERFLY_7(z) { \
    PAIR(z[1], z[6]) PAIR(z[2], z[5]) PAIR(z[3], z[4]) \
    Complex even1 = plus(z[0], SUM_3(z[1], SEVENTH_C1, z[2], SEVENTH_C2, z[3], SEVENTH_C3)); \
    Complex even2 = plus(z[0], SUM_3(z[1], SEVENTH_C2, z[2], SEVENTH_C3, z[3], SEVENTH_C1)); \
    Complex even3 = plus(z[0], SUM_3(z[1], SEVENTH_C3, z[2], SEVENTH_C1, z[3], SEVENTH_C2)); \
    Complex odd1 = SUM_3(z[6], SEVENTH_S1, z[5], SEVENTH_S2, z[4], SEVENTH_S3); \
    Complex odd2 = SUM_3(z[6], SEVENTH_S2, z[5], -SEVENTH_S3, z[4], -SEVENTH_S1); \
    Complex odd3 = SUM_3(z[6], SEVENTH_S3, z[5], -SEVENTH_S1, z[4], SEVENTH_S2); \
    z[0] = plus(z[0], plus(z[1], plus(z[2], z[3]))); \
    SPLIT(z[1], z[6], even1, odd1) SPLIT(z[2], z[5], even2, odd2) SPLIT(z[3], z[4], even3, odd3) }
#define SEVENTH_C1 0.62348980185873353f
#define SEVENTH_C2 -0.22252093395631440f
#define SEVENTH_C3 -0.90096886790241913f
#define SEVENTH_S1 0.78183148246802981f
#define SEVENTH_S2 0.97492791218182361f
#define SEVENTH_S3 0.43388373911755812f

// Multiplies z[k] by w^k, k < radix, from w^1, w^2, w^4 and w^8, which POWER(b) loads: few loads, few roundings.
#define TWIDDLE(z, radix) { \
    Complex w1 = POWER(0); \
    z[1] = times(z[1], w1); \
    if (radix > 2u) { \
        Complex w2 = POWER(1), w3 = times(w1, w2); \
        z[2] = times(z[2], w2); \
        if (radix > 3u) z[3] = times(z[3], w3); \
        if (radix > 4u) { \
            Complex w4 = POWER(2), w5 = times(w4, w1), w6 = times(w4, w2), w7 = times(w4, w3); \
            z[4] = times(z[4], w4); \
            if (radix > 5u) { z[5] = times(z[5], w5); z[6] = times(z[6], w6); } \
            if (radix > 7u) z[7] = times(z[7], w7); \
            if (radix > 8u) { \
                Complex w8 = POWER(3); \
                z[8] = times(z[8], w8); z[9] = times(z[9], times(w8, w1)); \
                z[10] = times(z[10], times(w8, w2)); z[11] = times(z[11], times(w8, w3)); \
                z[12] = times(z[12], times(w8, w4)); z[13] = times(z[13], times(w8, w5)); \
                z[14] = times(z[14], times(w8, w6)); z[15] = times(z[15], times(w8, w7)); \
            } \
        } \
    } }

#define BUTTERFLY(z, radix) \
    if (radix == 2u) BUTTERFLY_2(z) \
    if (radix == 3u) BUTTERFLY_3(z) \
    if (radix == 4u) { BUTTERFLY_4(z) } \
    if (radix == 5u) BUTTERFLY_5(z) \
    if (radix == 7u) BUTTERFLY_7(z) \
    if (radix == 8u) { BUTTERFLY_8(z) } \
    if (radix == 16u) { BUTTERFLY_16(z) }
