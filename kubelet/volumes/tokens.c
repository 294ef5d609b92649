/* Service account tokens by TokenRequest, kept until they are worth renewing (upstream: pkg/kubelet/token). Any thread;
 * kc_tokens_get blocks. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/str.h"
#include "kubelet/volumes/volumes_internal.h"

#define MAX_AGE (24 * 3600 * KC_SEC)
#define MAX_JITTER (10 * KC_SEC)

struct token {
        char *text;
        kc_time expires, renew_at;
};

struct kc_tokens {
        struct kc_rest *rest;
        const struct kc_clock *clock;
        pthread_mutex_t mutex;
        struct kc_map *tokens; /* by "<pod uid>/<service account>/<expiration>/<audience>"; guarded by mutex */
};

static void token_free(void *p)
{
        struct token *t = p;
        kc_free_secret_str(t->text);
        kc_free(t);
}

struct kc_tokens *kc_tokens_new(struct kc_rest *rest, const struct kc_clock *clock)
{
        struct kc_tokens *t = KC_NEW(struct kc_tokens);
        t->rest = rest;
        t->clock = clock;
        pthread_mutex_init(&t->mutex, NULL);
        t->tokens = kc_map_new(token_free);
        return t;
}

void kc_tokens_free(struct kc_tokens *t)
{
        if (!t)
                return;
        kc_map_free(t->tokens);
        pthread_mutex_destroy(&t->mutex);
        kc_free(t);
}

/* old: one that still is valid will do. NULL: none. */
static char *recall(struct kc_tokens *t, const char *key, bool old)
{
        kc_time now = kc_clock_now(t->clock);
        pthread_mutex_lock(&t->mutex);
        const struct token *k = kc_map_get(t->tokens, key);
        char *text = k && now < (old ? k->expires : k->renew_at) ? kc_strdup(k->text) : NULL;
        pthread_mutex_unlock(&t->mutex);
        return text;
}

static void remember(struct kc_tokens *t, const char *key, const char *text, kc_time expires, int64_t life)
{
        struct token *k = KC_NEW(struct token);
        int64_t jitter = (int64_t)(kc_rand_double() * (double)MAX_JITTER);
        k->text = kc_strdup(text);
        k->expires = expires;
        k->renew_at = KC_MIN(expires - life / 5 - jitter, expires - life + MAX_AGE - jitter);
        pthread_mutex_lock(&t->mutex);
        (void)kc_map_set(t->tokens, key, k);
        pthread_mutex_unlock(&t->mutex);
}

static int request(struct kc_tokens *t, const struct json_object *pod, const char *account, const char *audience,
    int64_t expiration_seconds, const char *key, char **ret, struct kc_error *err)
{
        if (!t->rest)
                return kc_error_set(err, ENOTSUP, "cannot use TokenManager when kubelet is in standalone mode");
        struct json_object *audiences = json_object_new_array();
        if (*audience)
                kc_json_push_str(audiences, audience);
        KC_CLEANUP(kc_json_freep)
        struct json_object *body = kc_json_build(
            "{'kind':'TokenRequest','apiVersion':'authentication.k8s.io/v1','spec':{'audiences':%o,"
            "'expirationSeconds':%lld,'boundObjectRef':{'kind':'Pod','apiVersion':'v1','name':%s,'uid':%s}}}",
            audiences, (long long)expiration_seconds, kc_meta_name(pod), kc_meta_uid(pod));
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int r = kc_rest_create_sub(
            t->rest, &KC_SERVICEACCOUNTS, kc_meta_namespace(pod) ?: "default", account, "token", body, &answer, err);
        if (r < 0)
                return r;
        const char *text = kc_json_str_at(answer, "status.token");
        kc_time expires;
        if (!text || kc_time_parse(kc_json_str_at(answer, "status.expirationTimestamp") ?: "", &expires) < 0)
                return kc_error_set(err, EBADMSG, "the answer has no token or no time of expiration");
        remember(t, key, text, expires, kc_json_int_at(answer, "spec.expirationSeconds", expiration_seconds) * KC_SEC);
        *ret = kc_strdup(text);
        return 0;
}

int kc_tokens_get(struct kc_tokens *t, const struct json_object *pod, const char *audience, int64_t expiration_seconds,
    char **ret, struct kc_error *err)
{
        const char *account = kc_json_str_at(pod, "spec.serviceAccountName");
        if (kc_str_empty(account))
                account = "default";
        KC_CLEANUP(kc_freep)
        char *key =
            kc_asprintf("%s/%s/%lld/%s", kc_meta_uid(pod) ?: "", account, (long long)expiration_seconds, audience);
        *ret = recall(t, key, false);
        if (*ret)
                return 0;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int r = request(t, pod, account, audience, expiration_seconds, key, ret, &why);
        if (r == 0)
                return 0;
        *ret = recall(t, key, true);
        if (*ret) {
                kc_log_error(&why, "Couldn't update token, using the old one", "pod", kc_meta_name(pod));
                return 0;
        }
        kc_error_wrap(&why, "failed to fetch token");
        if (err)
                kc_error_move(err, &why);
        return r;
}

void kc_tokens_forget_pod(struct kc_tokens *t, const char *uid)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/", uid);
        size_t it = 0;
        const char *key;
        void *value;
        pthread_mutex_lock(&t->mutex);
        while (kc_map_next(t->tokens, &it, &key, &value))
                if (kc_str_has_prefix(key, prefix))
                        (void)kc_map_remove(t->tokens, key);
        pthread_mutex_unlock(&t->mutex);
}
