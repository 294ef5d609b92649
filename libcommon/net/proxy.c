/* What is said to proxies (RFC 9110 9.3.6; RFC 1928, 1929). No I/O, any thread. */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

enum {
        ANSWER_MAX = 64 * 1024, /* of a proxy, to CONNECT */
        SOCKS_VERSION = 5,
        SOCKS_NO_AUTH = 0,
        SOCKS_PASSWORD = 2,
        SOCKS_CONNECT = 1,
        SOCKS_IPV4 = 1,
        SOCKS_NAME = 3,
        SOCKS_IPV6 = 4,
        SOCKS_FIELD_MAX = 255,
};

enum { CHOICE, LOGIN, ANSWER };

/* --- URLs */

static int parse_kind(const char *url, struct kc_proxy *p, const char **ret_rest)
{
        static const struct {
                const char *prefix, *port;
                enum kc_proxy_kind kind;
        } kinds[] = {
            {"http://", "80", KC_PROXY_HTTP},
            {"https://", "443", KC_PROXY_HTTPS},
            {"socks5://", "1080", KC_PROXY_SOCKS5},
            {"socks5h://", "1080", KC_PROXY_SOCKS5},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++) {
                if (strncasecmp(url, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
                        continue;
                p->kind = kinds[i].kind;
                p->port = kc_strdup(kinds[i].port);
                *ret_rest = url + strlen(kinds[i].prefix);
                return 0;
        }
        if (strstr(url, "://"))
                return -EINVAL;
        p->kind = KC_PROXY_HTTP;
        p->port = kc_strdup("80");
        *ret_rest = url;
        return 0;
}

static int parse_userinfo(const char *s, size_t len, struct kc_proxy *p)
{
        const char *colon = memchr(s, ':', len);
        size_t user_len = colon ? (size_t)(colon - s) : len;
        int r = kc_url_unescape(s, user_len, false, &p->user);
        if (r < 0)
                return r;
        return colon ? kc_url_unescape(colon + 1, len - user_len - 1, false, &p->password) : 0;
}

static int parse_host_port(const char *s, size_t len, struct kc_proxy *p)
{
        const char *end = s + len, *host_end = end, *port = NULL;
        if (len && *s == '[') {
                host_end = memchr(s, ']', len);
                if (!host_end)
                        return -EINVAL;
                if (host_end + 1 < end && host_end[1] == ':')
                        port = host_end + 2;
                s++;
        } else {
                const char *colon = memrchr(s, ':', len);
                if (colon) {
                        host_end = colon;
                        port = colon + 1;
                }
        }
        p->host = kc_strndup(s, (size_t)(host_end - s));
        if (port && port < end) {
                kc_free(p->port);
                p->port = kc_strndup(port, (size_t)(end - port));
        }
        uint64_t n;
        return *p->host && kc_str_to_u64(p->port, &n) == 0 && n > 0 && n <= 65535 ? 0 : -EINVAL;
}

/* Names the URL without the password in it, as Go's URL.Redacted. */
static int refuse(const char *url, struct kc_error *err)
{
        const char *slashes = strstr(url, "//"), *user = slashes ? slashes + 2 : url;
        const char *at = strrchr(user, '@'), *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;
        if (!colon)
                return kc_error_set(err, EINVAL, "invalid proxy URL \"%s\"", url);
        return kc_error_set(err, EINVAL, "invalid proxy URL \"%.*s:xxxxx%s\"", (int)(colon - url), url, at);
}

int kc_proxy_parse(const char *url, struct kc_proxy *ret, struct kc_error *err)
{
        struct kc_proxy p = {0};
        const char *rest = NULL;
        int r = parse_kind(url, &p, &rest);
        if (r == 0) {
                size_t len = strcspn(rest, "/?#");
                const char *at = memrchr(rest, '@', len);
                if (at) {
                        r = parse_userinfo(rest, (size_t)(at - rest), &p);
                        len -= (size_t)(at + 1 - rest);
                        rest = at + 1;
                }
                if (r == 0)
                        r = parse_host_port(rest, len, &p);
        }
        if (r < 0) {
                kc_proxy_done(&p);
                return refuse(url, err);
        }
        *ret = p;
        return 0;
}

void kc_proxy_done(struct kc_proxy *p)
{
        kc_free(p->host);
        kc_free(p->port);
        kc_free(p->user);
        kc_free_secret_str(p->password);
        *p = (struct kc_proxy){0};
}

char *kc_proxy_authorization(const struct kc_proxy *p)
{
        if (!p->user)
                return NULL;
        KC_CLEANUP(kc_freep) char *pair = kc_asprintf("%s:%s", p->user, p->password ? p->password : "");
        KC_CLEANUP(kc_freep) char *coded = kc_base64_encode(pair, strlen(pair));
        return kc_asprintf("Basic %s", coded);
}

/* --- CONNECT */

static void begin_connect(struct net_proxy_hello *h, struct kc_buf *out)
{
        const char *open = strchr(h->host, ':') ? "[" : "", *close = *open ? "]" : "";
        KC_CLEANUP(kc_freep) char *target = kc_asprintf("%s%s%s:%s", open, h->host, close, h->port);
        KC_CLEANUP(kc_freep) char *authorization = kc_proxy_authorization(h->proxy);
        kc_buf_addf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
        if (authorization)
                kc_buf_addf(out, "Proxy-Authorization: %s\r\n", authorization);
        kc_buf_adds(out, "\r\n");
        h->step = ANSWER;
}

static int connect_answer(struct net_proxy_hello *h, bool *ret_done, struct kc_error *err)
{
        const char *text = kc_buf_str(&h->in), *end = memmem(text, h->in.len, "\r\n\r\n", 4);
        if (!end) {
                if (h->in.len >= ANSWER_MAX)
                        return kc_error_set(err, EPROTO, "the proxy's answer to CONNECT is too long");
                return 0;
        }
        /* We speak first on what is opened, so nothing can come behind. */
        if (memchr(text, '\0', h->in.len) || end + 4 != text + h->in.len || !kc_str_has_prefix(text, "HTTP/1.") ||
            strlen(text) < strlen("HTTP/1.1 200"))
                return kc_error_set(err, EPROTO, "malformed answer of the proxy to CONNECT");
        const char *code = text + strlen("HTTP/1.1 ");
        if (strncmp(code, "200", 3) != 0) {
                const char *reason = code + strcspn(code, " \r");
                reason += *reason == ' ';
                int len = (int)strcspn(reason, "\r\n");
                return len ? kc_error_set(err, EHOSTUNREACH, "%.*s", len, reason)
                           : kc_error_set(err, EHOSTUNREACH, "%.3s", code);
        }
        *ret_done = true;
        return 0;
}

/* --- SOCKS5 */

static int begin_socks(struct net_proxy_hello *h, struct kc_buf *out, struct kc_error *err)
{
        const struct kc_proxy *p = h->proxy;
        if (strlen(h->host) > SOCKS_FIELD_MAX || (p->user && strlen(p->user) > SOCKS_FIELD_MAX) ||
            (p->password && strlen(p->password) > SOCKS_FIELD_MAX))
                return kc_error_set(err, EINVAL, "name is too long for SOCKS5");
        kc_buf_addc(out, SOCKS_VERSION);
        kc_buf_addc(out, p->user ? 2 : 1);
        kc_buf_addc(out, SOCKS_NO_AUTH);
        if (p->user)
                kc_buf_addc(out, SOCKS_PASSWORD);
        h->step = CHOICE;
        return 0;
}

static void add_field(struct kc_buf *out, const char *s)
{
        kc_buf_addc(out, (char)strlen(s));
        kc_buf_adds(out, s);
}

static void ask_socks(struct net_proxy_hello *h, struct kc_buf *out)
{
        struct in_addr v4;
        struct in6_addr v6;
        kc_buf_addc(out, SOCKS_VERSION);
        kc_buf_addc(out, SOCKS_CONNECT);
        kc_buf_addc(out, 0);
        if (inet_pton(AF_INET, h->host, &v4) == 1) {
                kc_buf_addc(out, SOCKS_IPV4);
                kc_buf_add(out, &v4, sizeof(v4));
        } else if (inet_pton(AF_INET6, h->host, &v6) == 1) {
                kc_buf_addc(out, SOCKS_IPV6);
                kc_buf_add(out, &v6, sizeof(v6));
        } else {
                kc_buf_addc(out, SOCKS_NAME);
                add_field(out, h->host);
        }
        uint64_t port = 0;
        (void)kc_str_to_u64(h->port, &port); /* was checked */
        kc_buf_addc(out, (char)(port >> 8));
        kc_buf_addc(out, (char)port);
        h->step = ANSWER;
}

static const char *socks_refusal(int code)
{
        static const char *const texts[] = {NULL, "general SOCKS server failure", "connection not allowed by ruleset",
            "network unreachable", "host unreachable", "connection refused", "TTL expired", "command not supported",
            "address type not supported"};
        return code > 0 && code < (int)KC_ARRAY_LEN(texts) ? texts[code] : "unknown code";
}

/* Bytes that one step needs; 0: not known yet. */
static size_t socks_needs(const struct net_proxy_hello *h)
{
        const unsigned char *b = (const unsigned char *)kc_buf_str(&h->in);
        if (h->step != ANSWER)
                return 2;
        if (h->in.len < 5)
                return 5;
        size_t address = b[3] == SOCKS_IPV4 ? 4 : b[3] == SOCKS_IPV6 ? 16 : 1 + (size_t)b[4];
        return 4 + address + 2;
}

static int socks_step(struct net_proxy_hello *h, struct kc_buf *out, bool *ret_done, struct kc_error *err)
{
        const unsigned char *b = (const unsigned char *)kc_buf_str(&h->in);
        if (h->step == CHOICE) {
                if (b[0] != SOCKS_VERSION)
                        return kc_error_set(err, EPROTO, "socks connect: unexpected protocol version %d", b[0]);
                if (b[1] == SOCKS_NO_AUTH) {
                        ask_socks(h, out);
                } else if (b[1] == SOCKS_PASSWORD && h->proxy->user) {
                        kc_buf_addc(out, 1);
                        add_field(out, h->proxy->user);
                        add_field(out, h->proxy->password ? h->proxy->password : "");
                        h->step = LOGIN;
                } else {
                        return kc_error_set(err, EACCES, "socks connect: no acceptable authentication methods");
                }
        } else if (h->step == LOGIN) {
                if (b[1] != 0)
                        return kc_error_set(err, EACCES, "socks connect: username/password authentication failed");
                ask_socks(h, out);
        } else {
                if (b[0] != SOCKS_VERSION)
                        return kc_error_set(err, EPROTO, "socks connect: unexpected protocol version %d", b[0]);
                if (b[1] != 0)
                        return kc_error_set(
                            err, EHOSTUNREACH, "socks connect tcp %s:%s: %s", h->host, h->port, socks_refusal(b[1]));
                *ret_done = true;
        }
        return 0;
}

static int socks_input(struct net_proxy_hello *h, struct kc_buf *out, bool *ret_done, struct kc_error *err)
{
        for (size_t need; !*ret_done && h->in.len >= (need = socks_needs(h));) {
                int r = socks_step(h, out, ret_done, err);
                if (r < 0)
                        return r;
                kc_buf_consume(&h->in, need);
        }
        if (*ret_done && h->in.len)
                return kc_error_set(err, EPROTO, "socks connect: unexpected bytes");
        return 0;
}

/* --- Both */

int net_proxy_begin(struct net_proxy_hello *h, struct kc_buf *out, struct kc_error *err)
{
        if (h->proxy->kind == KC_PROXY_SOCKS5)
                return begin_socks(h, out, err);
        begin_connect(h, out);
        return 0;
}

int net_proxy_input(
    struct net_proxy_hello *h, const char *data, size_t len, struct kc_buf *out, bool *ret_done, struct kc_error *err)
{
        *ret_done = false;
        kc_buf_add(&h->in, data, len);
        return h->proxy->kind == KC_PROXY_SOCKS5 ? socks_input(h, out, ret_done, err)
                                                 : connect_answer(h, ret_done, err);
}

void net_proxy_done(struct net_proxy_hello *h)
{
        kc_buf_done(&h->in);
}
