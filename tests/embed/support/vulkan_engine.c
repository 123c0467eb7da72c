#define VOLK_IMPLEMENTATION
#include "vulkan_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ALIGNMENT = 256 }; // no device asks for more

static void create_instance(machine *m) {
    if (volkInitialize() != VK_SUCCESS) {
        return;
    }
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, &m->instance) != VK_SUCCESS) {
        m->instance = VK_NULL_HANDLE;
        return;
    }
    volkLoadInstance(m->instance);
    m->num_devices = MAX_DEVICES;
    assert_true(vkEnumeratePhysicalDevices(m->instance, &m->num_devices, m->devices) >= VK_SUCCESS);
}

int machine_create(void **state) {
    machine *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    *state = m;
    recorder_create_context(&m->messages, IKAT_LOG_WARNING, NULL, &m->context);
    create_instance(m);
    return 0;
}

int machine_destroy(void **state) {
    machine *m = *state;
    if (m->instance) {
        vkDestroyInstance(m->instance, NULL);
    }
    ikat_context_destroy(&m->context);
    free(m);
    return 0;
}

// The engine's device has what the library would like, and family 0 has compute on every device
// with graphics or compute.
static void create_device(const machine *m, engine *e) {
    assert_int_equal(ikat_vulkan_requirements(m->context, vkGetInstanceProcAddr, m->instance,
                                              VK_API_VERSION_1_1, e->physical, &e->support),
                     IKAT_OK);
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .storageBuffer16BitAccess = e->support.features.storage_16bit,
    };
    // The others stay off: a host need not enable all of them.
    e->support.features.storage_8bit = false;
    e->support.features.float16_arithmetic = false;
    e->support.features.subgroup_size_control = false;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueCount = 1,
                                           .pQueuePriorities = &(float){1.0f}};
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &storage16,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = e->support.num_extensions,
        .ppEnabledExtensionNames = e->support.extensions,
    };
    assert_int_equal(vkCreateDevice(e->physical, &info, NULL, &e->device), VK_SUCCESS);
    vkGetDeviceQueue(e->device, 0, 0, &e->queue);
}

static void create_commands(engine *e) {
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT};
    assert_int_equal(vkCreateCommandPool(e->device, &pool, NULL, &e->pool), VK_SUCCESS);
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = e->pool,
                                              .commandBufferCount = 1};
    assert_int_equal(vkAllocateCommandBuffers(e->device, &info, &e->commands), VK_SUCCESS);
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    assert_int_equal(vkCreateFence(e->device, &fence, NULL, &e->fence), VK_SUCCESS);
}

static uint32_t mappable_type(const engine *e, uint32_t allowed) {
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(e->physical, &memory);
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        if ((allowed & (1u << i)) && (memory.memoryTypes[i].propertyFlags & wanted) == wanted) {
            return i;
        }
    }
    fail_msg("no mappable memory");
    return 0;
}

static void create_buffer(engine *e, VkBufferUsageFlags more_usage) {
    uint64_t size = ALIGNMENT; // nothing starts at 0
    for (int i = 0; i < NUM_TENSORS; i++) {
        e->offsets[i] = size;
        size += (guest_tensor_bytes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = size,
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | more_usage};
    assert_int_equal(vkCreateBuffer(e->device, &info, NULL, &e->buffer), VK_SUCCESS);
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(e->device, e->buffer, &needs);
    const VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                           .allocationSize = needs.size,
                                           .memoryTypeIndex =
                                               mappable_type(e, needs.memoryTypeBits)};
    assert_int_equal(vkAllocateMemory(e->device, &allocate, NULL, &e->memory), VK_SUCCESS);
    assert_int_equal(vkBindBufferMemory(e->device, e->buffer, e->memory, 0), VK_SUCCESS);
    assert_int_equal(vkMapMemory(e->device, e->memory, 0, VK_WHOLE_SIZE, 0, (void **)&e->mapped),
                     VK_SUCCESS);
    memset(e->mapped, 0xff, size); // NaN
    guest_fill((float *)(e->mapped + e->offsets[Q]), (float *)(e->mapped + e->offsets[K]),
               (float *)(e->mapped + e->offsets[V]));
}

