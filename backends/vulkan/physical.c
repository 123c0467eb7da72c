// What a physical device can do, asked once: limits, features beyond Vulkan 1.1, names.

#include "vk.h"

#include <stdio.h>
#include <string.h>

// Everything that is asked through pNext chains. A structure whose extension is missing stays zero:
// not supported.
typedef struct answers {
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceMaintenance4PropertiesKHR maintenance4;
    VkPhysicalDeviceDriverPropertiesKHR driver;
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes;
    VkPhysicalDeviceShaderCoreProperties2AMD amd;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia;
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm;
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDevice8BitStorageFeaturesKHR storage8;
    VkPhysicalDeviceShaderFloat16Int8FeaturesKHR float16;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT size_control;
} answers;

typedef struct query {
    const ikati_driver *driver;
    vk_physical *physical;
    VkExtensionProperties *extensions;
    uint32_t num_extensions;
    answers answers;
} query;

static bool has_extension(const query *q, const char *name) {
    for (uint32_t i = 0; i < q->num_extensions; i++) {
        if (!strcmp(q->extensions[i].extensionName, name)) {
            return true;
        }
    }
    return false;
}

static ikat_status list_extensions(query *q) {
    const vk_instance_table *vk = &q->driver->vk;
    uint32_t num = 0;
    if (vk->EnumerateDeviceExtensionProperties(q->physical->handle, NULL, &num, NULL) !=
            VK_SUCCESS ||
        num == 0) {
        return IKAT_OK;
    }
    q->extensions = ikati_alloc(q->driver->host, num, sizeof(VkExtensionProperties));
    if (!q->extensions) {
        return IKAT_NO_MEMORY;
    }
    if (vk->EnumerateDeviceExtensionProperties(q->physical->handle, NULL, &num, q->extensions) >=
        VK_SUCCESS) {
        q->num_extensions = num;
    }
    return IKAT_OK;
}

// Picks a family with compute: rather one without graphics (it does not compete with a desktop),
// and with timestamps.
static bool pick_queue_family(query *q) {
    const vk_instance_table *vk = &q->driver->vk;
    VkQueueFamilyProperties families[32];
    uint32_t num = 32;
    vk->GetPhysicalDeviceQueueFamilyProperties(q->physical->handle, &num, families);
    int best = 0;
    for (uint32_t i = 0; i < num; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0) {
            continue;
        }
        bool timed = families[i].timestampValidBits != 0;
        bool graphics = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
        int score = 1 + (timed ? 2 : 0) + (graphics ? 0 : 1);
        if (score > best) {
            best = score;
            q->physical->queue_family = i;
            q->physical->timestamp_bits = families[i].timestampValidBits;
        }
    }
    return best > 0;
}

// Puts a structure into a chain if the device knows it. The first member of all of them is alike.
static void chain(void **head, void *structure, VkStructureType type, bool known) {
    if (known) {
        VkBaseOutStructure *base = structure;
        base->sType = type;
        base->pNext = *head;
        *head = base;
    }
}

static void ask_properties(query *q) {
    answers *a = &q->answers;
    uint32_t version = q->physical->api_version;
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    void **head = &properties.pNext;
    chain(head, &a->subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, true);
    chain(head, &a->maintenance3, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, true);
    chain(head, &a->maintenance4, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES_KHR,
          version >= VK_API_VERSION_1_3 || has_extension(q, VK_KHR_MAINTENANCE_4_EXTENSION_NAME));
    chain(head, &a->driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES_KHR,
          version >= VK_API_VERSION_1_2 ||
              has_extension(q, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME));
    chain(head, &a->sizes, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT,
          version >= VK_API_VERSION_1_3 ||
              has_extension(q, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME));
    chain(head, &a->amd, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD,
          has_extension(q, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME));
    chain(head, &a->nvidia, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV,
          has_extension(q, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME));
    chain(head, &a->arm, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM,
          has_extension(q, VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME));
    q->driver->vk.GetPhysicalDeviceProperties2(q->physical->handle, &properties);
}

