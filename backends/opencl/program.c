// Source text -> program. What the driver compiled is kept on disk, if the context has a cache
// folder.

#include "ocl.h"
#include "source.h"

#include "../../src/cache_file.h"
#include "../../src/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { MAX_OPTIONS = 2048, MAX_LOG_LINES = 12 };

static const char cache_kind[] = "opencl";

// What one build needs; lives on the stack.
typedef struct build {
    ocl_port *port;
    const ikati_program_params *params;
    const char *source;
    char options[MAX_OPTIONS];
    char *key; // of the binary in the cache; NULL: nothing is kept
} build;

static const char *find_source(const char *name) {
    for (size_t i = 0; i < ocl_source_count; i++) {
        if (strcmp(ocl_source_table[i].name, name) == 0) {
            return ocl_source_table[i].text;
        }
    }
    return NULL;
}

// Never -cl-fast-relaxed-math: masks are made of infinities. What shares local memory is made for
// GPUs; drivers of CPU devices split it at every barrier, and optimising the parts takes them up to
// 20 s.
static bool write_options(build *self) {
    const ikati_kernel *kernel = self->params->kernel;
    const ikati_variant *variant = self->params->variant;
    const bool quick = self->port->type == IKAT_DEVICE_CPU && variant->shared_bytes > 0;
    int length =
        snprintf(self->options, MAX_OPTIONS, "-cl-std=CL1.2%s %s", quick ? " -cl-opt-disable" : "",
                 variant->defines ? variant->defines : "");
    for (uint32_t i = 0; i < kernel->num_specialisation && length > 0 && length < MAX_OPTIONS;
         i++) {
        length +=
            snprintf(self->options + length, MAX_OPTIONS - (size_t)length, " -D %s=%uu",
                     kernel->specialisation_names[i], (unsigned)self->params->specialisation[i]);
    }
    return length > 0 && length < MAX_OPTIONS;
}

// The text of a call is in the key whole: no two of a user's expressions are taken for one another.
static int write_key(const build *self, char *key, size_t capacity) {
    const ikati_program_params *params = self->params;
    return snprintf(
        key, capacity, "%s|%s|%s|%016llx|%s%s%s", params->kernel->name, params->variant->name,
        self->options,
        (unsigned long long)ikati_hash(IKATI_HASH_START, self->source, strlen(self->source)),
        self->port->identity, params->text ? "|" : "", params->text ? params->text : "");
}

// Without memory for a key nothing is loaded or kept.
static void make_key(build *self) {
    const int length = self->port->host->cache_dir ? write_key(self, NULL, 0) : 0;
    self->key = length > 0 ? ikati_alloc(self->port->host, (size_t)length + 1, 1) : NULL;
    if (self->key) {
        write_key(self, self->key, (size_t)length + 1);
    }
}

