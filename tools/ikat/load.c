#include "load.h"

#include "files.h"
#include "letters.h"
#include "values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An input's file while all of them are read: the main type is known after the last one.
typedef struct input_file {
    const cli_argument *given;
    const ikat_argument_info
        *info; // NULL: the mechanism has no such input, and the library will say so
    uint8_t *bytes;
    npy_array array;
} input_file;

const ikat_argument_info *load_find(const ikat_argument_info *list, uint32_t num,
                                    const char *name) {
    for (uint32_t i = 0; i < num; i++) {
        if (ikat_name_matches(list[i].name, name)) {
            return &list[i];
        }
    }
    return NULL;
}

static bool has_main_type(const ikat_argument_info *info) {
    return info && strcmp(info->dtype, "float") == 0;
}

ikat_dtype load_dtype(const ikat_argument_info *info, ikat_dtype main) {
    if (strcmp(info->dtype, "int32 or any float") == 0) {
        return IKAT_INT32;
    }
    if (has_main_type(info) || strcmp(info->dtype, "any float") == 0) {
        return main;
    }
    for (ikat_dtype dtype = IKAT_FLOAT32; dtype <= IKAT_UINT8; dtype = (ikat_dtype)(dtype + 1)) {
        if (strcmp(ikat_dtype_name(dtype), info->dtype) == 0) {
            return dtype;
        }
    }
    return IKAT_FLOAT32;
}

int load_main_dtype(const cli_args *args, ikat_dtype *dtype) {
    const char *text = args_value(args, "dtype");
    if (!text || strcmp(text, "float32") == 0) {
        *dtype = IKAT_FLOAT32;
    } else if (strcmp(text, "float16") == 0) {
        *dtype = IKAT_FLOAT16;
    } else {
        return tool_fail("--dtype is '%s', expected float32 or float16", text);
    }
    return TOOL_OK;
}

static int read_input(input_file *file) {
    size_t size;
    char message[256];
    const cli_argument *given = file->given;
    int code = file_read(given->name, given->text, &file->bytes, &size);
    if (code) {
        return code;
    }
    if (!npy_parse(file->bytes, size, &file->array, message, sizeof(message))) {
        return tool_fail("%s: '%s' cannot be read: %s", given->name, given->text, message);
    }
    if (file->array.rank > IKAT_MAX_RANK) {
        return tool_fail("%s: '%s' has %" PRIu32 " axes, expected at most %d", given->name,
                         given->text, file->array.rank, IKAT_MAX_RANK);
    }
    return TOOL_OK;
}

// The type that the call's main tensors share: that of the first which has a type of the library.
static ikat_dtype find_main_type(const input_file *files, uint32_t num) {
    for (uint32_t i = 0; i < num; i++) {
        ikat_dtype dtype = npy_dtype(&files[i].array);
        if (has_main_type(files[i].info) && (dtype == IKAT_FLOAT32 || dtype == IKAT_FLOAT16)) {
            return dtype;
        }
    }
    return IKAT_FLOAT32;
}

// Types of the library are passed as they are, and checked there; others become what the input
// takes.
static int add_input(cli_load *load, const input_file *file, ikat_dtype main) {
    cli_job *job = &load->job;
    const npy_array *array = &file->array;
    const char *name = file->given->name;
    ikat_dtype dtype = npy_dtype(array);
    if (job->num_tensors == JOB_MAX_TENSORS) {
        return tool_fail("%s is one tensor too many", name);
    }
    if (!dtype) {
        char type[32];
        dtype = file->info ? load_dtype(file->info, has_main_type(file->info) ? main : IKAT_FLOAT32)
                           : IKAT_FLOAT32;
        npy_type_name(array, type);
        tool_append(load->converted, sizeof(load->converted), "%s: %s is converted to %s\n", name,
                    type, ikat_dtype_name(dtype));
    }
    ikat_tensor tensor = {.dtype = dtype, .rank = array->rank};
    memcpy(tensor.shape, array->shape, sizeof(tensor.shape));
    uint32_t image = job_add_image(job, array->count * ikat_dtype_size(dtype), 0);
    char message[256];
    if (!values_convert(array, dtype, job->images[image].bytes, message, sizeof(message))) {
        return tool_fail("%s %s", name, message);
    }
    job_add_tensor(job, name, tensor, image, false);
    return TOOL_OK;
}

static int load_inputs(const cli_args *args, cli_load *load) {
    uint32_t num = args_count(args, "in");
    input_file *files = tool_alloc(num, sizeof(*files));
    int code = TOOL_OK;
    for (uint32_t i = 0; i < num && !code; i++) {
        files[i].given = args_nth(args, "in", i);
        files[i].info = ikat_mechanism_find_input(load->info, files[i].given->name);
        code = read_input(&files[i]);
    }
    ikat_dtype main = code ? IKAT_DTYPE_NONE : find_main_type(files, num);
    for (uint32_t i = 0; i < num && !code; i++) {
        code = add_input(load, &files[i], main);
    }
    for (uint32_t i = 0; i < num; i++) {
        free(files[i].bytes);
    }
    free(files);
    return code;
}

// "1,8,2048,64"
static bool parse_shape(const char *text, ikat_tensor *tensor) {
    while (*text) {
        size_t length = strcspn(text, ",");
        int64_t extent;
        if (tensor->rank == IKAT_MAX_RANK || !args_parse_integer(text, length, &extent) ||
            extent < 0) {
            return false;
        }
        tensor->shape[tensor->rank++] = extent;
        text += length;
        if (*text == ',' && !*++text) {
            return false;
        }
    }
    return true;
}

