// Host memory.

#include "cpu.h"

#include <string.h>

ikat_status cpu_memory_create(ikati_port *handle, uint64_t size_bytes, ikati_memory **out_memory) {
    cpu_port *port = (cpu_port *)handle;
    *out_memory = NULL;
    uint64_t block_bytes = 0;
    if (!ikati_add_size(size_bytes, CPU_ALIGNMENT, &block_bytes) || block_bytes > SIZE_MAX) {
        return ikati_fail(port->host, IKAT_NO_MEMORY, IKAT_MESSAGE_OVERFLOW,
                          "a buffer of %llu bytes does not fit in memory",
                          (unsigned long long)size_bytes);
    }
    cpu_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    void *block = memory ? ikati_alloc(port->host, (size_t)block_bytes, 1) : NULL;
    if (!block) {
        ikati_free(port->host, memory);
        return IKAT_NO_MEMORY;
    }
    memory->block = block;
    memory->data =
        (uint8_t *)block + (CPU_ALIGNMENT - (uintptr_t)block % CPU_ALIGNMENT) % CPU_ALIGNMENT;
    memory->size_bytes = size_bytes;

    ikati_mutex_lock(port->lock);
    port->statistics.buffer_bytes += size_bytes;
    ikati_mutex_unlock(port->lock);
    *out_memory = (ikati_memory *)memory;
    return IKAT_OK;
}

void cpu_memory_destroy(ikati_port *handle, ikati_memory *memory_handle) {
    cpu_port *port = (cpu_port *)handle;
    cpu_memory *memory = (cpu_memory *)memory_handle;
    if (!memory) {
        return;
    }
    ikati_mutex_lock(port->lock);
    port->statistics.buffer_bytes -= memory->size_bytes;
    ikati_mutex_unlock(port->lock);
    ikati_free(port->host, memory->block);
    ikati_free(port->host, memory);
}

// Calls may use the memory on another thread: copies take their turn.
static void copy_in_order(cpu_port *port, void *to, const void *from, uint64_t size_bytes) {
    if (size_bytes > 0) {
        ikati_mutex_lock(port->queue);
        memcpy(to, from, (size_t)size_bytes);
        ikati_mutex_unlock(port->queue);
    }
}

ikat_status cpu_memory_write(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                             const void *data, uint64_t size_bytes) {
    copy_in_order((cpu_port *)port, ((cpu_memory *)memory)->data + offset_bytes, data, size_bytes);
    return IKAT_OK;
}

ikat_status cpu_memory_read(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                            void *data, uint64_t size_bytes) {
    copy_in_order((cpu_port *)port, data, ((cpu_memory *)memory)->data + offset_bytes, size_bytes);
    return IKAT_OK;
}
