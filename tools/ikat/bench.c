// ikat bench: how fast mechanisms are on devices, results checked.

#include "bench.h"
#include "commands.h"
#include "load.h"
#include "targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    OPTION_DEVICES,
    OPTION_ALL_DEVICES,
    {"batch", "B", false, false, "batch entries (default 1)"},
    {"heads", "H", false, false, "query heads (default 8)"},
    {"kv-heads", "H", false, false, "key/value heads (default: as --heads)"},
    {"head-size", "D", false, false, "default 64; channels C are heads times D"},
    {"value-size", "D", false, false, "default: as --head-size"},
    {"n", "LIST", false, false,
     "lengths (N, or rows S): 2048, or 1024,3000, or 1024:65536 (doubling); default 2048"},
    {"queries", "N", false, false, "query rows, where they are not as many as keys (1: decoding)"},
    {"globals", "G", false, false, "global positions, where there are any (default 64)"},
    {"shape", "NAME=EXTENTS", true, true,
     "an optional input, of random values: rel_key=27,8,64; or lengths=1@900"},
    {"dtype", "TYPE", false, false, "float32 (default) or float16"},
    OPTION_SETTINGS,
    OPTION_VARIANT,
    OPTION_LIMITS,
    {"time", "S", false, false, "seconds of samples a row, at least 5 samples (default 1)"},
    {"against", "NAME", false, false,
     "compare with this mechanism's time, or none (default dense; on cpu none)"},
    {"no-start", NULL, false, false,
     "leave out how long first results take, cold and from the disk cache"},
    {"json", "FILE", false, false, "results as JSON"},
    {"csv", "FILE", false, false, "results as CSV"},
    OPTION_VERBOSE,
    OPTION_HELP,
};

enum { MAX_LENGTHS = 64 };

typedef struct cli_bench {
    cli_tool *tool;
    const cli_args *args;
    bench_params params;
    ikat_setting *settings;
    int64_t lengths[MAX_LENGTHS];
    uint32_t num_lengths;
    int64_t queries; // 0: as keys
    const ikat_mechanism_info *against;
    char *cache_dir;
    char inputs[512];
    bench_row **rows;
    uint32_t num_rows;
} cli_bench;

static bool add_length(cli_bench *bench, int64_t length) {
    if (length < 1 || length > INT32_MAX || bench->num_lengths == MAX_LENGTHS) {
        return false;
    }
    bench->lengths[bench->num_lengths++] = length;
    return true;
}

// "1024", "1024:65536" or several of them with commas.
static bool parse_lengths(cli_bench *bench, const char *text) {
    do {
        size_t length = strcspn(text, ",");
        size_t first = strcspn(text, ":,");
        int64_t from, to;
        if (!args_parse_integer(text, first, &from)) {
            return false;
        }
        to = from;
        if (first < length && !args_parse_integer(text + first + 1, length - first - 1, &to)) {
            return false;
        }
        if (to < from) {
            return false;
        }
        for (int64_t n = from; n <= to; n *= 2) {
            if (!add_length(bench, n)) {
                return false;
            }
        }
        text += length;
    } while (*text++ == ',');
    return true;
}

static int read_options(cli_bench *bench) {
    const cli_args *args = bench->args;
    bench_sizes *sizes = &bench->params.sizes;
    const char *lengths = args_value(args, "n");
    *sizes = (bench_sizes){.batch = 1, .heads = 8, .head_size = 64, .globals = 64};
    bench->params.seconds = 1;
    int code = args_integer(args, "batch", 1, 65535, &sizes->batch);
    code = code ? code : args_integer(args, "heads", 1, 65535, &sizes->heads);
    sizes->kv_heads = sizes->heads;
    code = code ? code : args_integer(args, "kv-heads", 1, 65535, &sizes->kv_heads);
    code = code ? code : args_integer(args, "head-size", 1, 65535, &sizes->head_size);
    sizes->value_size = sizes->head_size;
    code = code ? code : args_integer(args, "value-size", 1, 65535, &sizes->value_size);
    code = code ? code : args_integer(args, "globals", 1, INT32_MAX, &sizes->globals);
    code = code ? code : args_integer(args, "queries", 1, INT32_MAX, &bench->queries);
    code = code ? code : args_number(args, "time", 0, 3600, &bench->params.seconds);
    code = code ? code : load_main_dtype(args, &bench->params.dtype);
    if (!code && !parse_lengths(bench, lengths ? lengths : "2048")) {
        code = tool_fail("--n is '%s', expected lengths such as 2048, 1024,3000 or 1024:65536",
                         lengths);
    }
    return code;
}

