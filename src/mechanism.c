#include "mechanism.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MECHANISM(name) extern const ikati_mechanism ikati_mechanism_##name;
#include "mechanisms.inc"
#undef MECHANISM

static const ikati_mechanism *const mechanisms[] = {
#define MECHANISM(name) &ikati_mechanism_##name,
#include "mechanisms.inc"
#undef MECHANISM
};

enum { NUM_MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

uint32_t ikat_mechanism_count(void) { return NUM_MECHANISMS; }

const ikat_mechanism_info *ikat_mechanism_at(uint32_t index) {
    return index < NUM_MECHANISMS ? &mechanisms[index]->info : NULL;
}

const ikati_mechanism *ikati_mechanism_find(const char *name) {
    for (uint32_t i = 0; name && i < NUM_MECHANISMS; i++) {
        if (strcmp(mechanisms[i]->info.name, name) == 0) {
            return mechanisms[i];
        }
    }
    return NULL;
}

const ikat_mechanism_info *ikat_mechanism_find(const char *name) {
    const ikati_mechanism *mechanism = ikati_mechanism_find(name);
    return mechanism ? &mechanism->info : NULL;
}

const ikat_mechanism_case *ikat_mechanism_cases(const char *name, uint32_t *out_num_cases) {
    const ikati_mechanism *mechanism = ikati_mechanism_find(name);
    *out_num_cases = mechanism ? mechanism->num_cases : 0;
    return mechanism ? mechanism->cases : NULL;
}

double ikati_tolerance_default(ikat_dtype dtype, double num_terms) {
    if (dtype == IKAT_FLOAT16) {
        return 2e-3;
    }
    return fmin(2e-5, fmax(2e-6, 2e-6 * sqrt(num_terms / 64.0)));
}

// Michel, Levy, Neubig, Are Sixteen Heads Really Better than One?, arXiv:1905.10650.
static const ikat_argument_info head_mask = {
    .name = "head_mask",
    .shape = "[H]",
    .dtype = "int32",
    .optional = true,
    .structure = true,
    .values = "0..1",
    .help = "0: the head is pruned, its out is 0 and its lse -inf",
};

// Whether the main output is [B,H,N,Dv], or can be; whose shape depends on the call has heads first,
// and refuses the mask where it has none.
static bool has_heads(const ikat_mechanism_info *info) {
    const char *shape = info->outputs[0].shape, *end = strchr(shape, ']');
    return strncmp(shape, "[B,H,", 5) == 0 && end && strncmp(end - 3, ",Dv", 3) == 0;
}

const ikat_argument_info *ikat_mechanism_input(const ikat_mechanism_info *info, uint32_t index) {
    if (index < info->num_inputs) {
        return &info->inputs[index];
    }
    return has_heads(info) && index == info->num_inputs ? &head_mask : NULL;
}

uint32_t ikati_find_input(const ikat_mechanism_info *info, const char *name) {
    const ikat_argument_info *input;
    uint32_t index = 0;
    while ((input = ikat_mechanism_input(info, index)) && !ikat_name_matches(input->name, name)) {
        index++;
    }
    return input ? index : UINT32_MAX;
}

const ikat_argument_info *ikat_mechanism_find_input(const ikat_mechanism_info *info,
                                                    const char *name) {
    return ikat_mechanism_input(info, ikati_find_input(info, name));
}

uint32_t ikati_input_index(const ikati_request *request, const char *name) {
    const uint32_t index = ikati_find_input(&request->mechanism->info, name);
    assert(index < IKATI_MAX_INPUTS);
    return index;
}

uint32_t ikati_setting_index(const ikati_request *request, const char *name) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    uint32_t index = 0;
    while (index < info->num_settings && strcmp(info->settings[index].name, name) != 0) {
        index++;
    }
    assert(index < info->num_settings);
    return index;
}

int64_t ikati_extent(const ikati_request *request, const char *letter) {
    for (uint32_t i = 0; i < request->num_letters; i++) {
        if (strcmp(request->letters[i].name, letter) == 0) {
            return request->letters[i].extent;
        }
    }
    return 0;
}

const int32_t *ikati_structure(const ikati_request *request, const char *name) {
    return ikati_input(request, name)->values;
}

int64_t ikati_setting_item(const ikati_call_setting *setting, int64_t index) {
    return setting->integers[setting->num_integers == 1 ? 0 : index];
}

bool ikati_keeps_head(const ikati_request *request, int64_t head) {
    const uint32_t index = ikati_find_input(&request->mechanism->info, head_mask.name);
    const int32_t *mask = index < IKATI_MAX_INPUTS ? request->inputs[index].values : NULL;
    return !mask || mask[head];
}
