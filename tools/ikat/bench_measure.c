#include "bench.h"

#include "harness.h"
#include "sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SAMPLES = 5, SEED = 1 };

// The largest divisor of n that is no larger than its root: rows of the grid that is nearest a square.
static int64_t rows_of_grid(int64_t n) {
    int64_t rows = 1;
    for (int64_t i = 2; i * i <= n; i++) {
        rows = n % i ? rows : i;
    }
    return rows;
}

static void set_letters(const bench_sizes *sizes, cli_letters *letters) {
    const int64_t rows = rows_of_grid(sizes->queries);
    letters_set(letters, "B", sizes->batch);
    letters_set(letters, "H", sizes->heads);
    letters_set(letters, "Hkv", sizes->kv_heads);
    letters_set(letters, "N", sizes->queries);
    letters_set(letters, "M", sizes->keys);
    letters_set(letters, "D", sizes->head_size);
    letters_set(letters, "Dv", sizes->value_size);
    letters_set(letters, "C", sizes->heads * sizes->head_size);
    letters_set(letters, "G", sizes->globals);
    letters_set(letters, "S", sizes->queries);
    letters_set(letters, "N1", rows);
    letters_set(letters, "N2", sizes->queries / rows);
}

// "q=1,8,2048,64 " for one input.
static bool describe_input(const ikat_argument_info *input, const cli_letters *letters, char *text,
                           size_t capacity) {
    cli_pattern shape;
    if (!pattern_first(input->shape, &shape)) {
        return false;
    }
    tool_append(text, capacity, "%s=", input->name);
    for (uint32_t axis = 0; axis < shape.rank; axis++) {
        const char *word = shape.axes[axis].words[0];
        int64_t extent;
        if (!letters_get(letters, word, &extent)) {
            char *end;
            extent = strtoll(word, &end, 10);
            if (end == word) {
                return false;
            }
        }
        tool_append(text, capacity, "%s%" PRId64, axis ? "," : "", extent);
    }
    tool_append(text, capacity, " ");
    return true;
}

static bool is_given(const bench_params *params, const char *name) {
    bool given = false;
    for (uint32_t i = 0; i < params->num_settings; i++) {
        given = given || strcmp(params->settings[i].name, name) == 0;
    }
    return given;
}

// Whether the call is of the usual kind: no shapes are given, and no word, which may stand for a kind of
// call that has other inputs.
static bool is_usual(const bench_params *params) {
    bool usual = params->inputs[0] == '\0';
    for (uint32_t i = 0; i < params->info->num_settings; i++) {
        const ikat_setting_info *setting = &params->info->settings[i];
        usual = usual && !(setting->type == IKAT_SETTING_WORD && is_given(params, setting->name));
    }
    return usual;
}

// Adds one word of the usual call, "proj_k=1,256,M" or "heads=H", letters replaced by their sizes.
static void add_word(const char *word, size_t length, const cli_letters *letters, char *text,
                     size_t capacity) {
    const char *at = memchr(word, '=', length), *end = word + length;
    tool_append(text, capacity, "%.*s", (int)(at - word), word);
    while (at < end) {
        tool_append(text, capacity, "%c", *at++); // '=' or ','
        char name[8] = "";
        int64_t extent;
        const size_t size = strcspn(at, ", ");
        memcpy(name, at, size < sizeof(name) ? size : 0);
        if (letters_get(letters, name, &extent)) {
            tool_append(text, capacity, "%" PRId64, extent);
        } else {
            tool_append(text, capacity, "%.*s", (int)size, at);
        }
        at += size;
    }
    tool_append(text, capacity, " ");
}

// Adds the words of the usual call's inputs or settings, but for settings that are given otherwise.
static void add_usual(const bench_params *params, const char *words, const cli_letters *letters,
                      char *text, size_t capacity) {
    while (words && *words) {
        const size_t length = strcspn(words, " ");
        char name[64] = "";
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(words, "="), words);
        if (!is_given(params, name)) {
            add_word(words, length, letters, text, capacity);
        }
        words += length + strspn(words + length, " ");
    }
}

