/* Fields by paths through objects and arrays. Any thread. */
#include <string.h>

#include "api/schema.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"

int kustomize_each_field(
    struct json_object *obj, const char *path, bool create, kustomize_field_fn fn, void *arg, struct kc_error *err)
{
        int e = 0;
        if (kc_json_is_arr(obj)) {
                for (size_t i = 0; e == 0 && i < kc_json_len(obj); i++)
                        e = kustomize_each_field(kc_json_idx_mut(obj, i), path, create, fn, arg, err);
                return e;
        }
        if (!kc_json_is_obj(obj))
                return 0;
        const char *slash = strchr(path, '/');
        KC_CLEANUP(kc_freep) char *key = slash ? kc_strndup(path, (size_t)(slash - path)) : kc_strdup(path);
        struct json_object *child = kc_json_get_mut(obj, key);
        if (!child && !create)
                return 0;
        if (!slash)
                return fn(obj, key, arg, err);
        if (!child) {
                child = json_object_new_object();
                kc_json_set(obj, key, child);
        }
        return kustomize_each_field(child, slash + 1, create, fn, arg, err);
}

bool kustomize_field_spec_is_for(const struct kustomize_field_spec *s, const struct json_object *obj)
{
        const char *api_version = kc_json_str(obj, "apiVersion");
        if (s->kind && !kc_streq(s->kind, kc_json_str(obj, "kind")))
                return false;
        if (!s->group)
                return true;
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(api_version ? api_version : "", &group, &version);
        return strcmp(group, s->group) == 0;
}
