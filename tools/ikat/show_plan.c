// ikat plan: what a call would do, without doing it.

#include "commands.h"
#include "load.h"

#include <inttypes.h>
#include <stdio.h>

static const cli_option options[] = {
    {"in", "NAME=FILE", true, true, "an input, a .npy file"},
    {"shape", "NAME=EXTENTS", true, true, "an input by its shape alone: q=1,8,2048,64"},
    {"dtype", "TYPE", false, false,
     "of main tensors given by --shape: float32 (default) or float16"},
    OPTION_SETTINGS,
    {"out", "NAME=FILE", true, true, "an output to make; no file is written"},
    OPTION_DEVICE,
    OPTION_LIMITS,
    OPTION_VARIANT,
    OPTION_VERBOSE,
    OPTION_HELP,
};

static void print_tensor(const cli_job *job, const job_tensor *tensor) {
    ikat_tensor view;
    if (ikat_plan_get_tensor(job->plan, tensor->name, &view)) {
        return;
    }
    printf("  %-6s %-14s %-8s [", tensor->output ? "out" : "in", tensor->name,
           ikat_dtype_name(view.dtype));
    for (uint32_t axis = 0; axis < view.rank; axis++) {
        printf("%s%" PRId64, axis ? "," : "", view.shape[axis]);
    }
    printf("]\n");
}

static void print_steps(const ikat_plan *plan, uint32_t num_steps) {
    for (uint32_t i = 0; i < num_steps; i++) {
        ikat_step_info step;
        if (ikat_plan_get_step(plan, i, &step)) {
            continue;
        }
        printf("  step %" PRIu32 "  %s: %" PRIu64 " groups of %" PRIu32 ", %" PRIu32
               " slice%s, %.3g GFLOP\n",
               i, step.kernel, step.num_groups, step.group_size, step.num_slices,
               step.num_slices == 1 ? "" : "s", step.flops * 1e-9);
        if (step.refused && step.refused[0]) {
            printf("          refused: %s\n", step.refused);
        }
    }
}

static void print_plan(const cli_job *job) {
    ikat_plan_info info;
    const ikat_device_info *device = ikat_device_get_info(job->device);
    ikat_plan_get_info(job->plan, &info);
    printf("%s on %s (%s)\n", info.mechanism, device->id, device->name);
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        print_tensor(job, &job->tensors[i]);
    }
    print_steps(job->plan, info.num_steps);
    if (info.num_steps == 0) {
        printf("  one call of the reference\n");
    }
    printf("  %" PRIu32 " slice%s, workspace %" PRIu64
           " bytes, %.4g GFLOP, %.4g MB at least, %.4g visible pairs\n",
           info.num_slices, info.num_slices == 1 ? "" : "s", info.workspace_bytes,
           info.flops * 1e-9, info.bytes * 1e-6, info.visible_pairs);
    if (info.computed_pairs > 0) {
        printf("  %" PRIu64 " tiles compute %.4g pairs, %.1f %% of them visible; tables %" PRIu64
               " bytes\n",
               info.num_tiles, info.computed_pairs, 100 * info.visible_pairs / info.computed_pairs,
               info.table_bytes);
    }
    printf("  made in %.2f ms, of which %.2f ms compiling %" PRIu32 " programs\n",
           1e-6 * (double)info.create_time_ns, 1e-6 * (double)info.compile_time_ns,
           info.programs_compiled);
}

// Without --out: the main output, as the library takes it.
static int run(cli_tool *tool, const cli_args *args) {
    ikat_dtype dtype;
    cli_load load;
    int code = load_main_dtype(args, &dtype);
    code = code ? code : load_call(args, args->words[0], dtype, &load);
    if (code) {
        return code;
    }
    ikat_device *device = NULL;
    ikat_status status =
        tool_device_open(tool, args_value(args, "device"), args_value(args, "limits"), &device);
    status = status ? status : job_plan(&load.job, device);
    if (status) {
        code = tool_exit_code(tool, status);
    } else {
        code = load_check_values(&load);
    }
    if (!code) {
        print_plan(&load.job);
    }
    job_leave(&load.job);
    ikat_device_destroy(&device);
    load_free(&load);
    return code;
}

const cli_command command_plan = {
    "plan",
    "NAME [--shape q=1,8,2048,64].. [--set causal=1].. [--device D]",
    "Shows a call's steps, variants (and why better ones were refused), groups, workspace and "
    "slices.",
    options,
    sizeof(options) / sizeof(options[0]),
    1,
    1,
    run,
};
