#include "windows.h"

#include <math.h>

// The channel of a head's tensor at a position; channels past one head's are the next one's.
static double load_channel(const ikati_call_tensor *x, int64_t b, int64_t head, int64_t position,
                           int64_t channel) {
    const int64_t columns = x->tensor.shape[3];
    return cpu_load(x, cpu_index(x, b, head + channel / columns, position, 0) + channel % columns);
}

static double convolve(const cpu_windows *w, int64_t b, int64_t head, int64_t first, int64_t end,
                       int64_t column) {
    const int64_t columns = w->x->tensor.shape[3], group = w->weights->tensor.shape[1];
    const bool joins_heads = w->weights->tensor.shape[2] != columns;
    const int64_t output = joins_heads ? head * columns + column : column;
    const int64_t first_input = output / group * group; // as many outputs a group as inputs
    double sum = w->bias ? cpu_load(w->bias, cpu_index(w->bias, output, 0, 0, 0)) : 0;
    for (int64_t t = 0; first + t < end; t++) {
        for (int64_t i = 0; i < group; i++) {
            sum += cpu_load(w->weights, cpu_index(w->weights, t, i, output, 0)) *
                   load_channel(w->x, b, joins_heads ? 0 : head, first + t, first_input + i);
        }
    }
    return sum;
}

static double pool(const cpu_windows *w, int64_t b, int64_t head, int64_t first, int64_t end,
                   int64_t column) {
    double sum = 0, maximum = -INFINITY;
    for (int64_t j = first; j < end; j++) {
        const double x = load_channel(w->x, b, head, j, column);
        sum += x;
        maximum = x > maximum || isnan(x) ? x : maximum;
    }
    return w->kind == CPU_WINDOW_MAX ? maximum : sum / (double)(end - first);
}

void cpu_reduce_window(const cpu_windows *w, int64_t b, int64_t head, int64_t num_valid, int64_t c,
                       double *out) {
    const int64_t first = c * w->stride;
    const int64_t end = num_valid - first < w->size ? num_valid : first + w->size;
    for (int64_t column = 0; column < w->x->tensor.shape[3]; column++) {
        out[column] = w->kind == CPU_WINDOW_CONV ? convolve(w, b, head, first, end, column)
                                                 : pool(w, b, head, first, end, column);
    }
}

double cpu_attend_keys(const double *query, const double *keys, const double *values, int64_t num,
                       int64_t size, int64_t value_size, double scale, double *scores,
                       double *out) {
    double maximum = -INFINITY, sum = 0;
    bool sees_any = false;
    for (int64_t d = 0; d < value_size; d++) {
        out[d] = 0;
    }
    for (int64_t j = 0; j < num; j++) {
        scores[j] = scale * cpu_dot(query, keys + j * size, size);
        sees_any = sees_any || scores[j] != -INFINITY; // NaN is seen
        maximum = scores[j] > maximum ? scores[j] : maximum;
    }
    if (!sees_any) {
        return -INFINITY;
    }
    for (int64_t j = 0; j < num; j++) {
        if (scores[j] == -INFINITY) continue; // its value may be NaN: not multiplied by 0
        const double weight = exp(scores[j] - maximum);
        sum += weight;
        cpu_add_scaled(out, weight, values + j * value_size, value_size);
    }
    for (int64_t d = 0; d < value_size; d++) {
        out[d] /= sum;
    }
    return maximum + log(sum);
}