static int load_shapes(const cli_args *args, ikat_dtype main, cli_load *load) {
    for (uint32_t i = 0; i < args_count(args, "shape"); i++) {
        const cli_argument *given = args_nth(args, "shape", i);
        const ikat_argument_info *info = ikat_mechanism_find_input(load->info, given->name);
        ikat_tensor tensor = {.dtype = info ? load_dtype(info, main) : main};
        if (!parse_shape(given->text, &tensor)) {
            return tool_fail("--shape %s is '%s', expected at most %d extents such as 1,8,2048,64",
                             given->name, given->text, IKAT_MAX_RANK);
        }
        if (!job_add_tensor(&load->job, given->name, tensor, JOB_NO_IMAGE, false)) {
            return tool_fail("%s is one tensor too many", given->name);
        }
    }
    return TOOL_OK;
}

static int load_outputs(const cli_args *args, cli_load *load) {
    for (uint32_t i = 0; i < args_count(args, "out"); i++) {
        const cli_argument *given = args_nth(args, "out", i);
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(args_nth(args, "out", j)->text, given->text) == 0) {
                return tool_fail("--out %s and --out %s both go to '%s', expected a file each",
                                 args_nth(args, "out", j)->name, given->name, given->text);
            }
        }
        if (!job_add_tensor(&load->job, given->name, (ikat_tensor){0}, JOB_NO_IMAGE, true)) {
            return tool_fail("%s is one tensor too many", given->name);
        }
    }
    return TOOL_OK;
}

int load_call(const cli_args *args, const char *name, ikat_dtype shape_dtype, cli_load *out_load) {
    *out_load = (cli_load){.info = ikat_mechanism_find(name)};
    if (!out_load->info) {
        return tool_fail("there is no mechanism '%s', expected one of those that 'ikat list' shows",
                         name);
    }
    out_load->settings = args_settings(args, &out_load->job.num_settings);
    out_load->job.settings = out_load->settings;
    out_load->job.mechanism = out_load->info->name;
    out_load->job.variant = args_value(args, "variant");
    int code = load_inputs(args, out_load);
    code = code ? code : load_shapes(args, shape_dtype, out_load);
    code = code ? code : load_outputs(args, out_load);
    if (code) {
        load_free(out_load);
    }
    return code;
}

void load_free(cli_load *load) {
    job_free(&load->job);
    free(load->settings);
    load->settings = NULL;
}

static int check_values(const cli_job *job, const job_tensor *tensor, const char *values,
                        const cli_letters *letters) {
    double minimum, maximum;
    if (tensor->image == JOB_NO_IMAGE || !letters_range(letters, values, &minimum, &maximum)) {
        return TOOL_OK;
    }
    const uint8_t *bytes = job->images[tensor->image].bytes;
    for (uint64_t i = 0; i < tensor_count(&tensor->tensor); i++) {
        double value = value_load(tensor->tensor.dtype, bytes, i);
        if (!(value >= minimum && value <= maximum)) {
            return tool_fail("%s has the value %.9g at element %" PRIu64
                             ", expected %s, which is %.9g to %.9g",
                             tensor->name, value, i, values, minimum, maximum);
        }
    }
    return TOOL_OK;
}

// The mechanism that setting PREFIX names, or would by default; NULL if it is no such setting.
static const ikat_mechanism_info *find_inner(const cli_load *load, const char *prefix,
                                             size_t length) {
    const char *word = NULL;
    for (uint32_t i = 0; i < load->info->num_settings; i++) {
        const ikat_setting_info *setting = &load->info->settings[i];
        if (strncmp(setting->name, prefix, length) == 0 && setting->name[length] == '\0') {
            word = setting->default_text;
        }
    }
    for (uint32_t i = 0; i < load->job.num_settings && word; i++) {
        const ikat_setting *given = &load->settings[i];
        if (strncmp(given->name, prefix, length) == 0 && given->name[length] == '\0') {
            word = given->value.text; // of the command line
        }
    }
    return word ? ikat_mechanism_find(word) : NULL;
}

// The row of an input: the mechanism's own, or of PREFIX.NAME that of the one that setting PREFIX names.
// NULL if there is none.
static const ikat_argument_info *find_row(const cli_load *load, const char *name) {
    const char *dot = strchr(name, '.');
    const ikat_mechanism_info *inner = dot ? find_inner(load, name, (size_t)(dot - name)) : NULL;
    return inner ? ikat_mechanism_find_input(inner, dot + 1)
                 : ikat_mechanism_find_input(load->info, name);
}

int load_check_values(const cli_load *load) {
    const cli_job *job = &load->job;
    cli_letters letters = {.num = 0};
    int64_t positions;
    for (uint32_t i = 0; i < job->num_tensors; i++) {
        const ikat_argument_info *argument =
            ikat_mechanism_find_input(load->info, job->tensors[i].name);
        if (!job->tensors[i].output && argument) {
            letters_learn(&letters, argument->shape, &job->tensors[i].tensor);
        }
    }
    if (!letters_get(&letters, "M", &positions) && letters_get(&letters, "N", &positions)) {
        letters_set(&letters, "M", positions); // of a mechanism inside
    }
    int code = TOOL_OK;
    for (uint32_t i = 0; i < job->num_tensors && !code; i++) {
        const ikat_argument_info *argument = find_row(load, job->tensors[i].name);
        if (!job->tensors[i].output && argument) {
            code = check_values(job, &job->tensors[i], argument->values, &letters);
        }
    }
    const char *line = load->converted;
    for (size_t length; *line && !code; line += length + 1) {
        length = strcspn(line, "\n");
        tool_note("%.*s", (int)length, line);
    }
    return code;
}
