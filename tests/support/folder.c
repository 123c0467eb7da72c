#define _POSIX_C_SOURCE 200809L

#include "folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void folder_create(folder *out_folder) {
    strcpy(out_folder->parent, "/tmp/ikat-test-XXXXXX");
    assert_non_null(mkdtemp(out_folder->parent));
    snprintf(out_folder->path, sizeof(out_folder->path), "%s/cache", out_folder->parent);
}

static int compare_paths(const void *a, const void *b) { return strcmp(a, b); }

size_t folder_list(const folder *f, char out_paths[][FOLDER_PATH_SIZE]) {
    size_t num = 0;
    DIR *opened = opendir(f->path);
    const struct dirent *entry;
    while (opened && (entry = readdir(opened)) != NULL) {
        if (entry->d_name[0] != '.') {
            assert_true(num < FOLDER_MAX_FILES);
            snprintf(out_paths[num++], FOLDER_PATH_SIZE, "%s/%s", f->path, entry->d_name);
        }
    }
    if (opened) {
        closedir(opened);
    }
    qsort(out_paths, num, FOLDER_PATH_SIZE, compare_paths);
    return num;
}

void folder_remove(const folder *f) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    const size_t num = folder_list(f, paths);
    for (size_t i = 0; i < num; i++) {
        remove(paths[i]);
    }
    rmdir(f->path);
    rmdir(f->parent);
}

size_t folder_read(const char *path, void *bytes, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, size, file);
    fclose(file);
    return count;
}

void folder_write(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void folder_damage(const folder *f, size_t from_end) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    const size_t num = folder_list(f, paths);
    for (size_t i = 0; i < num; i++) {
        FILE *file = fopen(paths[i], "r+b");
        assert_non_null(file);
        assert_int_equal(fseek(file, -(long)from_end, SEEK_END), 0);
        const int byte = fgetc(file);
        assert_int_equal(fseek(file, -(long)from_end, SEEK_END), 0);
        assert_int_not_equal(fputc(byte ^ 1, file), EOF);
        assert_int_equal(fclose(file), 0);
    }
}

void folder_rotate(const folder *f) {
    char paths[FOLDER_MAX_FILES][FOLDER_PATH_SIZE];
    char kept[FOLDER_PATH_SIZE];
    const size_t num = folder_list(f, paths);
    assert_true(num > 1);
    snprintf(kept, sizeof(kept), "%s/.kept", f->path);
    assert_int_equal(rename(paths[0], kept), 0);
    for (size_t i = 1; i < num; i++) {
        assert_int_equal(rename(paths[i], paths[i - 1]), 0);
    }
    assert_int_equal(rename(kept, paths[num - 1]), 0);
}
