// Blobs on disk: stored and loaded, and every kind of damage ignored.

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/cache_file.h"
#include "src/platform.h"

typedef struct folder {
    char parent[64];
    char path[80];
    ikati_host host;
    int num_warnings;
} folder;

static void count_warning(void *user, ikat_log_level level, ikat_message_id id, const char *text) {
    (void)text;
    folder *f = user;
    f->num_warnings += level == IKAT_LOG_WARNING && id == IKAT_MESSAGE_CACHE;
}

static int make_folder(void **state) {
    folder *f = calloc(1, sizeof(*f));
    strcpy(f->parent, "/tmp/ikat-cache-XXXXXX");
    if (!mkdtemp(f->parent)) {
        free(f);
        return 1;
    }
    snprintf(f->path, sizeof(f->path), "%s/cache", f->parent); // made by the first store
    f->host = (ikati_host){
        .log = count_warning, .log_user = f, .log_level = IKAT_LOG_WARNING, .cache_dir = f->path};
    *state = f;
    return 0;
}

// The path of the only file of the folder; counts all of them.
static int find_file(const folder *f, char out_path[512]) {
    int count = 0;
    DIR *opened = opendir(f->path);
    const struct dirent *entry;
    while (opened && (entry = readdir(opened)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(out_path, 512, "%s/%s", f->path, entry->d_name);
            count++;
        }
    }
    if (opened) {
        closedir(opened);
    }
    return count;
}

static int remove_folder(void **state) {
    folder *f = *state;
    char path[512];
    while (find_file(f, path) > 0 && remove(path) == 0) {
    }
    rmdir(f->path);
    rmdir(f->parent);
    free(f);
    return 0;
}

static void expect(const folder *f, const char *key, const char *text) {
    void *blob = NULL;
    size_t size = 99;
    const bool found = ikati_cache_load(&f->host, "vulkan", key, &blob, &size);
    assert_int_equal(found, text != NULL);
    assert_int_equal(size, text ? strlen(text) : 0);
    if (text) {
        assert_memory_equal(blob, text, size);
    } else {
        assert_null(blob);
    }
    ikati_free(&f->host, blob);
}

static void store(const folder *f, const char *key, const char *text) {
    ikati_cache_store(&f->host, "vulkan", key, text, strlen(text));
}

static void stored_and_loaded(void **state) {
    folder *f = *state;
    char path[512];
    expect(f, "a key", NULL);
    store(f, "a key", "a blob");
    expect(f, "a key", "a blob");
    expect(f, "another key", NULL);
    store(f, "a key", "replaced");
    expect(f, "a key", "replaced");
    store(f, "a key", "");
    expect(f, "a key", "");
    assert_int_equal(find_file(f, path), 1); // no temporary file is left
    assert_non_null(strstr(path, "/vulkan-"));
    store(f, "another key", "x");
    assert_int_equal(find_file(f, path), 2);
    assert_int_equal(f->num_warnings, 0);
}

static long read_file(const char *path, char *bytes, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, size, file);
    fclose(file);
    return (long)count;
}

static void write_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

// Any one byte changed, any length, anything appended: no blob, and the next store repairs it.
static void damage_is_ignored(void **state) {
    folder *f = *state;
    char path[512], bytes[256];
    store(f, "key", "some bytes to keep");
    assert_int_equal(find_file(f, path), 1);
    const long size = read_file(path, bytes, sizeof(bytes) - 1);
    for (long i = 0; i < size; i++) {
        bytes[i] ^= 0x40;
        write_file(path, bytes, (size_t)size);
        expect(f, "key", NULL);
        bytes[i] ^= 0x40;
        write_file(path, bytes, (size_t)i);
        expect(f, "key", NULL);
    }
    bytes[size] = 'x';
    write_file(path, bytes, (size_t)size + 1);
    expect(f, "key", NULL);
    store(f, "key", "repaired");
    expect(f, "key", "repaired");
}

// A file of another key under this key's name, as when two hashes collide.
static void foreign_key_is_ignored(void **state) {
    folder *f = *state;
    char path[512], other[512], bytes[256];
    store(f, "key A", "blob of A");
    assert_int_equal(find_file(f, path), 1);
    const long size = read_file(path, bytes, sizeof(bytes));
    assert_int_equal(remove(path), 0);
    store(f, "key B", "blob of B");
    assert_int_equal(find_file(f, other), 1);
    write_file(other, bytes, (size_t)size);
    expect(f, "key B", NULL);
    store(f, "key B", "blob of B");
    expect(f, "key B", "blob of B");
}

static void without_folder(void **state) {
    folder *f = *state;
    f->host.cache_dir = NULL;
    store(f, "key", "blob");
    expect(f, "key", NULL);
    assert_int_equal(f->num_warnings, 0);
    f->host.cache_dir = (char[]){"/nonexistent/folder"};
    store(f, "key", "blob");
    assert_int_equal(f->num_warnings, 1);
    expect(f, "key", NULL);
}

static void store_and_load(void *user, uint32_t worker) {
    const folder *f = user;
    char text[2] = {(char)('a' + worker), 0};
    for (int i = 0; i < 50; i++) {
        store(f, "shared", text);
        void *blob = NULL;
        size_t size = 0;
        // Whole or absent (another system may refuse to replace an open file), never a mixture.
        if (ikati_cache_load(&f->host, "vulkan", "shared", &blob, &size) && size != 1) {
            abort();
        }
        ikati_free(&f->host, blob);
    }
}

static void threads_may_race(void **state) {
    folder *f = *state;
    char path[512];
    ikati_run_threads(4, store_and_load, f);
    assert_int_equal(find_file(f, path), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stored_and_loaded, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damage_is_ignored, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(foreign_key_is_ignored, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(without_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(threads_may_race, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
