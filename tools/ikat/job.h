// One call of a mechanism with its tensors in host memory, and its life on a device: job_plan,
// job_bind, job_run, job_fetch (or all of these: job_compute), job_leave. A job can visit one device
// after another.

#ifndef JOB_H
#define JOB_H

#include "tool.h"

enum { JOB_MAX_TENSORS = 32, JOB_NO_IMAGE = 0x7fffffff };

// Host bytes that one or more tensors lie in, and their copy on the device.
typedef struct job_image {
    uint8_t *bytes;
    uint64_t size_bytes;
    ikat_buffer *buffer;
} job_image;

// tensor        for an output, zeroed: as inferred
// offset_bytes  where the binding starts in its image
// structure     given to the plan as a host array instead of being bound
typedef struct job_tensor {
    const char *name;
    ikat_tensor tensor;
    uint32_t image;
    uint64_t offset_bytes;
    bool output;
    bool structure;
} job_tensor;

// Strings, settings and rows (ikat_plan_params.rows) are borrowed.
typedef struct cli_job {
    const char *mechanism;
    const char *variant;
    const ikat_setting *settings;
    uint32_t num_settings;
    const int64_t *rows;
    uint32_t num_rows;
    job_tensor tensors[JOB_MAX_TENSORS];
    uint32_t num_tensors;
    job_image images[JOB_MAX_TENSORS];
    uint32_t num_images;
    ikat_device *device;
    ikat_plan *plan;
    ikat_bindings *bindings;
} cli_job;

// Adds an image of `size_bytes` filled with `fill`; returns its index.
uint32_t job_add_image(cli_job *job, uint64_t size_bytes, uint8_t fill);
// Adds an image of bytes that the job frees.
uint32_t job_adopt_image(cli_job *job, void *bytes, uint64_t size_bytes);
// Adds a tensor to a job that has its mechanism; false if there are too many.
bool job_add_tensor(cli_job *job, const char *name, ikat_tensor tensor, uint32_t image,
                    bool output);
// An output by its name, which an input may share; NULL if there is none.
job_tensor *job_output(cli_job *job, const char *name);

// Makes the plan.
ikat_status job_plan(cli_job *job, ikat_device *device);
// Describes outputs as the plan has them, gives those without an image one, makes buffers and fills
// them with the images' bytes.
ikat_status job_bind(cli_job *job);
// Runs all of it and waits.
ikat_status job_run(cli_job *job);
// Reads the images of the outputs back.
ikat_status job_fetch(cli_job *job);
// Does all of these on a device.
ikat_status job_compute(cli_job *job, ikat_device *device);
// Destroys plan and bindings; outputs are as inferred again.
void job_unplan(cli_job *job);
// Destroys all that is on the device.
void job_leave(cli_job *job);
void job_free(cli_job *job);

// Copies a tensor's elements out of its image, packed row-major, to memory that is to be freed.
void *job_extract(const cli_job *job, const job_tensor *tensor);

// Strides of a tensor, those of a packed one if it has none.
void tensor_strides(const ikat_tensor *tensor, int64_t strides[IKAT_MAX_RANK]);
uint64_t tensor_count(const ikat_tensor *tensor);
// Copies all elements between a packed array and a view at `base`; `gather` is from the view to the
// array.
void tensor_copy(const ikat_tensor *view, uint8_t *base, uint8_t *packed, bool gather);

#endif
