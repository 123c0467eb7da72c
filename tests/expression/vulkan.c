// Emitted functions as SPIR-V, on every Vulkan device of the machine.
//
//   test_expression_vulkan FILE.spv

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VOLK_IMPLEMENTATION
#include <volk.h>

#include "suite.h"

enum { MAX_DEVICES = 8, NUM_BUFFERS = 4 };

static const char *spirv_path;

// What one device needs. `mapped`: the buffers' ranges of one piece of memory.
typedef struct runner {
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    VkDeviceMemory memory;
    VkBuffer buffers[NUM_BUFFERS];
    uint8_t *mapped[NUM_BUFFERS];
    VkDescriptorSetLayout set_layout;
    VkDescriptorPool descriptor_pool;
    VkDescriptorSet set;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkCommandPool pool;
} runner;

static void check(VkResult result) { assert_int_equal(result, VK_SUCCESS); }

static void create_device(runner *r) {
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueCount = 1,
                                           .pQueuePriorities = &(float){1.0f}};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue};
    check(vkCreateDevice(r->physical, &info, NULL, &r->device));
    volkLoadDevice(r->device);
    vkGetDeviceQueue(r->device, 0, 0, &r->queue);
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    check(vkCreateCommandPool(r->device, &pool, NULL, &r->pool));
}

static uint32_t mappable_type(const runner *r, uint32_t allowed) {
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(r->physical, &memory);
    for (uint32_t k = 0; k < memory.memoryTypeCount; k++) {
        if ((allowed >> k & 1) && (memory.memoryTypes[k].propertyFlags & wanted) == wanted) {
            return k;
        }
    }
    fail_msg("no mappable memory");
    return 0;
}

static void create_buffers(runner *r, const VkDeviceSize sizes[NUM_BUFFERS]) {
    enum { ALIGNMENT = 256 }; // no device asks for more
    VkDeviceSize offsets[NUM_BUFFERS], total = 0;
    VkMemoryRequirements needs = {0};
    for (int k = 0; k < NUM_BUFFERS; k++) {
        const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                         .size = sizes[k],
                                         .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
        check(vkCreateBuffer(r->device, &info, NULL, &r->buffers[k]));
        vkGetBufferMemoryRequirements(r->device, r->buffers[k], &needs);
        offsets[k] = total;
        total += (needs.size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .allocationSize = total,
                                       .memoryTypeIndex = mappable_type(r, needs.memoryTypeBits)};
    check(vkAllocateMemory(r->device, &info, NULL, &r->memory));
    void *mapped;
    check(vkMapMemory(r->device, r->memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    for (int k = 0; k < NUM_BUFFERS; k++) {
        check(vkBindBufferMemory(r->device, r->buffers[k], r->memory, offsets[k]));
        r->mapped[k] = (uint8_t *)mapped + offsets[k];
    }
}

static void create_set(runner *r) {
    VkDescriptorSetLayoutBinding bindings[NUM_BUFFERS];
    for (uint32_t k = 0; k < NUM_BUFFERS; k++) {
        bindings[k] = (VkDescriptorSetLayoutBinding){k, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                                                     VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    }
    const VkDescriptorSetLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = NUM_BUFFERS,
        .pBindings = bindings};
    check(vkCreateDescriptorSetLayout(r->device, &layout, NULL, &r->set_layout));
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, NUM_BUFFERS};
    const VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = 1,
                                             .poolSizeCount = 1,
                                             .pPoolSizes = &size};
    check(vkCreateDescriptorPool(r->device, &pool, NULL, &r->descriptor_pool));
    const VkDescriptorSetAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                              .descriptorPool = r->descriptor_pool,
                                              .descriptorSetCount = 1,
                                              .pSetLayouts = &r->set_layout};
    check(vkAllocateDescriptorSets(r->device, &info, &r->set));
    for (uint32_t k = 0; k < NUM_BUFFERS; k++) {
        const VkDescriptorBufferInfo buffer = {r->buffers[k], 0, VK_WHOLE_SIZE};
        const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                            .dstSet = r->set,
                                            .dstBinding = k,
                                            .descriptorCount = 1,
                                            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                            .pBufferInfo = &buffer};
        vkUpdateDescriptorSets(r->device, 1, &write, 0, NULL);
    }
}

