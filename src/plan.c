#include "core.h"

#include <inttypes.h>
#include <string.h>

// Work of one slice where the caller names none: about a tenth of a second on the slower devices of
// each kind.
static double default_slice_flops(const ikat_device *device) {
    return device->info.type == IKAT_DEVICE_CPU ? 4e9 : 5e10;
}

// Compiles what the steps need. IKAT_COMPILE: a variant failed and is remembered as failed.
static ikat_status compile_steps(ikat_plan *plan) {
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        ikati_step *step = &plan->lowering.steps[i];
        ikat_status status = ikati_device_program_get(
            plan->device, step, &step->program, &plan->compile_time_ns, &plan->programs_compiled);
        if (status) {
            return status;
        }
    }
    return IKAT_OK;
}

// Lowers and compiles; where a variant fails to compile, lowers again without it.
static ikat_status lower_and_compile(ikat_plan *plan) {
    const ikati_mechanism *mechanism = plan->request.mechanism;
    ikat_status status;
    do {
        ikati_lowering_clear(&plan->lowering);
        status = mechanism->lower(&plan->request, &plan->lowering);
        bool lowered = status == IKAT_OK;
        if (lowered) {
            status = compile_steps(plan);
        }
        if (!lowered && status != IKAT_OK) {
            return status;
        }
    } while (status == IKAT_COMPILE);
    return status;
}

// What the plan and its bindings allocate is held to the device's limit, as buffers are.
static ikat_status check_memory(const ikat_plan *plan, const char *what, uint64_t bytes) {
    const ikat_device_info *info = &plan->device->info;
    return bytes <= info->limits.max_buffer_bytes
               ? IKAT_OK
               : ikati_fail(plan->request.host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE,
                            "the plan's %s has %" PRIu64 " bytes, expected at most %" PRIu64
                            ", which %s allocates at once",
                            what, bytes, info->limits.max_buffer_bytes, info->id);
}

static ikat_status upload_tables(ikat_plan *plan) {
    const ikati_lowering *lowering = &plan->lowering;
    const ikati_backend *backend = plan->device->backend;
    if (!lowering->num_tables) {
        return IKAT_OK;
    }
    ikat_status status =
        backend->memory_create(plan->device->port, lowering->tables_bytes, &plan->tables);
    for (uint32_t i = 0; i < lowering->num_tables && !status; i++) {
        const ikati_table *table = &lowering->tables[i];
        status = backend->memory_write(plan->device->port, plan->tables, table->offset_bytes,
                                       table->data, table->size_bytes);
    }
    return status;
}

static ikat_status build_steps(ikat_plan *plan) {
    ikat_status status = lower_and_compile(plan);
    if (!status) {
        status = ikati_workspace_place(&plan->lowering);
    }
    status = status ? status : check_memory(plan, "workspace", plan->lowering.workspace_bytes);
    status = status ? status : check_memory(plan, "tables", plan->lowering.tables_bytes);
    if (!status) {
        status = ikati_slices_cut(&plan->lowering, plan->slice_flops, &plan->launches,
                                  &plan->num_launches, &plan->slice_starts, &plan->num_slices);
    }
    return status ? status : upload_tables(plan);
}

static void log_variants(const ikat_plan *plan) {
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        const ikati_step *step = &plan->lowering.steps[i];
        ikati_log(plan->request.host, IKAT_LOG_INFO, IKAT_MESSAGE_VARIANT, "%s runs %s%s%s",
                  plan->device->info.id, step->name, step->refused[0] ? "; refused: " : "",
                  step->refused);
    }
}

// Takes the request, whatever comes of it; everything else is made from it.
static ikat_status build(ikat_device *device, ikati_request *request, const char *variant,
                         double slice_flops, ikat_plan **out_plan) {
    const ikati_host *host = &device->context->host;
    uint64_t start = ikati_now_ns();
    ikat_plan *plan = ikati_alloc(host, 1, sizeof(*plan));
    if (!plan) {
        ikati_request_clear(request);
        return IKAT_NO_MEMORY;
    }
    plan->device = device;
    plan->request = *request;
    plan->slice_flops = slice_flops > 0 ? slice_flops : default_slice_flops(device);
    plan->variant = ikati_copy_text(host, variant);
    plan->lowering =
        (ikati_lowering){.host = host, .device = device, .forced_variant = plan->variant};
    plan->cost = request->mechanism->cost(&plan->request);
    plan->num_slices = 1;
    const bool complete = (!variant || plan->variant) && plan->cost.visible_pairs >= 0;
    ikat_status status = complete ? IKAT_OK : IKAT_NO_MEMORY;
    if (!status && !device->backend->run_call) {
        status = build_steps(plan);
    }
    if (status) {
        ikat_plan_destroy(&plan);
        return status;
    }
    log_variants(plan);
    plan->create_time_ns = ikati_now_ns() - start;
    *out_plan = plan;
    return IKAT_OK;
}

ikat_status ikat_plan_create(ikat_device *device, const ikat_plan_params *params,
                             ikat_plan **out_plan) {
    if (!out_plan) {
        return IKAT_INVALID;
    }
    *out_plan = NULL;
    if (!device || !params) {
        return IKAT_INVALID;
    }
    ikati_request request;
    ikat_status status = ikati_request_create(&device->context->host, params, &request);
    return status ? status
                  : build(device, &request, params->variant, params->slice_flops, out_plan);
}

