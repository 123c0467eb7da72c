// Compiles SPIR-V for an AMD chip without having one, and prints what the compiler says of each pipeline.
//
//   radv [-s VALUE] [-w COUNT] FILE.spv ...
//
//   -s VALUE   value of specialisation constant 0 (default 0)
//   -w COUNT   fewer subgroups per SIMD than this are a fault
//
// The environment says which driver and chip: VK_DRIVER_FILES, RADV_FORCE_FAMILY (navi21, vega10, ...).
//
// One line a file: chip, name, value of constant 0, VGPRs, SGPRs, spilled registers, scratch bytes,
// LDS bytes, subgroups per SIMD, instructions; then FAULT where there is one. Exit status: 1 if a line
// has a fault, 2 on wrong usage, 3 if there is no such driver or a file cannot be read or compiled.
//
// Subgroups per SIMD are the driver's figure. For RDNA chips Mesa 22.3 reckons with twice the registers
// there are for subgroups of 64: its 8 are 4 in truth.

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IDS = 1 << 16, MAX_BINDINGS = 16 };

// clang-format off
#define INSTANCE_FUNCTIONS(X) \
    X(EnumeratePhysicalDevices) \
    X(GetPhysicalDeviceProperties) \
    X(CreateDevice) \
    X(GetDeviceProcAddr) \
    X(DestroyInstance)
#define DEVICE_FUNCTIONS(X) \
    X(CreateShaderModule) \
    X(DestroyShaderModule) \
    X(CreateDescriptorSetLayout) \
    X(DestroyDescriptorSetLayout) \
    X(CreatePipelineLayout) \
    X(DestroyPipelineLayout) \
    X(CreateComputePipelines) \
    X(DestroyPipeline) \
    X(GetPipelineExecutableStatisticsKHR) \
    X(DestroyDevice)
// clang-format on

typedef struct driver {
    VkInstance instance;
    VkDevice device;
#define X(name) PFN_vk##name name;
    INSTANCE_FUNCTIONS(X) DEVICE_FUNCTIONS(X)
#undef X
} driver;

typedef struct limits {
    uint32_t value; // of specialisation constant 0
    unsigned subgroups;
} limits;

typedef struct module {
    uint32_t *words;
    size_t num_words;
    VkDescriptorType bindings[MAX_BINDINGS]; // VK_DESCRIPTOR_TYPE_MAX_ENUM where there is none
} module;

static int fail(const char *what, const char *detail) {
    fprintf(stderr, "radv: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    return 3;
}

static bool load_instance(driver *d) {
    void *library = dlopen("libvulkan.so.1", RTLD_NOW);
    if (!library) return false;
    PFN_vkGetInstanceProcAddr get;
    *(void **)&get = dlsym(library, "vkGetInstanceProcAddr");
    PFN_vkCreateInstance create = get ? (PFN_vkCreateInstance)get(NULL, "vkCreateInstance") : NULL;
    if (!create) return false;
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    if (create(&info, NULL, &d->instance)) return false;
#define X(name) d->name = (PFN_vk##name)get(d->instance, "vk" #name);
    INSTANCE_FUNCTIONS(X)
#undef X
    return true;
}

static bool load_device(driver *d) {
    uint32_t count = 1;
    VkPhysicalDevice physical;
    if (d->EnumeratePhysicalDevices(d->instance, &count, &physical) < 0 || !count) return false;
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
    const char *extensions[] = {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &executable,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = 1,
                                     .ppEnabledExtensionNames = extensions};
    if (d->CreateDevice(physical, &info, NULL, &d->device)) return false;
#define X(name) d->name = (PFN_vk##name)d->GetDeviceProcAddr(d->device, "vk" #name);
    DEVICE_FUNCTIONS(X)
#undef X
    return true;
}

static bool read_module(const char *path, module *m) {
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    m->num_words = size > 0 ? (size_t)size / 4 : 0;
    m->words = malloc(m->num_words * 4 + 4);
    bool good =
        m->words && m->num_words > 5 && fread(m->words, 4, m->num_words, file) == m->num_words;
    fclose(file);
    return good;
}

// Finds the descriptor type of each binding: a uniform texel buffer is a pointer to an image, a uniform
// block is in storage class Uniform (2), all else is a storage buffer.
static void find_bindings(module *m) {
    enum {
        OP_TYPE_IMAGE = 25,
        OP_TYPE_POINTER = 32,
        OP_VARIABLE = 59,
        OP_DECORATE = 71,
        DECORATION_BINDING = 33
    };
    static uint8_t binding_of[MAX_IDS], is_image[MAX_IDS], points_to_image[MAX_IDS];
    memset(binding_of, 0xff, sizeof binding_of);
    memset(is_image, 0, sizeof is_image);
    memset(points_to_image, 0, sizeof points_to_image);
    for (int i = 0; i < MAX_BINDINGS; ++i) m->bindings[i] = VK_DESCRIPTOR_TYPE_MAX_ENUM;
    for (size_t i = 5; i < m->num_words;) {
        const uint32_t *w = m->words + i;
        uint32_t length = w[0] >> 16;
        if (!length || i + length > m->num_words) return;
        switch (w[0] & 0xffffu) {
        case OP_DECORATE:
            if (w[2] == DECORATION_BINDING) binding_of[w[1] % MAX_IDS] = (uint8_t)w[3];
            break;
        case OP_TYPE_IMAGE: is_image[w[1] % MAX_IDS] = 1; break;
        case OP_TYPE_POINTER: points_to_image[w[1] % MAX_IDS] = is_image[w[3] % MAX_IDS]; break;
        case OP_VARIABLE:
            if (binding_of[w[2] % MAX_IDS] < MAX_BINDINGS)
                m->bindings[binding_of[w[2] % MAX_IDS]] =
                    points_to_image[w[1] % MAX_IDS] ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                    : w[3] == 2                     ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
                                                    : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            break;
        }
        i += length;
    }
}

static bool create_layout(const driver *d, const module *m, VkDescriptorSetLayout *out_set,
                          VkPipelineLayout *out_layout) {
    VkDescriptorSetLayoutBinding bindings[MAX_BINDINGS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < MAX_BINDINGS; ++i)
        if (m->bindings[i] != VK_DESCRIPTOR_TYPE_MAX_ENUM)
            bindings[count++] =
                (VkDescriptorSetLayoutBinding){.binding = i,
                                               .descriptorType = m->bindings[i],
                                               .descriptorCount = 1,
                                               .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings};
    if (d->CreateDescriptorSetLayout(d->device, &set, NULL, out_set)) return false;
    const VkPushConstantRange constants = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4};
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = out_set,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &constants};
    return !d->CreatePipelineLayout(d->device, &layout, NULL, out_layout);
}

