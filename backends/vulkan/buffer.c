// Buffers of the core. The host reads and writes them through their mapping where they have one
// (and where reading it is fast), else through staging memory, in chunks: the host copies one half
// while the device works on the other.

#include "vk.h"

#include <string.h>

enum { STAGING_HALF = 8 << 20, ROUNDING = 16 };

ikat_status vk_memory_create(ikati_port *port, uint64_t size_bytes, ikati_memory **out_memory) {
    *out_memory = NULL;
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    ikati_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    if (!memory) {
        return IKAT_NO_MEMORY;
    }
    VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                               VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    // Rounded up, so that whole words and texels at the end can be bound.
    ikat_status status = vk_block_create(port, ikati_round_up(size_bytes, ROUNDING), usage,
                                         PLACE_DEVICE, &memory->block);
    if (status != IKAT_OK) {
        ikati_free(port->host, memory);
        return status;
    }
    memory->size_bytes = size_bytes;
    memory->texel = true;
    vk_count_bytes(port, memory->block.size_bytes, 0);
    *out_memory = memory;
    return IKAT_OK;
}

ikat_status vk_memory_wrap(ikati_port *port, VkBuffer buffer, uint64_t offset_bytes,
                           uint64_t size_bytes, ikati_memory **out_memory) {
    *out_memory = NULL;
    ikati_memory *memory = ikati_alloc(port->host, 1, sizeof(*memory));
    if (!memory) {
        return IKAT_NO_MEMORY;
    }
    memory->block.buffer = buffer;
    memory->block.size_bytes = offset_bytes + size_bytes;
    memory->base = offset_bytes;
    memory->size_bytes = size_bytes;
    memory->texel = port->texel_buffers;
    *out_memory = memory;
    return IKAT_OK;
}

void vk_memory_destroy(ikati_port *port, ikati_memory *memory) {
    if (!memory) {
        return;
    }
    // A write may still be copying. A lost device copies nothing any more.
    (void)vk_queue_wait(port, memory->last_write, UINT64_MAX, NULL);
    if (memory->block.memory) {
        vk_count_bytes(port, 0, memory->block.size_bytes);
        vk_block_destroy(port, &memory->block);
    }
    ikati_free(port->host, memory);
}

typedef struct copy {
    VkBuffer from;
    VkBuffer to;
    VkBufferCopy region;
} copy;

static void record_copy(ikati_port *port, VkCommandBuffer commands, const void *user) {
    const copy *c = user;
    port->vk.CmdCopyBuffer(commands, c->from, c->to, 1, &c->region);
}

// Makes the staging buffer the first time. Called with its mutex held.
static ikat_status need_staging(ikati_port *port) {
    if (port->staging.block.buffer) {
        return IKAT_OK;
    }
    const VkBufferUsageFlags usage =
        VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    return vk_block_create(port, 2 * (uint64_t)STAGING_HALF, usage, PLACE_STAGING,
                           &port->staging.block);
}

static uint64_t chunk_bytes(uint64_t left) { return left < STAGING_HALF ? left : STAGING_HALF; }

// Returns with the last copies still under way: `data` is in the staging memory by then.
static ikat_status write_staged(ikati_port *port, ikati_memory *memory, uint64_t offset,
                                const uint8_t *data, uint64_t size) {
    vk_staging *staging = &port->staging;
    ikat_status status = IKAT_OK;
    for (uint32_t half = 0; size > 0 && status == IKAT_OK; half ^= 1) {
        uint64_t num = chunk_bytes(size);
        if ((status = vk_queue_wait(port, staging->tickets[half], UINT64_MAX, NULL)) != IKAT_OK) {
            break;
        }
        uint64_t at = half * (uint64_t)STAGING_HALF;
        memcpy(staging->block.mapped + at, data, (size_t)num);
        const copy c = {
            staging->block.buffer, memory->block.buffer, {at, memory->base + offset, num}};
        status = vk_queue_submit(port, record_copy, &c, RUN_NONE, &staging->tickets[half]);
        if (status == IKAT_OK) {
            memory->last_write = staging->tickets[half];
        }
        offset += num;
        data += num;
        size -= num;
    }
    return status;
}

