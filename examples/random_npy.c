// Writes a float32 tensor of normally distributed numbers as a NumPy file: something to feed `ikat
// run`.
//
//   random_npy FILE SEED EXTENT...        random_npy q.npy 1 1 8 1024 64

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXTENTS = 6, HEADER_BYTES = 128 };

// SplitMix64.
static uint64_t next_bits(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Box-Muller.
static float next_normal(uint64_t *state) {
    double u = ((double)(next_bits(state) >> 11) + 1.0) * 0x1p-53;
    double v = (double)(next_bits(state) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

// A header of version 1.0: magic, version, length, a Python dictionary padded with blanks to a
// multiple of 64.
static void write_header(FILE *file, const uint64_t *extents, int num_extents) {
    char header[HEADER_BYTES];
    memset(header, ' ', sizeof(header));
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int used = 10 + snprintf(header + 10, sizeof(header) - 10,
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < num_extents; i++) {
        used += snprintf(header + used, sizeof(header) - (size_t)used, "%llu,",
                         (unsigned long long)extents[i]);
    }
    used += snprintf(header + used, sizeof(header) - (size_t)used, "), }");
    header[used] = ' ';
    header[HEADER_BYTES - 1] = '\n';
    fwrite(header, 1, sizeof(header), file);
}

static int usage(void) {
    fprintf(stderr, "usage: random_npy FILE SEED EXTENT...  (1 to %d extents, each below 10^9)\n",
            MAX_EXTENTS);
    return 2;
}

int main(int argc, char **argv) {
    uint64_t extents[MAX_EXTENTS];
    uint64_t count = 1;
    int num_extents = argc - 3;
    if (num_extents < 1 || num_extents > MAX_EXTENTS) {
        return usage();
    }
    for (int i = 0; i < num_extents; i++) {
        char *end = NULL;
        extents[i] = strtoull(argv[3 + i], &end, 10);
        if (*end != '\0' || extents[i] == 0 || extents[i] >= 1000000000u ||
            count > (1u << 30) / extents[i]) {
            return usage();
        }
        count *= extents[i];
    }
    FILE *file = fopen(argv[1], "wb");
    if (!file) {
        fprintf(stderr, "random_npy: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    write_header(file, extents, num_extents);
    uint64_t state = strtoull(argv[2], NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        float value = next_normal(&state);
        fwrite(&value, sizeof(value), 1, file);
    }
    bool failed = ferror(file) != 0;
    failed = fclose(file) != 0 || failed;
    if (failed) {
        fprintf(stderr, "random_npy: %s could not be written\n", argv[1]);
        remove(argv[1]);
    }
    return failed ? 1 : 0;
}
