// A context whose messages are recorded, a device on it, and a call of `dense` that tests bend.

#ifndef TESTS_RECORDER_H
#define TESTS_RECORDER_H

#include <ikat/ikat.h>

typedef struct recorder {
    ikat_message_id last_id; // of the last error
    char last_text[512];
    unsigned num_errors;
    unsigned num[IKAT_MESSAGE_CACHE + 1]; // messages of any level, by id
} recorder;

// Makes a context that records into `out_recorder` what is as bad as `level` or worse, with a cache
// folder (NULL: none). Fails the test if that fails.
void recorder_create_context(recorder *out_recorder, ikat_log_level level, const char *cache_dir,
                             ikat_context **out_context);

// Makes a context that records errors into `out_recorder`, and opens `device_name` on it, with limits
// lowered by `limits` (NULL: none). Fails the test if that fails.
void recorder_open(recorder *out_recorder, const char *device_name, const char *limits,
                   ikat_context **out_context, ikat_device **out_device);

// A self-attention of [B,H,N,D] with all three inputs packed float32; a test then changes what it
// likes.
typedef struct dense_call {
    ikat_argument inputs[8];
    ikat_setting settings[8];
    ikat_argument outputs[4];
    ikat_plan_params params;
} dense_call;

void dense_call_init(dense_call *call, int64_t batch, int64_t heads, int64_t queries,
                     int64_t head_size);
void dense_call_input(dense_call *call, const char *name, ikat_tensor tensor);
void dense_call_setting(dense_call *call, ikat_setting setting);
void dense_call_output(dense_call *call, const char *name);

#endif
