// ikat/vulkan.h: a host's device, its buffers, its command buffers.

#include "vk.h"

#include "../../src/limits.h"

#include <stdio.h>

static ikat_status null_argument(const ikati_host *host, const char *name) {
    return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT, "vulkan: %s is NULL", name);
}

ikat_status ikat_vulkan_requirements(ikat_context *context,
                                     PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                     VkInstance instance, uint32_t api_version,
                                     VkPhysicalDevice physical_device,
                                     ikat_vulkan_support *out_support) {
    if (!context) {
        return IKAT_INVALID;
    }
    const ikati_host *host = ikati_context_host(context);
    if (!out_support) {
        return null_argument(host, "out_support");
    }
    *out_support = (ikat_vulkan_support){0};
    if (!get_instance_proc_addr || !instance || !physical_device) {
        return null_argument(host, "get_instance_proc_addr, instance or physical_device");
    }
    ikati_driver *driver = NULL;
    ikat_status status = vk_driver_adopt(host, get_instance_proc_addr, instance, api_version, false,
                                         false, physical_device, &driver);
    if (status == IKAT_OK) {
        *out_support = driver->devices[0].support;
    }
    vk_driver_close(driver);
    return status;
}

// What the device can do, less what the host has not enabled.
static void fill_info(vk_physical *physical, const ikat_vulkan_adopt_params *params) {
    ikat_device_limits *limits = &physical->info.limits;
    snprintf(physical->info.id, sizeof(physical->info.id), "vulkan:adopted");
    snprintf(physical->info.backend, sizeof(physical->info.backend), "%s",
             ikati_backend_vulkan.name);
    limits->storage_16bit = params->features.storage_16bit;
    limits->storage_8bit = params->features.storage_8bit;
    limits->float16_arithmetic = params->features.float16_arithmetic;
    limits->timestamps = params->queue && physical->timestamp_bits != 0;
    if (!params->texel_buffers) {
        limits->max_texel_elements = 0;
    }
    if (params->limits) {
        ikati_limits_lower(limits, params->limits);
    }
}

// The host's queue may be of another family than the one that we would take.
static ikat_status take_family(const ikati_driver *driver, uint32_t family) {
    VkQueueFamilyProperties families[32];
    uint32_t num = 32;
    vk_physical *physical = &driver->devices[0];
    driver->vk.GetPhysicalDeviceQueueFamilyProperties(physical->handle, &num, families);
    if (family >= num || !(families[family].queueFlags & VK_QUEUE_COMPUTE_BIT)) {
        return ikati_fail(driver->host, IKAT_INVALID, IKAT_MESSAGE_DEVICE,
                          "vulkan: queue family %u has no compute", family);
    }
    physical->queue_family = family;
    physical->timestamp_bits = families[family].timestampValidBits;
    return IKAT_OK;
}

static ikat_status check_adopt(const ikati_host *host, const ikat_vulkan_adopt_params *params) {
    if (!params) {
        return null_argument(host, "params");
    }
    if (!params->get_instance_proc_addr || !params->instance || !params->physical_device ||
        !params->device) {
        return null_argument(host, "get_instance_proc_addr, instance, physical_device or device");
    }
    if (!params->lock != !params->unlock) {
        return null_argument(host, "lock or unlock");
    }
    return IKAT_OK;
}

ikat_status ikat_vulkan_adopt(ikat_context *context, const ikat_vulkan_adopt_params *params,
                              ikat_device **out_device) {
    if (out_device) {
        *out_device = NULL;
    }
    if (!context) {
        return IKAT_INVALID;
    }
    const ikati_host *host = ikati_context_host(context);
    ikat_status status = out_device ? check_adopt(host, params) : null_argument(host, "out_device");
    if (status != IKAT_OK) {
        return status;
    }
    ikati_driver *driver = NULL;
    status = vk_driver_adopt(host, params->get_instance_proc_addr, params->instance,
                             params->api_version, params->debug_utils, params->runtime_compiler,
                             params->physical_device, &driver);
    if (status != IKAT_OK) {
        return status;
    }
    if (params->queue && (status = take_family(driver, params->queue_family)) != IKAT_OK) {
        goto fail;
    }
    fill_info(&driver->devices[0], params);
    ikati_port *port = NULL;
    status = vk_port_adopt(driver, params, &port);
    if (status != IKAT_OK) {
        goto fail;
    }
    return ikati_device_wrap(context, &ikati_backend_vulkan, port, &port->physical.info,
                             out_device);

fail:
    vk_driver_close(driver);
    return status;
}

