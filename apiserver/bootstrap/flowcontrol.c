/* The mandatory and the suggested FlowSchemas and PriorityLevelConfigurations: created, and brought back to what they
 * should be - mandatory ones always, suggested ones as long as their annotation says so. Worker thread. */
#include <errno.h>
#include <string.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/object.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"
#include "flowcontrol/flowcontrol.h"
#include "json/yaml.h"

#define GROUP "flowcontrol.apiserver.k8s.io"
#define AUTOUPDATE "apf.kubernetes.io/autoupdate-spec"

extern const char kc_bootstrap_flowcontrol_yaml[];
extern const size_t kc_bootstrap_flowcontrol_yaml_len;

/* One object as it should be. */
struct wanted {
        const char *resource, *name;
        struct json_object *obj; /* metadata and spec, with defaults */
        bool mandatory;
};

static bool specs_equal(const struct json_object *current, const struct wanted *w)
{
        /* How much of the server the exempt level counts for is the administrator's choice. */
        if (w->mandatory && kc_streq(kc_json_str_at(w->obj, "spec.type"), "Exempt"))
                return kc_streq(kc_json_str_at(current, "spec.type"), "Exempt");
        return kc_json_equal(kc_json_get(current, "spec"), kc_json_get(w->obj, "spec"));
}

static bool is_up_to_date(const struct json_object *current, const struct wanted *w)
{
        const char *autoupdate = kc_meta_annotation(current, AUTOUPDATE);
        if (!w->mandatory && !kc_streq(autoupdate, "true"))
                return true;
        return kc_streq(autoupdate, "true") && specs_equal(current, w);
}

static bool restore(struct json_object *obj, void *arg)
{
        const struct wanted *w = arg;
        if (is_up_to_date(obj, w))
                return false;
        if (!specs_equal(obj, w))
                kc_json_set(obj, "spec", kc_json_copy(kc_json_get(w->obj, "spec")));
        kc_meta_set_annotation(obj, AUTOUPDATE, "true");
        return true;
}

static int ensure(struct kc_registry *r, const struct wanted *w, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *there = NULL;
        if (kc_resources_get(kc_registry_resources(r), GROUP, w->resource, "", w->name, &there, NULL) < 0)
                return boot_create(r, GROUP, w->resource, "", kc_json_copy(w->obj), err);
        if (is_up_to_date(kc_object_json(there), w))
                return 0;
        int e = boot_update(r, GROUP, w->resource, "", w->name, restore, (void *)(uintptr_t)w, err);
        if (e != -ENOENT && e != -EALREADY)
                return e;
        kc_error_done(err); /* gone, or done by somebody else, meanwhile: the next round sees */
        return 0;
}

static int ensure_spec(struct kc_registry *r, const char *resource, const char *name, const struct json_object *spec,
    bool mandatory, struct kc_error *err)
{
        const struct kc_resource *row = kc_schema_resource(GROUP, NULL, resource);
        if (!row)
                return kc_error_set(err, ENOTSUP, "%s is not served", resource);
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build(
            "{'metadata':{'name':%s,'annotations':{'" AUTOUPDATE "':'true'}},'spec':%o}", name, kc_json_copy(spec));
        int e = kc_codec_decode(obj, row->type, NULL, err);
        if (e < 0)
                return kc_error_wrap(err, "%s %s", resource, name);
        kc_codec_default(obj, row->type);
        kc_default_object(obj, row);
        const struct wanted w = {.resource = resource, .name = name, .obj = obj, .mandatory = mandatory};
        return ensure(r, &w, err);
}

static const char *resource_of(bool level)
{
        return level ? "prioritylevelconfigurations" : "flowschemas";
}

static int ensure_mandatory(struct kc_registry *r, bool levels, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *all = kc_flow_mandatory();
        int e = 0;
        for (size_t i = 0; i < kc_json_len(all) && e == 0; i++) {
                const struct json_object *o = kc_json_idx(all, i);
                if (kc_streq(kc_json_str(o, "kind"), "PriorityLevelConfiguration") == levels)
                        e = ensure_spec(r, resource_of(levels), kc_meta_name(o), kc_json_get(o, "spec"), true, err);
        }
        return e;
}

static int ensure_suggested(struct kc_registry *r, const struct json_object *doc, bool levels, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(doc, levels ? "levels" : "schemas");
        int e = 0;
        for (size_t i = 0; i < kc_json_len(list) && e == 0; i++) {
                const struct json_object *o = kc_json_idx(list, i);
                e = ensure_spec(r, resource_of(levels), kc_json_str(o, "name"), kc_json_get(o, "spec"), false, err);
        }
        return e;
}

int boot_flowcontrol(struct kc_registry *r, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = NULL;
        int e = kc_yaml_parse(kc_bootstrap_flowcontrol_yaml, kc_bootstrap_flowcontrol_yaml_len, NULL, &doc, err);
        /* Levels first: schemas refer to them. */
        for (int i = 0; i < 2 && e == 0; i++) {
                e = ensure_mandatory(r, i == 0, err);
                if (e == 0)
                        e = ensure_suggested(r, doc, i == 0, err);
        }
        return e;
}
