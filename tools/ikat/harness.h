// Checks a device against the reference: examples of a mechanism, drawn values, layouts, poison and guards. Shared by
// `ikat check` and the conformance tests; sees the public headers alone.

#ifndef HARNESS_H
#define HARNESS_H

#include "layout.h"

typedef enum verdict { VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED } verdict;

// One way to run an example.
typedef struct variation {
    ikat_dtype dtype;
    fill fill;
    layout layout;
} variation;

// error     the worst of all outputs, relative
// start_ns  from no plan to the first result, compilation included; 0 if nothing had to be compiled
// kernels   of the plan's steps
// text      why it failed or was skipped, with seed and worst element
typedef struct outcome {
    verdict verdict;
    double error;
    uint64_t start_ns;
    uint64_t compile_ns;
    char kernels[256];
    char text[1024];
} outcome;

typedef struct harness {
    tool *tool;
    ikat_device *reference;
    uint64_t seed;
} harness;

// Opens the reference, device `cpu`.
ikat_status harness_open(harness *harness, tool *tool);
void harness_close(harness *harness);

enum { HARNESS_MAX_VARIATIONS = 2 * NUM_FILLS * NUM_LAYOUTS };

// The variations of example `index` of a mechanism: pairwise over types, fills and layouts, spread over the examples; with
// `all`, every one. Returns their number.
uint32_t harness_variations(const ikat_mechanism_case *example, uint32_t index, bool all,
                            variation out[HARNESS_MAX_VARIATIONS]);

// "float16 random rows"
void variation_describe(const variation *variation, char *out, size_t capacity);

// Whether only sampled rows of an example can be compared.
bool harness_is_large(const ikat_mechanism_case *example);

// The values of one call and what the reference makes of them.
typedef struct expected {
    drawing drawing;
    variation variation;
    uint64_t seed;
    struct {
        const char *name;
        ikat_tensor tensor;
        void *data;
    } outputs[8];
    uint32_t num_outputs;
} expected;

// Draws values and computes the reference. False, with the reason in out->text, if that fails.
bool harness_expect(harness *harness, const ikat_mechanism_info *info, const ikat_mechanism_case *example,
                    const variation *variation, expected *out_expected, outcome *out);
void expected_free(expected *expected);

// Runs the call on a device and compares.
//
// variant  the kernel variant to take, as ikat_variant_at names it; NULL: the best
void harness_check(harness *harness, ikat_device *device, const expected *expected, const char *variant, outcome *out);

// Runs a large example on a device and compares sampled rows (sample.h).
void harness_check_large(harness *harness, ikat_device *device, const ikat_mechanism_info *info,
                         const ikat_mechanism_case *example, ikat_dtype dtype, const char *variant, outcome *out);

// Lists the kernels of a plan's steps, each once, with blanks between.
void harness_list_kernels(const ikat_plan *plan, char *out, size_t capacity);

#endif
