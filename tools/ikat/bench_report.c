#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include "files.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void bench_print_device(const bench_row *row) {
    const ikat_device_info *device = &row->device;
    printf("\n%s: %s\n  driver %s; %s; ikat %s; time by the %s's clock\n", device->id, device->name,
           device->driver, device->api, ikat_version(), row->by_device ? "device" : "host");
    if (row->start.cold_result >= 0) {
        printf("  cold: plan %.1f ms, first result after %.1f ms", row->start.cold_create,
               row->start.cold_result);
        if (row->start.warm_result >= 0) {
            printf("; from the disk cache: plan %.1f ms, first result after %.1f ms",
                   row->start.warm_create, row->start.warm_result);
        }
        printf("\n");
    }
    printf("%-10s %-8s %9s %9s %5s %10s %10s %7s %9s %8s %11s %8s %8s %9s  %s\n", "mechanism",
           "dtype", "queries", "keys", "size", "median ms", "min ms", "spread", "GFLOP/s", "GB/s",
           "workspace", "plan ms", "submit", "wall ms", "result");
}

// Columns of a row of the first input: of a head, or channels.
static int64_t row_size(const bench_row *row) {
    const char *shape = row->info->inputs[0].shape;
    const size_t length = strlen(shape);
    const bool has_channels = length > 3 && strcmp(shape + length - 3, ",C]") == 0;
    return has_channels ? row->sizes.heads * row->sizes.head_size : row->sizes.head_size;
}

void bench_print_row(const bench_row *row) {
    static const char *const verdicts[] = {"not checked", "correct", "WRONG"};
    printf("%-10s %-8s %9" PRId64 " %9" PRId64 " %5" PRId64 " ", row->info->name,
           ikat_dtype_name(row->dtype), row->sizes.queries, row->sizes.keys, row_size(row));
    if (row->num_samples == 0) {
        printf("failed: %s\n", row->error);
        return;
    }
    printf("%10.3f %10.3f %6.1f%% %9.2f %8.2f %11" PRIu64 " %8.2f %8.3f %9.3f  %s\n", row->median,
           row->minimum, 100 * row->spread, row->gflops, row->gbps, row->workspace_bytes,
           row->create, row->submit, row->wall, verdicts[row->correct]);
    if (row->kernels[0]) {
        printf("           %s%s%s\n", row->kernels, row->settings[0] ? "; " : "", row->settings);
    }
    if (row->computed_pairs > 0) {
        printf("           %.4g visible of %.4g computed pairs (%.1f %%)\n", row->visible_pairs,
               row->computed_pairs, 100 * row->visible_pairs / row->computed_pairs);
    }
    if (row->error[0]) {
        printf("           %s\n", row->error);
    }
}

void bench_print_growth(const bench_row *const *rows, uint32_t num) {
    double sums[4] = {
        0}; // of x, y, x * x and x * y, x being the length's logarithm and y the time's
    uint32_t count = 0;
    for (uint32_t i = 0; i < num; i++) {
        if (rows[i]->num_samples && rows[i]->minimum > 0) {
            const double x = log((double)rows[i]->sizes.keys), y = log(rows[i]->minimum);
            const double terms[4] = {x, y, x * x, x * y};
            for (int k = 0; k < 4; k++) {
                sums[k] += terms[k];
            }
            count++;
        }
    }
    const double spread = count * sums[2] - sums[0] * sums[0];
    if (count >= 3 && spread > 1e-9) {
        printf("           least times grow as N^%.2f\n",
               (count * sums[3] - sums[0] * sums[1]) / spread);
    }
}

static void add_number(cJSON *json, const char *name, double value) {
    cJSON_AddNumberToObject(json, name, value);
}

// Times that were not measured are null.
static void add_time(cJSON *json, const char *name, double value) {
    if (value < 0) {
        cJSON_AddNullToObject(json, name);
    } else {
        cJSON_AddNumberToObject(json, name, value);
    }
}

static void add_sizes(cJSON *json, const bench_sizes *sizes) {
    add_number(json, "batch", (double)sizes->batch);
    add_number(json, "heads", (double)sizes->heads);
    add_number(json, "kv_heads", (double)sizes->kv_heads);
    add_number(json, "queries", (double)sizes->queries);
    add_number(json, "n", (double)sizes->keys);
    add_number(json, "head_size", (double)sizes->head_size);
    add_number(json, "value_size", (double)sizes->value_size);
}

static void add_times(cJSON *json, const bench_row *row) {
    add_number(json, "median_ms", row->median);
    add_number(json, "min_ms", row->minimum);
    add_number(json, "spread", row->spread);
    cJSON_AddItemToObject(json, "samples_ms",
                          cJSON_CreateDoubleArray(row->samples, (int)row->num_samples));
    cJSON_AddStringToObject(json, "clock", row->by_device ? "device" : "host");
    add_number(json, "wall_ms", row->wall);
    add_number(json, "submit_ms", row->submit);
    add_number(json, "create_ms", row->create);
    add_number(json, "compile_ms", row->compile);
    add_number(json, "bind_ms", row->bind);
    add_number(json, "first_run_ms", row->first_run);
    add_time(json, "cold_create_ms", row->start.cold_create);
    add_time(json, "cold_result_ms", row->start.cold_result);
    add_time(json, "warm_create_ms", row->start.warm_create);
    add_time(json, "warm_result_ms", row->start.warm_result);
}

