// An engine with a Vulkan device of its own, loaded through volk: the library adopts the device,
// wraps ranges of the engine's one buffer and records attention into the engine's command buffer.
// Linked statically, so that volk's symbols meet the library's. Every physical device of the
// machine is tried.

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VOLK_IMPLEMENTATION
#include <volk.h>

#include <ikat/ikat.h>
#include <ikat/vulkan.h>

enum {
    HEADS = 2,
    QUERIES = 150,
    KEYS = 170,
    SIZE = 64,
    Q_BYTES = HEADS * QUERIES * SIZE * 4,
    K_BYTES = HEADS * KEYS * SIZE * 4,
    ALIGNMENT = 256, // no device asks for more
    MAX_DEVICES = 8,
};

// Ranges of the engine's buffer.
typedef enum range_name { Q, K, V, OUT, NUM_RANGES } range_name;

static const char *const names[NUM_RANGES] = {"q", "k", "v", "out"};
static const uint64_t sizes[NUM_RANGES] = {Q_BYTES, K_BYTES, K_BYTES, Q_BYTES};

typedef struct engine {
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint8_t *mapped;
    uint64_t offsets[NUM_RANGES];
    ikat_vulkan_support support;
    int locked;
    int num_locks;
} engine;

typedef struct messages {
    uint32_t num[IKAT_MESSAGE_CACHE + 1];
} messages;

typedef struct fixture {
    ikat_context *context;
    messages messages;
    VkInstance instance;
    VkPhysicalDevice devices[MAX_DEVICES];
    uint32_t num_devices;
    float expected[HEADS * QUERIES * SIZE];
} fixture;

static void count_message(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    messages *m = user;
    (void)level;
    (void)text;
    m->num[id]++;
}

static float draw(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return ((float)(*state >> 8) * 0x1p-23f - 1.0f) * 1.7f;
}

static void fill(float *q, float *k, float *v) {
    uint32_t state = 7;
    for (int i = 0; i < HEADS * QUERIES * SIZE; i++) {
        q[i] = draw(&state);
    }
    for (int i = 0; i < HEADS * KEYS * SIZE; i++) {
        k[i] = draw(&state);
        v[i] = draw(&state);
    }
}

// One row of causal attention in double: softmax(q k / sqrt(D)) v over keys j <= i + (M - N).
static void expect_row(const float *q, const float *k, const float *v, int row, float *out) {
    double weights[KEYS];
    double highest = -INFINITY;
    double sum = 0;
    int num_visible = row + 1 + KEYS - QUERIES;
    for (int j = 0; j < num_visible; j++) {
        weights[j] = 0;
        for (int d = 0; d < SIZE; d++) {
            weights[j] += (double)q[d] * k[j * SIZE + d] / sqrt(SIZE);
        }
        highest = fmax(highest, weights[j]);
    }
    for (int j = 0; j < num_visible; j++) {
        weights[j] = exp(weights[j] - highest);
        sum += weights[j];
    }
    for (int d = 0; d < SIZE; d++) {
        double value = 0;
        for (int j = 0; j < num_visible; j++) {
            value += weights[j] * v[j * SIZE + d];
        }
        out[d] = (float)(value / sum);
    }
}

static void expect(float *out) {
    float *q = malloc(Q_BYTES + 2 * K_BYTES);
    float *k = q + Q_BYTES / 4;
    float *v = k + K_BYTES / 4;
    assert_non_null(q);
    fill(q, k, v);
    for (int row = 0; row < HEADS * QUERIES; row++) {
        int head = row / QUERIES;
        expect_row(q + row * SIZE, k + head * KEYS * SIZE, v + head * KEYS * SIZE, row % QUERIES,
                   out + row * SIZE);
    }
    free(q);
}

static int create_fixture(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    *state = f;
    const ikat_context_params params = {.log = count_message, .log_user = &f->messages};
    assert_int_equal(ikat_context_create(&params, &f->context), IKAT_OK);
    if (volkInitialize() != VK_SUCCESS) {
        return 0;
    }
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, &f->instance) != VK_SUCCESS) {
        f->instance = VK_NULL_HANDLE;
        return 0;
    }
    volkLoadInstance(f->instance);
    f->num_devices = MAX_DEVICES;
    assert_true(vkEnumeratePhysicalDevices(f->instance, &f->num_devices, f->devices) >= VK_SUCCESS);
    expect(f->expected);
    return 0;
}

