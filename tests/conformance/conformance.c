// Every mechanism's examples on every device of a backend, against the reference: one test a device
// and example, made from the registry.
//
//   conformance [--backend NAME] [--limits TEXT] [--variants] [--thorough] [--brief] [--large]
//               [--turns N] [--mechanism NAME] [--case TEXT]

#include "harness.h"
#include "select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXIT_NOTHING = 77, MAX_VARIANTS = 128 };

static const cli_option options[] = {
    {"backend", "NAME", false, false, "only its devices"},
    {"variants", NULL, false, false, "every kernel variant, not only the best"},
    {"thorough", NULL, false, false, "all types, fills and layouts, not only pairs"},
    {"brief", NULL, false, false, "each example in one type only, in turns: half the programs"},
    {"turns", "N", false, false, "every N-th example a device, or a variant, in turns"},
    {"large", NULL, false, false, "the large examples instead"},
    {"device", "TEXT", false, false, "only devices whose name contains TEXT"},
    {"mechanism", "NAME", false, false, "only its examples"},
    {"case", "TEXT", false, false, "only examples whose name contains TEXT"},
    OPTION_LIMITS,
    OPTION_VERBOSE,
    OPTION_HELP,
};

static const cli_command command = {
    "conformance",
    "[--backend NAME] [--limits TEXT] [--variants] [--thorough] [--brief] [--large]",
    "Runs the examples of all mechanisms on all devices of a backend.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    0,
    NULL,
};

typedef struct exclusion {
    const char *device;
    const char *mechanism;
    const char *example;
    const char *reason;
} exclusion;

static const exclusion exclusions[] = {
#define EXCLUDE(device, mechanism, example, reason) {device, mechanism, example, reason},
#include "exclusions.inc"
#undef EXCLUDE
    {NULL, NULL, NULL, NULL},
};

// A variant on a device: in how many checks it ran, how long it took at most from its source to a
// first result, and why not in the last where it did not.
typedef struct variant_coverage {
    uint32_t num_ran;
    double slowest;
    char reason[256];
} variant_coverage;

typedef struct conformance_suite {
    cli_tool tool;
    cli_args args;
    cli_harness harness;
    cli_targets targets;
    int64_t turns;
    variant_coverage coverage[TARGETS_MAX][MAX_VARIANTS];
} conformance_suite;

// One test.
typedef struct conformance_test {
    conformance_suite *suite;
    uint32_t device;
    const ikat_mechanism_info *info;
    const ikat_mechanism_case *example;
    uint32_t mechanism, index; // number of the mechanism, and of the example among its own
    char name[192];
    uint32_t num_failed;
    uint32_t num_passed;
} conformance_test;

static const ikat_device_info *device_info(const conformance_test *test) {
    return ikat_device_get_info(test->suite->targets.devices[test->device]);
}

static const exclusion *find_exclusion(const conformance_test *test) {
    const ikat_device_info *info = device_info(test);
    for (const exclusion *row = exclusions; row->device; row++) {
        if ((strstr(info->name, row->device) || strstr(info->driver, row->device)) &&
            strcmp(row->mechanism, test->info->name) == 0 &&
            strstr(test->example->name, row->example)) {
            return row;
        }
    }
    return NULL;
}

static void count(conformance_test *test, const char *what, const char *variant,
                  const cli_outcome *outcome) {
    if (outcome->verdict == VERDICT_PASSED) {
        test->num_passed++;
    } else if (outcome->verdict == VERDICT_FAILED) {
        test->num_failed++;
        print_error("%s, %s, %s: %s Kernels: %s\n", test->name, what,
                    variant ? variant : "best variant", outcome->text, outcome->kernels);
    }
}

static void cover(variant_coverage *coverage, const cli_outcome *outcome) {
    if (outcome->verdict != VERDICT_SKIPPED) {
        double start = 1e-9 * (double)outcome->start_ns;
        coverage->num_ran++;
        coverage->slowest = start > coverage->slowest ? start : coverage->slowest;
    } else {
        snprintf(coverage->reason, sizeof(coverage->reason), "%.255s", outcome->text);
    }
}