// The port of a device of this backend; NULL for others, which have no log that we could reach.
static ikati_port *need_port(const ikat_device *device) {
    return device ? ikati_device_port(device, &ikati_backend_vulkan) : NULL;
}

ikat_status ikat_vulkan_wrap_buffer(ikat_device *device, VkBuffer buffer, uint64_t offset_bytes,
                                    uint64_t size_bytes, ikat_buffer **out_buffer) {
    if (out_buffer) {
        *out_buffer = NULL;
    }
    ikati_port *port = need_port(device);
    if (!port) {
        return IKAT_INVALID;
    }
    if (!buffer || !out_buffer) {
        return null_argument(port->host, "buffer or out_buffer");
    }
    uint64_t alignment = port->limits.storage_alignment_bytes;
    if (port->texel_buffers && port->limits.texel_alignment_bytes > alignment) {
        alignment = port->limits.texel_alignment_bytes;
    }
    uint64_t end = 0;
    if (size_bytes == 0 || size_bytes % 4 != 0 || (alignment && offset_bytes % alignment != 0) ||
        !ikati_add_size(offset_bytes, size_bytes, &end)) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "vulkan: cannot wrap %llu bytes at %llu: the size must be a multiple of "
                          "4 and above 0, the "
                          "offset a multiple of %llu",
                          (unsigned long long)size_bytes, (unsigned long long)offset_bytes,
                          (unsigned long long)alignment);
    }
    ikati_memory *memory = NULL;
    ikat_status status = vk_memory_wrap(port, buffer, offset_bytes, size_bytes, &memory);
    return status == IKAT_OK ? ikati_buffer_wrap(device, memory, size_bytes, out_buffer) : status;
}

ikat_status ikat_vulkan_record(const ikat_plan *plan, uint32_t slice, VkCommandBuffer commands,
                               ikat_bindings *bindings) {
    uint32_t first = 0;
    uint32_t num = 0;
    if (!plan || !bindings || !commands) {
        return IKAT_INVALID;
    }
    const ikati_sequence *sequence = ikati_bindings_sequence(bindings, &ikati_backend_vulkan);
    if (!sequence) {
        return IKAT_INVALID;
    }
    ikati_port *port = vk_sequence_port(sequence);
    ikat_status status = ikati_bindings_slice(bindings, plan, slice, &first, &num);
    status = status == IKAT_OK && vk_port_lost(port) ? IKAT_DEVICE_LOST : status;
    if (status != IKAT_OK) {
        return status;
    }
    if (slice > 0) {
        vk_barrier_compute(port, commands);
    }
    vk_sequence_record(port, sequence, first, num, commands);
    return IKAT_OK;
}

ikat_status ikat_vulkan_cache_size(ikat_device *device, size_t *out_size_bytes) {
    ikati_port *port = need_port(device);
    if (!port || !out_size_bytes) {
        return IKAT_INVALID;
    }
    *out_size_bytes = 0;
    return vk_cache_export(port, NULL, out_size_bytes);
}

ikat_status ikat_vulkan_cache_get(ikat_device *device, void *data, size_t size_bytes,
                                  size_t *out_size_bytes) {
    ikati_port *port = need_port(device);
    if (!port || !out_size_bytes || !data) {
        return IKAT_INVALID;
    }
    *out_size_bytes = size_bytes;
    return vk_cache_export(port, data, out_size_bytes);
}
