// The devices that a command works on: --device (repeatable), --all-devices, or the best one.

#ifndef TARGETS_H
#define TARGETS_H

#include "args.h"

enum { TARGETS_MAX = 64 };

// num_refused  devices of --all-devices that could not be opened
typedef struct cli_targets {
    ikat_device *devices[TARGETS_MAX];
    uint32_t num;
    uint32_t num_refused;
} cli_targets;

// Opens them, with limits as --limits lowers them. Returns an exit code, and says what is wrong. One
// broken driver does not keep --all-devices from the others.
int targets_open(cli_tool *tool, const cli_args *args, cli_targets *out_targets);
void targets_close(cli_targets *targets);

// The names that targets_open would open, "" for the best; each to be freed.
int targets_list(cli_tool *tool, const cli_args *args, char *names[TARGETS_MAX], uint32_t *out_num);

#endif
