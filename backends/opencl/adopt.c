// include/ikat/opencl.h: devices, buffers and queues of a host.

#include "ocl.h"

#include "../../src/limits.h"

#include <ikat/opencl.h>

#include <stdio.h>

// Adopting.

static bool is_device_of(const ikati_host *host, const ocl_functions *cl, cl_context context,
                         cl_device_id device) {
    size_t size = 0;
    if (cl->GetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size) != CL_SUCCESS) {
        return false;
    }
    cl_device_id *devices = ikati_alloc(host, 1, size);
    bool found = false;
    if (devices &&
        cl->GetContextInfo(context, CL_CONTEXT_DEVICES, size, devices, NULL) == CL_SUCCESS) {
        for (size_t i = 0; i < size / sizeof(cl_device_id) && !found; i++) {
            found = devices[i] == device;
        }
    }
    ikati_free(host, devices);
    return found;
}

static bool is_queue_of(const ocl_functions *cl, cl_command_queue queue, cl_context context,
                        cl_device_id device) {
    cl_context queue_context = NULL;
    cl_device_id queue_device = NULL;
    return cl->GetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(queue_context), &queue_context,
                                   NULL) == CL_SUCCESS &&
           cl->GetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(queue_device), &queue_device,
                                   NULL) == CL_SUCCESS &&
           queue_context == context && queue_device == device;
}

static bool is_in_order(const ocl_functions *cl, cl_command_queue queue) {
    cl_command_queue_properties properties = 0;
    return cl->GetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties), &properties,
                                   NULL) == CL_SUCCESS &&
           !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

static ikat_status check_objects(const ikati_host *host, const ocl_functions *cl,
                                 const ikat_opencl_adopt_params *params) {
    const char *wrong = NULL;
    if (!is_device_of(host, cl, params->context, params->device)) {
        wrong = "the device is not one of the context's";
    } else if (params->queue && !is_queue_of(cl, params->queue, params->context, params->device)) {
        wrong = "the queue is not of this context and device";
    } else if (params->queue && !is_in_order(cl, params->queue)) {
        wrong = "the queue is out of order; pass NULL, and this one to ikat_opencl_enqueue";
    }
    return wrong
               ? ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_DEVICE, "ikat_opencl_adopt: %s", wrong)
               : IKAT_OK;
}

static ikat_status open_adopted(const ikati_host *host, const ikat_opencl_adopt_params *params,
                                ikat_device_info *out_info, ocl_port **out_port) {
    ocl_functions cl;
    const char *missing = ocl_functions_find(&cl, params->get_function, params->get_function_user);
    if (missing) {
        return ikati_fail(host, IKAT_NO_DEVICE, IKAT_MESSAGE_DEVICE,
                          "ikat_opencl_adopt: there is no %s", missing);
    }
    const ikat_status status = check_objects(host, &cl, params);
    if (status != IKAT_OK) {
        return status;
    }
    if (!ocl_device_describe(&cl, params->device, out_info)) {
        return ikati_fail(
            host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
            "ikat_opencl_adopt: the device is older than OpenCL 1.2, or has no compiler");
    }
    snprintf(out_info->id, sizeof(out_info->id), "opencl:adopted");
    snprintf(out_info->backend, sizeof(out_info->backend), "%s", ikati_backend_opencl.name);
    if (params->limits) {
        ikati_limits_lower(&out_info->limits, params->limits);
    }
    return ocl_port_create(host, &cl, params->context, params->device, params->queue,
                           &out_info->limits, out_port);
}

ikat_status ikat_opencl_adopt(ikat_context *context, const ikat_opencl_adopt_params *params,
                              ikat_device **out_device) {
    if (!out_device) {
        return IKAT_INVALID;
    }
    *out_device = NULL;
    if (!context) {
        return IKAT_INVALID;
    }
    const ikati_host *host = ikati_context_host(context);
    if (!params || !params->context || !params->device) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "ikat_opencl_adopt: expected params with context and device");
    }
    ikat_device_info info;
    ocl_port *port;
    const ikat_status status = open_adopted(host, params, &info, &port);
    if (status != IKAT_OK) {
        return status;
    }
    if (!port->profiling) {
        info.limits.timestamps = 0;
    }
    return ikati_device_wrap(context, &ikati_backend_opencl, (ikati_port *)port, &info, out_device);
}

// Wrapping.

