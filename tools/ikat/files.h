// Whole files: read at once, written whole or not at all.

#ifndef FILES_H
#define FILES_H

#include "tool.h"

// Reads a file. Returns an exit code and prints a line naming `what` and the path; *out_bytes is to
// be freed.
int file_read(const char *what, const char *path, uint8_t **out_bytes, size_t *out_size);

// A file being written under another name beside its own, until it is complete.
//
// path       where it will be; NULL once committed or dropped
// temporary  NULL where `path` is no regular file (a terminal, a pipe): that is written at once
typedef struct pending_file {
    char *path;
    char *temporary;
} pending_file;

// Writes the parts of a file under its temporary name. Returns an exit code and prints a line.
typedef struct file_part {
    const void *bytes;
    size_t size;
} file_part;
int file_prepare(const char *path, const file_part *parts, uint32_t num_parts,
                 pending_file *out_file);

// Gives the file its own name. Returns an exit code and prints a line.
int file_commit(pending_file *file);
// Removes what was written, unless it was committed.
void file_drop(pending_file *file);

// Writes a file in one go.
int file_write(const char *path, const void *bytes, size_t size);

#endif
