/* Parsing and resolving of URLs. Any thread. */
#include "http/url.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"

static int parse_authority(struct http_url *u, const char *s, size_t len)
{
        const char *end = s + len, *host_end = end, *port = NULL;
        const char *at = memrchr(s, '@', len);
        if (at) {
                u->userinfo = kc_strndup(s, (size_t)(at - s));
                s = at + 1;
        }
        if (s == end)
                return -EINVAL;
        u->authority = kc_strndup(s, (size_t)(end - s));
        if (*s == '[') {
                host_end = memchr(s, ']', (size_t)(end - s));
                if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
                        return -EINVAL;
                port = host_end + 1 < end ? host_end + 2 : NULL;
                s++;
        } else if ((port = memrchr(s, ':', (size_t)(end - s)))) {
                host_end = port++;
        }
        u->host = kc_strndup(s, (size_t)(host_end - s));
        if (!*u->host)
                return -EINVAL;
        if (!port || port == end) {
                u->port = kc_strdup(u->https ? "443" : "80");
                return 0;
        }
        u->port = kc_strndup(port, (size_t)(end - port));
        uint64_t n;
        for (const char *p = u->port; *p; p++)
                if (!isdigit((unsigned char)*p))
                        return -EINVAL;
        return kc_str_to_u64(u->port, &n) == 0 && n <= 65535 ? 0 : -EINVAL;
}

static bool has_bad_bytes(const char *s)
{
        for (; *s; s++)
                if ((unsigned char)*s <= ' ' || *s == 0x7f)
                        return true;
        return false;
}

int http_url_parse(const char *text, struct http_url *ret, struct kc_error *err)
{
        const char *colon = strstr(text, "://");
        size_t scheme_len = colon ? (size_t)(colon - text) : 0;
        struct http_url u = {.https = scheme_len == 5 && strncasecmp(text, "https", 5) == 0};
        if (!u.https && !(scheme_len == 4 && strncasecmp(text, "http", 4) == 0))
                return kc_error_set(err, EINVAL, "unsupported protocol scheme \"%.*s\"", (int)scheme_len, text);
        const char *authority = colon + 3;
        size_t len = strcspn(authority, "/?#");
        if (has_bad_bytes(text) || parse_authority(&u, authority, len) < 0) {
                http_url_done(&u);
                return kc_error_set(err, EINVAL, "parse \"%s\": invalid URL", text);
        }
        const char *target = authority + len;
        size_t target_len = strcspn(target, "#");
        u.target = kc_asprintf("%s%.*s", *target == '/' ? "" : "/", (int)target_len, target);
        *ret = u;
        return 0;
}

void http_url_done(struct http_url *u)
{
        kc_free(u->host);
        kc_free(u->port);
        kc_free(u->authority);
        kc_free(u->target);
        kc_free(u->userinfo);
        *u = (struct http_url){0};
}

/* "/a/./b/../c" is "/a/c" (RFC 3986, 5.2.4). Heap. */
static char *without_dots(const char *path)
{
        size_t len = strcspn(path, "?");
        struct kc_buf out = KC_BUF_INIT;
        for (const char *p = path, *end = path + len; p < end;) {
                const char *next = memchr(p + 1, '/', (size_t)(end - p - 1));
                if (!next)
                        next = end;
                size_t n = (size_t)(next - p);
                bool last = next == end;
                if (n == 2 && memcmp(p, "/.", 2) == 0) {
                        if (last)
                                kc_buf_addc(&out, '/');
                } else if (n == 3 && memcmp(p, "/..", 3) == 0) {
                        while (out.len && out.data[--out.len] != '/')
                                ;
                        if (last)
                                kc_buf_addc(&out, '/');
                } else {
                        kc_buf_add(&out, p, n);
                }
                p = next;
        }
        kc_buf_adds(&out, path + len);
        return kc_buf_take_str(&out);
}

char *http_url_resolve(const struct http_url *base, const char *reference)
{
        const char *scheme = base->https ? "https" : "http";
        size_t until = strcspn(reference, ":/?#");
        if (reference[until] == ':' && until > 0)
                return kc_strdup(reference);
        if (kc_str_has_prefix(reference, "//"))
                return kc_asprintf("%s:%s", scheme, reference);
        KC_CLEANUP(kc_freep) char *path = NULL;
        size_t path_len = strcspn(base->target, "?");
        if (*reference == '/')
                path = kc_strdup(reference);
        else if (!*reference || *reference == '#')
                path = kc_strdup(base->target);
        else if (*reference == '?')
                path = kc_asprintf("%.*s%s", (int)path_len, base->target, reference);
        else {
                while (path_len && base->target[path_len - 1] != '/')
                        path_len--;
                path = kc_asprintf("%.*s%s", (int)path_len, base->target, reference);
        }
        KC_CLEANUP(kc_freep) char *clean = without_dots(path);
        return kc_asprintf("%s://%s%s", scheme, base->authority, clean);
}

char *kc_http_url_resolve(const char *base, const char *reference)
{
        struct http_url u;
        if (http_url_parse(base, &u, NULL) < 0)
                return NULL;
        char *url = http_url_resolve(&u, reference);
        http_url_done(&u);
        return url;
}
