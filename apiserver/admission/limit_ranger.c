/* LimitRanger: default requests and limits of containers, and bounds of pods, containers and claims, as the LimitRanges
 * of the namespace say. Worker threads. */
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/quantity.h"
#include "base/str.h"

#define ANNOTATION "kubernetes.io/limit-ranger"

static const struct {
        const char *list, *name;
} containers[] = {{"initContainers", "init container"}, {"containers", "container"}};

/* Pods when they are made or resized, claims whenever they are written. */
static bool concerns(const struct kc_admission_attrs *a)
{
        if (a->op == KC_ADMIT_UPDATE && adm_is_sub(a, "", "pods", "resize"))
                return true;
        return (a->op == KC_ADMIT_CREATE && adm_is(a, "", "pods")) || adm_is(a, "", "persistentvolumeclaims");
}

static int limits_of(
    struct kc_admission *adm, const struct kc_admission_attrs *a, struct kc_objects *ret, struct kc_error *err)
{
        return kc_resources_list(kc_admission_resources(adm), "", "limitranges", a->ns, NULL, ret, err);
}

/* --- defaults */

/* Names of what was missing, sorted and joined; NULL: nothing was. */
static char *add_missing(struct json_object *container, const char *part, const struct json_object *defaults)
{
        KC_CLEANUP(kc_strv_freep) char **added = NULL;

        KC_JSON_FOREACH(defaults, name, value)
        {
                if (kc_json_get(kc_json_get(kc_json_get(container, "resources"), part), name))
                        continue;
                kc_json_set(
                    kc_json_ensure_obj(kc_json_ensure_obj(container, "resources"), part), name, kc_json_copy(value));
                kc_strv_push(&added, name);
        }
        if (!added)
                return NULL;
        kc_strv_sort(added);
        return kc_strv_join(added, ", ");
}

static void set_defaults(struct json_object *pod, const struct json_object *limits, const struct json_object *requests)
{
        KC_CLEANUP(kc_strv_freep) char **said = NULL;

        for (size_t l = KC_ARRAY_LEN(containers); l-- > 0;) {
                struct json_object *list = kc_json_get_mut(kc_json_get_mut(pod, "spec"), containers[l].list);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        struct json_object *c = kc_json_idx_mut(list, i);
                        KC_CLEANUP(kc_freep) char *req = add_missing(c, "requests", requests);
                        KC_CLEANUP(kc_freep) char *lim = add_missing(c, "limits", limits);
                        if (req)
                                kc_strv_pushf(
                                    &said, "%s request for %s %s", req, containers[l].name, kc_json_str(c, "name"));
                        if (lim)
                                kc_strv_pushf(
                                    &said, "%s limit for %s %s", lim, containers[l].name, kc_json_str(c, "name"));
                }
        }
        if (!said)
                return;
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(said, "; ");
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("LimitRanger plugin set: %s", all);
        kc_meta_set_annotation(pod, ANNOTATION, text);
}

ADM_ADMIT(adm_limit_ranger)
{
        struct kc_objects ranges = {0};
        int r;

        if (!concerns(a) || a->op != KC_ADMIT_CREATE || !adm_is(a, "", "pods"))
                return 0;
        r = limits_of(adm, a, &ranges, err);
        for (size_t i = 0; r == 0 && i < ranges.n; i++) {
                const struct json_object *items = kc_json_at(kc_object_json(ranges.v[i]), "spec.limits");
                for (size_t k = 0; k < kc_json_len(items); k++) {
                        const struct json_object *item = kc_json_idx(items, k);
                        if (kc_streq(kc_json_str(item, "type"), "Container"))
                                set_defaults(a->obj, kc_json_get(item, "default"), kc_json_get(item, "defaultRequest"));
                }
        }
        kc_objects_done(&ranges);
        return r;
}

/* --- bounds */

struct amount {
        bool set;
        struct kc_quantity q;
        char text[KC_QUANTITY_LEN];
};

static struct amount amount_of(const struct json_object *list, const char *name)
{
        const struct json_object *v = kc_json_get(list, name);
        struct amount a = {0};

