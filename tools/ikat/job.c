#include "job.h"

#include <stdlib.h>
#include <string.h>

uint32_t job_adopt_image(cli_job *job, void *bytes, uint64_t size_bytes) {
    job->images[job->num_images] = (job_image){.bytes = bytes, .size_bytes = size_bytes};
    return job->num_images++;
}

uint32_t job_add_image(cli_job *job, uint64_t size_bytes, uint8_t fill) {
    // Buffers have no size 0, tensors may.
    uint64_t size = size_bytes ? size_bytes : 16;
    void *bytes = tool_alloc(size, 1);
    memset(bytes, fill, size);
    return job_adopt_image(job, bytes, size);
}

static bool is_structure(const char *mechanism, const char *name) {
    const ikat_mechanism_info *info = ikat_mechanism_find(mechanism);
    for (uint32_t i = 0; info && i < info->num_inputs; i++) {
        if (ikat_name_matches(info->inputs[i].name, name)) {
            return info->inputs[i].structure;
        }
    }
    return false;
}

bool job_add_tensor(cli_job *job, const char *name, ikat_tensor tensor, uint32_t image,
                    bool output) {
    if (job->num_tensors == JOB_MAX_TENSORS) {
        return false;
    }
    bool structure = !output && is_structure(job->mechanism, name);
    job->tensors[job->num_tensors++] = (job_tensor){name, tensor, image, 0, output, structure};
    return true;
}

job_tensor *job_output(cli_job *job, const char *name) {
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        if (job->tensors[i].output && strcmp(job->tensors[i].name, name) == 0) {
            return &job->tensors[i];
        }
    }
    return NULL;
}

// A tensor as the plan takes it. Values are to be freed.
static ikat_argument make_argument(const cli_job *job, const job_tensor *tensor) {
    ikat_argument argument = {tensor->name, tensor->tensor, NULL};
    if (tensor->structure && tensor->image != JOB_NO_IMAGE) {
        argument.values = job_extract(job, tensor);
        memset(argument.tensor.strides, 0, sizeof(argument.tensor.strides));
        argument.tensor.offset = 0;
    }
    return argument;
}

ikat_status job_plan(cli_job *job, ikat_device *device) {
    ikat_argument inputs[JOB_MAX_TENSORS], outputs[JOB_MAX_TENSORS];
    uint32_t num_inputs = 0, num_outputs = 0;
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        ikat_argument argument = make_argument(job, &job->tensors[i]);
        if (job->tensors[i].output) {
            outputs[num_outputs++] = argument;
        } else {
            inputs[num_inputs++] = argument;
        }
    }
    ikat_plan_params params = {
        .mechanism = job->mechanism,
        .inputs = inputs,
        .num_inputs = num_inputs,
        .settings = job->settings,
        .num_settings = job->num_settings,
        .outputs = outputs,
        .num_outputs = num_outputs,
        .variant = job->variant,
    };
    job->device = device;
    ikat_status status = ikat_plan_create(device, &params, &job->plan);
    for (uint32_t i = 0; i < num_inputs; i++) {
        free((void *)(uintptr_t)inputs[i].values);
    }
    return status;
}

static ikat_status place_output(cli_job *job, job_tensor *tensor) {
    ikat_status status = ikat_plan_get_tensor(job->plan, tensor->name, &tensor->tensor);
    uint64_t size_bytes = 0;
    if (!status) {
        status = ikat_tensor_size_bytes(&tensor->tensor, &size_bytes);
    }
    if (!status && tensor->image == JOB_NO_IMAGE) {
        tensor->image = job_add_image(job, size_bytes, 0xff);
    }
    return status;
}

static ikat_status upload_image(cli_job *job, job_image *image) {
    if (image->buffer) {
        return IKAT_OK;
    }
    ikat_status status = ikat_buffer_create(job->device, image->size_bytes, &image->buffer);
    return status ? status : ikat_buffer_write(image->buffer, 0, image->bytes, image->size_bytes);
}

