// Every check of a call's arguments, written once. What only one mechanism can know is in its
// `check`.

#include "core.h"
#include "half.h"
#include "shape.h"
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

// Positions and their sums fit 32-bit arithmetic in kernels.
enum { MAX_EXTENT = 1 << 28 };

// Members have the row of their family, and names of their own.
static bool is_family(const ikati_tensor_use *use) {
    return use->info->max_count && use->name == use->info->name;
}

// The tensor of a name; NULL if there is none. A family itself has no tensor.
static ikati_tensor_use *find_use(ikati_tensor_use *uses, uint32_t num, const char *name) {
    for (uint32_t i = 0; i < num; i++) {
        if (!is_family(&uses[i]) && strcmp(uses[i].name, name) == 0) {
            return &uses[i];
        }
    }
    return NULL;
}

// Makes a place for an input of a family; *out stays as it is if the name belongs to none.
static ikat_status add_member(ikati_request *request, const char *name, ikati_tensor_use **out) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < info->num_inputs; i++) {
        const ikat_argument_info *family = &info->inputs[i];
        if (!family->max_count || !ikat_name_matches(family->name, name)) {
            continue;
        }
        uint32_t count = 0;
        for (uint32_t m = request->first_member; m < request->num_inputs; m++) {
            count += request->inputs[m].info == family;
        }
        if (count == family->max_count || request->num_inputs == IKATI_MAX_INPUTS) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                              "%s is one too many, expected at most %" PRIu32 " inputs %s", name,
                              family->max_count, family->name);
        }
        *out = &request->inputs[request->num_inputs++];
        **out = (ikati_tensor_use){.name = name, .info = family};
        return IKAT_OK;
    }
    return IKAT_OK;
}

// Structure has its values with it, everything else has none.
static ikat_status check_place(const ikati_request *request, const ikati_tensor_use *use) {
    if (use->info->structure || !use->values) {
        return IKAT_OK;
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                      "%s has host values, expected none: it is bound to a buffer", use->name);
}

// use  NULL: the mechanism has none of that name
static ikat_status place_argument(const ikati_request *request, const ikat_argument *argument,
                                  const char *what, ikati_tensor_use *use) {
    if (!use) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                          "%s has no %s '%s'", request->mechanism->info.name, what, argument->name);
    }
    if (use->present) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_TWICE, "%s %s is given twice",
                          what, argument->name);
    }
    use->present = true;
    use->tensor = argument->tensor;
    use->values = argument->values;
    return check_place(request, use);
}

static bool is_main_type(ikat_dtype dtype) {
    return dtype == IKAT_FLOAT32 || dtype == IKAT_FLOAT16;
}

// "float": the call's main type; "any float": float32 or float16 on its own; "int32 or any float";
// else the one named type.
static ikat_status check_dtype(ikati_request *request, const ikati_tensor_use *use) {
    bool good;
    const ikat_argument_info *info = use->info;
    const ikat_dtype dtype = use->tensor.dtype;
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
    } else if (strcmp(info->dtype, "int32 or any float") == 0) {
        good = dtype == IKAT_INT32 || is_main_type(dtype);
        expected = "int32, float32 or float16";
    } else {
        good = strcmp(info->dtype, ikat_dtype_name(dtype)) == 0;
    }
    if (good) {
        return IKAT_OK;
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_DTYPE, "%s is %s, expected %s",
                      use->name, ikat_dtype_name(dtype), expected);
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

static double value_at(const ikati_tensor_use *use, uint64_t index) {
    switch (use->tensor.dtype) {
    case IKAT_FLOAT32: return ((const float *)use->values)[index];
    case IKAT_FLOAT16: return ikati_half_to_float(((const uint16_t *)use->values)[index]);
    case IKAT_INT32: return ((const int32_t *)use->values)[index];
    case IKAT_INT8: return ((const int8_t *)use->values)[index];
    case IKAT_UINT8: return ((const uint8_t *)use->values)[index];
    case IKAT_DTYPE_NONE: break;
    }
    return 0;
}

