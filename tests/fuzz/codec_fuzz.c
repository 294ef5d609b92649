/* Any JSON as an object of the API: the first byte says of which type. What is decoded once decodes to itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *decoded(struct json_object *o, const struct kc_type *type)
{
        struct kc_error err = KC_ERROR_INIT;
        char **unknown = NULL, *text = NULL;
        if (kc_codec_decode(o, type, &unknown, &err) == 0)
                text = kc_json_to_str(o);
        else if (err.code != 400 || !err.message)
                abort();
        kc_strv_free(unknown);
        kc_error_done(&err);
        return text;
}

static void check(struct json_object *o, const struct kc_type *type)
{
        KC_CLEANUP(kc_freep) char *once = decoded(o, type);
        if (!once)
                return;
        KC_CLEANUP(kc_freep) char *twice = decoded(o, type);
        if (!kc_streq(once, twice))
                abort();
        kc_codec_default(o, type);
        KC_CLEANUP(kc_freep) char *defaulted = decoded(o, type);
        if (!defaulted)
                abort();
        struct kc_field_errors errors = {0};
        kc_codec_validate(o, type, "", &errors);
        kc_field_errors_done(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = {"io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.Service",
            "io.k8s.api.core.v1.Secret", "io.k8s.api.core.v1.Node", "io.k8s.api.core.v1.Event",
            "io.k8s.api.apps.v1.Deployment", "io.k8s.api.coordination.v1.Lease", "io.k8s.api.rbac.v1.ClusterRole"};
        if (size == 0)
                return 0;
        struct json_object *o = NULL;
        struct kc_json_limits limits = {.max_bytes = 1 << 16, .max_depth = 40, .max_nodes = 2000};
        if (kc_json_parse((const char *)data + 1, size - 1, &limits, &o, NULL) == 0)
                check(o, kc_schema_type(types[data[0] % KC_ARRAY_LEN(types)]));
        kc_json_free(o);
        return 0;
}
