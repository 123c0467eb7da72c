// Kernels `gemm`, `collect` and `pack` on every device: the best variant, each variant by itself, with
// minimal limits, and where next to nothing can be bound at once.
//
//   gemm [--device TEXT] [--case TEXT]

#include "products.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIZES(called, b, h, n, m, k) \
    .name = called, .batches = b, .heads = h, .rows = n, .columns = m, .depth = k

// Programs take drivers long to compile, a second and more each: the first NUM_THOROUGH are run in every
// variant, and where little can be bound.
static const product products[] = {
    {SIZES("tiles", 1, 1, 300, 200, 260)},
    {SIZES("unaligned", 2, 2, 40, 44, 48), .biased = true, .padding = 1, .offset = 1},
    {SIZES("transposed_both", 2, 2, 68, 72, 36), .transposed_a = true, .transposed_b = true},
    {SIZES("transposed_odd", 1, 2, 67, 71, 35), .transposed_a = true, .transposed_b = true},
    {SIZES("halves", 1, 2, 68, 72, 132), .half_a = true, .half_b = true, .half_c = true},
    {SIZES("halves_odd", 2, 3, 17, 21, 35), .half_a = true, .half_b = true, .half_c = true,
     .half_bias = true, .biased = true, .padding = 1, .offset = 3},
    {SIZES("ragged", 3, 2, 68, 44, 96), .is_ragged = true, .repeats = 0x10},
    {SIZES("addend", 2, 2, 70, 67, 35), .biased = true, .bias_rows = true, .bias_scale = -2,
     .scale = -1},
    {SIZES("plain", 1, 1, 64, 64, 64)},
    {SIZES("addend_halves", 1, 2, 30, 40, 64), .biased = true, .bias_rows = true, .half_bias = true,
     .half_c = true, .bias_scale = 0.5, .relu = true},
    {SIZES("addend_repeats", 3, 2, 30, 40, 64), .biased = true, .bias_rows = true, .repeats = 0x46},
    {SIZES("addend_deep", 1, 1, 33, 20, 5003), .biased = true, .bias_rows = true,
     .bias_scale = 0.25},
    {SIZES("odd", 1, 1, 37, 29, 53)},
    {SIZES("one", 1, 1, 1, 1, 1)},
    {SIZES("row", 1, 1, 1, 200, 300)},
    {SIZES("column", 1, 1, 200, 1, 300)},
    {SIZES("outer", 1, 1, 70, 90, 1)},
    {SIZES("no_depth", 1, 2, 5, 9, 0), .biased = true},
    {SIZES("no_rows", 1, 2, 0, 9, 4)},
    {SIZES("no_columns", 2, 1, 3, 0, 4)},
    {SIZES("no_batch", 0, 2, 3, 5, 4)},
    {SIZES("batched", 3, 2, 20, 70, 40), .biased = true, .relu = true},
    {SIZES("repeats_b", 3, 4, 20, 24, 40), .biased = true, .repeats = 0x66},
    {SIZES("repeats_a", 3, 4, 20, 24, 40), .repeats = 0x11},
    {SIZES("repeats_a_tiles", 2, 3, 150, 140, 4500), .repeats = 0x10},
    {SIZES("repeats_bias", 2, 3, 9, 24, 16), .biased = true, .repeats = 0x04},
    {SIZES("single_rows", 5, 1, 1, 96, 64), .biased = true, .repeats = 0x66},
    {SIZES("transposed_a", 2, 2, 68, 72, 36), .transposed_a = true},
    {SIZES("transposed_b", 2, 2, 68, 72, 36), .transposed_b = true},
    {SIZES("transposed_a_odd_depth", 1, 1, 68, 72, 37), .transposed_a = true},
    {SIZES("halves_to_floats", 1, 2, 68, 72, 132), .half_a = true, .half_b = true},
    {SIZES("half_a", 1, 2, 36, 72, 40), .half_a = true},
    {SIZES("half_b", 1, 2, 36, 72, 40), .half_b = true, .half_bias = true, .biased = true},
    {SIZES("halves_transposed", 1, 1, 68, 72, 132), .transposed_a = true, .transposed_b = true,
     .half_a = true, .half_b = true},
    {SIZES("halves_odd_column", 2, 1, 33, 1, 20), .half_c = true, .offset = 1},
    {SIZES("padded", 2, 2, 40, 44, 48), .biased = true, .padding = 4, .offset = 8},
    {SIZES("scaled", 1, 1, 50, 60, 70), .scale = -0.25, .biased = true, .relu = true},
    {SIZES("many", 70, 30, 8, 8, 8)},
    {SIZES("deep", 1, 1, 16, 64, 9000), .biased = true, .relu = true, .scale = 0.5},
    {SIZES("deep_odd", 1, 2, 3, 33, 5003), .transposed_b = true, .half_c = true, .biased = true},
    {SIZES("deep_transposed", 1, 2, 32, 20, 4100), .transposed_a = true},
    {SIZES("ragged_odd", 5, 1, 21, 35, 33), .is_ragged = true, .transposed_a = true,
     .biased = true},
    {SIZES("ragged_halves", 2, 1, 20, 24, 36), .is_ragged = true, .transposed_b = true,
     .half_a = true, .half_b = true},
    {SIZES("ragged_deep", 2, 1, 9, 12, 9000), .is_ragged = true, .repeats = 0x01},
    {SIZES("very_deep", 1, 1, 5, 6, 200000)},
};

