// Kernels with their arguments set, and enqueuing them.
//
// A kernel's arguments are its buffers in the order of its bindings, the parameter block by value,
// and the number of the first workgroup of the launch: (global float *q, ..., const params p, uint
// first_group).

#include "ocl.h"

#include <assert.h>
#include <string.h>

// Gives what to bind for a range. A part of a buffer becomes a sub-buffer, which the caller owns.
static cl_int bind_range(const ocl_port *port, const ikati_range *range, cl_mem *out_bound,
                         cl_mem *out_sub_buffer) {
    const ocl_memory *memory = (const ocl_memory *)range->memory;
    *out_sub_buffer = NULL;
    if (!memory) {
        *out_bound = port->dummy;
        return CL_SUCCESS;
    }
    assert(range->size_bytes > 0 && range->offset_bytes < memory->size_bytes);
    // The core rounds sizes up to whole words; a wrapped buffer may end before.
    const uint64_t left = memory->size_bytes - range->offset_bytes;
    const uint64_t size = range->size_bytes < left ? range->size_bytes : left;
    if (size == memory->size_bytes) {
        *out_bound = memory->handle;
        return CL_SUCCESS;
    }
    const cl_buffer_region region = {
        .origin = (size_t)(memory->parent_offset_bytes + range->offset_bytes),
        .size = (size_t)size};
    cl_int error;
    // No flags: reading and writing as the parent, which a host may have made read-only.
    *out_sub_buffer =
        port->cl.CreateSubBuffer(memory->parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    *out_bound = *out_sub_buffer;
    return *out_sub_buffer ? CL_SUCCESS : error;
}

static ikat_status make_call(ocl_port *port, const ikati_dispatch *dispatch, ocl_call *call) {
    const ocl_program *program = (const ocl_program *)dispatch->program;
    const ikati_kernel *kernel = program->kernel;
    cl_int error;
    call->program = program;
    call->kernel = port->cl.CreateKernel(program->handle, kernel->name, &error);
    if (!call->kernel) {
        return ocl_fail(port, error, "clCreateKernel", program->name);
    }
    for (uint32_t i = 0; i < kernel->num_bindings; i++) {
        cl_mem bound;
        error = bind_range(port, &dispatch->ranges[i], &bound, &call->sub_buffers[i]);
        if (error != CL_SUCCESS) {
            return ocl_fail(port, error, "clCreateSubBuffer", program->name);
        }
        error = port->cl.SetKernelArg(call->kernel, i, sizeof(bound), &bound);
        if (error != CL_SUCCESS) {
            return ocl_fail(port, error, "clSetKernelArg", program->name);
        }
    }
    error = port->cl.SetKernelArg(call->kernel, kernel->num_bindings, kernel->params_bytes,
                                  dispatch->params);
    return error == CL_SUCCESS ? IKAT_OK : ocl_fail(port, error, "clSetKernelArg", program->name);
}

static void release_calls(ocl_sequence *sequence) {
    const ocl_functions *cl = &sequence->port->cl;
    for (uint32_t i = 0; i < sequence->num_calls; i++) {
        ocl_call *call = &sequence->calls[i];
        if (call->kernel) {
            cl->ReleaseKernel(call->kernel);
        }
        for (uint32_t j = 0; j < IKATI_MAX_BINDINGS; j++) {
            if (call->sub_buffers[j]) {
                cl->ReleaseMemObject(call->sub_buffers[j]);
            }
        }
    }
}

void ocl_sequence_destroy(ikati_port *opaque, ikati_sequence *opaque_sequence) {
    ocl_port *port = (ocl_port *)opaque;
    ocl_sequence *sequence = (ocl_sequence *)opaque_sequence;
    if (sequence->last_ticket > 0) {
        ocl_wait(opaque, sequence->last_ticket, UINT64_MAX, NULL);
    }
    if (sequence->calls) {
        release_calls(sequence);
    }
    ikati_free(port->host, sequence->calls);
    ikati_free(port->host, sequence->launches);
    ikati_free(port->host, sequence);
}

ikat_status ocl_sequence_create(ikati_port *opaque, const ikati_sequence_params *params,
                                ikati_sequence **out_sequence) {
    ocl_port *port = (ocl_port *)opaque;
    *out_sequence = NULL;
    ikat_status status = ocl_port_alive(port);
    if (status != IKAT_OK) {
        return status;
    }
    ocl_sequence *sequence = ikati_alloc(port->host, 1, sizeof(*sequence));
    if (!sequence) {
        return IKAT_NO_MEMORY;
    }
    *sequence = (ocl_sequence){
        .port = port, .num_calls = params->num_dispatches, .num_launches = params->num_launches};
    sequence->calls = ikati_alloc(port->host, params->num_dispatches, sizeof(ocl_call));
    sequence->launches = ikati_alloc(port->host, params->num_launches, sizeof(ikati_launch));
    status = sequence->calls && sequence->launches ? IKAT_OK : IKAT_NO_MEMORY;
    for (uint32_t i = 0; i < params->num_dispatches && status == IKAT_OK; i++) {
        status = make_call(port, &params->dispatches[i], &sequence->calls[i]);
    }
    if (status != IKAT_OK) {
        ocl_sequence_destroy(opaque, (ikati_sequence *)sequence);
        return status;
    }
    if (params->num_launches > 0) {
        memcpy(sequence->launches, params->launches, params->num_launches * sizeof(ikati_launch));
    }
    *out_sequence = (ikati_sequence *)sequence;
    return IKAT_OK;
}

static cl_int enqueue_launch(const ocl_sequence *sequence, const ikati_launch *launch,
                             cl_command_queue queue, cl_uint num_wait_events,
                             const cl_event *wait_events, cl_event *out_event) {
    const ocl_functions *cl = &sequence->port->cl;
    const ocl_call *call = &sequence->calls[launch->dispatch];
    const cl_uint first_group = launch->first_group;
    const cl_int error = cl->SetKernelArg(call->kernel, call->program->kernel->num_bindings + 1,
                                          sizeof(first_group), &first_group);
    if (error != CL_SUCCESS) {
        return error;
    }
    const size_t local_size = call->program->group_size;
    const size_t global_size = local_size * launch->num_groups;
    return cl->EnqueueNDRangeKernel(queue, call->kernel, 1, NULL, &global_size, &local_size,
                                    num_wait_events, num_wait_events > 0 ? wait_events : NULL,
                                    out_event);
}

static void keep_event(const ocl_functions *cl, cl_event event, cl_event *out_event) {
    if (out_event) {
        cl->RetainEvent(event);
        *out_event = event;
    }
}

// An in-order queue needs no barriers. On another, each launch waits for the one before it.
cl_int ocl_sequence_enqueue(const ocl_sequence *sequence, uint32_t first, uint32_t num,
                            const ocl_enqueue *enqueue, const char **out_subject) {
    const ocl_functions *cl = &sequence->port->cl;
    cl_uint num_wait_events = enqueue->num_wait_events;
    const cl_event *wait_events = enqueue->wait_events;
    cl_event event = NULL, previous = NULL;
    cl_int error = CL_SUCCESS;
    *out_subject = "an empty slice";
    if (num == 0) {
        error = cl->EnqueueMarkerWithWaitList(enqueue->queue, num_wait_events, wait_events, &event);
    }
    for (uint32_t i = 0; i < num && error == CL_SUCCESS; i++) {
        const ikati_launch *launch = &sequence->launches[first + i];
        const bool wanted = !enqueue->in_order || (i == 0 && enqueue->out_first) ||
                            (i + 1 == num && enqueue->out_last);
        *out_subject = sequence->calls[launch->dispatch].program->name;
        event = NULL;
        error = enqueue_launch(sequence, launch, enqueue->queue, num_wait_events, wait_events,
                               wanted ? &event : NULL);
        if (error == CL_SUCCESS && i == 0) {
            keep_event(cl, event, enqueue->out_first);
        }
        if (previous) {
            cl->ReleaseEvent(previous);
        }
        previous = event;
        num_wait_events = enqueue->in_order ? 0 : 1;
        wait_events = &previous;
    }
    if (error == CL_SUCCESS) {
        keep_event(cl, event, enqueue->out_last);
    }
    if (event) {
        cl->ReleaseEvent(event);
    }
    return error;
}
