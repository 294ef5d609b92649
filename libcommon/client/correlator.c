/* Aggregation, counting and the spam filter of events. See correlator.h.
 *
 *   event --(same but for the message, > 10 messages in 10 min)--> "(combined from similar events): ..."
 *         --(same, seen before)--> patch of count, lastTimestamp
 *         --(25 burst, then one in 5 min of one object and source)--> dropped */
#include "client/correlator.h"

#include <inttypes.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "client/ratelimit.h"

enum { MAX_ENTRIES = 4096, MAX_SIMILAR = 10, SPAM_BURST = 25 };
#define SIMILAR_INTERVAL (600 * KC_SEC)
#define SPAM_QPS (1.0 / 300.0)

/* --- a map that forgets what was used longest ago */

struct lru_entry {
        struct kc_list node;
        char *key;
};

struct lru {
        struct kc_map *map;
        struct kc_list used; /* latest first */
        void (*free_entry)(struct lru_entry *e);
};

static void lru_init(struct lru *l, void (*free_entry)(struct lru_entry *e))
{
        l->map = kc_map_new(NULL);
        kc_list_init(&l->used);
        l->free_entry = free_entry;
}

static void lru_remove(struct lru *l, struct lru_entry *e)
{
        kc_list_remove(&e->node);
        (void)kc_map_steal(l->map, e->key);
        kc_free(e->key);
        l->free_entry(e);
}

static void lru_done(struct lru *l)
{
        while (!kc_list_empty(&l->used))
                lru_remove(l, KC_LIST_FIRST(&l->used, struct lru_entry, node));
        kc_map_free(l->map);
}

static struct lru_entry *lru_get(struct lru *l, const char *key)
{
        struct lru_entry *e = kc_map_get(l->map, key);
        if (e) {
                kc_list_remove(&e->node);
                kc_list_push_front(&l->used, &e->node);
        }
        return e;
}

static void lru_add(struct lru *l, const char *key, struct lru_entry *e)
{
        if (kc_map_len(l->map) >= MAX_ENTRIES)
                lru_remove(l, KC_CONTAINER_OF(l->used.prev, struct lru_entry, node));
        e->key = kc_strdup(key);
        kc_list_push_front(&l->used, &e->node);
        (void)kc_map_set(l->map, key, e);
}

/* Messages of one series of similar events. */
struct similar {
        struct lru_entry lru;
        char **messages; /* strv; a set */
        kc_time last;
};

/* One event as it was sent. */
struct sent {
        struct lru_entry lru;
        char *name, *first_timestamp;
        int64_t count;
};

struct spam {
        struct lru_entry lru;
        struct kc_bucket bucket;
};

struct kc_correlator {
        struct lru similar, sent, spam;
};

static void similar_free(struct lru_entry *e)
{
        struct similar *s = KC_CONTAINER_OF(e, struct similar, lru);
        kc_strv_free(s->messages);
        kc_free(s);
}

static void sent_free(struct lru_entry *e)
{
        struct sent *s = KC_CONTAINER_OF(e, struct sent, lru);
        kc_free(s->name);
        kc_free(s->first_timestamp);
        kc_free(s);
}

static void spam_free(struct lru_entry *e)
{
        kc_free(KC_CONTAINER_OF(e, struct spam, lru));
}

struct kc_correlator *kc_correlator_new(void)
{
        struct kc_correlator *c = KC_NEW(struct kc_correlator);
        lru_init(&c->similar, similar_free);
        lru_init(&c->sent, sent_free);
        lru_init(&c->spam, spam_free);
        return c;
}

void kc_correlator_free(struct kc_correlator *c)
{
        if (!c)
                return;
        lru_done(&c->similar);
        lru_done(&c->sent);
        lru_done(&c->spam);
        kc_free(c);
}

/* The values of paths, each ended by a newline. */
static char *key_of(const struct json_object *event, const char *const *paths)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; paths[i]; i++) {
                const char *v = kc_json_str_at(event, paths[i]);
                kc_buf_adds(&b, v ? v : "");
                kc_buf_addc(&b, '\n');
        }
        return kc_buf_take_str(&b);
}

