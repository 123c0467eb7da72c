// What the files of this backend share.
//
//   driver.c    the loader, the instance, the list of physical devices
//   physical.c  what one physical device can do
//   device.c    the port: a VkDevice, its function table, status and loss; the backend's table
//   memory.c    VkBuffers bound to memory of a fitting type
//   buffer.c    buffers of the core: reading and writing, through mapped memory or staging
//   compiler.c  GLSL to SPIR-V when a plan is made, where there is a compiler
//   program.c   pipelines
//   cache.c     the pipeline cache, in memory and on disk
//   sequence.c  descriptor sets and the recording of launches
//   queue.c     one in-order queue: submission, tickets, waiting, time
//   adopt.c     ikat/vulkan.h

#ifndef VK_H
#define VK_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include "../../src/platform.h"
#include "../backend.h"

#include <ikat/vulkan.h>

extern const ikati_backend ikati_backend_vulkan;

typedef struct vk_instance_table {
#define INSTANCE(name) PFN_vk##name name;
#define DEBUG(name) PFN_vk##name name;
#include "functions.inc"
} vk_instance_table;

typedef struct vk_device_table {
#define DEVICE(name) PFN_vk##name name;
#include "functions.inc"
} vk_device_table;

// A physical device. `info` is complete but for `id` and `backend`.
typedef struct vk_physical {
    VkPhysicalDevice handle;
    uint32_t api_version; // the lower of the instance's and its own
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t queue_family;
    uint32_t timestamp_bits; // of that family
    ikat_vulkan_support support;
    bool portability_subset;
    uint32_t min_subgroup_size; // what a pipeline may ask for, with subgroup_size_control
    uint32_t max_subgroup_size;
    ikat_device_info info;
} vk_physical;

typedef struct vk_compiler vk_compiler;

struct ikati_driver {
    const ikati_host *host;
    vk_compiler *compiler; // NULL: this machine has none, or a host wants none
    void *library;         // NULL: the instance is the host's
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    VkInstance instance;
    uint32_t api_version;
    bool debug_utils;
    vk_instance_table vk;
    vk_physical *devices;
    uint32_t num_devices;
};

// A VkBuffer with memory of its own.
typedef struct vk_block {
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkMemoryPropertyFlags flags;
    uint64_t size_bytes;
    uint8_t *mapped; // NULL unless host visible and coherent
} vk_block;

typedef enum vk_placement {
    PLACE_DEVICE,  // tensors: device local; mapped too where host and device share memory
    PLACE_SHARED,  // written by the host once, read by kernels
    PLACE_STAGING, // read and written by the host often
} vk_placement;

enum { NUM_SLOTS = 32, NUM_TIMES = 64, PARAMS_BINDING = 15 };

// What a submission's time counts to, beside the first ticket of a run that it continues.
#define RUN_NONE UINT64_C(0)
#define RUN_NEW UINT64_MAX

// A command buffer, its fence and its two timestamps. Free when neither pending nor waited for.
typedef struct vk_slot {
    VkCommandBuffer commands;
    VkFence fence;
    ikat_ticket ticket; // last submission; 0: none yet
    bool pending;       // not seen complete
    ikat_ticket run;    // whose time its own counts to; 0: not timed
    uint32_t waiters;   // threads in vkWaitForFences
    uint64_t submit_ns;
} vk_slot;

// A run is what the core submits at once: one submission a slice, so that no watchdog fires.
typedef struct vk_time {
    ikat_ticket run;    // its first ticket
    ikat_ticket ticket; // its last complete one
    uint64_t time_ns;   // sum over its submissions
} vk_time;

// `mutex` guards all of it, recording into the slots' command buffers, and the VkQueue.
typedef struct vk_queue {
    ikati_mutex mutex;
    VkQueue handle; // VK_NULL_HANDLE: adopted without one
    VkCommandPool pool;
    VkQueryPool queries; // VK_NULL_HANDLE: no timestamps
    vk_slot slots[NUM_SLOTS];
    ikat_ticket last;      // submitted
    ikat_ticket completed; // all up to it
    vk_time times[NUM_TIMES];
    uint32_t next_time;
    void (*lock)(void *user);
    void (*unlock)(void *user);
    void *lock_user;
} vk_queue;

// Two halves, so that one is copied by the host while the device works on the other. `mutex` guards
// it.
typedef struct vk_staging {
    ikati_mutex mutex;
    vk_block block; // made when first needed
    ikat_ticket tickets[2];
} vk_staging;

struct ikati_port {
    const ikati_host *host;
    ikati_driver *driver;
    bool adopted;       // VkDevice and VkQueue are the host's, `driver` is the port's
    bool texel_buffers; // wrapped buffers may be read as texels
    vk_physical physical;
    ikat_device_limits limits;
    ikat_vulkan_features features; // enabled
    VkDevice device;
    vk_device_table vk;
    bool loaded; // vk is complete
    vk_queue queue;
    vk_staging staging;
    vk_block dummy; // for bindings that a kernel does not touch
    VkBufferView dummy_view;
    VkPipelineCache cache;
    size_t cache_loaded_bytes;
    ikati_mutex state_mutex; // guards what follows
    bool lost;
    ikat_device_statistics statistics;
};

struct ikati_memory {
    vk_block block; // wrapped: block.memory is VK_NULL_HANDLE
    uint64_t base;  // offset of its first byte in block.buffer
    uint64_t size_bytes;
    bool texel;             // may be read as a uniform texel buffer
    ikat_ticket last_write; // of a staged copy into it; guarded by the staging mutex
};

struct ikati_program {
    const ikati_kernel *kernel;
    const ikati_variant *variant;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
};

