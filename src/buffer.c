#include "core.h"

#include <inttypes.h>

// Kernels address 32-bit words and 16-byte vectors: the last one must lie inside the buffer.
enum { SIZE_GRANULARITY = 16 };

ikat_status ikati_buffer_wrap(ikat_device *device, ikati_memory *memory, uint64_t size_bytes,
                              ikat_buffer **out_buffer) {
    ikat_buffer *buffer = ikati_alloc(&device->context->host, 1, sizeof(*buffer));
    if (!buffer) {
        device->backend->memory_destroy(device->port, memory);
        return IKAT_NO_MEMORY;
    }
    *buffer = (ikat_buffer){device, memory, size_bytes, size_bytes};
    *out_buffer = buffer;
    return IKAT_OK;
}

ikat_status ikat_buffer_create(ikat_device *device, uint64_t size_bytes, ikat_buffer **out_buffer) {
    if (!out_buffer) {
        return IKAT_INVALID;
    }
    *out_buffer = NULL;
    if (!device) {
        return IKAT_INVALID;
    }
    uint64_t most = device->info.limits.max_buffer_bytes;
    if (size_bytes == 0 || size_bytes > most || size_bytes > UINT64_MAX - SIZE_GRANULARITY) {
        return ikati_fail(&device->context->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "size_bytes is %" PRIu64 ", expected 1 to %" PRIu64, size_bytes, most);
    }
    uint64_t capacity_bytes = ikati_round_up(size_bytes, SIZE_GRANULARITY);
    ikati_memory *memory;
    ikat_status status = device->backend->memory_create(device->port, capacity_bytes, &memory);
    if (!status) {
        status = ikati_buffer_wrap(device, memory, size_bytes, out_buffer);
    }
    if (!status) {
        (*out_buffer)->capacity_bytes = capacity_bytes;
    }
    return status;
}

void ikat_buffer_destroy(ikat_buffer **buffer) {
    if (!buffer || !*buffer) {
        return;
    }
    ikat_device *device = (*buffer)->device;
    device->backend->memory_destroy(device->port, (*buffer)->memory);
    ikati_free(&device->context->host, *buffer);
    *buffer = NULL;
}

uint64_t ikat_buffer_size_bytes(const ikat_buffer *buffer) { return buffer->size_bytes; }

static ikat_status check_range(const ikat_buffer *buffer, uint64_t offset_bytes, const void *data,
                               uint64_t size_bytes) {
    if (!buffer || (!data && size_bytes)) {
        return IKAT_INVALID;
    }
    if (offset_bytes <= buffer->size_bytes && size_bytes <= buffer->size_bytes - offset_bytes) {
        return IKAT_OK;
    }
    return ikati_fail(&buffer->device->context->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                      "%" PRIu64 " bytes at offset %" PRIu64 " leave the buffer of %" PRIu64
                      " bytes",
                      size_bytes, offset_bytes, buffer->size_bytes);
}

ikat_status ikat_buffer_write(ikat_buffer *buffer, uint64_t offset_bytes, const void *data,
                              uint64_t size_bytes) {
    ikat_status status = check_range(buffer, offset_bytes, data, size_bytes);
    if (status || !size_bytes) {
        return status;
    }
    const ikat_device *device = buffer->device;
    return device->backend->memory_write(device->port, buffer->memory, offset_bytes, data,
                                         size_bytes);
}

ikat_status ikat_buffer_read(ikat_buffer *buffer, uint64_t offset_bytes, void *data,
                             uint64_t size_bytes) {
    ikat_status status = check_range(buffer, offset_bytes, data, size_bytes);
    if (status || !size_bytes) {
        return status;
    }
    const ikat_device *device = buffer->device;
    return device->backend->memory_read(device->port, buffer->memory, offset_bytes, data,
                                        size_bytes);
}