        if (kc_json_as_str(v))
                a.set = kc_quantity_parse(kc_json_as_str(v), &a.q) == 0;
        if (a.set)
                (void)kc_quantity_format(&a.q, a.text);
        return a;
}

/* What is bound: a container, a pod, a claim. */
struct subject {
        const char *type; /* "Container" */
        const struct json_object *requests, *limits;
        bool no_limits; /* it has requests only */
        char ***errors;
};

static void check_min(const struct subject *s, const char *name, const struct amount *min)
{
        struct amount req = amount_of(s->requests, name), lim = amount_of(s->limits, name);

        if (!req.set)
                kc_strv_pushf(
                    s->errors, "minimum %s usage per %s is %s.  No request is specified", name, s->type, min->text);
        else if (kc_quantity_cmp(&req.q, &min->q) < 0)
                kc_strv_pushf(
                    s->errors, "minimum %s usage per %s is %s, but request is %s", name, s->type, min->text, req.text);
        else if (lim.set && kc_quantity_cmp(&lim.q, &min->q) < 0)
                kc_strv_pushf(
                    s->errors, "minimum %s usage per %s is %s, but limit is %s", name, s->type, min->text, lim.text);
}

static void check_max(const struct subject *s, const char *name, const struct amount *max)
{
        struct amount req = amount_of(s->requests, name), lim = amount_of(s->limits, name);

        if (!s->no_limits && !lim.set)
                kc_strv_pushf(
                    s->errors, "maximum %s usage per %s is %s.  No limit is specified", name, s->type, max->text);
        else if (s->no_limits && !req.set)
                kc_strv_pushf(
                    s->errors, "maximum %s usage per %s is %s.  No request is specified", name, s->type, max->text);
        else if (lim.set && kc_quantity_cmp(&lim.q, &max->q) > 0)
                kc_strv_pushf(
                    s->errors, "maximum %s usage per %s is %s, but limit is %s", name, s->type, max->text, lim.text);
        else if (req.set && kc_quantity_cmp(&req.q, &max->q) > 0)
                kc_strv_pushf(
                    s->errors, "maximum %s usage per %s is %s, but request is %s", name, s->type, max->text, req.text);
}

static void check_ratio(const struct subject *s, const char *name, const struct amount *ratio)
{
        static const struct kc_quantity zero = {0};
        struct amount req = amount_of(s->requests, name), lim = amount_of(s->limits, name);
        double have;

        if (!req.set || kc_quantity_cmp(&req.q, &zero) == 0) {
                kc_strv_pushf(s->errors,
                    "%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name,
                    s->type, ratio->text);
                return;
        }
        if (!lim.set || kc_quantity_cmp(&lim.q, &zero) == 0) {
                kc_strv_pushf(s->errors,
                    "%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name,
                    s->type, ratio->text);
                return;
        }
        have = (double)lim.q.nano / (double)req.q.nano;
        if (have > (double)ratio->q.nano / 1e9)
                kc_strv_pushf(s->errors, "%s max limit to request ratio per %s is %s, but provided ratio is %f", name,
                    s->type, ratio->text, have);
}

static void check_item(const struct subject *s, const struct json_object *item)
{
        static const struct {
                const char *key;
                void (*check)(const struct subject *s, const char *name, const struct amount *bound);
        } bounds[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};

        if (!kc_streq(kc_json_str(item, "type"), s->type))
                return;
        for (size_t b = 0; b < KC_ARRAY_LEN(bounds); b++)
                KC_JSON_FOREACH(kc_json_get(item, bounds[b].key), name, value)
                {
                        struct amount bound = amount_of(kc_json_get(item, bounds[b].key), name);
                        (void)value; /* the amount is it */
                        if (bound.set)
                                bounds[b].check(s, name, &bound);
                }
}

/* --- what a pod asks for as a whole */

