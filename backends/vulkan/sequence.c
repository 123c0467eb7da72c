// Sequences: dispatches with their descriptor sets, views and parameter blocks made once, and the
// recording of launches, which only reads them.

#include "vk.h"

#include <assert.h>
#include <string.h>

typedef struct vk_dispatch {
    VkPipeline pipeline;
    VkPipelineLayout layout;
    VkDescriptorSet set;
    char *name; // NULL without debug labels
} vk_dispatch;

struct ikati_sequence {
    ikati_port *port;
    VkDescriptorPool pool;
    vk_block params; // every dispatch's block, params_stride bytes apart
    uint64_t params_stride;
    VkBufferView *views;
    uint32_t num_views;
    vk_dispatch *dispatches;
    uint32_t num_dispatches;
    ikati_launch *launches;
    uint32_t num_launches;
    ikat_ticket last_ticket;
};

static bool is_texel(const ikati_program *program, uint32_t binding) {
    return program->variant->texel_bindings & (UINT32_C(1) << binding);
}

static ikat_status create_pool(ikati_port *port, const ikati_sequence_params *params,
                               ikati_sequence *sequence) {
    uint32_t num_storage = 0;
    uint32_t num_texel = 0;
    for (uint32_t i = 0; i < params->num_dispatches; i++) {
        const ikati_program *program = params->dispatches[i].program;
        for (uint32_t b = 0; b < program->kernel->num_bindings; b++) {
            *(is_texel(program, b) ? &num_texel : &num_storage) += 1;
        }
    }
    VkDescriptorPoolSize sizes[3] = {{VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, params->num_dispatches}};
    uint32_t num_sizes = 1;
    if (num_storage > 0) {
        sizes[num_sizes++] = (VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, num_storage};
    }
    if (num_texel > 0) {
        sizes[num_sizes++] =
            (VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, num_texel};
    }
    const VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = params->num_dispatches,
        .poolSizeCount = num_sizes,
        .pPoolSizes = sizes,
    };
    VkResult result = port->vk.CreateDescriptorPool(port->device, &info, NULL, &sequence->pool);
    if (result != VK_SUCCESS) {
        sequence->pool = VK_NULL_HANDLE;
        return vk_fail(port, result, "vkCreateDescriptorPool");
    }
    sequence->views = ikati_alloc(port->host, num_texel, sizeof(VkBufferView));
    return sequence->views ? IKAT_OK : IKAT_NO_MEMORY;
}

// One block a dispatch, all in one buffer that the host has mapped.
static ikat_status create_params(ikati_port *port, const ikati_sequence_params *params,
                                 ikati_sequence *sequence) {
    uint64_t alignment = port->physical.properties.limits.minUniformBufferOffsetAlignment;
    sequence->params_stride = ikati_round_up(IKATI_MAX_PARAMS_BYTES, alignment > 0 ? alignment : 1);
    ikat_status status =
        vk_block_create(port, sequence->params_stride * params->num_dispatches,
                        VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT, PLACE_SHARED, &sequence->params);
    for (uint32_t i = 0; status == IKAT_OK && i < params->num_dispatches; i++) {
        memcpy(sequence->params.mapped + i * sequence->params_stride, params->dispatches[i].params,
               IKATI_MAX_PARAMS_BYTES);
    }
    return status;
}

// The bytes to bind from `memory`: `size` rounded up to whole words or texels as far as the buffer
// goes.
static uint64_t bound_bytes(const ikati_memory *memory, const ikati_range *range, uint64_t unit) {
    uint64_t room = memory->block.size_bytes - memory->base - range->offset_bytes;
    uint64_t size = ikati_round_up(range->size_bytes > 0 ? range->size_bytes : 1, unit);
    return size <= room ? size : room / unit * unit;
}

static bool same_range(const ikati_range *a, const ikati_range *b) {
    return a->memory == b->memory && a->offset_bytes == b->offset_bytes &&
           a->size_bytes == b->size_bytes && a->dtype == b->dtype;
}

static ikat_status create_view(ikati_port *port, const ikati_range *range, ikati_sequence *sequence,
                               VkBufferView *out_view) {
    const ikati_memory *memory = range->memory;
    if (!memory->texel) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "vulkan: a wrapped buffer is to be read as texels, but texel_buffers was "
                          "not set when its "
                          "device was adopted");
    }
    bool half = range->dtype == IKAT_FLOAT16;
    assert(half || range->dtype == IKAT_FLOAT32);
    const VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = memory->block.buffer,
        .format = half ? VK_FORMAT_R16G16B16A16_SFLOAT : VK_FORMAT_R32G32B32A32_SFLOAT,
        .offset = memory->base + range->offset_bytes,
        .range = bound_bytes(memory, range, half ? 8 : 16),
    };
    VkResult result = port->vk.CreateBufferView(port->device, &info, NULL, out_view);
    if (result != VK_SUCCESS) {
        return vk_fail(port, result, "vkCreateBufferView");
    }
    sequence->views[sequence->num_views++] = *out_view;
    return IKAT_OK;
}

