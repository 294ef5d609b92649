/* Tokens that a webhook is asked about by TokenReviews (--authentication-token-webhook-config-file). A call takes at
 * most TIMEOUT_MS and is tried again, with growing pauses, when the failure may be a passing one. Any thread but the
 * loop's; blocks. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "auth/authn_internal.h"
#include "base/rand.h"
#include "base/str.h"
#include "client/rest.h"

enum { TRIES = 5, TIMEOUT_MS = 10000 };
#define BACKOFF (500 * KC_MSEC)
#define BACKOFF_FACTOR 1.5
#define BACKOFF_JITTER 0.2

struct authn_webhook {
        struct kc_loop *loop;
        struct kc_rest *rest;
        char *version;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool stopping; /* guarded by lock */
};

/* False: it is over. */
static bool pause_usec(struct authn_webhook *w, int64_t usec)
{
        kc_mono until = kc_clock_mono(NULL) + usec;
        const struct timespec t = {.tv_sec = (time_t)(until / KC_SEC), .tv_nsec = (long)(until % KC_SEC) * 1000};
        pthread_mutex_lock(&w->lock);
        while (!w->stopping && kc_clock_mono(NULL) < until)
                (void)pthread_cond_timedwait(&w->changed, &w->lock, &t); /* the time is looked at again */
        bool go_on = !w->stopping;
        pthread_mutex_unlock(&w->lock);
        return go_on;
}

static struct kc_bytes *question(const struct authn_webhook *w, const struct authn_token *t)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_asprintf("authentication.k8s.io/%s", w->version);
        KC_CLEANUP(kc_json_freep)
        struct json_object *review =
            kc_json_build("{'kind':'TokenReview','apiVersion':%s,'metadata':{'creationTimestamp':null},"
                          "'spec':{'token':%s},'status':{'user':{}}}",
                api_version, t->text);
        struct json_object *spec = kc_json_get_mut(review, "spec");
        for (size_t i = 0; t->audiences && t->audiences[i]; i++)
                kc_json_push_str(kc_json_ensure_arr(spec, "audiences"), t->audiences[i]);
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, review);
        return kc_bytes_from_buf(&b);
}

/* As upstream's DefaultShouldRetry. */
static bool is_passing(const struct kc_error *err)
{
        return err->errnum == ECONNRESET || err->code == 429 || err->code == 500 || err->code == 504 ||
               kc_error_is(err, KC_REASON_TIMEOUT) || kc_error_is(err, KC_REASON_SERVER_TIMEOUT);
}

static int ask(struct authn_webhook *w, struct kc_bytes *body, struct kc_bytes **ret, struct kc_error *err)
{
        int64_t delay = BACKOFF;
        for (int i = 1;; i++) {
                int r = kc_rest_raw(w->rest, "POST", "", "application/json", "application/json", body, ret, err);
                if (r == 0 || i == TRIES || !is_passing(err) || !pause_usec(w, kc_jitter(delay, BACKOFF_JITTER)))
                        return r < 0 ? kc_error_wrap(err, "Failed to make webhook authenticator request") : 0;
                kc_error_done(err);
                delay = (int64_t)((double)delay * BACKOFF_FACTOR);
        }
}

static char **strings_of(const struct json_object *list)
{
        char **v = NULL;
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_json_as_str(kc_json_idx(list, i)))
                        kc_strv_push(&v, kc_json_as_str(kc_json_idx(list, i)));
        return v;
}

static struct kc_user *user_of(const struct json_object *o)
{
        const char *name = kc_json_str(o, "username");
        KC_CLEANUP(kc_strv_freep) char **groups = strings_of(kc_json_get(o, "groups"));
        struct kc_user *u = kc_user_new(name ? name : "", kc_json_str(o, "uid"), groups);
        const struct json_object *extra = kc_json_get(o, "extra");
        KC_JSON_FOREACH(extra, key, values)
        {
                KC_CLEANUP(kc_strv_freep) char **list = strings_of(values);
                for (char **v = list; v && *v; v++)
                        kc_user_add_extra(u, key, *v);
        }
        return u;
}

static int read_answer(
    const struct json_object *status, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const char *why = kc_json_str(status, "error");
        KC_CLEANUP(kc_strv_freep) char **got = strings_of(kc_json_get(status, "audiences"));
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(t->audiences, got ? got : t->audiences);
        if (kc_strv_len(t->audiences) > 0 && kc_strv_len(both) == 0)
                return 0;
        if (!kc_json_bool(status, "authenticated", false))
                return kc_str_empty(why) ? 0 : kc_error_set(err, EACCES, "%.1024s", why);
        ret->user = user_of(kc_json_get(status, "user"));
        ret->audiences = KC_TAKE(both);
        return 1;
}

static int authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        struct authn_webhook *w = self;
        if (!t->may_block)
                return -EWOULDBLOCK;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = question(w, t);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *answer = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *review = NULL;
        int r = ask(w, body, &answer, err);
        if (r == 0)
                r = kc_json_parse(kc_bytes_data(answer), kc_bytes_len(answer), NULL, &review, err);
        if (r < 0)
                return r;
        return read_answer(kc_json_get(review, "status"), t, ret, err);
}

static void close_rest(void *arg)
{
        kc_rest_close(arg);
}

void authn_webhook_stop(struct authn_webhook *w)
{
        pthread_mutex_lock(&w->lock);
        w->stopping = true;
        (void)pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        if (w->rest)
                kc_loop_call(w->loop, close_rest, w->rest);
}

static void free_rest(void *arg)
{
        kc_rest_free(arg);
}

static void webhook_free(void *self)
{
        struct authn_webhook *w = self;
        authn_webhook_stop(w);
        if (w->rest)
                kc_loop_call(w->loop, free_rest, w->rest);
        kc_free(w->version);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
        kc_free(w);
}

int authn_webhook_new(const struct kc_authn_opts *o, struct kc_loop *loop, struct authn_webhook **ret_self,
    struct authn_method *ret, struct kc_error *err)
{
        struct kc_client_config config = {0};
        pthread_condattr_t attr;
        struct authn_webhook *w = KC_NEW(struct authn_webhook);
        w->loop = loop;
        w->version = kc_strdup(kc_str_empty(o->webhook_version) ? "v1beta1" : o->webhook_version);
        pthread_mutex_init(&w->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&w->changed, &attr);
        pthread_condattr_destroy(&attr);
        const struct kc_rest_opts ro = {.user_agent = "kube-apiserver/" KUBEC_VERSION, .timeout_ms = TIMEOUT_MS};
        int r = kc_client_config_for_daemon(o->webhook_config, &config, err);
        if (r == 0)
                r = kc_rest_new(loop, &config, &ro, &w->rest, err);
        kc_client_config_done(&config);
        if (r < 0) {
                webhook_free(w);
                return kc_error_wrap(err, "--authentication-token-webhook-config-file");
        }
        const struct authn_cache_opts co = {
            .inner = {.authenticate = authenticate, .free = webhook_free, .self = w},
            .clock = o->clock,
            .success_ttl = o->webhook_cache_ttl,
            .failure_ttl = o->webhook_cache_ttl,
        };
        authn_cached_new(&co, ret);
        *ret_self = w;
        return 0;
}
