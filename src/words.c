#include "words.h"

#include <string.h>

uint64_t ikati_words_append(ikati_words *self, const uint32_t *words, uint64_t num) {
    uint64_t at = self->num;
    if (!self->failed && at + num > self->capacity) {
        uint64_t wanted = self->capacity ? self->capacity * 2 : 256;
        wanted = wanted < at + num ? at + num : wanted;
        uint32_t *grown = ikati_resize(self->host, self->data, (size_t)wanted, sizeof(*self->data));
        self->failed = !grown;
        self->data = grown ? grown : self->data;
        self->capacity = grown ? wanted : self->capacity;
    }
    if (self->failed) {
        return 0;
    }
    if (words) {
        memcpy(self->data + at, words, (size_t)num * sizeof(*words));
    } else {
        memset(self->data + at, 0, (size_t)num * sizeof(*words));
    }
    self->num = at + num;
    return at;
}

void ikati_words_free(ikati_words *self) {
    ikati_free(self->host, self->data);
    *self = (ikati_words){.host = self->host};
}

// FNV-1a, a word at a time.
static uint64_t hash_run(const uint32_t *run, uint32_t num) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < num; i++) {
        hash = (hash ^ run[i]) * UINT64_C(1099511628211);
        hash ^= hash >> 29;
    }
    return hash;
}

// Slot of the run that equals `run`, or the empty one where it belongs.
static uint64_t find_slot(const ikati_word_runs *self, const uint32_t *run) {
    size_t bytes = self->run_words * sizeof(*run);
    uint64_t slot = hash_run(run, self->run_words) % self->num_slots;
    while (self->slots[slot]) {
        uint64_t number = self->slots[slot] - 1u;
        if (memcmp(self->words.data + number * self->run_words, run, bytes) == 0) {
            break;
        }
        slot = (slot + 1) % self->num_slots;
    }
    return slot;
}

// Keeps the hash table at most half full.
static bool make_room(ikati_word_runs *self) {
    uint64_t num_runs = self->words.num / self->run_words;
    if (self->num_slots >= 2 * (num_runs + 1)) {
        return true;
    }
    uint64_t num_slots = self->num_slots ? 2 * self->num_slots : 64;
    uint32_t *slots = ikati_alloc(self->words.host, (size_t)num_slots, sizeof(*slots));
    if (!slots) {
        self->words.failed = true;
        return false;
    }
    ikati_free(self->words.host, self->slots);
    self->slots = slots;
    self->num_slots = num_slots;
    for (uint64_t i = 0; i < num_runs; i++) {
        uint64_t slot = find_slot(self, self->words.data + i * self->run_words);
        self->slots[slot] = (uint32_t)i + 1u;
    }
    return true;
}

uint64_t ikati_word_runs_intern(ikati_word_runs *self, const uint32_t *run) {
    if (self->words.failed || !make_room(self)) {
        return 0;
    }
    uint64_t slot = find_slot(self, run);
    if (!self->slots[slot]) {
        uint64_t at = ikati_words_append(&self->words, run, self->run_words);
        if (self->words.failed) {
            return 0;
        }
        self->slots[slot] = (uint32_t)(at / self->run_words) + 1u;
    }
    return self->slots[slot] - 1u;
}

void ikati_word_runs_free(ikati_word_runs *self) {
    ikati_free(self->words.host, self->slots);
    ikati_words_free(&self->words);
    *self = (ikati_word_runs){.words = {.host = self->words.host}, .run_words = self->run_words};
}