static int destroy_fixture(void **state) {
    fixture *f = *state;
    if (f->instance) {
        vkDestroyInstance(f->instance, NULL);
    }
    ikat_context_destroy(&f->context);
    free(f);
    return 0;
}

// The engine's device has what the library would like, and family 0 has compute on every device
// with graphics or compute.
static void create_device(fixture *f, engine *e) {
    assert_int_equal(ikat_vulkan_requirements(f->context, vkGetInstanceProcAddr, f->instance,
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
    for (int i = 0; i < NUM_RANGES; i++) {
        e->offsets[i] = size;
        size += (sizes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
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
    fill((float *)(e->mapped + e->offsets[Q]), (float *)(e->mapped + e->offsets[K]),
         (float *)(e->mapped + e->offsets[V]));
}

static void create_engine(fixture *f, uint32_t index, VkBufferUsageFlags more_usage, engine *e) {
    memset(e, 0, sizeof(*e));
    e->physical = f->devices[index];
    create_device(f, e);
    volkLoadDevice(e->device);
    create_commands(e);
    create_buffer(e, more_usage);
}

static void destroy_engine(engine *e) {
    vkDestroyBuffer(e->device, e->buffer, NULL);
    vkFreeMemory(e->device, e->memory, NULL);
    vkDestroyFence(e->device, e->fence, NULL);
    vkDestroyCommandPool(e->device, e->pool, NULL);
    vkDestroyDevice(e->device, NULL);
}

static ikat_vulkan_adopt_params adopt_params(const fixture *f, const engine *e) {
    return (ikat_vulkan_adopt_params){
        .get_instance_proc_addr = vkGetInstanceProcAddr,
        .instance = f->instance,
        .physical_device = e->physical,
        .device = e->device,
        .api_version = VK_API_VERSION_1_1,
        .features = e->support.features,
    };
}

// What the library makes of an engine's buffer.
typedef struct attention {
    ikat_device *device;
    ikat_plan *plan;
    ikat_buffer *buffers[NUM_RANGES];
    ikat_bindings *bindings;
} attention;

static void create_plan(attention *a) {
    const ikat_argument inputs[] = {
        {"q", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, QUERIES, SIZE), NULL},
        {"k", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
        {"v", ikat_tensor_packed(IKAT_FLOAT32, 4, 1, HEADS, KEYS, SIZE), NULL},
    };
    const ikat_setting settings[] = {ikat_setting_int("causal", 1)};
    const ikat_plan_params params = {
        .mechanism = "dense",
        .inputs = inputs,
        .num_inputs = 3,
        .settings = settings,
        .num_settings = 1,
        .slice_flops = 1e6, // several slices
    };
    assert_int_equal(ikat_plan_create(a->device, &params, &a->plan), IKAT_OK);
}

static void create_attention(const engine *e, const ikat_vulkan_adopt_params *params, fixture *f,
                             attention *a) {
    memset(a, 0, sizeof(*a));
    assert_int_equal(ikat_vulkan_adopt(f->context, params, &a->device), IKAT_OK);
    create_plan(a);
    ikat_binding bindings[NUM_RANGES];
    for (int i = 0; i < NUM_RANGES; i++) {
        assert_int_equal(
            ikat_vulkan_wrap_buffer(a->device, e->buffer, e->offsets[i], sizes[i], &a->buffers[i]),
            IKAT_OK);
        bindings[i] = (ikat_binding){names[i], a->buffers[i], 0};
    }
    const ikat_bindings_params bindings_params = {.tensors = bindings, .num_tensors = NUM_RANGES};
    assert_int_equal(ikat_bindings_create(a->plan, &bindings_params, &a->bindings), IKAT_OK);
}

static void destroy_attention(attention *a) {
    ikat_bindings_destroy(&a->bindings);
    ikat_plan_destroy(&a->plan);
    for (int i = 0; i < NUM_RANGES; i++) {
        ikat_buffer_destroy(&a->buffers[i]);
    }
    ikat_device_destroy(&a->device);
}

static void barrier(const engine *e, VkPipelineStageFlags from, VkAccessFlags written,
                    VkPipelineStageFlags to, VkAccessFlags used) {
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = written, .dstAccessMask = used};
    vkCmdPipelineBarrier(e->commands, from, to, 0, 1, &memory, 0, NULL, 0, NULL);
}

static uint32_t num_slices(const attention *a) {
    ikat_plan_info info;
    ikat_plan_get_info(a->plan, &info);
    return info.num_slices;
}

// A frame: the engine's own commands, then slices [first, first + num), then its own again.
static void run_frame(const engine *e, const attention *a, uint32_t first, uint32_t num) {
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
        assert_int_equal(ikat_vulkan_record(a->plan, slice, e->commands, a->bindings), IKAT_OK);
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

static void check(const fixture *f, const float *out) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < HEADS * QUERIES * SIZE; i++) {
        double difference = (double)out[i] - f->expected[i];
        error += difference * difference;
        norm += (double)f->expected[i] * f->expected[i];
    }
    assert_true(sqrt(error / norm) < 2e-6 * sqrt(KEYS / 64.0)); // false for NaN
}

static void test_records_without_queue(void **state) {
    fixture *f = *state;
    for (uint32_t i = 0; i < f->num_devices; i++) {
        engine e;
        attention a;
        create_engine(f, i, VK_BUFFER_USAGE_TRANSFER_DST_BIT, &e);
        const ikat_vulkan_adopt_params params = adopt_params(f, &e);
        create_attention(&e, &params, f, &a);
        const float *out = (const float *)(e.mapped + e.offsets[OUT]);
        uint32_t num = num_slices(&a);
        assert_true(num > 1);
        run_frame(&e, &a, 0, num);
        check(f, out);
        run_frame(&e, &a, 0, 1); // again, over two frames
        run_frame(&e, &a, 1, num - 1);
        check(f, out);
        assert_int_equal(ikat_vulkan_record(a.plan, num, e.commands, a.bindings), IKAT_INVALID);
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_UNSUPPORTED);
        assert_int_equal(ikat_device_get_info(a.device)->limits.max_texel_elements, 0);
        destroy_attention(&a);
        destroy_engine(&e);
    }
}

static void lock(void *user) {
    engine *e = user;
    assert_int_equal(e->locked++, 0);
    e->num_locks++;
}

static void unlock(void *user) {
    engine *e = user;
    assert_int_equal(--e->locked, 0);
}

static void test_submits_to_the_hosts_queue(void **state) {
    fixture *f = *state;
    for (uint32_t i = 0; i < f->num_devices; i++) {
        engine e;
        attention a;
        create_engine(f, i,
                      VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                          VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                      &e);
        ikat_vulkan_adopt_params params = adopt_params(f, &e);
        params.queue = e.queue;
        params.lock = lock;
        params.unlock = unlock;
        params.lock_user = &e;
        params.texel_buffers = true;
        create_attention(&e, &params, f, &a);
        float *out = malloc(Q_BYTES);
        assert_non_null(out);
        memset(out, 0xff, Q_BYTES);
        assert_int_equal(ikat_buffer_write(a.buffers[OUT], 0, out, Q_BYTES), IKAT_OK);
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_OK);
        assert_int_equal(ikat_buffer_read(a.buffers[OUT], 0, out, Q_BYTES), IKAT_OK);
        check(f, out);
        assert_true(e.num_locks > 0);
        assert_int_equal(e.locked, 0);
        assert_true(ikat_device_get_info(a.device)->limits.max_texel_elements > 0);
        free(out);
        destroy_attention(&a);
        destroy_engine(&e);
    }
}