// Asks for one chunk ahead of the one that is copied out.
static ikat_status read_staged(ikati_port *port, ikati_memory *memory, uint64_t offset,
                               uint8_t *data, uint64_t size) {
    vk_staging *staging = &port->staging;
    ikat_status status = IKAT_OK;
    uint64_t asked = 0;
    uint64_t done = 0;
    while (done < size && status == IKAT_OK) {
        while (asked < size && asked < done + 2 * (uint64_t)STAGING_HALF && status == IKAT_OK) {
            uint32_t half = (asked / STAGING_HALF) % 2;
            uint64_t num = chunk_bytes(size - asked);
            const copy c = {memory->block.buffer,
                            staging->block.buffer,
                            {memory->base + offset + asked, half * (uint64_t)STAGING_HALF, num}};
            status = vk_queue_submit(port, record_copy, &c, RUN_NONE, &staging->tickets[half]);
            asked += num;
        }
        uint32_t half = (done / STAGING_HALF) % 2;
        if (status == IKAT_OK) {
            status = vk_queue_wait(port, staging->tickets[half], UINT64_MAX, NULL);
        }
        if (status == IKAT_OK) {
            uint64_t num = chunk_bytes(size - done);
            memcpy(data + done, staging->block.mapped + half * (uint64_t)STAGING_HALF, (size_t)num);
            done += num;
        }
    }
    for (uint32_t half = 0; half < 2 && status != IKAT_OK; half++) { // they may still be reading
        (void)vk_queue_wait(port, staging->tickets[half], UINT64_MAX, NULL);
    }
    return status;
}

// Whether the host may touch the buffer itself; reading memory that it does not cache is slower
// than a copy.
static bool direct(const ikati_port *port, const ikati_memory *memory, bool read) {
    if (!memory->block.mapped) {
        return false;
    }
    return !read || !port->queue.handle ||
           (memory->block.flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
}

static ikat_status need_queue(ikati_port *port) {
    if (port->queue.handle) {
        return IKAT_OK;
    }
    return ikati_fail(port->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_BUFFER,
                      "vulkan: this buffer cannot be mapped, and the device was adopted without a "
                      "queue to copy it");
}

ikat_status vk_memory_write(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                            const void *data, uint64_t size_bytes) {
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    if (size_bytes == 0) {
        return IKAT_OK;
    }
    ikat_status status;
    if (direct(port, memory, false)) {
        if ((status = vk_queue_wait_idle(port)) == IKAT_OK) {
            memcpy(memory->block.mapped + memory->base + offset_bytes, data, (size_t)size_bytes);
        }
        return status;
    }
    if ((status = need_queue(port)) != IKAT_OK) {
        return status;
    }
    ikati_mutex_lock(port->staging.mutex);
    if ((status = need_staging(port)) == IKAT_OK) {
        status = write_staged(port, memory, offset_bytes, data, size_bytes);
    }
    ikati_mutex_unlock(port->staging.mutex);
    return status;
}

ikat_status vk_memory_read(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                           void *data, uint64_t size_bytes) {
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    if (size_bytes == 0) {
        return IKAT_OK;
    }
    ikat_status status;
    if (direct(port, memory, true)) {
        if ((status = vk_queue_wait_idle(port)) == IKAT_OK) {
            memcpy(data, memory->block.mapped + memory->base + offset_bytes, (size_t)size_bytes);
        }
        return status;
    }
    if ((status = need_queue(port)) != IKAT_OK) {
        return status;
    }
    ikati_mutex_lock(port->staging.mutex);
    if ((status = need_staging(port)) == IKAT_OK) {
        status = read_staged(port, memory, offset_bytes, data, size_bytes);
    }
    ikati_mutex_unlock(port->staging.mutex);
    return status;
}
