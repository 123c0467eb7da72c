#include "draw.h"

#include "load.h"
#include "values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fill_name(cli_fill fill) {
    static const char *const names[NUM_FILLS] = {"random", "equal", "large", "dominant",
                                                 "poisoned"};
    return names[fill];
}

// xorshift64* of Vigna, arXiv:1402.6246: the same numbers on every machine.
typedef struct cli_generator {
    uint64_t state;
} cli_generator;

static uint32_t draw_bits(cli_generator *generator) {
    uint64_t state = generator->state;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    generator->state = state;
    return (uint32_t)(state * 0x2545f4914f6cdd1d >> 32);
}

static double draw_uniform(cli_generator *generator) {
    return ((double)draw_bits(generator) + 0.5) * 0x1p-32;
}

static double draw_normal(cli_generator *generator) {
    double radius = sqrt(-2 * log(draw_uniform(generator)));
    return radius * cos(6.283185307179586 * draw_uniform(generator));
}

// Each tensor has a stream of its own, by its name: one more input changes no other.
static cli_generator generator_for(const char *name, uint64_t seed) {
    uint64_t state = 0x9e3779b97f4a7c15 * (seed + 1);
    for (; *name; name++) {
        state = (state ^ (uint8_t)*name) * 0x100000001b3;
    }
    return (cli_generator){state ? state : 1};
}

static bool parse_shape(const char *text, size_t length, ikat_tensor *tensor) {
    while (length) {
        char *end;
        long long extent = strtoll(text, &end, 10);
        size_t used = (size_t)(end - text);
        if (used == 0 || used > length || extent < 0 || tensor->rank == IKAT_MAX_RANK) {
            return false;
        }
        tensor->shape[tensor->rank++] = extent;
        text += used;
        length -= used;
        if (length && *text == ',') {
            text++;
            length--;
        }
    }
    return true;
}

// One "name=shape" or "name=shape@values"; *values is where the values start, NULL if they are
// drawn.
static bool parse_input(const char *text, size_t length, cli_drawing *out, const char **values) {
    const char *equals = memchr(text, '=', length);
    if (!equals || equals == text || out->num_inputs == JOB_MAX_TENSORS) {
        return false;
    }
    cli_drawn *input = &out->inputs[out->num_inputs++];
    size_t name_length = (size_t)(equals - text);
    if (name_length >= sizeof(input->name)) {
        return false;
    }
    memcpy(input->name, text, name_length);
    char *type = strstr(input->name, ":float");
    if (type) {
        *type = '\0';
        input->floating = true;
    }
    input->info = ikat_mechanism_find_input(out->info, input->name);
    const char *end = text + length;
    const char *at = memchr(equals, '@', (size_t)(end - equals));
    *values = at ? at + 1 : NULL;
    return parse_shape(equals + 1, (size_t)((at ? at : end) - equals - 1), &input->tensor);
}

// "0..3" after `@`: whole numbers drawn from a range. False if `text` is not one.
static bool fill_range(cli_drawn *input, const char *text, uint64_t seed) {
    char *end;
    long minimum = strtol(text, &end, 10);
    if (end == text || strncmp(end, "..", 2) != 0) {
        return false;
    }
    text = end + 2;
    long maximum = strtol(text, &end, 10);
    cli_generator generator = generator_for(input->name, seed);
    for (uint64_t i = 0; i < tensor_count(&input->tensor); i++) {
        double value = floor((double)(maximum - minimum + 1) * draw_uniform(&generator));
        value_store(input->tensor.dtype, input->data, i, (double)minimum + value);
    }
    return end != text && (*end == '\0' || *end == ' ') && maximum >= minimum;
}

// Values after `@`, "1,0*9,inf", repeated as often as needed.
static bool fill_given(cli_drawn *input, const char *text, uint64_t seed) {
    if (fill_range(input, text, seed)) {
        return true;
    }
    uint64_t count = tensor_count(&input->tensor);
    const char *at = text;
    for (uint64_t i = 0; i < count;) {
        char *end;
        double value = strtod(at, &end);
        bool good = end != at;
        uint64_t times = *end == '*' ? strtoull(end + 1, &end, 10) : 1;
        if (!good || times == 0 || !strchr(", ", *end)) { // the end of the text is found as well
            return false;
        }
        for (; times > 0 && i < count; times--) {
            value_store(input->tensor.dtype, input->data, i++, value);
        }
        at = *end == ',' ? end + 1 : text;
    }
    return true;
}

static bool is_main(const cli_drawn *input) {
    return input->info && strcmp(input->info->dtype, "float") == 0;
}

// What a fill style multiplies a tensor by. Only the first main tensor grows: the scores grow as it
// does.
static double fill_factor(cli_fill fill, uint32_t index) {
    return fill == FILL_LARGE && index == 0 ? 32 : 1;
}