enum { NUM_PRODUCTS = sizeof(products) / sizeof(products[0]), NUM_THOROUGH = 7 };

// Of sums of so many products as the error is counted in: each partial sum is about the root of their
// number and is rounded by 6e-8, which adds up to no more than this.
static const double tolerance = 5e-7;

typedef struct target {
    ikat_device *device;
    const char *limits, *only;
    bool is_brief;
} target;

static void check(const target *t, const product *p, const char *variant) {
    ikat_plan *plan;
    ikat_status status = product_plan(t->device, p, variant, &plan);
    if (status == IKAT_UNSUPPORTED && variant) {
        return; // not on this device, or not for this product
    }
    double error = INFINITY;
    if (!status) {
        error = product_error(plan, p, &status);
        ikat_plan_destroy(&plan);
    }
    if (status || !(error <= tolerance)) {
        fail_msg("%s on %s, limits %s, variant %s: %s, error %g", p->name,
                 ikat_device_get_info(t->device)->name, t->limits ? t->limits : "own",
                 variant ? variant : "best", ikat_status_name(status), error);
    }
}

static void run_products(void **state) {
    const target *t = *state;
    const char *backend = ikat_device_get_info(t->device)->backend, *variant;
    for (int i = 0; i < (t->is_brief ? NUM_THOROUGH : NUM_PRODUCTS); i++) {
        const product *p = &products[i];
        if (t->only && !strstr(p->name, t->only)) {
            continue;
        }
        check(t, p, NULL);
        const bool each = !t->limits && i < NUM_THOROUGH;
        for (uint32_t v = 0; each && (variant = ikat_variant_at(backend, v)); v++) {
            if (strncmp(variant, "gemm.", 5) == 0) {
                check(t, p, variant);
            }
        }
    }
}

static int run_device(ikat_context *context, const ikat_device_info *info, const char *only) {
    static const char *const all_limits[] = {NULL, "minimal", "minimal,range=16384,groups=100"};
    int failed = 0;
    for (size_t i = 0; i < sizeof(all_limits) / sizeof(all_limits[0]); i++) {
        target t = {.limits = all_limits[i], .only = only, .is_brief = i == 2};
        ikat_device_info lowered = *info;
        if (t.limits) {
            ikat_device_limits_lower(&lowered.limits, t.limits);
        }
        const ikat_device_params params = {.name = info->id, .limits = &lowered.limits};
        if (ikat_device_open(context, &params, &t.device)) {
            fprintf(stderr, "%s cannot be opened\n", info->id);
            return 1;
        }
        char name[512];
        snprintf(name, sizeof(name), "%.200s, limits %s", info->name, t.limits ? t.limits : "own");
        const struct CMUnitTest tests[] = {{name, run_products, NULL, NULL, &t}};
        failed += cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
        ikat_device_destroy(&t.device);
    }
    return failed;
}

int main(int argc, char **argv) {
    const char *only = NULL, *device = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        *(strcmp(argv[i], "--case") == 0 ? &only : &device) = argv[i + 1];
    }
    ikat_context *context;
    ikat_device_info info;
    if (ikat_context_create(NULL, &context)) {
        return 1;
    }
    int failed = 0;
    for (uint32_t i = 0; !ikat_device_describe(context, NULL, i, &info); i++) {
        const bool has_kernels = strcmp(info.backend, "cpu") != 0;
        if (has_kernels && (!device || strstr(info.id, device) || strstr(info.name, device))) {
            failed += run_device(context, &info, only);
        }
    }
    ikat_context_destroy(&context);
    return failed ? 1 : 0;
}
