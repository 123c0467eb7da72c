// ikat list: what mechanisms there are, and what one of them takes and gives.

#include "commands.h"

#include <math.h>
#include <stdio.h>

static const cli_option options[] = {
    {"markdown", NULL, false, false, "as sections of a document"},
    OPTION_HELP,
};

static void print_argument(const ikat_argument_info *argument) {
    const char *values = argument->values ? argument->values : "";
    printf("  %-14s %-10s %-24s %s%s%s%s%s%s\n", argument->name, argument->dtype, argument->shape,
           argument->help, argument->optional ? " (optional)" : "",
           argument->structure ? " (host array)" : "", *values ? " [" : "", values,
           *values ? "]" : "");
}

static void print_arguments(const ikat_mechanism_info *info) {
    const ikat_argument_info *input;
    printf("\ninputs\n");
    for (uint32_t i = 0; (input = ikat_mechanism_input(info, i)); i++) {
        print_argument(input);
    }
    printf("\noutputs\n");
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        print_argument(&info->outputs[i]);
    }
}

static void print_range(const ikat_setting_info *setting, char *out, size_t capacity) {
    static const char *const names[] = {"text", "int",  "float",       "ints",
                                        "word", "text", "int or float"};
    out[0] = '\0';
    if (setting->type == IKAT_SETTING_WORD) {
        for (uint32_t i = 0; setting->words[i]; i++) {
            tool_append(out, capacity, "%s%s", i ? "|" : "", setting->words[i]);
        }
        return;
    }
    tool_append(out, capacity, "%s", names[setting->type]);
    if (setting->type == IKAT_SETTING_TEXT || setting->type >= IKAT_SETTING_STRING) {
        return;
    }
    // Bounds beyond these are none to the reader.
    bool below = !(setting->minimum > -1e9), above = !(setting->maximum < 1e9);
    if (below && above) {
        return;
    }
    if (above) {
        tool_append(out, capacity, " >= %g", setting->minimum);
    } else if (below) {
        tool_append(out, capacity, " <= %g", setting->maximum);
    } else {
        tool_append(out, capacity, " %g to %g", setting->minimum, setting->maximum);
    }
}

static void print_mechanism(const ikat_mechanism_info *info) {
    printf("%s: %s\n%s\nfamily %s; cost %s\n", info->name, info->title, info->citation,
           info->family, info->cost);
    print_arguments(info);
    printf("\nsettings\n");
    for (uint32_t i = 0; i < info->num_settings; i++) {
        const ikat_setting_info *setting = &info->settings[i];
        char range[64];
        print_range(setting, range, sizeof(range));
        printf("  %-14s %-16s default %-12s %s\n", setting->name, range,
               setting->default_text ? setting->default_text : "none", setting->help);
    }
    uint32_t num_cases;
    const ikat_mechanism_case *cases = ikat_mechanism_cases(info->name, &num_cases);
    printf("\nexamples (what ikat check runs)\n");
    for (uint32_t i = 0; i < num_cases; i++) {
        printf("  %-24s %s %s\n", cases[i].name, cases[i].inputs,
               cases[i].settings ? cases[i].settings : "");
    }
}

// A cell of a table: what would end it is escaped.
static void print_cell(const char *text) {
    for (; *text; text++) {
        printf("%s%c", *text == '|' ? "\\" : "", *text);
    }
    printf(" |");
}

static void print_argument_title(const char *title) {
    printf("\n| %s | shape | type | |\n| --- | --- | --- | --- |\n", title);
}

static void print_argument_row(const ikat_argument_info *argument) {
    const char *values = argument->values ? argument->values : "";
    char help[512] = "";
    tool_append(help, sizeof(help), " %s%s%s%s%s", argument->help, *values ? "; " : "", values,
                argument->structure ? "; host array" : "", argument->optional ? "; optional" : "");
    printf("| `%s` | `%s` | %s |", argument->name, argument->shape, argument->dtype);
    print_cell(help);
    printf("\n");
}

static void print_section(const ikat_mechanism_info *info) {
    printf("## %s\n\n%s. %s.\n\nFamily: %s. Cost: %s.\n", info->name, info->title, info->citation,
           info->family, info->cost);
    print_argument_title("input");
    const ikat_argument_info *input;
    for (uint32_t i = 0; (input = ikat_mechanism_input(info, i)); i++) {
        print_argument_row(input);
    }
    if (info->num_settings) {
        printf("\n| setting | values | default | |\n| --- | --- | --- | --- |\n");
    }
    for (uint32_t i = 0; i < info->num_settings; i++) {
        const ikat_setting_info *setting = &info->settings[i];
        char range[64];
        print_range(setting, range, sizeof(range));
        printf("| `%s` | ", setting->name);
        print_cell(range);
        printf(" %s | %s |\n", setting->default_text ? setting->default_text : "none",
               setting->help);
    }
    print_argument_title("output");
    for (uint32_t i = 0; i < info->num_outputs; i++) {
        print_argument_row(&info->outputs[i]);
    }
}

static int run(cli_tool *tool, const cli_args *args) {
    (void)tool;
    const bool markdown = args_flag(args, "markdown");
    if (args->num_words == 0) {
        const ikat_mechanism_info *info;
        for (uint32_t i = 0; markdown && (info = ikat_mechanism_at(i)) != NULL; i++) {
            printf("%s", i ? "\n" : "");
            print_section(info);
        }
        if (markdown) {
            return TOOL_OK;
        }
        for (uint32_t i = 0; (info = ikat_mechanism_at(i)) != NULL; i++) {
            printf("%-20s %-14s %s\n", info->name, info->family, info->title);
        }
        return TOOL_OK;
    }
    const ikat_mechanism_info *info = ikat_mechanism_find(args->words[0]);
    if (!info) {
        return tool_fail("there is no mechanism '%s', expected one of those that 'ikat list' shows",
                         args->words[0]);
    }
    if (markdown) {
        print_section(info);
    } else {
        print_mechanism(info);
    }
    return TOOL_OK;
}

const cli_command command_list = {
    "list",
    "[NAME] [--markdown]",
    "Lists the mechanisms; of one: its inputs, settings, outputs, cost and citation.",
    options,
    sizeof(options) / sizeof(options[0]),
    0,
    1,
    run,
};
