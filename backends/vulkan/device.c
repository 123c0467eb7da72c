// The port: a VkDevice of ours or of a host, its function table, its status, and the backend's
// table.

#include "vk.h"

static const char *result_name(VkResult result) {
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of device memory";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "out of pool memory";
    case VK_ERROR_INITIALIZATION_FAILED: return "initialisation failed";
    case VK_ERROR_DEVICE_LOST: return "device lost";
    case VK_ERROR_TOO_MANY_OBJECTS: return "too many objects";
    case VK_ERROR_MEMORY_MAP_FAILED: return "mapping failed";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "feature not present";
    default: return "unexpected result";
    }
}

ikat_status vk_fail(ikati_port *port, VkResult result, const char *what) {
    ikat_status status = IKAT_INTERNAL;
    ikat_message_id id = IKAT_MESSAGE_DEVICE;
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_MEMORY_MAP_FAILED:
        status = IKAT_NO_MEMORY;
        id = IKAT_MESSAGE_MEMORY;
        break;
    case VK_ERROR_DEVICE_LOST:
        ikati_mutex_lock(port->state_mutex);
        port->lost = true;
        ikati_mutex_unlock(port->state_mutex);
        status = IKAT_DEVICE_LOST;
        break;
    default: break;
    }
    return ikati_fail(port->host, status, id, "vulkan: %s failed on %s: %s (%d)", what,
                      port->physical.info.name, result_name(result), (int)result);
}

bool vk_port_lost(ikati_port *port) {
    ikati_mutex_lock(port->state_mutex);
    bool lost = port->lost;
    ikati_mutex_unlock(port->state_mutex);
    return lost;
}

void vk_count_dispatches(ikati_port *port, uint64_t num) {
    ikati_mutex_lock(port->state_mutex);
    port->statistics.dispatches += num;
    ikati_mutex_unlock(port->state_mutex);
}

void vk_count_compiled(ikati_port *port, uint64_t time_ns) {
    ikati_mutex_lock(port->state_mutex);
    port->statistics.programs_compiled++;
    port->statistics.compile_time_ns += time_ns;
    ikati_mutex_unlock(port->state_mutex);
}

void vk_count_bytes(ikati_port *port, uint64_t added, uint64_t removed) {
    ikati_mutex_lock(port->state_mutex);
    port->statistics.buffer_bytes += added - removed;
    ikati_mutex_unlock(port->state_mutex);
}

void vk_port_statistics(ikati_port *port, ikat_device_statistics *out_statistics) {
    ikati_mutex_lock(port->state_mutex);
    *out_statistics = port->statistics;
    ikati_mutex_unlock(port->state_mutex);
}

void vk_name_object(const ikati_port *port, VkObjectType type, uint64_t object, const char *name) {
    if (port->driver->debug_utils) {
        const VkDebugUtilsObjectNameInfoEXT info = {
            .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
            .objectType = type,
            .objectHandle = object,
            .pObjectName = name,
        };
        port->driver->vk.SetDebugUtilsObjectNameEXT(port->device, &info);
    }
}

// Creates a device with one queue and just the features that the limits leave in use.
static ikat_status create_device(ikati_port *port) {
    const ikat_vulkan_support *support = &port->physical.support;
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .storageBuffer16BitAccess = VK_TRUE,
    };
    VkPhysicalDevice8BitStorageFeaturesKHR storage8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES_KHR,
        .storageBuffer8BitAccess = VK_TRUE,
    };
    VkPhysicalDeviceShaderFloat16Int8FeaturesKHR float16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES_KHR,
        .shaderFloat16 = VK_TRUE,
    };
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT size_control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT,
        .subgroupSizeControl = VK_TRUE,
        .computeFullSubgroups = VK_TRUE,
    };
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    if (port->features.storage_16bit) {
        storage16.pNext = features.pNext;
        features.pNext = &storage16;
    }
    if (port->features.storage_8bit) {
        storage8.pNext = features.pNext;
        features.pNext = &storage8;
    }
    if (port->features.float16_arithmetic) {
        float16.pNext = features.pNext;
        features.pNext = &float16;
    }
    if (port->features.subgroup_size_control) {
        size_control.pNext = features.pNext;
        features.pNext = &size_control;
    }
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = port->physical.queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = support->num_extensions,
        .ppEnabledExtensionNames = support->extensions,
    };
    VkResult result =
        port->driver->vk.CreateDevice(port->physical.handle, &info, NULL, &port->device);
    if (result != VK_SUCCESS) {
        port->device = VK_NULL_HANDLE;
        return vk_fail(port, result, "vkCreateDevice");
    }
    return IKAT_OK;
}

static ikat_status load_functions(ikati_port *port) {
    PFN_vkGetDeviceProcAddr get = port->driver->vk.GetDeviceProcAddr;
    bool complete = true;
#define DEVICE(name)                                             \
    port->vk.name = (PFN_vk##name)get(port->device, "vk" #name); \
    complete = complete && port->vk.name;
#include "functions.inc"
    port->loaded = complete;
    if (!complete) {
        return ikati_fail(port->host, IKAT_INTERNAL, IKAT_MESSAGE_DEVICE,
                          "vulkan: the driver of %s lacks functions of Vulkan 1.1",
                          port->physical.info.name);
    }
    return IKAT_OK;
}

// A small buffer for bindings that a kernel has but does not touch.
static ikat_status create_dummy(ikati_port *port) {
    const VkBufferUsageFlags usage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    const uint64_t size_bytes = 512; // each half at an offset that every device takes
    ikat_status status = vk_block_create(port, size_bytes, usage, PLACE_SHARED, &port->dummy);
    if (status != IKAT_OK) {
        return status;
    }
    const VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = port->dummy.buffer,
        .format = VK_FORMAT_R32G32B32A32_SFLOAT,
        .range = 16,
    };
    VkResult result = port->vk.CreateBufferView(port->device, &info, NULL, &port->dummy_view);
    return result == VK_SUCCESS ? IKAT_OK : vk_fail(port, result, "vkCreateBufferView");
}

