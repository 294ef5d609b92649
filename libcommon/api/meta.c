/* Reading and changing ObjectMeta and status conditions of trees. Pure functions: any thread. */
#include <string.h>

#include "api/object.h"
#include "base/mem.h"
#include "base/str.h"

static const struct json_object *meta_of(const struct json_object *o)
{
        return kc_json_get(o, "metadata");
}

const char *kc_meta_name(const struct json_object *o)
{
        return kc_json_str(meta_of(o), "name");
}

const char *kc_meta_namespace(const struct json_object *o)
{
        const char *ns = kc_json_str(meta_of(o), "namespace");
        return kc_str_empty(ns) ? NULL : ns;
}

const char *kc_meta_uid(const struct json_object *o)
{
        return kc_json_str(meta_of(o), "uid");
}

const char *kc_meta_resource_version(const struct json_object *o)
{
        return kc_json_str(meta_of(o), "resourceVersion");
}

const struct json_object *kc_meta_labels(const struct json_object *o)
{
        return kc_json_get(meta_of(o), "labels");
}

const char *kc_meta_label(const struct json_object *o, const char *key)
{
        return kc_json_str(kc_meta_labels(o), key);
}

const char *kc_meta_annotation(const struct json_object *o, const char *key)
{
        return kc_json_str(kc_json_get(meta_of(o), "annotations"), key);
}

int64_t kc_meta_generation(const struct json_object *o)
{
        return kc_json_int(meta_of(o), "generation", 0);
}

bool kc_meta_deleting(const struct json_object *o)
{
        return kc_json_str(meta_of(o), "deletionTimestamp") != NULL;
}

kc_time kc_meta_creation_time(const struct json_object *o)
{
        kc_time t = 0;
        const char *s = kc_json_str(meta_of(o), "creationTimestamp");
        return s && kc_time_parse(s, &t) == 0 ? t : 0;
}

bool kc_meta_has_finalizer(const struct json_object *o, const char *finalizer)
{
        const struct json_object *list = kc_json_get(meta_of(o), "finalizers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), finalizer))
                        return true;
        }
        return false;
}

const struct json_object *kc_meta_controller_ref(const struct json_object *o)
{
        const struct json_object *refs = kc_json_get(meta_of(o), "ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                if (kc_json_bool(ref, "controller", false))
                        return ref;
        }
        return NULL;
}

bool kc_meta_is_controlled_by(const struct json_object *o, const struct json_object *owner)
{
        const struct json_object *ref = kc_meta_controller_ref(o);
        const char *uid = kc_json_str(ref, "uid");
        return uid && kc_streq(uid, kc_meta_uid(owner));
}

struct json_object *kc_meta_new_controller_ref(
    const struct json_object *owner, const char *api_version, const char *kind)
{
        return kc_json_build("{'apiVersion':%s,'kind':%s,'name':%s,'uid':%s,'controller':true,"
                             "'blockOwnerDeletion':true}",
            api_version, kind, kc_meta_name(owner), kc_meta_uid(owner));
}

void kc_meta_set_label(struct json_object *o, const char *key, const char *value)
{
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.labels"), key, value);
}

void kc_meta_set_annotation(struct json_object *o, const char *key, const char *value)
{
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.annotations"), key, value);
}

char *kc_meta_key(const struct json_object *o)
{
        const char *ns = kc_meta_namespace(o), *name = kc_meta_name(o);
        if (!name)
                name = "";
        return ns ? kc_asprintf("%s/%s", ns, name) : kc_strdup(name);
}

void kc_key_split(const char *key, char **ret_ns, char **ret_name)
{
        const char *slash = strchr(key, '/');
        *ret_ns = slash ? kc_strndup(key, (size_t)(slash - key)) : kc_strdup("");
        *ret_name = kc_strdup(slash ? slash + 1 : key);
}

const struct json_object *kc_condition_get(const struct json_object *status, const char *type)
{
        return kc_json_find(kc_json_get(status, "conditions"), "type", type);
}

bool kc_condition_is_true(const struct json_object *status, const char *type)
{
        return kc_streq(kc_json_str(kc_condition_get(status, type), "status"), "True");
}

/* Sets or, for NULL, removes a string; true if that changed the object. */
static bool update_str(struct json_object *o, const char *key, const char *value)
{
        if (kc_streq(kc_json_str(o, key), value))
                return false;
        kc_json_set_str(o, key, value);
        return true;
}

bool kc_condition_set(struct json_object *status, const char *type, const char *cond_status, const char *reason,
    const char *message, kc_time now)
{
        char buf[KC_TIME_LEN];
        struct json_object *list = kc_json_ensure_arr(status, "conditions");
        struct json_object *cond = (struct json_object *)kc_json_find(list, "type", type); /* within our own tree */
        if (!cond) {
                cond = kc_json_build(
                    "{'type':%s,'status':%s,'lastTransitionTime':%s}", type, cond_status, kc_time_format(now, buf));
                kc_json_set_str(cond, "reason", reason);
                kc_json_set_str(cond, "message", message);
                kc_json_push(list, cond);
                return true;
        }
        bool changed = update_str(cond, "status", cond_status);
        if (changed)
                kc_json_set_str(cond, "lastTransitionTime", kc_time_format(now, buf));
        changed |= update_str(cond, "reason", reason);
        changed |= update_str(cond, "message", message);
        return changed;
}
