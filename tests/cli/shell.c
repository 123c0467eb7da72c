#define _XOPEN_SOURCE 700

#include "shell.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// Tests of one process run one after another.
static char folder[] = "/tmp/ikat-cli-XXXXXX";
static char tool_path[4096];
static char output[65536];
static char errors[65536];

void shell_open(const char *tool) {
    if (!realpath(tool, tool_path) || !mkdtemp(folder) || chdir(folder)) {
        perror("shell_open");
        exit(EXIT_FAILURE);
    }
}

// Standard output and error go beside the folder, so that only the tool's own files are in it.
static void side_path(const char *name, char *out, size_t capacity) {
    snprintf(out, capacity, "%s.%s", folder, name);
}

void shell_close(void) {
    char command[256];
    snprintf(command, sizeof(command), "cd / && rm -rf %s %s.out %s.err", folder, folder, folder);
    if (system(command)) {
        perror(command);
    }
}

static void read_text(const char *name, char *out, size_t capacity) {
    char path[256];
    side_path(name, path, sizeof(path));
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(out, 1, capacity - 1, file) : 0;
    out[size] = '\0';
    if (file) {
        fclose(file);
    }
}

int shell_run(const char *format, ...) {
    char command[8192];
    va_list arguments;
    int length = snprintf(command, sizeof(command), "'%s' ", tool_path);
    va_start(arguments, format);
    length += vsnprintf(command + length, sizeof(command) - (size_t)length, format, arguments);
    va_end(arguments);
    snprintf(command + length, sizeof(command) - (size_t)length, " >%s.out 2>%s.err", folder,
             folder);
    int status = system(command);
    read_text("out", output, sizeof(output));
    read_text("err", errors, sizeof(errors));
    // A shell reports a signal as 128 and its number.
    return WIFEXITED(status) && WEXITSTATUS(status) < 126 ? WEXITSTATUS(status) : -1;
}

const char *shell_output(void) { return output; }
const char *shell_errors(void) { return errors; }

int shell_num_errors(void) {
    int num = 0;
    for (const char *line = errors; *line; line += strcspn(line, "\n") + 1) {
        num += strncmp(line, "ikat: note: ", 12) != 0 && strncmp(line, "ikat: warning: ", 15) != 0;
    }
    return num;
}

bool shell_exists(const char *name) { return access(name, F_OK) == 0; }

int shell_num_files(void) {
    DIR *directory = opendir(".");
    int num = 0;
    while (directory && readdir(directory)) {
        num++;
    }
    if (directory) {
        closedir(directory);
    }
    return num - 2;
}

void shell_write(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
        perror(name);
        exit(EXIT_FAILURE);
    }
}

void shell_write_npy(const char *name, const char *type, bool fortran, const char *shape,
                     const void *data, size_t size) {
    char dictionary[512];
    int length = snprintf(dictionary, sizeof(dictionary),
                          "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", type,
                          fortran ? "True" : "False", shape);
    uint8_t *bytes = malloc(10 + (size_t)length + size);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (uint8_t)(length & 255);
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + 10, dictionary, (size_t)length);
    memcpy(bytes + 10 + length, data, size);
    shell_write(name, bytes, 10 + (size_t)length + size);
    free(bytes);
}

void shell_write_floats(const char *name, const char *shape, size_t count) {
    float *values = malloc((count ? count : 1) * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((int)(i * 37 % 61) - 30) / 8;
    }
    shell_write_npy(name, "<f4", false, shape, values, count * sizeof(float));
    free(values);
}

uint8_t *shell_read(const char *name, size_t *out_size) {
    FILE *file = fopen(name, "rb");
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *out_size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*out_size + 1);
    *out_size = fread(bytes, 1, *out_size, file);
    fclose(file);
    return bytes;
}
