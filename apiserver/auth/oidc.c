/* An issuer's keys: found by its discovery document and fetched over HTTPS, from nowhere else, without following
 * redirects. Its thread fetches them until it has them, and again when a token names a key that is not known, but not
 * more often than REFRESH_MIN: tokens are anybody's. What requests see is guarded by one lock. */
#include "auth/oidc.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "http/client.h"

enum { FETCH_TIMEOUT_MS = 30000, DOCUMENT_MAX = 1 << 20 };
#define RETRY (10 * KC_SEC)
#define REFRESH_MIN (10 * KC_SEC)
#define WAIT_MAX (10 * KC_SEC) /* a request, for new keys */

/* Immutable. */
struct keys {
        struct kc_jwt_key **v;
        size_t n;
        int refs; /* atomic */
};

struct oidc {
        int refs; /* atomic */
        struct kc_loop *loop;
        const struct kc_clock *clock;
        struct kc_jwt_authenticator config;
        struct kc_http_client *http;
        pthread_t thread;
        bool started;
        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed;
        bool stopping, wanted;
        struct keys *keys; /* NULL: not fetched yet */
        uint64_t fetches;  /* that have ended */
        kc_mono fetched;   /* when the last one has */
};

static void keys_unref(struct keys *k)
{
        if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        kc_jwt_keys_free(k->v, k->n);
        kc_free(k);
}

/* With the lock. */
static struct keys *keys_ref(struct oidc *o)
{
        if (o->keys)
                __atomic_add_fetch(&o->keys->refs, 1, __ATOMIC_RELAXED);
        return o->keys;
}

/* With the lock: until somebody changes something, at most until then. */
static void wait_until(struct oidc *o, kc_mono until)
{
        const struct timespec t = {.tv_sec = (time_t)(until / KC_SEC), .tv_nsec = (long)(until % KC_SEC) * 1000};
        (void)pthread_cond_timedwait(&o->changed, &o->lock, &t); /* callers look again */
}

/* --- fetching */

/* One document that is being fetched. Guarded by the lock, as what it belongs to. */
struct exchange {
        struct oidc *of;
        struct kc_http_call *call;
        bool done;
        int code;
        struct kc_bytes *body;
        struct kc_error err;
};

/* On the loop. */
static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct exchange *x = arg;
        struct oidc *o = x->of;
        (void)call; /* ours */
        pthread_mutex_lock(&o->lock);
        x->code = code;
        if (err)
                kc_error_copy(&x->err, err);
        else
                x->body = kc_bytes_ref(body);
        x->done = true;
        (void)pthread_cond_broadcast(&o->changed);
        pthread_mutex_unlock(&o->lock);
}

/* On the thread. Ends early when the issuer is not wanted any more. */
static void exchange_run(struct oidc *o, const char *url, struct exchange *x)
{
        char *const headers[] = {(char *)"Accept", (char *)"application/json", NULL};
        const struct kc_http_call_opts call = {
            .url = url, .headers = headers, .timeout_ms = FETCH_TIMEOUT_MS, .on_done = on_done, .arg = x};
        bool cancelled = false;
        x->of = o;
        pthread_mutex_lock(&o->lock);
        if (o->stopping)
                (void)kc_error_set(&x->err, ECANCELED, "the issuer is not asked any more");
        else if (kc_http_client_start(o->http, &call, &x->call, &x->err) == 0)
                while (!x->done) {
                        if (o->stopping && !cancelled)
                                kc_http_call_cancel(x->call); /* valid until on_done, which needs the lock, returns */
                        cancelled = o->stopping;
                        (void)pthread_cond_wait(&o->changed, &o->lock);
                }
        pthread_mutex_unlock(&o->lock);
}

static int get(struct oidc *o, const char *url, struct kc_bytes **ret, struct kc_error *err)
{
        struct exchange x = {0};
        int r = 0;
        exchange_run(o, url, &x);
        if (x.err.errnum) {
                r = -x.err.errnum;
                kc_error_move(err, &x.err);
        } else if (x.code != 200) {
                r = kc_error_set(err, EPROTO, "%s: status %d", url, x.code);
        } else {
                *ret = kc_bytes_ref(x.body);
        }
        kc_bytes_unref(x.body);
        kc_error_done(&x.err);
        return r;
}

