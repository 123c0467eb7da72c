#include "harness.h"

#include "compare.h"
#include "load.h"
#include "sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ikat_status harness_open(cli_harness *harness, cli_tool *tool) {
    *harness = (cli_harness){.tool = tool, .seed = 1};
    return tool_device_open(tool, "cpu", NULL, &harness->reference);
}

void harness_close(cli_harness *harness) { ikat_device_destroy(&harness->reference); }

bool harness_is_large(const ikat_mechanism_case *example) {
    return strncmp(example->name, "large_", 6) == 0;
}

// Fill and layout run through all pairs; the parity of their sum gives each fill and each layout both
// types. Few calls ask for the main output alone: each such one is a kernel more to compile.
uint32_t harness_variations(const ikat_mechanism_case *example, uint32_t index, bool all,
                            cli_variation out[HARNESS_MAX_VARIATIONS]) {
    uint32_t num = 0;
    uint32_t num_fills = drawing_text_is_padded(example->inputs) ? NUM_FILLS : FILL_POISONED;
    for (uint32_t fill = 0; fill < num_fills; fill++) {
        bool only_main = fill == FILL_EQUAL && (all || index % 4 == 0);
        for (uint32_t layout = 0; layout < NUM_LAYOUTS; layout++) {
            if (!all && layout != (fill + index) % NUM_LAYOUTS) {
                continue;
            }
            bool half = (fill + layout + index / NUM_LAYOUTS) % 2;
            out[num++] = (cli_variation){half ? IKAT_FLOAT16 : IKAT_FLOAT32, (cli_fill)fill,
                                         (cli_layout)layout, only_main};
            if (all) {
                out[num] = out[num - 1];
                out[num++].dtype = half ? IKAT_FLOAT32 : IKAT_FLOAT16;
            }
        }
    }
    return num;
}

void variation_describe(const cli_variation *variation, char *out, size_t capacity) {
    tool_append(out, capacity, "%s %s %s%s", ikat_dtype_name(variation->dtype),
                fill_name(variation->fill), layout_name(variation->layout),
                variation->only_main ? " main" : "");
}

static void fail_status(const cli_harness *harness, ikat_status status, const char *what,
                        cli_outcome *out) {
    out->verdict = VERDICT_FAILED;
    snprintf(out->text, sizeof(out->text), "%s: %s", what, tool_reason(harness->tool, status));
}

static bool has_main_type(const ikat_mechanism_info *info, const char *output) {
    const ikat_argument_info *found = load_find(info->outputs, info->num_outputs, output);
    return found && strcmp(found->dtype, "float") == 0;
}

// Keeps the reference's outputs.
static void keep_outputs(cli_job *job, cli_expected *expected) {
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        job_tensor *tensor = &job->tensors[i];
        if (tensor->output) {
            uint32_t index = expected->num_outputs++;
            expected->outputs[index].name = tensor->name;
            expected->outputs[index].main_type =
                has_main_type(expected->drawing.info, tensor->name);
            expected->outputs[index].tensor = tensor->tensor;
            expected->outputs[index].data = job_extract(job, tensor);
        }
    }
}

// Adds the outputs that an example makes, or the first of them, as inferred.
static void add_outputs(cli_job *job, const cli_drawing *drawing, bool only_main) {
    bool done = false;
    for (uint32_t i = 0; i < drawing->info->num_outputs && !done; i++) {
        const char *name = drawing->info->outputs[i].name;
        if (drawing_makes(drawing, name)) {
            job_add_tensor(job, name, (ikat_tensor){0}, JOB_NO_IMAGE, true);
            done = only_main;
        }
    }
}

static ikat_status compute_reference(cli_harness *harness, cli_expected *expected) {
    cli_drawing wide;
    cli_job job;
    drawing_widen(&expected->drawing, &wide);
    layout_inputs(&wide, LAYOUT_PACKED, &job);
    add_outputs(&job, &expected->drawing, expected->variation.only_main);
    ikat_status status = job_compute(&job, harness->reference);
    if (!status) {
        keep_outputs(&job, expected);
    }
    job_free(&job);
    drawing_free(&wide);
    return status;
}

