// Numbers that must not depend on the driver: NaN and infinity are tested by their bits, and tanh
// is our own.

#define INFINITY uintBitsToFloat(0x7f800000u) // no constant expression in glslang
#define NOT_A_NUMBER uintBitsToFloat(0x7fc00000u) // compilers take no NaN for a constant
const float LOG2_E = 1.44269504088896340736;
const float LN_2 = 0.69314718055994530942;

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
bool is_finite(float x) { return (floatBitsToUint(x) & 0x7fffffffu) < 0x7f800000u; }
bool is_negative_infinity(float x) { return floatBitsToUint(x) == 0xff800000u; }

// tanh, relative error below 3e-7. Near 0 the odd Taylor series, so that no digits cancel; else
// 1 - 2 / (e^2x + 1), whose error in e^2x is damped.
float tanh_exact(float x) {
    float a = abs(x);
    float x2 = x * x;
    float series =
        x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0 + x2 * (62.0 / 2835.0 +
             x2 * (-1382.0 / 155925.0 + x2 * (21844.0 / 6081075.0 + x2 * (-929569.0 / 638512875.0))))))));
    float far = sign(x) * (1.0 - 2.0 / (exp2(min(a, 20.0) * (2.0 * LOG2_E)) + 1.0));
    float result = a < 0.5 ? series : far;
    return is_nan(x) ? x : result;
}

// float32 to float16, to nearest even (drivers differ in how packHalf2x16 rounds), overflow to
// infinity, NaN kept.
uint half_bits(float x) {
    uint bits = floatBitsToUint(x);
    uint magnitude = bits & 0x7fffffffu;
    uint half_magnitude;
    if (magnitude > 0x7f800000u) half_magnitude = 0x7e00u;
    else if (magnitude >= 0x477ff000u) half_magnitude = 0x7c00u;      // 65520 and above
    else if (magnitude >= 0x38800000u) {                              // normal: drop 13 bits of mantissa
        uint rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
        half_magnitude = (rounded - 0x38000000u) >> 13;
    } else {                                                          // subnormal: multiples of 2^-24
        half_magnitude = uint(roundEven(uintBitsToFloat(magnitude) * 16777216.0));
    }
    return half_magnitude | ((bits >> 16) & 0x8000u);
}
uint pack_half(vec2 x) { return half_bits(x.x) | (half_bits(x.y) << 16); }