static void test_refuses_bad_ranges(void **state) {
    fixture *f = *state;
    for (uint32_t i = 0; i < f->num_devices; i++) {
        engine e;
        create_engine(f, i, 0, &e);
        const ikat_vulkan_adopt_params params = adopt_params(f, &e);
        ikat_device *device;
        assert_int_equal(ikat_vulkan_adopt(f->context, &params, &device), IKAT_OK);
        ikat_buffer *buffer = (ikat_buffer *)&buffer;
        uint32_t before = f->messages.num[IKAT_MESSAGE_BUFFER];
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 4, 64, &buffer), IKAT_INVALID);
        assert_null(buffer);
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 0, 0, &buffer), IKAT_INVALID);
        assert_int_equal(ikat_vulkan_wrap_buffer(device, e.buffer, 0, 6, &buffer), IKAT_INVALID);
        assert_int_equal(f->messages.num[IKAT_MESSAGE_BUFFER], before + 3);
        ikat_device_destroy(&device);
        destroy_engine(&e);
    }
}

static void test_refuses_missing_handles(void **state) {
    fixture *f = *state;
    ikat_device *device = (ikat_device *)&device;
    const ikat_vulkan_adopt_params params = {0};
    uint32_t before = f->messages.num[IKAT_MESSAGE_NULL_ARGUMENT];
    assert_int_equal(ikat_vulkan_adopt(f->context, &params, &device), IKAT_INVALID);
    assert_null(device);
    assert_int_equal(ikat_vulkan_adopt(f->context, NULL, &device), IKAT_INVALID);
    assert_int_equal(f->messages.num[IKAT_MESSAGE_NULL_ARGUMENT], before + 2);
}

