// Times a product of matrices:
//
//   time_gemm DEVICE ROWS COLUMNS DEPTH [VARIANT] [WORD...]
//
// DEVICE as the command line takes it; VARIANT part of a name, "" the best; words: ta tb (transposed a, b),
// f16 (halves), heads=H. Prints the variant, the median and the least time of a run, GFLOP/s.

#include "products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_word(product *call, const char *word) {
    call->transposed_a |= strcmp(word, "ta") == 0;
    call->transposed_b |= strcmp(word, "tb") == 0;
    call->half_a |= strcmp(word, "f16") == 0;
    call->half_b = call->half_c = call->half_a;
    if (strncmp(word, "heads=", 6) == 0) {
        call->heads = atoll(word + 6);
    }
}

static int time_on(ikat_device *device, const product *call, const char *variant) {
    ikat_plan *plan;
    ikat_status status = product_plan(device, call, variant, &plan);
    if (status) {
        fprintf(stderr, "no plan: %s\n", ikat_status_name(status));
        return EXIT_FAILURE;
    }
    const double flops = 2.0 * (double)(call->batches * call->heads) * (double)call->rows *
                         (double)call->columns * (double)call->depth;
    uint64_t median_ns, least_ns;
    const bool timed = product_time(device, plan, call, 15, &median_ns, &least_ns);
    const double error = product_error(plan, call, &status);
    ikat_step_info step;
    ikat_plan_get_step(plan, 0, &step);
    if (timed) {
        printf("%s: %.3f ms (min %.3f), %.1f GFLOP/s (max %.1f), error %.1e\n", step.kernel,
               1e-6 * (double)median_ns, 1e-6 * (double)least_ns, flops / (double)median_ns,
               flops / (double)least_ns, error);
    }
    ikat_plan_destroy(&plan);
    return timed ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "time_gemm DEVICE ROWS COLUMNS DEPTH [VARIANT] [WORD...]\n");
        return 2;
    }
    product call = {.batches = 1,
                    .heads = 1,
                    .rows = atoll(argv[2]),
                    .columns = atoll(argv[3]),
                    .depth = atoll(argv[4])};
    for (int i = 6; i < argc; i++) {
        read_word(&call, argv[i]);
    }
    const char *variant = argc > 5 && argv[5][0] ? argv[5] : NULL;
    ikat_context *context;
    ikat_device *device = NULL;
    const ikat_device_params params = {.name = argv[1]};
    if (ikat_context_create(NULL, &context) || ikat_device_open(context, &params, &device)) {
        fprintf(stderr, "no device %s\n", argv[1]);
        return EXIT_FAILURE;
    }
    const int result = time_on(device, &call, variant);
    ikat_device_destroy(&device);
    ikat_context_destroy(&context);
    return result;
}