void engine_create(const machine *m, uint32_t index, VkBufferUsageFlags more_usage,
                   engine *out_engine) {
    engine *e = out_engine;
    memset(e, 0, sizeof(*e));
    e->physical = m->devices[index];
    create_device(m, e);
    volkLoadDevice(e->device);
    create_commands(e);
    create_buffer(e, more_usage);
}

void engine_destroy(engine *e) {
    vkDestroyBuffer(e->device, e->buffer, NULL);
    vkFreeMemory(e->device, e->memory, NULL);
    vkDestroyFence(e->device, e->fence, NULL);
    vkDestroyCommandPool(e->device, e->pool, NULL);
    vkDestroyDevice(e->device, NULL);
}

ikat_vulkan_adopt_params engine_params(const machine *m, const engine *e) {
    return (ikat_vulkan_adopt_params){
        .get_instance_proc_addr = vkGetInstanceProcAddr,
        .instance = m->instance,
        .physical_device = e->physical,
        .device = e->device,
        .api_version = VK_API_VERSION_1_1,
        .features = e->support.features,
    };
}

const engine_replacement *engine_replacements;

static PFN_vkVoidFunction find_replacement(const char *name) {
    const engine_replacement *r = engine_replacements;
    while (r->name && strcmp(r->name, name) != 0) {
        r++;
    }
    return r->function;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL find_device_function(VkDevice device,
                                                                     const char *name) {
    PFN_vkVoidFunction replacement = find_replacement(name);
    return replacement ? replacement : vkGetDeviceProcAddr(device, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL engine_find_function(VkInstance instance,
                                                              const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        return (PFN_vkVoidFunction)find_device_function;
    }
    PFN_vkVoidFunction replacement = find_replacement(name);
    return replacement ? replacement : vkGetInstanceProcAddr(instance, name);
}

void engine_invite(const machine *m, const engine *e, const ikat_vulkan_adopt_params *params,
                   guest *out_guest) {
    guest *g = out_guest;
    memset(g, 0, sizeof(*g));
    assert_int_equal(ikat_vulkan_adopt(m->context, params, &g->device), IKAT_OK);
    for (int i = 0; i < NUM_TENSORS; i++) {
        assert_int_equal(ikat_vulkan_wrap_buffer(g->device, e->buffer, e->offsets[i],
                                                 guest_tensor_bytes[i], &g->buffers[i]),
                         IKAT_OK);
    }
    guest_prepare(g);
}

static void barrier(const engine *e, VkPipelineStageFlags from, VkAccessFlags written,
                    VkPipelineStageFlags to, VkAccessFlags used) {
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = written, .dstAccessMask = used};
    vkCmdPipelineBarrier(e->commands, from, to, 0, 1, &memory, 0, NULL, 0, NULL);
}

void engine_run_frame(const engine *e, const guest *g, uint32_t first, uint32_t num) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    assert_int_equal(vkBeginCommandBuffer(e->commands, &begin), VK_SUCCESS);
    if (first == 0) { // what the engine left in `out`
        vkCmdFillBuffer(e->commands, e->buffer, e->offsets[OUT], Q_BYTES, 0x7fc00000);
        barrier(e, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    }
    for (uint32_t slice = first; slice < first + num; slice++) {
        assert_int_equal(ikat_vulkan_record(g->plan, slice, e->commands, g->bindings), IKAT_OK);
    }
    barrier(e, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    assert_int_equal(vkEndCommandBuffer(e->commands), VK_SUCCESS);
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &e->commands};
    assert_int_equal(vkQueueSubmit(e->queue, 1, &submit, e->fence), VK_SUCCESS);
    assert_int_equal(vkWaitForFences(e->device, 1, &e->fence, VK_TRUE, UINT64_MAX), VK_SUCCESS);
    assert_int_equal(vkResetFences(e->device, 1, &e->fence), VK_SUCCESS);
}

void engine_check(const engine *e) { guest_check((const float *)(e->mapped + e->offsets[OUT])); }
