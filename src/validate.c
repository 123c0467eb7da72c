// Every check of a call's arguments, written once. What only one mechanism can know is in its
// `check`.

#include "core.h"
#include "shape.h"
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

// Positions and their sums fit 32-bit arithmetic in kernels.
enum { MAX_EXTENT = 1 << 28 };

// Index of `name` in a list of arguments; `num` if it is not there.
static uint32_t find_argument(const ikat_argument_info *list, uint32_t num, const char *name) {
    uint32_t index = 0;
    while (index < num && strcmp(list[index].name, name) != 0) {
        index++;
    }
    return index;
}

static ikat_status place_argument(const ikati_request *request, const ikat_argument *argument,
                                  const char *what, const ikat_argument_info *list, uint32_t num,
                                  ikati_tensor_use *uses) {
    const char *mechanism = request->mechanism->info.name;
    if (!argument->name) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "an %s of %s has no name", what, mechanism);
    }
    uint32_t index = find_argument(list, num, argument->name);
    if (index == num) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                          "%s has no %s '%s'", mechanism, what, argument->name);
    }
    if (uses[index].present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_TWICE, "%s %s is given twice",
                          what, argument->name);
    }
    uses[index].present = true;
    uses[index].tensor = argument->tensor;
    return IKAT_OK;
}

static bool is_main_type(ikat_dtype dtype) {
    return dtype == IKAT_FLOAT32 || dtype == IKAT_FLOAT16;
}

// "float": the call's main type; "any float": float32 or float16 on its own; else the one named
// type.
static ikat_status check_dtype(ikati_request *request, const ikat_argument_info *info,
                               ikat_dtype dtype) {
    bool good;
    const char *expected = info->dtype;
    if (strcmp(info->dtype, "float") == 0) {
        good = is_main_type(dtype) && (!request->dtype || request->dtype == dtype);
        expected = request->dtype ? ikat_dtype_name(request->dtype) : "float32 or float16";
        if (good) {
            request->dtype = dtype;
        }
    } else if (strcmp(info->dtype, "any float") == 0) {
        good = is_main_type(dtype);
        expected = "float32 or float16";
    } else {
        good = strcmp(info->dtype, ikat_dtype_name(dtype)) == 0;
    }
    if (good) {
        return IKAT_OK;
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_DTYPE, "%s is %s, expected %s",
                      info->name, ikat_dtype_name(dtype), expected);
}

// Extents, strides, sizes; packed strides are made explicit.
static ikat_status check_layout(const ikati_request *request, const char *name, ikat_tensor *tensor,
                                bool written) {
    const ikati_host *host = request->host;
    if (tensor->rank > IKAT_MAX_RANK) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_RANK,
                          "%s has %" PRIu32 " axes, expected at most %d", name, tensor->rank,
                          IKAT_MAX_RANK);
    }
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        if (tensor->shape[axis] < 0 || tensor->shape[axis] > MAX_EXTENT) {
            return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_OVERFLOW,
                              "%s has extent %" PRId64 " at axis %" PRIu32 ", expected 0 to %d",
                              name, tensor->shape[axis], axis, MAX_EXTENT);
        }
    }
    ikat_tensor resolved;
    if (ikati_tensor_resolve(tensor, &resolved)) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_STRIDE,
                          "%s has impossible strides or offset, expected none negative, an "
                          "innermost stride of 1 and "
                          "a size that fits 63 bits",
                          name);
    }
    *tensor = resolved;
    if (written && !ikati_tensor_is_disjoint(tensor)) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_STRIDE,
                          "%s has strides that make its elements overlap, expected an output whose "
                          "elements are apart",
                          name);
    }
    return IKAT_OK;
}

static ikat_status check_inputs(ikati_request *request) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < info->num_inputs; i++) {
        ikati_tensor_use *use = &request->inputs[i];
        const ikat_argument_info *argument = &info->inputs[i];
        if (!use->present) {
            if (!argument->optional) {
                return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                                  "input %s is missing, expected %s %s", argument->name,
                                  argument->dtype, argument->shape);
            }
            continue;
        }
        ikat_status status = check_dtype(request, argument, use->tensor.dtype);
        if (!status) {
            status = check_layout(request, argument->name, &use->tensor, false);
        }
        if (!status) {
            status = ikati_shape_match(request, argument->name, argument->shape, &use->tensor);
        }
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

