// Vulkan hosts: adopt the host's device, wrap its buffers, record plans into its command buffers.
//
// A renderer that has a VkDevice keeps it. It adopts the device (with a queue, or without: then
// this library never submits), wraps the buffers that hold its tensors, makes plans and bindings as
// usual, and records a plan's slices between its own commands. The library is not linked to a
// Vulkan loader: every function comes through the host's vkGetInstanceProcAddr.
//
//   ikat_vulkan_requirements -> vkCreateDevice (the host's) -> ikat_vulkan_adopt
//     -> ikat_vulkan_wrap_buffer -> ikat_plan_create -> ikat_bindings_create
//     -> ikat_vulkan_record, every frame

#ifndef IKAT_VULKAN_H
#define IKAT_VULKAN_H

#include <ikat/plan.h>

#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif

// Features of a device beyond Vulkan 1.1. None is required. Today's kernels use the last; the others
// are for kernels to come: halves and bytes are unpacked from 32-bit words until then.
//
// subgroup_size_control  subgroupSizeControl and computeFullSubgroups, both
typedef struct ikat_vulkan_features {
    bool storage_16bit;         // storageBuffer16BitAccess
    bool storage_8bit;          // storageBuffer8BitAccess
    bool float16_arithmetic;    // shaderFloat16
    bool subgroup_size_control; // of Vulkan 1.3 or VK_EXT_subgroup_size_control
} ikat_vulkan_features;

// What a physical device has of all that would help. Nothing in it is mandatory for this library.
//
// features    those it can enable
// extensions  what it must enable for that, less what is core in the given Vulkan version (and
//             VK_KHR_portability_subset where the device has it: Vulkan demands that). Literals
typedef struct ikat_vulkan_support {
    ikat_vulkan_features features;
    const char *extensions[8];
    uint32_t num_extensions;
} ikat_vulkan_support;

// Tells what would help, before the host creates its device.
//
// api_version  as in the VkApplicationInfo of the instance, at least VK_API_VERSION_1_1; 0: that
//
// IKAT_UNSUPPORTED if the instance or the device has Vulkan 1.0 only, or no compute queue.
//
// Thread-safety: may be called from any thread.
IKAT_API ikat_status ikat_vulkan_requirements(ikat_context *context,
                                              PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                              VkInstance instance, uint32_t api_version,
                                              VkPhysicalDevice physical_device,
                                              ikat_vulkan_support *out_support);

// The host's device. A zeroed structure with the first four set adopts it without a queue and
// without any feature.
//
// features       those the host enabled; naming one that it did not is undefined behaviour
// queue          VK_NULL_HANDLE: the library never submits. ikat_plan_run and ikat_plan_submit
//                return IKAT_UNSUPPORTED; ikat_buffer_write and _read work on buffers of the
//                library's that the host can map, and copy at once
// queue_family   of `queue`; must have compute. What ikat_plan_submit writes is available to the host
//                once it is waited for, and to later plans; a shader of the host's own on that queue
//                needs a barrier first, from COMPUTE_SHADER and SHADER_WRITE
// lock, unlock   called around every vkQueueSubmit to `queue`, for a queue that other threads use
//                too; both or none. Whoever holds that lock must not call the library
// texel_buffers  every buffer that will be wrapped has VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT:
//                faster kernels on some devices. Without it limits.max_texel_elements is 0
// debug_utils    the instance has VK_EXT_debug_utils: objects and dispatches get names
// runtime_compiler  plans may compile kernels from text (expressions of `custom`) with libshaderc, where
//                this machine has it: faster there. False: it is not even looked for
// cache          bytes from ikat_vulkan_cache_get of an earlier run; ignored (with a warning) if
//                they are damaged or of another device or driver. Copied. NULL: none, or the
//                context's cache_dir
// limits         NULL: the device's own; else each field lowers the device's
typedef struct ikat_vulkan_adopt_params {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    uint32_t api_version; // as for ikat_vulkan_requirements
    ikat_vulkan_features features;
    VkQueue queue;
    uint32_t queue_family;
    void (*lock)(void *user);
    void (*unlock)(void *user);
    void *lock_user;
    bool texel_buffers;
    bool debug_utils;
    bool runtime_compiler;
    const void *cache;
    size_t cache_bytes;
    const ikat_device_limits *limits;
} ikat_vulkan_adopt_params;

