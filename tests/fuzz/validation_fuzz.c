/* Two objects of one kind on two lines: whatever they hold, they are decoded, defaulted (twice is the same as once) and
 * validated, on creation and as an update of the first to the second. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/validation.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

static const struct kc_json_limits limits = {.max_bytes = 1 << 15, .max_depth = 30, .max_nodes = 2000};

static struct json_object *parse(const char *s, size_t len)
{
        struct json_object *o = NULL;
        return kc_json_parse(s, len, &limits, &o, NULL) == 0 ? o : NULL;
}

static const struct kc_resource *resource_of(const struct json_object *o)
{
        const char *api_version = kc_json_str(o, "apiVersion"), *kind = kc_json_str(o, "kind");
        if (!api_version || !kind)
                return NULL;
        char *group, *version;
        kc_api_version_split(api_version, &group, &version);
        const struct kc_resource *r = kc_schema_kind(group, version, kind);
        kc_free(group);
        kc_free(version);
        return r;
}

/* As a request's body; false: no object of that kind. */
static bool prepare(struct json_object *o, const struct kc_resource *r)
{
        if (!kc_json_is_obj(o) || kc_codec_decode(o, r->type, NULL, NULL) < 0)
                return false;
        kc_codec_default(o, r->type);
        kc_default_object(o, r);
        struct json_object *once = kc_json_copy(o);
        kc_default_object(o, r);
        check(kc_json_equal(once, o));
        kc_json_free(once);
        return true;
}

static void validate(const struct json_object *a, const struct json_object *b, const struct kc_resource *r)
{
        static const char *const subresources[] = {"", "status", "resize", "ephemeralcontainers", "finalize"};
        struct kc_field_errors errors = {0};
        struct kc_error err = KC_ERROR_INIT;
        kc_validate_create(a, r, &errors);
        check(kc_err_invalid(&err, r->group, r->kind, "x", &errors) < 0 && err.message);
        for (size_t i = 0; i < KC_ARRAY_LEN(subresources); i++) {
                kc_validate_update(b, a, r, subresources[i], &errors);
                kc_field_errors_done(&errors);
        }
        kc_error_done(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *s = (const char *)data, *line = size ? memchr(s, '\n', size) : NULL;
        if (!line)
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *a = parse(s, (size_t)(line - s));
        KC_CLEANUP(kc_json_freep) struct json_object *b = parse(line + 1, size - (size_t)(line + 1 - s));
        const struct kc_resource *r = resource_of(a);
        if (r && prepare(a, r) && prepare(b, r))
                validate(a, b, r);
        return 0;
}
