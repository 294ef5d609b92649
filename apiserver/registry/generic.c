/* What the generic registry does for hooks that a strategy leaves out. Pure functions: any thread. */
#include <string.h>

#include "base/str.h"
#include "registry/registry_internal.h"

static bool has_status_subresource(const struct kc_registry_ctx *c)
{
        return kc_resource_subresource(c->stored->row, "status") != NULL;
}

/* Kinds that count generations: those with a spec and a status. */
static bool has_generation(const struct kc_registry_ctx *c)
{
        return kc_type_field(c->stored->row->type, "spec") && has_status_subresource(c);
}

void kc_strategy_keep(struct json_object *obj, const struct json_object *old, const char *key)
{
        const struct json_object *v = kc_json_get(old, key);
        if (v)
                kc_json_set(obj, key, kc_json_copy(v));
        else
                kc_json_del(obj, key);
}

void kc_strategy_default_create(const struct kc_registry_ctx *c, struct json_object *obj)
{
        if (has_status_subresource(c))
                kc_json_del(obj, "status");
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        if (has_generation(c))
                kc_json_set_int(meta, "generation", 1);
        else
                kc_json_del(meta, "generation");
}

void kc_strategy_bump_generation(struct json_object *obj, const struct json_object *old)
{
        static const char *const ignored[] = {"metadata", "status", "kind", "apiVersion", NULL};
        bool changed = false;
        KC_JSON_FOREACH(obj, key, val)
        {
                if (!kc_strv_has((char *const *)ignored, key) && !kc_json_equal(val, kc_json_get(old, key)))
                        changed = true;
        }
        KC_JSON_FOREACH(old, key, val)
        {
                if (!kc_strv_has((char *const *)ignored, key) && val && !kc_json_get(obj, key))
                        changed = true;
        }
        kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", kc_meta_generation(old) + (changed ? 1 : 0));
}

void kc_strategy_default_update(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        if (has_status_subresource(c))
                kc_strategy_keep(obj, old, "status");
        if (has_generation(c))
                kc_strategy_bump_generation(obj, old);
}

void kc_strategy_create_uncounted(const struct kc_registry_ctx *c, struct json_object *obj)
{
        if (has_status_subresource(c))
                kc_json_del(obj, "status");
        kc_json_del(kc_json_ensure_obj(obj, "metadata"), "generation");
}

void kc_strategy_update_uncounted(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        if (has_status_subresource(c))
                kc_strategy_keep(obj, old, "status");
}

void kc_strategy_create_counted(const struct kc_registry_ctx *c, struct json_object *obj)
{
        if (has_status_subresource(c))
                kc_json_del(obj, "status");
        kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", 1);
}

void kc_strategy_update_counted(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        if (has_status_subresource(c))
                kc_strategy_keep(obj, old, "status");
        kc_strategy_bump_generation(obj, old);
}

/* Upstream's status strategies take over status, and of metadata what is not the controller's to own. */
void kc_strategy_default_status(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        (void)c; /* the same for every kind */
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(obj, key, val)
        {
                (void)val; /* only the keys */
                kc_strv_push(&keys, key);
        }
        KC_JSON_FOREACH(old, key, val)
        {
                (void)val; /* only the keys */
                kc_strv_push(&keys, key);
        }
        for (size_t i = 0; keys && keys[i]; i++)
                if (strcmp(keys[i], "status") != 0 && strcmp(keys[i], "metadata") != 0)
                        kc_strategy_keep(obj, old, keys[i]);
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        const struct json_object *old_meta = kc_json_get(old, "metadata");
        kc_strategy_keep(meta, old_meta, "generation");
        kc_strategy_keep(meta, old_meta, "ownerReferences");
}

const struct kc_subresource_strategy *kc_strategy_subresource(const struct kc_strategy *s, const char *name)
{
        for (size_t i = 0; i < s->n_subresources; i++)
                if (strcmp(s->subresources[i].name, name) == 0)
                        return &s->subresources[i];
        return NULL;
}
