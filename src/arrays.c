// One run over host memory: buffers and bindings for the one call.

#include "core.h"
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

// More arrays than tensors can be: one of them is unknown or given twice.
enum { MAX_ARRAYS = IKATI_MAX_INPUTS + IKATI_MAX_OUTPUTS };

// An array with its tensor and buffer.
typedef struct array_use {
    const ikat_array *array;
    bool is_output;
    bool copied_in; // inputs, and outputs with elements that nothing writes
    uint64_t size_bytes;
    ikat_buffer *buffer; // NULL: the tensor is empty
} array_use;

static bool is_output(const ikat_plan *plan, const char *name) {
    const char *output;
    uint32_t index = 0;
    while ((output = ikat_plan_output_name(plan, index)) != NULL && strcmp(output, name) != 0) {
        index++;
    }
    return output != NULL;
}

static ikat_status check_array(const ikat_plan *plan, const ikat_array *array,
                               uint64_t size_bytes) {
    if (!array->data && size_bytes) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "%s has an array of no data, expected %" PRIu64 " bytes", array->name,
                          size_bytes);
    }
    if (array->size_bytes < size_bytes) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "%s needs %" PRIu64 " bytes, its array has %" PRIu64, array->name,
                          size_bytes, array->size_bytes);
    }
    return IKAT_OK;
}

static ikat_status prepare_array(const ikat_plan *plan, const ikat_array *array, array_use *use) {
    ikat_tensor tensor;
    if (!array->name) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "an array has no name");
    }
    ikat_status status = ikat_plan_get_tensor(plan, array->name, &tensor);
    if (!status) {
        status = ikat_tensor_size_bytes(&tensor, &use->size_bytes);
    }
    if (!status) {
        status = check_array(plan, array, use->size_bytes);
    }
    if (status) {
        return status;
    }
    use->array = array;
    use->is_output = is_output(plan, array->name);
    use->copied_in = !use->is_output || tensor.offset || !ikati_tensor_is_packed(&tensor);
    return use->size_bytes ? ikat_buffer_create(plan->device, use->size_bytes, &use->buffer)
                           : IKAT_OK;
}

static ikat_status bind_arrays(const ikat_plan *plan, const array_use *uses, uint32_t num_uses,
                               ikat_bindings **out_bindings) {
    ikat_binding tensors[MAX_ARRAYS];
    for (uint32_t i = 0; i < num_uses; i++) {
        tensors[i] = (ikat_binding){uses[i].array->name, uses[i].buffer, 0};
    }
    const ikat_bindings_params params = {.tensors = tensors, .num_tensors = num_uses};
    return ikat_bindings_create(plan, &params, out_bindings);
}

static ikat_status run_bound(const ikat_plan *plan, const array_use *uses, uint32_t num_uses,
                             ikat_bindings *bindings) {
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < num_uses && !status; i++) {
        if (uses[i].copied_in && uses[i].buffer) {
            status = ikat_buffer_write(uses[i].buffer, 0, uses[i].array->data, uses[i].size_bytes);
        }
    }
    if (!status) {
        status = ikat_plan_run(plan, bindings);
    }
    for (uint32_t i = 0; i < num_uses && !status; i++) {
        if (uses[i].is_output && uses[i].buffer) {
            status = ikat_buffer_read(uses[i].buffer, 0, uses[i].array->data, uses[i].size_bytes);
        }
    }
    return status;
}

ikat_status ikat_plan_run_arrays(const ikat_plan *plan, const ikat_array *arrays,
                                 uint32_t num_arrays) {
    if (!plan || (num_arrays && !arrays)) {
        return IKAT_INVALID;
    }
    if (num_arrays > MAX_ARRAYS) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_TWICE,
                          "%" PRIu32 " arrays are given, expected one a tensor of the plan",
                          num_arrays);
    }
    array_use uses[MAX_ARRAYS] = {{0}};
    ikat_bindings *bindings = NULL;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < num_arrays && !status; i++) {
        status = prepare_array(plan, &arrays[i], &uses[i]);
    }
    if (!status) {
        status = bind_arrays(plan, uses, num_arrays, &bindings);
    }
    if (!status) {
        status = run_bound(plan, uses, num_arrays, bindings);
    }
    ikat_bindings_destroy(&bindings);
    for (uint32_t i = 0; i < num_arrays; i++) {
        ikat_buffer_destroy(&uses[i].buffer);
    }
    return status;
}
