#include "nested.h"

#include "core.h"
#include "lower_rows.h"

#include <stdio.h>
#include <string.h>

static const char *const made[] = {"q", "k", "v"};

// NAME of PREFIX.NAME; NULL if it is none.
static const char *name_after(const char *prefix, const char *name) {
    const size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 && name[length] != '*' ? name + length : NULL;
}

static bool has_setting(const ikat_mechanism_info *info, const char *name) {
    for (uint32_t i = 0; i < info->num_settings; i++) {
        if (strcmp(info->settings[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static ikat_status check_mechanism(const ikati_request *request, const ikati_nested *n,
                                   const ikat_mechanism_info *info) {
    bool good = info->num_outputs && strcmp(info->outputs[0].shape, "[B,H,N,Dv]") == 0;
    for (int i = 0; i < 3 && good; i++) {
        const ikat_argument_info *input = ikat_mechanism_find_input(info, made[i]);
        good = input && !input->optional && strcmp(input->dtype, "float") == 0;
    }
    const ikat_argument_info *lengths = ikat_mechanism_find_input(info, "lengths");
    good = good && (!n->lengths->present || (lengths && !lengths->structure)) &&
           (!n->causal || has_setting(info, "causal"));
    if (good && n->scale->given && !has_setting(info, "scale")) {
        good = false;
    }
    return good ? IKAT_OK
                : ikati_fail(request->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_CONTRADICTION,
                             "attention is '%s', expected a mechanism that takes q, k, v, and "
                             "lengths, causal and scale where they are given, to [B,H,N,Dv]",
                             n->mechanism);
}

// A tensor as the inner call gets it: halves are widened, since q, k and v are float32.
static ikat_tensor widened(const ikati_tensor_use *use, const ikat_argument_info *row) {
    ikat_tensor tensor = use->tensor;
    if (tensor.dtype != IKAT_FLOAT16 || !row || strcmp(row->dtype, "float") != 0) {
        return tensor;
    }
    tensor.dtype = IKAT_FLOAT32;
    tensor.offset = 0;
    memset(tensor.strides, 0, sizeof(tensor.strides));
    return tensor;
}

static uint32_t list_inputs(const ikati_request *request, const ikati_nested *n,
                            const ikat_mechanism_info *info, ikat_argument *inputs) {
    const ikat_tensor tensors[] = {n->q, n->k, n->v};
    uint32_t num = 0;
    for (int i = 0; i < 3; i++) {
        inputs[num++] = (ikat_argument){made[i], tensors[i], NULL};
    }
    if (n->lengths->present) {
        inputs[num++] = (ikat_argument){"lengths", n->lengths->tensor, NULL};
    }
    for (uint32_t i = 0; i < request->num_inputs; i++) {
        const ikati_tensor_use *use = &request->inputs[i];
        const char *name = use->present ? name_after(n->prefix, use->name) : NULL;
        if (name) {
            inputs[num++] = (ikat_argument){
                name, widened(use, ikat_mechanism_find_input(info, name)), use->values};
        }
    }
    return num;
}

static uint32_t list_settings(const ikati_request *request, const ikati_nested *n,
                              const ikat_mechanism_info *info, ikat_setting *settings) {
    uint32_t num = 0;
    if (has_setting(info, "causal")) {
        settings[num++] = ikat_setting_int("causal", n->causal);
    }
    if (n->scale->given) {
        settings[num++] = ikat_setting_float("scale", n->scale->number);
    }
    for (uint32_t i = request->mechanism->info.num_settings; i < request->num_settings; i++) {
        const char *name = name_after(n->prefix, request->settings[i].name);
        if (name) {
            settings[num++] = ikat_setting_text(name, request->settings[i].text);
        }
    }
    return num;
}

// Whose errors a log is told: those of the inner call, by names that are not the caller's.
typedef struct naming {
    const ikati_host *host;
    const char *mechanism;
} naming;

static void log_inner(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    const naming *self = user;
    char line[1024];
    snprintf(line, sizeof(line), "attention = %s: %s", self->mechanism, text);
    self->host->log(self->host->log_user, level, id, line);
}

ikat_status ikati_nested_create(ikati_request *request, const ikati_nested *n) {
    const ikati_mechanism *mechanism = ikati_mechanism_find(n->mechanism);
    if (!mechanism) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_MECHANISM,
                          "attention is '%s', which is no mechanism", n->mechanism);
    }
    ikat_status status = check_mechanism(request, n, &mechanism->info);
    if (status) {
        return status;
    }
    ikat_argument inputs[IKATI_MAX_INPUTS + 4];
    ikat_setting settings[IKATI_MAX_SETTINGS + 2];
    const ikat_argument out = {"out", n->out, NULL};
    const ikat_plan_params params = {
        .inputs = inputs,
        .num_inputs = list_inputs(request, n, &mechanism->info, inputs),
        .settings = settings,
        .num_settings = list_settings(request, n, &mechanism->info, settings),
        .outputs = &out,
        .num_outputs = 1,
    };
    ikati_request *inner = ikati_alloc(request->host, 1, sizeof(*inner));
    if (!inner) {
        return IKAT_NO_MEMORY;
    }
    naming self = {request->host, n->mechanism};
    ikati_host named = *request->host;
    named.log = named.log ? log_inner : NULL;
    named.log_user = &self;
    status = ikati_request_create_for(&named, mechanism, &params, inner);
    inner->host = request->host;
    if (status) {
        ikati_free(request->host, inner);
        return status;
    }
    if (request->inner) { // checked once more
        ikati_request_clear(request->inner);
        ikati_free(request->host, request->inner);
    }
    request->inner = inner;
    return IKAT_OK;
}

// Where an input of the caller's lies, or a copy of it as float32.
static ikat_status place(const ikati_request *request, ikati_lowering *lowering, uint32_t index,
                         ikati_tensor_use *use) {
    const ikat_tensor *from = &request->inputs[index].tensor;
    use->slot = IKATI_SLOT_INPUT;
    use->slot_index = index;
    if (from->dtype == use->tensor.dtype) {
        return IKAT_OK;
    }
    ikat_tensor padded = {.dtype = from->dtype, .rank = 4, .offset = from->offset}, copied;
    for (uint32_t axis = 0; axis < 4; axis++) { // leading axes of extent 1
        const bool real = axis + from->rank >= 4;
        padded.shape[axis] = real ? from->shape[axis + from->rank - 4] : 1;
        padded.strides[axis] = real ? from->strides[axis + from->rank - 4] : 0;
    }
    ikati_view view = {IKATI_SLOT_INPUT, index, &padded};
    ikat_status status = ikati_lower_widen(lowering, &view, &copied);
    use->slot = view.kind;
    use->slot_index = view.index;
    return status;
}

// The caller's input that is the inner call's `name`; of those that are not present none.
static bool is_for(const ikati_tensor_use *outer, const char *prefix, const char *name) {
    const char *handed = name_after(prefix, outer->name);
    const bool is_lengths = strcmp(name, "lengths") == 0 && strcmp(outer->name, name) == 0;
    return outer->present && (is_lengths || (handed && strcmp(handed, name) == 0));
}

ikat_status ikati_nested_lower(const ikati_request *request, ikati_lowering *lowering,
                               const char *prefix, const uint32_t qkv[3], uint32_t out) {
    ikati_request inner = *request->inner;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < inner.num_inputs && !status; i++) {
        ikati_tensor_use *use = &inner.inputs[i];
        if (!use->present || use->info->structure) {
            continue;
        }
        for (uint32_t m = 0; m < 3; m++) {
            if (strcmp(use->name, made[m]) == 0) {
                use->slot = IKATI_SLOT_SCRATCH;
                use->slot_index = qkv[m];
            }
        }
        for (uint32_t m = 0; m < request->num_inputs && !use->slot && !status; m++) {
            if (is_for(&request->inputs[m], prefix, use->name)) {
                status = place(request, lowering, m, use);
            }
        }
    }
    inner.outputs[0].slot = IKATI_SLOT_SCRATCH;
    inner.outputs[0].slot_index = out;
    return status ? status : inner.mechanism->lower(&inner, lowering);
}
