// An engine with a Vulkan device of its own, loaded through volk: one buffer for all tensors, one
// command buffer, one queue.
//
// Every function fails the test if something does not succeed.

#ifndef TESTS_EMBED_VULKAN_ENGINE_H
#define TESTS_EMBED_VULKAN_ENGINE_H

#include <volk.h>

#include <ikat/vulkan.h>

#include "guest.h"
#include "recorder.h"

enum { MAX_DEVICES = 8 };

// What all tests of a program share: a cmocka group's state.
//
// num_devices  0 on a machine without Vulkan
typedef struct machine {
    ikat_context *context;
    recorder messages;
    VkInstance instance;
    VkPhysicalDevice devices[MAX_DEVICES];
    uint32_t num_devices;
} machine;

int machine_create(void **state);
int machine_destroy(void **state);

// mapped  all of the buffer: the inputs as guest_fill draws them, elsewhere NaN; `offsets` says
//         where each tensor is
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
    uint64_t offsets[NUM_TENSORS];
    ikat_vulkan_support support;
} engine;

// Makes an engine on device `index`.
//
// more_usage  of the buffer, besides storage
void engine_create(const machine *m, uint32_t index, VkBufferUsageFlags more_usage,
                   engine *out_engine);
void engine_destroy(engine *e);

// What a host says of itself that has no queue to spare.
ikat_vulkan_adopt_params engine_params(const machine *m, const engine *e);

// Functions of a test's own, which engine_find_function gives in place of Vulkan's; the last one's
// name is NULL.
typedef struct engine_replacement {
    const char *name;
    PFN_vkVoidFunction function;
} engine_replacement;

extern const engine_replacement *engine_replacements;

// For ikat_vulkan_adopt_params.get_instance_proc_addr.
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL engine_find_function(VkInstance instance,
                                                              const char *name);

// Adopts the engine's device and prepares attention over its buffer.
void engine_invite(const machine *m, const engine *e, const ikat_vulkan_adopt_params *params,
                   guest *out_guest);

// One frame: the engine's own commands, slices [first, first + num), then its own again.
void engine_run_frame(const engine *e, const guest *g, uint32_t first, uint32_t num);

// Checks what the last frame left in `out`.
void engine_check(const engine *e);

#endif