// Allocates a port with its mutexes.
static ikati_port *alloc_port(ikati_driver *driver, uint32_t index,
                              const ikat_device_limits *limits) {
    ikati_port *port = ikati_alloc(driver->host, 1, sizeof(*port));
    if (!port) {
        return NULL;
    }
    port->host = driver->host;
    port->driver = driver;
    port->physical = driver->devices[index];
    port->limits = *limits;
    if (!ikati_mutex_init(port->state_mutex)) {
        goto fail_state;
    }
    if (!ikati_mutex_init(port->queue.mutex)) {
        goto fail_queue;
    }
    if (!ikati_mutex_init(port->staging.mutex)) {
        goto fail_staging;
    }
    return port;

fail_staging:
    ikati_mutex_destroy(port->queue.mutex);
fail_queue:
    ikati_mutex_destroy(port->state_mutex);
fail_state:
    ikati_free(driver->host, port);
    return NULL;
}

static void free_port(ikati_port *port) {
    ikati_mutex_destroy(port->staging.mutex);
    ikati_mutex_destroy(port->queue.mutex);
    ikati_mutex_destroy(port->state_mutex);
    ikati_free(port->host, port);
}

// What an own and an adopted device have in common, once port->device is there.
static ikat_status set_up(ikati_port *port, const void *cache, size_t cache_bytes) {
    ikat_status status = load_functions(port);
    if (status == IKAT_OK && !port->adopted) {
        port->vk.GetDeviceQueue(port->device, port->physical.queue_family, 0, &port->queue.handle);
    }
    if (status == IKAT_OK) {
        status = vk_queue_open(port);
    }
    if (status == IKAT_OK) {
        status = create_dummy(port);
    }
    if (status == IKAT_OK) {
        status = vk_cache_open(port, cache, cache_bytes);
    }
    return status;
}

ikat_status vk_port_open(ikati_driver *driver, uint32_t index, const ikat_device_limits *limits,
                         ikati_port **out_port) {
    *out_port = NULL;
    ikati_port *port = alloc_port(driver, index, limits);
    if (!port) {
        return IKAT_NO_MEMORY;
    }
    const ikat_vulkan_features *there = &port->physical.support.features;
    port->features.storage_16bit = there->storage_16bit && limits->storage_16bit;
    port->features.storage_8bit = there->storage_8bit && limits->storage_8bit;
    port->features.float16_arithmetic = there->float16_arithmetic && limits->float16_arithmetic;
    port->features.subgroup_size_control =
        there->subgroup_size_control && limits->subgroup_size > 0;
    port->texel_buffers = true;
    ikat_status status = create_device(port);
    if (status != IKAT_OK) {
        free_port(port);
        return status;
    }
    status = set_up(port, NULL, 0);
    if (status != IKAT_OK) {
        vk_port_close(port);
        return status;
    }
    *out_port = port;
    return IKAT_OK;
}

ikat_status vk_port_adopt(ikati_driver *driver, const ikat_vulkan_adopt_params *params,
                          ikati_port **out_port) {
    *out_port = NULL;
    ikati_port *port = alloc_port(driver, 0, &driver->devices[0].info.limits);
    if (!port) {
        return IKAT_NO_MEMORY;
    }
    port->adopted = true;
    port->features = params->features;
    port->texel_buffers = params->texel_buffers;
    port->device = params->device;
    port->queue.handle = params->queue;
    port->queue.lock = params->lock;
    port->queue.unlock = params->unlock;
    port->queue.lock_user = params->lock_user;
    ikat_status status = set_up(port, params->cache, params->cache_bytes);
    if (status != IKAT_OK) {
        port->driver = NULL; // stays the caller's
        vk_port_close(port);
        return status;
    }
    *out_port = port;
    return IKAT_OK;
}

// Also for a port that was opened half: what was not made is a null handle.
void vk_port_close(ikati_port *port) {
    const vk_device_table *vk = &port->vk;
    if (port->loaded) {
        vk_queue_close(port);
        vk_cache_close(port);
        vk->DestroyBufferView(port->device, port->dummy_view, NULL);
        vk_block_destroy(port, &port->dummy);
        vk_block_destroy(port, &port->staging.block);
    }
    if (port->adopted && port->driver) {
        vk_driver_close(port->driver);
    } else if (!port->adopted &&
               vk->DestroyDevice) { // missing only if load_functions found nothing
        vk->DestroyDevice(port->device, NULL);
    }
    free_port(port);
}

const ikati_backend ikati_backend_vulkan = {
    .name = "vulkan",
    .language = IKATI_GLSL,
    .store_bytes = 4,
    .driver_open = vk_driver_open,
    .driver_close = vk_driver_close,
    .driver_num_devices = vk_driver_num_devices,
    .driver_describe = vk_driver_describe,
    .port_open = vk_port_open,
    .port_close = vk_port_close,
    .memory_create = vk_memory_create,
    .memory_destroy = vk_memory_destroy,
    .memory_write = vk_memory_write,
    .memory_read = vk_memory_read,
    .program_create = vk_program_create,
    .program_destroy = vk_program_destroy,
    .sequence_create = vk_sequence_create,
    .sequence_destroy = vk_sequence_destroy,
    .submit = vk_sequence_submit,
    .wait = vk_queue_wait,
    .time = vk_queue_time,
    .statistics = vk_port_statistics,
};
