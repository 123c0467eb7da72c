// Gives functions of libshaderc's archive, which keeps them to itself, back to a shared library: the
// build has renamed them, here they get their names again.

#include <stddef.h>
#include <stdint.h>

#define SHADERC_FUNCTION(result, name, arguments)                                     \
    extern result renamed_shaderc_##name arguments;                                   \
    static result(*resolve_##name(void)) arguments { return renamed_shaderc_##name; } \
    __attribute__((visibility("default"), ifunc("resolve_" #name))) result shaderc_##name arguments;
#include "backends/vulkan/shaderc.inc"