// The optional inputs of --shape as one text.
static int read_inputs(cli_bench *bench) {
    const cli_argument *input;
    for (uint32_t i = 0; (input = args_nth(bench->args, "shape", i)); i++) {
        const size_t length = strlen(bench->inputs);
        const int added = snprintf(bench->inputs + length, sizeof(bench->inputs) - length, " %s=%s",
                                   input->name, input->text);
        if (added >= (int)(sizeof(bench->inputs) - length) || strchr(input->text, ' ')) {
            return tool_fail("--shape %s=%s is too long or has blanks, expected extents such as "
                             "rel_key=27,8,64",
                             input->name, input->text);
        }
    }
    bench->params.inputs = bench->inputs;
    return TOOL_OK;
}

static int read_against(cli_bench *bench) {
    const char *name = args_value(bench->args, "against");
    if (name && strcmp(name, "none") == 0) {
        return TOOL_OK;
    }
    bench->against = ikat_mechanism_find(name ? name : "dense");
    return bench->against
               ? TOOL_OK
               : tool_fail("--against is '%s', expected none or a mechanism that 'ikat list' shows",
                           name);
}

static bench_row *add_row(cli_bench *bench) {
    bench->rows = tool_resize(bench->rows, bench->num_rows + 1, sizeof(*bench->rows));
    bench_row *row = tool_alloc(1, sizeof(*row));
    bench->rows[bench->num_rows++] = row;
    return row;
}

static void set_length(cli_bench *bench, uint32_t index) {
    bench->params.sizes.keys = bench->lengths[index];
    bench->params.sizes.queries = bench->queries ? bench->queries : bench->lengths[index];
}

// All lengths of one mechanism on one device. Starts are measured before the device is opened for
// the rest.
static int bench_device(cli_bench *bench, const char *name) {
    const char *limits = args_value(bench->args, "limits");
    bench_start start = {-1, -1, -1, -1};
    ikat_device *device = NULL;
    int code = TOOL_OK;
    ikat_status status = tool_device_open(bench->tool, name, limits, &device);
    if (status) {
        return tool_exit_code(bench->tool, status);
    }
    set_length(bench, 0);
    bench->tool->quiet = true;
    bool has_kernels = ikat_variant_at(ikat_device_get_info(device)->backend, 0) != NULL;
    if (has_kernels && !args_flag(bench->args, "no-start")) {
        tool_progress("first results", 0, bench->num_lengths + 1);
        bench_measure_start(&bench->params, name, limits, bench->cache_dir, &start);
    }
    // The reference is not there for its speed.
    const bool compares = has_kernels || args_value(bench->args, "against");
    bench_against against = {compares ? bench->against : NULL, 0};
    const uint32_t first = bench->num_rows;
    for (uint32_t i = 0; i < bench->num_lengths; i++) {
        bench_row *row = add_row(bench);
        set_length(bench, i);
        tool_progress(name ? name : "the best device", i + 1, bench->num_lengths + 1);
        bench_measure(&bench->params, device, row);
        bench_measure_against(&bench->params, device, &against, row);
        tool_progress("", 1, 1);
        row->start = start;
        if (row->status == IKAT_INVALID) {
            code = tool_fail("%s", row->error);
            break;
        }
        if (i == 0) {
            bench_print_device(row);
        }
        bench_print_row(row);
        bench_print_against(row);
        fflush(stdout);
    }
    if (!code) {
        const bench_row *const *rows = (const bench_row *const *)bench->rows + first;
        bench_print_growth(rows, bench->num_rows - first);
        bench_print_crossover(rows, bench->num_rows - first);
    }
    bench->tool->quiet = false;
    ikat_device_destroy(&device);
    return code;
}

