/* What Go's encoders make of an object. Any thread. */
#include <string.h>

#include "api/codec.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/generate/generate_internal.h"

int kc_generate_complete(struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        const char *api_version = kc_json_str(obj, "apiVersion"), *kind = kc_json_str(obj, "kind");
        kc_api_version_split(api_version ? api_version : "", &group, &version);
        const struct kc_resource *r = kind ? kc_schema_kind(group, version, kind) : NULL;
        return r && r->type ? kc_codec_decode(obj, r->type, NULL, err) : 0;
}

char *kc_generate_go_escape(const char *json)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        for (const char *p = json; *p; p++)
                if (*p == '<' || *p == '>' || *p == '&')
                        kc_buf_addf(&out, "\\u%04x", *p);
                else
                        kc_buf_addc(&out, *p);
        return kc_buf_take_str(&out);
}

char *kc_generate_go_json(const struct json_object *o)
{
        KC_CLEANUP(kc_freep) char *plain = kc_json_to_str(o);
        return kc_generate_go_escape(plain);
}
