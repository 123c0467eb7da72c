// Runs the command line in a scratch folder and looks at what it says and leaves.

#ifndef SHELL_H
#define SHELL_H

#include "npy.h"

// Makes the scratch folder and goes there; `tool` is the path of ikat. Removes it again.
void shell_open(const char *tool);
void shell_close(void);

// Runs "ikat ARGUMENTS" (a printf format) and returns its exit status, -1 if a signal ended it.
int shell_run(const char *format, ...);

// What the last run wrote to standard output and standard error.
const char *shell_output(void);
const char *shell_errors(void);
// Lines of standard error that are neither notes nor warnings.
int shell_num_errors(void);

bool shell_exists(const char *name);
// Files in the scratch folder.
int shell_num_files(void);

// Writes a file of bytes.
void shell_write(const char *name, const void *bytes, size_t size);
// Writes a version 1.0 .npy file of this type ("<f4"), shape text ("(2, 3)") and data.
void shell_write_npy(const char *name, const char *type, bool fortran, const char *shape,
                     const void *data, size_t size);
// Writes float32 elements that are multiples of 1/8, all different from their neighbours.
void shell_write_floats(const char *name, const char *shape, size_t count);

// Reads a whole file; to be freed. NULL if there is none.
uint8_t *shell_read(const char *name, size_t *out_size);

#endif