// Adopts with pipelines of an earlier run; returns how many warnings about them there were.
static uint32_t adopt_cached(fixture *f, engine *e, const void *cache, size_t cache_bytes) {
    uint32_t before = f->messages.num[IKAT_MESSAGE_CACHE];
    ikat_vulkan_adopt_params params = adopt_params(f, e);
    params.cache = cache;
    params.cache_bytes = cache_bytes;
    attention a;
    create_attention(e, &params, f, &a);
    run_frame(e, &a, 0, num_slices(&a));
    check(f, (const float *)(e->mapped + e->offsets[OUT]));
    destroy_attention(&a);
    return f->messages.num[IKAT_MESSAGE_CACHE] - before;
}

static void test_keeps_pipelines(void **state) {
    fixture *f = *state;
    for (uint32_t i = 0; i < f->num_devices; i++) {
        engine e;
        attention a;
        create_engine(f, i, VK_BUFFER_USAGE_TRANSFER_DST_BIT, &e);
        const ikat_vulkan_adopt_params params = adopt_params(f, &e);
        create_attention(&e, &params, f, &a);
        size_t size = 0;
        size_t written = 0;
        assert_int_equal(ikat_vulkan_cache_size(a.device, &size), IKAT_OK);
        uint8_t *cache = malloc(size);
        assert_non_null(cache);
        assert_int_equal(ikat_vulkan_cache_get(a.device, cache, 8, &written), IKAT_INVALID);
        assert_int_equal(ikat_vulkan_cache_get(a.device, cache, size, &written), IKAT_OK);
        assert_true(written > 0 && written <= size);
        destroy_attention(&a);
        assert_int_equal(adopt_cached(f, &e, cache, written), 0);
        assert_int_equal(adopt_cached(f, &e, cache, written - 1), 1);
        cache[written - 1] ^= 1;
        assert_int_equal(adopt_cached(f, &e, cache, written), 1);
        free(cache);
        destroy_engine(&e);
    }
}

// A driver that fails on demand: the library gets its functions through these.
static struct {
    VkResult submit;   // of vkQueueSubmit
    VkResult allocate; // of vkAllocateMemory
    int num_refusals;  // pipelines yet to be refused
} faults;

