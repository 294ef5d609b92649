/* Bodies of writes: media type, kind and version, strictness, defaults. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/protobuf.h"
#include "base/encode.h"
#include "base/map.h"
#include "base/str.h"
#include "server/server_internal.h"
#include "json/yaml.h"

enum { DECODE_SUMMARY = 30 }; /* bytes of a body shown in an error */

void decode_target_of(const struct api_req *q, struct decode_target *ret)
{
        const struct kc_resource *row = q->row;
        *ret = (struct decode_target){
            .type = row->type, .group = row->group, .version = row->version, .kind = row->kind, .row = row};
        if (q->sub && !kc_streq(q->sub->kind, row->kind))
                *ret = (struct decode_target){
                    .type = q->sub->type, .group = q->sub->group, .version = q->sub->version, .kind = q->sub->kind};
}

/* --- errors of upstream's transformDecodeError */

static void summarize(const char *body, size_t len, struct kc_buf *out)
{
        size_t shown = KC_MIN(len, (size_t)DECODE_SUMMARY);
        if (len == 0) {
                kc_buf_adds(out, "<empty>");
                return;
        }
        if (body[0] == '{') {
                /* Whole characters only. */
                while (shown > 0 && shown < len && ((unsigned char)body[shown] & 0xc0) == 0x80)
                        shown--;
                kc_buf_add(out, body, shown);
        } else {
                KC_CLEANUP(kc_freep) char *hex = kc_hex_encode(body, shown);
                kc_buf_adds(out, hex);
        }
        if (len > shown)
                kc_buf_adds(out, " ...");
}

static int unrecognized(const struct api_req *q, const struct decode_target *t, const char *why, struct kc_error *err)
{
        size_t len;
        const char *body = kc_http_req_body(q->http, &len);
        KC_CLEANUP(kc_buf_done) struct kc_buf summary = KC_BUF_INIT;
        summarize(body, len, &summary);
        return kc_err_bad_request(err, "the object provided is unrecognized (must be of type %s): %s (%s)", t->kind,
            why, kc_buf_str(&summary));
}

static int cannot_be_handled(
    const char *kind, const char *version, const struct decode_target *t, const char *why, struct kc_error *err)
{
        return kc_err_bad_request(
            err, "%s in version \"%s\" cannot be handled as a %s: %s", kind, version, t->kind, why);
}

/* --- media types */

enum body_type { BODY_JSON, BODY_YAML, BODY_PROTO };

static int media_of(const struct api_req *q, const struct decode_target *t, enum body_type *ret, struct kc_error *err)
{
        static const struct {
                const char *name;
                enum body_type type;
        } types[] = {
            {"application/json", BODY_JSON}, {"application/yaml", BODY_YAML}, {KC_PROTOBUF_MEDIA_TYPE, BODY_PROTO}};
        const char *header = kc_http_req_header(q->http, "Content-Type");
        *ret = BODY_JSON;
        if (kc_str_empty(header))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(header, ';');
        KC_CLEANUP(kc_freep) char *type = kc_str_trim(parts[0]);
        bool proto = proto_has(t->type);
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (kc_strcaseeq(types[i].name, type) && (types[i].type != BODY_PROTO || proto)) {
                        *ret = types[i].type;
                        return 0;
                }
        return kc_error_set_api(err, 415, KC_REASON_UNSUPPORTED_MEDIA_TYPE,
            "the body of the request was in an unknown format - accepted media types include: application/json, "
            "application/yaml%s",
            proto ? ", " KC_PROTOBUF_MEDIA_TYPE : "");
}

/* The envelope says what is in it; what does not belong here is refused by its kind, undecoded. */
static int parse_proto(const struct api_req *q, const char *body, size_t len, const struct decode_target *t,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *api_version = NULL;
        KC_CLEANUP(kc_freep) char *kind = NULL;
        const char *raw;
        size_t raw_len;
        if (kc_protobuf_unwrap(body, len, &api_version, &kind, &raw, &raw_len, &why) < 0)
                return unrecognized(q, t, kc_error_message(&why), err);
        bool ours = kc_str_empty(kind) || kc_streq(kind, t->kind);
        if (ours && kc_protobuf_decode(raw, raw_len, t->type, ret, &why) < 0)
                return cannot_be_handled(t->kind, t->version, t, kc_error_message(&why), err);
        if (!ours)
                *ret = json_object_new_object();
        kc_json_set_str(*ret, "kind", kind);
        kc_json_set_str(*ret, "apiVersion", api_version);
        return 0;
}

