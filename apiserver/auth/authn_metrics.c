/* Upstream's metrics of authentication. Any thread. */
#include <string.h>

#include "auth/authn_internal.h"
#include "base/str.h"
#include "daemon/metrics.h"

static struct {
        struct kc_metric *users, *attempts, *duration, *cache_requests, *cache_duration, *fetches, *fetching, *reloads;
        struct kc_metric *sa[AUTHN_SA_USES];
} m;

static const struct {
        const char *name, *help;
} sa_uses[AUTHN_SA_USES] = {
    [AUTHN_SA_LEGACY] = {"serviceaccount_legacy_tokens_total", "Cumulative legacy service account tokens used"},
    [AUTHN_SA_LEGACY_AUTO] = {"serviceaccount_legacy_auto_token_uses_total",
        "Cumulative auto-generated legacy tokens used"},
    [AUTHN_SA_LEGACY_MANUAL] = {"serviceaccount_legacy_manual_token_uses_total",
        "Cumulative manually created legacy tokens used"},
    [AUTHN_SA_INVALID_LEGACY_AUTO] = {"serviceaccount_invalid_legacy_auto_token_uses_total",
        "Cumulative invalid auto-generated legacy tokens used"},
    [AUTHN_SA_STALE] = {"serviceaccount_stale_tokens_total", "Cumulative stale projected service account tokens used"},
    [AUTHN_SA_VALID] = {"serviceaccount_valid_tokens_total", "Cumulative valid projected service account tokens used"},
};

void authn_metrics_init(void)
{
        static const char *const result[] = {"result", NULL}, *const status[] = {"status", NULL};
        static const double seconds[] = {
            0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
        static const double plain[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
        m.users = kc_metric_counter("authenticated_user_requests",
            "Counter of authenticated requests broken out by username.", (const char *const[]){"username", NULL});
        m.attempts = kc_metric_counter("authentication_attempts", "Counter of authenticated attempts.", result);
        m.duration = kc_metric_histogram("authentication_duration_seconds",
            "Authentication duration in seconds broken out by result.", result, seconds, KC_ARRAY_LEN(seconds));
        m.cache_requests = kc_metric_counter("authentication_token_cache_request_total", "", status);
        m.cache_duration = kc_metric_histogram(
            "authentication_token_cache_request_duration_seconds", "", status, plain, KC_ARRAY_LEN(plain));
        m.fetches = kc_metric_counter("authentication_token_cache_fetch_total", "", status);
        for (size_t i = 0; i < AUTHN_SA_USES; i++)
                m.sa[i] = kc_metric_counter(sa_uses[i].name, sa_uses[i].help, NULL);
        m.reloads = kc_metric_counter("apiserver_authentication_config_controller_automatic_reloads_total",
            "Total number of automatic reloads of authentication configuration split by status.", status);
        m.fetching = kc_metric_gauge("authentication_token_cache_active_fetch_count", "", status);
}

/* Upstream's few names: users are not to make series. */
static const char *compressed(const char *name)
{
        static const char *const known[] = {
            "admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"};
        for (size_t i = 0; i < KC_ARRAY_LEN(known); i++)
                if (strcmp(name, known[i]) == 0)
                        return known[i];
        return strchr(name, '@') ? "email_id" : "other";
}

void authn_count_attempt(enum authn_outcome outcome, int64_t usec, const struct kc_user *u)
{
        static const char *const results[] = {"success", "failure", "error"};
        if (u)
                kc_metric_add(m.users, 1, KC_LABELS(compressed(u->name)));
        kc_metric_add(m.attempts, 1, KC_LABELS(results[outcome]));
        kc_metric_observe(m.duration, (double)usec / (double)KC_SEC, KC_LABELS(results[outcome]));
}

void authn_count_sa_token(enum authn_sa_use use)
{
        kc_metric_add(m.sa[use], 1, NULL);
}

void authn_count_fetching(const char *status, int delta)
{
        kc_metric_add(m.fetching, delta, KC_LABELS(status));
}

void authn_count_fetched(bool ok)
{
        kc_metric_add(m.fetches, 1, KC_LABELS(ok ? "ok" : "error"));
}

void authn_count_cached(bool hit, int64_t usec)
{
        const char *status = hit ? "hit" : "miss";
        kc_metric_add(m.cache_requests, 1, KC_LABELS(status));
        kc_metric_observe(m.cache_duration, (double)usec / (double)KC_SEC, KC_LABELS(status));
}

void authn_count_reload(bool ok)
{
        kc_metric_add(m.reloads, 1, KC_LABELS(ok ? "success" : "failure"));
}