/* The address of the key set. Heap. */
static int discover(struct oidc *o, char **ret, struct kc_error *err)
{
        size_t len = strlen(o->config.url);
        while (len > 0 && o->config.url[len - 1] == '/')
                len--;
        KC_CLEANUP(kc_freep)
        char *url = o->config.discovery_url
                        ? kc_strdup(o->config.discovery_url)
                        : kc_asprintf("%.*s/.well-known/openid-configuration", (int)len, o->config.url);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *doc = NULL;
        int r = get(o, url, &body, err);
        if (r == 0)
                r = kc_json_parse(kc_bytes_data(body), kc_bytes_len(body), NULL, &doc, err);
        if (r < 0)
                return r;
        const char *issuer = kc_json_str(doc, "issuer"), *jwks = kc_json_str(doc, "jwks_uri");
        if (!kc_streq(issuer, o->config.url))
                return kc_error_set(err, EPROTO,
                    "oidc: issuer URL provided to client (\"%s\") did not match the issuer URL returned by provider "
                    "(\"%.256s\")",
                    o->config.url, issuer ? issuer : "");
        if (!jwks || !kc_str_has_prefix(jwks, "https://"))
                return kc_error_set(err, EPROTO, "the provider's jwks_uri is no https URL");
        *ret = kc_strdup(jwks);
        return 0;
}

static int fetch(struct oidc *o, struct keys **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *url = NULL;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = NULL;
        struct keys k = {.refs = 1};
        int r = discover(o, &url, err);
        if (r == 0)
                r = get(o, url, &body, err);
        if (r == 0)
                r = kc_jwt_keys_parse_set(kc_bytes_data(body), kc_bytes_len(body), &k.v, &k.n, err);
        if (r < 0)
                return r;
        *ret = KC_NEW(struct keys);
        **ret = k;
        return 0;
}

/* One attempt. With the lock, which it gives away meanwhile. */
static void fetch_once(struct oidc *o)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct keys *fresh = NULL;
        o->wanted = false;
        pthread_mutex_unlock(&o->lock);
        if (fetch(o, &fresh, &err) < 0 && err.errnum != ECANCELED)
                kc_log_error(
                    &err, "oidc authenticator: cannot fetch the issuer's keys, retrying", "issuer", o->config.url);
        pthread_mutex_lock(&o->lock);
        if (fresh) {
                keys_unref(o->keys);
                o->keys = fresh;
        }
        o->fetches++;
        o->fetched = kc_clock_mono(NULL);
        (void)pthread_cond_broadcast(&o->changed);
}

static void *run(void *arg)
{
        struct oidc *o = arg;
        pthread_mutex_lock(&o->lock);
        while (!o->stopping) {
                if (o->keys && !o->wanted)
                        (void)pthread_cond_wait(&o->changed, &o->lock);
                else if (o->fetches > 0 && kc_clock_mono(NULL) < o->fetched + RETRY && !o->wanted)
                        wait_until(o, o->fetched + RETRY);
                else
                        fetch_once(o);
        }
        pthread_mutex_unlock(&o->lock);
        return NULL;
}

/* --- life */

int oidc_new(struct kc_loop *loop, const struct kc_clock *clock, struct kc_jwt_authenticator *take_config,
    struct oidc **ret, struct kc_error *err)
{
        struct oidc *o = KC_NEW(struct oidc);
        pthread_condattr_t attr;
        o->refs = 1;
        o->loop = loop;
        o->clock = clock;
        o->config = *take_config;
        *take_config = (struct kc_jwt_authenticator){0};
        pthread_mutex_init(&o->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&o->changed, &attr);
        pthread_condattr_destroy(&attr);
        const struct kc_http_client_opts ho = {
            .ca_pem = o->config.ca_pem, .user_agent = "kube-apiserver/" KUBEC_VERSION, .max_response = DOCUMENT_MAX};
        int r = kc_http_client_new(loop, &ho, &o->http, err);
        if (r == 0 && pthread_create(&o->thread, NULL, run, o) != 0)
                r = kc_error_set(err, EAGAIN, "cannot start a thread");
        if (r < 0) {
                oidc_unref(o);
                return r;
        }
        o->started = true;
        *ret = o;
        return 0;
}

