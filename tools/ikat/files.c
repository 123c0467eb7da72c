#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_path(const char *what, const char *path) {
    return tool_fail("%s: cannot open or use '%s': %s", what, path, strerror(errno));
}

// Reads until the end: what is read may be a pipe, or grow meanwhile.
static bool read_all(int file, size_t expected, uint8_t **out_bytes, size_t *out_size) {
    size_t capacity = expected + 1;
    uint8_t *bytes = tool_alloc(capacity, 1);
    size_t size = 0;
    ssize_t got;
    while ((got = read(file, bytes + size, capacity - size)) != 0) {
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            free(bytes);
            return false;
        }
        size += (size_t)got;
        if (size == capacity) {
            capacity *= 2;
            bytes = tool_resize(bytes, capacity, 1);
        }
    }
    *out_bytes = bytes;
    *out_size = size;
    return true;
}

int file_read(const char *what, const char *path, uint8_t **out_bytes, size_t *out_size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status)) {
        int code = fail_path(what, path);
        if (file >= 0) {
            close(file);
        }
        return code;
    }
    size_t expected = S_ISREG(status.st_mode) && status.st_size > 0 ? (size_t)status.st_size : 4096;
    bool good = read_all(file, expected, out_bytes, out_size);
    int code = good ? TOOL_OK : fail_path(what, path);
    close(file);
    return code;
}

static bool write_parts(int file, const file_part *parts, uint32_t num_parts) {
    for (uint32_t i = 0; i < num_parts; i++) {
        const uint8_t *at = parts[i].bytes;
        size_t left = parts[i].size;
        while (left) {
            // Some systems refuse more than 2 GB at once.
            ssize_t put = write(file, at, left < (1u << 30) ? left : (1u << 30));
            if (put < 0 && errno != EINTR) {
                return false;
            }
            at += put > 0 ? put : 0;
            left -= put > 0 ? (size_t)put : 0;
        }
    }
    return true;
}

// What a temporary file's rights should be: those of the file it replaces, else what the user's
// mask leaves.
static mode_t wanted_mode(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0) {
        return status.st_mode & 07777;
    }
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static int open_target(pending_file *file) {
    struct stat status;
    if (stat(file->path, &status) == 0 && !S_ISREG(status.st_mode)) {
        return open(file->path, O_WRONLY | O_CLOEXEC);
    }
    // A link's target is replaced, not the link.
    char *resolved = realpath(file->path, NULL);
    if (resolved) {
        free(file->path);
        file->path = tool_copy(resolved);
        free(resolved);
    }
    size_t size = strlen(file->path) + 16;
    file->temporary = tool_alloc(size, 1);
    snprintf(file->temporary, size, "%s.XXXXXX", file->path);
    int descriptor = mkstemp(file->temporary);
    if (descriptor < 0) {
        free(file->temporary);
        file->temporary = NULL;
    } else if (fchmod(descriptor, wanted_mode(file->path))) {
        tool_note("cannot set the rights of '%s'", file->path);
    }
    return descriptor;
}

int file_prepare(const char *path, const file_part *parts, uint32_t num_parts,
                 pending_file *out_file) {
    *out_file = (pending_file){.path = tool_copy(path)};
    int descriptor = open_target(out_file);
    bool good = descriptor >= 0 && write_parts(descriptor, parts, num_parts);
    if (descriptor >= 0 && close(descriptor)) {
        good = false;
    }
    if (good) {
        return TOOL_OK;
    }
    int code = tool_fail("cannot write '%s': %s", path, strerror(errno));
    file_drop(out_file);
    return code;
}

static void forget(pending_file *file) {
    free(file->path);
    free(file->temporary);
    *file = (pending_file){0};
}

int file_commit(pending_file *file) {
    int code = TOOL_OK;
    if (file->temporary && rename(file->temporary, file->path)) {
        code = tool_fail("cannot write '%s': %s", file->path, strerror(errno));
        file_drop(file);
        return code;
    }
    forget(file);
    return code;
}

void file_drop(pending_file *file) {
    if (file->temporary) {
        unlink(file->temporary);
    }
    forget(file);
}

int file_write(const char *path, const void *bytes, size_t size) {
    pending_file file;
    int code = file_prepare(path, &(file_part){bytes, size}, 1, &file);
    return code ? code : file_commit(&file);
}
