#include "interval.h"

#include "../integers.h"

typedef ikati_interval interval;

static const interval whole = {INT32_MIN, INT32_MAX};

ikati_interval ikati_interval_point(int64_t value) { return (interval){value, value}; }

ikati_interval ikati_interval_hull(ikati_interval a, ikati_interval b) {
    return (interval){ikati_least(a.low, b.low), ikati_most(a.high, b.high)};
}

static bool contains(interval a, int64_t value) { return a.low <= value && value <= a.high; }

static bool is_point(interval a) { return a.low == a.high; }

// What leaves int32 may have wrapped to anything.
static interval wrapped(interval a) { return a.low < INT32_MIN || a.high > INT32_MAX ? whole : a; }

// The truth of something that is certainly so, certainly not so, or neither.
static interval decided(bool yes, bool no) { return (interval){yes ? 1 : 0, no ? 0 : 1}; }

ikati_interval ikati_interval_truth(ikati_interval a) {
    return decided(!contains(a, 0), a.low == 0 && a.high == 0);
}

static interval negate(interval a) { return (interval){-a.high, -a.low}; }

static interval multiply(interval a, interval b) {
    const interval low = {ikati_least(a.low * b.low, a.low * b.high),
                          ikati_most(a.low * b.low, a.low * b.high)};
    const interval high = {ikati_least(a.high * b.low, a.high * b.high),
                           ikati_most(a.high * b.low, a.high * b.high)};
    return ikati_interval_hull(low, high);
}

static int64_t quotient(int64_t a, int64_t b, bool floored) {
    const int64_t result = a / b;
    return floored && a % b != 0 && (a < 0) != (b < 0) ? result - 1 : result;
}

// b has no 0. A quotient is monotone in each operand there, so its ends are at ends of theirs.
static interval divide_by_part(interval a, interval b, bool floored) {
    const interval low = {quotient(a.low, b.low, floored), quotient(a.low, b.high, floored)};
    const interval high = {quotient(a.high, b.low, floored), quotient(a.high, b.high, floored)};
    return (interval){ikati_least(ikati_least(low.low, low.high), ikati_least(high.low, high.high)),
                      ikati_most(ikati_most(low.low, low.high), ikati_most(high.low, high.high))};
}

static interval divide(interval a, interval b, bool floored) {
    if (contains(a, INT32_MIN) && contains(b, -1)) {
        return whole;
    }
    const interval negative = {b.low, ikati_least(b.high, -1)},
                   positive = {ikati_most(b.low, 1), b.high};
    interval result = ikati_interval_point(0);
    bool any = contains(b, 0); // division by 0 gives 0
    if (negative.low <= negative.high) {
        const interval part = divide_by_part(a, negative, floored);
        result = any ? ikati_interval_hull(result, part) : part;
        any = true;
    }
    if (positive.low <= positive.high) {
        const interval part = divide_by_part(a, positive, floored);
        result = any ? ikati_interval_hull(result, part) : part;
    }
    return result;
}

static interval modulo(interval a, interval b) {
    if (!is_point(b) || b.low <= 0) {
        return (interval){ikati_least(b.low + 1, 0), ikati_most(b.high - 1, 0)};
    }
    const int64_t p = b.low, turns = quotient(a.low, p, true);
    if (turns != quotient(a.high, p, true)) {
        return (interval){0, p - 1};
    }
    return (interval){a.low - turns * p, a.high - turns * p};
}

static interval remainder_of(interval a, interval b) {
    const int64_t magnitude = ikati_most(-b.low, b.high); // of the divisor, the largest
    const int64_t bound = ikati_most(magnitude - 1, 0);
    return (interval){a.low < 0 ? ikati_most(a.low, -bound) : 0,
                      a.high > 0 ? ikati_least(a.high, bound) : 0};
}

static interval equal(interval a, interval b) {
    return decided(is_point(a) && is_point(b) && a.low == b.low, a.high < b.low || b.high < a.low);
}

static interval absolute(interval a) {
    if (contains(a, INT32_MIN)) {
        return whole;
    }
    const int64_t high = ikati_most(-a.low, a.high);
    return (interval){
        contains(a, 0) ? 0 : ikati_least(a.low < 0 ? -a.low : a.low, a.high < 0 ? -a.high : a.high),
        high};
}

ikati_interval ikati_interval_unary(ikati_operation operation, ikati_interval a) {
    switch (operation) {
    case IKATI_OP_NEGATE: return wrapped(negate(a));
    case IKATI_OP_NOT: return equal(ikati_interval_truth(a), ikati_interval_point(0));
    case IKATI_OP_ABS: return absolute(a);
    default: return whole;
    }
}

ikati_interval ikati_interval_binary(ikati_operation operation, ikati_interval a,
                                     ikati_interval b) {
    const interval x = ikati_interval_truth(a), y = ikati_interval_truth(b);
    switch (operation) {
    case IKATI_OP_ADD: return wrapped((interval){a.low + b.low, a.high + b.high});
    case IKATI_OP_SUBTRACT: return wrapped((interval){a.low - b.high, a.high - b.low});
    case IKATI_OP_MULTIPLY: return wrapped(multiply(a, b));
    case IKATI_OP_DIVIDE: return divide(a, b, false);
    case IKATI_OP_FLOOR_DIVIDE: return divide(a, b, true);
    case IKATI_OP_REMAINDER: return remainder_of(a, b);
    case IKATI_OP_MODULO: return modulo(a, b);
    case IKATI_OP_MIN: return (interval){ikati_least(a.low, b.low), ikati_least(a.high, b.high)};
    case IKATI_OP_MAX: return (interval){ikati_most(a.low, b.low), ikati_most(a.high, b.high)};
    case IKATI_OP_LESS: return decided(a.high < b.low, a.low >= b.high);
    case IKATI_OP_LESS_EQUAL: return decided(a.high <= b.low, a.low > b.high);
    case IKATI_OP_EQUAL: return equal(a, b);
    case IKATI_OP_NOT_EQUAL: return equal(equal(a, b), ikati_interval_point(0));
    case IKATI_OP_AND: return (interval){ikati_least(x.low, y.low), ikati_least(x.high, y.high)};
    case IKATI_OP_OR: return (interval){ikati_most(x.low, y.low), ikati_most(x.high, y.high)};
    default: return whole;
    }
}

ikati_interval ikati_interval_select(ikati_interval condition, ikati_interval a, ikati_interval b) {
    const interval truth = ikati_interval_truth(condition);
    if (is_point(truth)) {
        return truth.low != 0 ? a : b;
    }
    return ikati_interval_hull(a, b);
}