static int bench_mechanism(cli_bench *bench, const char *mechanism) {
    bench->params.info = ikat_mechanism_find(mechanism);
    if (!bench->params.info) {
        return tool_fail("there is no mechanism '%s', expected one of those that 'ikat list' shows",
                         mechanism);
    }
    char *names[TARGETS_MAX];
    uint32_t num;
    int code = targets_list(bench->tool, bench->args, names, &num);
    for (uint32_t i = 0; i < num; i++) {
        // A device that cannot be opened does not keep --all-devices from the others.
        bool go_on = !code || (code == TOOL_DEVICE && args_flag(bench->args, "all-devices"));
        int own = go_on ? bench_device(bench, names[i][0] ? names[i] : NULL) : TOOL_OK;
        code = code ? code : own;
        free(names[i]);
    }
    return code;
}

// A row that could not run makes 3, unless all the rest is worse: a wrong result makes 1.
static int write_reports(const cli_bench *bench) {
    const bench_row *const *rows = (const bench_row *const *)bench->rows;
    const char *json = args_value(bench->args, "json");
    const char *csv = args_value(bench->args, "csv");
    int code = json ? bench_write_json(json, rows, bench->num_rows) : TOOL_OK;
    code = code || !csv ? code : bench_write_csv(csv, rows, bench->num_rows);
    bool wrong = false, failed = false;
    for (uint32_t i = 0; i < bench->num_rows; i++) {
        wrong = wrong || bench->rows[i]->correct == BENCH_WRONG;
        failed = failed || bench->rows[i]->num_samples == 0;
    }
    if (code) {
        return code;
    }
    return wrong ? TOOL_FAILED : failed ? TOOL_DEVICE : TOOL_OK;
}

static int bench_all(cli_bench *bench) {
    int code = TOOL_OK;
    for (uint32_t i = 0; i < bench->args->num_words && !code; i++) {
        code = bench_mechanism(bench, bench->args->words[i]);
    }
    for (uint32_t i = 0; i < ikat_mechanism_count() && bench->args->num_words == 0 && !code; i++) {
        code = bench_mechanism(bench, ikat_mechanism_at(i)->name);
    }
    int reported = code == TOOL_USAGE ? TOOL_OK : write_reports(bench);
    return reported ? reported : code;
}

static int run(cli_tool *tool, const cli_args *args) {
    cli_bench bench = {.tool = tool,
                       .args = args,
                       .params = {.tool = tool, .variant = args_value(args, "variant")}};
    int code = read_options(&bench);
    code = code ? code : read_inputs(&bench);
    code = code ? code : read_against(&bench);
    if (code) {
        return code;
    }
    bench.settings = args_settings(args, &bench.params.num_settings);
    bench.params.settings = bench.settings;
    bench.cache_dir = tool_cache_dir();
    // A build without the reference measures all the same.
    tool->quiet = true;
    if (tool_device_open(tool, "cpu", NULL, &bench.params.reference)) {
        bench.params.reference = NULL;
    }
    tool->quiet = false;
    tool_forget(tool);
    code = bench_all(&bench);
    ikat_device_destroy(&bench.params.reference);
    for (uint32_t i = 0; i < bench.num_rows; i++) {
        free(bench.rows[i]);
    }
    free(bench.rows);
    free(bench.settings);
    free(bench.cache_dir);
    return code;
}

const cli_command command_bench = {
    "bench",
    "[NAME..] [--device D..|--all-devices] [--heads 8] [--n 1024:65536] [--dtype float16] [--json "
    "FILE]",
    "Measures mechanisms on devices, required inputs and outputs (GFLOP/s of visible pairs); "
    "checks "
    "the results.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    UINT32_MAX,
    run,
};