// driver.c
ikat_status vk_driver_open(const ikati_host *host, ikati_driver **out_driver);
// Around a host's instance; lists one device.
// compiler: open one, if there is one.
ikat_status vk_driver_adopt(const ikati_host *host,
                            PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                            uint32_t api_version, bool debug_utils, bool compiler,
                            VkPhysicalDevice physical_device, ikati_driver **out_driver);
void vk_driver_close(ikati_driver *driver);
uint32_t vk_driver_num_devices(const ikati_driver *driver);
void vk_driver_describe(const ikati_driver *driver, uint32_t index, ikat_device_info *out_info);

// physical.c
// IKAT_UNSUPPORTED (not logged) if the device cannot be used; *out_reason says why.
ikat_status vk_physical_query(const ikati_driver *driver, VkPhysicalDevice handle,
                              vk_physical *out_physical, const char **out_reason);

// device.c
ikat_status vk_port_open(ikati_driver *driver, uint32_t index, const ikat_device_limits *limits,
                         ikati_port **out_port);
// `driver` becomes the port's on success; its device's info has the limits as lowered.
ikat_status vk_port_adopt(ikati_driver *driver, const ikat_vulkan_adopt_params *params,
                          ikati_port **out_port);
void vk_port_close(ikati_port *port);
bool vk_port_lost(ikati_port *port);
// Logs a failing result and turns it into a status; latches a lost device.
ikat_status vk_fail(ikati_port *port, VkResult result, const char *what);
void vk_name_object(const ikati_port *port, VkObjectType type, uint64_t object, const char *name);
void vk_count_dispatches(ikati_port *port, uint64_t num);
void vk_count_compiled(ikati_port *port, uint64_t time_ns);
void vk_count_bytes(ikati_port *port, uint64_t added, uint64_t removed);
void vk_port_statistics(ikati_port *port, ikat_device_statistics *out_statistics);

// memory.c
ikat_status vk_block_create(ikati_port *port, uint64_t size_bytes, VkBufferUsageFlags usage,
                            vk_placement placement, vk_block *out_block);
void vk_block_destroy(ikati_port *port, vk_block *block);

// buffer.c
ikat_status vk_memory_create(ikati_port *port, uint64_t size_bytes, ikati_memory **out_memory);
ikat_status vk_memory_wrap(ikati_port *port, VkBuffer buffer, uint64_t offset_bytes,
                           uint64_t size_bytes, ikati_memory **out_memory);
void vk_memory_destroy(ikati_port *port, ikati_memory *memory);
ikat_status vk_memory_write(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                            const void *data, uint64_t size_bytes);
ikat_status vk_memory_read(ikati_port *port, ikati_memory *memory, uint64_t offset_bytes,
                           void *data, uint64_t size_bytes);

// cache.c
// Makes the pipeline cache from a host's bytes, else from disk, else empty.
ikat_status vk_cache_open(ikati_port *port, const void *blob, size_t size_bytes);
// Stores what was compiled since, and destroys the cache.
void vk_cache_close(ikati_port *port);
// The bytes a host keeps: Vulkan's with a checksum in front. data NULL: only the size.
ikat_status vk_cache_export(ikati_port *port, void *data, size_t *inout_size);

// compiler.c
// SPIR-V; the words are the caller's to free.
typedef struct vk_words {
    uint32_t *words;
    size_t size_bytes;
} vk_words;

// NULL (logged) if this machine has none. Thread-safety: may be shared by threads.
vk_compiler *vk_compiler_open(const ikati_host *host);
void vk_compiler_close(const ikati_host *host, vk_compiler *compiler);
// Compiles a variant with IKATI_NEED_COMPILER, or loads what an earlier context made of it. IKAT_COMPILE
// (logged) if the text is wrong.
ikat_status vk_compiler_run(ikati_port *port, const ikati_program_params *params,
                            vk_words *out_words);

// program.c
ikat_status vk_program_create(ikati_port *port, const ikati_program_params *params,
                              ikati_program **out_program);
void vk_program_destroy(ikati_port *port, ikati_program *program);

// sequence.c
ikat_status vk_sequence_create(ikati_port *port, const ikati_sequence_params *params,
                               ikati_sequence **out_sequence);
void vk_sequence_destroy(ikati_port *port, ikati_sequence *sequence);
ikati_port *vk_sequence_port(const ikati_sequence *sequence);
// Records launches [first, first + num). The barrier before the first of them is the caller's.
void vk_sequence_record(ikati_port *port, const ikati_sequence *sequence, uint32_t first,
                        uint32_t num, VkCommandBuffer commands);
// Makes writes of earlier dispatches visible to later ones.
void vk_barrier_compute(const ikati_port *port, VkCommandBuffer commands);
ikat_status vk_sequence_submit(ikati_port *port, ikati_sequence *sequence, uint32_t first,
                               uint32_t num, ikat_ticket *out_ticket);

// queue.c
typedef void (*vk_record_fn)(ikati_port *port, VkCommandBuffer commands, const void *user);

ikat_status vk_queue_open(ikati_port *port);
// Waits for every submission unless the device is lost.
void vk_queue_close(ikati_port *port);
// Submits what `record` records, after all earlier submissions.
//
// run         what its device time counts to (vk_queue_time): RUN_NONE, RUN_NEW, or a run's first
//             ticket
// out_ticket  untouched on failure
ikat_status vk_queue_submit(ikati_port *port, vk_record_fn record, const void *user,
                            ikat_ticket run, ikat_ticket *out_ticket);
// Ticket 0 is complete.
ikat_status vk_queue_wait(ikati_port *port, ikat_ticket ticket, uint64_t timeout_ns,
                          bool *out_complete);
ikat_status vk_queue_wait_idle(ikati_port *port);
ikat_status vk_queue_time(ikati_port *port, ikat_ticket ticket, uint64_t *out_time_ns);

#endif