struct oidc *oidc_ref(struct oidc *o)
{
        __atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
        return o;
}

static void free_http(void *arg)
{
        kc_http_client_free(arg);
}

void oidc_unref(struct oidc *o)
{
        if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        pthread_mutex_lock(&o->lock);
        o->stopping = true;
        (void)pthread_cond_broadcast(&o->changed);
        pthread_mutex_unlock(&o->lock);
        if (o->started)
                (void)pthread_join(o->thread, NULL); /* it is there, and ours */
        if (o->http)
                kc_loop_call(o->loop, free_http, o->http);
        keys_unref(o->keys);
        struct kc_authn_config config = {.jwt = kc_memdup(&o->config, sizeof(o->config)), .n_jwt = 1};
        kc_authn_config_done(&config);
        pthread_cond_destroy(&o->changed);
        pthread_mutex_destroy(&o->lock);
        kc_free(o);
}

const struct kc_jwt_authenticator *oidc_config(const struct oidc *o)
{
        return &o->config;
}

bool oidc_wait_ready(struct oidc *o, int64_t usec)
{
        kc_mono until = kc_clock_mono(NULL) + usec;
        pthread_mutex_lock(&o->lock);
        while (!o->keys && !o->stopping && kc_clock_mono(NULL) < until)
                wait_until(o, until);
        bool ready = o->keys != NULL;
        pthread_mutex_unlock(&o->lock);
        return ready;
}

/* --- tokens */

/* Newer keys than those, if they may be asked for. 1: there are; 0: there are not; -EWOULDBLOCK. */
static int refresh(struct oidc *o, bool may_block, uint64_t seen)
{
        int r = 1;
        pthread_mutex_lock(&o->lock);
        if (o->fetches == seen) {
                if (kc_clock_mono(NULL) < o->fetched + REFRESH_MIN)
                        r = 0;
                else if (!may_block)
                        r = -EWOULDBLOCK;
                else {
                        kc_mono until = kc_clock_mono(NULL) + WAIT_MAX;
                        o->wanted = true;
                        (void)pthread_cond_broadcast(&o->changed);
                        while (o->fetches == seen && !o->stopping && kc_clock_mono(NULL) < until)
                                wait_until(o, until);
                        r = o->fetches != seen;
                }
        }
        pthread_mutex_unlock(&o->lock);
        return r;
}

/* With the keys that are there now. */
static int verify_once(struct oidc *o, const char *token, char **ret, uint64_t *ret_seen, struct kc_error *err)
{
        pthread_mutex_lock(&o->lock);
        struct keys *k = keys_ref(o);
        *ret_seen = o->fetches;
        pthread_mutex_unlock(&o->lock);
        if (!k)
                return kc_error_set(
                    err, ENXIO, "oidc: authenticator for issuer \"%s\" is not initialized", o->config.url);
        int r = kc_jwt_verify_id_token(k->v, k->n, o->config.algs, token, ret, err);
        keys_unref(k);
        return r;
}

static int verify(struct oidc *o, const struct authn_token *t, char **ret, struct kc_error *err)
{
        uint64_t seen;
        int r = verify_once(o, t->text, ret, &seen, err);
        if (r == -ENOKEY) {
                int fresh = refresh(o, t->may_block, seen);
                if (fresh == -EWOULDBLOCK)
                        return fresh;
                if (fresh == 1)
                        r = verify_once(o, t->text, ret, &seen, err);
        }
        return r < 0 ? kc_error_wrap(err, "oidc: verify token") : 0;
}

int oidc_authenticate(struct oidc *o, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *claims = NULL;
        int r = verify(o, t, &text, err);
        if (r == 0)
                r = kc_json_parse(text, strlen(text), NULL, &claims, err);
        if (r == 0)
                r = oidc_check_claims(&o->config, claims, kc_clock_now(o->clock), err);
        if (r == 0)
                r = oidc_user(&o->config, claims, &ret->user, err);
        return r < 0 ? r : 1;
}
