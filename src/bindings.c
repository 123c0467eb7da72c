// Bindings: a plan's tensors, scratch and tables tied to buffers; running.

#include "core.h"
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

enum { TENSOR_ALIGNMENT = 16, WORKSPACE_ALIGNMENT = 256 };

// Where a tensor's binding starts.
typedef struct bound_tensor {
    ikati_memory *memory;
    uint64_t offset_bytes;
    uint64_t size_bytes; // from the offset to the end of the memory
} bound_tensor;

// All that operands can point to.
typedef struct bound_slots {
    bound_tensor inputs[IKATI_MAX_INPUTS];
    bound_tensor outputs[IKATI_MAX_OUTPUTS];
    bound_tensor workspace;
    bound_tensor tables;
} bound_slots;

static ikat_status check_buffer(const ikat_plan *plan, const char *name, const ikat_buffer *buffer,
                                uint64_t offset_bytes, uint64_t size_bytes, uint64_t alignment) {
    const ikati_host *host = plan->request.host;
    if (!buffer) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT, "%s has no buffer", name);
    }
    if (buffer->device != plan->device) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "%s has a buffer of another device", name);
    }
    if (offset_bytes % alignment) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "%s starts at byte %" PRIu64 ", expected a multiple of %" PRIu64, name,
                          offset_bytes, alignment);
    }
    if (offset_bytes > buffer->size_bytes || size_bytes > buffer->size_bytes - offset_bytes) {
        return ikati_fail(host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "%s needs %" PRIu64 " bytes from offset %" PRIu64
                          ", its buffer has %" PRIu64,
                          name, size_bytes, offset_bytes, buffer->size_bytes);
    }
    return IKAT_OK;
}

static ikat_status bind_tensor(const ikat_plan *plan, const char *name, const ikat_tensor *tensor,
                               const ikat_bindings_params *params, bound_tensor *out) {
    const ikat_binding *found = NULL;
    for (uint32_t i = 0; i < params->num_tensors; i++) {
        const ikat_binding *binding = &params->tensors[i];
        if (binding->name && strcmp(binding->name, name) == 0) {
            if (found) {
                return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_TWICE,
                                  "%s is bound twice", name);
            }
            found = binding;
        }
    }
    uint64_t size_bytes;
    ikat_tensor_size_bytes(tensor, &size_bytes);
    if (!found) {
        return size_bytes == 0
                   ? IKAT_OK
                   : ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_MISSING,
                                "%s is not bound, expected a buffer of %" PRIu64 " bytes", name,
                                size_bytes);
    }
    if (size_bytes == 0 && !found->buffer) {
        return IKAT_OK; // nothing to bind
    }
    ikat_status status =
        check_buffer(plan, name, found->buffer, found->offset_bytes, size_bytes, TENSOR_ALIGNMENT);
    if (!status) {
        *out = (bound_tensor){found->buffer->memory, found->offset_bytes,
                              found->buffer->capacity_bytes - found->offset_bytes};
    }
    return status;
}

// Structure inputs are part of the plan. An output may have the name of one.
static bool is_structure(const ikat_plan *plan, const char *name) {
    const ikat_mechanism_info *info = &plan->request.mechanism->info;
    bool structure = false;
    for (uint32_t i = 0; i < plan->request.num_inputs; i++) {
        const ikati_tensor_use *use = &plan->request.inputs[i];
        structure = structure || (use->info->structure && strcmp(use->name, name) == 0);
    }
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        if (plan->request.outputs[i].present && strcmp(info->outputs[i].name, name) == 0) {
            return false;
        }
    }
    return structure;
}

static ikat_status check_names(const ikat_plan *plan, const ikat_bindings_params *params) {
    for (uint32_t i = 0; i < params->num_tensors; i++) {
        ikat_tensor tensor;
        const char *name = params->tensors[i].name;
        if (!name) {
            return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                              "a binding has no name");
        }
        ikat_status status = ikat_plan_get_tensor(plan, name, &tensor);
        if (!status && is_structure(plan, name)) {
            status = ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                                "%s is bound, expected no buffer: its values are part of the plan",
                                name);
        }
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

