#include "reference.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 }; // partial sums of a dot product

static const ikati_call_tensor *find_tensor(const ikati_call_tensor *tensors, uint32_t num,
                                            const char *name) {
    for (uint32_t i = 0; i < num; i++) {
        if (strcmp(tensors[i].name, name) == 0) {
            return &tensors[i];
        }
    }
    return NULL;
}

const ikati_call_tensor *cpu_input(const cpu_call *call, const char *name) {
    return find_tensor(call->inputs, call->num_inputs, name);
}

const ikati_call_tensor *cpu_output(const cpu_call *call, const char *name) {
    return find_tensor(call->outputs, call->num_outputs, name);
}

// NULL if no value is known.
static const ikati_call_setting *find_setting(const cpu_call *call, const char *name) {
    for (uint32_t i = 0; i < call->num_settings; i++) {
        const ikati_call_setting *setting = &call->settings[i];
        if (strcmp(setting->name, name) == 0) {
            return setting->given ? setting : NULL;
        }
    }
    return NULL;
}

int64_t cpu_integer(const cpu_call *call, const char *name, int64_t fallback) {
    const ikati_call_setting *setting = find_setting(call, name);
    return setting ? setting->integer : fallback;
}

double cpu_number(const cpu_call *call, const char *name, double fallback) {
    const ikati_call_setting *setting = find_setting(call, name);
    return setting ? setting->number : fallback;
}

const char *cpu_text(const cpu_call *call, const char *name) {
    const ikati_call_setting *setting = find_setting(call, name);
    const char *text = setting ? (setting->text ? setting->text : setting->word) : NULL;
    return text ? text : "";
}

int64_t cpu_item(const cpu_call *call, const char *name, int64_t index) {
    const ikati_call_setting *setting = find_setting(call, name);
    return setting->integers[setting->num_integers == 1 ? 0 : index];
}

int64_t cpu_num_items(const cpu_call *call, const char *name) {
    const ikati_call_setting *setting = find_setting(call, name);
    return setting ? setting->num_integers : 0;
}

int64_t cpu_index(const ikati_call_tensor *tensor, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    const int64_t indices[4] = {i0, i1, i2, i3};
    const ikat_tensor *layout = &tensor->tensor;
    int64_t index = layout->offset;
    for (uint32_t axis = 0; axis < layout->rank && axis < 4; axis++) {
        index += layout->shape[axis] == 1 ? 0 : indices[axis] * layout->strides[axis];
    }
    return index;
}

void cpu_load_row(const ikati_call_tensor *tensor, int64_t index, int64_t count, double *out) {
    for (int64_t i = 0; i < count; i++) {
        out[i] = cpu_load(tensor, index + i);
    }
}

void cpu_store_row(const ikati_call_tensor *tensor, int64_t index, int64_t count,
                   const double *values) {
    for (int64_t i = 0; i < count; i++) {
        cpu_store(tensor, index + i, values[i]);
    }
}

double cpu_dot(const double *restrict a, const double *restrict b, int64_t count) {
    double sums[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (; i < count; i++) {
        sum += a[i] * b[i];
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += sums[lane];
    }
    return sum;
}

void cpu_add_scaled(double *restrict sum, double factor, const double *restrict values,
                    int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        sum[i] += factor * values[i];
    }
}

int64_t cpu_load_length(const ikati_call_tensor *tensor, int64_t b, int64_t maximum) {
    const int64_t length = (int64_t)cpu_load(tensor, cpu_index(tensor, b, 0, 0, 0));
    return length < 0 ? 0 : length > maximum ? maximum : length;
}

static void fill_head(const ikati_call_tensor *tensor, int64_t head, double value) {
    const int64_t *shape = tensor->tensor.shape;
    const int64_t row_size = tensor->tensor.rank == 4 ? shape[3] : 1;
    for (int64_t b = 0; b < shape[0]; b++) {
        for (int64_t i = 0; i < shape[2]; i++) {
            const int64_t row = cpu_index(tensor, b, head, i, 0);
            for (int64_t d = 0; d < row_size; d++) {
                cpu_store(tensor, row + d, value);
            }
        }
    }
}

void cpu_prune_heads(const cpu_call *call) {
    static const struct {
        const char *name;
        double value;
    } outputs[] = {{"out", 0}, {"lse", -INFINITY}, {"out_global", 0}, {"lse_global", -INFINITY}};
    const ikati_call_tensor *mask = cpu_input(call, "head_mask");
    for (int64_t h = 0; mask && h < mask->tensor.shape[0]; h++) {
        for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]) && cpu_load(mask, h) == 0;
             i++) {
            const ikati_call_tensor *output = cpu_output(call, outputs[i].name);
            if (output) {
                fill_head(output, h, outputs[i].value);
            }
        }
    }
}
