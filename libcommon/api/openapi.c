/* OpenAPI documents, v2 and v3, written as text straight from the tables. Any thread. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/discovery.h"
#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"

static char *word_with(const char *group, const char *fmt)
{
        KC_CLEANUP(kc_freep) char *word = kc_openapi_group_word(group);
        word[0] = (char)toupper((unsigned char)word[0]);
        return kc_str_replace_all(fmt, "*", word);
}

static void begin(struct kc_openapi *d, struct kc_buf *out, bool v3)
{
        *d = (struct kc_openapi){.w = {.b = out}, .v3 = v3, .types = kc_map_new(NULL)};
        kc_jw_open(&d->w, NULL, '{');
        kc_jw_str(&d->w, v3 ? "openapi" : "swagger", v3 ? "3.0.0" : "2.0");
        kc_jw_raw(&d->w, "info", "{\"title\":\"Kubernetes\",\"version\":\"v1.36.2\"}");
        kc_jw_open(&d->w, "paths", '{');
}

static void end(struct kc_openapi *d)
{
        static const char token[] = "{\"BearerToken\":{\"type\":\"apiKey\",\"description\":\"Bearer token\","
                                    "\"name\":\"authorization\",\"in\":\"header\"}}";
        kc_jw_close(&d->w, '}'); /* paths */
        if (d->v3)
                kc_jw_open(&d->w, "components", '{');
        kc_jw_open(&d->w, d->v3 ? "schemas" : "definitions", '{');
        kc_openapi_schemas(d);
        kc_jw_close(&d->w, '}');
        kc_jw_raw(&d->w, d->v3 ? "securitySchemes" : "securityDefinitions", token);
        if (d->v3)
                kc_jw_close(&d->w, '}');
        else
                kc_jw_raw(&d->w, "security", "[{\"BearerToken\":[]}]");
        kc_jw_close(&d->w, '}');
        kc_map_free(d->types);
}

#define OBJECT_MEDIA "[\"application/json\",\"application/yaml\",\"application/vnd.kubernetes.protobuf\"]"

static void add_discovery(struct kc_openapi *d, const char *path, const char *tag, const char *id, const char *type)
{
        const struct kc_openapi_plain p = {path, tag, id, type, OBJECT_MEDIA, OBJECT_MEDIA};
        kc_openapi_plain_path(d, &p);
}

/* Documents of v3 that hold one path; "/" is appended to the name. */
static const struct {
        const char *name;
        struct kc_openapi_plain path;
} plain_documents[] = {
    {".well-known/openid-configuration",
        {"/.well-known/openid-configuration/", "WellKnown", "getServiceAccountIssuerOpenIDConfiguration", NULL, NULL,
            "[\"application/json\"]"}},
    {"apis", {"/apis/", "apis", "getAPIVersions", KC_OPENAPI_META "APIGroupList", OBJECT_MEDIA, OBJECT_MEDIA}},
    {"openid/v1/jwks", {"/openid/v1/jwks/", "openid", "getServiceAccountIssuerOpenIDKeyset", NULL, NULL,
                           "[\"application/jwk-set+json\"]"}},
    {"version", {"/version/", "version", "getCodeVersion", "io.k8s.apimachinery.pkg.version.Info",
                    "[\"application/json\"]", "[\"application/json\"]"}},
};

static void add_group_path(struct kc_openapi *d, const char *group)
{
        KC_CLEANUP(kc_freep) char *path = *group ? kc_asprintf("/apis/%s/", group) : kc_strdup("/api/");
        KC_CLEANUP(kc_freep) char *tag = kc_openapi_group_word(group);
        KC_CLEANUP(kc_freep) char *id = word_with(group, *group ? "get*APIGroup" : "get*APIVersions");
        add_discovery(d, path, tag, id, *group ? KC_OPENAPI_META "APIGroup" : KC_OPENAPI_META "APIVersions");
}

static void add_group_version(struct kc_openapi *d, const struct kc_group_version *gv)
{
        KC_CLEANUP(kc_freep)
        char *path =
            *gv->group ? kc_asprintf("/apis/%s/%s/", gv->group, gv->version) : kc_asprintf("/api/%s/", gv->version);
        KC_CLEANUP(kc_freep) char *word = kc_openapi_group_word(gv->group);
        KC_CLEANUP(kc_freep) char *tag = kc_asprintf("%s_%s", word, gv->version);
        KC_CLEANUP(kc_freep) char *version = kc_strdup(gv->version);
        version[0] = (char)toupper((unsigned char)version[0]);
        KC_CLEANUP(kc_freep) char *pattern = kc_asprintf("get*%sAPIResources", version);
        KC_CLEANUP(kc_freep) char *id = word_with(gv->group, pattern);
        add_discovery(d, path, tag, id, KC_OPENAPI_META "APIResourceList");
        kc_openapi_paths(d, gv);
}

