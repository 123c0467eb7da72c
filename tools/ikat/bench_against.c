// The time of another mechanism, dense unless told otherwise, beside that of the one that is benched.

#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_KEYS = 512 };          // measured first, to know what is bearable
static const double bearable = 500; // ms a run

static double count_pairs(const bench_sizes *sizes) {
    return (double)sizes->queries * (double)sizes->keys;
}

static void halve(bench_sizes *sizes) {
    sizes->queries = sizes->queries == sizes->keys ? sizes->keys / 2 : sizes->queries;
    sizes->keys /= 2;
}

// Settings that the other mechanism has too (causal) are its own as well.
static uint32_t share_settings(const bench_params *params, const ikat_mechanism_info *info,
                               ikat_setting *out) {
    uint32_t num = 0;
    for (uint32_t i = 0; i < params->num_settings; i++) {
        for (uint32_t s = 0; s < info->num_settings; s++) {
            if (strcmp(info->settings[s].name, params->settings[i].name) == 0) {
                out[num++] = params->settings[i];
                break;
            }
        }
    }
    return num;
}

// Measures it at `sizes`; false if it did not run, or gave something wrong.
static bool measure(const bench_params *params, ikat_device *device, bench_against *against,
                    const bench_sizes *sizes, bench_row *out_row) {
    bench_params own = *params;
    own.sizes = *sizes;
    bench_measure(&own, device, out_row);
    const bool good = !out_row->status && out_row->correct != BENCH_WRONG && out_row->minimum > 0;
    against->pair_time = good ? out_row->minimum / count_pairs(sizes) : 0;
    return good;
}

void bench_measure_against(const bench_params *params, ikat_device *device, bench_against *against,
                           bench_row *row) {
    if (!against->info || against->info == params->info || !row->num_samples ||
        !strchr(params->info->outputs[0].shape, 'N')) { // a loss has no rows
        return;
    }
    ikat_setting *settings = tool_alloc(params->num_settings + 1, sizeof(*settings));
    bench_row *other = tool_alloc(1, sizeof(*other));
    bench_params own = *params;
    own.info = against->info;
    own.inputs = "";
    own.variant = NULL;
    own.settings = settings;
    own.num_settings = share_settings(params, against->info, settings);
    bench_sizes sizes = row->sizes;
    bool good = true;
    if (sizes.keys > PROBE_KEYS && against->pair_time <= 0) {
        while (sizes.keys > PROBE_KEYS) {
            halve(&sizes);
        }
        good = measure(&own, device, against, &sizes, other);
        sizes = row->sizes;
    }
    while (sizes.keys > PROBE_KEYS && against->pair_time * count_pairs(&sizes) > bearable) {
        halve(&sizes);
    }
    if (good && measure(&own, device, against, &sizes, other)) {
        const double times = count_pairs(&row->sizes) / count_pairs(&sizes);
        row->against = against->info->name;
        row->against_keys = sizes.keys;
        row->against_minimum = other->minimum * times;
        row->against_pairs = other->visible_pairs * times;
    }
    free(other);
    free(settings);
}

void bench_print_against(const bench_row *row) {
    if (!row->against) {
        return;
    }
    printf("           %.4g %% of the least time of %s", 100 * row->minimum / row->against_minimum,
           row->against);
    if (row->visible_pairs > 0 && row->against_pairs > 0) {
        printf(" for %.4g %% of its pairs", 100 * row->visible_pairs / row->against_pairs);
    }
    if (row->against_keys != row->sizes.keys) {
        printf(" (%s measured at %" PRId64 " keys, scaled by pairs)", row->against,
               row->against_keys);
    }
    printf("\n");
}

void bench_print_crossover(const bench_row *const *rows, uint32_t num) {
    const char *name = NULL;
    int64_t from = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < num; i++) {
        if (rows[i]->against) {
            const bool faster = rows[i]->minimum < rows[i]->against_minimum;
            from = !faster ? 0 : from ? from : rows[i]->sizes.keys;
            name = rows[i]->against;
            count++;
        }
    }
    if (count >= 2 && from) {
        printf("           faster than %s from %" PRId64 " keys on\n", name, from);
    } else if (count >= 2) {
        printf("           not faster than %s at the last length\n", name);
    }
}