// Host arrays are packed, and their values in range.
static ikat_status check_structure(const ikati_request *request, const ikati_tensor_use *use) {
    const ikati_host *host = request->host;
    const ikat_argument_info *info = use->info;
    const uint64_t count = ikati_tensor_count(&use->tensor);
    if (use->tensor.offset || !ikati_tensor_is_packed(&use->tensor)) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_STRIDE,
                          "%s has strides or an offset, expected a packed host array", use->name);
    }
    if (count && !use->values) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "%s has no values, expected a host array of %" PRIu64 " elements",
                          use->name, count);
    }
    if (!info->values) {
        return IKAT_OK;
    }
    int64_t minimum, maximum;
    ikati_shape_range(request, info->values, &minimum, &maximum);
    for (uint64_t i = 0; i < count; i++) {
        const double value = value_at(use, i);
        if (!(value >= (double)minimum && value <= (double)maximum)) {
            return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                              "%s has the value %g at element %" PRIu64 ", expected %" PRId64
                              " to %" PRId64 " (%s)",
                              use->name, value, i, minimum, maximum, info->values);
        }
    }
    return IKAT_OK;
}

static ikat_status check_inputs(ikati_request *request) {
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        ikati_tensor_use *use = &request->inputs[i];
        const ikat_argument_info *argument = use->info;
        if (!use->present) {
            if (!argument->optional) {
                return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                                  "input %s is missing, expected %s %s", argument->name,
                                  argument->dtype, argument->shape);
            }
            continue;
        }
        ikat_status status = check_dtype(request, use);
        if (!status) {
            status = check_layout(request, use->name, &use->tensor, false);
        }
        if (!status) {
            status = ikati_shape_match(request, use->name, argument->shape, &use->tensor);
        }
        if (!status && argument->structure) {
            status = check_structure(request, use);
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
        } else {
            use->tensor = inferred;
        }
        ikat_status status = check_layout(request, argument->name, &use->tensor, true);
        status = status ? status
                        : ikati_shape_match(request, argument->name, argument->shape, &use->tensor);
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

// A mechanism without axis N has no rows to name.
static ikat_status check_rows(const ikati_request *request) {
    const int64_t num_positions = ikati_extent(request, "N");
    int64_t least = 0;
    for (uint32_t i = 0; i < request->num_rows; i++) {
        const int64_t row = request->rows[i];
        if (row < least || row >= num_positions) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                              "rows has %" PRId64 " at place %" PRIu32
                              ", expected rows of axis N = %" PRId64 ", ascending, each once",
                              row, i, num_positions);
        }
        least = row + 1;
    }
    return IKAT_OK;
}

static ikat_status check_tensors(ikati_request *request) {
    ikat_status status = check_inputs(request);
    if (!status) {
        status = request->mechanism->check(request);
    }
    status = status ? status : check_outputs(request);
    return status ? status : check_rows(request);
}

// Copies the name of a member of a family. NULL after a failure.
static ikat_status own_name(const ikati_request *request, const char **name, ikat_status status) {
    *name = status ? NULL : ikati_copy_text(request->host, *name);
    return (status || *name) ? status : IKAT_NO_MEMORY;
}

// Copies what requests own: values, names and rows that `request` still borrows. After a failure it
// forgets those instead, so that what is left can be cleared.
static ikat_status own_values(ikati_request *request, ikat_status status) {
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        ikati_tensor_use *use = &request->inputs[i];
        if (i >= request->first_member) {
            status = own_name(request, &use->name, status);
        }
        const void *borrowed = use->values;
        use->values = NULL;
        if (borrowed && !status) {
            const uint64_t count = ikati_tensor_count(&use->tensor);
            const size_t size = ikat_dtype_size(use->tensor.dtype);
            void *own = ikati_alloc(request->host, (size_t)count, size);
            status = own ? IKAT_OK : IKAT_NO_MEMORY;
            use->values = own ? memcpy(own, borrowed, (size_t)count * size) : NULL;
        }
    }
    return status;
}

