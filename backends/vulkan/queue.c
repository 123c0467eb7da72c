// One in-order queue. A submission takes a slot (command buffer and fence) and gets the next
// ticket. Fences signal in the order of submission, so that a complete ticket completes all earlier
// ones. A thread waits on a fence without holding the mutex; the slot is not used again while one
// does.

#include "vk.h"

#include <string.h>

static ikat_status create_timestamps(ikati_port *port) {
    if (!port->limits.timestamps) {
        return IKAT_OK;
    }
    const VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * NUM_SLOTS,
    };
    VkResult result = port->vk.CreateQueryPool(port->device, &info, NULL, &port->queue.queries);
    if (result != VK_SUCCESS) {
        port->queue.queries = VK_NULL_HANDLE;
        return vk_fail(port, result, "vkCreateQueryPool");
    }
    return IKAT_OK;
}

static ikat_status create_slots(ikati_port *port) {
    vk_queue *queue = &port->queue;
    VkCommandBuffer commands[NUM_SLOTS];
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = queue->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = NUM_SLOTS,
    };
    VkResult result = port->vk.AllocateCommandBuffers(port->device, &info, commands);
    if (result != VK_SUCCESS) {
        return vk_fail(port, result, "vkAllocateCommandBuffers");
    }
    for (uint32_t i = 0; i < NUM_SLOTS; i++) {
        const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        queue->slots[i].commands = commands[i];
        result = port->vk.CreateFence(port->device, &fence, NULL, &queue->slots[i].fence);
        if (result != VK_SUCCESS) {
            queue->slots[i].fence = VK_NULL_HANDLE;
            return vk_fail(port, result, "vkCreateFence");
        }
    }
    return IKAT_OK;
}

ikat_status vk_queue_open(ikati_port *port) {
    vk_queue *queue = &port->queue;
    if (!queue->handle) {
        return IKAT_OK;
    }
    const VkCommandPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags =
            VK_COMMAND_POOL_CREATE_TRANSIENT_BIT | VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = port->physical.queue_family,
    };
    VkResult result = port->vk.CreateCommandPool(port->device, &info, NULL, &queue->pool);
    if (result != VK_SUCCESS) {
        queue->pool = VK_NULL_HANDLE;
        return vk_fail(port, result, "vkCreateCommandPool");
    }
    ikat_status status = create_timestamps(port);
    return status == IKAT_OK ? create_slots(port) : status;
}

void vk_queue_close(ikati_port *port) {
    vk_queue *queue = &port->queue;
    (void)vk_queue_wait_idle(port);
    for (uint32_t i = 0; i < NUM_SLOTS; i++) {
        port->vk.DestroyFence(port->device, queue->slots[i].fence, NULL);
    }
    port->vk.DestroyQueryPool(port->device, queue->queries, NULL);
    port->vk.DestroyCommandPool(port->device, queue->pool, NULL); // frees its command buffers
}

// How long a complete slot's commands took, by the device's clock, else by the host's.
static uint64_t slot_time(ikati_port *port, const vk_slot *slot) {
    uint64_t ticks[2];
    uint32_t first = 2 * (uint32_t)(slot - port->queue.slots);
    if (!port->queue.queries ||
        port->vk.GetQueryPoolResults(port->device, port->queue.queries, first, 2, sizeof(ticks),
                                     ticks, sizeof(ticks[0]),
                                     VK_QUERY_RESULT_64_BIT) != VK_SUCCESS) {
        return ikati_now_ns() - slot->submit_ns;
    }
    uint32_t bits = port->physical.timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    double period_ns = port->physical.properties.limits.timestampPeriod;
    return (uint64_t)((double)((ticks[1] - ticks[0]) & mask) * period_ns + 0.5);
}

static void add_time(vk_queue *queue, const vk_slot *slot, uint64_t time_ns) {
    vk_time *entry = NULL;
    for (uint32_t i = 0; i < NUM_TIMES; i++) {
        if (queue->times[i].run == slot->run) {
            entry = &queue->times[i];
        }
    }
    if (!entry) {
        entry = &queue->times[queue->next_time];
        queue->next_time = (queue->next_time + 1) % NUM_TIMES;
        *entry = (vk_time){.run = slot->run};
    }
    entry->time_ns += time_ns;
    entry->ticket = slot->ticket > entry->ticket ? slot->ticket : entry->ticket;
}