static const char *variant_at(const conformance_test *test, uint32_t index) {
    return args_flag(&test->suite->args, "variants") && index < MAX_VARIANTS
               ? ikat_variant_at(device_info(test)->backend, index)
               : NULL;
}

// Whether it is the example's turn, where every N-th of a mechanism is run: on the next device, and for the
// next variant, it is another's.
static bool takes_turn(const conformance_test *test, uint32_t variant) {
    return (test->index + test->device + variant) % test->suite->turns == 0;
}

static void check_values(conformance_test *test, const cli_expected *expected, const char *what) {
    conformance_suite *suite = test->suite;
    ikat_device *device = suite->targets.devices[test->device];
    cli_outcome best, outcome;
    const char *variant;
    harness_check(&suite->harness, device, expected, NULL, &best);
    count(test, what, NULL, &best);
    for (uint32_t i = 0; (variant = variant_at(test, i)) != NULL; i++) {
        variant_coverage *own = &suite->coverage[test->device][i];
        if (harness_takes_variant(best.kernels, variant)) {
            cover(own, &best);
            continue;
        }
        if (!args_flag(&suite->args, "thorough") &&
            !(harness_wants_variant(&expected->variation, test->index, i) && takes_turn(test, i))) {
            continue;
        }
        harness_check(&suite->harness, device, expected, variant, &outcome);
        count(test, what, variant, &outcome);
        cover(own, &outcome);
    }
}

static void check_small(conformance_test *test) {
    cli_variation variations[HARNESS_MAX_VARIATIONS];
    conformance_suite *suite = test->suite;
    uint32_t num = harness_variations(test->example, test->index,
                                      args_flag(&suite->args, "thorough"), variations);
    for (uint32_t i = 0; i < num; i++) {
        cli_expected expected;
        cli_outcome outcome;
        char what[64] = "";
        if (args_flag(&suite->args, "brief") &&
            !harness_wants_variant(&variations[i], test->index, 0)) {
            continue;
        }
        variation_describe(&variations[i], what, sizeof(what));
        if (harness_expect(&suite->harness, test->info, test->example, &variations[i], &expected,
                           &outcome)) {
            check_values(test, &expected, what);
            expected_free(&expected);
        } else {
            count(test, what, NULL, &outcome);
        }
    }
}

static void check_large(conformance_test *test) {
    conformance_suite *suite = test->suite;
    cli_outcome outcome;
    harness_check_large(&suite->harness, suite->targets.devices[test->device], test->info,
                        test->example, IKAT_FLOAT32, NULL, &outcome);
    count(test, "sampled rows", NULL, &outcome);
}

static void run_example(void **state) {
    conformance_test *test = *state;
    if (harness_is_large(test->example)) {
        check_large(test);
    } else {
        check_small(test);
    }
    const exclusion *excluded = find_exclusion(test);
    if (excluded && test->num_failed == 0) {
        fail_msg("%s is excluded (%s) but passes, expected the row to be taken out", test->name,
                 excluded->reason);
    } else if (excluded) {
        print_message("%s is excluded: %s\n", test->name, excluded->reason);
        skip();
    } else if (test->num_failed) {
        fail_msg("%u of %u checks failed", test->num_failed, test->num_failed + test->num_passed);
    }
}

static bool is_wanted(const conformance_test *test) {
    const conformance_suite *suite = test->suite;
    const char *text = args_value(&suite->args, "case");
    const char *device = args_value(&suite->args, "device");
    const char *mechanism = args_value(&suite->args, "mechanism");
    return (!mechanism || strcmp(test->info->name, mechanism) == 0) &&
           (!device || strstr(device_info(test)->name, device)) &&
           harness_is_large(test->example) == args_flag(&suite->args, "large") &&
           (args_flag(&suite->args, "variants") || takes_turn(test, test->mechanism)) &&
           (!text || strstr(test->example->name, text));
}