/* *ret_repeats: keys that YAML repeats. */
static int parse_body(const struct api_req *q, const struct decode_target *t, enum body_type type,
    struct json_object **ret, char ***ret_repeats, struct kc_error *err)
{
        size_t len;
        const char *body = kc_http_req_body(q->http, &len);
        if (type == BODY_PROTO)
                return parse_proto(q, body, len, t, ret, err);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int r = type == BODY_YAML ? kc_yaml_parse_lax(body, len, NULL, ret, ret_repeats, &why)
                                  : kc_json_parse(body, len, &kc_json_object_limits, ret, &why);
        if (r < 0) {
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("couldn't get version/kind; json parse error: %s", kc_error_message(&why));
                return unrecognized(q, t, text, err);
        }
        if (kc_json_is_obj(*ret))
                return 0;
        return unrecognized(q, t,
            "couldn't get version/kind; json parse error: json: cannot unmarshal value into Go value of type struct",
            err);
}

/* --- kind and version: absent ones are the endpoint's */

/* The version and kind in the data are known, but not what belongs here. */
static int wrong_kind(const struct decode_target *t, const char *api_version, const char *group, const char *version,
    const char *kind, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *expected = kc_api_version_join(t->group, t->version);
        if (!kc_schema_kind(group, version, kind)) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("no kind \"%s\" is registered for version \"%s\" in scheme "
                                        "\"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"",
                    kind, api_version);
                return cannot_be_handled(kind, version, t, why, err);
        }
        if (!kc_streq(t->group, group) || !kc_streq(t->version, version))
                return kc_err_bad_request(err,
                    "the API version in the data (%s) does not match the expected API version (%s)", api_version,
                    expected);
        KC_CLEANUP(kc_freep)
        char *why = kc_asprintf("converting (%s.%s) to (core.%s): unknown conversion", version, kind, t->kind);
        return cannot_be_handled(kind, version, t, why, err);
}

/* The eviction subresource takes the version of which nothing else is served: clients before 1.22 send it. */
static bool accepts(const struct decode_target *t, const char *group, const char *version, const char *kind)
{
        if (!kc_streq(kind, t->kind) || !kc_streq(group, t->group))
                return false;
        bool eviction = kc_streq(group, "policy") && kc_streq(kind, "Eviction");
        return kc_streq(version, t->version) || (eviction && kc_streq(version, "v1beta1"));
}

static int check_kind(const struct decode_target *t, struct json_object *tree, struct kc_error *err)
{
        const char *kind = kc_json_str(tree, "kind"), *api_version = kc_json_str(tree, "apiVersion");
        KC_CLEANUP(kc_freep) char *expected = kc_api_version_join(t->group, t->version);
        if (!kc_str_empty(kind) || !kc_str_empty(api_version)) {
                KC_CLEANUP(kc_freep) char *group = NULL;
                KC_CLEANUP(kc_freep) char *version = NULL;
                const char *effective = kc_str_empty(api_version) ? expected : api_version;
                kc_api_version_split(effective, &group, &version);
                const char *effective_kind = kc_str_empty(kind) ? t->kind : kind;
                if (!accepts(t, group, version, effective_kind))
                        return wrong_kind(t, effective, group, version, effective_kind, err);
        }
        kc_json_set_str(tree, "kind", t->kind);
        kc_json_set_str(tree, "apiVersion", expected);
        return 0;
}

/* --- strictness */

enum { STRICT_MAX = 100 }; /* errors that are told of one body, as upstream */

/* A body as it came: keys that are repeated are in no tree. */
struct written {
        const char *json; /* NULL: it is no JSON, or nobody wants to know */
        size_t len;
        char **lines; /* of YAML: messages about repeated keys */
};

static void written_done(struct written *w)
{
        kc_strv_free(w->lines);
}

