// Memory: cl_mem objects, the library's own or wrapped, and copying to and from the host.

#include "ocl.h"

#include <assert.h>

// Some drivers go wrong above 2 or 4 GiB a transfer.
static const uint64_t max_transfer_bytes = UINT64_C(1) << 30;

ikat_status ocl_memory_create(ikati_port *opaque, uint64_t size_bytes, ikati_memory **out_memory) {
    ocl_port *port = (ocl_port *)opaque;
    *out_memory = NULL;
    const ikat_status status = ocl_port_alive(port);
    if (status != IKAT_OK) {
        return status;
    }
    ocl_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    if (!memory) {
        return IKAT_NO_MEMORY;
    }
    cl_int error = CL_INVALID_BUFFER_SIZE;
    if (size_bytes <= SIZE_MAX) {
        memory->handle = port->cl.CreateBuffer(port->context, CL_MEM_READ_WRITE, (size_t)size_bytes,
                                               NULL, &error);
    }
    if (!memory->handle) {
        ikati_free(port->host, memory);
        return ocl_fail(port, error, "clCreateBuffer", "a buffer");
    }
    memory->parent = memory->handle;
    memory->size_bytes = size_bytes;
    ocl_count(port, (ikat_device_statistics){.buffer_bytes = size_bytes});
    *out_memory = (ikati_memory *)memory;
    return IKAT_OK;
}

// Finds the buffer that `handle` is a part of, if it is one.
static cl_int find_parent(const ocl_port *port, ocl_memory *memory) {
    cl_mem parent = NULL;
    size_t offset = 0;
    const cl_int error = port->cl.GetMemObjectInfo(memory->handle, CL_MEM_ASSOCIATED_MEMOBJECT,
                                                   sizeof(parent), &parent, NULL);
    if (error != CL_SUCCESS || !parent) {
        memory->parent = memory->handle;
        return error;
    }
    memory->parent = parent; // kept alive by its sub-buffer
    const cl_int offset_error =
        port->cl.GetMemObjectInfo(memory->handle, CL_MEM_OFFSET, sizeof(offset), &offset, NULL);
    memory->parent_offset_bytes = offset;
    return offset_error;
}

ikat_status ocl_memory_wrap(ocl_port *port, cl_mem handle, uint64_t size_bytes,
                            ikati_memory **out_memory) {
    *out_memory = NULL;
    ocl_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    if (!memory) {
        return IKAT_NO_MEMORY;
    }
    *memory = (ocl_memory){.handle = handle, .size_bytes = size_bytes, .wrapped = true};
    cl_int error = find_parent(port, memory);
    error = error == CL_SUCCESS ? port->cl.RetainMemObject(handle) : error;
    if (error != CL_SUCCESS) {
        ikati_free(port->host, memory);
        return ocl_fail(port, error, "clRetainMemObject", "a wrapped buffer");
    }
    *out_memory = (ikati_memory *)memory;
    return IKAT_OK;
}

// OpenCL keeps memory of enqueued commands alive by itself.
void ocl_memory_destroy(ikati_port *opaque, ikati_memory *opaque_memory) {
    ocl_port *port = (ocl_port *)opaque;
    ocl_memory *memory = (ocl_memory *)opaque_memory;
    port->cl.ReleaseMemObject(memory->handle);
    if (!memory->wrapped) {
        ocl_count(port, (ikat_device_statistics){.buffer_bytes = 0 - memory->size_bytes});
    }
    ikati_free(port->host, memory);
}

ikat_status ocl_memory_write(ikati_port *opaque, ikati_memory *opaque_memory, uint64_t offset_bytes,
                             const void *data, uint64_t size_bytes) {
    ocl_port *port = (ocl_port *)opaque;
    const ocl_memory *memory = (const ocl_memory *)opaque_memory;
    assert(offset_bytes <= memory->size_bytes && size_bytes <= memory->size_bytes - offset_bytes);
    const ikat_status status = ocl_port_alive(port);
    if (status != IKAT_OK) {
        return status;
    }
    for (uint64_t done = 0; done < size_bytes;) {
        const uint64_t left = size_bytes - done;
        const size_t now = (size_t)(left < max_transfer_bytes ? left : max_transfer_bytes);
        const cl_int error = port->cl.EnqueueWriteBuffer(
            port->queue, memory->handle, CL_TRUE, (size_t)(offset_bytes + done), now,
            (const uint8_t *)data + done, 0, NULL, NULL);
        if (error != CL_SUCCESS) {
            return ocl_fail(port, error, "clEnqueueWriteBuffer", "a buffer");
        }
        done += now;
    }
    return IKAT_OK;
}

ikat_status ocl_memory_read(ikati_port *opaque, ikati_memory *opaque_memory, uint64_t offset_bytes,
                            void *data, uint64_t size_bytes) {
    ocl_port *port = (ocl_port *)opaque;
    const ocl_memory *memory = (const ocl_memory *)opaque_memory;
    assert(offset_bytes <= memory->size_bytes && size_bytes <= memory->size_bytes - offset_bytes);
    const ikat_status status = ocl_port_alive(port);
    if (status != IKAT_OK) {
        return status;
    }
    for (uint64_t done = 0; done < size_bytes;) {
        const uint64_t left = size_bytes - done;
        const size_t now = (size_t)(left < max_transfer_bytes ? left : max_transfer_bytes);
        const cl_int error = port->cl.EnqueueReadBuffer(port->queue, memory->handle, CL_TRUE,
                                                        (size_t)(offset_bytes + done), now,
                                                        (uint8_t *)data + done, 0, NULL, NULL);
        if (error != CL_SUCCESS) {
            return ocl_fail(port, error, "clEnqueueReadBuffer", "a buffer");
        }
        done += now;
    }
    return IKAT_OK;
}
