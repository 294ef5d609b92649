/* The Webhook authorizer (apiserver/plugin/pkg/authorizer/webhook of upstream). Asked on threads that may wait; the
 * connection is the loop's.
 *
 *   cache: hash of the review's spec -> answer, in order of use; those that are too old or too many go */
#include "auth/authz_webhook.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "auth/authz_internal.h"
#include "base/encode.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "client/rest.h"
#include "tls/tls.h"

enum { MAX_CACHED = 8192, MAX_CACHED_ATTRIBUTES = 10000, MAX_CACHED_REASON = 10000, TRIES = 5 };
#define BACKOFF (500 * KC_MSEC)
#define BACKOFF_FACTOR 1.5
#define BACKOFF_JITTER 0.2

struct answer {
        struct kc_list node; /* in used */
        char *key;
        enum kc_decision decision;
        char *reason;
        kc_mono until;
};

struct authz_webhook {
        char *name;
        struct authz_webhook_spec spec; /* kubeconfig is not kept */
        struct kc_rest *rest;
        pthread_mutex_t lock;
        pthread_cond_t closing; /* nobody signals it: a retry's pause waits with it */
        /* guarded by lock: */
        struct kc_map *cache;
        struct kc_list used; /* last used at the end */
};

static void answer_free(void *p)
{
        struct answer *a = p;
        kc_list_remove(&a->node);
        kc_free(a->key);
        kc_free(a->reason);
        kc_free(a);
}

/* --- the review */

static void set_unless_empty(struct json_object *o, const char *key, const char *value)
{
        if (!kc_str_empty(value))
                kc_json_set_str(o, key, value);
}

static struct json_object *strings(char *const *v)
{
        struct json_object *a = json_object_new_array();
        for (; v && *v; v++)
                kc_json_push_str(a, *v);
        return a;
}

static struct json_object *field_requirements(const struct kc_field_selector *s)
{
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < kc_field_selector_len(s); i++) {
                const char *field, *value;
                bool negated;
                kc_field_selector_at(s, i, &field, &negated, &value);
                kc_json_push(list,
                    kc_json_build("{'key':%s,'operator':%s,'values':[%s]}", field, negated ? "NotIn" : "In", value));
        }
        return list;
}

static struct json_object *resource_attributes(const struct kc_authz_attrs *a)
{
        struct json_object *o = json_object_new_object();
        set_unless_empty(o, "namespace", a->ns);
        set_unless_empty(o, "verb", a->verb);
        set_unless_empty(o, "group", a->group);
        set_unless_empty(o, "version", a->version);
        set_unless_empty(o, "resource", a->resource);
        set_unless_empty(o, "subresource", a->subresource);
        set_unless_empty(o, "name", a->name);
        if (a->field_selector && kc_field_selector_len(a->field_selector) > 0)
                kc_json_set(
                    o, "fieldSelector", kc_json_build("{'requirements':%o}", field_requirements(a->field_selector)));
        if (a->label_requirements && kc_json_len(a->label_requirements) > 0)
                kc_json_set(
                    o, "labelSelector", kc_json_build("{'requirements':%o}", kc_json_copy(a->label_requirements)));
        return o;
}

static struct json_object *review_spec(const struct authz_webhook *w, const struct kc_authz_attrs *a)
{
        struct json_object *spec = json_object_new_object();
        if (a->resource_request) {
                kc_json_set(spec, "resourceAttributes", resource_attributes(a));
        } else {
                struct json_object *o = json_object_new_object();
                set_unless_empty(o, "path", a->path);
                set_unless_empty(o, "verb", a->verb);
                kc_json_set(spec, "nonResourceAttributes", o);
        }
        set_unless_empty(spec, "user", a->user->name);
        set_unless_empty(spec, "uid", a->user->uid);
        if (a->user->groups && a->user->groups[0])
                kc_json_set(spec, strcmp(w->spec.version, "v1") == 0 ? "groups" : "group", strings(a->user->groups));
        for (size_t i = 0; i < a->user->n_extra; i++)
                kc_json_set(
                    kc_json_ensure_obj(spec, "extra"), a->user->extra[i].key, strings(a->user->extra[i].values));
        return spec;
}

/* --- memory */