// Everything that vkUpdateDescriptorSets reads for one dispatch, and the views of the dispatch
// before.
typedef struct set_writer {
    VkWriteDescriptorSet writes[IKATI_MAX_BINDINGS + 1];
    VkDescriptorBufferInfo buffers[IKATI_MAX_BINDINGS + 1];
    VkBufferView views[IKATI_MAX_BINDINGS];
    const ikati_range *viewed[IKATI_MAX_BINDINGS];
} set_writer;

static ikat_status write_binding(ikati_port *port, const ikati_dispatch *dispatch, uint32_t b,
                                 ikati_sequence *sequence, set_writer *writer) {
    const ikati_range *range = &dispatch->ranges[b];
    VkWriteDescriptorSet *write = &writer->writes[b];
    if (!is_texel(dispatch->program, b)) {
        write->descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        write->pBufferInfo = &writer->buffers[b];
        // One half for reading, one for writing: nothing then looks like a hazard.
        uint64_t half = port->dummy.size_bytes / 2;
        bool written = dispatch->program->kernel->binding_access[b] & IKATI_WRITE;
        writer->buffers[b] = (VkDescriptorBufferInfo){port->dummy.buffer, written ? half : 0, half};
        if (range->memory) {
            writer->buffers[b] = (VkDescriptorBufferInfo){range->memory->block.buffer,
                                                          range->memory->base + range->offset_bytes,
                                                          bound_bytes(range->memory, range, 4)};
        }
        return IKAT_OK;
    }
    write->descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    write->pTexelBufferView = &writer->views[b];
    if (!range->memory) {
        writer->views[b] = port->dummy_view;
        writer->viewed[b] = NULL;
        return IKAT_OK;
    }
    // Heads often share keys and values with the dispatch before.
    if (writer->viewed[b] && same_range(writer->viewed[b], range)) {
        return IKAT_OK;
    }
    writer->viewed[b] = range;
    return create_view(port, range, sequence, &writer->views[b]);
}

static ikat_status write_set(ikati_port *port, const ikati_dispatch *dispatch, uint32_t index,
                             ikati_sequence *sequence, set_writer *writer) {
    const ikati_kernel *kernel = dispatch->program->kernel;
    for (uint32_t b = 0; b <= kernel->num_bindings; b++) {
        writer->writes[b] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = sequence->dispatches[index].set,
            .dstBinding = b,
            .descriptorCount = 1,
        };
        if (b < kernel->num_bindings) {
            ikat_status status = write_binding(port, dispatch, b, sequence, writer);
            if (status != IKAT_OK) {
                return status;
            }
        }
    }
    VkWriteDescriptorSet *block = &writer->writes[kernel->num_bindings];
    writer->buffers[IKATI_MAX_BINDINGS] =
        (VkDescriptorBufferInfo){sequence->params.buffer, index * sequence->params_stride,
                                 ikati_round_up(kernel->params_bytes, 16)};
    block->dstBinding = PARAMS_BINDING;
    block->descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
    block->pBufferInfo = &writer->buffers[IKATI_MAX_BINDINGS];
    port->vk.UpdateDescriptorSets(port->device, kernel->num_bindings + 1, writer->writes, 0, NULL);
    return IKAT_OK;
}

static ikat_status create_sets(ikati_port *port, const ikati_sequence_params *params,
                               ikati_sequence *sequence) {
    set_writer writer = {0};
    for (uint32_t i = 0; i < params->num_dispatches; i++) {
        const ikati_dispatch *from = &params->dispatches[i];
        vk_dispatch *dispatch = &sequence->dispatches[i];
        dispatch->pipeline = from->program->pipeline;
        dispatch->layout = from->program->layout;
        if (port->driver->debug_utils && from->name &&
            !(dispatch->name = ikati_copy_text(port->host, from->name))) {
            return IKAT_NO_MEMORY;
        }
        const VkDescriptorSetAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = sequence->pool,
            .descriptorSetCount = 1,
            .pSetLayouts = &from->program->set_layout,
        };
        VkResult result = port->vk.AllocateDescriptorSets(port->device, &info, &dispatch->set);
        if (result != VK_SUCCESS) {
            return vk_fail(port, result, "vkAllocateDescriptorSets");
        }
        ikat_status status = write_set(port, from, i, sequence, &writer);
        if (status != IKAT_OK) {
            return status;
        }
    }
    return IKAT_OK;
}

static ikat_status fill(ikati_port *port, const ikati_sequence_params *params,
                        ikati_sequence *sequence) {
    sequence->dispatches = ikati_alloc(port->host, params->num_dispatches, sizeof(vk_dispatch));
    sequence->launches = ikati_alloc(port->host, params->num_launches, sizeof(ikati_launch));
    if (!sequence->dispatches || !sequence->launches) {
        return IKAT_NO_MEMORY;
    }
    sequence->num_dispatches = params->num_dispatches;
    sequence->num_launches = params->num_launches;
    if (params->num_launches > 0) {
        memcpy(sequence->launches, params->launches, params->num_launches * sizeof(ikati_launch));
    }
    if (params->num_dispatches == 0) {
        return IKAT_OK;
    }
    ikat_status status = create_pool(port, params, sequence);
    if (status == IKAT_OK) {
        status = create_params(port, params, sequence);
    }
    return status == IKAT_OK ? create_sets(port, params, sequence) : status;
}

