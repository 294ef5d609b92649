/* Which proxy a request goes through: the client's own, or what the environment says, by the rules of Go's
 * golang.org/x/net/http/httpproxy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

static const char *environment(const char *upper, const char *lower)
{
        const char *v = getenv(upper);
        if (kc_str_empty(v))
                v = getenv(lower);
        return kc_str_empty(v) ? NULL : v;
}

static struct kc_proxy *parse(const char *url, char **ret_error)
{
        if (!url)
                return NULL;
        struct kc_error err = KC_ERROR_INIT;
        struct kc_proxy *p = KC_NEW(struct kc_proxy);
        if (kc_proxy_parse(url, p, &err) == 0)
                return p;
        kc_free(p);
        *ret_error = kc_strdup(kc_error_message(&err));
        kc_error_done(&err);
        return NULL;
}

int http_proxies_init(struct http_proxies *p, const struct kc_http_client_opts *o, struct kc_error *err)
{
        *p = (struct http_proxies){0};
        if (o->no_proxy || o->unix_path)
                return 0;
        if (!kc_str_empty(o->proxy_url)) {
                struct kc_proxy proxy;
                int r = kc_proxy_parse(o->proxy_url, &proxy, err);
                if (r < 0)
                        return r;
                p->fixed = true;
                p->https = kc_memdup(&proxy, sizeof(proxy));
                return 0;
        }
        /* With REQUEST_METHOD we are a CGI program, where HTTP_PROXY is a header of the request. */
        if (!getenv("REQUEST_METHOD"))
                p->http = parse(environment("HTTP_PROXY", "http_proxy"), &p->http_error);
        p->https = parse(environment("HTTPS_PROXY", "https_proxy"), &p->https_error);
        const char *except = environment("NO_PROXY", "no_proxy");
        p->except = except ? kc_strv_split(except, ',') : NULL;
        return 0;
}

static void free_proxy(struct kc_proxy *p)
{
        if (p)
                kc_proxy_done(p);
        kc_free(p);
}

void http_proxies_done(struct http_proxies *p)
{
        free_proxy(p->http);
        free_proxy(p->https);
        kc_free(p->http_error);
        kc_free(p->https_error);
        kc_strv_free(p->except);
        *p = (struct http_proxies){0};
}

/* "name" and its subdomains, ".name" and "*.name" only those. */
static bool names_match(const char *pattern, size_t len, const char *host)
{
        bool itself = true;
        if (len && *pattern == '*') {
                pattern++;
                len--;
        }
        if (len && *pattern == '.') {
                pattern++;
                len--;
                itself = false;
        }
        size_t host_len = strlen(host);
        if (!len || host_len < len || strncasecmp(host + host_len - len, pattern, len) != 0)
                return false;
        return host_len == len ? itself : host[host_len - len - 1] == '.';
}

static bool is_excepted(const char *entry, const char *host, const char *port, const struct kc_ip *ip)
{
        if (kc_streq(entry, "*"))
                return true;
        struct kc_cidr cidr;
        struct kc_ip one;
        if (kc_cidr_parse(entry, &cidr, NULL) == 0)
                return ip && kc_cidr_contains(&cidr, ip);
        if (kc_ip_parse(entry, &one) == 0)
                return ip && kc_ip_equal(&one, ip);
        size_t len = strlen(entry);
        const char *colon = strrchr(entry, ':');
        if (colon) {
                if (!kc_streq(colon + 1, port))
                        return false;
                len = (size_t)(colon - entry);
        }
        KC_CLEANUP(kc_freep)
        char *name = len > 2 && *entry == '[' ? kc_strndup(entry + 1, len - 2) : kc_strndup(entry, len);
        if (kc_ip_parse(name, &one) == 0)
                return ip && kc_ip_equal(&one, ip);
        return names_match(name, strlen(name), host);
}

static bool goes_direct(const struct http_proxies *p, const char *host, const char *port)
{
        struct kc_ip ip;
        bool is_ip = kc_ip_parse(host, &ip) == 0;
        if (kc_strcaseeq(host, "localhost") || (is_ip && kc_ip_is_loopback(&ip)))
                return true;
        for (size_t i = 0; p->except && p->except[i]; i++) {
                KC_CLEANUP(kc_freep) char *entry = kc_str_trim(p->except[i]);
                if (*entry && is_excepted(entry, host, port, is_ip ? &ip : NULL))
                        return true;
        }
        return false;
}

int http_proxies_find(const struct http_proxies *p, bool https, const char *host, const char *port,
    const struct kc_proxy **ret, struct kc_error *err)
{
        const struct kc_proxy *proxy = https || p->fixed ? p->https : p->http;
        const char *error = https || p->fixed ? p->https_error : p->http_error;
        *ret = NULL;
        if ((!proxy && !error) || (!p->fixed && goes_direct(p, host, port)))
                return 0;
        if (!proxy)
                return kc_error_set(err, EINVAL, "%s", error);
        *ret = proxy;
        return 0;
}
