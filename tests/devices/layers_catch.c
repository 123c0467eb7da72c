// Makes one invalid call and one missing barrier on the first Vulkan device. Under
// tests/support/validated.sh this must fail:
// otherwise the layers were not there, and no other test under them means anything.
//
// layers_catch core | sync

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define LOAD(name) PFN_##name name = (PFN_##name)get(instance, #name)

static void clear_twice(PFN_vkGetInstanceProcAddr get, VkInstance instance, VkDevice device,
                        VkBuffer buffer) {
    LOAD(vkCreateCommandPool);
    LOAD(vkAllocateCommandBuffers);
    LOAD(vkBeginCommandBuffer);
    LOAD(vkCmdFillBuffer);
    LOAD(vkEndCommandBuffer);
    LOAD(vkDestroyCommandPool);
    VkCommandPool pool;
    VkCommandBuffer commands;
    vkCreateCommandPool(
        device, &(VkCommandPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO},
        NULL, &pool);
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = pool,
                                            .commandBufferCount = 1};
    vkAllocateCommandBuffers(device, &allocate, &commands);
    vkBeginCommandBuffer(commands, &(VkCommandBufferBeginInfo){
                                       .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO});
    vkCmdFillBuffer(commands, buffer, 0, 256, 1);
    vkCmdFillBuffer(commands, buffer, 0, 256, 2);
    vkEndCommandBuffer(commands);
    vkDestroyCommandPool(device, pool, NULL);
}

static int misuse(PFN_vkGetInstanceProcAddr get, VkInstance instance, VkPhysicalDevice physical,
                  const char *what) {
    LOAD(vkCreateDevice);
    LOAD(vkCreateBuffer);
    LOAD(vkAllocateMemory);
    LOAD(vkBindBufferMemory);
    LOAD(vkFreeMemory);
    LOAD(vkDestroyBuffer);
    LOAD(vkDestroyDevice);
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1,
                                     .pQueuePriorities = &(float){1.0f}};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue};
    VkDevice device;
    if (vkCreateDevice(physical, &info, NULL, &device) != VK_SUCCESS) {
        return 0;
    }
    VkBufferCreateInfo buffer_info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                      .size = 256,
                                      .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    vkCreateBuffer(device, &buffer_info, NULL, &buffer);
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .allocationSize = 65536};
    vkAllocateMemory(device, &allocate, NULL, &memory);
    vkBindBufferMemory(device, buffer, memory,
                       strcmp(what, "core") == 0 ? 1 : 0); // offset 1 is not aligned
    if (strcmp(what, "sync") == 0) {
        clear_twice(get, instance, device, buffer);
    }
    vkDestroyBuffer(device, buffer, NULL);
    vkFreeMemory(device, memory, NULL);
    vkDestroyDevice(device, NULL);
    return 0;
}

// Status 0 however far it gets: only the layers' messages make the test fail.
int main(int argc, char **argv) {
    void *loader = dlopen("libvulkan.so.1", RTLD_NOW);
    if (argc != 2 || !loader) {
        return 0;
    }
    PFN_vkGetInstanceProcAddr get;
    *(void **)&get = dlsym(loader, "vkGetInstanceProcAddr");
    VkInstance instance = VK_NULL_HANDLE;
    LOAD(vkCreateInstance);
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, &instance) != VK_SUCCESS) {
        return 0;
    }
    LOAD(vkEnumeratePhysicalDevices);
    LOAD(vkDestroyInstance);
    VkPhysicalDevice physical;
    uint32_t count = 1;
    vkEnumeratePhysicalDevices(instance, &count, &physical);
    int status = count > 0 ? misuse(get, instance, physical, argv[1]) : 0;
    vkDestroyInstance(instance, NULL);
    return status;
}
