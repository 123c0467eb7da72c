// Names and sizes of the public enumerations, and the version.

#include <ikat/types.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *ikat_version(void) {
    return TEXT(IKAT_VERSION_MAJOR) "." TEXT(IKAT_VERSION_MINOR) "." TEXT(IKAT_VERSION_PATCH);
}

const char *ikat_status_name(ikat_status status) {
    switch (status) {
    case IKAT_OK: return "IKAT_OK";
    case IKAT_INVALID: return "IKAT_INVALID";
    case IKAT_UNSUPPORTED: return "IKAT_UNSUPPORTED";
    case IKAT_NO_DEVICE: return "IKAT_NO_DEVICE";
    case IKAT_NO_MEMORY: return "IKAT_NO_MEMORY";
    case IKAT_COMPILE: return "IKAT_COMPILE";
    case IKAT_DEVICE_LOST: return "IKAT_DEVICE_LOST";
    case IKAT_IO: return "IKAT_IO";
    case IKAT_INTERNAL: return "IKAT_INTERNAL";
    }
    return "unknown status";
}

const char *ikat_dtype_name(ikat_dtype dtype) {
    switch (dtype) {
    case IKAT_DTYPE_NONE: return "none";
    case IKAT_FLOAT32: return "float32";
    case IKAT_FLOAT16: return "float16";
    case IKAT_INT32: return "int32";
    case IKAT_INT8: return "int8";
    case IKAT_UINT8: return "uint8";
    }
    return "unknown type";
}

size_t ikat_dtype_size(ikat_dtype dtype) {
    switch (dtype) {
    case IKAT_FLOAT32:
    case IKAT_INT32: return 4;
    case IKAT_FLOAT16: return 2;
    case IKAT_INT8:
    case IKAT_UINT8: return 1;
    case IKAT_DTYPE_NONE: break;
    }
    return 0;
}
