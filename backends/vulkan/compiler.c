// GLSL text -> SPIR-V when a plan is made, for kernels that are completed by text of the call. By
// glslang, through libshaderc: opened at run time, or linked where the build says so
// (IKAT_SHADERC). A machine without it takes kernels that need none.
//
// What it made is kept on disk, if the context has a cache folder; what the driver makes of that is in
// the pipeline cache (cache.c).

#include "vk.h"
#include "source.h"

#include "../../src/cache_file.h"
#include "../../src/hash.h"

#include <stdio.h>
#include <string.h>

// Numbers of shaderc's interface.
enum { TARGET_VULKAN = 0, COMPUTE_SHADER = 2, STATUS_SUCCESS = 0 };

enum { SPIRV_MAGIC = 0x07230203, SPIRV_HEADER_BYTES = 20, MAX_LOG_LINES = 12 };

static const char cache_kind[] = "spirv";

struct vk_compiler {
    void *library; // NULL: linked
    void *handle;  // any number of threads may use it
#define SHADERC_FUNCTION(result, name, arguments) result(*name) arguments;
#include "shaderc.inc"
};

#ifdef IKAT_SHADERC_LINKED

#define SHADERC_FUNCTION(result, name, arguments) extern result shaderc_##name arguments;
#include "shaderc.inc"

static bool find_functions(vk_compiler *compiler) {
#define SHADERC_FUNCTION(result, name, arguments) compiler->name = shaderc_##name;
#include "shaderc.inc"
    return true;
}

#else

static const char *const library_names[] = {
#if defined(_WIN32)
    "shaderc_shared.dll",
#elif defined(__APPLE__)
    "libshaderc_shared.1.dylib",
    "libshaderc_shared.dylib",
#else
    "libshaderc_shared.so.1",
    "libshaderc.so.1", // Debian
    "libshaderc_shared.so",
#endif
};

