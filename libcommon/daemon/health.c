/* Health endpoints with the bodies of apiserver's healthz package, /version and /metrics. On the request's loop. */
#include "daemon/health.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/metrics.h"

struct check {
        char *name;
        int where;
        int (*fn)(void *arg, struct kc_error *err);
        void *arg;
};

struct kc_health {
        struct check *checks;
        size_t n;
        atomic_bool shutting_down;
};

static const struct {
        const char *name;
        int where;
} endpoints[] = {{"healthz", KC_HEALTH_HEALTHZ}, {"livez", KC_HEALTH_LIVEZ}, {"readyz", KC_HEALTH_READYZ}};

static int check_ping(void *arg, struct kc_error *err)
{
        (void)arg;
        (void)err;
        return 0;
}

static int check_shutdown(void *arg, struct kc_error *err)
{
        const struct kc_health *h = arg;
        return atomic_load(&h->shutting_down) ? kc_error_set(err, ESHUTDOWN, "process is shutting down") : 0;
}

struct kc_health *kc_health_new(void)
{
        struct kc_health *h = KC_NEW(struct kc_health);
        atomic_init(&h->shutting_down, false);
        kc_health_add(h, "ping", KC_HEALTH_ALL, check_ping, NULL);
        return h;
}

void kc_health_free(struct kc_health *h)
{
        if (!h)
                return;
        for (size_t i = 0; i < h->n; i++)
                kc_free(h->checks[i].name);
        kc_free(h->checks);
        kc_free(h);
}

void kc_health_add(
    struct kc_health *h, const char *name, int where, int (*check)(void *arg, struct kc_error *err), void *arg)
{
        h->checks = kc_reallocarray(h->checks, h->n + 1, sizeof(*h->checks));
        h->checks[h->n++] = (struct check){.name = kc_strdup(name), .where = where, .fn = check, .arg = arg};
}

void kc_health_shutting_down(struct kc_health *h)
{
        atomic_store(&h->shutting_down, true);
}

/* The i-th check of an endpoint's, "shutdown" being readyz's last; false past the end. */
static bool check_at(struct kc_health *h, int where, size_t i, struct check *ret)
{
        for (size_t c = 0; c < h->n; c++)
                if ((h->checks[c].where & where) && i-- == 0) {
                        *ret = h->checks[c];
                        return true;
                }
        *ret = (struct check){.name = (char *)"shutdown", .where = KC_HEALTH_READYZ, .fn = check_shutdown, .arg = h};
        return where == KC_HEALTH_READYZ && i == 0;
}

int kc_health_check(struct kc_health *h, int where, struct kc_error *err)
{
        struct check c;
        for (size_t i = 0; check_at(h, where, i, &c); i++) {
                int r = c.fn(c.arg, err);
                if (r < 0)
                        return kc_error_wrap(err, "%s", c.name);
        }
        return 0;
}

static void reply_text(struct kc_http_req *req, int code, const char *content_type, struct kc_buf *body)
{
        char *const headers[] = {(char *)"Content-Type", (char *)content_type, (char *)"X-Content-Type-Options",
            (char *)"nosniff", (char *)"Cache-Control", (char *)"no-cache, private", NULL};
        struct kc_bytes *bytes = kc_bytes_from_buf(body);
        kc_http_reply(req, code, headers, bytes);
        kc_bytes_unref(bytes);
}

static const char TEXT[] = "text/plain; charset=utf-8";

/* Appends one line of the list; false if the check failed. */
static bool run_check(const struct check *c, const char *endpoint, char **exclude, struct kc_buf *out)
{
        if (kc_strv_remove(exclude, c->name) > 0) {
                kc_buf_addf(out, "[+]%s excluded: ok\n", c->name);
                return true;
        }
        struct kc_error err = KC_ERROR_INIT;
        bool ok = c->fn(c->arg, &err) >= 0;
        if (ok) {
                kc_buf_addf(out, "[+]%s ok\n", c->name);
        } else {
                kc_buf_addf(out, "[-]%s failed: reason withheld\n", c->name);
                kc_log_error(&err, "Health check failed", "endpoint", endpoint, "check", c->name);
        }
        kc_error_done(&err);
        return ok;
}

static void serve_all(struct kc_health *h, struct kc_http_req *req, const char *endpoint, int where)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_strv_freep) char **exclude = kc_query_get_all(kc_http_req_query(req), "exclude");
        if (!exclude)
                exclude = kc_strv_split("", ',');
        bool ok = true;
        struct check c;
        for (size_t i = 0; check_at(h, where, i, &c); i++)
                ok = run_check(&c, endpoint, exclude, &out) && ok;
        if (kc_strv_len(exclude) > 0) {
                kc_strv_sort(exclude);
                kc_buf_adds(&out, "warn: some health checks cannot be excluded: no matches for ");
                for (char **e = exclude; *e; e++)
                        kc_buf_addf(&out, "%s\"%s\"", e == exclude ? "" : ",", *e);
                kc_buf_addc(&out, '\n');
        }
        if (!ok) {
                kc_buf_addf(&out, "%s check failed\n", endpoint);
                reply_text(req, 500, TEXT, &out);
                return;
        }
        KC_CLEANUP(kc_strv_freep) char **verbose = kc_query_get_all(kc_http_req_query(req), "verbose");
        if (!verbose) {
                kc_buf_reset(&out);
                kc_buf_adds(&out, "ok");
        } else {
                kc_buf_addf(&out, "%s check passed\n", endpoint);
        }
        reply_text(req, 200, TEXT, &out);
}

/* /readyz/<check>. */
static void serve_one(struct kc_http_req *req, const char *endpoint, const struct check *c)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        int code = 200;
        if (c->fn(c->arg, &err) >= 0) {
                kc_buf_adds(&out, "ok");
        } else {
                code = 500;
                kc_log_error(&err, "Health check failed", "endpoint", endpoint, "check", c->name);
                kc_buf_addf(&out, "internal server error: %s\n", kc_error_message(&err));
        }
        kc_error_done(&err);
        reply_text(req, code, TEXT, &out);
}

static bool handle_endpoint(
    struct kc_health *h, struct kc_http_req *req, const char *path, const char *endpoint, int where)
{
        if (!kc_str_has_prefix(path, endpoint))
                return false;
        const char *rest = path + strlen(endpoint);
        if (rest[0] == '\0' || kc_streq(rest, "/")) {
                serve_all(h, req, endpoint, where);
                return true;
        }
        if (rest[0] != '/')
                return false;
        struct check c;
        for (size_t i = 0; check_at(h, where, i, &c); i++)
                if (kc_streq(c.name, rest + 1)) {
                        serve_one(req, endpoint, &c);
                        return true;
                }
        return false;
}

bool kc_health_handle(struct kc_health *h, struct kc_http_req *req)
{
        const char *path = kc_http_req_path(req) + 1; /* always starts with '/' */
        for (size_t i = 0; i < KC_ARRAY_LEN(endpoints); i++)
                if (handle_endpoint(h, req, path, endpoints[i].name, endpoints[i].where))
                        return true;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (kc_streq(path, "version") || kc_streq(path, "version/")) {
                KC_CLEANUP(kc_freep) char *version = kc_version_json();
                kc_buf_adds(&out, version);
                reply_text(req, 200, "application/json", &out);
                return true;
        }
        if (kc_streq(path, "metrics")) {
                kc_metrics_write(&out);
                reply_text(req, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
                return true;
        }
        return false;
}
