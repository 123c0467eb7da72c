// The GLSL text of kernels that are compiled when a plan is made, built into the library. The
// definitions are generated (cmake/embed_sources.cmake): one entry a file below shaders/glsl/ that
// such a variant names, with its includes already in place.

#ifndef VK_SOURCE_H
#define VK_SOURCE_H

#include <stddef.h>

typedef struct vk_source {
    const char *name; // as in ikati_variant.source
    const char *text;
} vk_source;

extern const vk_source vk_source_table[];
extern const size_t vk_source_count;

#endif