static void create_pipeline(runner *r) {
    size_t size;
    char *spirv = suite_read(spirv_path, &size);
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = size,
                                           .pCode = (const uint32_t *)(void *)spirv};
    VkShaderModule module;
    check(vkCreateShaderModule(r->device, &code, NULL, &module));
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &r->set_layout};
    check(vkCreatePipelineLayout(r->device, &layout, NULL, &r->layout));
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
        .layout = r->layout};
    check(vkCreateComputePipelines(r->device, VK_NULL_HANDLE, 1, &info, NULL, &r->pipeline));
    vkDestroyShaderModule(r->device, module, NULL);
    free(spirv);
}

static void dispatch(runner *r) {
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = r->pool,
                                              .commandBufferCount = 1};
    VkCommandBuffer commands;
    check(vkAllocateCommandBuffers(r->device, &info, &commands));
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    check(vkBeginCommandBuffer(commands, &begin));
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, r->pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, r->layout, 0, 1, &r->set, 0,
                            NULL);
    vkCmdDispatch(commands, SUITE_PLACES / 64, 1, 1);
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                         0, 1, &barrier, 0, NULL, 0, NULL);
    check(vkEndCommandBuffer(commands));
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &commands};
    check(vkQueueSubmit(r->queue, 1, &submit, VK_NULL_HANDLE));
    check(vkQueueWaitIdle(r->queue));
}

static void destroy(runner *r) {
    vkDestroyCommandPool(r->device, r->pool, NULL);
    vkDestroyPipeline(r->device, r->pipeline, NULL);
    vkDestroyPipelineLayout(r->device, r->layout, NULL);
    vkDestroyDescriptorPool(r->device, r->descriptor_pool, NULL);
    vkDestroyDescriptorSetLayout(r->device, r->set_layout, NULL);
    for (int k = 0; k < NUM_BUFFERS; k++) {
        vkDestroyBuffer(r->device, r->buffers[k], NULL);
    }
    vkFreeMemory(r->device, r->memory, NULL);
    vkDestroyDevice(r->device, NULL);
}

static void run(VkPhysicalDevice physical, const suite *functions) {
    runner r = {.physical = physical};
    const VkDeviceSize result_bytes =
        (VkDeviceSize)functions->num_functions * 2 * SUITE_PLACES * sizeof(int32_t);
    const VkDeviceSize sizes[NUM_BUFFERS] = {functions->num_words * 4u, sizeof(functions->places),
                                             sizeof(functions->scores), result_bytes};
    create_device(&r);
    create_buffers(&r, sizes);
    create_set(&r);
    create_pipeline(&r);
    memcpy(r.mapped[0], functions->words, (size_t)sizes[0]);
    memcpy(r.mapped[1], functions->places, (size_t)sizes[1]);
    memcpy(r.mapped[2], functions->scores, (size_t)sizes[2]);
    dispatch(&r);
    suite_check(functions, (const int32_t *)(void *)r.mapped[3]);
    destroy(&r);
}

static void every_device(void **state) {
    (void)state;
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    VkInstance instance = VK_NULL_HANDLE;
    if (volkInitialize() != VK_SUCCESS || vkCreateInstance(&info, NULL, &instance) != VK_SUCCESS) {
        skip();
    }
    volkLoadInstance(instance);
    VkPhysicalDevice devices[MAX_DEVICES];
    uint32_t num_devices = MAX_DEVICES;
    assert_true(vkEnumeratePhysicalDevices(instance, &num_devices, devices) >= VK_SUCCESS);
    suite functions;
    suite_open(&functions);
    for (uint32_t d = 0; d < num_devices; d++) {
        VkPhysicalDeviceProperties properties;
        vkGetPhysicalDeviceProperties(devices[d], &properties);
        print_message("%s\n", properties.deviceName);
        run(devices[d], &functions);
    }
    suite_close(&functions);
    vkDestroyInstance(instance, NULL);
    if (num_devices == 0) {
        skip();
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return EXIT_FAILURE;
    }
    spirv_path = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