static ikat_status bind_tensors(const ikat_plan *plan, const ikat_bindings_params *params,
                                bound_slots *slots) {
    const ikat_mechanism_info *info = &plan->request.mechanism->info;
    ikat_status status = check_names(plan, params);
    for (uint32_t i = 0; i < plan->request.num_inputs && !status; i++) {
        const ikati_tensor_use *use = &plan->request.inputs[i];
        bool bound = use->present && !use->info->structure;
        status =
            bound ? bind_tensor(plan, use->name, &use->tensor, params, &slots->inputs[i]) : IKAT_OK;
    }
    for (uint32_t i = 0; i < info->num_outputs && !status; i++) {
        const ikati_tensor_use *use = &plan->request.outputs[i];
        status = use->present ? bind_tensor(plan, info->outputs[i].name, &use->tensor, params,
                                            &slots->outputs[i])
                              : IKAT_OK;
    }
    return status;
}

static ikat_status bind_workspace(const ikat_plan *plan, const ikat_bindings_params *params,
                                  ikat_bindings *bindings, bound_slots *slots) {
    uint64_t size_bytes = plan->lowering.workspace_bytes;
    if (!size_bytes) {
        return IKAT_OK;
    }
    slots->workspace.size_bytes = size_bytes;
    if (!params->workspace) {
        ikat_status status = plan->device->backend->memory_create(plan->device->port, size_bytes,
                                                                  &bindings->workspace);
        slots->workspace.memory = bindings->workspace;
        return status;
    }
    slots->workspace.memory = params->workspace->memory;
    slots->workspace.offset_bytes = params->workspace_offset_bytes;
    return check_buffer(plan, "workspace", params->workspace, params->workspace_offset_bytes,
                        size_bytes, WORKSPACE_ALIGNMENT);
}

static bound_tensor slot_of(const ikat_plan *plan, const bound_slots *slots,
                            const ikati_operand *operand) {
    bound_tensor slot = {0};
    switch (operand->kind) {
    case IKATI_SLOT_NONE: break;
    case IKATI_SLOT_INPUT: return slots->inputs[operand->index];
    case IKATI_SLOT_OUTPUT: return slots->outputs[operand->index];
    case IKATI_SLOT_SCRATCH:
        slot = slots->workspace;
        slot.offset_bytes += plan->lowering.scratch[operand->index].offset_bytes;
        slot.size_bytes =
            ikati_round_up(plan->lowering.scratch[operand->index].size_bytes, WORKSPACE_ALIGNMENT);
        break;
    case IKATI_SLOT_TABLE:
        slot = slots->tables;
        slot.offset_bytes += plan->lowering.tables[operand->index].offset_bytes;
        slot.size_bytes =
            ikati_round_up(plan->lowering.tables[operand->index].size_bytes, WORKSPACE_ALIGNMENT);
        break;
    }
    return slot;
}

// Ends on a whole word of 16 bytes where the buffer allows: kernels read vectors, and halves come
// two to a word.
static uint64_t range_size(uint64_t used_bytes, uint64_t available_bytes) {
    uint64_t whole = ikati_round_up(used_bytes, TENSOR_ALIGNMENT);
    return whole <= available_bytes ? whole : available_bytes;
}