static void fill_drawn(cli_drawn *input, uint32_t index, const cli_letters *letters, cli_fill fill,
                       uint64_t seed) {
    cli_generator generator = generator_for(input->name, seed);
    uint64_t count = tensor_count(&input->tensor);
    ikat_dtype dtype = input->tensor.dtype;
    bool floating = dtype == IKAT_FLOAT32 || dtype == IKAT_FLOAT16;
    double minimum = 0, maximum = 7;
    bool bounded =
        letters_range(letters, input->info ? input->info->values : NULL, &minimum, &maximum);
    double constant = draw_normal(&generator);
    double factor = is_main(input) ? fill_factor(fill, index) : 1;
    for (uint64_t i = 0; i < count; i++) {
        double value = constant;
        if (!floating || bounded) {
            value = minimum + (maximum - minimum) * draw_uniform(&generator);
        } else if (fill != FILL_EQUAL || !is_main(input)) {
            value = factor * draw_normal(&generator);
        }
        value_store(dtype, input->data, i, value);
    }
}

static const cli_drawn *find_drawn(const cli_drawing *drawing, const char *name) {
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        if (strcmp(drawing->inputs[i].name, name) == 0) {
            return &drawing->inputs[i];
        }
    }
    return NULL;
}

// A rewrite of rows along one axis: those from `first[batch]` on, those that `mask` has as 0, or one
// alone are multiplied.
typedef struct row_change {
    const char *letter;
    const cli_drawn *first; // int32, one a batch entry; NULL: row `row` of every entry
    int64_t row;
    double factor;         // NaN poisons
    const cli_drawn *mask; // int32, one a row of the axis; NULL: there is none
} row_change;

static bool change_applies(const row_change *change, int64_t batch, int64_t row) {
    if (change->mask) {
        return value_load(change->mask->tensor.dtype, change->mask->data, (uint64_t)row) == 0;
    }
    return change->first ? (double)row >= value_load(change->first->tensor.dtype,
                                                     change->first->data, (uint64_t)batch)
                         : row == change->row;
}

static void change_rows(cli_drawn *input, const row_change *change) {
    cli_pattern shape;
    if (!input->info || !pattern_read(input->info->shape, input->tensor.rank, &shape)) {
        return;
    }
    uint32_t axis = pattern_axis(&shape, change->letter);
    // The batch is the first axis; a tensor that all entries share has no padding of its own.
    bool batched = strcmp(shape.axes[0].words[0], "B") == 0;
    if (axis >= shape.rank ||
        (change->first && (!batched || input->tensor.shape[0] != change->first->tensor.shape[0]))) {
        return;
    }
    uint64_t inner = 1, batch_size = 1;
    for (uint32_t i = 1; i < shape.rank; i++) {
        inner *= i > axis ? (uint64_t)input->tensor.shape[i] : 1;
        batch_size *= (uint64_t)input->tensor.shape[i];
    }
    uint64_t count = tensor_count(&input->tensor);
    for (uint64_t i = 0; i < count; i++) {
        int64_t row = (int64_t)(i / inner % (uint64_t)input->tensor.shape[axis]);
        if (change_applies(change, (int64_t)(i / batch_size), row)) {
            double value = value_load(input->tensor.dtype, input->data, i);
            value_store(input->tensor.dtype, input->data, i, value * change->factor);
        }
    }
}

static void change_all(cli_drawing *drawing, const row_change *change, bool only_main) {
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        cli_drawn *input = &drawing->inputs[i];
        bool floating = input->tensor.dtype == IKAT_FLOAT32 || input->tensor.dtype == IKAT_FLOAT16;
        if (only_main ? is_main(input) : floating) {
            change_rows(input, change);
        }
    }
}

static void poison(cli_drawing *drawing) {
    const cli_drawn *rows = find_drawn(drawing, "valid");
    if (rows) {
        change_all(drawing, &(row_change){"S", NULL, 0, NAN, rows}, false);
    }
    const cli_drawn *keys = find_drawn(drawing, "lengths");
    const cli_drawn *queries = find_drawn(drawing, "query_lengths");
    int64_t num_queries = 0, num_keys = 0;
    letters_get(&drawing->letters, "N", &num_queries);
    if (!letters_get(&drawing->letters, "M", &num_keys)) {
        num_keys = num_queries; // self-attention by its shapes
    }
    if (keys) {
        change_all(drawing, &(row_change){"M", keys, 0, NAN, NULL}, false);
    }
    if (!queries && num_queries == num_keys) {
        queries = keys;
    }
    if (queries) {
        change_all(drawing, &(row_change){"N", queries, 0, NAN, NULL}, false);
    }
}

static void apply_fill(cli_drawing *drawing, cli_fill fill, uint64_t seed) {
    int64_t num_keys = 0;
    const char *letter = letters_get(&drawing->letters, "M", &num_keys)   ? "M"
                         : letters_get(&drawing->letters, "N", &num_keys) ? "N"
                                                                          : "S";
    letters_get(&drawing->letters, letter, &num_keys);
    if (fill == FILL_DOMINANT && num_keys) {
        int64_t row = (int64_t)(seed * 7 % (uint64_t)num_keys);
        change_all(drawing, &(row_change){letter, NULL, row, 16, NULL}, true);
    } else if (fill == FILL_POISONED) {
        poison(drawing);
    }
}