static ikat_dtype output_dtype(const ikati_request *request, const ikat_argument_info *info) {
    if (strcmp(info->dtype, "float") == 0) {
        return request->dtype;
    }
    ikat_dtype dtype = IKAT_FLOAT32;
    while (dtype <= IKAT_UINT8 && strcmp(ikat_dtype_name(dtype), info->dtype) != 0) {
        dtype = (ikat_dtype)(dtype + 1);
    }
    return dtype;
}

// Outputs have inferred type and shape; a caller's description may only add strides and an offset.
static ikat_status check_outputs(ikati_request *request) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        ikati_tensor_use *use = &request->outputs[i];
        const ikat_argument_info *argument = &info->outputs[i];
        ikat_tensor inferred = {.dtype = output_dtype(request, argument)};
        ikati_shape_infer(request, argument->shape, &inferred);
        if (use->present && use->tensor.dtype != IKAT_DTYPE_NONE) {
            if (use->tensor.dtype != inferred.dtype) {
                return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_DTYPE,
                                  "%s is %s, expected %s", argument->name,
                                  ikat_dtype_name(use->tensor.dtype),
                                  ikat_dtype_name(inferred.dtype));
            }
            ikat_status status =
                ikati_shape_match(request, argument->name, argument->shape, &use->tensor);
            if (status) {
                return status;
            }
        } else {
            use->tensor = inferred;
        }
        ikat_status status = check_layout(request, argument->name, &use->tensor, true);
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

static ikat_status check_tensors(ikati_request *request) {
    ikat_status status = check_inputs(request);
    if (!status) {
        status = request->mechanism->check(request);
    }
    return status ? status : check_outputs(request);
}

ikat_status ikati_request_create(const ikati_host *host, const ikat_plan_params *params,
                                 ikati_request *out_request) {
    *out_request =
        (ikati_request){.host = host, .mechanism = ikati_mechanism_find(params->mechanism)};
    if (!out_request->mechanism) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_MECHANISM,
                          "there is no mechanism '%s'",
                          params->mechanism ? params->mechanism : "(null)");
    }
    if ((params->num_inputs && !params->inputs) || (params->num_settings && !params->settings) ||
        (params->num_outputs && !params->outputs)) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "a list of inputs, settings or outputs is NULL, expected as many entries "
                          "as its count says");
    }
    const ikat_mechanism_info *info = &out_request->mechanism->info;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < params->num_inputs && !status; i++) {
        status = place_argument(out_request, &params->inputs[i], "input", info->inputs,
                                info->num_inputs, out_request->inputs);
    }
    for (uint32_t i = 0; i < params->num_outputs && !status; i++) {
        status = place_argument(out_request, &params->outputs[i], "output", info->outputs,
                                info->num_outputs, out_request->outputs);
    }
    if (params->num_outputs == 0) {
        out_request->outputs[0].present = true;
    }
    if (!status) {
        status = ikati_settings_resolve(out_request, params->settings, params->num_settings);
    }
    return status ? status : check_tensors(out_request);
}

ikat_status ikati_request_derive(const ikati_request *request, const ikat_argument *changed,
                                 uint32_t num_changed, ikati_request *out_request) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    *out_request = *request;
    out_request->num_letters = 0;
    out_request->dtype = IKAT_DTYPE_NONE;
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        out_request->outputs[i].tensor = (ikat_tensor){0};
    }
    for (uint32_t i = 0; i < num_changed; i++) {
        const char *name = changed[i].name ? changed[i].name : "(null)";
        uint32_t input = find_argument(info->inputs, info->num_inputs, name);
        uint32_t output = find_argument(info->outputs, info->num_outputs, name);
        ikati_tensor_use *use = input < info->num_inputs     ? &out_request->inputs[input]
                                : output < info->num_outputs ? &out_request->outputs[output]
                                                             : NULL;
        if (!use || !use->present) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                              "the plan has no tensor '%s' to change", name);
        }
        use->tensor = changed[i].tensor;
    }
    ikat_status status = check_tensors(out_request);
    if (!status && out_request->dtype != request->dtype) {
        status =
            ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_DTYPE,
                       "the main tensors are %s, expected %s as in the plan that is derived from",
                       ikat_dtype_name(out_request->dtype), ikat_dtype_name(request->dtype));
    }
    return status;
}
