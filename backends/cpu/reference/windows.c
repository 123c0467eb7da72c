#include "windows.h"

#include <math.h>

// The channel of a head's tensor at a position; channels past one head's are the next one's.
static double load_channel(const ikati_call_tensor *x, int64_t b, int64_t head, int64_t position,
                           int64_t channel) {
    const int64_t columns = x->tensor.shape[3];
    return cpu_load(x, cpu_index(x, b, head + channel / columns, position, 0) + channel % columns);
}

// What one input adds to those outputs of its group, o to end - 1, that are the head's; `out` is of output
// `first_output`.
static void add_input(const cpu_windows *w, int64_t t, int64_t i, double x, int64_t o, int64_t end,
                      int64_t first_output, double *out) {
    const int64_t at = cpu_index(w->weights, t, i, 0, 0);
    for (; o < end; o++) {
        out[o - first_output] += x * cpu_load(w->weights, at + o);
    }
}

static void convolve(const cpu_windows *w, int64_t b, int64_t head, int64_t first, int64_t end,
                     double *out) {
    const int64_t columns = w->x->tensor.shape[3], group = w->weights->tensor.shape[1];
    const bool joins_heads = w->weights->tensor.shape[2] != columns;
    const int64_t output = joins_heads ? head * columns : 0, end_output = output + columns;
    for (int64_t c = 0; c < columns; c++) {
        out[c] = w->bias ? cpu_load(w->bias, cpu_index(w->bias, output + c, 0, 0, 0)) : 0;
    }
    for (int64_t position = first; position < end; position++) {
        // As many outputs a group as inputs.
        for (int64_t o = output / group * group; o < end_output; o += group) {
            for (int64_t i = 0; i < group; i++) {
                const double x = load_channel(w->x, b, joins_heads ? 0 : head, position, o + i);
                add_input(w, position - first, i, x, o > output ? o : output,
                          o + group < end_output ? o + group : end_output, output, out);
            }
        }
    }
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
    if (w->kind == CPU_WINDOW_CONV) {
        convolve(w, b, head, first, end, out);
        return;
    }
    for (int64_t column = 0; column < w->x->tensor.shape[3]; column++) {
        out[column] = pool(w, b, head, first, end, column);
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
