// Options of a command: a table each command gives, what was found on the command line.

#ifndef ARGS_H
#define ARGS_H

#include "tool.h"

// name        given with two dashes before it, unless it has one of its own ("-o")
// value       what help calls the option's value, NULL for a flag
// pair        the value is NAME=TEXT, split at the first `=`; a name may be given once
// repeatable  may be given more than once (pairs always may)
typedef struct cli_option {
    const char *name;
    const char *value;
    bool pair;
    bool repeatable;
    const char *help;
} cli_option;

#define OPTION_DEVICE \
    { "device", "D", false, false, "device: cpu, vulkan:0, opencl:TEXT (default: the best)" }
#define OPTION_DEVICES                                                           \
    {                                                                            \
        "device", "D", false, true,                                              \
            "device: cpu, vulkan:0, opencl:TEXT; repeatable (default: the best)" \
    }
#define OPTION_ALL_DEVICES \
    { "all-devices", NULL, false, false, "every device of this machine" }
#define OPTION_LIMITS                                                          \
    {                                                                          \
        "limits", "TEXT", false, false,                                        \
            "lower the device's limits: minimal, or shared=16384,group=128,.." \
    }
#define OPTION_VARIANT \
    { "variant", "TEXT", false, false, "only kernel variants whose name contains TEXT" }
#define OPTION_SETTINGS                                                    \
    {                                                                      \
        "set", "NAME=VALUE", true, true,                                   \
            "a setting of the mechanism; the rest of the word is verbatim" \
    }
#define OPTION_VERBOSE \
    { "verbose", NULL, false, false, "say which variants were taken, and more" }
#define OPTION_HELP \
    { "help", NULL, false, false, "this text" }

// name  NULL unless the option takes pairs
typedef struct cli_argument {
    const cli_option *option;
    char *name;
    const char *text;
} cli_argument;

typedef struct cli_args {
    const char **words; // what is no option, in order
    uint32_t num_words;
    cli_argument *given;
    uint32_t num_given;
} cli_args;

typedef struct cli_command {
    const char *name;
    const char *usage; // after "ikat NAME "
    const char *summary;
    const cli_option *options;
    uint32_t num_options;
    uint32_t min_words;
    uint32_t max_words;
    int (*run)(cli_tool *tool, const cli_args *args);
} cli_command;

// Reads argv[0..argc) as words and options of `command`. Returns an exit code, and says on stderr
// what is wrong.
int args_parse(const cli_command *command, int argc, char **argv, cli_args *out_args);
void args_free(cli_args *args);

// Prints the usage and options of a command.
void args_help(const cli_command *command);

bool args_flag(const cli_args *args, const char *name);
// The value of an option, NULL if it was not given.
const char *args_value(const cli_args *args, const char *name);
// Occurrence `index` of an option, NULL past the last.
const cli_argument *args_nth(const cli_args *args, const char *name, uint32_t index);
uint32_t args_count(const cli_args *args, const char *name);

// A whole number or a real one within bounds; `value` is left alone if the option was not given.
// Returns an exit code.
int args_integer(const cli_args *args, const char *name, int64_t minimum, int64_t maximum,
                 int64_t *value);
int args_number(const cli_args *args, const char *name, double minimum, double maximum,
                double *value);

// Parses a whole number that fills `text` up to `end` characters (or its end).
bool args_parse_integer(const char *text, size_t length, int64_t *out_value);

// The --set pairs as settings; the array is to be freed.
ikat_setting *args_settings(const cli_args *args, uint32_t *out_num_settings);

#endif
