/* The string map, and the hashes.
 *
 *   index (power of two, linear probing)      entries (dense, in order of insertion)
 *   [ EMPTY | 1 | DELETED | 0 | EMPTY ... ]   [ {hash, "a", v} {hash, "b", v} {0, NULL, NULL} ... ]
 *
 * A removed entry leaves a hole until the next rebuild, so removing while iterating is safe. */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"

struct entry {
        uint64_t hash;
        char *key; /* NULL: removed */
        void *value;
};

struct kc_map {
        void (*free_value)(void *value);
        struct entry *entries;
        size_t n_entries; /* with holes */
        size_t len;       /* without */
        uint32_t *index;
        size_t index_size; /* 0 or a power of two; the index is at most half full, holes included */
};

enum { MIN_INDEX = 16 };
#define EMPTY UINT32_MAX
#define DELETED (UINT32_MAX - 1)
#define NO_SLOT SIZE_MAX

struct kc_map *kc_map_new(void (*free_value)(void *value))
{
        struct kc_map *m = KC_NEW(struct kc_map);
        m->free_value = free_value;
        return m;
}

void kc_map_free(struct kc_map *m)
{
        if (!m)
                return;
        kc_map_clear(m);
        kc_free(m);
}

/* The index slot of the key, or NO_SLOT. */
static size_t find(const struct kc_map *m, const char *key, uint64_t hash)
{
        if (m->index_size == 0)
                return NO_SLOT;
        size_t mask = m->index_size - 1;
        for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
                uint32_t at = m->index[slot];
                if (at == EMPTY)
                        return NO_SLOT;
                if (at != DELETED && m->entries[at].hash == hash && strcmp(m->entries[at].key, key) == 0)
                        return slot;
        }
}

static struct entry *find_entry(const struct kc_map *m, const char *key)
{
        if (m->len == 0)
                return NULL;
        size_t slot = find(m, key, kc_hash_bytes(key, strlen(key)));
        return slot == NO_SLOT ? NULL : &m->entries[m->index[slot]];
}

static void index_entry(struct kc_map *m, uint64_t hash, uint32_t at)
{
        size_t mask = m->index_size - 1, slot = hash & mask;
        while (m->index[slot] != EMPTY)
                slot = (slot + 1) & mask;
        m->index[slot] = at;
}

/* Closes the holes and makes room for at least one more entry. */
static void rebuild(struct kc_map *m)
{
        size_t size = MIN_INDEX;
        while (size < (m->len + 1) * 4)
                size *= 2;
        if (size / 2 >= DELETED) {
                kc_log_write(KC_LOG_FATAL, 0, __FILE__, __LINE__, "Map is too large", NULL, (char *)NULL);
                abort();
        }
        struct entry *entries = kc_reallocarray(NULL, size / 2, sizeof(*entries));
        size_t n = 0;
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i].key)
                        entries[n++] = m->entries[i];
        kc_free(m->entries);
        kc_free(m->index);
        m->entries = entries;
        m->n_entries = n;
        m->index = kc_reallocarray(NULL, size, sizeof(*m->index));
        m->index_size = size;
        for (size_t i = 0; i < size; i++)
                m->index[i] = EMPTY;
        for (size_t i = 0; i < n; i++)
                index_entry(m, entries[i].hash, (uint32_t)i);
}

void *kc_map_get(const struct kc_map *m, const char *key)
{
        const struct entry *e = find_entry(m, key);
        return e ? e->value : NULL;
}

bool kc_map_has(const struct kc_map *m, const char *key)
{
        return find_entry(m, key) != NULL;
}

bool kc_map_set(struct kc_map *m, const char *key, void *value)
{
        struct entry *e = find_entry(m, key);
        if (e) {
                void *old = e->value;
                e->value = value;
                if (m->free_value && old != value)
                        m->free_value(old);
                return false;
        }
        /* Index slots are used up by entries alone, deleted ones included: as many as entries were appended. */
        if (m->n_entries >= m->index_size / 2)
                rebuild(m);
        uint64_t hash = kc_hash_bytes(key, strlen(key));
        m->entries[m->n_entries] = (struct entry){.hash = hash, .key = kc_strdup(key), .value = value};
        index_entry(m, hash, (uint32_t)m->n_entries++);
        m->len++;
        return true;
}

