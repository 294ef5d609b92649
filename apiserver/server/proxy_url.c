/* URLs of proxied pages and names of proxied things. Pure: any thread. */
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "server/proxy.h"

/* --- "https:name:port" */

static bool is_scheme(const char *s)
{
        return strcmp(s, "") == 0 || strcmp(s, "http") == 0 || strcmp(s, "https") == 0;
}

bool proxy_split_name(const char *id, char **ret_scheme, char **ret_name, char **ret_port)
{
        KC_CLEANUP(kc_strv_freep) char **p = kc_strv_split(id, ':');
        size_t n = kc_strv_len(p);
        const char *scheme = "", *name, *port = "";
        if (n == 1) {
                name = p[0];
        } else if (n == 2) {
                name = p[0];
                port = p[1];
        } else if (n == 3) {
                scheme = p[0];
                name = p[1];
                port = p[2];
        } else {
                return false;
        }
        if (!*name || !is_scheme(scheme))
                return false;
        *ret_scheme = kc_strdup(scheme);
        *ret_name = kc_strdup(name);
        *ret_port = kc_strdup(port);
        return true;
}

/* --- Paths */

static bool is_dots(const char *part, const char *dots)
{
        KC_CLEANUP(kc_freep) char *plain = NULL;
        return kc_url_unescape(part, strlen(part), false, &plain) == 0 && strcmp(plain, dots) == 0;
}

char *proxy_path(const char *path, size_t n_parts_before)
{
        size_t len = strlen(path);
        bool slash = len > 0 && path[len - 1] == '/';
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(path, '/');
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        size_t seen = 0;
        for (size_t i = 0; parts[i]; i++) {
                if (!*parts[i])
                        continue;
                if (seen < n_parts_before) {
                        seen++;
                        continue;
                }
                if (is_dots(parts[i], "."))
                        continue;
                if (is_dots(parts[i], "..")) {
                        while (out.len > 0 && out.data[out.len - 1] != '/')
                                out.len--;
                        out.len -= out.len > 0;
                        continue;
                }
                kc_buf_addc(&out, '/');
                kc_buf_adds(&out, parts[i]);
        }
        if (slash && (out.len == 0 || out.data[out.len - 1] != '/'))
                kc_buf_addc(&out, '/');
        if (out.data)
                out.data[out.len] = '\0';
        return kc_buf_take_str(&out);
}

/* --- URLs in answers */

/* "http://host" at the start: how long; 0: there is none. *ret_host: where the host stands. */
static size_t authority(const char *url, const char **ret_host, size_t *ret_len)
{
        const char *at = url;
        size_t scheme = strcspn(url, ":/?#");
        if (url[scheme] == ':' && url[scheme + 1] == '/')
                at = url + scheme + 1;
        if (at[0] != '/' || at[1] != '/')
                return 0;
        *ret_host = at + 2;
        *ret_len = strcspn(*ret_host, "/?#");
        return (size_t)(*ret_host + *ret_len - url);
}

static bool same(const char *host, size_t len, const char *other)
{
        return other && strlen(other) == len && strncmp(host, other, len) == 0;
}

char *proxy_rewrite_url(const struct proxy_page *p, const char *url)
{
        const char *host = NULL;
        size_t host_len = 0;
        size_t skip = authority(url, &host, &host_len);
        const char *path = url + skip;
        bool ours = skip > 0 && same(host, host_len, p->request_host);
        if (skip > 0 && host_len > 0 && !ours && !same(host, host_len, p->host))
                return kc_strdup(url);
        if (*path != '/')
                return kc_strdup(url);
        size_t prefix_len = strlen(p->prefix);
        bool has_prefix = strncmp(path, p->prefix, prefix_len) == 0;
        /* The client's own host may stay in front; the backend's means nothing to it. */
        return kc_asprintf("%.*s%s%s", ours ? (int)skip : 0, url, has_prefix ? "" : p->prefix, path);
}
