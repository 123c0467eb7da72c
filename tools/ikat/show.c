// ikat show: who sees whom, as a picture.

#include "commands.h"
#include "files.h"
#include "layout.h"
#include "load.h"
#include "picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {"-o", "FILE", false, false, "a .png or .svg file; - (default): text on the terminal"},
    {"case", "NAME", false, false,
     "an example of 'ikat list NAME' (default: picture, or the first)"},
    {"in", "NAME=FILE", true, true, "an input, a .npy file: structure such as global_mask"},
    {"shape", "NAME=EXTENTS", true, true, "an input by its shape alone: q=1,8,128,64"},
    {"n", "N", false, false, "positions, where no input says so (default 128)"},
    {"heads", "H", false, false, "query heads, where no input says so (default 1)"},
    OPTION_SETTINGS,
    {"batch", "B", false, false, "batch entry to show (default 0)"},
    {"head", "H", false, false, "head to show (default: all that differ)"},
    {"device", "D", false, false,
     "plan for this device: vulkan:0, opencl:TEXT (default: an ordinary GPU, which need not be "
     "there)"},
    OPTION_LIMITS,
    OPTION_VARIANT,
    OPTION_VERBOSE,
    OPTION_HELP,
};

enum { MAX_POSITIONS = 4096, MAX_PANELS = 16 };

// head  -1: all that differ
typedef struct cli_show {
    const cli_args *args;
    ikat_device *device;
    cli_tool *tool;
    cli_picture picture;
    int64_t batch, head;
} cli_show;

static bool is_described(const cli_args *args) {
    return args_count(args, "in") || args_count(args, "shape") || args_count(args, "set") ||
           args_value(args, "n") || args_value(args, "heads");
}

static bool pairs_equal(const cli_panel *a, const cli_panel *b) {
    const size_t count = (size_t)a->num_queries * a->num_keys;
    return memcmp(a->pairs, b->pairs, count) == 0 &&
           memcmp(a->tiles, b->tiles, count * sizeof(*a->tiles)) == 0;
}

static int read_panel(cli_show *show, const ikat_plan *plan, uint32_t head, cli_panel *panel) {
    ikat_status status = IKAT_OK;
    for (uint32_t query = 0; query < panel->num_queries && !status; query++) {
        const size_t at = (size_t)query * panel->num_keys;
        status = ikat_plan_get_row(plan, (uint32_t)show->batch, head, query, panel->pairs + at,
                                   panel->tiles + at);
    }
    return status ? tool_exit_code(show->tool, status) : TOOL_OK;
}

// "0, 2-5": the heads that a panel is of. Returns how many they are.
static uint32_t list_heads(const uint32_t *panel_of, uint32_t num_heads, uint32_t panel, char *out,
                           size_t capacity) {
    uint32_t num = 0;
    out[0] = '\0';
    for (uint32_t head = 0, end; head < num_heads; head = end + 1) {
        end = head;
        while (end < num_heads && panel_of[end] == panel) {
            end++;
        }
        if (end > head) {
            tool_append(out, capacity, "%s%" PRIu32, num ? ", " : "", head);
            num += end - head;
        }
        if (end > head + 1) {
            tool_append(out, capacity, "-%" PRIu32, end - 1);
        }
    }
    return num;
}

// "longformer, batch 1, heads 0, 2-5"; heads are named where they differ.
static void caption_panels(cli_show *show, const char *name, const uint32_t *panel_of,
                           uint32_t num_heads, uint32_t first_panel) {
    for (uint32_t i = first_panel; i < show->picture.num; i++) {
        cli_panel *panel = &show->picture.panels[i];
        char heads[64];
        uint32_t num = list_heads(panel_of, num_heads, i, heads, sizeof(heads));
        tool_append(panel->caption, sizeof(panel->caption), "%s", name);
        if (show->batch) {
            tool_append(panel->caption, sizeof(panel->caption), ", batch %" PRId64, show->batch);
        }
        if (num < num_heads) {
            tool_append(panel->caption, sizeof(panel->caption), ", head%s %s", num > 1 ? "s" : "",
                        heads);
        }
    }
}

// Adds a head's panel unless an earlier one is the same. panel: the one that shows the head.
static int add_head(cli_show *show, const ikat_plan *plan, const ikat_plan_pairs *pairs,
                    uint32_t head, uint32_t first_panel, uint32_t *out_panel) {
    cli_panel *panel = picture_add(&show->picture, pairs->num_queries, pairs->num_keys);
    int code = read_panel(show, plan, head, panel);
    const uint32_t last = show->picture.num - 1;
    *out_panel = first_panel;
    while (*out_panel < last && !pairs_equal(&show->picture.panels[*out_panel], panel)) {
        ++*out_panel;
    }
    if (*out_panel < last || code) {
        picture_drop(&show->picture);
    }
    return code;
}

