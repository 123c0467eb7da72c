// The devices that the conformance tests run on.

#ifndef SELECT_H
#define SELECT_H

#include "targets.h"

// Opens all devices of a backend (NULL: of all), and makes sure that those named by IKAT_TEST_DEVICES
// are on this machine: parts of names or drivers in any case, "vulkan:" before them for one backend
// alone, commas between.
//
// Returns false, having said why, if one is missing or cannot be opened.
bool select_devices(cli_tool *tool, const char *backend, const char *limits,
                    cli_targets *out_targets);

#endif