// Makes the tests of one mechanism on one device.
static void add_tests(conformance_suite *suite, uint32_t device, uint32_t mechanism,
                      conformance_test **tests, uint32_t *num) {
    uint32_t num_examples;
    const ikat_mechanism_info *info = ikat_mechanism_at(mechanism);
    const ikat_mechanism_case *examples = ikat_mechanism_cases(info->name, &num_examples);
    const ikat_device_info *where = ikat_device_get_info(suite->targets.devices[device]);
    for (uint32_t i = 0; i < num_examples; i++) {
        conformance_test test = {suite, device, info, &examples[i], mechanism, i, "", 0, 0};
        if (is_wanted(&test)) {
            snprintf(test.name, sizeof(test.name), "%s.%s.%s (%.40s)", info->name, examples[i].name,
                     where->id, where->name);
            *tests = tool_resize(*tests, *num + 1, sizeof(**tests));
            (*tests)[(*num)++] = test;
        }
    }
}

static int run_group(conformance_test *tests, uint32_t num) {
    struct CMUnitTest *units = tool_alloc(num, sizeof(*units));
    for (uint32_t i = 0; i < num; i++) {
        units[i] = (struct CMUnitTest){tests[i].name, run_example, NULL, NULL, &tests[i]};
    }
    int failed = _cmocka_run_group_tests("conformance", units, num, NULL, NULL);
    free(units);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// Which variants ran on which device; why the others did not.
static void print_coverage(const conformance_suite *suite) {
    const char *variant;
    for (uint32_t device = 0; device < suite->targets.num; device++) {
        const ikat_device_info *info = ikat_device_get_info(suite->targets.devices[device]);
        for (uint32_t i = 0; i < MAX_VARIANTS && (variant = ikat_variant_at(info->backend, i));
             i++) {
            const variant_coverage *own = &suite->coverage[device][i];
            if (own->num_ran) {
                print_message("%s %s: %u checks, first result after at most %.2f s\n", info->id,
                              variant, own->num_ran, own->slowest);
            } else {
                print_message("%s %s: skipped everywhere; %s\n", info->id, variant, own->reason);
            }
        }
    }
}

static int run_suite(conformance_suite *suite) {
    conformance_test *tests = NULL;
    uint32_t num = 0;
    for (uint32_t device = 0; device < suite->targets.num; device++) {
        for (uint32_t i = 0; i < ikat_mechanism_count(); i++) {
            add_tests(suite, device, i, &tests, &num);
        }
    }
    if (num == 0) {
        const bool has_devices = suite->targets.num > 0;
        print_error("%s\n", has_devices ? "no example of that name" : "no device of that backend");
        return has_devices ? EXIT_FAILURE : EXIT_NOTHING;
    }
    int code = run_group(tests, num);
    if (args_flag(&suite->args, "variants")) {
        print_coverage(suite);
    }
    free(tests);
    return code;
}

int main(int argc, char **argv) {
    // Of static size, but too large for a stack.
    conformance_suite *suite = tool_alloc(1, sizeof(*suite));
    int code = args_parse(&command, argc - 1, argv + 1, &suite->args);
    suite->turns = 1;
    code = code ? code : args_integer(&suite->args, "turns", 1, 1000, &suite->turns);
    if (!code && args_flag(&suite->args, "help")) {
        args_help(&command);
    } else if (!code) {
        code = EXIT_FAILURE;
        suite->tool.quiet = true;
        if (!tool_open(&suite->tool, args_flag(&suite->args, "verbose"), NULL) &&
            select_devices(&suite->tool, args_value(&suite->args, "backend"),
                           args_value(&suite->args, "limits"), &suite->targets) &&
            !harness_open(&suite->harness, &suite->tool)) {
            suite->tool.quiet = true;
            code = run_suite(suite);
        }
        harness_close(&suite->harness);
        targets_close(&suite->targets);
        tool_close(&suite->tool);
    }
    args_free(&suite->args);
    free(suite);
    return code;
}