static int check_pairs(const cli_show *show, const ikat_plan_pairs *pairs) {
    if (show->batch >= pairs->num_batches) {
        return tool_fail("--batch is %" PRId64 ", expected 0 to %" PRIu32, show->batch,
                         pairs->num_batches - 1);
    }
    if (show->head >= pairs->num_heads) {
        return tool_fail("--head is %" PRId64 ", expected 0 to %" PRIu32, show->head,
                         pairs->num_heads - 1);
    }
    if (!pairs->num_keys || pairs->num_queries > MAX_POSITIONS || pairs->num_keys > MAX_POSITIONS) {
        return tool_fail("there are %" PRIu32 " queries and %" PRIu32
                         " keys, expected 1 to %d of each for a picture",
                         pairs->num_queries, pairs->num_keys, MAX_POSITIONS);
    }
    return TOOL_OK;
}

static int add_plan(cli_show *show, const char *name, const ikat_plan *plan) {
    ikat_plan_pairs pairs;
    ikat_status status = ikat_plan_get_pairs(plan, &pairs);
    int code = status ? tool_exit_code(show->tool, status) : check_pairs(show, &pairs);
    if (code) {
        return code;
    }
    const uint32_t first_panel = show->picture.num;
    uint32_t *panel_of = tool_alloc(pairs.num_heads, sizeof(*panel_of));
    memset(panel_of, 0xff, pairs.num_heads * sizeof(*panel_of));
    uint32_t first = show->head < 0 ? 0 : (uint32_t)show->head;
    uint32_t end = show->head < 0 ? pairs.num_heads : first + 1;
    for (uint32_t head = first; head < end && !code; head++) {
        if (show->picture.num - first_panel == MAX_PANELS) {
            tool_note("heads from %" PRIu32 " on are left out: %d that differ are shown", head,
                      MAX_PANELS);
            break;
        }
        code = add_head(show, plan, &pairs, head, first_panel, &panel_of[head]);
    }
    caption_panels(show, name, panel_of, pairs.num_heads, first_panel);
    free(panel_of);
    return code;
}

static int show_job(cli_show *show, const ikat_mechanism_info *info, cli_job *job) {
    job->variant = args_value(show->args, "variant");
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        if (!info->outputs[i].optional) { // rows of each belong to the picture
            job_add_tensor(job, info->outputs[i].name, (ikat_tensor){0}, JOB_NO_IMAGE, true);
        }
    }
    ikat_status status = job_plan(job, show->device);
    int code =
        status ? tool_exit_code(show->tool, status) : add_plan(show, job->mechanism, job->plan);
    job_leave(job);
    return code;
}

static const ikat_mechanism_case *find_example(const ikat_mechanism_info *info, const char *name) {
    uint32_t num;
    const ikat_mechanism_case *examples = ikat_mechanism_cases(info->name, &num);
    for (uint32_t i = 0; i < num; i++) {
        if (strcmp(examples[i].name, name ? name : "picture") == 0) {
            return &examples[i];
        }
    }
    return name || !num ? NULL : &examples[0];
}

static int show_example(cli_show *show, const ikat_mechanism_info *info) {
    const char *name = args_value(show->args, "case");
    const ikat_mechanism_case *example = find_example(info, name);
    cli_drawing drawing;
    cli_job job;
    char message[512];
    if (!example) {
        return tool_fail("--case is '%s', expected an example that 'ikat list %s' shows",
                         name ? name : "", info->name);
    }
    if (!drawing_make(info, example->inputs, example->settings, IKAT_FLOAT32, FILL_RANDOM, 1,
                      &drawing, message, sizeof(message))) {
        return tool_fail("%s", message);
    }
    layout_inputs(&drawing, LAYOUT_PACKED, &job);
    int code = show_job(show, info, &job);
    job_free(&job);
    drawing_free(&drawing);
    return code;
}

static void set_default(cli_letters *letters, const char *name, int64_t extent) {
    int64_t known;
    if (!letters_get(letters, name, &known)) {
        letters_set(letters, name, extent);
    }
}

// The letters that given inputs tell, and ordinary extents for the others.
static int read_letters(const cli_show *show, const cli_load *load, cli_letters *letters) {
    int64_t positions = 128, heads = show->head < 0 ? 1 : show->head + 1;
    int code = args_integer(show->args, "n", 1, MAX_POSITIONS, &positions);
    code = code ? code : args_integer(show->args, "heads", 1, 65535, &heads);
    for (uint32_t i = 0; i < load->job.num_tensors; i++) {
        const job_tensor *tensor = &load->job.tensors[i];
        const ikat_argument_info *info = ikat_mechanism_find_input(load->info, tensor->name);
        if (info) {
            letters_learn(letters, info->shape, &tensor->tensor);
        }
    }
    set_default(letters, "B", show->batch + 1);
    set_default(letters, "H", heads);
    letters_get(letters, "H", &heads);
    set_default(letters, "Hkv", heads);
    set_default(letters, "N", positions);
    letters_get(letters, "N", &positions);
    set_default(letters, "M", positions);
    set_default(letters, "S", positions);
    set_default(letters, "D", 64);
    letters_get(letters, "D", &positions);
    set_default(letters, "Dv", positions);
    set_default(letters, "C", heads * positions);
    return code;
}

