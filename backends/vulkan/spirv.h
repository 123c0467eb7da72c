// The compiled kernels, as the build embeds them: one row per GLSL variant of
// shaders/variants/*.inc.

#ifndef VK_SPIRV_H
#define VK_SPIRV_H

#include <stddef.h>
#include <stdint.h>

typedef struct vk_spirv {
    const char *kernel;
    const char *variant;
    const uint32_t *words;
    size_t size_bytes;
} vk_spirv;

extern const vk_spirv vk_spirv_table[];
extern const size_t vk_spirv_count;

#endif
