#include "cache_file.h"

#include "hash.h"
#include "platform.h"

#include <stdio.h>
#include <string.h>

// A file: this header, the key's text without its NUL, the blob. Host byte order: a file from
// another machine shows as a wrong magic or version and is ignored.
typedef struct file_header {
    char magic[8];
    uint32_t version;
    uint32_t key_bytes;
    uint64_t blob_bytes;
    uint64_t checksum; // of key, then blob
} file_header;

_Static_assert(sizeof(file_header) == 32, "the header has no padding");

static const char cache_magic[8] = {'i', 'k', 'a', 't', 'b', 'l', 'o', 'b'};
enum { CACHE_VERSION = 1 };

static file_header make_header(const char *key, const void *blob, size_t size) {
    const size_t key_bytes = strlen(key);
    const uint64_t hash = ikati_hash(IKATI_HASH_START, key, key_bytes);
    file_header header = {
        .version = CACHE_VERSION,
        .key_bytes = (uint32_t)key_bytes,
        .blob_bytes = size,
        .checksum = ikati_hash(hash, blob, size),
    };
    memcpy(header.magic, cache_magic, sizeof(header.magic));
    return header;
}

// "DIR/KIND-HASH.bin"; NULL without a cache folder or memory. Two keys of one hash share a file and
// replace each other.
static char *make_path(const ikati_host *host, const char *kind, const char *key) {
    if (!host->cache_dir) {
        return NULL;
    }
    const size_t size = strlen(host->cache_dir) + strlen(kind) + 32;
    char *path = ikati_alloc(host, size, 1);
    if (path) {
        const uint64_t hash = ikati_hash(IKATI_HASH_START, key, strlen(key));
        snprintf(path, size, "%s/%s-%016llx.bin", host->cache_dir, kind, (unsigned long long)hash);
    }
    return path;
}

// Bytes left from the current position to the end; -1 on failure.
static long bytes_left(FILE *file) {
    const long here = ftell(file);
    if (here < 0 || fseek(file, 0, SEEK_END) != 0) {
        return -1;
    }
    const long end = ftell(file);
    return fseek(file, here, SEEK_SET) == 0 ? end - here : -1;
}

// Reads the rest of the file, key and blob; NULL if its header does not agree with its length or
// the key.
static char *read_body(const ikati_host *host, FILE *file, const char *key,
                       file_header *out_header) {
    file_header *header = out_header;
    if (fread(header, sizeof(*header), 1, file) != 1 ||
        memcmp(header->magic, cache_magic, sizeof(header->magic)) != 0 ||
        header->version != CACHE_VERSION || header->key_bytes != strlen(key)) {
        return NULL;
    }
    // The length is looked up before memory is asked for: a damaged header may name any size.
    const long left = bytes_left(file);
    uint64_t expected = 0;
    if (left < 0 || !ikati_add_size(header->key_bytes, header->blob_bytes, &expected) ||
        (uint64_t)left != expected) {
        return NULL;
    }
    char *body = ikati_alloc(host, (size_t)expected, 1);
    if (body && expected > 0 && fread(body, (size_t)expected, 1, file) != 1) {
        ikati_free(host, body);
        return NULL;
    }
    return body;
}

bool ikati_cache_load(const ikati_host *host, const char *kind, const char *key, void **out_blob,
                      size_t *out_size) {
    *out_blob = NULL;
    *out_size = 0;
    char *path = make_path(host, kind, key);
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) {
        ikati_free(host, path);
        return false;
    }
    file_header header;
    const size_t key_bytes = strlen(key);
    char *body = read_body(host, file, key, &header);
    fclose(file);
    if (!body || memcmp(body, key, key_bytes) != 0 ||
        ikati_hash(IKATI_HASH_START, body, key_bytes + (size_t)header.blob_bytes) !=
            header.checksum) {
        ikati_log(host, IKAT_LOG_INFO, IKAT_MESSAGE_CACHE,
                  "%s is damaged or of another key: ignored", path);
        ikati_free(host, body);
        ikati_free(host, path);
        return false;
    }
    // The blob moves to the front of its block, so that the caller can free it.
    memmove(body, body + key_bytes, (size_t)header.blob_bytes);
    ikati_free(host, path);
    *out_blob = body;
    *out_size = (size_t)header.blob_bytes;
    return true;
}

static bool write_all(const char *path, const char *key, const void *blob, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) {
        return false;
    }
    const file_header header = make_header(key, blob, size);
    const bool written = fwrite(&header, sizeof(header), 1, file) == 1 &&
                         fwrite(key, 1, header.key_bytes, file) == header.key_bytes &&
                         fwrite(blob, 1, size, file) == size;
    const bool closed = fclose(file) == 0;
    return written && closed;
}

void ikati_cache_store(const ikati_host *host, const char *kind, const char *key, const void *blob,
                       size_t size) {
    char *path = make_path(host, kind, key);
    if (!path) {
        return;
    }
    // Unique among processes, and among threads by the address of a local.
    const size_t temporary_bytes = strlen(path) + 64;
    char *temporary = ikati_alloc(host, temporary_bytes, 1);
    if (temporary) {
        snprintf(temporary, temporary_bytes, "%s.%llx-%llx-%p.tmp", path,
                 (unsigned long long)ikati_process_id(), (unsigned long long)ikati_now_ns(),
                 (void *)&path);
        ikati_folder_make(host->cache_dir);
        if (!write_all(temporary, key, blob, size) || !ikati_file_replace(temporary, path)) {
            remove(temporary);
            ikati_log(host, IKAT_LOG_WARNING, IKAT_MESSAGE_CACHE,
                      "cannot write %s: nothing is kept", path);
        }
    }
    ikati_free(host, temporary);
    ikati_free(host, path);
}
