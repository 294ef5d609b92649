/* Heads of HTTP/1 requests: http-parser takes them apart, this checks them. No I/O. */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/h1_internal.h"

struct parsing {
        struct kc_http_req *req;
        const char *url, *name;
        size_t url_len, name_len;
        int n_hosts, n_transfer_encodings;
        uint64_t content_length;
        bool keep_alive, chunked, complete;
};

/* RFC 9110: the characters of methods and field names. */
static bool is_token(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)s[i];
                bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
                        return false;
        }
        return len > 0;
}

static bool is_value(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)s[i];
                if ((c < ' ' && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

/* Visible ASCII only: nothing that a proxy and we could read differently. */
static bool is_target(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (s[i] <= ' ' || s[i] >= 0x7f)
                        return false;
        return len > 0;
}

/* As Go's httpguts.ValidHostHeader. */
static bool is_host(const char *s)
{
        for (; *s; s++) {
                bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
                if (!alnum && !strchr("!$%&()*+,-.:;=[]'_~", *s))
                        return false;
        }
        return true;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
        struct parsing *g = p->data;
        g->url = at;
        g->url_len = len;
        return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
        struct parsing *g = p->data;
        g->name = at;
        g->name_len = len;
        return is_token(at, len) ? 0 : -1;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
        struct parsing *g = p->data;
        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
                len--;
        if (!is_value(at, len))
                return -1;
        if (g->name_len == 4 && strncasecmp(g->name, "host", 4) == 0)
                g->n_hosts++;
        if (g->name_len == 17 && strncasecmp(g->name, "transfer-encoding", 17) == 0)
                g->n_transfer_encodings++;
        http_req_add_field(g->req, g->name, g->name_len, at, len); /* too many: answered with 431 later */
        return 0;
}

static int on_head_complete(http_parser *p)
{
        struct parsing *g = p->data;
        g->keep_alive = http_should_keep_alive(p);
        g->chunked = p->flags & F_CHUNKED;
        g->content_length = p->flags & F_CONTENTLENGTH ? p->content_length : 0;
        g->complete = true;
        return 2; /* the body is not the parser's business */
}

/* "http://host/path": the form that proxies get. */
static bool set_absolute_target(struct kc_http_req *r, const char *url, size_t len)
{
        size_t scheme = strncasecmp(url, "http://", KC_MIN(len, (size_t)7)) == 0    ? 7
                        : strncasecmp(url, "https://", KC_MIN(len, (size_t)8)) == 0 ? 8
                                                                                    : 0;
        if (scheme == 0 || len <= scheme)
                return false;
        const char *authority = url + scheme, *end = url + len, *path = authority;
        while (path < end && *path != '/' && *path != '?')
                path++;
        if (path == authority)
                return false;
        r->host = http_req_add_text(r, authority, (size_t)(path - authority));
        if (path < end && *path == '/')
                return http_req_set_target(r, path, (size_t)(end - path));
        struct kc_buf target = KC_BUF_INIT;
        kc_buf_addc(&target, '/');
        kc_buf_add(&target, path, (size_t)(end - path));
        bool ok = http_req_set_target(r, target.data, target.len);
        kc_buf_done(&target);
        return ok;
}

static bool set_target(struct parsing *g)
{
        if (!g->url || !is_target(g->url, g->url_len))
                return false;
        return g->url[0] == '/' ? http_req_set_target(g->req, g->url, g->url_len)
                                : set_absolute_target(g->req, g->url, g->url_len);
}

static int check(const http_parser *p, const struct parsing *g)
{
        const struct kc_http_req *r = g->req;
        if (p->http_errno == HPE_HEADER_OVERFLOW)
                return 431;
        if (!g->complete)
                return p->http_errno == HPE_INVALID_TRANSFER_ENCODING ? 501 : 400;
        if (p->http_major != 1 || p->http_minor > 1)
                return 505;
        bool http11 = p->http_minor == 1;
        if (g->n_hosts > 1 || (http11 && g->n_hosts == 0) || !is_host(kc_http_req_host(r)))
                return 400;
        if (g->n_transfer_encodings == 0)
                return 0;
        if (!http11 || g->n_transfer_encodings > 1)
                return 400;
        return g->chunked && kc_strcaseeq(kc_http_req_header(r, "transfer-encoding"), "chunked") ? 0 : 501;
}

int http_h1_parse_head(struct http_conn *c, const char *data, size_t len)
{
        static const http_parser_settings settings = {
            .on_url = on_url,
            .on_header_field = on_field,
            .on_header_value = on_value,
            .on_headers_complete = on_head_complete,
        };
        struct http_h1 *h = c->h1;
        struct parsing g = {.req = http_req_new(c)};
        http_parser parser;
        http_parser_init(&parser, HTTP_REQUEST);
        parser.data = &g;
        http_parser_execute(&parser, &settings, data, len);
        bool target_ok = set_target(&g);
        http_req_finish_headers(g.req);
        int code = check(&parser, &g);
        if (!code && !target_ok)
                code = 400;
        if (code) {
                kc_http_req_unref(g.req);
                return code;
        }
        const char *method = http_method_str((enum http_method)parser.method);
        g.req->method = http_req_add_text(g.req, method, strlen(method));
        g.req->http10 = parser.http_minor == 0;
        h->req = g.req;
        h->keep_alive = g.keep_alive;
        h->chunked_in = g.chunked;
        h->body_left = g.chunked ? 0 : g.content_length;
        return 0;
}
