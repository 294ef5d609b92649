/* Registry credentials and image names. Thread: a pull's. */
#include "kubelet/runtime/pullsecrets.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "kubelet/runtime/images.h"
#include "json/secret.h"

enum { MAX_REFERENCE = 4096 };

static bool is_domain(const char *first, size_t len)
{
        return memchr(first, '.', len) || memchr(first, ':', len) || (len == 9 && strncmp(first, "localhost", 9) == 0);
}

/* Path components of lower-case letters, digits and separators. */
static bool valid_path(const char *p, size_t len)
{
        if (len == 0)
                return false;
        bool start = true;
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)p[i];
                if (c == '/') {
                        if (start)
                                return false;
                        start = true;
                        continue;
                }
                bool alnum = islower(c) || isdigit(c);
                if (!alnum && (start || (c != '.' && c != '_' && c != '-')))
                        return false;
                start = false;
        }
        return !start && (islower((unsigned char)p[len - 1]) || isdigit((unsigned char)p[len - 1]));
}

static bool valid_tag(const char *t)
{
        size_t len = strlen(t);
        if (len == 0 || len > 128 || t[0] == '.' || t[0] == '-')
                return false;
        for (; *t; t++)
                if (!isalnum((unsigned char)*t) && !strchr("_.-", *t))
                        return false;
        return true;
}

char *kc_image_normalize(const char *image)
{
        if (kc_str_empty(image) || strlen(image) > MAX_REFERENCE)
                return NULL;
        KC_CLEANUP(kc_freep) char *name = kc_strdup(image);
        char *digest = strchr(name, '@');
        if (digest) {
                *digest++ = '\0';
                if (!strchr(digest, ':'))
                        return NULL;
        }
        char *slash = strchr(name, '/');
        const char *domain = "docker.io", *path = name;
        if (slash && is_domain(name, (size_t)(slash - name))) {
                *slash = '\0';
                domain = name;
                path = slash + 1;
        }
        char *last = strrchr(path, '/');
        char *tag = strchr(last ? last : (char *)path, ':');
        if (tag)
                *tag++ = '\0';
        if (!valid_path(path, strlen(path)) || (tag && !valid_tag(tag)))
                return NULL;
        bool library = kc_streq(domain, "docker.io") && !strchr(path, '/');
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s/%s%s", domain, library ? "library/" : "", path);
        if (tag || !digest)
                kc_buf_addf(&b, ":%s", tag ?: "latest");
        if (digest)
                kc_buf_addf(&b, "@%s", digest);
        return kc_buf_take_str(&b);
}

/* "https://index.docker.io/v1/" -> "index.docker.io"; "https://r.example/v2/team" -> "r.example/team". */
static char *registry_of(const char *server)
{
        const char *s = strstr(server, "://");
        KC_CLEANUP(kc_freep) char *t = kc_strdup(s ? s + 3 : server);
        size_t len = strlen(t);
        while (len > 0 && t[len - 1] == '/')
                t[--len] = '\0';
        char *slash = strchr(t, '/');
        if (slash && (kc_streq(slash, "/v1") || kc_streq(slash, "/v2")))
                *slash = '\0';
        else if (slash && (kc_str_has_prefix(slash, "/v1/") || kc_str_has_prefix(slash, "/v2/")))
                memmove(slash, slash + 3, strlen(slash + 3) + 1);
        return KC_TAKE(t);
}

static bool fits(const char *registry, const char *image)
{
        if (kc_streq(registry, "index.docker.io") || kc_streq(registry, "registry-1.docker.io"))
                registry = "docker.io";
        KC_CLEANUP(kc_freep) char *host = kc_strndup(registry, strcspn(registry, "/"));
        KC_CLEANUP(kc_freep) char *image_host = kc_strndup(image, strcspn(image, "/"));
        if (fnmatch(host, image_host, 0) != 0)
                return false;
        const char *path = registry + strlen(host);
        return kc_str_has_prefix(image + strlen(image_host), path);
}

