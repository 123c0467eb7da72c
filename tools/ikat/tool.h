// What every command shares: the context, how messages reach the terminal, exit codes.

#ifndef TOOL_H
#define TOOL_H

#include <ikat/ikat.h>

enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1, // a check failed
    TOOL_USAGE = 2,  // wrong usage or bad input
    TOOL_DEVICE = 3, // no such device, or it cannot
};

#if defined(__GNUC__)
#define TOOL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define TOOL_PRINTF(text, first)
#endif

// quiet       the library's errors are kept in `message` and not printed: the command reports them
//             as reasons
// num_errors  logged by the library since the last tool_forget
typedef struct cli_tool {
    ikat_context *context;
    bool verbose;
    bool quiet;
    uint32_t num_errors;
    char message[512];
} cli_tool;

// cache_dir  NULL: compiled programs are not kept on disk
ikat_status tool_open(cli_tool *tool, bool verbose, const char *cache_dir);
void tool_close(cli_tool *tool);

// The user's cache folder for this program, made if absent; NULL if there is none. To be freed.
char *tool_cache_dir(void);

// Prints one line "ikat: ..." on stderr and returns TOOL_USAGE.
int tool_fail(const char *format, ...) TOOL_PRINTF(1, 2);

// Prints one line "ikat: note: ..." on stderr.
void tool_note(const char *format, ...) TOOL_PRINTF(1, 2);

// The exit code of a status. Prints a line if the library failed without one.
int tool_exit_code(const cli_tool *tool, ikat_status status);

// Forgets kept messages, before a call whose failure will be reported.
void tool_forget(cli_tool *tool);

// Why the last call failed, in words.
const char *tool_reason(const cli_tool *tool, ikat_status status);

// Opens a device by name (NULL: the best) with its own limits lowered by `limits` (NULL: not).
ikat_status tool_device_open(cli_tool *tool, const char *name, const char *limits,
                             ikat_device **out_device);

// Shows how far long work is, on a terminal only. `done` == `total` wipes the line.
void tool_progress(const char *what, uint64_t done, uint64_t total);

// Host time in seconds, monotonic.
double tool_seconds(void);

// malloc, realloc and strdup for programs that end when memory is out.
void *tool_alloc(size_t count, size_t size);
void *tool_resize(void *block, size_t count, size_t size);
char *tool_copy(const char *text);

// Appends to a text of fixed capacity; cuts what does not fit.
void tool_append(char *text, size_t capacity, const char *format, ...) TOOL_PRINTF(3, 4);

#endif
