// Attention inside an engine's frame: its own Vulkan device, its own memory, its own command
// buffer. The library compiles nothing and allocates nothing while the frame is recorded.
//
// The engine loads Vulkan through volk here; any loader will do.

#define VOLK_IMPLEMENTATION
#include <volk.h>

#include <ikat/ikat.h>
#include <ikat/vulkan.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 4, TOKENS = 256, SIZE = 64, ELEMENTS = HEADS * TOKENS * SIZE };

// Where q, k, v and out lie in the engine's buffer: multiples of 256, which every device takes.
static const uint64_t tensor_bytes = ELEMENTS * sizeof(float);

typedef struct engine {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkBuffer buffer;
    VkDeviceMemory memory;
    float *mapped;
} engine;

static void check(int result, const char *what) {
    if (result != 0) {
        fprintf(stderr, "%s: %d\n", what, result);
        exit(1);
    }
}

static void log_message(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    (void)user;
    (void)level;
    (void)id;
    fprintf(stderr, "ikat: %s\n", text);
}

// ---- What every engine has already. ----

static void create_device(engine *e) {
    check(volkInitialize(), "volkInitialize");
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo instance = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                           .pApplicationInfo = &application};
    check(vkCreateInstance(&instance, NULL, &e->instance), "vkCreateInstance");
    volkLoadInstance(e->instance);
    uint32_t num = 1;
    check(vkEnumeratePhysicalDevices(e->instance, &num, &e->physical) < 0 || num == 0,
          "no Vulkan device");
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueCount = 1,
                                           .pQueuePriorities = &(float){1.0f}};
    const VkDeviceCreateInfo device = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                       .queueCreateInfoCount = 1,
                                       .pQueueCreateInfos = &queue};
    check(vkCreateDevice(e->physical, &device, NULL, &e->device), "vkCreateDevice");
    volkLoadDevice(e->device);
    vkGetDeviceQueue(e->device, 0, 0, &e->queue);
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    check(vkCreateCommandPool(e->device, &pool, NULL, &e->pool), "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = e->pool,
        .commandBufferCount = 1};
    check(vkAllocateCommandBuffers(e->device, &commands, &e->commands), "vkAllocateCommandBuffers");
}

static void create_buffer(engine *e) {
    const VkBufferCreateInfo buffer = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                       .size = 4 * tensor_bytes,
                                       .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    check(vkCreateBuffer(e->device, &buffer, NULL, &e->buffer), "vkCreateBuffer");
    VkMemoryRequirements needs;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetBufferMemoryRequirements(e->device, e->buffer, &needs);
    vkGetPhysicalDeviceMemoryProperties(e->physical, &memory);
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    uint32_t type = 0;
    while (!(needs.memoryTypeBits & (1u << type)) ||
           (memory.memoryTypes[type].propertyFlags & wanted) != wanted) {
        type++; // Vulkan promises that there is one
    }
    const VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                           .allocationSize = needs.size,
                                           .memoryTypeIndex = type};
    check(vkAllocateMemory(e->device, &allocate, NULL, &e->memory), "vkAllocateMemory");
    check(vkBindBufferMemory(e->device, e->buffer, e->memory, 0), "vkBindBufferMemory");
    check(vkMapMemory(e->device, e->memory, 0, VK_WHOLE_SIZE, 0, (void **)&e->mapped),
          "vkMapMemory");
}

static void destroy_engine(engine *e) {
    vkDestroyBuffer(e->device, e->buffer, NULL);
    vkFreeMemory(e->device, e->memory, NULL);
    vkDestroyCommandPool(e->device, e->pool, NULL);
    vkDestroyDevice(e->device, NULL);
    vkDestroyInstance(e->instance, NULL);
}

// ---- What it adds, once. ----

typedef struct attention {
    ikat_context *context;
    ikat_device *device;
    ikat_plan *plan;
    ikat_buffer *buffers[4];
    ikat_bindings *bindings;
} attention;