// Copies lists, strings and names of settings; after a failure it forgets them.
static ikat_status own_settings(ikati_request *request) {
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < request->num_settings; i++) {
        ikati_call_setting *setting = &request->settings[i];
        const int64_t *borrowed = setting->integers;
        setting->integers = NULL;
        if (borrowed && !status) {
            int64_t *own = ikati_alloc(request->host, setting->num_integers, sizeof(*own));
            status = own ? IKAT_OK : IKAT_NO_MEMORY;
            setting->integers =
                own ? memcpy(own, borrowed, setting->num_integers * sizeof(*own)) : NULL;
        }
        if (setting->text) {
            status = own_name(request, &setting->text, status);
        }
        if (i >= request->mechanism->info.num_settings) {
            status = own_name(request, &setting->name, status);
        }
    }
    return status;
}

static ikat_status own_rows(ikati_request *request, ikat_status status) {
    const int64_t *borrowed = request->rows;
    request->rows = NULL;
    if (borrowed && !status) {
        int64_t *own = ikati_alloc(request->host, request->num_rows, sizeof(*own));
        status = own ? IKAT_OK : IKAT_NO_MEMORY;
        request->rows = own ? memcpy(own, borrowed, request->num_rows * sizeof(*own)) : NULL;
    }
    return status;
}

static void free_text(const ikati_request *request, const char **text) {
    ikati_free(request->host, (void *)(uintptr_t)*text);
    *text = NULL;
}

void ikati_request_clear(ikati_request *request) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    if (request->inner) {
        ikati_request_clear(request->inner);
        ikati_free(request->host, request->inner);
        request->inner = NULL;
    }
    ikati_free(request->host, (void *)(uintptr_t)request->rows);
    request->rows = NULL;
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        ikati_free(request->host, (void *)(uintptr_t)request->inputs[i].values);
        request->inputs[i].values = NULL;
        if (i >= request->first_member) {
            free_text(request, &request->inputs[i].name);
        }
    }
    for (uint32_t i = 0; i < request->num_settings; i++) {
        ikati_call_setting *setting = &request->settings[i];
        ikati_free(request->host, (void *)(uintptr_t)setting->integers);
        setting->integers = NULL;
        free_text(request, &setting->text);
        if (i >= info->num_settings) {
            free_text(request, &setting->name);
        }
    }
}

// A request's last act in the making.
static ikat_status finish(ikati_request *request, ikat_status status) {
    status = own_values(request, status);
    status = own_rows(request, status);
    if (status) {
        ikati_request_clear(request);
    }
    return status;
}

// One place a row of the mechanism, none of them taken.
static void name_places(ikati_request *request) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    const ikat_argument_info *input;
    for (uint32_t i = 0; (input = ikat_mechanism_input(info, i)); i++) {
        request->inputs[i] = (ikati_tensor_use){.name = input->name, .info = input};
        request->num_inputs = i + 1;
    }
    request->first_member = request->num_inputs;
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        request->outputs[i].info = &info->outputs[i];
        request->outputs[i].name = info->outputs[i].name;
    }
}

static ikat_status fail_nameless(const ikati_request *request, const char *what) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                      "an %s of %s has no name", what, request->mechanism->info.name);
}

static ikat_status place_input(ikati_request *request, const ikat_argument *argument) {
    if (!argument->name) {
        return fail_nameless(request, "input");
    }
    ikati_tensor_use *use = find_use(request->inputs, request->num_inputs, argument->name);
    ikat_status status = use ? IKAT_OK : add_member(request, argument->name, &use);
    return status ? status : place_argument(request, argument, "input", use);
}