/* Errors about keys, in the order in which they are written. */
struct key_errors {
        struct kc_map *unknown; /* not told of yet */
        char **found;           /* strv */
        size_t n;
};

static void on_key(const char *path, bool again, void *arg)
{
        struct key_errors *e = arg;
        bool unknown = kc_map_remove(e->unknown, path);
        if ((!again && !unknown) || e->n >= STRICT_MAX)
                return;
        e->n++;
        kc_strv_pushf(&e->found, "%s field \"%s\"", again ? "duplicate" : "unknown", path);
}

static void add_key_errors(const struct written *w, char *const *unknown, char ***found)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *left = kc_map_new(NULL);
        struct key_errors e = {.unknown = left, .found = *found};
        for (size_t i = 0; unknown && unknown[i]; i++)
                kc_map_set(left, unknown[i], left);
        if (w->json)
                kc_json_each_key(w->json, w->len, on_key, &e);
        for (size_t i = 0; unknown && unknown[i]; i++)
                if (kc_map_has(left, unknown[i]))
                        kc_strv_pushf(&e.found, "unknown field \"%s\"", unknown[i]);
        *found = e.found;
}

static int strictness(struct api_req *q, const struct decode_target *t, int field_validation, const struct written *w,
    char *const *unknown, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **found = NULL;
        bool warn = field_validation == VALIDATE_WARN;
        if (field_validation == VALIDATE_IGNORE)
                return 0;
        for (size_t i = 0; warn && w->lines && w->lines[i]; i++)
                kc_strv_push(&found, w->lines[i]);
        if (!warn && w->lines) {
                KC_CLEANUP(kc_freep) char *lines = kc_strv_join(w->lines, "\n  ");
                kc_strv_pushf(&found, "yaml: unmarshal errors:\n  %s", lines);
        }
        add_key_errors(w, unknown, &found);
        if (!found)
                return 0;
        if (warn) {
                for (size_t i = 0; found[i]; i++)
                        kc_strv_push(&q->warnings, found[i]);
                return 0;
        }
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(found, ", ");
        KC_CLEANUP(kc_freep) char *why = kc_asprintf("strict decoding error: %s", list);
        return cannot_be_handled(t->kind, t->version, t, why, err);
}

static int decode(struct api_req *q, const struct decode_target *t, int field_validation, const struct written *w,
    struct json_object *tree, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (kc_codec_decode(tree, t->type, &unknown, &why) < 0)
                return cannot_be_handled(t->kind, t->version, t, kc_error_message(&why), err);
        int r = strictness(q, t, field_validation, w, unknown, err);
        if (r < 0)
                return r;
        kc_codec_default(tree, t->type);
        if (t->row)
                kc_default_object(tree, t->row);
        return 0;
}

int decode_untyped(struct api_req *q, const struct decode_target *t, struct json_object **ret, struct kc_error *err)
{
        enum body_type type;
        KC_CLEANUP(kc_strv_freep) char **repeats = NULL; /* as with JSON, of no interest here */
        int r = media_of(q, t, &type, err);
        return r < 0 ? r : parse_body(q, t, type, ret, &repeats, err);
}

int decode_tree(struct api_req *q, const struct decode_target *t, int field_validation, struct json_object *tree,
    struct kc_error *err)
{
        int r = check_kind(t, tree, err);
        return r < 0 ? r : decode(q, t, field_validation, &(struct written){0}, tree, err);
}

int decode_body(struct api_req *q, const struct decode_target *t, int field_validation, struct json_object **ret,
    struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(written_done) struct written w = {0};
        enum body_type type;
        int r = media_of(q, t, &type, err);
        if (r == 0)
                r = parse_body(q, t, type, &tree, &w.lines, err);
        if (r == 0)
                r = check_kind(t, tree, err);
        if (r < 0)
                return r;
        if (type == BODY_JSON)
                w.json = kc_http_req_body(q->http, &w.len);
        r = decode(q, t, field_validation, &w, tree, err);
        if (r < 0)
                return r;
        kc_audit_record_request(q->audit, tree);
        *ret = KC_TAKE(tree);
        return 0;
}