ikat_status ikati_plan_create_for(ikat_device *device, const ikati_mechanism *mechanism,
                                  const ikat_plan_params *params, ikat_plan **out_plan) {
    ikati_request request;
    *out_plan = NULL;
    ikat_status status =
        ikati_request_create_for(&device->context->host, mechanism, params, &request);
    return status ? status
                  : build(device, &request, params->variant, params->slice_flops, out_plan);
}

ikat_status ikat_plan_derive(const ikat_plan *plan, const ikat_argument *tensors,
                             uint32_t num_tensors, ikat_plan **out_plan) {
    if (!out_plan) {
        return IKAT_INVALID;
    }
    *out_plan = NULL;
    if (!plan || (num_tensors && !tensors)) {
        return IKAT_INVALID;
    }
    ikati_request request;
    ikat_status status = ikati_request_derive(&plan->request, tensors, num_tensors, &request);
    return status ? status
                  : build(plan->device, &request, plan->variant, plan->slice_flops, out_plan);
}

void ikat_plan_destroy(ikat_plan **plan) {
    if (!plan || !*plan) {
        return;
    }
    ikat_plan *doomed = *plan;
    const ikati_host *host = &doomed->device->context->host;
    if (doomed->tables) {
        doomed->device->backend->memory_destroy(doomed->device->port, doomed->tables);
    }
    ikati_lowering_clear(&doomed->lowering);
    ikati_request_clear(&doomed->request);
    ikati_free(host, doomed->launches);
    ikati_free(host, doomed->slice_starts);
    ikati_free(host, doomed->variant);
    ikati_free(host, doomed);
    *plan = NULL;
}

// Index among `uses` of a tensor that the plan has; `num` if it has none of that name.
static uint32_t find_use(const ikati_tensor_use *uses, uint32_t num, const char *name) {
    uint32_t index = 0;
    while (index < num && !(uses[index].present && strcmp(uses[index].name, name) == 0)) {
        index++;
    }
    return index;
}

ikat_status ikat_plan_get_tensor(const ikat_plan *plan, const char *name, ikat_tensor *out_tensor) {
    const ikati_request *request = &plan->request;
    const uint32_t num_outputs = request->mechanism->info.num_outputs;
    uint32_t input = find_use(request->inputs, request->num_inputs, name);
    uint32_t output = find_use(request->outputs, num_outputs, name);
    if (output < num_outputs) {
        *out_tensor = request->outputs[output].tensor;
    } else if (input < request->num_inputs) {
        *out_tensor = request->inputs[input].tensor;
    } else {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                          "the plan has no tensor '%s'", name);
    }
    return IKAT_OK;
}

const char *ikat_plan_output_name(const ikat_plan *plan, uint32_t index) {
    const ikat_mechanism_info *info = &plan->request.mechanism->info;
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        if (plan->request.outputs[i].present && index-- == 0) {
            return info->outputs[i].name;
        }
    }
    return NULL;
}

void ikat_plan_get_info(const ikat_plan *plan, ikat_plan_info *out_info) {
    *out_info = (ikat_plan_info){
        .mechanism = plan->request.mechanism->info.name,
        .flops = plan->cost.flops,
        .bytes = plan->cost.bytes,
        .visible_pairs = plan->cost.visible_pairs,
        .workspace_bytes = plan->lowering.workspace_bytes,
        .table_bytes = plan->lowering.tables_bytes,
        .num_steps = plan->lowering.num_steps,
        .num_slices = plan->num_slices,
        .create_time_ns = plan->create_time_ns,
        .compile_time_ns = plan->compile_time_ns,
        .programs_compiled = plan->programs_compiled,
    };
    for (uint32_t i = 0; i < plan->lowering.num_steps; i++) {
        out_info->computed_pairs += plan->lowering.steps[i].pairs;
        out_info->num_tiles += plan->lowering.steps[i].num_tiles;
    }
}

ikat_status ikat_plan_get_step(const ikat_plan *plan, uint32_t index, ikat_step_info *out_step) {
    if (index >= plan->lowering.num_steps) {
        return ikati_fail(plan->request.host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "step %" PRIu32 " is not there, the plan has %" PRIu32, index,
                          plan->lowering.num_steps);
    }
    const ikati_step *step = &plan->lowering.steps[index];
    uint32_t num_slices = 0;
    for (uint32_t i = 0; i < plan->num_launches; i++) {
        num_slices += plan->launches[i].dispatch == index;
    }
    *out_step = (ikat_step_info){
        .kernel = step->name,
        .refused = step->refused,
        .num_groups = step->num_groups,
        .group_size = step->variant->group_size,
        .num_slices = num_slices,
        .flops = step->flops,
    };
    return IKAT_OK;
}

double ikat_plan_tolerance(const ikat_plan *plan, const char *output) {
    const ikat_mechanism_info *info = &plan->request.mechanism->info;
    uint32_t index = find_use(plan->request.outputs, info->num_outputs, output);
    return index < info->num_outputs ? plan->request.mechanism->tolerance(&plan->request, index)
                                     : 0.0;
}
