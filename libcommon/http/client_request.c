/* What a request consists of, whichever protocol carries it. On the loop; http_request_check on any thread. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

static bool is_name(const char *s)
{
        if (!*s)
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
                        return false;
        return true;
}

static bool is_value(const char *s)
{
        for (; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return false;
        return true;
}

int http_request_check(const struct kc_http_call_opts *o, struct kc_error *err)
{
        if (o->method && !is_name(o->method))
                return kc_error_set(err, EINVAL, "net/http: invalid method \"%s\"", o->method);
        size_t n = o->headers ? kc_strv_len(o->headers) : 0;
        if (n % 2 != 0)
                return kc_error_set(err, EINVAL, "header without a value: %s", o->headers[n - 1]);
        for (size_t i = 0; i < n; i += 2) {
                if (!is_name(o->headers[i]))
                        return kc_error_set(err, EINVAL, "net/http: invalid header field name \"%s\"", o->headers[i]);
                if (!is_value(o->headers[i + 1]))
                        return kc_error_set(
                            err, EINVAL, "net/http: invalid header field value for \"%s\"", o->headers[i]);
        }
        return 0;
}

bool http_request_replayable(const struct kc_http_call *call)
{
        static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
        for (size_t i = 0; i < KC_ARRAY_LEN(methods); i++)
                if (kc_streq(call->method, methods[i]))
                        return true;
        return false;
}

struct kc_bytes *http_request_body(const struct kc_http_call *call)
{
        struct kc_bytes *b = call->without_body ? NULL : call->opts.body;
        return b && kc_bytes_len(b) ? b : NULL;
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (kc_strcaseeq(name, names[i]))
                        return true;
        return false;
}

/* Made here, or not to be told to where a redirect leads. */
static bool is_left_out(const struct kc_http_call *call, const char *name)
{
        static const char *const ours[] = {"Host", "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive",
            "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Expect"};
        static const char *const secret[] = {"Authorization", "Www-Authenticate", "Cookie", "Cookie2"};
        static const char *const of_body[] = {"Content-Type", "Content-Encoding", "Content-Language"};
        return is_one_of(name, ours, KC_ARRAY_LEN(ours)) ||
               (call->cross_origin && is_one_of(name, secret, KC_ARRAY_LEN(secret))) ||
               (call->without_body && is_one_of(name, of_body, KC_ARRAY_LEN(of_body)));
}

static void add(char ***fields, const char *name, const char *value)
{
        kc_strv_push(fields, name);
        kc_strv_push(fields, value);
}

static void add_userinfo(const struct kc_http_call *call, char ***fields)
{
        const char *info = call->url.userinfo;
        KC_CLEANUP(kc_freep) char *plain = NULL;
        if (kc_url_unescape(info, strlen(info), false, &plain) < 0)
                return;
        KC_CLEANUP(kc_freep) char *pair = kc_asprintf("%s%s", plain, strchr(info, ':') ? "" : ":");
        KC_CLEANUP(kc_freep) char *coded = kc_base64_encode(pair, strlen(pair));
        kc_strv_push(fields, "Authorization");
        kc_strv_pushf(fields, "Basic %s", coded);
}

static void add_framing(const struct kc_http_call *call, char ***fields)
{
        static const char *const sending[] = {"POST", "PUT", "PATCH"};
        const struct kc_bytes *body = http_request_body(call);
        if (body || is_one_of(call->method, sending, KC_ARRAY_LEN(sending))) {
                kc_strv_push(fields, "Content-Length");
                kc_strv_pushf(fields, "%zu", body ? kc_bytes_len(body) : 0);
        }
        if (call->opts.upgrade)
                add(fields, "Connection", "Upgrade");
        else if (call->client->opts.no_keep_alive)
                add(fields, "Connection", "close");
}

char **http_request_fields(const struct kc_http_call *call)
{
        const char *host = call->url.authority, *agent = call->client->opts.user_agent;
        bool authorized = false;
        char *const *h = call->opts.headers;
        char **fields = NULL;
        for (size_t i = 0; h && h[i]; i += 2) {
                if (kc_strcaseeq(h[i], "Host") && *h[i + 1] && !call->cross_origin)
                        host = h[i + 1];
                else if (kc_strcaseeq(h[i], "User-Agent"))
                        agent = h[i + 1];
        }
        add(&fields, "Host", host);
        if (!kc_str_empty(agent))
                add(&fields, "User-Agent", agent);
        for (size_t i = 0; h && h[i]; i += 2) {
                if (kc_strcaseeq(h[i], "User-Agent") || is_left_out(call, h[i]))
                        continue;
                add(&fields, h[i], h[i + 1]);
                authorized |= kc_strcaseeq(h[i], "Authorization");
        }
        if (call->url.userinfo && !authorized)
                add_userinfo(call, &fields);
        add_framing(call, &fields);
        return fields;
}