// Notes that all submissions up to `ticket` are complete. Called with the mutex held.
static void complete(ikati_port *port, ikat_ticket ticket) {
    vk_queue *queue = &port->queue;
    for (uint32_t i = 0; i < NUM_SLOTS; i++) {
        vk_slot *slot = &queue->slots[i];
        if (!slot->pending || slot->ticket > ticket) {
            continue;
        }
        slot->pending = false;
        if (slot->run) {
            add_time(queue, slot, slot_time(port, slot));
        }
    }
    if (ticket > queue->completed) {
        queue->completed = ticket;
    }
}

// The pending slot with the lowest ticket from `ticket` on. Called with the mutex held.
static vk_slot *find_pending(vk_queue *queue, ikat_ticket ticket) {
    vk_slot *found = NULL;
    for (uint32_t i = 0; i < NUM_SLOTS; i++) {
        vk_slot *slot = &queue->slots[i];
        if (slot->pending && slot->ticket >= ticket && (!found || slot->ticket < found->ticket)) {
            found = slot;
        }
    }
    return found;
}

// Waits for a pending slot. Called with the mutex held; gives it up meanwhile.
static VkResult wait_slot(ikati_port *port, vk_slot *slot, uint64_t timeout_ns) {
    slot->waiters++;
    ikati_mutex_unlock(port->queue.mutex);
    VkResult result = port->vk.WaitForFences(port->device, 1, &slot->fence, VK_TRUE, timeout_ns);
    ikati_mutex_lock(port->queue.mutex);
    slot->waiters--;
    if (result == VK_SUCCESS) {
        complete(port, slot->ticket);
    }
    return result;
}

// Finds a free slot, waiting for the oldest if there is none. Called with the mutex held.
static VkResult take_slot(ikati_port *port, vk_slot **out_slot) {
    vk_queue *queue = &port->queue;
    for (;;) {
        for (uint32_t i = 0; i < NUM_SLOTS; i++) {
            if (!queue->slots[i].pending && queue->slots[i].waiters == 0) {
                *out_slot = &queue->slots[i];
                break;
            }
        }
        if (*out_slot) {
            break;
        }
        // All are pending, or a thread that has seen its slot complete has yet to leave it.
        vk_slot *oldest = find_pending(queue, 0);
        VkResult result = wait_slot(port, oldest ? oldest : &queue->slots[0], UINT64_MAX);
        if (result != VK_SUCCESS) {
            return result;
        }
    }
    // Known complete through a later fence, perhaps; its own must have signalled before it is
    // reset.
    vk_slot *slot = *out_slot;
    if (slot->ticket == 0) {
        return VK_SUCCESS;
    }
    VkResult result = port->vk.WaitForFences(port->device, 1, &slot->fence, VK_TRUE, UINT64_MAX);
    return result == VK_SUCCESS ? port->vk.ResetFences(port->device, 1, &slot->fence) : result;
}

// Before the commands: everything that was submitted earlier has finished, its writes are visible.
// On a host's queue that means the host's commands too, whatever they are.
static void barrier_begin(const ikati_port *port, VkCommandBuffer commands) {
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    if (port->adopted) {
        barrier.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
    }
    port->vk.CmdPipelineBarrier(commands,
                                port->adopted ? VK_PIPELINE_STAGE_ALL_COMMANDS_BIT : stages, stages,
                                0, 1, &barrier, 0, NULL, 0, NULL);
}