// "causal=1 softcap=5" to settings; the text is cut up in place.
static bool parse_settings(cli_drawing *out, const char *text) {
    out->settings_text = tool_copy(text ? text : "");
    for (char *word = strtok(out->settings_text, " "); word; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (!equals || out->num_settings == JOB_MAX_TENSORS) {
            return false;
        }
        *equals = '\0';
        out->settings[out->num_settings++] = ikat_setting_text(word, equals + 1);
    }
    return true;
}

// Tensors that may have either type have the other one where one key dominates, so that both
// mixtures occur.
static ikat_dtype pick_dtype(const cli_drawn *input, ikat_dtype main, cli_fill fill) {
    if (!input->info || input->floating) {
        return input->floating ? IKAT_FLOAT32 : main;
    }
    ikat_dtype other = main == IKAT_FLOAT16 ? IKAT_FLOAT32 : IKAT_FLOAT16;
    bool swap = fill == FILL_DOMINANT && strcmp(input->info->dtype, "any float") == 0;
    return load_dtype(input->info, swap ? other : main);
}

// "!lse"
static bool parse_omitted(const char *text, size_t length, cli_drawing *out) {
    char *name = out->omitted[out->num_omitted];
    if (length >= sizeof(out->omitted[0]) ||
        out->num_omitted == sizeof(out->omitted) / sizeof(out->omitted[0])) {
        return false;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    out->num_omitted++;
    return true;
}

static bool parse_inputs(cli_drawing *out, const char *text, ikat_dtype main, cli_fill fill,
                         const char **values) {
    while (*(text += strspn(text, " "))) {
        size_t length = strcspn(text, " ");
        if (*text == '!') {
            if (!parse_omitted(text + 1, length - 1, out)) {
                return false;
            }
            text += length;
            continue;
        }
        if (!parse_input(text, length, out, &values[out->num_inputs])) {
            return false;
        }
        cli_drawn *input = &out->inputs[out->num_inputs - 1];
        input->tensor.dtype = pick_dtype(input, main, fill);
        input->data =
            tool_alloc(tensor_count(&input->tensor), ikat_dtype_size(input->tensor.dtype));
        if (input->info) {
            letters_learn(&out->letters, input->info->shape, &input->tensor);
        }
        text += length;
    }
    return true;
}

bool drawing_make(const ikat_mechanism_info *info, const char *inputs, const char *settings,
                  ikat_dtype main, cli_fill fill, uint64_t seed, cli_drawing *out, char *message,
                  size_t message_size) {
    *out = (cli_drawing){.info = info};
    const char *values[JOB_MAX_TENSORS + 1] = {NULL};
    if (!parse_inputs(out, inputs, main, fill, values) || !parse_settings(out, settings)) {
        snprintf(message, message_size,
                 "the example cannot be read: inputs '%.200s', settings '%.200s'", inputs,
                 settings ? settings : "");
        drawing_free(out);
        return false;
    }
    for (uint32_t i = 0; i < out->num_inputs; i++) {
        if (!values[i]) {
            fill_drawn(&out->inputs[i], i, &out->letters, fill, seed);
        } else if (!fill_given(&out->inputs[i], values[i], seed)) {
            snprintf(message, message_size, "the example's values of %s cannot be read",
                     out->inputs[i].name);
            drawing_free(out);
            return false;
        }
    }
    apply_fill(out, fill, seed);
    return true;
}

void drawing_free(cli_drawing *drawing) {
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        free(drawing->inputs[i].data);
    }
    free(drawing->settings_text);
    *drawing = (cli_drawing){0};
}

static void widen_input(const cli_drawn *from, cli_drawn *out) {
    *out = *from;
    uint64_t count = tensor_count(&from->tensor);
    if (from->tensor.dtype == IKAT_FLOAT16) {
        out->tensor.dtype = IKAT_FLOAT32;
    }
    out->data = tool_alloc(count, ikat_dtype_size(out->tensor.dtype));
    if (out->tensor.dtype == from->tensor.dtype) {
        memcpy(out->data, from->data, count * ikat_dtype_size(from->tensor.dtype));
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        ((float *)out->data)[i] = half_to_float(((const uint16_t *)from->data)[i]);
    }
}

void drawing_widen(const cli_drawing *drawing, cli_drawing *out) {
    *out = *drawing;
    for (uint32_t i = 0; i < drawing->num_inputs; i++) {
        widen_input(&drawing->inputs[i], &out->inputs[i]);
    }
    // The settings stay where they are: they point into the other's text.
    out->settings_text = NULL;
}

bool drawing_text_is_padded(const char *inputs) {
    return strstr(inputs, "lengths=") || strstr(inputs, " valid=");
}

bool drawing_makes(const cli_drawing *drawing, const char *output) {
    uint32_t i = 0;
    while (i < drawing->num_omitted && strcmp(drawing->omitted[i], output) != 0) {
        i++;
    }
    return i == drawing->num_omitted;
}