#define OBJECT_PATHS                                                                                                   \
        "source.component", "source.host", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",   \
            "involvedObject.uid", "involvedObject.apiVersion"

static const char *const spam_paths[] = {OBJECT_PATHS, NULL};
static const char *const similar_paths[] = {
    OBJECT_PATHS, "type", "reason", "reportingComponent", "reportingInstance", NULL};
static const char *const same_paths[] = {OBJECT_PATHS, "involvedObject.fieldPath", "type", "reason", "message", NULL};

/* The key under which the event is counted; its message changes when it is combined. */
static char *aggregate(struct kc_correlator *c, struct json_object *event, kc_time now)
{
        KC_CLEANUP(kc_freep) char *key = key_of(event, similar_paths);
        char *same = key_of(event, same_paths);
        const char *message = kc_json_str(event, "message");
        struct lru_entry *e = lru_get(&c->similar, key);
        if (!e) {
                struct similar *fresh = KC_NEW(struct similar);
                fresh->last = now;
                e = &fresh->lru;
                lru_add(&c->similar, key, e);
        }
        struct similar *s = KC_CONTAINER_OF(e, struct similar, lru);
        if (now - s->last > SIMILAR_INTERVAL) {
                kc_strv_free(s->messages);
                s->messages = NULL;
        }
        s->last = now;
        if (!kc_strv_has(s->messages, message))
                kc_strv_push(&s->messages, message);
        if (kc_strv_len(s->messages) < MAX_SIMILAR)
                return same;
        /* One has to go, so that the set stays bounded. */
        KC_CLEANUP(kc_freep) char *oldest = kc_strdup(s->messages[0]);
        (void)kc_strv_remove(s->messages, oldest);
        KC_CLEANUP(kc_freep) char *combined = kc_asprintf("(combined from similar events): %s", message);
        kc_json_set_str(event, "message", combined);
        kc_free(same);
        return KC_TAKE(key);
}

/* Counts the event; the patch if it was sent before. */
static struct json_object *count(struct kc_correlator *c, struct json_object *event, const char *key)
{
        struct lru_entry *e = lru_get(&c->sent, key);
        struct json_object *metadata = kc_json_get_mut(event, "metadata");
        if (!e) {
                struct sent *s = KC_NEW(struct sent);
                s->name = kc_strdup(kc_json_str(metadata, "name"));
                s->first_timestamp = kc_strdup(kc_json_str(event, "firstTimestamp"));
                s->count = 1;
                lru_add(&c->sent, key, &s->lru);
                return NULL;
        }
        struct sent *s = KC_CONTAINER_OF(e, struct sent, lru);
        s->count++;
        kc_json_set_str(metadata, "name", s->name);
        kc_json_set_str(event, "firstTimestamp", s->first_timestamp);
        kc_json_set_int(event, "count", s->count);
        return kc_json_build("{'count':%lld,'lastTimestamp':%s,'message':%s}", (long long)s->count,
            kc_json_str(event, "lastTimestamp"), kc_json_str(event, "message"));
}

static bool is_spam(struct kc_correlator *c, const struct json_object *event, kc_mono now)
{
        KC_CLEANUP(kc_freep) char *key = key_of(event, spam_paths);
        struct lru_entry *e = lru_get(&c->spam, key);
        if (!e) {
                struct spam *fresh = KC_NEW(struct spam);
                kc_bucket_init(&fresh->bucket, SPAM_QPS, SPAM_BURST, now);
                e = &fresh->lru;
                lru_add(&c->spam, key, e);
        }
        return !kc_bucket_try(&KC_CONTAINER_OF(e, struct spam, lru)->bucket, now);
}

bool kc_correlator_observe(
    struct kc_correlator *c, struct json_object *event, kc_time now, kc_mono mono, struct json_object **ret_patch)
{
        KC_CLEANUP(kc_freep) char *key = aggregate(c, event, now);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = count(c, event, key);
        if (is_spam(c, event, mono))
                return false;
        *ret_patch = KC_TAKE(patch);
        return true;
}
