/* Choosing containers and pods, as kubectl's podcmd and polymorphichelpers do. Main thread. */
#include "cli/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/lines.h"
#include "cli/requests.h"

/* --- containers */

static const struct {
        const char *list, *suffix;
} container_lists[] = {
    {"spec.containers", ""}, {"spec.initContainers", " (init)"}, {"spec.ephemeralContainers", " (ephem)"}};

const struct json_object *kc_pod_find_container(const struct json_object *pod, const char *name, const char **ret_list)
{
        for (size_t k = 0; k < KC_ARRAY_LEN(container_lists); k++) {
                const struct json_object *found = kc_json_find(kc_json_at(pod, container_lists[k].list), "name", name);
                if (found && ret_list)
                        *ret_list = container_lists[k].list;
                if (found)
                        return found;
        }
        return NULL;
}

bool kc_pod_has_container(const struct json_object *pod, const char *name)
{
        return kc_pod_find_container(pod, name, NULL) != NULL;
}

static char **all_names(const struct json_object *pod)
{
        char **names = NULL;
        for (size_t k = 0; k < KC_ARRAY_LEN(container_lists); k++) {
                const struct json_object *list = kc_json_at(pod, container_lists[k].list);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        kc_strv_pushf(
                            &names, "%s%s", kc_json_str(kc_json_idx(list, i), "name"), container_lists[k].suffix);
        }
        return names;
}

int kc_pod_default_container(
    struct kc_cli *c, const struct json_object *pod, bool quiet, const char **ret, struct kc_error *err)
{
        const char *annotated = kc_meta_annotation(pod, "kubectl.kubernetes.io/default-container");
        if (!kc_str_empty(annotated) && kc_pod_has_container(pod, annotated)) {
                *ret = annotated;
                return 0;
        }
        if (!kc_str_empty(annotated) && !quiet)
                (void)fprintf(
                    c->err, "Default container name \"%s\" not found in pod %s\n", annotated, kc_meta_name(pod));
        const char *first = kc_json_str(kc_json_idx(kc_json_at(pod, "spec.containers"), 0), "name");
        if (!first)
                return kc_error_set(err, EINVAL, "pod %s does not have any containers", kc_meta_name(pod));
        KC_CLEANUP(kc_strv_freep) char **names = all_names(pod);
        if (kc_strv_len(names) > 1 && !quiet) {
                KC_CLEANUP(kc_freep) char *all = kc_strv_join(names, ", ");
                (void)fprintf(c->err, "Defaulted container \"%s\" out of: %s\n", first, all);
        }
        *ret = first;
        return 0;
}

/* --- order */

struct pod_rank {
        bool assigned, ready;
        int phase; /* 2: running, 1: unknown, 0: else */
        kc_time ready_since, created;
        int64_t restarts;
};

static struct pod_rank rank_of(const struct json_object *pod)
{
        const struct json_object *status = kc_json_get(pod, "status"), *list = kc_json_get(status, "containerStatuses");
        const char *phase = kc_json_str(status, "phase");
        struct pod_rank r = {.assigned = !kc_str_empty(kc_json_str_at(pod, "spec.nodeName")),
            .ready = kc_condition_is_true(status, "Ready"),
            .phase = kc_streq(phase, "Running")   ? 2
                     : kc_streq(phase, "Unknown") ? 1
                                                  : 0,
            .created = kc_meta_creation_time(pod)};
        const char *since = kc_json_str(kc_condition_get(status, "Ready"), "lastTransitionTime");
        if (r.ready && since)
                (void)kc_time_parse(since, &r.ready_since); /* a bad one counts as none */
        for (size_t i = 0; i < kc_json_len(list); i++)
                r.restarts = KC_MAX(r.restarts, kc_json_int(kc_json_idx(list, i), "restartCount", 0));
        return r;
}

/* The earlier first; one that is unknown last. */
static int earlier(kc_time a, kc_time b)
{
        return a == b ? 0 : a == 0 ? 1 : b == 0 ? -1 : a < b ? -1 : 1;
}

static int compare(const void *a, const void *b, bool logging)
{
        struct pod_rank x = rank_of(*(const struct json_object *const *)a),
                        y = rank_of(*(const struct json_object *const *)b);
        if (x.assigned != y.assigned)
                return x.assigned ? -1 : 1;
        if (x.phase != y.phase)
                return y.phase - x.phase;
        if (x.ready != y.ready)
                return x.ready ? -1 : 1;
        if (x.ready && x.ready_since != y.ready_since)
                return earlier(x.ready_since, y.ready_since);
        if (x.restarts != y.restarts)
                return (x.restarts > y.restarts) == logging ? -1 : 1;
        return earlier(x.created, y.created);
}

static int by_activity(const void *a, const void *b)
{
        return compare(a, b, false);
}

static int by_logging(const void *a, const void *b)
{
        return compare(a, b, true);
}

/* --- pods of workloads */

static bool selects_by_map(const char *kind)
{
        return kc_streq(kind, "Service") || kc_streq(kind, "ReplicationController");
}