bool harness_expect(cli_harness *harness, const ikat_mechanism_info *info,
                    const ikat_mechanism_case *example, const cli_variation *variation,
                    cli_expected *out_expected, cli_outcome *out) {
    *out_expected = (cli_expected){.variation = *variation, .seed = harness->seed};
    *out = (cli_outcome){.verdict = VERDICT_FAILED};
    if (!drawing_make(info, example->inputs, example->settings, variation->dtype, variation->fill,
                      harness->seed, &out_expected->drawing, out->text, sizeof(out->text))) {
        return false;
    }
    tool_forget(harness->tool);
    ikat_status status = compute_reference(harness, out_expected);
    if (status) {
        fail_status(harness, status, "the reference fails", out);
        expected_free(out_expected);
    }
    return status == IKAT_OK;
}

void expected_free(cli_expected *expected) {
    drawing_free(&expected->drawing);
    for (uint32_t i = 0; i < expected->num_outputs; i++) {
        free(expected->outputs[i].data);
    }
    expected->num_outputs = 0;
}

void harness_list_kernels(const ikat_plan *plan, char *out, size_t capacity) {
    ikat_plan_info info;
    ikat_plan_get_info(plan, &info);
    out[0] = '\0';
    for (uint32_t i = 0; i < info.num_steps; i++) {
        ikat_step_info step;
        if (!ikat_plan_get_step(plan, i, &step) && !strstr(out, step.kernel)) {
            tool_append(out, capacity, "%s%s", out[0] ? " " : "", step.kernel);
        }
    }
}

bool harness_wants_variant(const cli_variation *variation, uint32_t example, uint32_t variant) {
    return (example + variant) % 2 == (variation->dtype == IKAT_FLOAT16);
}

// "attend.lane_d64" is in "attend.f32.lane_d64.lse merge.f32.rows": a kernel of that name has the
// rest as one of its words.
bool harness_takes_variant(const char *kernels, const char *variant) {
    const char *dot = strchr(variant, '.');
    size_t kernel_length = dot ? (size_t)(dot - variant) + 1 : 0;
    const char *name = dot ? dot + 1 : variant;
    size_t length = strlen(name);
    while (*(kernels += strspn(kernels, " "))) {
        size_t word = strcspn(kernels, " ");
        const char *end = kernels + word;
        bool same = strncmp(kernels, variant, kernel_length) == 0;
        for (const char *at = kernels; same && at + length <= end; at++) {
            bool begins = at == kernels || at[-1] == '.';
            bool ends = at + length == end || at[length] == '.';
            if (begins && ends && strncmp(at, name, length) == 0) {
                return true;
            }
        }
        kernels = end;
    }
    return false;
}

// A score of some hundreds is known to about 2^-16 in float32, and its exponential as well: what
// the page's tolerance, meant for N(0,1), does not count.
static double slack(cli_fill fill) {
    return fill == FILL_LARGE ? 1e-4 : fill == FILL_DOMINANT ? 3e-5 : 0;
}

static void compare_output(const cli_harness *harness, const cli_job *job,
                           const cli_expected *expected, uint32_t index, cli_outcome *out) {
    const job_tensor *tensor = &job->tensors[job->num_tensors - expected->num_outputs + index];
    void *got = job_extract(job, tensor);
    double tolerance =
        ikat_plan_tolerance(job->plan, tensor->name) + slack(expected->variation.fill);
    cli_comparison result;
    compare_arrays(&tensor->tensor, got, expected->outputs[index].tensor.dtype,
                   expected->outputs[index].data, tolerance, &result);
    out->error = fmax(out->error, result.error);
    uint64_t byte;
    if (!result.passed) {
        out->verdict = VERDICT_FAILED;
        tool_append(out->text, sizeof(out->text), "%s is off by %.3g, expected at most %.3g; ",
                    tensor->name, result.error, tolerance);
        compare_describe(&result, tensor->tensor.rank, out->text, sizeof(out->text));
        tool_append(out->text, sizeof(out->text), "; seed %" PRIu64 ". ", harness->seed);
    }
    if (!layout_guards_intact(job, tensor, &byte)) {
        out->verdict = VERDICT_FAILED;
        tool_append(out->text, sizeof(out->text),
                    "%s: byte %" PRIu64 " of its buffer, outside the tensor, was written. ",
                    tensor->name, byte);
    }
    free(got);
}

