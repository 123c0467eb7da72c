// VkBuffers bound to memory of a fitting type, one allocation each.

#include "vk.h"

#include <string.h>

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    VISIBLE = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
    COHERENT = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
    MAPPABLE = VISIBLE | COHERENT,
    USABLE = LOCAL | VISIBLE | COHERENT |
             CACHED, // types with any other property need features or are not for buffers
};

// One row of a list of preferences.
typedef struct preference {
    VkMemoryPropertyFlags with;
    VkMemoryPropertyFlags without;
} preference;

enum { MAX_PREFERENCES = 4 };

// Host and device share memory: mapped without a detour.
static const preference shared_memory[MAX_PREFERENCES] = {
    {LOCAL | MAPPABLE | CACHED, 0}, {LOCAL | MAPPABLE, 0}, {LOCAL, 0}, {0, 0}};
static const preference own_memory[MAX_PREFERENCES] = {
    {LOCAL, VISIBLE}, {LOCAL, 0}, {0, VISIBLE}, {0, 0}};
// Without a queue nothing can be copied: only what is mapped can be written.
static const preference no_queue[MAX_PREFERENCES] = {
    {LOCAL | MAPPABLE, 0}, {LOCAL, 0}, {MAPPABLE, 0}, {0, 0}};
static const preference small_shared[MAX_PREFERENCES] = {
    {LOCAL | MAPPABLE, 0}, {MAPPABLE, 0}, {MAPPABLE, 0}, {MAPPABLE, 0}};
static const preference staging[MAX_PREFERENCES] = {
    {MAPPABLE | CACHED, 0}, {MAPPABLE, 0}, {MAPPABLE, 0}, {MAPPABLE, 0}};

static const preference *preferences(const ikati_port *port, vk_placement placement) {
    ikat_device_type type = port->physical.info.type;
    switch (placement) {
    case PLACE_SHARED: return small_shared;
    case PLACE_STAGING: return staging;
    case PLACE_DEVICE: break;
    }
    if (type == IKAT_DEVICE_INTEGRATED || type == IKAT_DEVICE_CPU) {
        return shared_memory;
    }
    return port->queue.handle ? own_memory : no_queue;
}

// Tries memory types in the order of preference until one has room.
static VkResult allocate(ikati_port *port, const VkMemoryRequirements *needs,
                         const preference *wishes, vk_block *block) {
    const VkPhysicalDeviceMemoryProperties *memory = &port->physical.memory;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    uint32_t tried = 0;
    for (int row = 0; row < MAX_PREFERENCES; row++) {
        for (uint32_t type = 0; type < memory->memoryTypeCount; type++) {
            VkMemoryPropertyFlags flags = memory->memoryTypes[type].propertyFlags;
            uint32_t bit = UINT32_C(1) << type;
            if (!(needs->memoryTypeBits & bit) || (tried & bit) ||
                (flags & ~(VkMemoryPropertyFlags)USABLE) ||
                (flags & wishes[row].with) != wishes[row].with || (flags & wishes[row].without)) {
                continue;
            }
            tried |= bit;
            const VkMemoryAllocateInfo info = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                .allocationSize = needs->size,
                .memoryTypeIndex = type,
            };
            result = port->vk.AllocateMemory(port->device, &info, NULL, &block->memory);
            if (result == VK_SUCCESS) {
                block->flags = flags;
                return VK_SUCCESS;
            }
            block->memory = VK_NULL_HANDLE;
            if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY) {
                return result;
            }
        }
    }
    return result;
}

static VkResult bind(ikati_port *port, vk_block *block) {
    VkResult result = port->vk.BindBufferMemory(port->device, block->buffer, block->memory, 0);
    if (result != VK_SUCCESS || (block->flags & MAPPABLE) != MAPPABLE) {
        return result;
    }
    void *mapped = NULL;
    result = port->vk.MapMemory(port->device, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
    block->mapped = mapped;
    return result;
}

ikat_status vk_block_create(ikati_port *port, uint64_t size_bytes, VkBufferUsageFlags usage,
                            vk_placement placement, vk_block *out_block) {
    memset(out_block, 0, sizeof(*out_block));
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = size_bytes,
        .usage = usage,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = port->vk.CreateBuffer(port->device, &info, NULL, &out_block->buffer);
    if (result != VK_SUCCESS) {
        out_block->buffer = VK_NULL_HANDLE;
        return vk_fail(port, result, "vkCreateBuffer");
    }
    out_block->size_bytes = size_bytes;
    VkMemoryRequirements needs;
    port->vk.GetBufferMemoryRequirements(port->device, out_block->buffer, &needs);
    result = allocate(port, &needs, preferences(port, placement), out_block);
    if (result == VK_SUCCESS) {
        result = bind(port, out_block);
    }
    if (result == VK_SUCCESS && placement != PLACE_STAGING && !out_block->mapped &&
        !(out_block->flags & LOCAL)) {
        ikati_log(
            port->host, IKAT_LOG_WARNING, IKAT_MESSAGE_MEMORY,
            "vulkan: no room in device memory for %llu bytes: host memory taken, which is slow",
            (unsigned long long)size_bytes);
    }
    if (result != VK_SUCCESS) {
        vk_block_destroy(port, out_block);
        if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
            return ikati_fail(port->host, IKAT_NO_MEMORY, IKAT_MESSAGE_MEMORY,
                              "vulkan: no memory for a buffer of %llu bytes on %s",
                              (unsigned long long)size_bytes, port->physical.info.name);
        }
        return vk_fail(port, result, "vkAllocateMemory");
    }
    return IKAT_OK;
}

// Freeing memory unmaps it.
void vk_block_destroy(ikati_port *port, vk_block *block) {
    port->vk.DestroyBuffer(port->device, block->buffer, NULL);
    port->vk.FreeMemory(port->device, block->memory, NULL);
    memset(block, 0, sizeof(*block));
}
