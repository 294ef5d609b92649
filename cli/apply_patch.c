/* The last-applied annotation and the three-way patch. Any thread. */
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/apply.h"

/* As Go's encoder writes an object: <, > and & escaped, a newline at the end. */
static char *encode(const struct json_object *obj, bool sorted)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (sorted)
                kc_json_write_sorted(&plain, obj);
        else
                kc_json_write(&plain, obj);
        for (const char *p = kc_buf_str(&plain); *p; p++)
                if (*p == '<' || *p == '>' || *p == '&')
                        kc_buf_addf(&out, "\\u%04x", *p);
                else
                        kc_buf_addc(&out, *p);
        kc_buf_addc(&out, '\n');
        return kc_buf_take_str(&out);
}

char *kc_apply_encode(const struct json_object *obj)
{
        return encode(obj, true);
}

/* --- from client-side to server-side apply */

static bool owns_annotation(const struct json_object *entry)
{
        KC_CLEANUP(kc_json_freep) struct json_object *fields = kc_json_expand(kc_json_get(entry, "fieldsV1"));
        return kc_streq(kc_json_str(entry, "operation"), "Update") && !kc_json_str(entry, "subresource") &&
               kc_json_get(kc_json_get(kc_json_get(fields, "f:metadata"), "f:annotations"), "f:" KC_LAST_APPLIED);
}

/* The union of two FieldsV1 trees. */
static void add_fields(struct json_object *into, const struct json_object *from)
{
        KC_JSON_FOREACH(from, key, val)
        {
                struct json_object *there = kc_json_get_mut(into, key);
                if (there)
                        add_fields(there, val);
                else
                        kc_json_set(into, key, kc_json_copy(val));
        }
}

struct json_object *kc_apply_migration(const struct json_object *live, const char *manager)
{
        const struct json_object *old = kc_json_at(live, "metadata.managedFields"), *client = NULL;
        for (size_t i = 0; i < kc_json_len(old) && !client; i++)
                if (owns_annotation(kc_json_idx(old, i)))
                        client = kc_json_idx(old, i);
        if (!client)
                return NULL;
        struct json_object *entries = json_object_new_array(), *server = NULL;
        for (size_t i = 0; i < kc_json_len(old); i++) {
                const struct json_object *one = kc_json_idx(old, i);
                if (one == client)
                        continue;
                struct json_object *copy = kc_json_copy(one);
                kc_json_push(entries, copy);
                if (kc_streq(kc_json_str(one, "operation"), "Apply") &&
                    kc_streq(kc_json_str(one, "manager"), manager) && !kc_json_str(one, "subresource"))
                        server = copy;
        }
        if (!server) {
                server = kc_json_copy(client);
                kc_json_set_str(server, "manager", manager);
                kc_json_set_str(server, "operation", "Apply");
                kc_json_push(entries, server);
        } else {
                struct json_object *fields = kc_json_expand(kc_json_get(server, "fieldsV1"));
                KC_CLEANUP(kc_json_freep) struct json_object *more = kc_json_expand(kc_json_get(client, "fieldsV1"));
                add_fields(fields, more);
                kc_json_set(server, "fieldsV1", fields);
        }
        return kc_json_build("[{'op':'replace','path':'/metadata/managedFields','value':%o},"
                             "{'op':'replace','path':'/metadata/resourceVersion','value':%s}]",
            entries, kc_meta_resource_version(live));
}

/* --- client-side apply */

struct json_object *kc_apply_modified(const struct json_object *obj)
{
        struct json_object *modified = kc_json_copy(obj);
        struct json_object *annotations = kc_json_ensure_obj(kc_json_ensure_obj(modified, "metadata"), "annotations");
        kc_json_del(annotations, KC_LAST_APPLIED);
        KC_CLEANUP(kc_freep) char *text = encode(modified, true);
        kc_json_set_str(annotations, KC_LAST_APPLIED, text);
        return modified;
}

struct json_object *kc_apply_modified_typed(const struct json_object *obj)
{
        struct json_object *modified = kc_json_copy(obj);
        struct json_object *meta = kc_json_ensure_obj(modified, "metadata");
        struct json_object *annotations = kc_json_get_mut(meta, "annotations");
        if (annotations)
                kc_json_del(annotations, KC_LAST_APPLIED);
        if (annotations && kc_json_n_keys(annotations) == 0)
                kc_json_del(meta, "annotations");
        KC_CLEANUP(kc_freep) char *text = encode(modified, false);
        kc_json_set_str(kc_json_ensure_obj(meta, "annotations"), KC_LAST_APPLIED, text);
        return modified;
}

int kc_apply_patch(const struct kc_api_resource *res, const struct json_object *live,
    const struct json_object *modified, struct json_object **ret_patch, const char **ret_content_type,
    struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *original = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *text = kc_meta_annotation(live, KC_LAST_APPLIED);
        int e = kc_str_empty(text) ? 0 : kc_json_parse(text, strlen(text), NULL, &original, err);
        if (e < 0)
                return kc_error_wrap(err, "the annotation %s does not hold JSON", KC_LAST_APPLIED);
        const struct kc_resource *known = kc_schema_kind(res->group, res->version, res->kind);
        if (known && known->type)
                e = kc_patch_three_way_strategic(original, modified, live, known->type, &patch, err);
        else
                e = kc_patch_three_way_merge(original, modified, live, &patch, err);
        if (e < 0)
                return e;
        *ret_content_type =
            known && known->type ? "application/strategic-merge-patch+json" : "application/merge-patch+json";
        *ret_patch = kc_json_n_keys(patch) > 0 ? KC_TAKE(patch) : NULL;
        return 0;
}
