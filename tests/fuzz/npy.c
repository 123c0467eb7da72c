// Fuzzing of .npy files: whatever the bytes are, reading and converting them ends, inside its
// memory.
//
// Built with -fsanitize=fuzzer this is a libFuzzer target; with FUZZ_MAIN it has a main of its own
// that runs mutations of a few good files, the same ones every time.

#include "values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    npy_array array;
    char message[256], type[32];
    if (!npy_parse(bytes, size, &array, message, sizeof(message))) {
        return 0;
    }
    npy_type_name(&array, type);
    void *out = malloc(array.count * 4 + 4);
    for (ikat_dtype dtype = IKAT_FLOAT32; out && dtype <= IKAT_UINT8;
         dtype = (ikat_dtype)(dtype + 1)) {
        values_convert(&array, dtype, out, message, sizeof(message));
    }
    free(out);
    return 0;
}

#ifdef FUZZ_MAIN

enum { MAX_SIZE = 512 };

static const char *const dictionaries[] = {
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
    "{'descr': '>i2', 'fortran_order': True, 'shape': (3, 2, 2), }\n",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 7), }\n",
    "{\"shape\": (5,), \"descr\": \"|b1\", \"fortran_order\": False}",
};
static const size_t data_sizes[] = {24, 24, 1, 0, 5};
enum { NUM_SEEDS = sizeof(data_sizes) / sizeof(data_sizes[0]) };

static uint32_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static size_t make_seed(uint32_t index, int version, uint8_t *bytes) {
    size_t length = strlen(dictionaries[index]);
    size_t start = version == 2 ? 12 : 10;
    memcpy(bytes, "\x93NUMPY\0\0\0\0\0\0", 12);
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)length;
    memcpy(bytes + start, dictionaries[index], length);
    for (size_t i = 0; i < data_sizes[index]; i++) {
        bytes[start + length + i] = (uint8_t)(i * 37);
    }
    return start + length + data_sizes[index];
}

// Changes some bytes, takes some out, puts some in, cuts or lengthens.
static size_t mutate(uint8_t *bytes, size_t size, uint64_t *state) {
    static const char likely[] = "{}()',:0123456789<>|=fiubL \n\xff";
    uint32_t num = 1 + draw(state) % 4;
    for (uint32_t i = 0; i < num && size; i++) {
        size_t at = draw(state) % size;
        switch (draw(state) % 5) {
        case 0: bytes[at] = (uint8_t)draw(state); break;
        case 1: bytes[at] = (uint8_t)likely[draw(state) % (sizeof(likely) - 1)]; break;
        case 2: memmove(bytes + at, bytes + at + 1, --size - at); break;
        case 3:
            if (size < MAX_SIZE) {
                memmove(bytes + at + 1, bytes + at, size++ - at);
            }
            break;
        default: size = draw(state) % 4 ? size : at; break;
        }
    }
    return size;
}

int main(int argc, char **argv) {
    uint32_t num = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    uint64_t state = 88172645463325252;
    for (uint32_t i = 0; i < num; i++) {
        uint8_t bytes[MAX_SIZE + 1] = {0};
        size_t size = make_seed(i % NUM_SEEDS, 1 + (int)(i / NUM_SEEDS % 2), bytes);
        size = i < 2 * NUM_SEEDS ? size : mutate(bytes, size, &state);
        // A block of its own size, so that a sanitizer sees where it ends.
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, bytes, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%u files\n", num);
    return EXIT_SUCCESS;
}

#endif