static void raise_amount(struct json_object *list, const char *name, const struct kc_quantity *q, bool add)
{
        struct amount have = amount_of(list, name);
        struct kc_quantity sum = *q;
        char text[KC_QUANTITY_LEN];

        if (add && have.set)
                kc_quantity_add(&sum, &have.q);
        if (!add && have.set && kc_quantity_cmp(&have.q, q) >= 0)
                return;
        kc_json_set_str(list, name, kc_quantity_format(&sum, text));
}

static void merge(struct json_object *to, const struct json_object *from, bool add)
{
        KC_JSON_FOREACH(from, name, value)
        {
                struct amount x = amount_of(from, name);
                (void)value; /* the amount is it */
                if (x.set)
                        raise_amount(to, name, &x.q, add);
        }
}

/* Regular containers and sidecars together, or one init container beside the sidecars before it, whichever is more. */
static struct json_object *pod_total(const struct json_object *pod, const char *part)
{
        struct json_object *total = json_object_new_object();
        KC_CLEANUP(kc_json_freep) struct json_object *sidecars = json_object_new_object();
        KC_CLEANUP(kc_json_freep) struct json_object *peak = json_object_new_object();
        const struct json_object *apps = kc_json_at(pod, "spec.containers"),
                                 *inits = kc_json_at(pod, "spec.initContainers");

        for (size_t i = 0; i < kc_json_len(apps); i++)
                merge(total, kc_json_get(kc_json_get(kc_json_idx(apps, i), "resources"), part), true);
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *c = kc_json_idx(inits, i);
                const struct json_object *own = kc_json_get(kc_json_get(c, "resources"), part);
                if (kc_streq(kc_json_str(c, "restartPolicy"), "Always")) {
                        merge(sidecars, own, true);
                        merge(peak, sidecars, false);
                } else {
                        KC_CLEANUP(kc_json_freep) struct json_object *now = kc_json_copy(sidecars);
                        merge(now, own, true);
                        merge(peak, now, false);
                }
        }
        merge(total, sidecars, true);
        merge(total, peak, false);
        merge(total, kc_json_at(pod, "spec.overhead"), true);
        return total;
}

static void check_pod(const struct json_object *pod, const struct json_object *item, char ***errors)
{
        KC_CLEANUP(kc_json_freep) struct json_object *requests = pod_total(pod, "requests");
        KC_CLEANUP(kc_json_freep) struct json_object *limits = pod_total(pod, "limits");

        for (size_t l = KC_ARRAY_LEN(containers); l-- > 0;) {
                const struct json_object *list = kc_json_get(kc_json_get(pod, "spec"), containers[l].list);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        const struct json_object *r = kc_json_get(kc_json_idx(list, i), "resources");
                        check_item(&(struct subject){.type = "Container",
                                       .requests = kc_json_get(r, "requests"),
                                       .limits = kc_json_get(r, "limits"),
                                       .errors = errors},
                            item);
                }
        }
        check_item(&(struct subject){.type = "Pod", .requests = requests, .limits = limits, .errors = errors}, item);
}

ADM_VALIDATE(adm_limit_ranger_validate)
{
        KC_CLEANUP(kc_strv_freep) char **errors = NULL;
        struct kc_objects ranges = {0};
        int r;

        if (!concerns(a))
                return 0;
        r = limits_of(adm, a, &ranges, err);
        for (size_t i = 0; r == 0 && i < ranges.n; i++) {
                const struct json_object *items = kc_json_at(kc_object_json(ranges.v[i]), "spec.limits");
                for (size_t k = 0; k < kc_json_len(items); k++) {
                        if (strcmp(a->row->resource, "pods") == 0)
                                check_pod(a->obj, kc_json_idx(items, k), &errors);
                        else
                                check_item(&(struct subject){.type = "PersistentVolumeClaim",
                                               .requests = kc_json_at(a->obj, "spec.resources.requests"),
                                               .no_limits = true,
                                               .errors = &errors},
                                    kc_json_idx(items, k));
                }
        }
        kc_objects_done(&ranges);
        if (r < 0 || !errors)
                return r;
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(errors, ", ");
        return kc_strv_len(errors) == 1 ? adm_forbidden(err, a, "%s", all) : adm_forbidden(err, a, "[%s]", all);
}