static int add_missing(cli_load *load, const cli_letters *letters, const ikat_argument_info *info) {
    ikat_tensor tensor = {.dtype = load_dtype(info, IKAT_FLOAT32)};
    cli_pattern shape;
    bool known = pattern_first(info->shape, &shape);
    for (uint32_t axis = 0; known && axis < shape.rank; axis++) {
        const char *word = shape.axes[axis].words[0];
        known = letters_get(letters, word, &tensor.shape[axis]) ||
                args_parse_integer(word, strlen(word), &tensor.shape[axis]);
    }
    tensor.rank = known ? shape.rank : 0;
    if (!known || !job_add_tensor(&load->job, info->name, tensor, JOB_NO_IMAGE, false)) {
        return tool_fail("%s is missing, expected --shape %s=.. of shape %s", info->name,
                         info->name, info->shape);
    }
    return TOOL_OK;
}

// A call as the command line describes it; inputs that it leaves out get shapes.
static int show_described(cli_show *show, const ikat_mechanism_info *info) {
    cli_letters letters = {.num = 0};
    cli_load load;
    int code = load_call(show->args, info->name, IKAT_FLOAT32, &load);
    if (code) {
        return code;
    }
    code = read_letters(show, &load, &letters);
    const ikat_argument_info *input;
    for (uint32_t i = 0; (input = ikat_mechanism_input(info, i)) && !code; i++) {
        bool given = false;
        for (uint32_t j = 0; j < load.job.num_tensors; j++) {
            given = given || strcmp(load.job.tensors[j].name, input->name) == 0;
        }
        code = given || input->optional ? TOOL_OK : add_missing(&load, &letters, input);
    }
    code = code ? code : load_check_values(&load);
    code = code ? code : show_job(show, info, &load.job);
    load_free(&load);
    return code;
}

// The examples of all mechanisms that have a picture.
static int show_sheet(cli_show *show) {
    const ikat_mechanism_info *info;
    int code = TOOL_OK;
    show->tool->quiet = true;
    for (uint32_t i = 0; (info = ikat_mechanism_at(i)) && (!code || code == TOOL_DEVICE); i++) {
        code = show_example(show, info);
    }
    show->tool->quiet = false;
    tool_forget(show->tool);
    return code == TOOL_DEVICE ? TOOL_OK : code;
}

static int show_words(cli_show *show) {
    const cli_args *args = show->args;
    if (!args->num_words) {
        return is_described(args) || args_value(args, "case")
                   ? tool_fail("a mechanism is missing, expected its name before what describes a "
                               "call")
                   : show_sheet(show);
    }
    const ikat_mechanism_info *info = ikat_mechanism_find(args->words[0]);
    if (!info) {
        return tool_fail("there is no mechanism '%s', expected one of those that 'ikat list' shows",
                         args->words[0]);
    }
    if (is_described(args) && args_value(args, "case")) {
        return tool_fail("--case is given, expected it alone or no --in, --shape, --n, --heads and "
                         "--set");
    }
    return is_described(args) ? show_described(show, info) : show_example(show, info);
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), wanted = strlen(end);
    return length > wanted && strcmp(text + length - wanted, end) == 0;
}

static int pick_painter(const char *path, cli_painter *out) {
    if (strcmp(path, "-") == 0) {
        *out = picture_text;
    } else if (ends_with(path, ".svg")) {
        *out = picture_svg;
    } else if (ends_with(path, ".png")) {
        *out = picture_png;
    } else {
        return tool_fail("-o is '%s', expected a name that ends in .png or .svg, or -", path);
    }
    return TOOL_OK;
}

static int write_picture(const cli_picture *picture, cli_painter paint, const char *path) {
    cli_bytes bytes = {0};
    int code = paint(picture, &bytes);
    if (!code && strcmp(path, "-") != 0) {
        code = file_write(path, bytes.bytes, bytes.size);
    } else if (!code) {
        fwrite(bytes.bytes, 1, bytes.size, stdout);
    }
    free(bytes.bytes);
    return code;
}

static int run(cli_tool *tool, const cli_args *args) {
    cli_show show = {.args = args, .tool = tool, .head = -1};
    const char *path = args_value(args, "-o") ? args_value(args, "-o") : "-";
    const char *device = args_value(args, "device");
    cli_painter paint = NULL;
    int code = pick_painter(path, &paint);
    code = code ? code : args_integer(args, "batch", 0, 65534, &show.batch);
    code = code ? code : args_integer(args, "head", 0, 65534, &show.head);
    if (code) {
        return code;
    }
    ikat_status status =
        tool_device_open(tool, device ? device : "null", args_value(args, "limits"), &show.device);
    code = status ? tool_exit_code(tool, status) : show_words(&show);
    code = code ? code : write_picture(&show.picture, paint, path);
    picture_free(&show.picture);
    ikat_device_destroy(&show.device);
    return code;
}

const cli_command command_show = {
    "show",
    "[NAME] [--n 128] [--set window=16].. [-o pattern.png]",
    "Draws who sees whom: queries down, keys across, tiles. Without NAME: every mechanism.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    1,
    run,
};
