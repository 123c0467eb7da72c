// The pipeline cache: one in memory a device, kept on disk in the context's cache folder, or by the
// host as bytes.
//
// Vulkan checks the header of what it is given, drivers differ in what they do with damaged
// contents: so bytes carry a checksum wherever they are kept (the folder's files have theirs in
// cache_file.c), and the header is compared here first.

#include "vk.h"

#include "../../src/cache_file.h"
#include "../../src/hash.h"

#include <stdio.h>
#include <string.h>

// In front of the bytes that a host keeps. Little endian or not: they are read where they were
// written.
typedef struct cache_head {
    char magic[8];
    uint64_t size_bytes;
    uint64_t checksum;
} cache_head;

static const char cache_magic[8] = {'i', 'k', 'a', 't', 'v', 'k', '0', '1'};

static void cache_key(const ikati_port *port, char *key, size_t room) {
    const VkPhysicalDeviceProperties *own = &port->physical.properties;
    int length =
        snprintf(key, room, "%08x-%08x-%08x-", own->vendorID, own->deviceID, own->driverVersion);
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++) {
        length += snprintf(key + length, room - (size_t)length, "%02x", own->pipelineCacheUUID[i]);
    }
}

// Whether Vulkan's own header names this device and driver.
static bool fits(const ikati_port *port, const void *blob, size_t size_bytes) {
    const VkPhysicalDeviceProperties *own = &port->physical.properties;
    VkPipelineCacheHeaderVersionOne header;
    if (size_bytes < sizeof(header)) {
        return false;
    }
    memcpy(&header, blob, sizeof(header));
    return header.headerSize >= sizeof(header) && header.headerSize <= size_bytes &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == own->vendorID && header.deviceID == own->deviceID &&
           !memcmp(header.pipelineCacheUUID, own->pipelineCacheUUID, VK_UUID_SIZE);
}

// Finds Vulkan's bytes in what a host kept; NULL if they are damaged.
static const void *unwrap(const void *data, size_t size_bytes, size_t *out_size) {
    cache_head head;
    if (size_bytes < sizeof(head)) {
        return NULL;
    }
    memcpy(&head, data, sizeof(head));
    const uint8_t *blob = (const uint8_t *)data + sizeof(head);
    if (memcmp(head.magic, cache_magic, sizeof(cache_magic)) != 0 ||
        head.size_bytes != size_bytes - sizeof(head) ||
        head.checksum != ikati_hash(IKATI_HASH_START, blob, size_bytes - sizeof(head))) {
        return NULL;
    }
    *out_size = size_bytes - sizeof(head);
    return blob;
}

static VkResult create_cache(ikati_port *port, const void *blob, size_t size_bytes) {
    const VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = size_bytes,
        .pInitialData = blob,
    };
    VkResult result = port->vk.CreatePipelineCache(port->device, &info, NULL, &port->cache);
    if (result != VK_SUCCESS) {
        port->cache = VK_NULL_HANDLE;
    }
    return result;
}

ikat_status vk_cache_open(ikati_port *port, const void *data, size_t data_bytes) {
    const void *blob = NULL;
    void *loaded = NULL;
    size_t size_bytes = 0;
    if (data) {
        blob = unwrap(data, data_bytes, &size_bytes);
    } else {
        char key[80];
        cache_key(port, key, sizeof(key));
        if (ikati_cache_load(port->host, "vulkan", key, &loaded, &size_bytes)) {
            blob = loaded;
        }
    }
    if (blob && !fits(port, blob, size_bytes)) {
        blob = NULL;
    }
    if ((data || loaded) && !blob) {
        ikati_log(port->host, IKAT_LOG_WARNING, IKAT_MESSAGE_CACHE,
                  "vulkan: cached pipelines are damaged or of another device or driver; ignored");
    }
    size_bytes = blob ? size_bytes : 0;
    VkResult result = create_cache(port, blob, size_bytes);
    if (result != VK_SUCCESS && blob) { // rejected: start empty
        size_bytes = 0;
        result = create_cache(port, NULL, 0);
    }
    port->cache_loaded_bytes = size_bytes;
    ikati_free(port->host, loaded);
    return result == VK_SUCCESS ? IKAT_OK : vk_fail(port, result, "vkCreatePipelineCache");
}

// Caches only grow: one of the size that was loaded holds nothing new.
static void store(ikati_port *port) {
    ikat_device_statistics statistics;
    vk_port_statistics(port, &statistics);
    size_t size = 0;
    if (!port->host->cache_dir || statistics.programs_compiled == 0 || vk_port_lost(port) ||
        port->vk.GetPipelineCacheData(port->device, port->cache, &size, NULL) != VK_SUCCESS ||
        size <= sizeof(VkPipelineCacheHeaderVersionOne) || size == port->cache_loaded_bytes) {
        return;
    }
    void *blob = ikati_alloc(port->host, size, 1);
    if (blob &&
        port->vk.GetPipelineCacheData(port->device, port->cache, &size, blob) == VK_SUCCESS) {
        char key[80];
        cache_key(port, key, sizeof(key));
        ikati_cache_store(port->host, "vulkan", key, blob, size);
    }
    ikati_free(port->host, blob);
}

void vk_cache_close(ikati_port *port) {
    if (port->cache) {
        store(port);
        port->vk.DestroyPipelineCache(port->device, port->cache, NULL);
    }
}

ikat_status vk_cache_export(ikati_port *port, void *data, size_t *inout_size) {
    size_t room = *inout_size;
    size_t size = 0;
    *inout_size = 0;
    VkResult result = port->vk.GetPipelineCacheData(port->device, port->cache, &size, NULL);
    if (result != VK_SUCCESS) {
        return vk_fail(port, result, "vkGetPipelineCacheData");
    }
    if (!data) {
        *inout_size = sizeof(cache_head) + size;
        return IKAT_OK;
    }
    if (room < sizeof(cache_head) + size) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_CACHE,
                          "vulkan: cached pipelines take %llu bytes, there is room for %llu",
                          (unsigned long long)(sizeof(cache_head) + size),
                          (unsigned long long)room);
    }
    uint8_t *blob = (uint8_t *)data + sizeof(cache_head);
    size =
        room -
        sizeof(
            cache_head); // it may have grown meanwhile: VK_INCOMPLETE then, and still a whole cache
    result = port->vk.GetPipelineCacheData(port->device, port->cache, &size, blob);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        return vk_fail(port, result, "vkGetPipelineCacheData");
    }
    cache_head head = {.size_bytes = size, .checksum = ikati_hash(IKATI_HASH_START, blob, size)};
    memcpy(head.magic, cache_magic, sizeof(cache_magic));
    memcpy(data, &head, sizeof(head));
    *inout_size = sizeof(head) + size;
    return IKAT_OK;
}