static VKAPI_ATTR VkResult VKAPI_CALL faulty_submit(VkQueue queue, uint32_t num,
                                                    const VkSubmitInfo *infos, VkFence fence) {
    return faults.submit != VK_SUCCESS ? faults.submit : vkQueueSubmit(queue, num, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_allocate(VkDevice device,
                                                      const VkMemoryAllocateInfo *info,
                                                      const VkAllocationCallbacks *callbacks,
                                                      VkDeviceMemory *memory) {
    return faults.allocate != VK_SUCCESS ? faults.allocate
                                         : vkAllocateMemory(device, info, callbacks, memory);
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_pipelines(VkDevice device, VkPipelineCache cache,
                                                       uint32_t num,
                                                       const VkComputePipelineCreateInfo *infos,
                                                       const VkAllocationCallbacks *callbacks,
                                                       VkPipeline *pipelines) {
    if (faults.num_refusals > 0) {
        faults.num_refusals--;
        return VK_ERROR_UNKNOWN;
    }
    return vkCreateComputePipelines(device, cache, num, infos, callbacks, pipelines);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faulty_device_function(VkDevice device,
                                                                       const char *name) {
    if (!strcmp(name, "vkQueueSubmit")) {
        return (PFN_vkVoidFunction)faulty_submit;
    }
    if (!strcmp(name, "vkAllocateMemory")) {
        return (PFN_vkVoidFunction)faulty_allocate;
    }
    if (!strcmp(name, "vkCreateComputePipelines")) {
        return (PFN_vkVoidFunction)faulty_pipelines;
    }
    return vkGetDeviceProcAddr(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faulty_function(VkInstance instance,
                                                                const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        return (PFN_vkVoidFunction)faulty_device_function;
    }
    return vkGetInstanceProcAddr(instance, name);
}

static void create_faulty(fixture *f, uint32_t index, engine *e,
                          ikat_vulkan_adopt_params *out_params) {
    memset(&faults, 0, sizeof(faults));
    create_engine(f, index, VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT, e);
    *out_params = adopt_params(f, e);
    out_params->get_instance_proc_addr = faulty_function;
    out_params->queue = e->queue;
}

// Faults do not depend on the driver behind them: the last device does for all.
static uint32_t one_device(const fixture *f) { return f->num_devices > 0 ? f->num_devices - 1 : 0; }

static void test_loses_the_device(void **state) {
    fixture *f = *state;
    for (uint32_t i = one_device(f); i < f->num_devices; i++) {
        engine e;
        attention a;
        ikat_vulkan_adopt_params params;
        create_faulty(f, i, &e, &params);
        create_attention(&e, &params, f, &a);
        float value = 0;
        ikat_ticket ticket = 0;
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_OK);
        faults.submit = VK_ERROR_DEVICE_LOST;
        assert_int_equal(ikat_plan_submit(a.plan, a.bindings, 0, 0, &ticket), IKAT_DEVICE_LOST);
        faults.submit = VK_SUCCESS; // once lost, lost for good
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_DEVICE_LOST);
        assert_int_equal(ikat_buffer_write(a.buffers[Q], 0, &value, 4), IKAT_DEVICE_LOST);
        assert_int_equal(ikat_buffer_read(a.buffers[Q], 0, &value, 4), IKAT_DEVICE_LOST);
        assert_int_equal(ikat_device_wait(a.device, 1, UINT64_MAX, NULL), IKAT_DEVICE_LOST);
        assert_int_equal(ikat_vulkan_record(a.plan, 0, e.commands, a.bindings), IKAT_DEVICE_LOST);
        ikat_buffer *buffer = NULL;
        assert_int_equal(ikat_buffer_create(a.device, 64, &buffer), IKAT_DEVICE_LOST);
        assert_null(buffer);
        destroy_attention(&a);
        destroy_engine(&e);
    }
}

static void test_runs_out_of_memory(void **state) {
    fixture *f = *state;
    for (uint32_t i = one_device(f); i < f->num_devices; i++) {
        engine e;
        attention a;
        ikat_vulkan_adopt_params params;
        create_faulty(f, i, &e, &params);
        faults.allocate = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        assert_int_equal(ikat_vulkan_adopt(f->context, &params, &a.device), IKAT_NO_MEMORY);
        faults.allocate = VK_SUCCESS;
        create_attention(&e, &params, f, &a);
        faults.allocate = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        ikat_buffer *buffer = NULL;
        assert_int_equal(ikat_buffer_create(a.device, 64, &buffer), IKAT_NO_MEMORY);
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_OK); // needs none
        destroy_attention(&a);
        destroy_engine(&e);
    }
}

static void test_takes_the_next_variant(void **state) {
    fixture *f = *state;
    for (uint32_t i = one_device(f); i < f->num_devices; i++) {
        engine e;
        attention a;
        ikat_vulkan_adopt_params params;
        create_faulty(f, i, &e, &params);
        uint32_t before = f->messages.num[IKAT_MESSAGE_COMPILE];
        faults.num_refusals = 1;
        create_attention(&e, &params, f, &a);
        assert_int_equal(faults.num_refusals, 0);
        assert_true(f->messages.num[IKAT_MESSAGE_COMPILE] > before);
        assert_int_equal(ikat_plan_run(a.plan, a.bindings), IKAT_OK);
        check(f, (const float *)(e.mapped + e.offsets[OUT]));
        destroy_attention(&a);
        destroy_engine(&e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_without_queue),
        cmocka_unit_test(test_submits_to_the_hosts_queue),
        cmocka_unit_test(test_refuses_bad_ranges),
        cmocka_unit_test(test_refuses_missing_handles),
        cmocka_unit_test(test_keeps_pipelines),
        cmocka_unit_test(test_loses_the_device),
        cmocka_unit_test(test_runs_out_of_memory),
        cmocka_unit_test(test_takes_the_next_variant),
    };
    return cmocka_run_group_tests_name("vulkan_host", tests, create_fixture, destroy_fixture);
}
