// Which variant of a kernel a step runs: the first row that the device and the call can use.

#include "core.h"

#include <stdio.h>
#include <string.h>

enum { REFUSAL_CAPACITY = 512 };

static const char compiler_failed[] = "the driver's compiler failed";
// Not listed: such rows are for other calls.
static const char other_calls[] = "made for calls with, or without, expressions or topk";

// Those that a workgroup binds: all but what it reads as texels.
static uint32_t count_storage_buffers(const ikati_kernel *kernel, const ikati_variant *variant) {
    uint32_t num = 0;
    for (uint32_t i = 0; i < kernel->num_bindings; i++) {
        num += !(variant->texel_bindings & (UINT32_C(1) << i));
    }
    return num;
}

// Why a variant cannot run here; NULL if it can. Hard limits only, see `unsuitable`.
static const char *impossible(const ikati_lowering *lowering, const ikati_kernel *kernel,
                              const ikati_variant *variant, const ikati_pick *pick) {
    const ikat_device_limits *limits = &lowering->device->info.limits;
    const uint32_t types = IKATI_NEED_FLOAT | IKATI_NEED_HALF;
    const uint32_t call = types | IKATI_NEED_ALIGNED4;
    if ((variant->needs ^ pick->offers) & (IKATI_NEED_EXPRESSION | IKATI_NEED_TOPK)) {
        return other_calls;
    }
    if ((variant->needs & IKATI_NEED_COMPILER) && !pick->text) {
        return limits->runtime_compiler ? "too long to compile" : "no compiler at run time";
    }
    if (variant->shared_bytes > limits->shared_memory_bytes) {
        return "shared memory";
    }
    if (count_storage_buffers(kernel, variant) > limits->max_storage_buffers) {
        return "storage buffers";
    }
    if (variant->group_size > limits->max_group_size) {
        return "workgroup size";
    }
    if (variant->subgroup_size && variant->subgroup_size != limits->subgroup_size) {
        return "subgroup size";
    }
    if (variant->vector_width > limits->vector_width) {
        return "vector width";
    }
    if ((variant->needs & IKATI_NEED_TEXEL) && !(pick->offers & IKATI_NEED_TEXEL)) {
        return "texel buffers";
    }
    if (variant->needs & types & ~pick->offers) {
        return "element type";
    }
    if (variant->needs & IKATI_NEED_DENSE & ~pick->offers) {
        return "a sparse pattern";
    }
    if (variant->needs & call & ~pick->offers) {
        return "sizes, strides or offsets that are no multiples of 4";
    }
    for (int i = 0; i < 2; i++) {
        if (variant->sizes[i] && pick->sizes[i] > variant->sizes[i]) {
            return "head or value size";
        }
    }
    const char *text = variant->needs & IKATI_NEED_COMPILER ? pick->text : NULL;
    return ikati_device_program_failed(lowering->device, variant, text) ? compiler_failed : NULL;
}

// Why a variant that can run is not worth taking; NULL if it is.
static const char *unsuitable(const ikati_lowering *lowering, const ikati_variant *variant,
                              const ikati_pick *pick) {
    bool is_cpu = lowering->device->info.type == IKAT_DEVICE_CPU;
    if ((variant->needs & IKATI_NEED_CPU) && !is_cpu) {
        return "made for CPU devices";
    }
    if ((variant->needs & IKATI_NEED_GPU) && is_cpu) {
        return "made for GPUs";
    }
    if (variant->max_rows && pick->num_rows > variant->max_rows) {
        return "made for fewer rows";
    }
    return NULL;
}

// Whether the caller's choice allows a variant. A kernel in which nothing matches is not
// restricted; a full name beats a part of one.
typedef enum forced_match { FORCED_NONE, FORCED_PART, FORCED_FULL } forced_match;

static forced_match match_forced(const ikati_lowering *lowering, const ikati_variant *variant) {
    if (!lowering->forced_variant) {
        return FORCED_NONE;
    }
    const char *forced = lowering->forced_variant;
    if (strcmp(variant->full_name, forced) == 0 || strcmp(variant->name, forced) == 0) {
        return FORCED_FULL;
    }
    return strstr(variant->full_name, forced) ? FORCED_PART : FORCED_NONE;
}

static void add_refusal(char *text, const char *name, const char *reason) {
    size_t length = strlen(text);
    snprintf(text + length, REFUSAL_CAPACITY - length, "%s%s (%s)", length ? ", " : "", name,
             reason);
}

ikat_status ikati_pick_variant(ikati_lowering *lowering, ikati_kernel_id id, const ikati_pick *pick,
                               ikati_step *out_step) {
    const ikati_kernel *kernel = ikati_kernel_get(id);
    ikati_language language = lowering->device->backend->language;
    forced_match wanted = FORCED_NONE;
    for (uint32_t i = 0; i < kernel->num_variants; i++) {
        forced_match match = match_forced(lowering, &kernel->variants[i]);
        wanted = kernel->variants[i].language == language && match > wanted ? match : wanted;
    }
    char refusals[REFUSAL_CAPACITY] = "";
    out_step->kernel = kernel;
    out_step->variant = NULL;
    ikat_status failure = IKAT_UNSUPPORTED;
    for (uint32_t i = 0; i < kernel->num_variants && !out_step->variant; i++) {
        const ikati_variant *variant = &kernel->variants[i];
        if (variant->language != language) {
            continue;
        }
        const char *reason =
            match_forced(lowering, variant) < wanted ? "not the one asked for" : NULL;
        reason = reason ? reason : impossible(lowering, kernel, variant, pick);
        reason = reason || wanted ? reason : unsuitable(lowering, variant, pick);
        if (reason == other_calls && !wanted) {
            continue;
        }
        if (reason) {
            failure = reason == compiler_failed ? IKAT_COMPILE : failure;
            add_refusal(refusals, variant->name, reason);
        } else {
            out_step->variant = variant;
            out_step->text = variant->needs & IKATI_NEED_COMPILER ? pick->text : NULL;
        }
    }
    if (!out_step->variant) {
        return ikati_fail(lowering->host, failure, IKAT_MESSAGE_VARIANT,
                          "%s can run no variant of kernel %s: %s", lowering->device->info.id,
                          kernel->name, refusals);
    }
    out_step->refused = ikati_lowering_text(lowering, refusals, "");
    return out_step->refused ? IKAT_OK : IKAT_NO_MEMORY;
}

static const ikati_backend *find_backend(const char *name) {
    for (uint32_t i = 0; name && i < IKATI_NUM_BACKENDS; i++) {
        if (strcmp(ikati_backends[i]->name, name) == 0) {
            return ikati_backends[i];
        }
    }
    return NULL;
}

const char *ikat_variant_at(const char *backend_name, uint32_t index) {
    const ikati_backend *backend = find_backend(backend_name);
    for (uint32_t k = 0; backend && !backend->run_call && k < IKATI_NUM_KERNELS; k++) {
        const ikati_kernel *kernel = ikati_kernel_get((ikati_kernel_id)k);
        for (uint32_t i = 0; i < kernel->num_variants; i++) {
            if (kernel->variants[i].language == backend->language && index-- == 0) {
                return kernel->variants[i].full_name;
            }
        }
    }
    return NULL;
}