static int longest_first(const void *a, const void *b)
{
        const struct kc_pull_credential *x = a, *y = b;
        size_t lx = strlen(x->server), ly = strlen(y->server);
        return lx < ly ? 1 : lx > ly ? -1 : 0;
}

static void add(struct kc_pull_credentials *ret, const char *server, const struct json_object *entry)
{
        struct kc_pull_credential c = {.server = kc_strdup(server),
            .username = kc_strdup(kc_json_str(entry, "username") ?: ""),
            .password = kc_strdup(kc_json_str(entry, "password") ?: ""),
            .identity_token = kc_strdup(kc_json_str(entry, "identitytoken") ?: "")};
        const char *auth = kc_json_str(entry, "auth");
        struct kc_buf b = KC_BUF_INIT;
        if (!kc_str_empty(auth) && kc_base64_decode(auth, strlen(auth), &b) == 0) {
                char *colon = strchr(kc_buf_str(&b), ':');
                if (colon) {
                        kc_str_set(&c.password, colon + 1);
                        *colon = '\0';
                        kc_str_set(&c.username, b.data);
                }
        }
        kc_buf_done(&b);
        ret->v = kc_reallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
        ret->v[ret->n++] = c;
}

void kc_pull_credentials_add(const struct json_object *config, const char *image, struct kc_pull_credentials *ret)
{
        KC_CLEANUP(kc_freep) char *normal = kc_image_normalize(image);
        const struct json_object *auths = kc_json_get(config, "auths") ?: config;
        if (!normal)
                return;
        KC_JSON_FOREACH(auths, server, entry)
        {
                KC_CLEANUP(kc_freep) char *registry = registry_of(server);
                if (kc_json_is_obj(entry) && fits(registry, normal))
                        add(ret, server, entry);
        }
        if (ret->n > 1)
                qsort(ret->v, ret->n, sizeof(*ret->v), longest_first);
}

void kc_pull_credentials_find(
    struct kc_objcache *objects, const struct json_object *pod, const char *image, struct kc_pull_credentials *ret)
{
        const struct json_object *refs = kc_json_at(pod, "spec.imagePullSecrets");
        for (size_t i = 0; objects && i < kc_json_len(refs); i++) {
                const char *name = kc_json_str(kc_json_idx(refs, i), "name");
                KC_CLEANUP(kc_object_unrefp) struct kc_object *secret = NULL;
                struct kc_error err = KC_ERROR_INIT;
                if (!name ||
                    kc_objcache_get(objects, KC_OBJCACHE_SECRET, kc_meta_namespace(pod), name, &secret, &err) < 0) {
                        kc_log_warn("Unable to retrieve pull secret, the image pull may not succeed, ignoring", "pod",
                            kc_meta_name(pod), "secret", name, "err", kc_error_message(&err));
                        kc_error_done(&err);
                        continue;
                }
                const struct json_object *data = kc_json_get(kc_object_json(secret), "data");
                const char *text = kc_json_str(data, ".dockerconfigjson") ?: kc_json_str(data, ".dockercfg");
                struct kc_buf b = KC_BUF_INIT;
                KC_CLEANUP(kc_json_free_secretp) struct json_object *config = NULL;
                if (text && kc_base64_decode(text, strlen(text), &b) == 0 &&
                    kc_json_parse(kc_buf_str(&b), b.len, NULL, &config, NULL) == 0)
                        kc_pull_credentials_add(config, image, ret);
                else
                        kc_log_warn("Pull secret holds no docker config, ignoring", "secret", name);
                kc_buf_wipe(&b);
        }
}

void kc_pull_credentials_done(struct kc_pull_credentials *c)
{
        for (size_t i = 0; i < c->n; i++) {
                kc_free(c->v[i].server);
                kc_free(c->v[i].username);
                kc_free_secret_str(c->v[i].password);
                kc_free_secret_str(c->v[i].identity_token);
        }
        kc_free(c->v);
        *c = (struct kc_pull_credentials){0};
}
