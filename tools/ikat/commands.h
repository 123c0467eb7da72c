// The commands; one file each.

#ifndef COMMANDS_H
#define COMMANDS_H

#include "args.h"

extern const cli_command command_devices;
extern const cli_command command_list;
extern const cli_command command_run;
extern const cli_command command_check;
extern const cli_command command_bench;
extern const cli_command command_plan;
extern const cli_command command_show;

#endif