static void ask_features(query *q) {
    answers *a = &q->answers;
    uint32_t version = q->physical->api_version;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    void **head = &features.pNext;
    chain(head, &a->storage16, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, true);
    chain(head, &a->storage8, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES_KHR,
          version >= VK_API_VERSION_1_2 || has_extension(q, VK_KHR_8BIT_STORAGE_EXTENSION_NAME));
    chain(head, &a->float16, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES_KHR,
          version >= VK_API_VERSION_1_2 ||
              has_extension(q, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME));
    chain(head, &a->size_control,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT,
          version >= VK_API_VERSION_1_3 ||
              has_extension(q, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME));
    q->driver->vk.GetPhysicalDeviceFeatures2(q->physical->handle, &features);
}

// Notes what a VkDevice has to enable. Extensions that became core need no naming from that version
// on.
static void fill_support(query *q) {
    const answers *a = &q->answers;
    vk_physical *physical = q->physical;
    ikat_vulkan_support *support = &physical->support;
    support->features.storage_16bit = a->storage16.storageBuffer16BitAccess;
    support->features.storage_8bit = a->storage8.storageBuffer8BitAccess;
    support->features.float16_arithmetic = a->float16.shaderFloat16;
    support->features.subgroup_size_control =
        a->size_control.subgroupSizeControl && a->size_control.computeFullSubgroups &&
        (a->sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    physical->min_subgroup_size = a->sizes.minSubgroupSize;
    physical->max_subgroup_size = a->sizes.maxSubgroupSize;

    const char **extensions = support->extensions;
    uint32_t num = 0;
    if (physical->api_version < VK_API_VERSION_1_2 && support->features.storage_8bit) {
        extensions[num++] = VK_KHR_8BIT_STORAGE_EXTENSION_NAME;
    }
    if (physical->api_version < VK_API_VERSION_1_2 && support->features.float16_arithmetic) {
        extensions[num++] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
    }
    if (physical->api_version < VK_API_VERSION_1_3 && support->features.subgroup_size_control) {
        extensions[num++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    }
    physical->portability_subset = has_extension(q, "VK_KHR_portability_subset");
    if (physical->portability_subset) {
        extensions[num++] = "VK_KHR_portability_subset";
    }
    support->num_extensions = num;
}

// Both formats of texel views must be readable in shaders.
static bool has_texel_formats(const query *q) {
    const VkFormat formats[] = {VK_FORMAT_R32G32B32A32_SFLOAT, VK_FORMAT_R16G16B16A16_SFLOAT};
    for (int i = 0; i < 2; i++) {
        VkFormatProperties format;
        q->driver->vk.GetPhysicalDeviceFormatProperties(q->physical->handle, formats[i], &format);
        if (!(format.bufferFeatures & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT)) {
            return false;
        }
    }
    return true;
}

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void fill_limits(const query *q, ikat_device_limits *limits) {
    const answers *a = &q->answers;
    const VkPhysicalDeviceLimits *own = &q->physical->properties.limits;
    const VkSubgroupFeatureFlags operations = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                              VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                              VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    bool subgroups = (a->subgroup.supportedOperations & operations) == operations &&
                     (a->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT);
    limits->max_buffer_bytes = a->maintenance3.maxMemoryAllocationSize;
    if (a->maintenance4.maxBufferSize > 0) {
        limits->max_buffer_bytes = min_u64(limits->max_buffer_bytes, a->maintenance4.maxBufferSize);
    }
    limits->max_buffer_bytes -= limits->max_buffer_bytes % 16; // sizes are rounded up to that
    limits->max_storage_range_bytes = own->maxStorageBufferRange;
    limits->max_texel_elements = has_texel_formats(q) ? own->maxTexelBufferElements : 0;
    limits->storage_alignment_bytes = (uint32_t)own->minStorageBufferOffsetAlignment;
    limits->texel_alignment_bytes = (uint32_t)own->minTexelBufferOffsetAlignment;
    limits->shared_memory_bytes = own->maxComputeSharedMemorySize;
    limits->max_group_size =
        min_u32(own->maxComputeWorkGroupInvocations, own->maxComputeWorkGroupSize[0]);
    limits->max_groups = own->maxComputeWorkGroupCount[0];
    limits->max_storage_buffers = own->maxPerStageDescriptorStorageBuffers;
    limits->subgroup_size = subgroups ? a->subgroup.subgroupSize : 0;
    limits->vector_width = 1;
    limits->float16_arithmetic = q->physical->support.features.float16_arithmetic;
    limits->storage_16bit = q->physical->support.features.storage_16bit;
    limits->storage_8bit = q->physical->support.features.storage_8bit;
    limits->timestamps = q->physical->timestamp_bits != 0;
    limits->runtime_compiler = q->driver->compiler != NULL;
}

static void append(char *text, size_t room, const char *more) {
    size_t length = strlen(text);
    snprintf(text + length, room - length, "%s%s", length ? ", " : "", more);
}

static void fill_missing(ikat_device_info *info, const query *q) {
    const ikat_device_limits *limits = &info->limits;
    const struct {
        bool there;
        const char *what;
    } wishes[] = {
        {limits->subgroup_size != 0, "subgroup arithmetic and shuffle"},
        {q->physical->support.features.subgroup_size_control, "subgroup size control"},
        {limits->float16_arithmetic != 0, "float16 arithmetic"},
        {limits->storage_16bit != 0, "16-bit storage"},
        {limits->storage_8bit != 0, "8-bit storage"},
        {limits->max_texel_elements != 0, "texel buffers of 4 floats"},
        {limits->timestamps != 0, "timestamps"},
        {limits->runtime_compiler != 0, "a compiler of GLSL (libshaderc)"},
    };
    info->missing[0] = '\0';
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        if (!wishes[i].there) {
            append(info->missing, sizeof(info->missing), wishes[i].what);
        }
    }
}

static ikat_device_type device_type(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return IKAT_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return IKAT_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return IKAT_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return IKAT_DEVICE_CPU;
    default: return IKAT_DEVICE_OTHER;
    }
}

