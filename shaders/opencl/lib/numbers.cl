// Numbers that must not depend on the driver: NaN and infinity are tested by their bits, and tanh
// is our own.
//
// LANES is how many values a variant computes at once: 1, or 16 on devices of type CPU, whose
// compilers do not vectorise across work-items. Functions on Reals and Ints serve both: `?:`
// selects lane by lane.
#if LANES == 1
typedef float Reals;
typedef int Ints;
#define as_reals as_float
#define as_ints as_int
#define to_reals convert_float
#define to_ints convert_int
#define FIRST_LANE(x) (x)
#else
typedef float16 Reals;
typedef int16 Ints;
#define as_reals as_float16
#define as_ints as_int16
#define to_reals convert_float16
#define to_ints convert_int16
#define FIRST_LANE(x) (x).s0
#endif

#define LOG2_E 1.44269504088896340736f
#define LN_2 0.69314718055994530942f

static inline Ints is_nan(Reals x) { return (as_ints(x) & 0x7fffffff) > 0x7f800000; }
static inline Ints is_negative_infinity(Reals x) { return as_ints(x) == (int)0xff800000; }

// 2^x for x <= 0: 0 below the normal numbers, NaN for NaN.
#if LANES == 1
static inline Reals exp2_negative(Reals x) { return exp2(x); }
#else
// Adding 1.5 * 2^23 rounds x to an integer r and leaves r + 127 in the low bits, ready to be an
// exponent; a minimax polynomial (5e-9) covers the rest, |x - r| <= 1/2. The power is multiplied
// in, not added to the bits: NaN stays NaN.
static inline Reals exp2_negative(Reals x) {
    const float round_to_exponent = 12582912.0f + 127.0f;
    Reals t = x + round_to_exponent;
    Reals f = x - (t - round_to_exponent);
    Reals y = 1.545316294e-4f;
    y = y * f + 1.339086336e-3f;
    y = y * f + 9.618082557e-3f;
    y = y * f + 5.550357114e-2f;
    y = y * f + 2.402265076e-1f;
    y = y * f + 6.931471880e-1f;
    y = y * f + 1.0f;
    y *= as_reals(as_ints(t) << 23);
    return x < -126.0f ? (Reals)(0.0f) : y;
}
#endif

// tanh, relative error below 3e-7. Near 0 the odd Taylor series, so that no digits cancel; else
// 1 - 2 / (e^2x + 1), written with e^-2|x| so that nothing overflows.
static inline Reals tanh_exact(Reals x) {
    Reals a = fabs(x);
    Reals x2 = x * x;
    Reals series = -929569.0f / 638512875.0f;
    series = series * x2 + 21844.0f / 6081075.0f;
    series = series * x2 - 1382.0f / 155925.0f;
    series = series * x2 + 62.0f / 2835.0f;
    series = series * x2 - 17.0f / 315.0f;
    series = series * x2 + 2.0f / 15.0f;
    series = series * x2 - 1.0f / 3.0f;
    series = x + x * x2 * series;
    Reals e = exp2_negative(a * (-2.0f * LOG2_E));
    Reals far = copysign(1.0f - 2.0f * e / (1.0f + e), x);
    Reals result = a < 0.5f ? series : far;
    return is_nan(x) ? x : result;
}
