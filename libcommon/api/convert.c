/* Conversion between versions: what is named differently, as tables, and functions where that is not all. */
#include "api/convert.h"

#include <errno.h>

#include "api/codec.h"
#include "api/convert_internal.h"
#include "api/defaults.h"
#include "base/mem.h"
#include "base/str.h"

struct rename {
        const char *a, *b;
};

static const struct rename event_fields[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

static const struct {
        const char *kind, *a, *b; /* apiVersions */
        const struct rename *fields;
        size_t n_fields;
        void (*forward)(struct json_object *o), (*backward)(struct json_object *o);
} conversions[] = {
    {"Event", "v1", "events.k8s.io/v1", .fields = event_fields, .n_fields = KC_ARRAY_LEN(event_fields)},
    {"HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2", .forward = kc_convert_autoscaler_to_v2,
        .backward = kc_convert_autoscaler_to_v1},
};

static void rename_field(struct json_object *tree, const char *from, const char *to)
{
        struct json_object *v = kc_json_get_mut(tree, from);
        if (v)
                kc_json_set(tree, to, json_object_get(v));
        kc_json_del(tree, from);
}

int kc_convert(struct json_object *tree, const struct kc_resource *to, struct kc_error *err)
{
        const char *from = kc_json_str(tree, "apiVersion"), *kind = kc_json_str(tree, "kind");
        KC_CLEANUP(kc_freep) char *target = kc_api_version_join(to->group, to->version);
        if (kc_streq(from, target))
                return 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(conversions); i++) {
                bool forward = kc_streq(from, conversions[i].a) && kc_streq(target, conversions[i].b);
                bool backward = kc_streq(from, conversions[i].b) && kc_streq(target, conversions[i].a);
                if (!kc_streq(kind, conversions[i].kind) || !kc_streq(kind, to->kind) || (!forward && !backward))
                        continue;
                for (size_t k = 0; k < conversions[i].n_fields; k++) {
                        const struct rename *f = &conversions[i].fields[k];
                        rename_field(tree, forward ? f->a : f->b, forward ? f->b : f->a);
                }
                if (conversions[i].forward)
                        (forward ? conversions[i].forward : conversions[i].backward)(tree);
                kc_json_set_str(tree, "apiVersion", target);
                int r = kc_codec_decode(tree, to->type, NULL, err);
                if (r < 0)
                        return r;
                kc_codec_default(tree, to->type);
                kc_default_object(tree, to);
                return 0;
        }
        return kc_error_set(err, EINVAL, "no conversion of %s from %s to %s", kind ? kind : "an object without kind",
            from ? from : "no version", target);
}
