// Pipelines: one a variant and specialisation. Binding i of a kernel is a storage buffer, or a
// uniform texel buffer where the variant says so; the parameter block is a uniform buffer at
// PARAMS_BINDING; the slice's first workgroup a push constant.

#include "vk.h"
#include "spirv.h"

#include <assert.h>
#include <string.h>

static const vk_spirv *find_spirv(const ikati_kernel *kernel, const ikati_variant *variant) {
    for (size_t i = 0; i < vk_spirv_count; i++) {
        if (!strcmp(vk_spirv_table[i].kernel, kernel->name) &&
            !strcmp(vk_spirv_table[i].variant, variant->name)) {
            return &vk_spirv_table[i];
        }
    }
    return NULL;
}

static VkResult create_set_layout(ikati_port *port, ikati_program *program) {
    VkDescriptorSetLayoutBinding bindings[IKATI_MAX_BINDINGS + 1];
    uint32_t num = program->kernel->num_bindings;
    for (uint32_t i = 0; i < num; i++) {
        bool texel = program->variant->texel_bindings & (UINT32_C(1) << i);
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType =
                texel ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    }
    bindings[num] = (VkDescriptorSetLayoutBinding){
        .binding = PARAMS_BINDING,
        .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
        .descriptorCount = 1,
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
    };
    const VkDescriptorSetLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = num + 1,
        .pBindings = bindings,
    };
    return port->vk.CreateDescriptorSetLayout(port->device, &info, NULL, &program->set_layout);
}

static VkResult create_layouts(ikati_port *port, ikati_program *program) {
    VkResult result = create_set_layout(port, program);
    if (result != VK_SUCCESS) {
        program->set_layout = VK_NULL_HANDLE;
        return result;
    }
    const VkPushConstantRange slice = {VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(uint32_t)};
    const VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &program->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &slice,
    };
    result = port->vk.CreatePipelineLayout(port->device, &info, NULL, &program->layout);
    if (result != VK_SUCCESS) {
        program->layout = VK_NULL_HANDLE;
    }
    return result;
}

// Whether the pipeline must, and can, be told the subgroup size that the variant is written for.
static bool fixed_subgroup(const ikati_port *port, const ikati_variant *variant) {
    return variant->subgroup_size && port->features.subgroup_size_control &&
           variant->subgroup_size >= port->physical.min_subgroup_size &&
           variant->subgroup_size <= port->physical.max_subgroup_size;
}

static VkResult create_pipeline(ikati_port *port, const ikati_program_params *params,
                                VkShaderModule module, ikati_program *program) {
    VkSpecializationMapEntry entries[IKATI_MAX_SPECIALISATION];
    uint32_t num = params->kernel->num_specialisation;
    for (uint32_t i = 0; i < num; i++) {
        entries[i] =
            (VkSpecializationMapEntry){i, i * (uint32_t)sizeof(uint32_t), sizeof(uint32_t)};
    }
    const VkSpecializationInfo specialisation = {num, entries, num * sizeof(uint32_t),
                                                 params->specialisation};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
        .requiredSubgroupSize = params->variant->subgroup_size,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = &specialisation,
            },
        .layout = program->layout,
    };
    if (fixed_subgroup(port, params->variant)) {
        info.stage.pNext = &subgroup;
        // Such kernels are one-dimensional.
        if (params->variant->group_size % params->variant->subgroup_size == 0) {
            info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
        }
    }
    VkResult result = port->vk.CreateComputePipelines(port->device, port->cache, 1, &info, NULL,
                                                      &program->pipeline);
    if (result != VK_SUCCESS) {
        program->pipeline = VK_NULL_HANDLE;
    }
    return result;
}

// Anything that is neither memory nor loss is the compiler's refusal: the core takes the next
// variant.
static ikat_status compile_failed(ikati_port *port, VkResult result, const char *name) {
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
        result == VK_ERROR_DEVICE_LOST) {
        return vk_fail(port, result, name);
    }
    return ikati_fail(port->host, IKAT_COMPILE, IKAT_MESSAGE_COMPILE,
                      "vulkan: %s does not compile on %s (%d)", name, port->physical.info.name,
                      (int)result);
}

static ikat_status compile_words(ikati_port *port, const ikati_program_params *params,
                                 const uint32_t *words, size_t size_bytes, ikati_program *program) {
    const VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = size_bytes,
        .pCode = words,
    };
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = port->vk.CreateShaderModule(port->device, &info, NULL, &module);
    if (result != VK_SUCCESS) {
        return compile_failed(port, result, params->name);
    }
    result = create_layouts(port, program);
    if (result == VK_SUCCESS) {
        result = create_pipeline(port, params, module, program);
    }
    port->vk.DestroyShaderModule(port->device, module, NULL);
    if (result != VK_SUCCESS) {
        return compile_failed(port, result, params->name);
    }
    vk_name_object(port, VK_OBJECT_TYPE_PIPELINE, (uint64_t)program->pipeline, params->name);
    return IKAT_OK;
}

// From the build's SPIR-V, or what is made now of source and text.
static ikat_status compile(ikati_port *port, const ikati_program_params *params,
                           ikati_program *program) {
    const uint64_t start_ns = ikati_now_ns();
    ikat_status status;
    if (params->text) {
        vk_words made;
        status = vk_compiler_run(port, params, &made);
        status =
            status ? status : compile_words(port, params, made.words, made.size_bytes, program);
        ikati_free(port->host, made.words);
    } else {
        const vk_spirv *spirv = find_spirv(params->kernel, params->variant);
        if (!spirv) {
            return ikati_fail(port->host, IKAT_COMPILE, IKAT_MESSAGE_COMPILE,
                              "vulkan: %s has no SPIR-V in this build", params->name);
        }
        status = compile_words(port, params, spirv->words, spirv->size_bytes, program);
    }
    if (!status) {
        vk_count_compiled(port, ikati_now_ns() - start_ns);
    }
    return status;
}

ikat_status vk_program_create(ikati_port *port, const ikati_program_params *params,
                              ikati_program **out_program) {
    *out_program = NULL;
    assert(params->kernel->num_bindings <= IKATI_MAX_BINDINGS);
    assert(params->kernel->num_specialisation <= IKATI_MAX_SPECIALISATION);
    if (vk_port_lost(port)) {
        return IKAT_DEVICE_LOST;
    }
    ikati_program *program = ikati_alloc(port->host, 1, sizeof(*program));
    if (!program) {
        return IKAT_NO_MEMORY;
    }
    program->kernel = params->kernel;
    program->variant = params->variant;
    ikat_status status = compile(port, params, program);
    if (status != IKAT_OK) {
        vk_program_destroy(port, program);
        return status;
    }
    *out_program = program;
    return IKAT_OK;
}

void vk_program_destroy(ikati_port *port, ikati_program *program) {
    if (!program) {
        return;
    }
    port->vk.DestroyPipeline(port->device, program->pipeline, NULL);
    port->vk.DestroyPipelineLayout(port->device, program->layout, NULL);
    port->vk.DestroyDescriptorSetLayout(port->device, program->set_layout, NULL);
    ikati_free(port->host, program);
}
