// Blobs on disk (compiled programs), in the context's cache folder, keyed by text.
//
// A file carries its key, size and checksum; one that is damaged, truncated or of another key is
// ignored (and replaced by the next store). Files are written whole: to a temporary name, then
// renamed. Failing to store is a warning, never an error.

#ifndef IKATI_CACHE_FILE_H
#define IKATI_CACHE_FILE_H

#include "host.h"

// Loads the blob stored under `key`; false if there is none. Free out_blob with ikati_free.
//
// kind  a short word that begins the file name: "vulkan", "opencl"
bool ikati_cache_load(const ikati_host *host, const char *kind, const char *key, void **out_blob,
                      size_t *out_size);

void ikati_cache_store(const ikati_host *host, const char *kind, const char *key, const void *blob,
                       size_t size);

#endif
