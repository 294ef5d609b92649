/* Events of an object, and the requests of describers. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "cli/describe/internal.h"

static void add_query(struct kc_buf *q, const char *key, const char *value)
{
        if (!value)
                return;
        KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(value, false);
        kc_buf_addf(q, "%s%s=%s", q->len > 0 ? "&" : "", key, escaped);
}

int kc_describe_list(struct kc_describing *d, const struct kc_gvr *g, const char *ns, const char *label_selector,
    const char *field_selector, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *all = kc_json_build("{'items':[]}");
        KC_CLEANUP(kc_freep) char *next = NULL;
        do {
                KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
                KC_CLEANUP(kc_json_freep) struct json_object *page = NULL;
                KC_CLEANUP(kc_freep) char *limit = kc_asprintf("%lld", (long long)d->opts->chunk_size);
                add_query(&q, "labelSelector", label_selector);
                add_query(&q, "fieldSelector", field_selector);
                add_query(&q, "limit", d->opts->chunk_size > 0 ? limit : NULL);
                add_query(&q, "continue", next);
                int e = kc_rest_list(d->rest, g, ns, kc_buf_str(&q), &page, err);
                if (e < 0)
                        return e;
                const struct json_object *items = kc_json_get(page, "items");
                for (size_t i = 0; i < kc_json_len(items); i++)
                        kc_json_push(kc_json_get_mut(all, "items"), kc_json_copy(kc_json_idx(items, i)));
                kc_str_set(&next, kc_json_str_at(page, "metadata.continue"));
        } while (!kc_str_empty(next));
        *ret = json_object_get(kc_json_get_mut(all, "items"));
        return 0;
}

char *kc_describe_event_age(const struct json_object *e)
{
        char first_buf[KC_TIME_LEN], last_buf[KC_TIME_LEN];
        const char *event_time = kc_json_str(e, "eventTime");
        const char *first = kc_since(event_time ? event_time : kc_json_str(e, "firstTimestamp"), first_buf);
        const struct json_object *series = kc_json_get(e, "series");
        int64_t count = series ? kc_json_int(series, "count", 0) : kc_json_int(e, "count", 0);
        const char *last =
            kc_since(series ? kc_json_str(series, "lastObservedTime") : kc_json_str(e, "lastTimestamp"), last_buf);
        if (series || count > 1)
                return kc_asprintf("%s (x%lld over %s)", last, (long long)count, first);
        return kc_strdup(first);
}

static void describe_event(struct kc_describing *d, const struct json_object *e)
{
        const char *source = kc_text(e, "source.component");
        KC_CLEANUP(kc_freep) char *age = kc_describe_event_age(e);
        KC_CLEANUP(kc_freep) char *message = kc_str_trim(kc_text(e, "message"));
        kc_line(d, 1, "%s\t%s\t%s\t%s\t%s\n", kc_text(e, "type"), kc_text(e, "reason"), age,
            source[0] ? source : kc_text(e, "reportingComponent"), message);
}

static int fetch_events(struct kc_describing *d, const char *uid, struct json_object *into)
{
        KC_CLEANUP(kc_error_done) struct kc_error ignored = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *items = NULL;
        const char *ns = kc_text(d->obj, "metadata.namespace");
        KC_CLEANUP(kc_freep)
        char *query = kc_asprintf("involvedObject.name=%s,involvedObject.namespace=%s,involvedObject.kind=%s,"
                                  "involvedObject.uid=%s",
            kc_text(d->obj, "metadata.name"), ns, d->res->kind, uid);
        int e = kc_describe_list(d, &KC_EVENTS, ns, NULL, query, &items, &ignored);
        for (size_t i = 0; i < kc_json_len(items); i++)
                kc_json_push(into, kc_json_copy(kc_json_idx(items, i)));
        return e;
}

void kc_describe_events_of(struct kc_describing *d, const char *const *uids, size_t n)
{
        KC_CLEANUP(kc_json_freep) struct json_object *events = json_object_new_array();
        bool known = false;
        if (!d->opts->show_events)
                return;
        for (size_t i = 0; i < n; i++)
                known = fetch_events(d, uids[i], events) == 0 || known;
        if (!known)
                return;
        if (kc_json_len(events) == 0) {
                kc_line(d, 0, "Events:\t<none>\n");
                return;
        }
        KC_CLEANUP(kc_freep) size_t *order = kc_order_by(events, "lastTimestamp");
        kc_line(d, 0, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
        kc_line(d, 1, "----\t------\t----\t----\t-------\n");
        for (size_t i = 0; i < kc_json_len(events); i++)
                describe_event(d, kc_json_idx(events, order[i]));
}

void kc_describe_events(struct kc_describing *d)
{
        const char *uid = kc_text(d->obj, "metadata.uid");
        kc_describe_events_of(d, &uid, 1);
}
