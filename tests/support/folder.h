// A folder of a test's own: what is put there, looked at, damaged.
//
// Every function fails the test if something does not succeed.

#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <stddef.h>

enum { FOLDER_MAX_FILES = 32, FOLDER_PATH_SIZE = 512 };

// path  not there yet: for the library to make
typedef struct folder {
    char parent[64];
    char path[80];
} folder;

void folder_create(folder *out_folder);

// Removes it and the files in it.
void folder_remove(const folder *f);

// Lists the paths of its files, in order of their names; returns how many there are.
size_t folder_list(const folder *f, char out_paths[][FOLDER_PATH_SIZE]);

// Reads up to `size` bytes; returns how many there were.
size_t folder_read(const char *path, void *bytes, size_t size);

void folder_write(const char *path, const void *bytes, size_t size);

// Changes one byte of every file, `from_end` bytes before its end (1: the last).
void folder_damage(const folder *f, size_t from_end);

// Gives every file the contents of another one. There must be two at least.
void folder_rotate(const folder *f);

#endif