// Logs the first lines of what the compiler said, each as a message of its own.
static void log_compiler(const build *self, cl_program program, ikat_log_level level) {
    ocl_port *port = self->port;
    size_t size = 0;
    cl_int error =
        port->cl.GetProgramBuildInfo(program, port->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    if (error != CL_SUCCESS || size <= 1) {
        return;
    }
    char *text = ikati_alloc(port->host, size + 1, 1);
    if (!text) {
        return;
    }
    error =
        port->cl.GetProgramBuildInfo(program, port->device, CL_PROGRAM_BUILD_LOG, size, text, NULL);
    const char *line = text;
    for (int i = 0; error == CL_SUCCESS && *line && i < MAX_LOG_LINES; i++) {
        const size_t length = strcspn(line, "\r\n");
        if (length > 0) {
            ikati_log(port->host, level, IKAT_MESSAGE_COMPILE, "%s: %.*s", self->params->name,
                      (int)length, line);
        }
        line += length + strspn(line + length, "\r\n");
    }
    ikati_free(port->host, text);
}

static cl_int build_program(const build *self, cl_program program) {
    return self->port->cl.BuildProgram(program, 1, &self->port->device, self->options, NULL, NULL);
}

// Some drivers find only when asked for the kernel that a binary is of no use.
static cl_int build_binary(const build *self, cl_program program) {
    cl_int error = build_program(self, program);
    if (error == CL_SUCCESS) {
        cl_kernel kernel = self->port->cl.CreateKernel(program, self->params->kernel->name, &error);
        if (kernel) {
            self->port->cl.ReleaseKernel(kernel);
        }
    }
    return error;
}

// A binary that the driver no longer takes is as good as none.
static cl_program load_binary(const build *self) {
    ocl_port *port = self->port;
    void *blob = NULL;
    size_t size = 0;
    if (!ikati_cache_load(port->host, cache_kind, self->key, &blob, &size)) {
        return NULL;
    }
    const unsigned char *binary = blob;
    cl_int binary_status = CL_INVALID_BINARY, error = CL_INVALID_BINARY;
    cl_program program = port->cl.CreateProgramWithBinary(port->context, 1, &port->device, &size,
                                                          &binary, &binary_status, &error);
    error =
        program && binary_status == CL_SUCCESS ? build_binary(self, program) : CL_INVALID_BINARY;
    if (error != CL_SUCCESS) {
        ikati_log(port->host, IKAT_LOG_INFO, IKAT_MESSAGE_CACHE,
                  "%s: the driver refused a cached binary (%d)", self->params->name, (int)error);
        if (program) {
            port->cl.ReleaseProgram(program);
            program = NULL;
        }
    }
    ikati_free(port->host, blob);
    return program;
}

// Finds this device among those of the program's context; a host's context may have several.
static bool find_device(const ocl_port *port, cl_program program, cl_uint num_devices,
                        cl_uint *out_index) {
    cl_device_id *devices = ikati_alloc(port->host, num_devices, sizeof(cl_device_id));
    bool found = false;
    if (devices &&
        port->cl.GetProgramInfo(program, CL_PROGRAM_DEVICES, num_devices * sizeof(cl_device_id),
                                devices, NULL) == CL_SUCCESS) {
        for (cl_uint i = 0; i < num_devices && !found; i++) {
            found = devices[i] == port->device;
            *out_index = i;
        }
    }
    ikati_free(port->host, devices);
    return found;
}

static void store_binary(const build *self, cl_program program) {
    ocl_port *port = self->port;
    cl_uint num_devices = 0, index = 0;
    if (port->cl.GetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(num_devices), &num_devices,
                                NULL) != CL_SUCCESS ||
        num_devices == 0 || !find_device(port, program, num_devices, &index)) {
        return;
    }
    size_t *sizes = ikati_alloc(port->host, num_devices, sizeof(size_t));
    unsigned char **binaries =
        ikati_alloc(port->host, num_devices, sizeof(unsigned char *)); // NULL: not wanted
    if (sizes && binaries &&
        port->cl.GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, num_devices * sizeof(size_t),
                                sizes, NULL) == CL_SUCCESS &&
        sizes[index] > 0) {
        binaries[index] = ikati_alloc(port->host, sizes[index], 1);
        if (binaries[index] && port->cl.GetProgramInfo(program, CL_PROGRAM_BINARIES,
                                                       num_devices * sizeof(unsigned char *),
                                                       binaries, NULL) == CL_SUCCESS) {
            ikati_cache_store(port->host, cache_kind, self->key, binaries[index], sizes[index]);
        }
        ikati_free(port->host, binaries[index]);
    }
    ikati_free(port->host, binaries);
    ikati_free(port->host, sizes);
}

static ikat_status compile_source(const build *self, cl_program *out_program) {
    ocl_port *port = self->port;
    cl_int error;
    const char *texts[] = {self->source, self->params->text};
    cl_program program = port->cl.CreateProgramWithSource(port->context, self->params->text ? 2 : 1,
                                                          texts, NULL, &error);
    if (!program) {
        return ocl_fail(port, error, "clCreateProgramWithSource", self->params->name);
    }
    error = build_program(self, program);
    if (error == CL_SUCCESS) {
        log_compiler(self, program, IKAT_LOG_DEBUG);
        *out_program = program;
        return IKAT_OK;
    }
    // No error yet: the core has other variants to try.
    ikati_log(port->host, IKAT_LOG_WARNING, IKAT_MESSAGE_COMPILE, "%s: clBuildProgram gave %s (%d)",
              self->params->name, ocl_error_name(error), (int)error);
    log_compiler(self, program, IKAT_LOG_WARNING);
    port->cl.ReleaseProgram(program);
    return error == CL_OUT_OF_HOST_MEMORY ? IKAT_NO_MEMORY : IKAT_COMPILE;
}

