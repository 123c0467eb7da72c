// ikat: attention mechanisms from the command line.

#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_command *const commands[] = {
    &command_devices, &command_list, &command_run,  &command_check,
    &command_bench,   &command_plan, &command_show,
};
enum { NUM_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *file) {
    fprintf(file, "ikat: efficient-transformer attention on any GPU\n\n");
    for (uint32_t i = 0; i < NUM_COMMANDS; i++) {
        fprintf(file, "  ikat %-8s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(
        file,
        "\n  ikat COMMAND --help   what a command takes\n"
        "  ikat --version        the library's version\n\n"
        "Exit status: 0 success, 1 a check failed, 2 wrong usage or bad input, 3 no such device or "
        "unsupported there.\n"
        "Compiled programs are kept in $XDG_CACHE_HOME/ikat or ~/.cache/ikat. IKAT_LOG=none, "
        "error, "
        "warning, info or debug sets what is logged.\n");
}

static const cli_command *find_command(const char *name) {
    for (uint32_t i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

// What every command takes alike: a variant that no backend has would leave all rows free, and a device
// without a name would be the best one.
static int check_options(const cli_args *args) {
    static const char *const backends[] = {"vulkan", "opencl"};
    const char *wanted = args_value(args, "variant"), *variant;
    bool found = !wanted;
    for (size_t b = 0; b < sizeof(backends) / sizeof(backends[0]) && !found; b++) {
        for (uint32_t i = 0; (variant = ikat_variant_at(backends[b], i)) && !found; i++) {
            found = *wanted && strstr(variant, wanted);
        }
    }
    if (!found) {
        return tool_fail("--variant is '%s', expected a part of a variant's name, such as "
                         "attend.lane",
                         wanted);
    }
    for (uint32_t i = 0; i < args_count(args, "device"); i++) {
        if (!args_nth(args, "device", i)->text[0]) {
            return tool_fail("--device is '', expected cpu, vulkan:0 or opencl:TEXT");
        }
    }
    return TOOL_OK;
}

static int run_command(const cli_command *command, int argc, char **argv) {
    cli_args args;
    int code = args_parse(command, argc, argv, &args);
    if (code) {
        return code;
    }
    if (args_flag(&args, "help")) {
        args_help(command);
        args_free(&args);
        return TOOL_OK;
    }
    code = check_options(&args);
    if (code) {
        args_free(&args);
        return code;
    }
    cli_tool tool;
    char *cache_dir = tool_cache_dir();
    ikat_status status = tool_open(&tool, args_flag(&args, "verbose"), cache_dir);
    code = status ? tool_exit_code(&tool, status) : command->run(&tool, &args);
    tool_close(&tool);
    free(cache_dir);
    args_free(&args);
    return code;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return TOOL_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_usage(stdout);
        return TOOL_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("ikat %s\n", ikat_version());
        return TOOL_OK;
    }
    const cli_command *command = find_command(word);
    if (!command) {
        return tool_fail("unknown command '%s', expected devices, list, run, check, bench, plan "
                         "or show",
                         word);
    }
    return run_command(command, argc - 2, argv + 2);
}

int main(int argc, char **argv) {
    int code = dispatch(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && code == TOOL_OK) {
        return tool_fail("cannot write to standard output");
    }
    return code;
}