// Aligns the binding of one operand and puts the elements skipped into the parameter block.
static void make_range(const ikat_plan *plan, const ikati_step *step, uint32_t binding,
                       const bound_slots *slots, ikati_dispatch *dispatch) {
    const ikati_operand *operand = &step->operands[binding];
    bound_tensor slot = slot_of(plan, slots, operand);
    if (!slot.memory || !operand->count) {
        return;
    }
    const ikat_device_limits *limits = &plan->device->info.limits;
    bool is_texel = (step->variant->texel_bindings >> binding) & 1u;
    uint64_t alignment = is_texel ? limits->texel_alignment_bytes : limits->storage_alignment_bytes;
    alignment = alignment < TENSOR_ALIGNMENT ? TENSOR_ALIGNMENT : alignment;
    uint64_t size = ikat_dtype_size(operand->dtype);
    uint64_t start = slot.offset_bytes + operand->offset * size;
    uint64_t aligned = start / alignment * alignment;
    uint64_t available = slot.offset_bytes + slot.size_bytes - aligned;
    uint32_t base = (uint32_t)((start - aligned) / size);
    memcpy(dispatch->params + binding * sizeof(base), &base, sizeof(base));
    dispatch->ranges[binding] = (ikati_range){
        .memory = slot.memory,
        .offset_bytes = aligned,
        .size_bytes = range_size(start - aligned + operand->count * size, available),
        .dtype = operand->dtype,
    };
}

static ikat_status make_sequence(const ikat_plan *plan, ikat_bindings *bindings,
                                 bound_slots *slots) {
    const ikati_lowering *lowering = &plan->lowering;
    slots->tables.memory = plan->tables;
    slots->tables.size_bytes = lowering->tables_bytes;
    ikati_dispatch *dispatches =
        ikati_alloc(lowering->host, lowering->num_steps, sizeof(*dispatches));
    if (!dispatches) {
        return IKAT_NO_MEMORY;
    }
    for (uint32_t i = 0; i < lowering->num_steps; i++) {
        const ikati_step *step = &lowering->steps[i];
        dispatches[i].program = step->program;
        dispatches[i].name = step->name;
        memcpy(dispatches[i].params, step->params, sizeof(step->params));
        for (uint32_t b = 0; b < step->kernel->num_bindings; b++) {
            make_range(plan, step, b, slots, &dispatches[i]);
        }
    }
    ikati_sequence_params params = {dispatches, lowering->num_steps, plan->launches,
                                    plan->num_launches};
    ikat_status status =
        plan->device->backend->sequence_create(plan->device->port, &params, &bindings->sequence);
    ikati_free(lowering->host, dispatches);
    return status;
}

static uint32_t list_tensors(const ikati_tensor_use *uses, uint32_t num, const bound_tensor *bound,
                             ikati_call_tensor *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < num; i++) {
        if (uses[i].present) {
            out[count++] = (ikati_call_tensor){.name = uses[i].name,
                                               .tensor = uses[i].tensor,
                                               .memory = bound[i].memory,
                                               .offset_bytes = bound[i].offset_bytes,
                                               .values = uses[i].values};
        }
    }
    return count;
}

static void make_call(const ikat_plan *plan, ikat_bindings *bindings, const bound_slots *slots) {
    const ikati_request *request = &plan->request;
    bindings->num_inputs =
        list_tensors(request->inputs, request->num_inputs, slots->inputs, bindings->inputs);
    bindings->num_outputs = list_tensors(request->outputs, request->mechanism->info.num_outputs,
                                         slots->outputs, bindings->outputs);
}

ikat_status ikat_bindings_create(const ikat_plan *plan, const ikat_bindings_params *params,
                                 ikat_bindings **out_bindings) {
    if (!out_bindings) {
        return IKAT_INVALID;
    }
    *out_bindings = NULL;
    if (!plan || !params || (params->num_tensors && !params->tensors)) {
        return IKAT_INVALID;
    }
    ikat_bindings *bindings = ikati_alloc(plan->request.host, 1, sizeof(*bindings));
    if (!bindings) {
        return IKAT_NO_MEMORY;
    }
    bindings->plan = plan;
    bound_slots slots = {0};
    ikat_status status = bind_tensors(plan, params, &slots);
    if (!status && plan->device->backend->run_call) {
        make_call(plan, bindings, &slots);
    } else if (!status) {
        status = bind_workspace(plan, params, bindings, &slots);
        status = status ? status : make_sequence(plan, bindings, &slots);
    }
    if (status) {
        ikat_bindings_destroy(&bindings);
    }
    *out_bindings = bindings;
    return status;
}