// Makes a device around the host's. The host's objects stay the host's and outlive it;
// ikat_device_destroy waits for the library's own submissions and destroys the library's own
// objects.
//
// out_device  NULL on failure; destroy it before `context` and before the VkDevice
//
// IKAT_UNSUPPORTED as ikat_vulkan_requirements; IKAT_INVALID if a handle is missing.
IKAT_API ikat_status ikat_vulkan_adopt(ikat_context *context,
                                       const ikat_vulkan_adopt_params *params,
                                       ikat_device **out_device);

// Makes a buffer around a range of the host's, bound to memory already. Usage must include
// VK_BUFFER_USAGE_STORAGE_BUFFER_BIT (and the texel one, see above; TRANSFER_SRC and TRANSFER_DST
// for ikat_buffer_read and _write). Sharing mode exclusive: the queue family that runs the plan
// owns it.
//
// offset_bytes  a multiple of the device's storage_alignment_bytes and, with texel_buffers,
//               texel_alignment_bytes
// size_bytes    a multiple of 4: kernels read halves and bytes as 32-bit words
// out_buffer    NULL on failure; destroy it before the VkBuffer, which stays the host's
//
// IKAT_INVALID for a misaligned or empty range, or a device that is not of this backend.
IKAT_API ikat_status ikat_vulkan_wrap_buffer(ikat_device *device, VkBuffer buffer,
                                             uint64_t offset_bytes, uint64_t size_bytes,
                                             ikat_buffer **out_buffer);

// Records one slice of a plan into a command buffer in the recording state, outside a render pass,
// of a queue family with compute. Allocates nothing, compiles nothing, waits for nothing. Slices go
// in order 0, 1, ..., into one or several command buffers submitted in that order to one queue; all
// of them once make one run.
//
// It works in VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT alone: reads inputs (VK_ACCESS_SHADER_READ_BIT),
// writes outputs and workspace (SHADER_READ and SHADER_WRITE), reads small blocks of parameters
// that the library wrote through mapped memory. Barriers between launches and between slices are in
// what it records. The host's own are: before the first slice, from whatever wrote the inputs, or
// read the outputs, or used the same workspace, to that stage; after the last, from that stage and
// SHADER_WRITE to whatever reads the outputs. It leaves a pipeline, a descriptor set 0 and push
// constants bound at the compute bind point.
//
// bindings  until the commands have executed neither run by another command buffer nor destroyed
//
// IKAT_INVALID past the last slice, or if the bindings are of another plan or backend.
//
// Thread-safety: may be called from any thread, with different command buffers and bindings.
IKAT_API ikat_status ikat_vulkan_record(const ikat_plan *plan, uint32_t slice,
                                        VkCommandBuffer commands, ikat_bindings *bindings);

// Tells how many bytes the compiled pipelines of a device take now. More plans make more.
IKAT_API ikat_status ikat_vulkan_cache_size(ikat_device *device, size_t *out_size_bytes);

// Writes the compiled pipelines of a device, for ikat_vulkan_adopt_params.cache of a later run.
// They carry a checksum.
//
// size_bytes      room at `data`
// out_size_bytes  bytes written
//
// IKAT_INVALID if the room is too small.
IKAT_API ikat_status ikat_vulkan_cache_get(ikat_device *device, void *data, size_t size_bytes,
                                           size_t *out_size_bytes);

#ifdef __cplusplus
}
#endif

#endif