static bool has_pods(const struct kc_api_resource *res)
{
        static const char *const kinds[] = {
            "Service", "ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (kc_streq(res->kind, kinds[i]))
                        return true;
        return false;
}

static int selector_of(const struct kc_found *f, const char *what, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        const struct json_object *spec = kc_json_at(f->obj, "spec.selector");
        if (!has_pods(f->res))
                return kc_error_set(err, EINVAL, "%s *%s.%s: selector for *%s.%s not implemented", what,
                    f->res->version, f->res->kind, f->res->version, f->res->kind);
        if (kc_streq(f->res->kind, "Service") && kc_json_n_keys(spec) == 0)
                return kc_error_set(err, EINVAL,
                    "%s *v1.Service: invalid service '%s': Service is defined without a selector", what, f->name);
        int e = 0;
        if (selects_by_map(f->res->kind))
                selector = kc_selector_from_map(spec);
        else
                e = kc_selector_from_label_selector(spec, &selector, err);
        if (e == 0)
                *ret = kc_selector_format(selector);
        return e;
}

/* Until a pod is there, or the deadline. */
static int await_pod(struct kc_cli *c, const struct kc_api_resource *pods, const char *ns, const char *query,
    const char *version, kc_mono deadline, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_buf_adds(&q, query);
        kc_query_add(&q, "resourceVersion", version);
        kc_query_add(&q, "watch", "true");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(pods, ns, NULL, NULL, kc_buf_str(&q));
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        e = kc_lines_open(lines, path, "application/json", NULL, err);
        for (e = e < 0 ? e : 1; e == 1;) {
                const char *line;
                size_t len;
                KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
                e = kc_lines_next(lines, deadline, &line, &len, NULL, NULL, err);
                if (e == 1 && (e = kc_json_parse(line, len, NULL, &event, err)) == 0)
                        e = kc_streq(kc_json_str(event, "type"), "ADDED") ? 0 : 1;
        }
        return e;
}

int kc_pods_of(struct kc_cli *c, const struct kc_found *f, enum kc_pod_order order, int64_t timeout, const char *what,
    struct kc_pod_list *ret, struct kc_error *err)
{
        struct kc_resource_map *map = NULL;
        const struct kc_api_resource *pods = NULL;
        KC_CLEANUP(kc_freep) char *selector = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_mono deadline = kc_clock_mono(NULL) + timeout;
        int e = selector_of(f, what, &selector, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &pods, err);
        if (e < 0)
                return e;
        kc_query_add(&q, "labelSelector", selector);
        for (;;) {
                KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
                e = kc_cli_list(c, pods, f->ns, kc_buf_str(&q), &list, err);
                if (e < 0)
                        return e;
                const struct json_object *items = kc_json_get(list, "items");
                size_t n = kc_json_len(items);
                if (n == 0) {
                        e = await_pod(c, pods, f->ns, kc_buf_str(&q), kc_json_str_at(list, "metadata.resourceVersion"),
                            deadline, err);
                        if (e < 0)
                                return e;
                        continue;
                }
                ret->v = kc_calloc(n, sizeof(*ret->v));
                ret->n = n;
                for (size_t i = 0; i < n; i++)
                        ret->v[i] = kc_json_idx(items, i);
                ret->list = KC_TAKE(list);
                qsort(ret->v, n, sizeof(*ret->v), order == KC_PODS_BY_LOGGING ? by_logging : by_activity);
                return 0;
        }
}

void kc_pod_list_done(struct kc_pod_list *l)
{
        kc_free(l->v);
        kc_json_free(l->list);
        *l = (struct kc_pod_list){0};
}

int kc_pod_attachable(struct kc_cli *c, char *const *args, char *const *files, int64_t timeout, const char *too_many,
    struct json_object **ret, struct json_object **ret_obj, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(kc_pod_list_done) struct kc_pod_list pods = {0};
        char pods_type[] = "pods";
        char *by_type[] = {pods_type, args[0], NULL};
        bool one = args[0] && !args[1] && !strchr(args[0], '/');
        int e =
            kc_cli_find_objects(c, &(struct kc_object_query){.args = one ? by_type : args, .files = files}, &all, err);
        if (e < 0)
                return e;
        if (all.errors.n > 0) {
                kc_error_move(err, &all.errors.v[0]);
                return -err->errnum;
        }
        if (all.n != 1)
                return kc_error_set(err, EINVAL, "%s", too_many);
        if (kc_streq(all.v[0].res->kind, "Pod"))
                *ret = kc_json_copy(all.v[0].obj);
        else
                e = kc_pods_of(c, &all.v[0], KC_PODS_BY_ACTIVITY, timeout, "cannot attach to", &pods, err);
        if (e == 0 && pods.n > 0)
                *ret = kc_json_copy(pods.v[0]);
        if (e == 0 && ret_obj)
                *ret_obj = KC_TAKE(all.v[0].obj);
        return e;
}