// After the commands: what they wrote can be read through mapped memory once the fence has
// signalled.
static void barrier_end(const ikati_port *port, VkCommandBuffer commands) {
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT,
    };
    port->vk.CmdPipelineBarrier(
        commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static VkResult record_slot(ikati_port *port, vk_slot *slot, vk_record_fn record,
                            const void *user) {
    const vk_device_table *vk = &port->vk;
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VkResult result = vk->BeginCommandBuffer(slot->commands, &begin);
    if (result != VK_SUCCESS) {
        return result;
    }
    bool stamped = slot->run && port->queue.queries;
    uint32_t query = 2 * (uint32_t)(slot - port->queue.slots);
    barrier_begin(port, slot->commands);
    if (stamped) {
        vk->CmdResetQueryPool(slot->commands, port->queue.queries, query, 2);
        // Not at the top of the pipe: the clock starts when the barrier has let earlier submissions
        // finish.
        vk->CmdWriteTimestamp(slot->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                              port->queue.queries, query);
    }
    record(port, slot->commands, user);
    barrier_end(port, slot->commands);
    if (stamped) {
        vk->CmdWriteTimestamp(slot->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                              port->queue.queries, query + 1);
    }
    return vk->EndCommandBuffer(slot->commands);
}

static VkResult submit_slot(ikati_port *port, vk_slot *slot) {
    vk_queue *queue = &port->queue;
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &slot->commands,
    };
    slot->submit_ns = ikati_now_ns();
    if (queue->lock) {
        queue->lock(queue->lock_user);
    }
    VkResult result = port->vk.QueueSubmit(queue->handle, 1, &info, slot->fence);
    if (queue->lock) {
        queue->unlock(queue->lock_user);
    }
    return result;
}

ikat_status vk_queue_submit(ikati_port *port, vk_record_fn record, const void *user,
                            ikat_ticket run, ikat_ticket *out_ticket) {
    vk_queue *queue = &port->queue;
    vk_slot *slot = NULL;
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    ikati_mutex_lock(queue->mutex);
    const char *what = "vkWaitForFences";
    VkResult result = take_slot(port, &slot);
    if (result == VK_SUCCESS) {
        what = "recording a command buffer";
        slot->ticket = 0; // its fence is unsignalled until it is submitted
        slot->run = run == RUN_NEW ? queue->last + 1 : run;
        result = record_slot(port, slot, record, user);
    }
    if (result == VK_SUCCESS) {
        what = "vkQueueSubmit";
        result = submit_slot(port, slot);
    }
    if (result == VK_SUCCESS) {
        slot->ticket = ++queue->last;
        slot->pending = true;
        *out_ticket = slot->ticket;
    }
    ikati_mutex_unlock(queue->mutex);
    return result == VK_SUCCESS ? IKAT_OK : vk_fail(port, result, what);
}

ikat_status vk_queue_wait(ikati_port *port, ikat_ticket ticket, uint64_t timeout_ns,
                          bool *out_complete) {
    vk_queue *queue = &port->queue;
    if (out_complete) {
        *out_complete = false;
    }
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    ikati_mutex_lock(queue->mutex);
    VkResult result = VK_SUCCESS;
    bool known = ticket <= queue->last;
    if (known && ticket > queue->completed) {
        result = wait_slot(port, find_pending(queue, ticket), timeout_ns);
    }
    ikati_mutex_unlock(queue->mutex);
    if (!known) {
        return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "vulkan: ticket %llu was never given out", (unsigned long long)ticket);
    }
    if (result != VK_SUCCESS && result != VK_TIMEOUT) {
        return vk_fail(port, result, "vkWaitForFences");
    }
    if (out_complete) {
        *out_complete = result == VK_SUCCESS;
    }
    return IKAT_OK;
}

ikat_status vk_queue_wait_idle(ikati_port *port) {
    ikati_mutex_lock(port->queue.mutex);
    ikat_ticket last = port->queue.last;
    ikati_mutex_unlock(port->queue.mutex);
    return vk_queue_wait(port, last, UINT64_MAX, NULL);
}

ikat_status vk_queue_time(ikati_port *port, ikat_ticket ticket, uint64_t *out_time_ns) {
    vk_queue *queue = &port->queue;
    *out_time_ns = 0;
    bool completed = false;
    ikat_status status = vk_queue_wait(port, ticket, 0, &completed);
    if (status != IKAT_OK) {
        return status;
    }
    bool found = false;
    ikati_mutex_lock(queue->mutex);
    for (uint32_t i = 0; i < NUM_TIMES && completed && ticket > 0; i++) {
        if (queue->times[i].ticket == ticket) {
            *out_time_ns = queue->times[i].time_ns;
            found = true;
        }
    }
    ikati_mutex_unlock(queue->mutex);
    if (found) {
        return IKAT_OK;
    }
    return ikati_fail(port->host, IKAT_INVALID, IKAT_MESSAGE_RANGE, "vulkan: submission %llu is %s",
                      (unsigned long long)ticket, completed ? "no longer known" : "not complete");
}