// A driver may find only now that the kernel needs more registers or shared memory than a workgroup
// of this size can have.
static ikat_status check_kernel(const build *self, cl_program program) {
    ocl_port *port = self->port;
    const ikati_kernel *kernel = self->params->kernel;
    cl_int error;
    cl_kernel handle = port->cl.CreateKernel(program, kernel->name, &error);
    if (!handle) {
        return ocl_fail(port, error, "clCreateKernel", self->params->name);
    }
    cl_uint num_arguments = 0;
    size_t group_size = 0, multiple = 0;
    cl_ulong shared_bytes = 0;
    port->cl.GetKernelInfo(handle, CL_KERNEL_NUM_ARGS, sizeof(num_arguments), &num_arguments, NULL);
    port->cl.GetKernelWorkGroupInfo(handle, port->device, CL_KERNEL_WORK_GROUP_SIZE,
                                    sizeof(group_size), &group_size, NULL);
    port->cl.GetKernelWorkGroupInfo(handle, port->device,
                                    CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof(multiple),
                                    &multiple, NULL);
    port->cl.GetKernelWorkGroupInfo(handle, port->device, CL_KERNEL_LOCAL_MEM_SIZE,
                                    sizeof(shared_bytes), &shared_bytes, NULL);
    port->cl.ReleaseKernel(handle);
    if (num_arguments != kernel->num_bindings + 2) {
        return ikati_fail(port->host, IKAT_INTERNAL, IKAT_MESSAGE_COMPILE,
                          "%s: the kernel takes %u arguments, not %u buffers, a parameter block "
                          "and a group number",
                          self->params->name, (unsigned)num_arguments,
                          (unsigned)kernel->num_bindings);
    }
    // rusticl, up to 22.3 at least, answers the first question with the answer to the second, which
    // says nothing, and the third with twice the kernel's shared memory.
    const ikati_variant *variant = self->params->variant;
    const bool too_small = group_size < variant->group_size && group_size != multiple;
    const bool too_large = shared_bytes > port->limits.shared_memory_bytes &&
                           (group_size != multiple || shared_bytes != 2 * variant->shared_bytes);
    if (too_small || too_large) {
        ikati_log(port->host, IKAT_LOG_WARNING, IKAT_MESSAGE_COMPILE,
                  "%s: compiled for workgroups of %llu and %llu bytes of shared memory; wanted %u, "
                  "and at most %u",
                  self->params->name, (unsigned long long)group_size,
                  (unsigned long long)shared_bytes, (unsigned)self->params->variant->group_size,
                  (unsigned)port->limits.shared_memory_bytes);
        return IKAT_COMPILE;
    }
    return IKAT_OK;
}

static ikat_status make_program(const build *self, cl_program *out_program) {
    const ocl_port *port = self->port;
    cl_program program = self->key ? load_binary(self) : NULL;
    const bool loaded = program != NULL;
    ikat_status status = loaded ? IKAT_OK : compile_source(self, &program);
    if (status != IKAT_OK) {
        return status;
    }
    status = check_kernel(self, program);
    if (status != IKAT_OK) {
        port->cl.ReleaseProgram(program);
        return status;
    }
    if (self->key && !loaded) {
        store_binary(self, program);
    }
    *out_program = program;
    return IKAT_OK;
}

ikat_status ocl_program_create(ikati_port *opaque, const ikati_program_params *params,
                               ikati_program **out_program) {
    ocl_port *port = (ocl_port *)opaque;
    assert(params->variant->language == IKATI_OPENCL &&
           params->kernel->num_bindings <= IKATI_MAX_BINDINGS);
    *out_program = NULL;
    ikat_status status = ocl_port_alive(port);
    if (status != IKAT_OK) {
        return status;
    }
    build self = {.port = port, .params = params, .source = find_source(params->variant->source)};
    if (!self.source) {
        return ikati_fail(port->host, IKAT_INTERNAL, IKAT_MESSAGE_COMPILE,
                          "%s: no source %s is built in", params->name, params->variant->source);
    }
    if (!write_options(&self)) {
        return ikati_fail(port->host, IKAT_INTERNAL, IKAT_MESSAGE_COMPILE,
                          "%s: its build options are too long", params->name);
    }
    ocl_program *program = ikati_alloc(port->host, 1, sizeof(*program));
    if (!program) {
        return IKAT_NO_MEMORY;
    }
    program->kernel = params->kernel;
    program->group_size = params->variant->group_size;
    program->name = ikati_copy_text(port->host, params->name);
    const uint64_t begin_ns = ikati_now_ns();
    make_key(&self);
    status = program->name ? make_program(&self, &program->handle) : IKAT_NO_MEMORY;
    ikati_free(port->host, self.key);
    if (status != IKAT_OK) {
        ikati_free(port->host, program->name);
        ikati_free(port->host, program);
        return status;
    }
    ocl_count(port, (ikat_device_statistics){.programs_compiled = 1,
                                             .compile_time_ns = ikati_now_ns() - begin_ns});
    *out_program = (ikati_program *)program;
    return IKAT_OK;
}

void ocl_program_destroy(ikati_port *opaque, ikati_program *opaque_program) {
    ocl_port *port = (ocl_port *)opaque;
    ocl_program *program = (ocl_program *)opaque_program;
    port->cl.ReleaseProgram(program->handle);
    ikati_free(port->host, program->name);
    ikati_free(port->host, program);
}