void ikat_bindings_destroy(ikat_bindings **bindings) {
    if (!bindings || !*bindings) {
        return;
    }
    ikat_bindings *doomed = *bindings;
    ikat_device *device = doomed->plan->device;
    if (doomed->sequence) {
        device->backend->sequence_destroy(device->port, doomed->sequence);
    }
    if (doomed->workspace) {
        device->backend->memory_destroy(device->port, doomed->workspace);
    }
    ikati_free(&device->context->host, doomed);
    *bindings = NULL;
}

static ikat_status run_call(const ikat_plan *plan, const ikat_bindings *bindings,
                            ikat_ticket *out_ticket) {
    const ikat_mechanism_info *info = &plan->request.mechanism->info;
    ikati_call call = {
        .mechanism = info->name,
        .inputs = bindings->inputs,
        .num_inputs = bindings->num_inputs,
        .outputs = bindings->outputs,
        .num_outputs = bindings->num_outputs,
        .settings = plan->request.settings,
        .num_settings = plan->request.num_settings,
        .rows = plan->request.rows,
        .num_rows = plan->request.num_rows,
    };
    if (plan->request.inner) {
        call.inner = plan->request.inner->mechanism->info.name;
        call.inner_settings = plan->request.inner->settings;
        call.num_inner_settings = plan->request.inner->num_settings;
    }
    return plan->device->backend->run_call(plan->device->port, &call, out_ticket);
}

ikat_status ikat_plan_submit(const ikat_plan *plan, ikat_bindings *bindings, uint32_t first_slice,
                             uint32_t num_slices, ikat_ticket *out_ticket) {
    if (!plan || !bindings) {
        return IKAT_INVALID;
    }
    if (bindings->plan != plan) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "these bindings belong to another plan");
    }
    uint32_t left = first_slice < plan->num_slices ? plan->num_slices - first_slice : 0;
    if (!left || num_slices > left) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "slices %" PRIu32 " to %" PRIu64
                          " are not all there, the plan has %" PRIu32,
                          first_slice, (uint64_t)first_slice + num_slices, plan->num_slices);
    }
    ikat_ticket ticket = 0;
    ikat_status status;
    if (plan->device->backend->run_call) {
        status = run_call(plan, bindings, &ticket);
    } else {
        uint32_t last = first_slice + (num_slices ? num_slices : left);
        uint32_t first_launch = plan->slice_starts[first_slice];
        uint32_t num_launches = plan->slice_starts[last] - first_launch;
        status = plan->device->backend->submit(plan->device->port, bindings->sequence, first_launch,
                                               num_launches, &ticket);
    }
    if (out_ticket) {
        *out_ticket = ticket;
    }
    return status;
}

ikat_status ikat_plan_run(const ikat_plan *plan, ikat_bindings *bindings) {
    ikat_ticket ticket;
    ikat_status status = ikat_plan_submit(plan, bindings, 0, 0, &ticket);
    return status ? status : ikat_device_wait(plan->device, ticket, UINT64_MAX, NULL);
}

ikati_sequence *ikati_bindings_sequence(const ikat_bindings *bindings,
                                        const ikati_backend *backend) {
    return bindings->plan->device->backend == backend ? bindings->sequence : NULL;
}

ikat_status ikati_bindings_slice(const ikat_bindings *bindings, const ikat_plan *plan,
                                 uint32_t slice, uint32_t *out_first, uint32_t *out_num) {
    if (bindings->plan != plan) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_BUFFER,
                          "these bindings belong to another plan");
    }
    if (slice >= plan->num_slices || !plan->slice_starts) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "slice %" PRIu32 " is not there, the plan has %" PRIu32, slice,
                          plan->num_slices);
    }
    *out_first = plan->slice_starts[slice];
    *out_num = plan->slice_starts[slice + 1] - plan->slice_starts[slice];
    return IKAT_OK;
}