static void create_attention(const engine *e, attention *a) {
    const ikat_context_params context = {.log = log_message};
    check(ikat_context_create(&context, &a->context), "ikat_context_create");
    const ikat_vulkan_adopt_params adopt = {
        .get_instance_proc_addr = vkGetInstanceProcAddr,
        .instance = e->instance,
        .physical_device = e->physical,
        .device = e->device, // and no queue: the library never submits
    };
    check(ikat_vulkan_adopt(a->context, &adopt, &a->device), "ikat_vulkan_adopt");

    const ikat_tensor tensor = ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, TOKENS, SIZE);
    const ikat_argument inputs[] = {{"q", tensor, NULL}, {"k", tensor, NULL}, {"v", tensor, NULL}};
    const ikat_setting settings[] = {ikat_setting_int("causal", 1)};
    const ikat_plan_params plan = {.mechanism = "dense",
                                   .inputs = inputs,
                                   .num_inputs = 3,
                                   .settings = settings,
                                   .num_settings = 1};
    check(ikat_plan_create(a->device, &plan, &a->plan), "ikat_plan_create");

    static const char *const names[] = {"q", "k", "v", "out"};
    ikat_binding tensors[4];
    for (int i = 0; i < 4; i++) {
        check(ikat_vulkan_wrap_buffer(a->device, e->buffer, i * tensor_bytes, tensor_bytes,
                                      &a->buffers[i]),
              "ikat_vulkan_wrap_buffer");
        tensors[i] = (ikat_binding){names[i], a->buffers[i], 0};
    }
    const ikat_bindings_params bindings = {.tensors = tensors, .num_tensors = 4};
    check(ikat_bindings_create(a->plan, &bindings, &a->bindings), "ikat_bindings_create");
}

static void destroy_attention(attention *a) {
    ikat_bindings_destroy(&a->bindings);
    ikat_plan_destroy(&a->plan);
    for (int i = 0; i < 4; i++) {
        ikat_buffer_destroy(&a->buffers[i]);
    }
    ikat_device_destroy(&a->device);
    ikat_context_destroy(&a->context);
}

// ---- And in every frame. ----

static void render_frame(const engine *e, const attention *a) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    check(vkBeginCommandBuffer(e->commands, &begin), "vkBeginCommandBuffer");
    // The engine's passes that write q, k and v go here, and a barrier from them to the compute
    // stage.
    ikat_plan_info info;
    ikat_plan_get_info(a->plan, &info);
    for (uint32_t slice = 0; slice < info.num_slices; slice++) { // or a few of them a frame
        check(ikat_vulkan_record(a->plan, slice, e->commands, a->bindings), "ikat_vulkan_record");
    }
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(e->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    check(vkEndCommandBuffer(e->commands), "vkEndCommandBuffer");
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &e->commands};
    check(vkQueueSubmit(e->queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
    check(vkQueueWaitIdle(e->queue), "vkQueueWaitIdle");
}

int main(void) {
    engine e = {0};
    attention a = {0};
    create_device(&e);
    create_buffer(&e);
    create_attention(&e, &a);

    // Whatever the scores, a value that is the same for all tokens comes out as it went in.
    float *q = e.mapped;
    float *v = e.mapped + 2 * ELEMENTS;
    float *out = e.mapped + 3 * ELEMENTS;
    for (int i = 0; i < 2 * ELEMENTS; i++) { // q and k
        q[i] = (float)((i * 37) % 101) / 50.0f - 1.0f;
    }
    for (int i = 0; i < ELEMENTS; i++) {
        v[i] = (float)(i % SIZE);
    }
    render_frame(&e, &a);
    float worst = 0;
    for (int i = 0; i < ELEMENTS; i++) {
        worst = fmaxf(worst, fabsf(out[i] - (float)(i % SIZE)));
    }
    printf("%s: largest difference %g\n", ikat_device_get_info(a.device)->name, (double)worst);

    destroy_attention(&a);
    destroy_engine(&e);
    return worst < 1e-3f ? 0 : 1;
}
