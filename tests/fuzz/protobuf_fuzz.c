/* Any bytes as a protobuf body: the first byte says of which type. What is decoded and normalized can be written, and
 * what is written decodes to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "api/protobuf.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* NULL: an error, as all are, of the client. */
static struct json_object *decoded(const char *data, size_t len, const struct kc_type *type)
{
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        int r = kc_protobuf_decode(data, len, type, &o, &err);
        if (r == 0)
                r = kc_codec_decode(o, type, NULL, &err);
        if (r < 0) {
                if (err.code != 400 || !err.message)
                        abort();
                kc_json_free(KC_TAKE(o));
        }
        kc_error_done(&err);
        return o;
}

/* The tree written and read again. */
static struct json_object *again(const struct json_object *o, const struct kc_type *type)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (kc_protobuf_encode(o, type, &out, NULL) < 0)
                abort();
        struct json_object *r = decoded(kc_buf_str(&out), out.len, type);
        if (!r)
                abort();
        return r;
}

static void check(const char *data, size_t len, const struct kc_type *type)
{
        KC_CLEANUP(kc_json_freep) struct json_object *once = decoded(data, len, type);
        if (!once)
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *twice = again(once, type);
        if (kc_json_equal(once, twice))
                return;
        /* Numbers of raw JSON take, as in Go, the form that is written of them: 4e2 is 400 then, -0e1 is -0 and 0. */
        KC_CLEANUP(kc_json_freep) struct json_object *thrice = again(twice, type);
        if (strcmp(type->name, "io.k8s.api.apps.v1.ControllerRevision") != 0 || !kc_json_equal(twice, thrice))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = {"io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.Service",
            "io.k8s.api.core.v1.Secret", "io.k8s.api.core.v1.Node", "io.k8s.api.core.v1.Event",
            "io.k8s.api.apps.v1.Deployment", "io.k8s.api.coordination.v1.Lease", "io.k8s.api.rbac.v1.ClusterRole",
            "io.k8s.api.apps.v1.ControllerRevision", "io.k8s.api.authentication.v1.TokenReview",
            "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"};
        if (size == 0)
                return 0;
        const char *body = (const char *)data + 1, *raw;
        char *api_version, *kind;
        size_t len;
        if (kc_protobuf_unwrap(body, size - 1, &api_version, &kind, &raw, &len, NULL) < 0)
                return 0;
        check(raw, len, kc_schema_type(types[data[0] % KC_ARRAY_LEN(types)]));
        kc_free(api_version);
        kc_free(kind);
        return 0;
}