ikat_status vk_sequence_create(ikati_port *port, const ikati_sequence_params *params,
                               ikati_sequence **out_sequence) {
    *out_sequence = NULL;
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    ikati_sequence *sequence = ikati_alloc(port->host, 1, sizeof(*sequence));
    if (!sequence) {
        return IKAT_NO_MEMORY;
    }
    sequence->port = port;
    ikat_status status = fill(port, params, sequence);
    if (status != IKAT_OK) {
        vk_sequence_destroy(port, sequence);
        return status;
    }
    *out_sequence = sequence;
    return IKAT_OK;
}

void vk_sequence_destroy(ikati_port *port, ikati_sequence *sequence) {
    if (!sequence) {
        return;
    }
    (void)vk_queue_wait(port, sequence->last_ticket, UINT64_MAX, NULL);
    port->vk.DestroyDescriptorPool(port->device, sequence->pool, NULL);
    for (uint32_t i = 0; i < sequence->num_views; i++) {
        port->vk.DestroyBufferView(port->device, sequence->views[i], NULL);
    }
    vk_block_destroy(port, &sequence->params);
    for (uint32_t i = 0; i < sequence->num_dispatches; i++) {
        ikati_free(port->host, sequence->dispatches[i].name);
    }
    ikati_free(port->host, sequence->dispatches);
    ikati_free(port->host, sequence->launches);
    ikati_free(port->host, sequence->views);
    ikati_free(port->host, sequence);
}

ikati_port *vk_sequence_port(const ikati_sequence *sequence) { return sequence->port; }

void vk_barrier_compute(const ikati_port *port, VkCommandBuffer commands) {
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
    };
    port->vk.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0,
                                NULL);
}

static void begin_label(const ikati_port *port, const vk_dispatch *dispatch,
                        VkCommandBuffer commands) {
    if (dispatch->name) {
        const VkDebugUtilsLabelEXT label = {
            .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
            .pLabelName = dispatch->name,
        };
        port->driver->vk.CmdBeginDebugUtilsLabelEXT(commands, &label);
    }
}

void vk_sequence_record(ikati_port *port, const ikati_sequence *sequence, uint32_t first,
                        uint32_t num, VkCommandBuffer commands) {
    const vk_device_table *vk = &port->vk;
    const vk_dispatch *bound = NULL;
    assert(first <= sequence->num_launches && num <= sequence->num_launches - first);
    for (uint32_t i = first; i < first + num; i++) {
        const ikati_launch *launch = &sequence->launches[i];
        const vk_dispatch *dispatch = &sequence->dispatches[launch->dispatch];
        if (i > first && launch->barrier) {
            vk_barrier_compute(port, commands);
        }
        begin_label(port, dispatch, commands);
        if (!bound || bound->pipeline != dispatch->pipeline) {
            vk->CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch->pipeline);
        }
        if (bound != dispatch) {
            vk->CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch->layout, 0,
                                      1, &dispatch->set, 0, NULL);
        }
        bound = dispatch;
        vk->CmdPushConstants(commands, dispatch->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             sizeof(uint32_t), &launch->first_group);
        vk->CmdDispatch(commands, launch->num_groups, 1, 1);
        if (dispatch->name) {
            port->driver->vk.CmdEndDebugUtilsLabelEXT(commands);
        }
    }
    vk_count_dispatches(port, num);
}

typedef struct span {
    const ikati_sequence *sequence;
    uint32_t first;
    uint32_t num;
} span;

static void record_span(ikati_port *port, VkCommandBuffer commands, const void *user) {
    const span *s = user;
    vk_sequence_record(port, s->sequence, s->first, s->num, commands);
}

// Launches from `first` to the end of its slice, or to `end`.
static uint32_t slice_length(const ikati_sequence *sequence, uint32_t first, uint32_t end) {
    uint32_t next = first;
    while (next < end && !sequence->launches[next++].ends_slice) {
    }
    return next - first;
}

ikat_status vk_sequence_submit(ikati_port *port, ikati_sequence *sequence, uint32_t first,
                               uint32_t num, ikat_ticket *out_ticket) {
    if (!port->queue.handle) {
        return ikati_fail(port->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                          "vulkan: the device was adopted without a queue: record plans instead");
    }
    ikat_ticket run = RUN_NEW;
    ikat_status status;
    span s = {sequence, first, 0};
    do {
        s.num = slice_length(sequence, s.first, first + num);
        status = vk_queue_submit(port, record_span, &s, run, &sequence->last_ticket);
        run = run == RUN_NEW ? sequence->last_ticket : run;
        s.first += s.num;
    } while (status == IKAT_OK && s.first < first + num);
    if (status == IKAT_OK) {
        *out_ticket = sequence->last_ticket;
    }
    return status;
}