/* Attributes that a client chooses freely may be long: those are not remembered. */
static bool may_be_remembered(const struct kc_authz_attrs *a)
{
        const char *const chosen[] = {
            a->ns, a->verb, a->group, a->version, a->resource, a->subresource, a->name, a->path};
        size_t n = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(chosen); i++)
                n += chosen[i] ? strlen(chosen[i]) : 0;
        return n < MAX_CACHED_ATTRIBUTES;
}

/* Users choose groups, extras and selectors as long as a body may be: the cache does not keep them. */
static char *key_of(const struct json_object *spec)
{
        unsigned char digest[32];
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(spec);
        kc_sha256(text, strlen(text), digest);
        return kc_hex_encode(digest, sizeof(digest));
}

static bool look_up(struct authz_webhook *w, const char *key, enum kc_decision *ret, char **ret_reason)
{
        bool found = false;
        pthread_mutex_lock(&w->lock);
        struct answer *a = kc_map_get(w->cache, key);
        if (a && a->until > kc_clock_mono(NULL)) {
                found = true;
                *ret = a->decision;
                *ret_reason = kc_strdup(a->reason);
                kc_list_remove(&a->node);
                kc_list_push_back(&w->used, &a->node);
        } else if (a) {
                (void)kc_map_remove(w->cache, key);
        }
        pthread_mutex_unlock(&w->lock);
        return found;
}

static void remember(struct authz_webhook *w, const char *key, enum kc_decision decision, const char *reason)
{
        bool allowed = decision == KC_ALLOW;
        if (allowed ? !w->spec.cache_authorized : !w->spec.cache_unauthorized)
                return;
        if (reason && strlen(reason) > MAX_CACHED_REASON)
                return;
        struct answer *a = KC_NEW(struct answer);
        kc_list_init(&a->node);
        a->key = kc_strdup(key);
        a->decision = decision;
        a->reason = kc_strdup(reason);
        a->until = kc_clock_mono(NULL) + (allowed ? w->spec.authorized_ttl : w->spec.unauthorized_ttl);
        pthread_mutex_lock(&w->lock);
        (void)kc_map_set(w->cache, key, a);
        kc_list_push_back(&w->used, &a->node);
        if (kc_map_len(w->cache) > MAX_CACHED) {
                KC_CLEANUP(kc_freep) char *oldest = kc_strdup(KC_LIST_FIRST(&w->used, struct answer, node)->key);
                (void)kc_map_remove(w->cache, oldest);
        }
        pthread_mutex_unlock(&w->lock);
}

bool authz_webhook_remembers(
    struct authz_webhook *w, const struct kc_authz_attrs *a, enum kc_decision *ret, char **ret_reason)
{
        if (!may_be_remembered(a))
                return false;
        KC_CLEANUP(kc_json_freep) struct json_object *spec = review_spec(w, a);
        KC_CLEANUP(kc_freep) char *key = key_of(spec);
        return look_up(w, key, ret, ret_reason);
}

/* --- asking */

static bool is_passing(const struct kc_error *err)
{
        return err->code == 429 || err->code == 500 || err->code == 504 || err->errnum == ECONNRESET;
}

static void pause_usec(struct authz_webhook *w, int64_t usec)
{
        kc_mono until = kc_clock_mono(NULL) + usec;
        const struct timespec t = {.tv_sec = (time_t)(until / KC_SEC), .tv_nsec = (long)(until % KC_SEC) * 1000};
        pthread_mutex_lock(&w->lock);
        while (kc_clock_mono(NULL) < until)
                (void)pthread_cond_timedwait(&w->closing, &w->lock, &t); /* the time is looked at again */
        pthread_mutex_unlock(&w->lock);
}

static int send_review(
    struct authz_webhook *w, const struct json_object *review, struct json_object **ret, struct kc_error *err)
{
        int64_t delay = BACKOFF;
        for (int i = 1;; i++) {
                int r = kc_rest_call(w->rest, "POST", "", "application/json", review, ret, err);
                if (r == 0 || i == TRIES || !is_passing(err))
                        return r;
                kc_log_v(
                    2, "Authorization webhook failed, retrying", "authorizer", w->name, "err", kc_error_message(err));
                kc_error_done(err);
                pause_usec(w, kc_jitter(delay, BACKOFF_JITTER));
                delay = (int64_t)((double)delay * BACKOFF_FACTOR);
        }
}

