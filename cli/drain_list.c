/* Which pods kubectl drain removes: its filters, in their order; the last one's word is what is said about a pod. Main
 * thread. */
#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/drain.h"

enum verdict { OKAY, SKIP, REFUSE };
struct status {
        enum verdict verdict;
        bool warns;       /* reason is a warning */
        char reason[512]; /* "" */
};

static struct status okay(void)
{
        return (struct status){.verdict = OKAY};
}

static struct status say(enum verdict v, const char *reason)
{
        struct status s = {.verdict = v, .warns = v != REFUSE};
        (void)snprintf(s.reason, sizeof(s.reason), "%s", reason);
        return s;
}

static bool is_finished(const struct json_object *pod)
{
        const char *phase = kc_json_str_at(pod, "status.phase");
        return kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed");
}

static const struct json_object *controller_of(const struct json_object *pod)
{
        const struct json_object *refs = kc_json_at(pod, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (kc_json_bool(kc_json_idx(refs, i), "controller", false))
                        return kc_json_idx(refs, i);
        return NULL;
}

typedef struct status (*filter_fn)(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod);

static struct status skip_deleted(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod)
{
        (void)c;
        kc_time at = 0;
        const char *deleted = kc_json_str_at(pod, "metadata.deletionTimestamp");
        if (o->skip_wait <= 0 || !deleted || kc_time_parse(deleted, &at) < 0)
                return okay();
        return kc_clock_now(NULL) - at > o->skip_wait * KC_SEC ? (struct status){.verdict = SKIP} : okay();
}

static struct status daemon_set(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod)
{
        const struct json_object *ref = controller_of(pod);
        if (!ref || !kc_streq(kc_json_str(ref, "kind"), "DaemonSet") || is_finished(pod))
                return okay();
        struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *set = NULL;
        KC_CLEANUP(kc_freep)
        char *path = kc_gvr_path(&KC_DAEMONSETS, kc_meta_namespace(pod), kc_json_str(ref, "name"), NULL);
        struct status s = say(SKIP, "ignoring DaemonSet-managed Pods");
        if (kc_cli_fetch(c, path, "application/json", &set, &why) < 0)
                s = say(kc_error_is(&why, KC_REASON_NOT_FOUND) && o->force ? OKAY : REFUSE, kc_error_message(&why));
        else if (!o->ignore_daemon_sets)
                s = say(REFUSE, "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)");
        kc_error_done(&why);
        return s;
}

static struct status mirror(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod)
{
        (void)c;
        (void)o;
        return kc_meta_annotation(pod, "kubernetes.io/config.mirror") ? (struct status){.verdict = SKIP} : okay();
}

static struct status local_storage(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod)
{
        (void)c;
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        bool local = false;
        for (size_t i = 0; i < kc_json_len(volumes); i++)
                local = local || kc_json_get(kc_json_idx(volumes, i), "emptyDir");
        if (!local || is_finished(pod))
                return okay();
        return o->delete_empty_dir ? say(OKAY, "deleting Pods with local storage")
                                   : say(REFUSE, "Pods with local storage (use --delete-emptydir-data to override)");
}

static struct status unreplicated(struct kc_cli *c, const struct kc_drain_opts *o, const struct json_object *pod)
{
        (void)c;
        if (is_finished(pod) || controller_of(pod))
                return okay();
        return o->force ? say(OKAY, "deleting Pods that declare no controller")
                        : say(REFUSE, "cannot delete Pods that declare no controller (use --force to override)");
}

/* --- what is said about pods: "reason: ns/a, ns/b", reasons in the order of their first pod */

struct saying {
        char *reason, **pods;
};
struct sayings {
        struct saying *v;
        size_t n;
};

static void note(struct sayings *l, const char *reason, const struct json_object *pod)
{
        size_t i = 0;
        while (i < l->n && !kc_streq(l->v[i].reason, reason))
                i++;
        if (i == l->n) {
                l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
                l->v[l->n++] = (struct saying){.reason = kc_strdup(reason)};
        }
        kc_strv_pushf(&l->v[i].pods, "%s/%s", kc_meta_namespace(pod), kc_meta_name(pod));
}

static void sayings_done(struct sayings *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].reason);
                kc_strv_free(l->v[i].pods);
        }
        kc_free(l->v);
}

static void add_errors(const struct sayings *l, struct kc_cli_errors *into)
{
        for (size_t i = 0; i < l->n; i++) {
                struct kc_error err = KC_ERROR_INIT;
                KC_CLEANUP(kc_freep) char *pods = kc_strv_join(l->v[i].pods, ", ");
                (void)kc_error_set(&err, EINVAL, "cannot delete %s: %s", l->v[i].reason, pods);
                kc_cli_errors_take(into, &err);
        }
}

static char *join_warnings(const struct sayings *l)
{
        KC_CLEANUP(kc_strv_freep) char **all = NULL;
        for (size_t i = 0; i < l->n; i++) {
                KC_CLEANUP(kc_freep) char *pods = kc_strv_join(l->v[i].pods, ", ");
                kc_strv_pushf(&all, "%s: %s", l->v[i].reason, pods);
        }
        return all ? kc_strv_join(all, "; ") : NULL;
}

int kc_drain_list(
    struct kc_cli *c, const struct kc_drain_opts *o, const char *node, struct kc_drain_pods *ret, struct kc_error *err)
{
        static const filter_fn filters[] = {skip_deleted, daemon_set, mirror, local_storage, unreplicated};
        struct kc_resource_map *map;
        const struct kc_api_resource *res = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        KC_CLEANUP(kc_freep) char *field = kc_asprintf("spec.nodeName=%s", node);
        KC_CLEANUP(sayings_done) struct sayings refused = {0};
        KC_CLEANUP(sayings_done) struct sayings warnings = {0};
        kc_query_add(&q, "labelSelector", kc_str_empty(o->pod_selector) ? NULL : o->pod_selector);
        kc_query_add(&q, "fieldSelector", field);
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &res, err);
        if (e == 0)
                e = kc_cli_list(c, res, NULL, kc_buf_str(&q), &list, err);
        const struct json_object *items = kc_json_get(list, "items");
        ret->v = kc_calloc(kc_json_len(items) + 1, sizeof(struct json_object *));
        for (size_t i = 0; e == 0 && i < kc_json_len(items); i++) {
                const struct json_object *pod = kc_json_idx(items, i);
                struct status s = okay();
                for (size_t k = 0; k < KC_ARRAY_LEN(filters) && s.verdict == OKAY; k++)
                        s = filters[k](c, o, pod);
                if (s.verdict == OKAY)
                        ret->v[ret->n++] = kc_json_copy(pod);
                if (s.reason[0])
                        note(s.warns ? &warnings : &refused, s.reason, pod);
        }
        add_errors(&refused, &ret->errors);
        ret->warnings = join_warnings(&warnings);
        return e;
}

void kc_drain_pods_done(struct kc_drain_pods *p)
{
        for (size_t i = 0; i < p->n; i++)
                kc_json_free(p->v[i]);
        kc_free(p->v);
        kc_cli_errors_done(&p->errors);
        kc_free(p->warnings);
}
