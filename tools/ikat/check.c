// ikat check: devices against the reference, over a mechanism's examples.

#include "commands.h"
#include "harness.h"
#include "targets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {"all", NULL, false, false, "every mechanism (also without any name)"},
    OPTION_DEVICES,
    OPTION_ALL_DEVICES,
    {"all-variants", NULL, false, false,
     "each example once more with every kernel variant that the device can run"},
    {"thorough", NULL, false, false,
     "all combinations of types, fills and layouts instead of pairs"},
    {"large", NULL, false, false, "the large examples instead, by sampled rows"},
    {"case", "TEXT", false, false, "only examples whose name contains TEXT"},
    {"seed", "N", false, false, "of the values (default 1)"},
    OPTION_VARIANT,
    OPTION_LIMITS,
    OPTION_VERBOSE,
    OPTION_HELP,
};

// One line of the summary: a mechanism on a device.
typedef struct cli_tally {
    const char *mechanism;
    const ikat_device_info *device;
    uint32_t passed;
    uint32_t failed;
    uint32_t skipped;
    double worst_error;
    double slowest_start;
    char slowest_kernels[128];
} cli_tally;

typedef struct cli_check {
    cli_tool *tool;
    const cli_args *args;
    cli_harness harness;
    cli_targets targets;
    cli_tally *tallies; // one a mechanism and device
    uint32_t num_tallies;
    uint64_t num_done;
    uint64_t num_total;
} cli_check;

static void print_failure(const cli_tally *tally, const char *what, const char *variant,
                          const cli_outcome *outcome) {
    tool_progress("", 1, 1);
    printf("FAILED %s %s on %s%s%s: %s%s%s\n", tally->mechanism, what, tally->device->id,
           variant ? " variant " : "", variant ? variant : "", outcome->text,
           outcome->kernels[0] ? " Kernels: " : "", outcome->kernels);
    fflush(stdout);
}

static void count_outcome(const cli_check *check, cli_tally *tally, const char *what,
                          const char *variant, const cli_outcome *outcome) {
    switch (outcome->verdict) {
    case VERDICT_PASSED: tally->passed++; break;
    case VERDICT_FAILED:
        tally->failed++;
        print_failure(tally, what, variant, outcome);
        break;
    case VERDICT_SKIPPED:
        tally->skipped++;
        if (check->tool->verbose) {
            printf("skipped %s %s on %s variant %s: %s\n", tally->mechanism, what,
                   tally->device->id, variant ? variant : "(best)", outcome->text);
        }
        break;
    }
    tally->worst_error = fmax(tally->worst_error, outcome->error);
    double start = 1e-9 * (double)outcome->start_ns;
    if (start > tally->slowest_start) {
        tally->slowest_start = start;
        snprintf(tally->slowest_kernels, sizeof(tally->slowest_kernels), "%.127s",
                 outcome->kernels);
    }
}

// The variants to run: the best (NULL), or the one that was asked for; with --all-variants the
// backend's in order.
static const char *pick_variant(const cli_check *check, const ikat_device_info *device,
                                uint32_t index, bool *out_end) {
    *out_end = false;
    if (index == 0) {
        return args_value(check->args, "variant");
    }
    const char *name =
        args_flag(check->args, "all-variants") ? ikat_variant_at(device->backend, index - 1) : NULL;
    *out_end = name == NULL;
    return name;
}

// Variants that the best choice already was are not run again; the others take turns with the types.
static void check_on_device(cli_check *check, const cli_expected *expected, uint32_t example,
                            const char *what, uint32_t device, cli_tally *tally) {
    bool thorough = args_flag(check->args, "thorough");
    bool end = false;
    char best[256] = "";
    for (uint32_t i = 0; !end; i++) {
        const char *variant = pick_variant(check, tally->device, i, &end);
        bool again = i > 0 && !end &&
                     (harness_takes_variant(best, variant) ||
                      (!thorough && !harness_wants_variant(&expected->variation, example, i)));
        if (!end && !again) {
            cli_outcome outcome;
            harness_check(&check->harness, check->targets.devices[device], expected, variant,
                          &outcome);
            count_outcome(check, tally, what, variant, &outcome);
            if (i == 0) {
                memcpy(best, outcome.kernels, sizeof(best));
            }
        }
    }
}

static void check_example(cli_check *check, const ikat_mechanism_info *info, uint32_t index,
                          const ikat_mechanism_case *example, cli_tally *tallies) {
    cli_variation variations[HARNESS_MAX_VARIATIONS];
    uint32_t num =
        harness_variations(example, index, args_flag(check->args, "thorough"), variations);
    for (uint32_t i = 0; i < num; i++) {
        cli_expected expected;
        cli_outcome outcome;
        char what[128] = "";
        tool_append(what, sizeof(what), "%s ", example->name);
        variation_describe(&variations[i], what, sizeof(what));
        bool good =
            harness_expect(&check->harness, info, example, &variations[i], &expected, &outcome);
        for (uint32_t device = 0; device < check->targets.num; device++) {
            if (good) {
                check_on_device(check, &expected, index, what, device, &tallies[device]);
            } else {
                count_outcome(check, &tallies[device], what, NULL, &outcome);
            }
        }
        if (good) {
            expected_free(&expected);
        }
    }
}