static ikat_status place_output(ikati_request *request, const ikat_argument *argument) {
    if (!argument->name) {
        return fail_nameless(request, "output");
    }
    const uint32_t num_outputs = request->mechanism->info.num_outputs;
    return place_argument(request, argument, "output",
                          find_use(request->outputs, num_outputs, argument->name));
}

static ikat_status place_arguments(ikati_request *request, const ikat_plan_params *params) {
    ikat_status status = IKAT_OK;
    name_places(request);
    for (uint32_t i = 0; i < params->num_inputs && !status; i++) {
        status = place_input(request, &params->inputs[i]);
    }
    for (uint32_t i = 0; i < params->num_outputs && !status; i++) {
        status = place_output(request, &params->outputs[i]);
    }
    if (params->num_outputs == 0) {
        request->outputs[0].present = true;
    }
    return status;
}

ikat_status ikati_request_create(const ikati_host *host, const ikat_plan_params *params,
                                 ikati_request *out_request) {
    const ikati_mechanism *mechanism = ikati_mechanism_find(params->mechanism);
    if (!mechanism) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_MECHANISM,
                          "there is no mechanism '%s'",
                          params->mechanism ? params->mechanism : "(null)");
    }
    return ikati_request_create_for(host, mechanism, params, out_request);
}

ikat_status ikati_request_create_for(const ikati_host *host, const ikati_mechanism *mechanism,
                                     const ikat_plan_params *params, ikati_request *out_request) {
    *out_request = (ikati_request){.host = host, .mechanism = mechanism};
    if ((params->num_inputs && !params->inputs) || (params->num_settings && !params->settings) ||
        (params->num_outputs && !params->outputs) || (params->num_rows && !params->rows)) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "a list of inputs, settings, outputs or rows is NULL, expected as many "
                          "entries as its count says");
    }
    out_request->rows = params->num_rows ? params->rows : NULL;
    out_request->num_rows = params->num_rows;
    ikat_status status = place_arguments(out_request, params);
    if (!status) {
        status = ikati_settings_resolve(out_request, params->settings, params->num_settings);
    }
    return finish(out_request, status ? status : check_tensors(out_request));
}

// Puts changed tensors in the place of the old ones.
static ikat_status change_arguments(ikati_request *request, const ikat_argument *changed,
                                    uint32_t num_changed) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < num_changed; i++) {
        const char *name = changed[i].name ? changed[i].name : "(null)";
        ikati_tensor_use *input = find_use(request->inputs, request->num_inputs, name);
        ikati_tensor_use *use = input ? input : find_use(request->outputs, info->num_outputs, name);
        if (!use || !use->present) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                              "the plan has no tensor '%s' to change", name);
        }
        use->tensor = changed[i].tensor;
        use->values = changed[i].values;
        ikat_status status = check_place(request, use);
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

ikat_status ikati_request_derive(const ikati_request *request, const ikat_argument *changed,
                                 uint32_t num_changed, ikati_request *out_request) {
    *out_request = *request;
    out_request->inner = NULL;
    out_request->num_letters = 0;
    out_request->dtype = IKAT_DTYPE_NONE;
    for (uint32_t i = 0; i < request->mechanism->info.num_outputs; i++) {
        ikat_tensor *tensor = &out_request->outputs[i].tensor;
        if (!tensor->offset && ikati_tensor_is_packed(tensor)) {
            *tensor = (ikat_tensor){0}; // a view stays, and must still fit
        }
    }
    ikat_status status = own_settings(out_request);
    status = status ? status : change_arguments(out_request, changed, num_changed);
    status = status ? status : check_tensors(out_request);
    if (!status && out_request->dtype != request->dtype) {
        status =
            ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_DTYPE,
                       "the main tensors are %s, expected %s as in the plan that is derived from",
                       ikat_dtype_name(out_request->dtype), ikat_dtype_name(request->dtype));
    }
    return finish(out_request, status);
}
