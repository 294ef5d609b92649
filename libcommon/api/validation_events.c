/* Events, in core/v1, in which they are stored: by lax rules when they come in as such, by strict ones as
 * events.k8s.io/v1. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static void text(struct kc_v *v, const struct json_object *o, const char *key, size_t max, bool required)
{
        size_t n = strlen(kc_v_str(o, key));
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("can have at most %zu characters", max);
        if (required && n == 0)
                kc_v_required(v, V_CHILD(NULL, key), "");
        if (n > max)
                kc_v_invalid_str(v, V_CHILD(NULL, key), "", detail);
}

/* controller: what the version calls that field. */
static void new_fields(struct kc_v *v, const struct json_object *o, const char *controller)
{
        const char *name = kc_v_str(o, "reportingComponent");
        if (!*name)
                kc_v_required(v, V_CHILD(NULL, controller), "");
        kc_v_name(v, V_CHILD(NULL, controller), name, kc_name_label_key);
        text(v, o, "reportingInstance", 128, true);
        text(v, o, "action", 128, true);
        text(v, o, "reason", 128, true);
        text(v, o, "message", 1024, false);
}

static void event(struct kc_v *v, const struct json_object *o, const char *controller)
{
        const char *ns = kc_v_str(kc_json_get(o, "metadata"), "namespace");
        const char *of = kc_v_str(kc_json_get(o, "involvedObject"), "namespace");
        const struct kc_vpath *p = V_CHILD2(NULL, "involvedObject", "namespace");
        bool is_new = kc_json_get(o, "eventTime") != NULL, agree;
        if (is_new)
                agree = *of || kc_streq(ns, "default") || kc_streq(ns, "kube-system");
        else
                agree = *of ? kc_streq(ns, of) : !*ns || kc_streq(ns, "default");
        if (!agree)
                kc_v_invalid_str(v, p, of, "does not match event.namespace");
        if (is_new)
                new_fields(v, o, controller);
        kc_v_name(v, V_CHILD(NULL, "namespace"), ns, kc_name_dns1123_subdomain);
}

void kc_v_create_event(struct kc_v *v, const struct json_object *o)
{
        event(v, o, "reportingComponent");
        if (v->errors->n == 0)
                kc_v_meta(v, o, true, kc_name_path_segment);
}

void kc_v_update_event(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        event(v, o, "reportingComponent");
}

/* --- events.k8s.io/v1 */

static void series(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *s = kc_json_get(o, "series");
        if (!s)
                return;
        if (kc_json_int(s, "count", 0) < 2)
                kc_v_invalid_str(v, V_CHILD(NULL, "series.count"), "", "should be at least 2");
        if (!kc_json_get(s, "lastObservedTime"))
                kc_v_required(v, V_CHILD(NULL, "series.lastObservedTime"), "");
}

void kc_v_create_new_event(struct kc_v *v, const struct json_object *o)
{
        static const char *const deprecated[] = {"firstTimestamp", "lastTimestamp", "count", "source"};
        const char *type = kc_v_str(o, "type");
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("has invalid value: %s", type);
        event(v, o, "reportingController");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        series(v, o);
        if (!kc_json_get(o, "eventTime"))
                kc_v_required(v, V_CHILD(NULL, "eventTime"), "");
        if (!kc_streq(type, "Normal") && !kc_streq(type, "Warning"))
                kc_v_invalid_str(v, V_CHILD(NULL, "type"), "", detail);
        for (size_t i = 0; i < KC_ARRAY_LEN(deprecated); i++) {
                const struct json_object *value = kc_json_get(o, deprecated[i]);
                bool set = kc_json_is_obj(value)
                               ? kc_json_n_keys(value) > 0
                               : value && !(kc_streq(deprecated[i], "count") && kc_json_int(o, "count", 0) == 0);
                if (set)
                        kc_v_invalid_str(v, V_CHILD(NULL, deprecated[i]), "", "needs to be unset");
        }
}

void kc_v_update_new_event(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        /* Whose name upstream gives to people, where it differs. */
        static const struct {
                const char *key, *said;
        } fixed[] = {
            {"involvedObject", NULL},
            {"reason", NULL},
            {"message", NULL},
            {"source", NULL},
            {"firstTimestamp", NULL},
            {"lastTimestamp", NULL},
            {"count", NULL},
            {"reason", NULL},
            {"type", NULL},
            {"eventTime", NULL},
            {"action", NULL},
            {"related", NULL},
            {"reportingComponent", "reportingController"},
            {"reportingInstance", NULL},
        };
        (void)subresource; /* there is none */
        event(v, o, "reportingController");
        kc_v_meta_update(v, o, old);
        if (!kc_v_equal(kc_json_get(o, "series"), kc_json_get(old, "series")))
                series(v, o);
        for (size_t i = 0; i < KC_ARRAY_LEN(fixed); i++)
                kc_v_immutable(v, V_CHILD(NULL, fixed[i].said ? fixed[i].said : fixed[i].key),
                    kc_json_get(o, fixed[i].key), kc_json_get(old, fixed[i].key));
}