static void check_large(cli_check *check, const ikat_mechanism_info *info,
                        const ikat_mechanism_case *example, cli_tally *tallies) {
    for (uint32_t device = 0; device < check->targets.num; device++) {
        bool end = false;
        for (uint32_t i = 0; !end; i++) {
            const char *variant = pick_variant(check, tallies[device].device, i, &end);
            if (!end) {
                cli_outcome outcome;
                harness_check_large(&check->harness, check->targets.devices[device], info, example,
                                    IKAT_FLOAT32, variant, &outcome);
                count_outcome(check, &tallies[device], example->name, variant, &outcome);
            }
        }
    }
}

static bool is_wanted(const cli_check *check, const ikat_mechanism_case *example) {
    const char *text = args_value(check->args, "case");
    return harness_is_large(example) == args_flag(check->args, "large") &&
           (!text || strstr(example->name, text));
}

static void check_mechanism(cli_check *check, const ikat_mechanism_info *info) {
    cli_tally *tallies = &check->tallies[check->num_tallies];
    for (uint32_t i = 0; i < check->targets.num; i++) {
        tallies[i] = (cli_tally){.mechanism = info->name,
                                 .device = ikat_device_get_info(check->targets.devices[i])};
    }
    check->num_tallies += check->targets.num;
    uint32_t num_examples;
    const ikat_mechanism_case *examples = ikat_mechanism_cases(info->name, &num_examples);
    for (uint32_t i = 0; i < num_examples; i++) {
        tool_progress(examples[i].name, i, num_examples);
        if (is_wanted(check, &examples[i])) {
            if (harness_is_large(&examples[i])) {
                check_large(check, info, &examples[i], tallies);
            } else {
                check_example(check, info, i, &examples[i], tallies);
            }
        }
    }
    tool_progress("", 1, 1);
}

// The summary; returns an exit code. A device on which nothing at all was checked has not passed.
static int print_summary(const cli_check *check) {
    uint32_t failed = 0, checked = 0;
    printf("%-16s %-12s %-28s %7s %7s %8s %10s %9s  %s\n", "mechanism", "device", "name", "passed",
           "failed", "skipped", "worst", "slowest", "from source to first result");
    for (uint32_t i = 0; i < check->num_tallies; i++) {
        const cli_tally *tally = &check->tallies[i];
        printf("%-16s %-12s %-28.28s %7u %7u %8u %10.2g %7.2f s  %s\n", tally->mechanism,
               tally->device->id, tally->device->name, tally->passed, tally->failed, tally->skipped,
               tally->worst_error, tally->slowest_start, tally->slowest_kernels);
        failed += tally->failed;
        checked += tally->passed + tally->failed;
    }
    printf("%s: %u checked, %u failed", failed ? "FAILED" : "passed", checked, failed);
    if (check->targets.num_refused) {
        printf(", %u devices could not be opened", check->targets.num_refused);
    }
    printf("\n");
    if (checked == 0) {
        return tool_fail("no example was run, expected --case and --variant to leave some");
    }
    return failed ? TOOL_FAILED : check->targets.num_refused ? TOOL_DEVICE : TOOL_OK;
}

static int find_mechanisms(const cli_args *args, const ikat_mechanism_info **out,
                           uint32_t *out_num) {
    bool all = args_flag(args, "all") || args->num_words == 0;
    *out_num = 0;
    if (args_flag(args, "all") && args->num_words) {
        return tool_fail("--all and '%s' exclude each other, expected one of them", args->words[0]);
    }
    for (uint32_t i = 0; all && i < ikat_mechanism_count(); i++) {
        out[(*out_num)++] = ikat_mechanism_at(i);
    }
    for (uint32_t i = 0; i < args->num_words; i++) {
        out[*out_num] = ikat_mechanism_find(args->words[i]);
        if (!out[(*out_num)++]) {
            return tool_fail(
                "there is no mechanism '%s', expected one of those that 'ikat list' shows",
                args->words[i]);
        }
    }
    return TOOL_OK;
}

static int run_checks(cli_check *check, const ikat_mechanism_info *const *mechanisms,
                      uint32_t num) {
    int64_t seed = 1;
    int code = args_integer(check->args, "seed", 0, INT64_MAX, &seed);
    code = code ? code : targets_open(check->tool, check->args, &check->targets);
    if (code) {
        return code;
    }
    ikat_status status = harness_open(&check->harness, check->tool);
    check->harness.seed = (uint64_t)seed;
    if (status) {
        code = tool_exit_code(check->tool, status);
    } else {
        check->tool->quiet = true;
        check->tallies = tool_alloc((size_t)num * check->targets.num, sizeof(*check->tallies));
        for (uint32_t i = 0; i < num; i++) {
            check_mechanism(check, mechanisms[i]);
        }
        code = print_summary(check);
        free(check->tallies);
    }
    harness_close(&check->harness);
    targets_close(&check->targets);
    return code;
}

static int run(cli_tool *tool, const cli_args *args) {
    uint32_t num;
    uint32_t capacity = ikat_mechanism_count() + args->num_words;
    const ikat_mechanism_info **mechanisms = tool_alloc(capacity, sizeof(*mechanisms));
    cli_check check = {.tool = tool, .args = args};
    int code = find_mechanisms(args, mechanisms, &num);
    code = code ? code : run_checks(&check, mechanisms, num);
    free(mechanisms);
    return code;
}

const cli_command command_check = {
    "check",
    "[NAME..|--all] [--device D..|--all-devices] [--all-variants] [--limits minimal]",
    "Runs the examples of mechanisms on devices and compares with the reference. Exit status 1 if "
    "one fails.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    UINT32_MAX,
    run,
};
