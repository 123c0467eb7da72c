// The loader, the list of devices, opening and closing one, errors.

#include "ocl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// The loader.

// Opens the system's loader. It is never closed: it does not unload the drivers, whose threads go
// on, and would lose what it knows of them. Opening it again gives the same one.
static void *open_library(void) {
    static const char *const names[] = {
#if defined(_WIN32)
        "OpenCL.dll",
#elif defined(__APPLE__)
        "/System/Library/Frameworks/OpenCL.framework/OpenCL",
#else
        "libOpenCL.so.1",
        "libOpenCL.so", // Android
#endif
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *library = ikati_library_open(names[i]);
        if (library) {
            return library;
        }
    }
    return NULL;
}

const char *ocl_functions_find(ocl_functions *cl, ocl_find_fn find, void *user) {
    if (!find) {
        find = ikati_library_function;
        user = open_library();
        if (!user) {
            return "OpenCL loader";
        }
    }
#define OCL_FUNCTION(result, name, arguments)                           \
    cl->name = (result(CL_API_CALL *) arguments)find(user, "cl" #name); \
    if (!cl->name) {                                                    \
        return "cl" #name;                                              \
    }
#include "functions.inc"
#undef OCL_FUNCTION
    return NULL;
}

// What a device says of itself. A query that fails leaves zero or empty text.

static cl_uint get_uint(const ocl_functions *cl, cl_device_id device, cl_device_info what) {
    cl_uint value = 0;
    return cl->GetDeviceInfo(device, what, sizeof(value), &value, NULL) == CL_SUCCESS ? value : 0;
}

static cl_ulong get_ulong(const ocl_functions *cl, cl_device_id device, cl_device_info what) {
    cl_ulong value = 0;
    return cl->GetDeviceInfo(device, what, sizeof(value), &value, NULL) == CL_SUCCESS ? value : 0;
}

static size_t get_size(const ocl_functions *cl, cl_device_id device, cl_device_info what) {
    size_t value = 0;
    return cl->GetDeviceInfo(device, what, sizeof(value), &value, NULL) == CL_SUCCESS ? value : 0;
}

static const char *get_text(const ocl_functions *cl, cl_device_id device, cl_device_info what,
                            char *text, size_t size) {
    if (cl->GetDeviceInfo(device, what, size, text, NULL) != CL_SUCCESS) {
        text[0] = '\0';
    }
    text[size - 1] = '\0';
    return text;
}

static const char *get_platform_text(const ocl_functions *cl, cl_device_id device,
                                     cl_platform_info what, char *text, size_t size) {
    cl_platform_id platform = NULL;
    if (cl->GetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof(platform), &platform, NULL) !=
            CL_SUCCESS ||
        cl->GetPlatformInfo(platform, what, size, text, NULL) != CL_SUCCESS) {
        text[0] = '\0';
    }
    text[size - 1] = '\0';
    return text;
}

// Some drivers pad names with blanks.
static void trim(char *text) {
    const size_t leading = strspn(text, " ");
    size_t length = strlen(text + leading);
    memmove(text, text + leading, length + 1);
    while (length > 0 && text[length - 1] == ' ') {
        text[--length] = '\0';
    }
}