static uint64_t local_memory(const VkPhysicalDeviceMemoryProperties *memory) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        if ((memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory->memoryHeaps[i].size > bytes) {
            bytes = memory->memoryHeaps[i].size;
        }
    }
    return bytes;
}

static uint32_t compute_units(const answers *a) {
    if (a->amd.activeComputeUnitCount) {
        return a->amd.activeComputeUnitCount;
    }
    return a->nvidia.shaderSMCount ? a->nvidia.shaderSMCount : a->arm.shaderCoreCount;
}

static void fill_info(query *q) {
    const VkPhysicalDeviceProperties *properties = &q->physical->properties;
    const answers *a = &q->answers;
    ikat_device_info *info = &q->physical->info;
    snprintf(info->name, sizeof(info->name), "%s", properties->deviceName);
    if (a->driver.driverName[0]) {
        snprintf(info->driver, sizeof(info->driver), "%.100s%s%.140s", a->driver.driverName,
                 a->driver.driverInfo[0] ? " " : "", a->driver.driverInfo);
    } else {
        snprintf(info->driver, sizeof(info->driver), "version 0x%08x", properties->driverVersion);
    }
    snprintf(info->api, sizeof(info->api), "Vulkan %u.%u.%u",
             VK_API_VERSION_MAJOR(properties->apiVersion),
             VK_API_VERSION_MINOR(properties->apiVersion),
             VK_API_VERSION_PATCH(properties->apiVersion));
    info->type = device_type(properties->deviceType);
    info->vendor_id = properties->vendorID;
    info->device_id = properties->deviceID;
    info->num_compute_units = compute_units(a);
    info->memory_bytes = local_memory(&q->physical->memory);
    fill_limits(q, &info->limits);
    fill_missing(info, q);
}

ikat_status vk_physical_query(const ikati_driver *driver, VkPhysicalDevice handle,
                              vk_physical *out_physical, const char **out_reason) {
    memset(out_physical, 0, sizeof(*out_physical));
    query q = {.driver = driver, .physical = out_physical};
    out_physical->handle = handle;
    driver->vk.GetPhysicalDeviceProperties(handle, &out_physical->properties);
    driver->vk.GetPhysicalDeviceMemoryProperties(handle, &out_physical->memory);
    out_physical->api_version = min_u32(driver->api_version, out_physical->properties.apiVersion);
    if (out_physical->api_version < VK_API_VERSION_1_1) {
        *out_reason = "it has Vulkan 1.0 only";
        return IKAT_UNSUPPORTED;
    }
    if (!pick_queue_family(&q)) {
        *out_reason = "it has no compute queue";
        return IKAT_UNSUPPORTED;
    }
    if (list_extensions(&q) != IKAT_OK) {
        *out_reason = "out of memory";
        return IKAT_NO_MEMORY;
    }
    ask_properties(&q);
    ask_features(&q);
    fill_support(&q);
    fill_info(&q);
    ikati_free(driver->host, q.extensions);
    return IKAT_OK;
}