void *kc_map_steal(struct kc_map *m, const char *key)
{
        size_t slot = m->len ? find(m, key, kc_hash_bytes(key, strlen(key))) : NO_SLOT;
        if (slot == NO_SLOT)
                return NULL;
        struct entry *e = &m->entries[m->index[slot]];
        void *value = e->value;
        char *owned_key = e->key; /* key may be this very string */
        *e = (struct entry){0};
        m->index[slot] = DELETED;
        m->len--;
        kc_free(owned_key);
        return value;
}

bool kc_map_remove(struct kc_map *m, const char *key)
{
        void *value = kc_map_steal(m, key);
        if (value && m->free_value)
                m->free_value(value);
        return value != NULL;
}

void kc_map_clear(struct kc_map *m)
{
        /* The map is empty before values are freed: their destructors may look at it. */
        struct kc_map old = *m;
        *m = (struct kc_map){.free_value = old.free_value};
        for (size_t i = 0; i < old.n_entries; i++) {
                if (!old.entries[i].key)
                        continue;
                kc_free(old.entries[i].key);
                if (old.free_value)
                        old.free_value(old.entries[i].value);
        }
        kc_free(old.entries);
        kc_free(old.index);
}

size_t kc_map_len(const struct kc_map *m)
{
        return m->len;
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

char **kc_map_sorted_keys(const struct kc_map *m)
{
        size_t slots = 1, n = 0; /* a power of two, as kc_strv_push expects */
        while (slots < m->len + 1)
                slots *= 2;
        char **keys = kc_calloc(slots, sizeof(char *));
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i].key)
                        keys[n++] = kc_strdup(m->entries[i].key);
        if (n > 1)
                qsort(keys, n, sizeof(char *), compare_keys);
        return keys;
}

bool kc_map_next(const struct kc_map *m, size_t *it, const char **ret_key, void **ret_value)
{
        while (*it < m->n_entries) {
                const struct entry *e = &m->entries[(*it)++];
                if (!e->key)
                        continue;
                if (ret_key)
                        *ret_key = e->key;
                if (ret_value)
                        *ret_value = e->value;
                return true;
        }
        return false;
}

/* --- Hashes */

static uint64_t sip_key[2];
static pthread_once_t sip_key_once = PTHREAD_ONCE_INIT;

static void make_sip_key(void)
{
        kc_rand_bytes(sip_key, sizeof(sip_key));
}

static uint64_t rotate_left(uint64_t v, int bits)
{
        return v << bits | v >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[3];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[2] = rotate_left(v[2], 32);
}

uint64_t kc_hash_bytes(const void *data, size_t len)
{
        pthread_once(&sip_key_once, make_sip_key);
        uint64_t v[4] = {sip_key[0] ^ 0x736f6d6570736575, sip_key[1] ^ 0x646f72616e646f6d,
            sip_key[0] ^ 0x6c7967656e657261, sip_key[1] ^ 0x7465646279746573};
        const char *p = data;
        uint64_t word;
        size_t rest = len;
        for (; rest >= 8; rest -= 8, p += 8) {
                memcpy(&word, p, 8);
                v[3] ^= word;
                sip_round(v);
                sip_round(v);
                v[0] ^= word;
        }
        word = 0;
        if (rest > 0)
                memcpy(&word, p, rest);
        word |= (uint64_t)len << 56;
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
        v[2] ^= 0xff;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t kc_fnv32a(const void *data, size_t len)
{
        const uint8_t *p = data;
        uint32_t h = 2166136261u;
        for (size_t i = 0; i < len; i++)
                h = (h ^ p[i]) * 16777619u;
        return h;
}