static const struct kc_group_version *find(const char *path)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_api_version_join(gvs[i]->group, gvs[i]->version);
                const char *prefix = *gvs[i]->group ? "apis/" : "api/";
                if (kc_str_has_prefix(path, prefix) && kc_streq(path + strlen(prefix), name))
                        return gvs[i];
        }
        return NULL;
}

static bool has_group(const char *group)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++)
                if (kc_streq(gvs[i]->group, group))
                        return true;
        return false;
}

int kc_openapi_v3_write(const char *path, struct kc_buf *out)
{
        const struct kc_group_version *gv = find(path);
        bool group = kc_str_has_prefix(path, "apis/") && path[5] && has_group(path + 5);
        const struct kc_openapi_plain *plain = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(plain_documents); i++)
                if (kc_streq(plain_documents[i].name, path))
                        plain = &plain_documents[i].path;
        if (!gv && !group && !plain && !kc_streq(path, "api"))
                return -ENOENT;
        struct kc_openapi d;
        begin(&d, out, true);
        if (gv)
                add_group_version(&d, gv);
        else if (group)
                add_group_path(&d, path + 5);
        else if (plain)
                kc_openapi_plain_path(&d, plain);
        else
                add_group_path(&d, "");
        end(&d);
        return 0;
}

void kc_openapi_v2_write(struct kc_buf *out)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        struct kc_openapi d;
        begin(&d, out, false);
        for (size_t i = 0; i < KC_ARRAY_LEN(plain_documents); i++)
                kc_openapi_plain_path(&d, &plain_documents[i].path);
        for (size_t i = 0; i < n; i++) {
                if (i == 0 || !kc_streq(gvs[i]->group, gvs[i - 1]->group))
                        add_group_path(&d, gvs[i]->group);
                add_group_version(&d, gvs[i]);
        }
        end(&d);
}

/* FNV-1a, 64 bits, from two starting points: it tells documents apart, it protects nothing. */
const char *kc_openapi_hash(const char *data, size_t len, char buf[static KC_OPENAPI_HASH_LEN])
{
        uint64_t a = 0xcbf29ce484222325u, b = 0x84222325cbf29ce4u;
        for (size_t i = 0; i < len; i++) {
                a = (a ^ (unsigned char)data[i]) * 0x100000001b3u;
                b = (b ^ (unsigned char)data[i]) * 0x100000001b3u;
        }
        int n = 0;
        for (int shift = 60; shift >= 0; shift -= 4)
                buf[n++] = "0123456789ABCDEF"[a >> shift & 15];
        for (int shift = 60; shift >= 0; shift -= 4)
                buf[n++] = "0123456789ABCDEF"[b >> shift & 15];
        buf[n] = '\0';
        return buf;
}

static void add_index_entry(struct json_object *paths, const char *path)
{
        struct kc_buf b = KC_BUF_INIT;
        if (kc_openapi_v3_write(path, &b) == 0) {
                char hash[KC_OPENAPI_HASH_LEN];
                KC_CLEANUP(kc_freep)
                char *url = kc_asprintf("/openapi/v3/%s?hash=%s", path, kc_openapi_hash(kc_buf_str(&b), b.len, hash));
                kc_json_set(paths, path, kc_json_build("{'serverRelativeURL':%s}", url));
        }
        kc_buf_done(&b);
}

struct json_object *kc_openapi_v3_index(void)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        kc_strv_push(&names, "api");
        for (size_t i = 0; i < KC_ARRAY_LEN(plain_documents); i++)
                kc_strv_push(&names, plain_documents[i].name);
        for (size_t i = 0; i < n; i++) {
                const char *group = gvs[i]->group;
                if (*group)
                        kc_strv_pushf(&names, "apis/%s", group);
                kc_strv_pushf(&names, *group ? "apis/%s%s%s" : "api%s%s%s", group, "/", gvs[i]->version);
        }
        kc_strv_sort_uniq(names);
        struct json_object *paths = kc_json_build("{}");
        for (char **name = names; *name; name++)
                add_index_entry(paths, *name);
        return kc_json_build("{'paths':%o}", paths);
}

static const struct kc_json_limits own_document = {.max_bytes = 64u << 20, .max_depth = 64, .max_nodes = 8u << 20};

static struct json_object *parse_take(struct kc_buf *b)
{
        struct json_object *o = NULL;
        (void)kc_json_parse(kc_buf_str(b), b->len, &own_document, &o, NULL); /* our own writer's output */
        kc_buf_done(b);
        return o;
}

struct json_object *kc_openapi_v2(void)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_openapi_v2_write(&b);
        return parse_take(&b);
}

struct json_object *kc_openapi_v3(const char *path)
{
        struct kc_buf b = KC_BUF_INIT;
        return kc_openapi_v3_write(path, &b) < 0 ? NULL : parse_take(&b);
}