ikat_status job_bind(cli_job *job) {
    ikat_binding bindings[JOB_MAX_TENSORS];
    uint32_t num_bindings = 0;
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        ikat_status status = job->tensors[i].output ? place_output(job, &job->tensors[i]) : IKAT_OK;
        if (status) {
            return status;
        }
    }
    for (uint32_t i = 0; i < job->num_images; i++) {
        ikat_status status = upload_image(job, &job->images[i]);
        if (status) {
            return status;
        }
    }
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        const job_tensor *tensor = &job->tensors[i];
        if (!tensor->structure) {
            bindings[num_bindings++] = (ikat_binding){
                tensor->name, job->images[tensor->image].buffer, tensor->offset_bytes};
        }
    }
    ikat_bindings_params params = {.tensors = bindings, .num_tensors = num_bindings};
    return ikat_bindings_create(job->plan, &params, &job->bindings);
}

ikat_status job_run(cli_job *job) { return ikat_plan_run(job->plan, job->bindings); }

ikat_status job_fetch(cli_job *job) {
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < job->num_tensors && !status; i++) {
        if (job->tensors[i].output) {
            job_image *image = &job->images[job->tensors[i].image];
            status = ikat_buffer_read(image->buffer, 0, image->bytes, image->size_bytes);
        }
    }
    return status;
}

void job_unplan(cli_job *job) {
    ikat_bindings_destroy(&job->bindings);
    ikat_plan_destroy(&job->plan);
}

void job_leave(cli_job *job) {
    job_unplan(job);
    for (uint32_t i = 0; i < job->num_images; i++) {
        ikat_buffer_destroy(&job->images[i].buffer);
    }
    job->device = NULL;
}

void job_free(cli_job *job) {
    job_leave(job);
    for (uint32_t i = 0; i < job->num_images; i++) {
        free(job->images[i].bytes);
    }
    *job = (cli_job){0};
}

void tensor_strides(const ikat_tensor *tensor, int64_t strides[IKAT_MAX_RANK]) {
    bool packed = true;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        packed = packed && tensor->strides[axis] == 0;
    }
    int64_t stride = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        strides[axis] = packed ? stride : tensor->strides[axis];
        stride *= tensor->shape[axis];
    }
}

uint64_t tensor_count(const ikat_tensor *tensor) {
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        count *= (uint64_t)tensor->shape[axis];
    }
    return count;
}

void tensor_copy(const ikat_tensor *view, uint8_t *base, uint8_t *packed, bool gather) {
    int64_t strides[IKAT_MAX_RANK], index[IKAT_MAX_RANK] = {0};
    tensor_strides(view, strides);
    size_t size = ikat_dtype_size(view->dtype);
    uint32_t last = view->rank ? view->rank - 1 : 0;
    size_t row = view->rank ? (size_t)view->shape[last] * size : size;
    uint64_t num_rows = row ? tensor_count(view) * size / row : 0;
    for (uint64_t i = 0; i < num_rows; i++) {
        int64_t offset = view->offset;
        for (uint32_t axis = 0; axis < last; axis++) {
            offset += index[axis] * strides[axis];
        }
        uint8_t *inside = base + (size_t)offset * size;
        memcpy(gather ? packed + i * row : inside, gather ? inside : packed + i * row, row);
        for (uint32_t axis = last; axis-- > 0 && ++index[axis] == view->shape[axis];) {
            index[axis] = 0;
        }
    }
}

void *job_extract(const cli_job *job, const job_tensor *tensor) {
    uint64_t count = tensor_count(&tensor->tensor);
    void *packed = tool_alloc(count, ikat_dtype_size(tensor->tensor.dtype));
    tensor_copy(&tensor->tensor, job->images[tensor->image].bytes + tensor->offset_bytes, packed,
                true);
    return packed;
}