static ikat_status check_buffer(ocl_port *port, cl_mem buffer, uint64_t size_bytes,
                                uint64_t *out_size_bytes) {
    cl_mem_object_type type = 0;
    cl_context context = NULL;
    size_t size = 0;
    const char *wrong = NULL;
    if (port->cl.GetMemObjectInfo(buffer, CL_MEM_TYPE, sizeof(type), &type, NULL) != CL_SUCCESS ||
        port->cl.GetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof(context), &context, NULL) !=
            CL_SUCCESS ||
        port->cl.GetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof(size), &size, NULL) != CL_SUCCESS ||
        type != CL_MEM_OBJECT_BUFFER) {
        wrong = "this is no buffer";
    } else if (context != port->context) {
        wrong = "the buffer is of another context";
    } else if (size_bytes > size) {
        wrong = "the buffer is smaller than that";
    }
    *out_size_bytes = size_bytes > 0 ? size_bytes : size;
    return wrong ? ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                              "ikat_opencl_wrap_buffer: %s", wrong)
                 : IKAT_OK;
}

ikat_status ikat_opencl_wrap_buffer(ikat_device *device, cl_mem buffer, uint64_t size_bytes,
                                    ikat_buffer **out_buffer) {
    if (!out_buffer) {
        return IKAT_INVALID;
    }
    *out_buffer = NULL;
    ocl_port *port = device ? (ocl_port *)ikati_device_port(device, &ikati_backend_opencl) : NULL;
    if (!port) {
        return IKAT_INVALID;
    }
    if (!buffer) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "ikat_opencl_wrap_buffer: buffer is NULL");
    }
    ikati_memory *memory;
    ikat_status status = check_buffer(port, buffer, size_bytes, &size_bytes);
    status = status == IKAT_OK ? ocl_memory_wrap(port, buffer, size_bytes, &memory) : status;
    return status == IKAT_OK ? ikati_buffer_wrap(device, memory, size_bytes, out_buffer) : status;
}

// Enqueuing.

// An error here is the host's more often than the device's.
static ikat_status fail_enqueue(ocl_port *port, cl_int error, const char *subject) {
    switch (error) {
    case CL_INVALID_CONTEXT:
    case CL_INVALID_VALUE:
    case CL_INVALID_EVENT:
    case CL_INVALID_EVENT_WAIT_LIST:
        return ikati_fail(
            port->host, IKAT_INVALID, IKAT_MESSAGE_DEVICE,
            "ikat_opencl_enqueue: %s: %s (%d): expected valid events of the same context", subject,
            ocl_error_name(error), (int)error);
    default: return ocl_fail(port, error, "clEnqueueNDRangeKernel", subject);
    }
}

// Some drivers read a list that is not there.
static bool is_list(cl_uint num_events, const cl_event *events) {
    bool whole = num_events == 0 || events;
    for (cl_uint i = 0; i < num_events && whole; i++) {
        whole = events[i] != NULL;
    }
    return whole;
}

static ikat_status check_queue(ocl_port *port, cl_command_queue queue) {
    return queue && is_queue_of(&port->cl, queue, port->context, port->device)
               ? ocl_port_alive(port)
               : ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                            "ikat_opencl_enqueue: the queue is not of the adopted context and "
                            "device");
}

ikat_status ikat_opencl_enqueue(const ikat_plan *plan, uint32_t slice, ikat_bindings *bindings,
                                cl_command_queue queue, uint32_t num_wait_events,
                                const cl_event *wait_events, cl_event *out_event) {
    if (out_event) {
        *out_event = NULL;
    }
    const ocl_sequence *sequence =
        bindings ? (const ocl_sequence *)ikati_bindings_sequence(bindings, &ikati_backend_opencl)
                 : NULL;
    if (!sequence || !plan) {
        return IKAT_INVALID;
    }
    uint32_t first, num;
    ikat_status status = ikati_bindings_slice(bindings, plan, slice, &first, &num);
    status = status != IKAT_OK ? status : check_queue(sequence->port, queue);
    if (status != IKAT_OK) {
        return status;
    }
    if (!is_list(num_wait_events, wait_events)) {
        return fail_enqueue(sequence->port, CL_INVALID_EVENT_WAIT_LIST, "wait_events");
    }
    const ocl_enqueue enqueue = {
        .queue = queue,
        .in_order = is_in_order(&sequence->port->cl, queue),
        .num_wait_events = num_wait_events,
        .wait_events = wait_events,
        .out_last = out_event,
    };
    const char *subject;
    const cl_int error = ocl_sequence_enqueue(sequence, first, num, &enqueue, &subject);
    if (error != CL_SUCCESS) {
        return fail_enqueue(sequence->port, error, subject);
    }
    ocl_count(sequence->port, (ikat_device_statistics){.dispatches = num});
    return IKAT_OK;
}
