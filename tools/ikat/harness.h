// Checks a device against the reference: examples of a mechanism, drawn values, layouts, poison and
// guards. Shared by `ikat check` and the conformance tests; sees the public headers alone.

#ifndef HARNESS_H
#define HARNESS_H

#include "layout.h"

typedef enum cli_verdict { VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED } cli_verdict;

// One way to run an example.
//
// only_main  only the first output that the example makes is asked for
typedef struct cli_variation {
    ikat_dtype dtype;
    cli_fill fill;
    cli_layout layout;
    bool only_main;
} cli_variation;

// error     the worst of all outputs, relative
// start_ns  from no plan to the first result, compilation included; 0 if nothing had to be compiled
// kernels   of the plan's steps
// text      why it failed or was skipped, with seed and worst element
typedef struct cli_outcome {
    cli_verdict verdict;
    double error;
    uint64_t start_ns;
    uint64_t compile_ns;
    char kernels[256];
    char text[1024];
} cli_outcome;

typedef struct cli_harness {
    cli_tool *tool;
    ikat_device *reference;
    uint64_t seed;
} cli_harness;

// Opens the reference, device `cpu`.
ikat_status harness_open(cli_harness *harness, cli_tool *tool);
void harness_close(cli_harness *harness);

enum { HARNESS_MAX_VARIATIONS = 2 * NUM_FILLS * NUM_LAYOUTS };

// The variations of example `index` of a mechanism: pairwise over types, fills and layouts, spread
// over the examples; with `all`, every one. Returns their number.
uint32_t harness_variations(const ikat_mechanism_case *example, uint32_t index, bool all,
                            cli_variation out[HARNESS_MAX_VARIATIONS]);

// "float16 random rows"
void variation_describe(const cli_variation *variation, char *out, size_t capacity);

// Whether only sampled rows of an example can be compared.
bool harness_is_large(const ikat_mechanism_case *example);

// The values of one call and what the reference makes of them.
typedef struct cli_expected {
    cli_drawing drawing;
    cli_variation variation;
    uint64_t seed;
    struct {
        const char *name;
        ikat_tensor tensor;
        bool main_type;
        void *data;
    } outputs[8];
    uint32_t num_outputs;
} cli_expected;

// Draws values and computes the reference. False, with the reason in out->text, if that fails.
bool harness_expect(cli_harness *harness, const ikat_mechanism_info *info,
                    const ikat_mechanism_case *example, const cli_variation *variation,
                    cli_expected *out_expected, cli_outcome *out);
void expected_free(cli_expected *expected);

// Runs the call on a device and compares.
//
// variant  the kernel variant to take, as ikat_variant_at names it; NULL: the best
void harness_check(cli_harness *harness, ikat_device *device, const cli_expected *expected,
                   const char *variant, cli_outcome *out);

// Runs a large example on a device and compares sampled rows (sample.h).
void harness_check_large(cli_harness *harness, ikat_device *device, const ikat_mechanism_info *info,
                         const ikat_mechanism_case *example, ikat_dtype dtype, const char *variant,
                         cli_outcome *out);

// Whether variant number `variant` of a backend is to run this variation of an example: each example in
// one type per variant, in turns, as each type is another program to compile. The best variant runs all.
bool harness_wants_variant(const cli_variation *variation, uint32_t example, uint32_t variant);

// Whether a list of kernels has one of this variant, "attend.lane_d64".
bool harness_takes_variant(const char *kernels, const char *variant);

// Lists the kernels of a plan's steps, each once, with blanks between.
void harness_list_kernels(const ikat_plan *plan, char *out, size_t capacity);

#endif
