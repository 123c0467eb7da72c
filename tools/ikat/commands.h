// The commands; one file each.

#ifndef COMMANDS_H
#define COMMANDS_H

#include "args.h"

extern const command command_devices;
extern const command command_list;
extern const command command_run;
extern const command command_check;
extern const command command_bench;
extern const command command_plan;

#endif
