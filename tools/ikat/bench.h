// What `ikat bench` measures, one row a mechanism, device and size.

#ifndef BENCH_H
#define BENCH_H

#include "draw.h"

// The sizes that stand for shape letters.
typedef struct bench_sizes {
    int64_t batch;
    int64_t heads;
    int64_t kv_heads;
    int64_t queries; // N
    int64_t keys;    // M: the `n` of --n
    int64_t head_size;
    int64_t value_size;
    int64_t globals; // G
} bench_sizes;

// How long it takes until there is a first result, in milliseconds; below 0: not measured.
//
// cold_create  ikat_plan_create with nothing compiled, here or on disk (a driver may still keep a
//              cache of its own)
// cold_result  from there to the first result: drivers that compile at the first launch show it
//              here
// warm_create  on a device opened anew, with the programs on disk
// warm_result  from there to the first result
typedef struct bench_start {
    double cold_create;
    double cold_result;
    double warm_create;
    double warm_result;
} bench_start;

enum { BENCH_MAX_SAMPLES = 1000 };

typedef enum bench_correct { BENCH_UNCHECKED, BENCH_CORRECT, BENCH_WRONG } bench_correct;

// Times in milliseconds. `samples` are by the device's clock where it has one (by_device), wall_ms
// always by the host's.
//
// against  another mechanism that was measured beside this one, NULL: none, at against_keys keys; its
//          least time and its visible pairs are scaled to this row's sizes by the pairs of the square
typedef struct bench_row {
    const ikat_mechanism_info *info;
    char settings[256];
    ikat_device_info device;
    bench_sizes sizes;
    ikat_dtype dtype;
    char kernels[256];
    bool by_device;
    double samples[BENCH_MAX_SAMPLES];
    uint32_t num_samples;
    double median;
    double minimum;
    double spread; // of the middle half of the samples, relative to the median
    double wall;
    double gflops;
    double gbps;
    double flops;
    double visible_pairs;
    double computed_pairs; // 0: not known
    uint64_t workspace_bytes;
    uint32_t num_slices;
    double create;
    double compile;
    double bind;
    double first_run;
    double submit;
    bench_start start;
    bench_correct correct;
    double deviation; // relative error of the sampled rows
    const char *against;
    int64_t against_keys;
    double against_minimum;
    double against_pairs;
    ikat_status status;
    char error[512]; // empty if it ran and is correct
} bench_row;

// inputs       optional inputs by their shapes, as in examples (mechanism.h); led by a blank
// reference    device `cpu`, NULL: results are not checked
// seconds      how long to take samples
typedef struct bench_params {
    cli_tool *tool;
    const ikat_mechanism_info *info;
    const ikat_setting *settings;
    uint32_t num_settings;
    const char *variant;
    const char *inputs;
    ikat_dtype dtype;
    bench_sizes sizes;
    ikat_device *reference;
    double seconds;
} bench_params;

// Draws the required inputs of a call, and the optional ones that are asked for. False, with a reason,
// if a shape letter has no size.
bool bench_draw(const bench_params *params, cli_drawing *out, char *message, size_t message_size);

// Measures one row on an open device; what goes wrong is in out_row->error.
void bench_measure(const bench_params *params, ikat_device *device, bench_row *out_row);

// Measures starts on devices of this name, opened for it. cache_dir NULL: no warm ones.
void bench_measure_start(const bench_params *params, const char *device, const char *limits,
                         const char *cache_dir, bench_start *out_start);

// The mechanism that others are compared with (NULL: none), and how long it took a pair of the square
// when it was last measured, 0 at first.
typedef struct bench_against {
    const ikat_mechanism_info *info;
    double pair_time;
} bench_against;

// Measures it beside a row of params->info that has run, with the settings that both have: at the
// largest halved length that is bearable. Leaves the row as it is if it cannot run.
void bench_measure_against(const bench_params *params, ikat_device *device, bench_against *against,
                           bench_row *row);

// Reports. Both writers return an exit code.
void bench_print_device(const bench_row *row);
void bench_print_row(const bench_row *row);
// How least times grow with the length: x of N^x, fitted by least squares over rows of one mechanism
// and device. Prints nothing of fewer than three that ran.
void bench_print_growth(const bench_row *const *rows, uint32_t num);
// The share of the other mechanism's time, and from which length on it is slower. Nothing where there
// is none.
void bench_print_against(const bench_row *row);
void bench_print_crossover(const bench_row *const *rows, uint32_t num);
int bench_write_json(const char *path, const bench_row *const *rows, uint32_t num);
int bench_write_csv(const char *path, const bench_row *const *rows, uint32_t num);

#endif