static int conclude(const struct json_object *answer, enum kc_decision *ret, char **ret_reason, struct kc_error *err)
{
        const struct json_object *status = kc_json_get(answer, "status");
        bool allowed = kc_json_bool(status, "allowed", false), denied = kc_json_bool(status, "denied", false);
        if (!status)
                return kc_error_set(err, EBADMSG, "the answer is no SubjectAccessReview with a status");
        if (allowed && denied) {
                *ret = KC_DENY;
                *ret_reason = kc_strdup("webhook subject access review returned both allow and deny response");
                return 0;
        }
        *ret = denied ? KC_DENY : allowed ? KC_ALLOW : KC_NO_OPINION;
        *ret_reason = kc_strdup(kc_json_str(status, "reason"));
        return 0;
}

enum kc_decision authz_webhook_ask(struct authz_webhook *w, const struct kc_authz_attrs *a, char **ret_reason)
{
        enum kc_decision d = KC_NO_OPINION;
        struct json_object *spec = review_spec(w, a);
        KC_CLEANUP(kc_freep) char *key = key_of(spec);
        KC_CLEANUP(kc_freep) char *version = kc_asprintf("authorization.k8s.io/%s", w->spec.version);
        KC_CLEANUP(kc_json_freep)
        struct json_object *review =
            kc_json_build("{'kind':'SubjectAccessReview','apiVersion':%s,'metadata':{},'spec':%o}", version, spec);
        if (may_be_remembered(a) && look_up(w, key, &d, ret_reason))
                return d;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = send_review(w, review, &answer, &err);
        if (r == 0)
                r = conclude(answer, &d, ret_reason, &err);
        if (r < 0) {
                kc_log_error(&err, "Failed to make webhook authorizer request", "authorizer", w->name);
                return w->spec.deny_on_failure ? KC_DENY : KC_NO_OPINION;
        }
        if (may_be_remembered(a))
                remember(w, key, d, *ret_reason);
        return d;
}

/* --- life */

struct making {
        struct authz_webhook *w;
        struct kc_loop *loop;
        const struct kc_client_config *config;
        int r;
        struct kc_error *err;
};

static void make_rest(void *arg)
{
        struct making *m = arg;
        const struct kc_rest_opts o = {
            .user_agent = "kube-apiserver/" KUBEC_VERSION, .timeout_ms = (int)(m->w->spec.timeout / KC_MSEC)};
        m->r = kc_rest_new(m->loop, m->config, &o, &m->w->rest, m->err);
}

int authz_webhook_new(struct kc_loop *loop, const char *name, const struct authz_webhook_spec *spec,
    struct authz_webhook **ret, struct kc_error *err)
{
        struct kc_client_config config = {0};
        int r = kc_client_config_for_daemon(spec->kubeconfig, &config, err);
        if (r < 0)
                return kc_error_wrap(err, "authorizer %s", name);
        struct authz_webhook *w = KC_NEW(struct authz_webhook);
        pthread_condattr_t attr;
        pthread_mutex_init(&w->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&w->closing, &attr);
        pthread_condattr_destroy(&attr);
        w->name = kc_strdup(name);
        w->spec = *spec;
        w->spec.kubeconfig = NULL;
        w->spec.version = kc_strdup(spec->version);
        w->cache = kc_map_new(answer_free);
        kc_list_init(&w->used);
        struct making m = {.w = w, .loop = loop, .config = &config, .err = err};
        if (kc_loop_in_thread(loop))
                make_rest(&m);
        else
                kc_loop_call(loop, make_rest, &m);
        kc_client_config_done(&config);
        if (m.r < 0) {
                authz_webhook_free(w);
                return kc_error_wrap(err, "authorizer %s", name);
        }
        *ret = w;
        return 0;
}

void authz_webhook_close(struct authz_webhook *w)
{
        kc_rest_close(w->rest);
}

void authz_webhook_free(struct authz_webhook *w)
{
        if (!w)
                return;
        kc_rest_free(w->rest);
        kc_map_free(w->cache);
        pthread_cond_destroy(&w->closing);
        pthread_mutex_destroy(&w->lock);
        kc_free(w->name);
        kc_free(w->spec.version);
        kc_free(w);
}