// The library says why it took none of a kernel's variants: keeps what it says of this one, such as
// "lane_d64 (subgroup size)".
static void shorten_refusals(const char *variant, cli_outcome *out) {
    const char *dot = strchr(variant, '.');
    char name[64];
    snprintf(name, sizeof(name), " %.60s (", dot ? dot + 1 : variant);
    const char *found = strstr(out->text, name);
    if (found) {
        char text[128];
        snprintf(text, sizeof(text), "%.*s", (int)strcspn(found, ")") + 1, found);
        snprintf(out->text, sizeof(out->text), "%s", text + 1);
    }
}

// UNSUPPORTED with a variant asked for is no failure: the device or the call cannot use it.
static void fail_plan(const cli_harness *harness, ikat_status status, const char *variant,
                      cli_outcome *out) {
    fail_status(harness, status, "no plan", out);
    if (status == IKAT_UNSUPPORTED && variant) {
        out->verdict = VERDICT_SKIPPED;
        shorten_refusals(variant, out);
    }
}

// Plans, runs and fetches; tells how long it took if something was compiled. False if it went wrong
// or was skipped.
static bool run_measured(cli_harness *harness, cli_job *job, ikat_device *device,
                         const char *variant, cli_outcome *out) {
    ikat_device_statistics before, after;
    ikat_device_get_statistics(device, &before);
    tool_forget(harness->tool);
    job->variant = variant;
    double start = tool_seconds();
    ikat_status status = job_plan(job, device);
    if (status) {
        fail_plan(harness, status, variant, out);
        return false;
    }
    harness_list_kernels(job->plan, out->kernels, sizeof(out->kernels));
    if (variant && !harness_takes_variant(out->kernels, variant)) {
        out->verdict = VERDICT_SKIPPED;
        snprintf(out->text, sizeof(out->text), "this call has no use for %s: it takes %.300s",
                 variant, out->kernels);
        return false;
    }
    status = job_bind(job);
    status = status ? status : job_run(job);
    out->start_ns = (uint64_t)(1e9 * (tool_seconds() - start));
    status = status ? status : job_fetch(job);
    ikat_device_get_statistics(device, &after);
    out->compile_ns = after.compile_time_ns - before.compile_time_ns;
    out->start_ns = after.programs_compiled > before.programs_compiled ? out->start_ns : 0;
    if (status) {
        fail_status(harness, status, "it does not run", out);
    }
    return status == IKAT_OK;
}

void harness_check(cli_harness *harness, ikat_device *device, const cli_expected *expected,
                   const char *variant, cli_outcome *out) {
    cli_job job;
    *out = (cli_outcome){.verdict = VERDICT_PASSED};
    layout_inputs(&expected->drawing, expected->variation.layout, &job);
    for (uint32_t i = 0; i < expected->num_outputs; i++) {
        ikat_tensor shape = expected->outputs[i].tensor;
        shape.dtype = expected->outputs[i].main_type ? expected->variation.dtype : shape.dtype;
        layout_output(&job, expected->outputs[i].name, &shape, expected->variation.layout);
    }
    if (run_measured(harness, &job, device, variant, out)) {
        for (uint32_t i = 0; i < expected->num_outputs; i++) {
            compare_output(harness, &job, expected, i, out);
        }
    }
    job_free(&job);
}

void harness_check_large(cli_harness *harness, ikat_device *device, const ikat_mechanism_info *info,
                         const ikat_mechanism_case *example, ikat_dtype dtype, const char *variant,
                         cli_outcome *out) {
    cli_drawing drawing;
    cli_job job;
    *out = (cli_outcome){.verdict = VERDICT_PASSED};
    if (!drawing_make(info, example->inputs, example->settings, dtype, FILL_RANDOM, harness->seed,
                      &drawing, out->text, sizeof(out->text))) {
        out->verdict = VERDICT_FAILED;
        return;
    }
    layout_inputs(&drawing, LAYOUT_PACKED, &job);
    add_outputs(&job, &drawing, false);
    if (run_measured(harness, &job, device, variant, out)) {
        cli_sampled sampled;
        if (!sample_check(harness->tool, harness->reference, &drawing, &job, harness->seed,
                          &sampled)) {
            out->verdict = VERDICT_FAILED;
            snprintf(out->text, sizeof(out->text), "%s; seed %" PRIu64, sampled.text,
                     harness->seed);
        }
        out->error = sampled.error;
    }
    job_free(&job);
    drawing_free(&drawing);
}
