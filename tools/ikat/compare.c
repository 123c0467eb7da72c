#include "compare.h"

#include "values.h"

#include <inttypes.h>
#include <math.h>

// How wrong one element is: its difference, or infinity where no number makes it right.
static double difference(double got, double expected) {
    if (isnan(expected)) {
        return isnan(got) ? 0 : INFINITY;
    }
    if (isinf(expected) || isinf(got)) {
        return got == expected ? 0 : INFINITY;
    }
    return isnan(got) ? INFINITY : fabs(got - expected);
}

static void set_worst(cli_comparison *out, const ikat_tensor *shape, uint64_t index,
                      double expected, double got) {
    out->expected = expected;
    out->got = got;
    for (uint32_t axis = shape->rank; axis-- > 0;) {
        uint64_t extent = (uint64_t)shape->shape[axis];
        out->worst[axis] = (int64_t)(index % extent);
        index /= extent;
    }
}

void compare_arrays(const ikat_tensor *shape, const void *got, ikat_dtype expected_dtype,
                    const void *expected, double tolerance, cli_comparison *out) {
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < shape->rank; axis++) {
        count *= (uint64_t)shape->shape[axis];
    }
    *out = (cli_comparison){.num_compared = count};
    double sum = 0, norm = 0, farthest = -1;
    for (uint64_t i = 0; i < count; i++) {
        double is = value_load(shape->dtype, got, i);
        double should = value_load(expected_dtype, expected, i);
        double off = difference(is, should);
        sum += off * off;
        norm += isfinite(should) ? should * should : 0;
        if (off > farthest) {
            farthest = off;
            set_worst(out, shape, i, should, is);
        }
    }
    // Nothing is relative to nothing.
    out->error = norm > 0 ? sqrt(sum / norm) : sqrt(sum);
    bool whole = shape->dtype != IKAT_FLOAT32 && shape->dtype != IKAT_FLOAT16;
    out->passed = out->error <= (whole ? 0 : tolerance);
}

void compare_describe(const cli_comparison *comparison, uint32_t rank, char *out, size_t capacity) {
    tool_append(out, capacity, "worst at [");
    for (uint32_t axis = 0; axis < rank; axis++) {
        tool_append(out, capacity, "%s%" PRId64, axis ? "," : "", comparison->worst[axis]);
    }
    tool_append(out, capacity, "]: expected %.9g, got %.9g", comparison->expected, comparison->got);
}
