#define _POSIX_C_SOURCE 200809L

#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void receive_message(void *user, ikat_log_level level, ikat_message_id id,
                            const char *text) {
    cli_tool *tool = user;
    (void)id;
    if (level == IKAT_LOG_ERROR) {
        tool->num_errors++;
        snprintf(tool->message, sizeof(tool->message), "%s", text);
    }
    if (level == IKAT_LOG_ERROR && tool->quiet && !tool->verbose) {
        return;
    }
    const char *prefix = level == IKAT_LOG_WARNING ? "warning: "
                         : level >= IKAT_LOG_INFO  ? "note: "
                                                   : "";
    fprintf(stderr, "ikat: %s%s\n", prefix, text);
}

// The one environment variable that is about the tool itself.
static ikat_log_level wanted_level(bool verbose) {
    static const char *const names[] = {"none", "error", "warning", "info", "debug"};
    const char *text = getenv("IKAT_LOG");
    for (int level = IKAT_LOG_ERROR; text && level <= IKAT_LOG_DEBUG; level++) {
        if (strcmp(text, names[level]) == 0) {
            return (ikat_log_level)level;
        }
    }
    return verbose ? IKAT_LOG_INFO : IKAT_LOG_WARNING;
}

ikat_status tool_open(cli_tool *tool, bool verbose, const char *cache_dir) {
    *tool = (cli_tool){.verbose = verbose};
    ikat_context_params params = {
        .log = receive_message,
        .log_user = tool,
        .log_level = wanted_level(verbose),
        .cache_dir = cache_dir,
    };
    return ikat_context_create(&params, &tool->context);
}

void tool_close(cli_tool *tool) { ikat_context_destroy(&tool->context); }

static char *join_path(const char *folder, const char *name) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = tool_alloc(size, 1);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static bool make_folder(const char *path) { return mkdir(path, 0777) == 0 || errno == EEXIST; }

char *tool_cache_dir(void) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char *parent = NULL;
    if (cache && cache[0] == '/') {
        parent = tool_copy(cache);
    } else if (home && home[0] == '/') {
        parent = join_path(home, ".cache");
    } else {
        return NULL;
    }
    char *path = join_path(parent, "ikat");
    if (!make_folder(parent) || !make_folder(path)) {
        free(path);
        path = NULL;
    }
    free(parent);
    return path;
}

int tool_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("ikat: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return TOOL_USAGE;
}

void tool_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("ikat: note: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int tool_exit_code(const cli_tool *tool, ikat_status status) {
    if (status && tool->num_errors == 0) {
        tool_fail("%s", ikat_status_name(status));
    }
    switch (status) {
    case IKAT_OK: return TOOL_OK;
    case IKAT_INVALID:
    case IKAT_IO: return TOOL_USAGE;
    default: return TOOL_DEVICE;
    }
}

void tool_forget(cli_tool *tool) {
    tool->num_errors = 0;
    tool->message[0] = '\0';
}

const char *tool_reason(const cli_tool *tool, ikat_status status) {
    return tool->message[0] ? tool->message : ikat_status_name(status);
}

static ikat_status open_lowered(cli_tool *tool, const char *name, const char *limits,
                                ikat_device **out_device) {
    ikat_device_params params = {.name = name};
    if (!limits) {
        return ikat_device_open(tool->context, &params, out_device);
    }
    // All limits at their largest: a device takes the smaller of these and its own.
    ikat_device_limits lowered;
    memset(&lowered, 0xff, sizeof(lowered));
    ikat_status status = ikat_device_limits_lower(&lowered, limits);
    if (status) {
        tool_fail("--limits '%s' is no list of limits, expected \"minimal\" or fields such as "
                  "\"shared=16384,group=128,subgroup=0,fp16=0\"",
                  limits);
        tool->num_errors++;
        return status;
    }
    params.limits = &lowered;
    return ikat_device_open(tool->context, &params, out_device);
}

ikat_status tool_device_open(cli_tool *tool, const char *name, const char *limits,
                             ikat_device **out_device) {
    *out_device = NULL;
    return open_lowered(tool, name, limits, out_device);
}

void tool_progress(const char *what, uint64_t done, uint64_t total) {
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    if (done >= total) {
        fputs("\r\033[K", stderr);
    } else {
        fprintf(stderr, "\r\033[K%llu/%llu %.60s", (unsigned long long)done,
                (unsigned long long)total, what);
    }
    fflush(stderr);
}

double tool_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *check_block(void *block) {
    if (!block) {
        fputs("ikat: out of memory\n", stderr);
        exit(TOOL_DEVICE);
    }
    return block;
}

void *tool_alloc(size_t count, size_t size) {
    return check_block(calloc(count ? count : 1, size ? size : 1));
}

void *tool_resize(void *block, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) {
        check_block(NULL);
    }
    size_t size_bytes = count * size;
    return check_block(realloc(block, size_bytes ? size_bytes : 1));
}

char *tool_copy(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(tool_alloc(size, 1), text, size);
}

void tool_append(char *text, size_t capacity, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, capacity - length, format, arguments);
    va_end(arguments);
}