// Whether words such as "proj_k=1,256,M" have one of that name.
static bool is_named(const char *words, const char *name) {
    const size_t size = strlen(name);
    while (words && *words) {
        if (strncmp(words, name, size) == 0 && words[size] == '=') {
            return true;
        }
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    return false;
}

bool bench_draw(const bench_params *params, cli_drawing *out, char *message, size_t message_size) {
    cli_letters letters = {.num = 0};
    char inputs[1024] = "", settings[256] = "";
    set_letters(&params->sizes, &letters);
    for (uint32_t i = 0; i < params->info->num_inputs; i++) {
        const ikat_argument_info *input = &params->info->inputs[i];
        if (!input->optional && !is_named(params->info->bench_inputs, input->name) &&
            !describe_input(input, &letters, inputs, sizeof(inputs))) {
            snprintf(message, message_size,
                     "input %s of %s has shape %s, whose letters the bench has no sizes for",
                     input->name, params->info->name, input->shape);
            return false;
        }
    }
    if (is_usual(params)) {
        add_usual(params, params->info->bench_inputs, &letters, inputs, sizeof(inputs));
    }
    add_usual(params, params->info->bench_settings, &letters, settings, sizeof(settings));
    tool_append(inputs, sizeof(inputs), "%s", params->inputs);
    if (!drawing_make(params->info, inputs, settings, params->dtype, FILL_RANDOM, SEED, out,
                      message, message_size)) {
        return false;
    }
    for (uint32_t i = 0; i < params->num_settings && out->num_settings < JOB_MAX_TENSORS; i++) {
        out->settings[out->num_settings++] = params->settings[i];
    }
    return true;
}

static void make_job(const bench_params *params, const cli_drawing *drawing, cli_job *out_job) {
    layout_inputs(drawing, LAYOUT_PACKED, out_job);
    out_job->variant = params->variant;
    for (uint32_t i = 0; i < params->info->num_outputs; i++) {
        const ikat_argument_info *output = &params->info->outputs[i];
        if (i == 0 || !output->optional) {
            job_add_tensor(out_job, output->name, (ikat_tensor){0}, JOB_NO_IMAGE, true);
        }
    }
}

static int compare_numbers(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

// The value below which `share` of the sorted samples lie.
static double quantile(const double *sorted, uint32_t num, double share) {
    double at = share * (num - 1);
    uint32_t below = (uint32_t)at;
    uint32_t above = below + 1 < num ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static void summarise(bench_row *row, double *walls, double *submits) {
    uint32_t num = row->num_samples;
    double *sorted = tool_alloc(num, sizeof(*sorted));
    memcpy(sorted, row->samples, num * sizeof(*sorted));
    qsort(sorted, num, sizeof(*sorted), compare_numbers);
    qsort(walls, num, sizeof(*walls), compare_numbers);
    qsort(submits, num, sizeof(*submits), compare_numbers);
    row->median = quantile(sorted, num, 0.5);
    row->minimum = sorted[0];
    row->spread = row->median > 0
                      ? (quantile(sorted, num, 0.75) - quantile(sorted, num, 0.25)) / row->median
                      : 0;
    row->wall = quantile(walls, num, 0.5);
    row->submit = quantile(submits, num, 0.5);
    free(sorted);
}

// One run of all slices: how long the device (or the host, waiting) took, how long the host, how
// long submitting.
static ikat_status take_sample(cli_job *job, bool by_device, double *out_time, double *out_wall,
                               double *out_submit) {
    ikat_ticket ticket;
    uint64_t time_ns;
    double start = tool_seconds();
    ikat_status status = ikat_plan_submit(job->plan, job->bindings, 0, 0, &ticket);
    *out_submit = 1e3 * (tool_seconds() - start);
    status = status ? status : ikat_device_wait(job->device, ticket, UINT64_MAX, NULL);
    *out_wall = 1e3 * (tool_seconds() - start);
    *out_time = *out_wall;
    if (!status && by_device && !ikat_device_time(job->device, ticket, &time_ns) && time_ns > 0) {
        *out_time = 1e-6 * (double)time_ns;
    }
    return status;
}

static ikat_status take_samples(const bench_params *params, cli_job *job, bench_row *row) {
    double *walls = tool_alloc(BENCH_MAX_SAMPLES, sizeof(*walls));
    double *submits = tool_alloc(BENCH_MAX_SAMPLES, sizeof(*submits));
    double start = tool_seconds();
    ikat_status status = IKAT_OK;
    bool enough = false;
    while (!enough && !status && row->num_samples < BENCH_MAX_SAMPLES) {
        uint32_t i = row->num_samples;
        status = take_sample(job, row->by_device, &row->samples[i], &walls[i], &submits[i]);
        row->num_samples += status == IKAT_OK;
        double taken = tool_seconds() - start;
        enough = taken >= params->seconds &&
                 (row->num_samples >= MIN_SAMPLES || taken >= 10 + 30 * params->seconds);
    }
    if (!status) {
        summarise(row, walls, submits);
    }
    free(walls);
    free(submits);
    return status;
}

static void describe_plan(const cli_job *job, bench_row *row) {
    ikat_plan_info info;
    ikat_plan_get_info(job->plan, &info);
    harness_list_kernels(job->plan, row->kernels, sizeof(row->kernels));
    row->flops = info.flops;
    row->visible_pairs = info.visible_pairs;
    row->computed_pairs = info.computed_pairs;
    row->workspace_bytes = info.workspace_bytes;
    row->num_slices = info.num_slices;
    row->create = 1e-6 * (double)info.create_time_ns;
    row->compile = 1e-6 * (double)info.compile_time_ns;
    double seconds = 1e-3 * row->median;
    row->gflops = seconds > 0 ? 1e-9 * info.flops / seconds : 0;
    row->gbps = seconds > 0 ? 1e-9 * info.bytes / seconds : 0;
}

static ikat_status run_row(const bench_params *params, ikat_device *device, cli_job *job,
                           bench_row *row) {
    ikat_status status = job_plan(job, device);
    double start = tool_seconds();
    status = status ? status : job_bind(job);
    row->bind = 1e3 * (tool_seconds() - start);
    start = tool_seconds();
    status = status ? status : job_run(job);
    row->first_run = 1e3 * (tool_seconds() - start);
    // The second run still warms caches and clocks.
    status = status ? status : job_run(job);
    status = status ? status : take_samples(params, job, row);
    status = status ? status : job_fetch(job);
    if (!status) {
        describe_plan(job, row);
    }
    return status;
}

static void check_row(const bench_params *params, const cli_drawing *drawing, const cli_job *job,
                      bench_row *row) {
    cli_sampled sampled;
    if (!params->reference) {
        return;
    }
    bool good = sample_check(params->tool, params->reference, drawing, job, SEED, &sampled);
    row->correct = good ? BENCH_CORRECT : BENCH_WRONG;
    row->deviation = sampled.error;
    if (!good) {
        snprintf(row->error, sizeof(row->error), "wrong result: %.480s", sampled.text);
    }
}

static void describe_settings(const bench_params *params, char *text, size_t capacity) {
    for (uint32_t i = 0; i < params->num_settings; i++) {
        tool_append(text, capacity, "%s%s=%s", i ? " " : "", params->settings[i].name,
                    params->settings[i].value.text);
    }
}

void bench_measure(const bench_params *params, ikat_device *device, bench_row *out_row) {
    cli_drawing drawing;
    cli_job job;
    *out_row = (bench_row){
        .info = params->info,
        .device = *ikat_device_get_info(device),
        .sizes = params->sizes,
        .dtype = params->dtype,
        .start = {-1, -1, -1, -1},
    };
    out_row->by_device = out_row->device.limits.timestamps;
    describe_settings(params, out_row->settings, sizeof(out_row->settings));
    if (!bench_draw(params, &drawing, out_row->error, sizeof(out_row->error))) {
        out_row->status = IKAT_INVALID;
        return;
    }
    make_job(params, &drawing, &job);
    tool_forget(params->tool);
    out_row->status = run_row(params, device, &job, out_row);
    if (out_row->status) {
        snprintf(out_row->error, sizeof(out_row->error), "%.500s",
                 tool_reason(params->tool, out_row->status));
    } else {
        check_row(params, &drawing, &job, out_row);
    }
    job_free(&job);
    drawing_free(&drawing);
}

// Plans and runs once on a device opened for it. Below 0 in *out_result if that fails.
static void start_once(const bench_params *params, cli_tool *tool, const char *name,
                       const char *limits, const cli_drawing *drawing, double *out_create,
                       double *out_result) {
    ikat_device *device = NULL;
    cli_job job;
    *out_create = -1;
    *out_result = -1;
    if (tool_device_open(tool, name, limits, &device)) {
        return;
    }
    make_job(params, drawing, &job);
    double start = tool_seconds();
    ikat_status status = job_plan(&job, device);
    double create = 1e3 * (tool_seconds() - start);
    status = status ? status : job_bind(&job);
    status = status ? status : job_run(&job);
    if (!status) {
        *out_create = create;
        *out_result = 1e3 * (tool_seconds() - start);
    }
    job_free(&job);
    ikat_device_destroy(&device);
}

void bench_measure_start(const bench_params *params, const char *device, const char *limits,
                         const char *cache_dir, bench_start *out_start) {
    char message[512];
    cli_drawing drawing;
    cli_tool tool;
    *out_start = (bench_start){-1, -1, -1, -1};
    if (!bench_draw(params, &drawing, message, sizeof(message))) {
        return;
    }
    if (!tool_open(&tool, false, NULL)) {
        tool.quiet = true;
        start_once(params, &tool, device, limits, &drawing, &out_start->cold_create,
                   &out_start->cold_result);
    }
    tool_close(&tool);
    if (cache_dir && !tool_open(&tool, false, cache_dir)) {
        tool.quiet = true;
        // The first of the two fills the cache, the second finds it.
        for (int i = 0; i < 2; i++) {
            start_once(params, &tool, device, limits, &drawing, &out_start->warm_create,
                       &out_start->warm_result);
        }
        tool_close(&tool);
    }
    drawing_free(&drawing);
}
