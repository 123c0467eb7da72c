// ikat run: one call, from files to files.

#include "commands.h"
#include "files.h"
#include "load.h"
#include "values.h"

#include <stdlib.h>

static const cli_option options[] = {
    {"in", "NAME=FILE", true, true, "an input, a .npy file"},
    OPTION_SETTINGS,
    {"out", "NAME=FILE", true, true, "an output to make, and the .npy file it goes to"},
    OPTION_DEVICE,
    OPTION_LIMITS,
    OPTION_VARIANT,
    OPTION_VERBOSE,
    OPTION_HELP,
};

static int prepare_output(const cli_job *job, const job_tensor *tensor, const char *path,
                          pending_file *out_file) {
    char header[NPY_MAX_HEADER];
    const ikat_tensor *view = &tensor->tensor;
    size_t header_size = npy_header(view->dtype, view->rank, view->shape, header);
    void *packed = job_extract(job, tensor);
    file_part parts[] = {{header, header_size},
                         {packed, tensor_count(view) * ikat_dtype_size(view->dtype)}};
    int code = file_prepare(path, parts, 2, out_file);
    free(packed);
    return code;
}

// All outputs get their names after the last of them has been written.
static int write_outputs(const cli_args *args, cli_job *job) {
    uint32_t num = args_count(args, "out");
    pending_file *files = tool_alloc(num, sizeof(*files));
    int code = TOOL_OK;
    for (uint32_t i = 0; i < num && !code; i++) {
        const cli_argument *given = args_nth(args, "out", i);
        code = prepare_output(job, job_output(job, given->name), given->text, &files[i]);
    }
    for (uint32_t i = 0; i < num && !code; i++) {
        code = file_commit(&files[i]);
    }
    for (uint32_t i = 0; i < num; i++) {
        file_drop(&files[i]);
    }
    free(files);
    return code;
}

static int run_job(cli_tool *tool, const cli_args *args, cli_load *load, ikat_device *device) {
    ikat_status status = job_plan(&load->job, device);
    if (status) {
        return tool_exit_code(tool, status);
    }
    int code = load_check_values(load);
    if (code) {
        return code;
    }
    status = job_bind(&load->job);
    status = status ? status : job_run(&load->job);
    status = status ? status : job_fetch(&load->job);
    return status ? tool_exit_code(tool, status) : write_outputs(args, &load->job);
}

static int run(cli_tool *tool, const cli_args *args) {
    if (args_count(args, "out") == 0) {
        return tool_fail("--out is missing, expected --out NAME=FILE for at least one output");
    }
    cli_load load;
    int code = load_call(args, args->words[0], IKAT_FLOAT32, &load);
    if (code) {
        return code;
    }
    ikat_device *device = NULL;
    ikat_status status =
        tool_device_open(tool, args_value(args, "device"), args_value(args, "limits"), &device);
    code = status ? tool_exit_code(tool, status) : run_job(tool, args, &load, device);
    job_leave(&load.job);
    ikat_device_destroy(&device);
    load_free(&load);
    return code;
}

const cli_command command_run = {
    "run",
    "NAME [--in q=q.npy].. [--set window_left=256].. [--device D] --out out=out.npy ..",
    "Computes one mechanism on one device. Outputs are written whole or not at all.",
    options,
    sizeof(options) / sizeof(options[0]),
    1,
    1,
    run,
};