static bool find_functions(vk_compiler *compiler) {
    for (size_t i = 0; i < sizeof(library_names) / sizeof(library_names[0]) && !compiler->library;
         i++) {
        compiler->library = ikati_library_open(library_names[i]);
    }
    bool complete = compiler->library != NULL;
#define SHADERC_FUNCTION(result, name, arguments)                                             \
    if (complete) {                                                                           \
        compiler->name =                                                                      \
            (result(*) arguments)ikati_library_function(compiler->library, "shaderc_" #name); \
        complete = compiler->name != NULL;                                                    \
    }
#include "shaderc.inc"
    return complete;
}

#endif

vk_compiler *vk_compiler_open(const ikati_host *host) {
    vk_compiler *compiler = ikati_alloc(host, 1, sizeof(*compiler));
    if (compiler && find_functions(compiler)) {
        compiler->handle = compiler->compiler_initialize();
    }
    if (compiler && !compiler->handle) {
        ikati_log(host, IKAT_LOG_INFO, IKAT_MESSAGE_COMPILE,
                  "vulkan: libshaderc cannot be opened: expressions are interpreted");
        vk_compiler_close(host, compiler);
        compiler = NULL;
    }
    return compiler;
}

void vk_compiler_close(const ikati_host *host, vk_compiler *compiler) {
    if (!compiler) {
        return;
    }
    if (compiler->handle) {
        compiler->compiler_release(compiler->handle);
    }
    if (compiler->library) {
        ikati_library_close(compiler->library);
    }
    ikati_free(host, compiler);
}

static const char *find_source(const char *name) {
    for (size_t i = 0; i < vk_source_count; i++) {
        if (strcmp(vk_source_table[i].name, name) == 0) {
            return vk_source_table[i].text;
        }
    }
    return NULL;
}

// The text of the call is in the key whole: no two of a user's expressions are taken for one another.
static int write_key(const ikati_program_params *params, const char *source, char *key,
                     size_t capacity) {
    return snprintf(key, capacity, "%s|%s|%s|%016llx|%s", params->kernel->name,
                    params->variant->name, params->variant->defines,
                    (unsigned long long)ikati_hash(IKATI_HASH_START, source, strlen(source)),
                    params->text);
}

// NULL where nothing is kept.
static char *make_key(const ikati_port *port, const ikati_program_params *params,
                      const char *source) {
    const int length = port->host->cache_dir ? write_key(params, source, NULL, 0) : 0;
    char *key = length > 0 ? ikati_alloc(port->host, (size_t)length + 1, 1) : NULL;
    if (key) {
        write_key(params, source, key, (size_t)length + 1);
    }
    return key;
}

// "-DA=1 -DB".
static void add_defines(const vk_compiler *compiler, void *options, const char *defines) {
    while ((defines = strstr(defines, "-D")) != NULL) {
        const char *name = defines + 2;
        const size_t length = strcspn(name, " "), name_length = strcspn(name, " =");
        const char *value = name_length < length ? name + name_length + 1 : NULL;
        compiler->compile_options_add_macro_definition(options, name, name_length, value,
                                                       value ? length - name_length - 1 : 0);
        defines = name + length;
    }
}

// Logs the first lines of what the compiler said, each as a message of its own.
static void log_errors(const ikati_port *port, const char *name, const char *text) {
    for (int i = 0; *text && i < MAX_LOG_LINES; i++) {
        const size_t length = strcspn(text, "\n");
        ikati_log(port->host, IKAT_LOG_WARNING, IKAT_MESSAGE_COMPILE, "vulkan: %s: %.*s", name,
                  (int)length, text);
        text += length + (text[length] == '\n');
    }
}

// Takes the words out of what the compiler made of the whole text.
static ikat_status take_result(ikati_port *port, const ikati_program_params *params,
                               const void *result, vk_words *out) {
    const vk_compiler *compiler = port->driver->compiler;
    if (!result || compiler->result_get_compilation_status(result) != STATUS_SUCCESS) {
        log_errors(port, params->name, result ? compiler->result_get_error_message(result) : "");
        return ikati_fail(port->host, IKAT_COMPILE, IKAT_MESSAGE_COMPILE,
                          "vulkan: %s does not compile to SPIR-V", params->name);
    }
    out->size_bytes = compiler->result_get_length(result);
    out->words = ikati_alloc(port->host, 1, out->size_bytes);
    if (!out->words) {
        return IKAT_NO_MEMORY;
    }
    memcpy(out->words, compiler->result_get_bytes(result), out->size_bytes);
    return IKAT_OK;
}

static ikat_status compile_text(ikati_port *port, const ikati_program_params *params,
                                const char *source, vk_words *out) {
    const vk_compiler *compiler = port->driver->compiler;
    const uint64_t start_ns = ikati_now_ns();
    const size_t length = strlen(source), size = length + strlen(params->text);
    char *text = ikati_alloc(port->host, size + 1, 1);
    void *options = text ? compiler->compile_options_initialize() : NULL;
    ikat_status status = IKAT_NO_MEMORY;
    if (options) {
        memcpy(text, source, length);
        memcpy(text + length, params->text, size - length);
        compiler->compile_options_set_target_env(options, TARGET_VULKAN, VK_API_VERSION_1_1);
        add_defines(compiler, options, params->variant->defines);
        void *result = compiler->compile_into_spv(compiler->handle, text, size, COMPUTE_SHADER,
                                                  params->variant->source, "main", options);
        status = take_result(port, params, result, out);
        compiler->result_release(result);
        compiler->compile_options_release(options);
    }
    ikati_free(port->host, text);
    if (!status) {
        ikati_log(port->host, IKAT_LOG_INFO, IKAT_MESSAGE_COMPILE,
                  "vulkan: %s: text compiled to SPIR-V in %.1f ms", params->name,
                  1e-6 * (double)(ikati_now_ns() - start_ns));
    }
    return status;
}

static bool load(const ikati_port *port, const char *key, vk_words *out) {
    void *blob = NULL;
    size_t size = 0;
    uint32_t magic = 0;
    if (!key || !ikati_cache_load(port->host, cache_kind, key, &blob, &size)) {
        return false;
    }
    memcpy(&magic, blob, size >= sizeof(magic) ? sizeof(magic) : 0);
    if (magic != SPIRV_MAGIC || size < SPIRV_HEADER_BYTES || size % sizeof(uint32_t) != 0) {
        ikati_free(port->host, blob);
        return false;
    }
    *out = (vk_words){.words = blob, .size_bytes = size};
    return true;
}

ikat_status vk_compiler_run(ikati_port *port, const ikati_program_params *params,
                            vk_words *out_words) {
    *out_words = (vk_words){0};
    const char *source = find_source(params->variant->source);
    if (!source || !port->driver->compiler) {
        return ikati_fail(port->host, IKAT_COMPILE, IKAT_MESSAGE_COMPILE,
                          "vulkan: %s: no source or no compiler", params->name);
    }
    char *key = make_key(port, params, source);
    ikat_status status = IKAT_OK;
    if (!load(port, key, out_words)) {
        status = compile_text(port, params, source, out_words);
        if (!status && key) {
            ikati_cache_store(port->host, cache_kind, key, out_words->words, out_words->size_bytes);
        }
    }
    ikati_free(port->host, key);
    return status;
}
