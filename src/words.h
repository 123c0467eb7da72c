// Growing arrays of 32-bit words, and finding a run of words that is there already.

#ifndef IKATI_WORDS_H
#define IKATI_WORDS_H

#include "host.h"

// Zeroed but for `host`: empty. After memory ran out `failed` is set and appending does nothing.
typedef struct ikati_words {
    const ikati_host *host;
    uint32_t *data;
    uint64_t num, capacity;
    bool failed;
} ikati_words;

// Appends `num` words (zeros where `words` is NULL); returns where they begin.
uint64_t ikati_words_append(ikati_words *self, const uint32_t *words, uint64_t num);
void ikati_words_free(ikati_words *self);

// Runs of `run_words` words in `words`, each there once.
typedef struct ikati_word_runs {
    ikati_words words;
    uint32_t run_words;
    uint32_t *slots; // hash table: number of a run + 1; 0: empty
    uint64_t num_slots;
} ikati_word_runs;

// Returns the number of the run that equals `run`, appended if it is new.
uint64_t ikati_word_runs_intern(ikati_word_runs *self, const uint32_t *run);
void ikati_word_runs_free(ikati_word_runs *self);

#endif