static uint64_t find_statistic(const VkPipelineExecutableStatisticKHR *statistics, uint32_t count,
                               const char *name) {
    for (uint32_t i = 0; i < count; ++i)
        if (!strcmp(statistics[i].name, name)) return statistics[i].value.u64;
    return 0;
}

// Prints the line of one pipeline; returns false if it has a fault.
static bool print_pipeline(const driver *d, VkPipeline pipeline, const char *path,
                           const limits *l) {
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutableStatisticKHR statistics[64];
    for (int i = 0; i < 64; ++i)
        statistics[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    uint32_t count = 64;
    if (d->GetPipelineExecutableStatisticsKHR(d->device, &info, &count, statistics) < 0 || !count)
        return false;
#define GET(name) (unsigned)find_statistic(statistics, count, name)
    unsigned spills = GET("Spilled VGPRs") + GET("Spilled SGPRs");
    unsigned scratch = GET("Scratch size");
    unsigned subgroups = GET("Subgroups per SIMD");
    bool fault = subgroups < l->subgroups || spills || scratch;
    const char *chip = getenv("RADV_FORCE_FAMILY");
    const char *name = strrchr(path, '/');
    printf("%-10s %-36s %#6x %5u %5u %6u %7u %6u %9u %6u%s\n", chip ? chip : "?",
           name ? name + 1 : path, l->value, GET("VGPRs"), GET("SGPRs"), spills, scratch,
           GET("LDS size"), subgroups, GET("Instructions"), fault ? "  FAULT" : "");
#undef GET
    return !fault;
}

static int compile(const driver *d, const char *path, const limits *l) {
    module m = {0};
    if (!read_module(path, &m)) return free(m.words), fail("cannot read", path);
    find_bindings(&m);
    int status = 3;
    VkShaderModule shader = VK_NULL_HANDLE;
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkShaderModuleCreateInfo shader_info = {.sType =
                                                      VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                                  .codeSize = m.num_words * 4,
                                                  .pCode = m.words};
    const VkSpecializationMapEntry entry = {0, 0, 4};
    const VkSpecializationInfo specialisation = {1, &entry, 4, &l->value};
    if (d->CreateShaderModule(d->device, &shader_info, NULL, &shader) ||
        !create_layout(d, &m, &set, &layout))
        goto end;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
        .layout = layout,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = shader,
                  .pName = "main",
                  .pSpecializationInfo = &specialisation}};
    if (d->CreateComputePipelines(d->device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline)) goto end;
    status = print_pipeline(d, pipeline, path, l) ? 0 : 1;
end:
    if (status == 3) fail("cannot compile", path);
    d->DestroyPipeline(d->device, pipeline, NULL);
    d->DestroyPipelineLayout(d->device, layout, NULL);
    d->DestroyDescriptorSetLayout(d->device, set, NULL);
    d->DestroyShaderModule(d->device, shader, NULL);
    free(m.words);
    return status;
}

int main(int argc, char **argv) {
    driver d = {0};
    limits l = {0};
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; ++first) {
        if (!strcmp(argv[first], "-s") && first + 1 < argc)
            l.value = (uint32_t)strtoul(argv[++first], NULL, 0);
        else if (!strcmp(argv[first], "-w") && first + 1 < argc)
            l.subgroups = (unsigned)strtoul(argv[++first], NULL, 0);
        else
            return fprintf(stderr, "usage: radv [-s VALUE] [-w COUNT] FILE.spv ...\n"), 2;
    }
    if (!load_instance(&d) || !load_device(&d))
        return fail("no driver", "is RADV_FORCE_FAMILY set?");
    int worst = 0;
    for (int i = first; i < argc; ++i) {
        int status = compile(&d, argv[i], &l);
        if (status > worst) worst = status;
    }
    d.DestroyDevice(d.device, NULL);
    d.DestroyInstance(d.instance, NULL);
    return worst;
}
