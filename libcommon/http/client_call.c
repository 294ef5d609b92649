/* One exchange of the HTTP client: from the queue over one link or several (redirects, lost connections) to its end. On
 * the loop. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

void http_call_unref(struct kc_http_call *call)
{
        if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_free((char *)call->opts.method);
        kc_free((char *)call->opts.url);
        kc_strv_free((char **)call->opts.headers);
        kc_bytes_unref(call->opts.body);
        http_url_done(&call->url);
        kc_free(call->redirect);
        kc_buf_done(&call->body);
        kc_strv_free(call->headers);
        http_client_unref(call->client);
        kc_free(call);
}

const char *kc_http_call_header_at(struct kc_http_call *call, const char *name, size_t nth)
{
        for (size_t i = 0; call->headers && call->headers[i] && call->headers[i + 1]; i += 2)
                if (kc_strcaseeq(call->headers[i], name) && nth-- == 0)
                        return call->headers[i + 1];
        return NULL;
}

const char *kc_http_call_header(struct kc_http_call *call, const char *name)
{
        return kc_http_call_header_at(call, name, 0);
}

/* --- The end */

/* As Go's url.Error: Get "https://127.0.0.1:6443/api": ... */
static void describe(struct kc_http_call *call, struct kc_error *err)
{
        char verb[16];
        snprintf(verb, sizeof(verb), "%s", call->opts.method);
        for (char *p = verb; *p; p++)
                *p = (char)(p == verb ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
        kc_error_wrap(err, "%s \"%s\"", verb, call->opts.url);
}

void http_call_finish(struct kc_http_call *call, const struct kc_error *given)
{
        if (call->done)
                return;
        call->done = true;
        struct kc_error err = KC_ERROR_INIT;
        if (given) {
                kc_error_copy(&err, given);
                describe(call, &err);
        }
        kc_list_remove(&call->node);
        http_pool_remove(call);
        http_link_drop(call);
        kc_timer_free(KC_TAKE(call->timer));
        struct kc_bytes *body = kc_bytes_from_buf(&call->body);
        call->opts.on_done(call, call->code, body, err.errnum ? &err : NULL, call->opts.arg);
        kc_bytes_unref(body);
        kc_error_done(&err);
        http_call_unref(call);
}

static void fail(struct kc_http_call *call, int errnum, const char *text)
{
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, errnum, "%s", text);
        http_call_finish(call, &err);
        kc_error_done(&err);
}

/* --- Timeouts */

/* When the call is late if nothing happens; 0: never. */
static kc_mono due_time(const struct kc_http_call *call)
{
        kc_mono end = call->opts.timeout_ms > 0 ? call->started + call->opts.timeout_ms * KC_MSEC : 0;
        kc_mono idle = call->opts.idle_timeout_ms > 0 ? call->last_byte + call->opts.idle_timeout_ms * KC_MSEC : 0;
        return !end || (idle && idle < end) ? idle : end;
}

