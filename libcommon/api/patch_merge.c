/* JSON Merge Patch (RFC 7386): applying, making, and the three-way patch of client-side apply for kinds without a
 * schema. Pure functions: any thread. */
#include "api/patch.h"

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

static void merge_into(struct json_object *target, const struct json_object *patch)
{
        KC_JSON_FOREACH(patch, key, value)
        {
                if (!value) {
                        kc_json_del(target, key);
                        continue;
                }
                if (!kc_json_is_obj(value)) {
                        kc_json_set(target, key, kc_json_copy(value));
                        continue;
                }
                struct json_object *child = kc_json_get_mut(target, key);
                if (!kc_json_is_obj(child)) {
                        child = json_object_new_object();
                        kc_json_set(target, key, child);
                }
                merge_into(child, value); /* also drops the nulls of a new value */
        }
}

int kc_patch_merge(struct json_object **doc, const struct json_object *patch, struct kc_error *err)
{
        if (!kc_json_is_obj(patch))
                return kc_err_bad_request(err, "error decoding patch: not a JSON object");
        if (!kc_json_is_obj(*doc)) {
                kc_json_free(*doc);
                *doc = json_object_new_object();
        }
        merge_into(*doc, patch);
        return 0;
}

struct json_object *kc_patch_merge_diff(const struct json_object *a, const struct json_object *b)
{
        struct json_object *patch = json_object_new_object();
        KC_JSON_FOREACH(b, key, value)
        {
                const struct json_object *old = kc_json_get(a, key);
                if (!value || kc_json_equal(old, value))
                        continue; /* a null cannot be put by a merge patch; what is there is deleted below */
                if (!kc_json_is_obj(old) || !kc_json_is_obj(value)) {
                        kc_json_set(patch, key, kc_json_copy(value));
                        continue;
                }
                struct json_object *child = kc_patch_merge_diff(old, value);
                if (child)
                        kc_json_set(patch, key, child);
        }
        KC_JSON_FOREACH(a, key, value)
        {
                if (value && !kc_json_get(b, key))
                        kc_json_set(patch, key, NULL);
        }
        if (kc_json_n_keys(patch))
                return patch;
        kc_json_free(patch);
        return NULL;
}

/* Keeps the nulls of a merge patch, or all but them; drops objects that become empty. */
static struct json_object *filter_nulls(const struct json_object *patch, bool keep_nulls)
{
        struct json_object *out = json_object_new_object();
        KC_JSON_FOREACH(patch, key, value)
        {
                if (kc_json_is_obj(value) && kc_json_n_keys(value)) {
                        struct json_object *child = filter_nulls(value, keep_nulls);
                        if (kc_json_n_keys(child))
                                kc_json_set(out, key, child);
                        else
                                kc_json_free(child);
                } else if ((value == NULL) == keep_nulls) {
                        kc_json_set(out, key, kc_json_copy(value));
                }
        }
        return out;
}

/* Merges one merge patch into another: its values win, nulls stay. */
static void overlay(struct json_object *target, const struct json_object *patch)
{
        KC_JSON_FOREACH(patch, key, value)
        {
                struct json_object *child = kc_json_get_mut(target, key);
                if (kc_json_is_obj(child) && kc_json_is_obj(value))
                        overlay(child, value);
                else
                        kc_json_set(target, key, kc_json_copy(value));
        }
}

int kc_patch_three_way_merge(const struct json_object *original, const struct json_object *modified,
    const struct json_object *current, struct json_object **ret_patch, struct kc_error *err)
{
        if (!kc_json_is_obj(modified) || !kc_json_is_obj(current))
                return kc_err_bad_request(err, "cannot compare what is no object");
        KC_CLEANUP(kc_json_freep) struct json_object *changes = kc_patch_merge_diff(current, modified);
        KC_CLEANUP(kc_json_freep) struct json_object *since = kc_patch_merge_diff(original, modified);
        KC_CLEANUP(kc_json_freep) struct json_object *additions = filter_nulls(changes, false);
        struct json_object *patch = filter_nulls(since, true);
        overlay(patch, additions);
        *ret_patch = patch;
        return 0;
}
