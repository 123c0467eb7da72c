// Ikat: efficient-transformer attention on any GPU.
//
// How a call travels. A context holds the allocator and the log. A device is opened by name
// ("vulkan:0", "opencl:0", "cpu") and holds a queue and a cache of compiled programs. A plan takes
// the name of a mechanism ("dense"), settings by name ("causal"), and the shape, type and strides
// of each tensor; it checks them, lowers the mechanism to kernel launches ("steps"), picks for each
// the best variant that the device can run, compiles it unless the device has it already, places
// intermediate results in one workspace, and cuts long launches into slices, none of which keeps a
// device busy for long. Bindings tie the plan's tensors to buffers. Running the plan submits its
// slices to the device's queue in order.
//
//   ikat_context_create -> ikat_device_open -> ikat_plan_create -> ikat_buffer_create (one a
//   tensor)
//     -> ikat_bindings_create -> ikat_plan_run (or ikat_plan_submit, ikat_device_wait) ->
//     ikat_buffer_read
//
// Or, for one run over arrays in host memory, ikat_plan_run_arrays after ikat_plan_create.
//
// Plans and bindings are immutable and reusable: make them once, run them every frame. A host with
// a Vulkan or OpenCL device of its own adopts it (vulkan.h, opencl.h), wraps its buffers and
// records a plan's slices into its own command buffer or queue.
//
// Every failing call returns a status and logs, once, one line that names the argument and what was
// expected.

#ifndef IKAT_H
#define IKAT_H

#include <ikat/buffer.h>
#include <ikat/context.h>
#include <ikat/device.h>
#include <ikat/mechanism.h>
#include <ikat/plan.h>
#include <ikat/types.h>

#endif
