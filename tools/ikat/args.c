#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_option *find_option(const cli_command *command, const char *name, size_t length) {
    for (uint32_t i = 0; i < command->num_options; i++) {
        const cli_option *option = &command->options[i];
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0) {
            return option;
        }
    }
    return NULL;
}

static int check_repeated(const cli_args *args, const cli_option *option, const char *name) {
    for (uint32_t i = 0; i < args->num_given; i++) {
        const cli_argument *other = &args->given[i];
        if (other->option != option) {
            continue;
        }
        if (option->pair && strcmp(other->name, name) == 0) {
            return tool_fail("--%s %s is given twice, expected each name once", option->name, name);
        }
        if (option->value && !option->pair && !option->repeatable) {
            return tool_fail("%s%s is given twice, expected at most once",
                             option->name[0] == '-' ? "" : "--", option->name);
        }
    }
    return TOOL_OK;
}

static int add_option(cli_args *args, const cli_option *option, const char *text) {
    char *name = NULL;
    if (option->pair) {
        const char *equals = strchr(text, '=');
        if (!equals || equals == text) {
            return tool_fail("--%s %s has no name and value, expected %s", option->name, text,
                             option->value);
        }
        name = tool_copy(text);
        name[equals - text] = '\0';
        text = equals + 1;
    }
    int code = check_repeated(args, option, name);
    if (code) {
        free(name);
        return code;
    }
    args->given = tool_resize(args->given, args->num_given + 1, sizeof(*args->given));
    args->given[args->num_given++] = (cli_argument){option, name, text};
    return TOOL_OK;
}

// Reads one option, with its value in the same word (--name=value) or in the next; moves *index
// past what it took.
static int parse_option(const cli_command *command, int argc, char **argv, int *index,
                        cli_args *args) {
    const char *word = argv[*index];
    const char *name = word[1] == '-' ? word + 2 : word;
    size_t length = strcspn(name, "=");
    const cli_option *option = find_option(command, name, length);
    if (!option) {
        return tool_fail(
            "unknown option '%s' of ikat %s, expected one of those that 'ikat %s --help' lists",
            word, command->name, command->name);
    }
    const char *text = name[length] == '=' ? name + length + 1 : NULL;
    if (!option->value) {
        return text ? tool_fail("--%s is given a value, expected none", option->name)
                    : add_option(args, option, "");
    }
    if (!text) {
        if (*index + 1 >= argc) {
            return tool_fail("%s has no value, expected %s %s", word, word, option->value);
        }
        text = argv[++*index];
    }
    return add_option(args, option, text);
}

static int check_words(const cli_command *command, const cli_args *args) {
    if (args_flag(args, "help")) {
        return TOOL_OK;
    }
    if (args->num_words > command->max_words) {
        return tool_fail("unexpected word '%s', expected: ikat %s %s",
                         args->words[command->max_words], command->name, command->usage);
    }
    if (args->num_words < command->min_words) {
        return tool_fail("a word is missing, expected: ikat %s %s", command->name, command->usage);
    }
    return TOOL_OK;
}

int args_parse(const cli_command *command, int argc, char **argv, cli_args *out_args) {
    *out_args = (cli_args){.words = tool_alloc((size_t)argc, sizeof(char *))};
    int code = TOOL_OK;
    bool only_words = false;
    for (int i = 0; i < argc && !code; i++) {
        const char *word = argv[i];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(word, "-h") == 0) {
            code = add_option(out_args, find_option(command, "help", 4), "");
        } else if (!only_words && strncmp(word, "--", 2) == 0) {
            code = parse_option(command, argc, argv, &i, out_args);
        } else if (!only_words && word[0] == '-' && find_option(command, word, strlen(word))) {
            code = parse_option(command, argc, argv, &i, out_args);
        } else if (!only_words && word[0] == '-' && word[1]) {
            code = tool_fail("unknown option '%s' of ikat %s, expected options to begin with --",
                             word, command->name);
        } else {
            out_args->words[out_args->num_words++] = word;
        }
    }
    code = code ? code : check_words(command, out_args);
    if (code) {
        args_free(out_args);
    }
    return code;
}

void args_free(cli_args *args) {
    for (uint32_t i = 0; i < args->num_given; i++) {
        free(args->given[i].name);
    }
    free(args->given);
    free(args->words);
    *args = (cli_args){0};
}

void args_help(const cli_command *command) {
    printf("ikat %s %s\n\n%s\n\n", command->name, command->usage, command->summary);
    for (uint32_t i = 0; i < command->num_options; i++) {
        const cli_option *option = &command->options[i];
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s%s", option->name[0] == '-' ? "" : "--", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        printf("  %-24s %s\n", left, option->help);
    }
}

const cli_argument *args_nth(const cli_args *args, const char *name, uint32_t index) {
    for (uint32_t i = 0; i < args->num_given; i++) {
        if (strcmp(args->given[i].option->name, name) == 0 && index-- == 0) {
            return &args->given[i];
        }
    }
    return NULL;
}

uint32_t args_count(const cli_args *args, const char *name) {
    uint32_t count = 0;
    while (args_nth(args, name, count)) {
        count++;
    }
    return count;
}

bool args_flag(const cli_args *args, const char *name) { return args_nth(args, name, 0) != NULL; }

const char *args_value(const cli_args *args, const char *name) {
    const cli_argument *given = args_nth(args, name, 0);
    return given ? given->text : NULL;
}

bool args_parse_integer(const char *text, size_t length, int64_t *out_value) {
    char copy[32];
    if (length == 0 || length >= sizeof(copy) || !strchr("-0123456789", text[0])) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *end;
    errno = 0;
    *out_value = strtoll(copy, &end, 10);
    return errno == 0 && *end == '\0' && end != copy;
}

int args_integer(const cli_args *args, const char *name, int64_t minimum, int64_t maximum,
                 int64_t *value) {
    const char *text = args_value(args, name);
    int64_t parsed;
    if (!text) {
        return TOOL_OK;
    }
    if (!args_parse_integer(text, strlen(text), &parsed) || parsed < minimum || parsed > maximum) {
        return tool_fail("--%s is '%s', expected a whole number from %" PRId64 " to %" PRId64, name,
                         text, minimum, maximum);
    }
    *value = parsed;
    return TOOL_OK;
}

int args_number(const cli_args *args, const char *name, double minimum, double maximum,
                double *value) {
    const char *text = args_value(args, name);
    if (!text) {
        return TOOL_OK;
    }
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end || !(parsed >= minimum && parsed <= maximum)) {
        return tool_fail("--%s is '%s', expected a number from %g to %g", name, text, minimum,
                         maximum);
    }
    *value = parsed;
    return TOOL_OK;
}

ikat_setting *args_settings(const cli_args *args, uint32_t *out_num_settings) {
    uint32_t num = args_count(args, "set");
    ikat_setting *settings = tool_alloc(num, sizeof(*settings));
    for (uint32_t i = 0; i < num; i++) {
        const cli_argument *given = args_nth(args, "set", i);
        settings[i] = ikat_setting_text(given->name, given->text);
    }
    *out_num_settings = num;
    return settings;
}