// True if `words`, separated by blanks, has `word`.
static bool has_word(const char *words, const char *word) {
    const size_t length = strlen(word);
    for (const char *found = words; (found = strstr(found, word)) != NULL; found += length) {
        const bool starts = found == words || found[-1] == ' ';
        if (starts && (found[length] == ' ' || found[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static uint32_t clamp_uint(uint64_t value, uint32_t most) {
    return value < most ? (uint32_t)value : most;
}

static void describe_limits(const ocl_functions *cl, cl_device_id device,
                            ikat_device_limits *limits) {
    const uint64_t max_buffer = get_ulong(cl, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    const uint64_t max_range = UINT64_C(1) << 32; // kernels index with 32 bits
    size_t item_sizes[16] = {0};
    cl->GetDeviceInfo(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(item_sizes), item_sizes, NULL);
    const size_t group_size = get_size(cl, device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    const cl_uint alignment = get_uint(cl, device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;

    // Buffers are arguments: what the parameter block and first_group leave of the argument space.
    const size_t argument_bytes = get_size(cl, device, CL_DEVICE_MAX_PARAMETER_SIZE);
    const size_t block_bytes = IKATI_MAX_PARAMS_BYTES + sizeof(cl_uint);
    const size_t num_buffers =
        argument_bytes > block_bytes ? (argument_bytes - block_bytes) / sizeof(cl_ulong) : 0;

    char extensions[8192];
    get_text(cl, device, CL_DEVICE_EXTENSIONS, extensions, sizeof(extensions));
    const cl_ulong queue_properties = get_ulong(cl, device, CL_DEVICE_QUEUE_PROPERTIES);

    *limits = (ikat_device_limits){
        .max_buffer_bytes = max_buffer,
        .max_storage_range_bytes = max_buffer < max_range ? max_buffer : max_range,
        .storage_alignment_bytes = alignment > 0 ? alignment : 1,
        .texel_alignment_bytes = 1,
        .shared_memory_bytes =
            clamp_uint(get_ulong(cl, device, CL_DEVICE_LOCAL_MEM_SIZE), UINT32_MAX),
        .max_group_size =
            clamp_uint(group_size < item_sizes[0] ? group_size : item_sizes[0], UINT32_MAX),
        .max_groups = 65535,
        .max_storage_buffers = clamp_uint(num_buffers, 64),
        .vector_width = get_uint(cl, device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT),
        .float16_arithmetic = has_word(extensions, "cl_khr_fp16"),
        .storage_16bit = 1,
        .storage_8bit = 1,
        .timestamps = (queue_properties & CL_QUEUE_PROFILING_ENABLE) != 0,
        .runtime_compiler = 1,
    };
}

static ikat_device_type describe_type(const ocl_functions *cl, cl_device_id device) {
    const cl_ulong type = get_ulong(cl, device, CL_DEVICE_TYPE);
    if (type & CL_DEVICE_TYPE_CPU) {
        return IKAT_DEVICE_CPU;
    }
    if (type & CL_DEVICE_TYPE_GPU) {
        const bool unified = get_uint(cl, device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
        return unified ? IKAT_DEVICE_INTEGRATED : IKAT_DEVICE_DISCRETE;
    }
    return IKAT_DEVICE_OTHER;
}

bool ocl_device_describe(const ocl_functions *cl, cl_device_id device, ikat_device_info *out_info) {
    char version[256], platform[128], driver[96];
    unsigned major = 0, minor = 0;
    get_text(cl, device, CL_DEVICE_VERSION, version, sizeof(version));
    if (sscanf(version, "OpenCL %u.%u", &major, &minor) != 2 || major < 1 ||
        (major == 1 && minor < 2) || !get_uint(cl, device, CL_DEVICE_AVAILABLE) ||
        !get_uint(cl, device, CL_DEVICE_COMPILER_AVAILABLE)) {
        return false;
    }
    *out_info = (ikat_device_info){
        .type = describe_type(cl, device),
        .vendor_id = get_uint(cl, device, CL_DEVICE_VENDOR_ID),
        .num_compute_units = get_uint(cl, device, CL_DEVICE_MAX_COMPUTE_UNITS),
        .memory_bytes = get_ulong(cl, device, CL_DEVICE_GLOBAL_MEM_SIZE),
    };
    describe_limits(cl, device, &out_info->limits);
    get_text(cl, device, CL_DEVICE_NAME, out_info->name, sizeof(out_info->name));
    trim(out_info->name);
    get_platform_text(cl, device, CL_PLATFORM_NAME, platform, sizeof(platform));
    get_text(cl, device, CL_DRIVER_VERSION, driver, sizeof(driver));
    snprintf(out_info->driver, sizeof(out_info->driver), "%s %s", platform, driver);
    snprintf(out_info->api, sizeof(out_info->api), "OpenCL %u.%u", major, minor);
    if (!out_info->limits.float16_arithmetic) {
        snprintf(out_info->missing, sizeof(out_info->missing), "float16 arithmetic (cl_khr_fp16)");
    }
    return true;
}

// The driver: everything that the loader lists.

static ikat_status add_device(ocl_driver *driver, cl_platform_id platform, cl_device_id id) {
    ocl_device device = {.platform = platform, .id = id};
    if (!ocl_device_describe(&driver->cl, id, &device.info)) {
        return IKAT_OK;
    }
    ocl_device *devices =
        ikati_resize(driver->host, driver->devices, driver->num_devices + 1, sizeof(*devices));
    if (!devices) {
        return IKAT_NO_MEMORY;
    }
    driver->devices = devices;
    devices[driver->num_devices++] = device;
    return IKAT_OK;
}

static ikat_status add_platform(ocl_driver *driver, cl_platform_id platform) {
    cl_uint count = 0;
    if (driver->cl.GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS ||
        count == 0) {
        return IKAT_OK;
    }
    cl_device_id *ids = ikati_alloc(driver->host, count, sizeof(cl_device_id));
    if (!ids) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = IKAT_OK;
    if (driver->cl.GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, ids, NULL) == CL_SUCCESS) {
        for (cl_uint i = 0; i < count && status == IKAT_OK; i++) {
            status = add_device(driver, platform, ids[i]);
        }
    }
    ikati_free(driver->host, ids);
    return status;
}

static ikat_status add_platforms(ocl_driver *driver) {
    cl_uint count = 0;
    if (driver->cl.GetPlatformIDs(0, NULL, &count) != CL_SUCCESS || count == 0) {
        return IKAT_NO_DEVICE;
    }
    cl_platform_id *platforms = ikati_alloc(driver->host, count, sizeof(cl_platform_id));
    if (!platforms) {
        return IKAT_NO_MEMORY;
    }
    ikat_status status = IKAT_OK;
    if (driver->cl.GetPlatformIDs(count, platforms, NULL) == CL_SUCCESS) {
        for (cl_uint i = 0; i < count && status == IKAT_OK; i++) {
            status = add_platform(driver, platforms[i]);
        }
    }
    ikati_free(driver->host, platforms);
    return status == IKAT_OK && driver->num_devices == 0 ? IKAT_NO_DEVICE : status;
}

static void driver_close(ikati_driver *opaque) {
    ocl_driver *driver = (ocl_driver *)opaque;
    ikati_free(driver->host, driver->devices);
    ikati_free(driver->host, driver);
}

static ikat_status driver_open(const ikati_host *host, ikati_driver **out_driver) {
    *out_driver = NULL;
    ocl_driver *driver = ikati_alloc(host, 1, sizeof(*driver));
    if (!driver) {
        return IKAT_NO_MEMORY;
    }
    driver->host = host;
    const char *missing = ocl_functions_find(&driver->cl, NULL, NULL);
    if (missing) {
        ikati_log(host, IKAT_LOG_INFO, IKAT_MESSAGE_DEVICE, "opencl: this machine has no %s",
                  missing);
    }
    const ikat_status status = missing ? IKAT_NO_DEVICE : add_platforms(driver);
    if (status != IKAT_OK) {
        driver_close((ikati_driver *)driver);
        return status;
    }
    *out_driver = (ikati_driver *)driver;
    return IKAT_OK;
}

static uint32_t driver_num_devices(const ikati_driver *driver) {
    return ((const ocl_driver *)driver)->num_devices;
}

static void driver_describe(const ikati_driver *opaque, uint32_t index,
                            ikat_device_info *out_info) {
    const ocl_driver *driver = (const ocl_driver *)opaque;
    assert(index < driver->num_devices);
    *out_info = driver->devices[index].info;
}

// Ports.

// What a compiled program depends on beside its source and options.
static char *describe_identity(const ikati_host *host, const ocl_functions *cl,
                               cl_device_id device) {
    char platform[256], name[256], version[256], driver[128], identity[1024];
    get_platform_text(cl, device, CL_PLATFORM_VERSION, platform, sizeof(platform));
    get_text(cl, device, CL_DEVICE_NAME, name, sizeof(name));
    get_text(cl, device, CL_DEVICE_VERSION, version, sizeof(version));
    get_text(cl, device, CL_DRIVER_VERSION, driver, sizeof(driver));
    snprintf(identity, sizeof(identity), "%s|%s|%s|%s|%08x", platform, name, version, driver,
             (unsigned)get_uint(cl, device, CL_DEVICE_VENDOR_ID));
    return ikati_copy_text(host, identity);
}

static cl_int open_queue(ocl_port *port, cl_command_queue queue) {
    cl_int error;
    cl_command_queue_properties properties = 0;
    if (queue) {
        error = port->cl.GetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties),
                                             &properties, NULL);
        error = error == CL_SUCCESS ? port->cl.RetainCommandQueue(queue) : error;
        port->queue = error == CL_SUCCESS ? queue : NULL;
    } else {
        properties = port->limits.timestamps ? CL_QUEUE_PROFILING_ENABLE : 0;
        port->queue = port->cl.CreateCommandQueue(port->context, port->device, properties, &error);
        if (!port->queue && properties) {
            properties = 0;
            port->queue =
                port->cl.CreateCommandQueue(port->context, port->device, properties, &error);
        }
    }
    port->profiling = port->limits.timestamps && (properties & CL_QUEUE_PROFILING_ENABLE);
    return error;
}

static ikat_status open_objects(ocl_port *port, cl_context context, cl_command_queue queue) {
    cl_int error = port->cl.RetainContext(context);
    if (error != CL_SUCCESS) {
        return ocl_fail(port, error, "clRetainContext", "the device");
    }
    port->context = context;
    error = open_queue(port, queue);
    if (error != CL_SUCCESS) {
        return ocl_fail(port, error, queue ? "clRetainCommandQueue" : "clCreateCommandQueue",
                        "the device");
    }
    port->dummy = port->cl.CreateBuffer(context, CL_MEM_READ_WRITE, 256, NULL, &error);
    return port->dummy ? IKAT_OK : ocl_fail(port, error, "clCreateBuffer", "the device");
}

static void close_objects(ocl_port *port) {
    if (port->dummy) {
        port->cl.ReleaseMemObject(port->dummy);
    }
    if (port->queue) {
        port->cl.ReleaseCommandQueue(port->queue);
    }
    if (port->context) {
        port->cl.ReleaseContext(port->context);
    }
    ikati_mutex_destroy(port->mutex);
    ikati_free(port->host, port->identity);
}

ikat_status ocl_port_create(const ikati_host *host, const ocl_functions *cl, cl_context context,
                            cl_device_id device, cl_command_queue queue,
                            const ikat_device_limits *limits, ocl_port **out_port) {
    *out_port = NULL;
    ocl_port *port = ikati_alloc(host, 1, sizeof(*port));
    if (!port) {
        return IKAT_NO_MEMORY;
    }
    port->host = host;
    port->cl = *cl;
    port->device = device;
    port->limits = *limits;
    port->queue_adopted = queue != NULL;
    if (!ikati_mutex_init(port->mutex)) {
        ikati_free(host, port);
        return ikati_fail(host, IKAT_NO_MEMORY, IKAT_MESSAGE_MEMORY, "opencl: no mutex");
    }
    port->type = describe_type(cl, device);
    port->identity = describe_identity(host, cl, device);
    const ikat_status status = port->identity ? open_objects(port, context, queue) : IKAT_NO_MEMORY;
    if (status != IKAT_OK) {
        close_objects(port);
        ikati_free(host, port);
        return status;
    }
    *out_port = port;
    return IKAT_OK;
}

static ikat_status port_open(ikati_driver *opaque, uint32_t index, const ikat_device_limits *limits,
                             ikati_port **out_port) {
    const ocl_driver *driver = (const ocl_driver *)opaque;
    assert(index < driver->num_devices);
    *out_port = NULL;
    const ocl_device *device = &driver->devices[index];
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)device->platform, 0};
    cl_int error;
    cl_context context = driver->cl.CreateContext(properties, 1, &device->id, NULL, NULL, &error);
    if (!context) {
        return ikati_fail(driver->host,
                          error == CL_OUT_OF_HOST_MEMORY ? IKAT_NO_MEMORY : IKAT_NO_DEVICE,
                          IKAT_MESSAGE_DEVICE, "opencl: clCreateContext failed for %s (%d)",
                          device->info.name, (int)error);
    }
    ocl_port *port;
    const ikat_status status =
        ocl_port_create(driver->host, &driver->cl, context, device->id, NULL, limits, &port);
    driver->cl.ReleaseContext(context); // the port has its own
    *out_port = (ikati_port *)port;
    return status;
}

void ocl_port_close(ikati_port *opaque) {
    ocl_port *port = (ocl_port *)opaque;
    // Only what was submitted here: a queue of the host's may wait for events that the host has yet
    // to signal.
    ocl_wait(opaque, port->last_ticket, UINT64_MAX, NULL);
    ocl_submissions_release(port);
    close_objects(port);
    ikati_free(port->host, port);
}

// Errors.

const char *ocl_error_name(cl_int error) {
    switch (error) {
#define ERROR_NAME(name) \
    case name: return #name;
        ERROR_NAME(CL_DEVICE_NOT_AVAILABLE)
        ERROR_NAME(CL_COMPILER_NOT_AVAILABLE)
        ERROR_NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE)
        ERROR_NAME(CL_OUT_OF_RESOURCES)
        ERROR_NAME(CL_OUT_OF_HOST_MEMORY)
        ERROR_NAME(CL_BUILD_PROGRAM_FAILURE)
        ERROR_NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET)
        ERROR_NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
        ERROR_NAME(CL_INVALID_VALUE)
        ERROR_NAME(CL_INVALID_DEVICE)
        ERROR_NAME(CL_INVALID_CONTEXT)
        ERROR_NAME(CL_INVALID_COMMAND_QUEUE)
        ERROR_NAME(CL_INVALID_MEM_OBJECT)
        ERROR_NAME(CL_INVALID_BINARY)
        ERROR_NAME(CL_INVALID_BUILD_OPTIONS)
        ERROR_NAME(CL_INVALID_PROGRAM)
        ERROR_NAME(CL_INVALID_PROGRAM_EXECUTABLE)
        ERROR_NAME(CL_INVALID_KERNEL_NAME)
        ERROR_NAME(CL_INVALID_KERNEL)
        ERROR_NAME(CL_INVALID_ARG_INDEX)
        ERROR_NAME(CL_INVALID_ARG_VALUE)
        ERROR_NAME(CL_INVALID_ARG_SIZE)
        ERROR_NAME(CL_INVALID_KERNEL_ARGS)
        ERROR_NAME(CL_INVALID_WORK_GROUP_SIZE)
        ERROR_NAME(CL_INVALID_WORK_ITEM_SIZE)
        ERROR_NAME(CL_INVALID_GLOBAL_OFFSET)
        ERROR_NAME(CL_INVALID_EVENT_WAIT_LIST)
        ERROR_NAME(CL_INVALID_EVENT)
        ERROR_NAME(CL_INVALID_OPERATION)
        ERROR_NAME(CL_INVALID_BUFFER_SIZE)
        ERROR_NAME(CL_INVALID_GLOBAL_WORK_SIZE)
#undef ERROR_NAME
    default: return "an error";
    }
}

// CL_OUT_OF_RESOURCES is what one driver says of a fault in a kernel and another of a launch that
// is too big: only a queue that no longer works tells which. (Never by waiting on a host's queue.)
static bool is_loss(const ocl_port *port, cl_int error) {
    switch (error) {
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_INVALID_DEVICE:
    case CL_INVALID_CONTEXT:
    case CL_INVALID_COMMAND_QUEUE:
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST: // an earlier command failed while it ran
        return true;
    case CL_OUT_OF_RESOURCES:
        return port->queue && !port->queue_adopted && port->cl.Finish(port->queue) != CL_SUCCESS;
    default: return error <= -9999; // below: numbers that drivers chose for faults
    }
}

static ikat_status status_of(cl_int error) {
    switch (error) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE: return IKAT_NO_MEMORY;
    case CL_BUILD_PROGRAM_FAILURE:
    case CL_INVALID_BUILD_OPTIONS:
    case CL_INVALID_KERNEL_NAME:
    case CL_INVALID_PROGRAM_EXECUTABLE:
    case CL_INVALID_BINARY: return IKAT_COMPILE;
    default: return IKAT_INTERNAL;
    }
}

ikat_status ocl_fail(ocl_port *port, cl_int error, const char *function, const char *subject) {
    ikat_status status = status_of(error);
    if (is_loss(port, error)) {
        ocl_port_lose(port);
        status = IKAT_DEVICE_LOST;
    }
    return ikati_fail(
        port->host, status, status == IKAT_NO_MEMORY ? IKAT_MESSAGE_MEMORY : IKAT_MESSAGE_DEVICE,
        "opencl: %s: %s gave %s (%d)", subject, function, ocl_error_name(error), (int)error);
}

void ocl_port_lose(ocl_port *port) {
    ikati_mutex_lock(port->mutex);
    port->lost = true;
    ikati_mutex_unlock(port->mutex);
}

ikat_status ocl_port_alive(ocl_port *port) {
    ikati_mutex_lock(port->mutex);
    const bool lost = port->lost;
    ikati_mutex_unlock(port->mutex);
    return lost ? IKAT_DEVICE_LOST : IKAT_OK;
}

const ikati_backend ikati_backend_opencl = {
    .name = "opencl",
    .language = IKATI_OPENCL,
    .store_bytes = 2,
    .driver_open = driver_open,
    .driver_close = driver_close,
    .driver_num_devices = driver_num_devices,
    .driver_describe = driver_describe,
    .port_open = port_open,
    .port_close = ocl_port_close,
    .memory_create = ocl_memory_create,
    .memory_destroy = ocl_memory_destroy,
    .memory_write = ocl_memory_write,
    .memory_read = ocl_memory_read,
    .program_create = ocl_program_create,
    .program_destroy = ocl_program_destroy,
    .sequence_create = ocl_sequence_create,
    .sequence_destroy = ocl_sequence_destroy,
    .submit = ocl_submit,
    .wait = ocl_wait,
    .time = ocl_time,
    .statistics = ocl_statistics,
};