static void on_timer(void *arg)
{
        struct kc_http_call *call = arg;
        struct kc_http_client *c = call->client;
        kc_mono now = kc_clock_mono(NULL), due = due_time(call);
        if (now < due) {
                kc_timer_arm(call->timer, due - now);
                return;
        }
        c->depth++;
        struct kc_error err = KC_ERROR_INIT;
        bool whole = call->opts.timeout_ms > 0 && now - call->started >= call->opts.timeout_ms * KC_MSEC;
        if (!whole)
                kc_error_set(&err, ETIMEDOUT, "nothing received for %d ms", call->opts.idle_timeout_ms);
        else if (call->code)
                kc_error_set(&err, ETIMEDOUT,
                    "context deadline exceeded (Client.Timeout or context cancellation while reading body)");
        else if (call->origin) /* no connection yet */
                kc_error_set(&err, ETIMEDOUT,
                    "dial tcp %s:%s: i/o timeout (Client.Timeout exceeded while awaiting headers)", call->url.host,
                    call->url.port);
        else
                kc_error_set(
                    &err, ETIMEDOUT, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
        http_call_finish(call, &err);
        kc_error_done(&err);
        c->depth--;
}

void http_call_begin(struct kc_http_call *call)
{
        struct kc_error err = KC_ERROR_INIT;
        call->begun = true;
        kc_list_push_back(&call->client->calls, &call->node);
        call->method = call->opts.method;
        if (atomic_load(&call->cancelled)) {
                fail(call, ECANCELED, "request was canceled");
                return;
        }
        if (http_url_parse(call->opts.url, &call->url, &err) < 0) {
                http_call_finish(call, &err);
                kc_error_done(&err);
                return;
        }
        call->started = call->last_byte = kc_clock_mono(NULL);
        kc_mono due = due_time(call);
        if (due) {
                call->timer = kc_timer_new(call->client->loop, on_timer, call);
                kc_timer_arm(call->timer, due - call->started);
        }
        http_pool_add(call, false);
}

/* --- Again */

static void forget_response(struct kc_http_call *call)
{
        kc_strv_free(KC_TAKE(call->headers));
        kc_buf_reset(&call->body);
        call->header_bytes = call->skipped = call->body_sent = 0;
        call->status = call->code = 0;
        call->head_seen = false;
}

static void redirect(struct kc_http_call *call)
{
        struct kc_error err = KC_ERROR_INIT;
        struct http_url url;
        KC_CLEANUP(kc_freep) char *to = KC_TAKE(call->redirect);
        if (++call->n_redirects > HTTP_CLIENT_MAX_REDIRECTS) {
                fail(call, ELOOP, "stopped after 10 redirects");
                return;
        }
        if (http_url_parse(to, &url, &err) < 0) {
                http_call_finish(call, &err);
                kc_error_done(&err);
                return;
        }
        call->cross_origin |= !kc_strcaseeq(url.host, call->url.host);
        http_url_done(&call->url);
        call->url = url;
        if (call->redirect_code < 307 && !kc_streq(call->method, "GET") && !kc_streq(call->method, "HEAD")) {
                call->method = "GET";
                call->without_body = true;
        }
        forget_response(call);
        http_pool_add(call, false);
}

void http_call_on_lost(struct kc_http_call *call, const struct kc_error *err, bool untouched, bool reused)
{
        bool again = false;
        if (untouched)
                again = call->n_refused++ < HTTP_CLIENT_MAX_REFUSED;
        else if (reused && !call->head_seen && http_request_replayable(call))
                again = call->n_retries++ == 0;
        if (!again || call->done) {
                http_call_finish(call, err);
                return;
        }
        forget_response(call);
        http_pool_add(call, true);
}

/* --- The response */

static bool is_redirect(const struct kc_http_call *call, int code)
{
        return call->opts.follow_redirects && (code == 301 || code == 302 || code == 303 || code == 307 || code == 308);
}

void http_call_on_head(struct kc_http_call *call, int code)
{
        call->head_seen = true;
        call->last_byte = kc_clock_mono(NULL);
        const char *location = kc_http_call_header(call, "location");
        if (is_redirect(call, code) && location) {
                call->redirect = http_url_resolve(&call->url, location);
                call->redirect_code = code;
                return;
        }
        call->code = code;
        if (call->opts.on_headers && !atomic_load(&call->cancelled))
                call->opts.on_headers(call, code, call->opts.arg);
}

static void skip(struct kc_http_call *call, size_t len)
{
        call->skipped += len;
        if (call->skipped <= HTTP_CLIENT_MAX_SKIPPED)
                return;
        http_link_drop(call);
        redirect(call);
}

void http_call_on_data(struct kc_http_call *call, const char *data, size_t len)
{
        call->last_byte = kc_clock_mono(NULL);
        if (atomic_load(&call->cancelled))
                return; /* it ends soon */
        if (call->redirect) {
                skip(call, len);
                return;
        }
        if (call->opts.on_data) {
                int r = call->opts.on_data(call, data, len, call->opts.arg);
                if (r < 0)
                        fail(call, -r, "reader of the response failed");
                return;
        }
        int r = kc_buf_add_limited(&call->body, data, len, call->client->opts.max_response);
        if (r < 0) {
                char text[64];
                snprintf(text, sizeof(text), "response is larger than %zu bytes", call->client->opts.max_response);
                fail(call, -r, text);
        }
}

void http_call_on_end(struct kc_http_call *call)
{
        if (call->redirect)
                redirect(call);
        else if (atomic_load(&call->cancelled))
                fail(call, ECANCELED, "request was canceled");
        else
                http_call_finish(call, NULL);
}

struct kc_http_stream *kc_http_call_take_stream(
    struct kc_http_call *call, const struct kc_http_stream_cbs *cbs, void *arg)
{
        return call->link && call->code == 101 ? http_link_upgrade(call->link, cbs, arg) : NULL;
}
