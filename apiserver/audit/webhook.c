/* The webhook sink: POSTs audit.k8s.io/v1 EventLists to the server of a kubeconfig. It has a loop of its own, so that
 * what is buffered can still be sent while the apiserver ends. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "audit/sink.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "client/rest.h"

enum { TRIES = 5, TIMEOUT_MS = 30000, LAST_MS = 5000 };

#define BACKOFF_FACTOR 1.5
#define BACKOFF_JITTER 0.2

struct webhook {
        struct kc_audit_sink base;
        struct kc_loop *loop;
        struct kc_rest *rest;
        int64_t backoff;       /* usec */
        struct kc_timer *last; /* on the loop; of the process's last seconds */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool hurried; /* guarded by lock */
};

static struct kc_bytes *event_list(struct kc_bytes *const *events, size_t n)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":[");
        for (size_t i = 0; i < n; i++) {
                if (i)
                        kc_buf_addc(&b, ',');
                kc_buf_add(&b, kc_bytes_data(events[i]), kc_bytes_len(events[i]));
        }
        kc_buf_adds(&b, "]}");
        return kc_bytes_from_buf(&b);
}

/* No answer, or one that may be better next time. */
static bool is_passing(const struct kc_error *err)
{
        return err->code == 0 || err->code == 429 || err->code >= 500;
}

/* Until the time is over, or there is no more time. True: for another try after this one. */
static bool pause_usec(struct webhook *w, int64_t usec)
{
        kc_mono until = kc_clock_mono(NULL) + usec;
        const struct timespec t = {.tv_sec = (time_t)(until / KC_SEC), .tv_nsec = (long)(until % KC_SEC) * 1000};
        pthread_mutex_lock(&w->lock);
        while (!w->hurried && kc_clock_mono(NULL) < until)
                (void)pthread_cond_timedwait(&w->changed, &w->lock, &t); /* the time is looked at again */
        bool time_left = !w->hurried;
        pthread_mutex_unlock(&w->lock);
        return time_left;
}

static int webhook_write(struct kc_audit_sink *sink, struct kc_bytes *const *events, size_t n, struct kc_error *err)
{
        struct webhook *w = (struct webhook *)sink;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = event_list(events, n);
        int64_t delay = w->backoff;
        bool again = true;
        for (int i = 1;; i++) {
                int r = kc_rest_raw(w->rest, "POST", "", "application/json", "application/json", body, NULL, err);
                if (r == 0 || !again || i == TRIES || !is_passing(err))
                        return r;
                kc_log_v(2, "Audit webhook failed, retrying", "err", kc_error_message(err));
                kc_error_done(err);
                again = pause_usec(w, kc_jitter(delay, BACKOFF_JITTER));
                delay = (int64_t)((double)delay * BACKOFF_FACTOR);
        }
}

static void close_rest(void *arg)
{
        kc_rest_close(arg);
}

static void start_last(void *arg)
{
        struct webhook *w = arg;
        w->last = kc_timer_new(w->loop, close_rest, w->rest);
        kc_timer_arm(w->last, LAST_MS * KC_MSEC);
}

static void webhook_hurry(struct kc_audit_sink *sink)
{
        struct webhook *w = (struct webhook *)sink;
        pthread_mutex_lock(&w->lock);
        w->hurried = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
        kc_loop_post(w->loop, start_last, w);
}

static void webhook_free(struct kc_audit_sink *sink)
{
        struct webhook *w = (struct webhook *)sink;
        if (w->rest)
                kc_loop_call(w->loop, close_rest, w->rest);
        if (w->loop) {
                kc_loop_stop(w->loop);
                kc_loop_join(w->loop);
        }
        kc_timer_free(w->last);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
        kc_free(w);
}

static int connect_to(struct webhook *w, const struct kc_client_config *config, struct kc_error *err)
{
        const struct kc_rest_opts ro = {.user_agent = "kube-apiserver/" KUBEC_VERSION, .timeout_ms = TIMEOUT_MS};
        struct kc_loop *loop;
        int r = kc_loop_new("audit-webhook", &loop, err);
        if (r < 0)
                return r;
        r = kc_rest_new(loop, config, &ro, &w->rest, err);
        if (r == 0)
                r = kc_loop_start_thread(loop, err);
        if (r < 0) {
                kc_rest_free(w->rest);
                w->rest = NULL;
                kc_loop_free(loop);
                return r;
        }
        w->loop = loop;
        return 0;
}

int kc_audit_webhook_new(const struct kc_audit_opts *o, struct kc_audit_sink **ret, struct kc_error *err)
{
        struct kc_client_config config = {0};
        struct webhook *w = KC_NEW(struct webhook);
        w->base = (struct kc_audit_sink){
            .name = "webhook", .write = webhook_write, .hurry = webhook_hurry, .free = webhook_free};
        pthread_condattr_t attr;
        pthread_mutex_init(&w->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&w->changed, &attr);
        pthread_condattr_destroy(&attr);
        w->backoff = o->webhook_backoff;
        int r = kc_client_config_for_daemon(o->webhook_config, &config, err);
        if (r == 0)
                r = connect_to(w, &config, err);
        kc_client_config_done(&config);
        if (r < 0) {
                webhook_free(&w->base);
                return kc_error_wrap(err, "--audit-webhook-config-file");
        }
        *ret = &w->base;
        return 0;
}