static cJSON *row_to_json(const bench_row *row) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "mechanism", row->info->name);
    cJSON_AddStringToObject(json, "settings", row->settings);
    cJSON_AddStringToObject(json, "device", row->device.id);
    cJSON_AddStringToObject(json, "device_name", row->device.name);
    cJSON_AddStringToObject(json, "api", row->device.api);
    cJSON_AddStringToObject(json, "driver", row->device.driver);
    add_sizes(json, &row->sizes);
    cJSON_AddStringToObject(json, "dtype", ikat_dtype_name(row->dtype));
    cJSON_AddStringToObject(json, "variant", row->kernels);
    add_times(json, row);
    add_number(json, "gflops", row->gflops);
    add_number(json, "gbps", row->gbps);
    add_number(json, "flops", row->flops);
    add_number(json, "visible_pairs", row->visible_pairs);
    add_number(json, "computed_pairs", row->computed_pairs);
    add_number(json, "workspace_bytes", (double)row->workspace_bytes);
    add_number(json, "num_slices", row->num_slices);
    if (row->correct == BENCH_UNCHECKED) {
        cJSON_AddNullToObject(json, "correct");
    } else {
        cJSON_AddBoolToObject(json, "correct", row->correct == BENCH_CORRECT);
    }
    add_number(json, "deviation", row->deviation);
    if (row->against) {
        cJSON_AddStringToObject(json, "against", row->against);
        add_number(json, "against_n", (double)row->against_keys);
        add_number(json, "against_min_ms", row->against_minimum);
    } else {
        cJSON_AddNullToObject(json, "against");
    }
    if (row->error[0]) {
        cJSON_AddStringToObject(json, "error", row->error);
    } else {
        cJSON_AddNullToObject(json, "error");
    }
    return json;
}

static cJSON *host_to_json(void) {
    cJSON *json = cJSON_CreateObject();
    struct utsname name;
    if (uname(&name) == 0) {
        cJSON_AddStringToObject(json, "system", name.sysname);
        cJSON_AddStringToObject(json, "release", name.release);
        cJSON_AddStringToObject(json, "machine", name.machine);
    }
    add_number(json, "processors", (double)sysconf(_SC_NPROCESSORS_ONLN));
    return json;
}

int bench_write_json(const char *path, const bench_row *const *rows, uint32_t num) {
    cJSON *root = cJSON_CreateObject();
    cJSON *results = cJSON_CreateArray();
    add_number(root, "schema", 1);
    cJSON_AddStringToObject(root, "library", ikat_version());
    cJSON_AddItemToObject(root, "host", host_to_json());
    cJSON_AddItemToObject(root, "results", results);
    for (uint32_t i = 0; i < num; i++) {
        cJSON_AddItemToArray(results, row_to_json(rows[i]));
    }
    char *text = cJSON_Print(root);
    int code = text ? file_write(path, text, strlen(text))
                    : tool_fail("cannot make the text of '%s'", path);
    free(text);
    cJSON_Delete(root);
    return code;
}

// A field of a .csv file: quoted, quotes doubled.
static void print_field(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    fputs("\",", file);
}

static void print_csv_row(FILE *file, const bench_row *row) {
    const bench_sizes *sizes = &row->sizes;
    const char *const texts[] = {row->info->name,
                                 row->settings,
                                 row->device.id,
                                 row->device.name,
                                 row->device.api,
                                 row->device.driver,
                                 ikat_dtype_name(row->dtype),
                                 row->kernels};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        print_field(file, texts[i]);
    }
    fprintf(file,
            "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",",
            sizes->batch, sizes->heads, sizes->kv_heads, sizes->queries, sizes->keys,
            sizes->head_size, sizes->value_size);
    fprintf(file, "%.6g,%.6g,%.4g,%.6g,%.6g,%.6g,%" PRIu64 ",%.6g,%.6g,%.6g,%.6g,%s,", row->median,
            row->minimum, row->spread, row->wall, row->gflops, row->gbps, row->workspace_bytes,
            row->create, row->compile, row->first_run, row->submit,
            row->correct == BENCH_UNCHECKED ? ""
            : row->correct == BENCH_CORRECT ? "true"
                                            : "false");
    print_field(file, row->against ? row->against : "");
    fprintf(file, "%.6g,", row->against_minimum);
    print_field(file, row->error);
    fputs("\n", file);
}

int bench_write_csv(const char *path, const bench_row *const *rows, uint32_t num) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        return tool_fail("cannot make the text of '%s'", path);
    }
    fputs("mechanism,settings,device,device_name,api,driver,dtype,variant,batch,heads,kv_heads,"
          "queries,n,head_size,"
          "value_size,median_ms,min_ms,spread,wall_ms,gflops,gbps,workspace_bytes,create_ms,"
          "compile_ms,first_run_ms,"
          "submit_ms,correct,against,against_min_ms,error,\n",
          file);
    for (uint32_t i = 0; i < num; i++) {
        print_csv_row(file, rows[i]);
    }
    bool good = fclose(file) == 0;
    int code =
        good ? file_write(path, text, size) : tool_fail("cannot make the text of '%s'", path);
    free(text);
    return code;
}
