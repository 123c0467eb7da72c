// Device memory.

#ifndef IKAT_BUFFER_H
#define IKAT_BUFFER_H

#include <ikat/device.h>

#ifdef __cplusplus
extern "C" {
#endif

// A range of device memory.
//
// Thread-safety: may be shared; writing and reading the same bytes at the same time is the caller's
// to order.
typedef struct ikat_buffer ikat_buffer;

// Allocates device memory. Contents are undefined.
//
// size_bytes  at least 1
// out_buffer  NULL on failure; destroy it before its device and after every submission that uses it
//             completed
//
// IKAT_INVALID for size 0 or more than the device's max_buffer_bytes; IKAT_NO_MEMORY.
IKAT_API ikat_status ikat_buffer_create(ikat_device *device, uint64_t size_bytes,
                                        ikat_buffer **out_buffer);

// Frees a buffer and leaves NULL. Memory that was wrapped (vulkan.h, opencl.h) stays the caller's.
IKAT_API void ikat_buffer_destroy(ikat_buffer **buffer);

IKAT_API uint64_t ikat_buffer_size_bytes(const ikat_buffer *buffer);

// Copies host memory into a buffer, after all earlier submissions to the device's queue. Returns
// when `data` may be reused.
//
// IKAT_INVALID if the range leaves the buffer.
IKAT_API ikat_status ikat_buffer_write(ikat_buffer *buffer, uint64_t offset_bytes, const void *data,
                                       uint64_t size_bytes);

// Copies a buffer's bytes to host memory, after all earlier submissions to the device's queue;
// waits for them.
IKAT_API ikat_status ikat_buffer_read(ikat_buffer *buffer, uint64_t offset_bytes, void *data,
                                      uint64_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
