/* Counting pods that have ended, each exactly once. A pod keeps the Job's finalizer until its uid is in the status, and
 * its uid stays there until the finalizer is seen to have gone: only then the counter moves. Pool threads. */
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/job_internal.h"

#define UNCOUNTED "uncountedTerminatedPods"

enum { MAX_UNCOUNTED = 500 };

static bool listed(const struct json_object *status, const char *list, const char *uid)
{
        const struct json_object *l = kc_json_get(kc_json_get(status, UNCOUNTED), list);

        for (size_t i = 0; i < kc_json_len(l); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(l, i)), uid))
                        return true;
        return false;
}

static int64_t uncounted(const struct json_object *status, const char *list)
{
        return (int64_t)kc_json_len(kc_json_get(kc_json_get(status, UNCOUNTED), list));
}

bool kc_job_has_uncounted(const struct kc_job_sync *s)
{
        return uncounted(s->status, "succeeded") + uncounted(s->status, "failed") > 0;
}

/* Ended, and in no list yet. */
static bool is_news(const struct kc_job_sync *s, const struct json_object *pod, const char *list)
{
        return kc_meta_has_finalizer(pod, KC_JOB_FINALIZER) && !listed(s->status, list, kc_meta_uid(pod));
}

static bool is_ignored(const struct kc_job_sync *s, const struct json_object *pod)
{
        return kc_job_failure_action(s->job, pod, NULL) == KC_FAIL_IGNORE;
}

static void count_failed_indexes(struct kc_job_sync *s)
{
        int64_t limit = kc_json_int_at(s->job, "spec.backoffLimitPerIndex", 0);

        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                int64_t index = kc_job_pod_index(pod);
                if (index < 0 || index >= s->completions || !kc_job_pod_failed(s, pod) ||
                    kc_indexes_has(&s->failed_indexes, index) || kc_indexes_has(&s->succeeded_indexes, index))
                        continue;
                if (kc_job_failure_action(s->job, pod, NULL) == KC_FAIL_INDEX ||
                    kc_job_index_failures(s, index) > limit)
                        kc_indexes_add(&s->failed_indexes, index);
        }
}

void kc_job_count(struct kc_job_sync *s)
{
        int64_t succeeded = 0, failed = 0;

        if (s->indexed)
                kc_indexes_parse(&s->succeeded_indexes, kc_json_str(s->status, "completedIndexes"), s->completions);
        if (s->per_index)
                kc_indexes_parse(&s->failed_indexes, kc_json_str(s->status, "failedIndexes"), s->completions);
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                if (kc_pod_is_active(pod))
                        kc_objects_push_take(&s->active, kc_object_ref(s->pods.v[i]));
                s->terminating += kc_meta_deleting(pod) && !kc_pod_is_terminal(pod);
                if (kc_job_pod_succeeded(pod)) {
                        int64_t index = kc_job_pod_index(pod);
                        if (s->indexed && index >= 0 && index < s->completions &&
                            kc_meta_has_finalizer(pod, KC_JOB_FINALIZER))
                                kc_indexes_add(&s->succeeded_indexes, index);
                        succeeded += is_news(s, pod, "succeeded");
                } else if (kc_job_pod_failed(s, pod)) {
                        failed += is_news(s, pod, "failed") && !is_ignored(s, pod);
                }
        }
        if (s->per_index)
                count_failed_indexes(s);
        s->succeeded = s->indexed
                           ? kc_indexes_count(&s->succeeded_indexes)
                           : kc_json_int(s->status, "succeeded", 0) + uncounted(s->status, "succeeded") + succeeded;
        s->failed = kc_json_int(s->status, "failed", 0) + uncounted(s->status, "failed") + failed;
}

/* What has lost its finalizer is counted for good. */
static void settle(struct kc_job_sync *s, const struct kc_map *held, const char *list, const char *counter)
{
        struct json_object *l = kc_json_get_mut(kc_json_get_mut(s->status, UNCOUNTED), list);
        int64_t n = 0;

        for (size_t i = kc_json_len(l); i-- > 0;)
                if (!kc_map_has(held, kc_json_as_str(kc_json_idx(l, i)))) {
                        json_object_array_del_idx(l, i, 1);
                        n++;
                }
        if (n > 0)
                kc_json_set_int(s->status, counter, kc_json_int(s->status, counter, 0) + n);
}

static void note(struct kc_job_sync *s, const struct json_object *pod, const char *list)
{
        if (!listed(s->status, list, kc_meta_uid(pod)))
                kc_json_push_str(kc_json_ensure_arr(kc_json_ensure_obj(s->status, UNCOUNTED), list), kc_meta_uid(pod));
}

/* False: not this time, there are too many. */
static bool take_note(struct kc_job_sync *s, const struct json_object *pod)
{
        int64_t waiting = uncounted(s->status, "succeeded") + uncounted(s->status, "failed");

        if (kc_job_pod_succeeded(pod)) {
                if (s->indexed)
                        return true; /* the index is counted, however many pods it had */
                if (waiting >= MAX_UNCOUNTED && !listed(s->status, "succeeded", kc_meta_uid(pod)))
                        return false;
                note(s, pod, "succeeded");
                return true;
        }
        if (is_ignored(s, pod))
                return true;
        if (waiting >= MAX_UNCOUNTED && !listed(s->status, "failed", kc_meta_uid(pod)))
                return false;
        note(s, pod, "failed");
        return true;
}

static void clean_up(struct kc_job_sync *s)
{
        static const char *const lists[] = {"succeeded", "failed"};
        struct json_object *u = kc_json_get_mut(s->status, UNCOUNTED);

        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++)
                if (kc_json_get(u, lists[i]) && kc_json_len(kc_json_get(u, lists[i])) == 0)
                        kc_json_del(u, lists[i]);
        if (!u)
                kc_json_set(s->status, UNCOUNTED, json_object_new_object());
        if (s->indexed) {
                KC_CLEANUP(kc_freep) char *text = kc_indexes_format(&s->succeeded_indexes);
                int64_t n = kc_indexes_count(&s->succeeded_indexes);
                kc_json_set_str(s->status, "completedIndexes", *text ? text : NULL);
                if (n > 0)
                        kc_json_set_int(s->status, "succeeded", n);
                else
                        kc_json_del(s->status, "succeeded");
        }
        if (s->per_index) {
                KC_CLEANUP(kc_freep) char *text = kc_indexes_format(&s->failed_indexes);
                kc_json_set_str(s->status, "failedIndexes", text);
        }
}

void kc_job_track(struct kc_job_sync *s, struct kc_objects *ret_release)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *held = kc_map_new(NULL);

        for (size_t i = 0; i < s->pods.n; i++)
                if (kc_meta_has_finalizer(kc_object_json(s->pods.v[i]), KC_JOB_FINALIZER))
                        (void)kc_map_set(held, kc_object_uid(s->pods.v[i]), s); /* uids are unique */
        settle(s, held, "succeeded", "succeeded");
        settle(s, held, "failed", "failed");
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                bool ended = kc_job_pod_succeeded(pod) || kc_job_pod_failed(s, pod) || kc_pod_is_terminal(pod);
                if (!kc_map_has(held, kc_meta_uid(pod)) || !(ended || kc_meta_deleting(s->job)))
                        continue;
                if (!ended || take_note(s, pod))
                        kc_objects_push_take(ret_release, kc_object_ref(s->pods.v[i]));
        }
        clean_up(s);
}
