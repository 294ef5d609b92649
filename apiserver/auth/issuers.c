/* The issuers that are trusted now, and who may be nobody: what --oidc-* or the file of --authentication-config say. A
 * thread follows the file; a changed one is used when it is good and the keys of its new issuers are there. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "auth/oidc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

enum { CONFIG_MAX = 4 << 20, LOOK_MS = 60000, SETTLE_MS = 100 };
#define READY_MAX (60 * KC_SEC)

/* Immutable. */
struct set {
        int refs; /* atomic */
        struct oidc **v;
        size_t n;
        bool anonymous;
        char **anonymous_paths;
};

struct authn_issuers {
        struct kc_loop *loop;
        const struct kc_clock *clock;
        char **service_account_issuers, *path;
        bool anonymous_flag;
        struct kc_buf content; /* of the file that is in use; the thread's */
        pthread_t thread;
        bool started;
        int inotify, stop;
        pthread_mutex_t lock;
        struct set *set; /* guarded by lock */
};

static void set_unref(struct set *s)
{
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        for (size_t i = 0; i < s->n; i++)
                oidc_unref(s->v[i]);
        kc_free(s->v);
        kc_strv_free(s->anonymous_paths);
        kc_free(s);
}

static struct set *set_of(struct authn_issuers *s)
{
        pthread_mutex_lock(&s->lock);
        struct set *now = s->set;
        if (now)
                __atomic_add_fetch(&now->refs, 1, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&s->lock);
        return now;
}

/* An issuer that stays keeps its keys. */
static struct oidc *find_same(const struct set *old, const struct kc_jwt_authenticator *config)
{
        for (size_t i = 0; old && i < old->n; i++)
                if (kc_jwt_authenticator_equal(oidc_config(old->v[i]), config))
                        return oidc_ref(old->v[i]);
        return NULL;
}

static int make_set(
    struct authn_issuers *s, struct kc_authn_config *c, const struct set *old, struct set **ret, struct kc_error *err)
{
        struct set *n = KC_NEW(struct set);
        int r = 0;
        n->refs = 1;
        n->anonymous = c->has_anonymous ? c->anonymous : s->anonymous_flag;
        n->anonymous_paths = kc_strv_len(c->anonymous_paths) > 0 ? KC_TAKE(c->anonymous_paths) : NULL;
        n->v = kc_calloc(c->n_jwt + 1, sizeof(struct oidc *));
        for (; r == 0 && n->n < c->n_jwt; n->n++) {
                n->v[n->n] = find_same(old, &c->jwt[n->n]);
                if (!n->v[n->n])
                        r = oidc_new(s->loop, s->clock, &c->jwt[n->n], &n->v[n->n], err);
                if (r < 0)
                        break;
        }
        if (r < 0)
                set_unref(n);
        else
                *ret = n;
        return r;
}

static void put_set(struct authn_issuers *s, struct set *take_new)
{
        pthread_mutex_lock(&s->lock);
        struct set *old = s->set;
        s->set = take_new;
        pthread_mutex_unlock(&s->lock);
        set_unref(old);
}

/* --- following the file */

static bool stopped(struct authn_issuers *s)
{
        struct pollfd p = {.fd = s->stop, .events = POLLIN};
        return poll(&p, 1, 0) > 0;
}

static bool wait_ready(struct authn_issuers *s, const struct set *n, struct kc_error *err)
{
        kc_mono until = kc_clock_mono(NULL) + READY_MAX;
        for (size_t i = 0; i < n->n; i++) {
                while (!oidc_wait_ready(n->v[i], KC_SEC)) {
                        if (stopped(s))
                                return false;
                        if (kc_clock_mono(NULL) < until)
                                continue;
                        (void)kc_error_set(
                            err, ETIMEDOUT, "the keys of issuer \"%s\" cannot be fetched", oidc_config(n->v[i])->url);
                        return false;
                }
        }
        return true;
}

static void reload(struct authn_issuers *s)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_authn_config_done) struct kc_authn_config c = {0};
        struct set *fresh = NULL, *old = set_of(s);
        int r = kc_file_read(s->path, CONFIG_MAX, &text, &err);
        bool same = r == 0 && text.len == s->content.len && strcmp(kc_buf_str(&text), kc_buf_str(&s->content)) == 0;
        if (r == 0 && !same)
                r = kc_authn_config_parse(kc_buf_str(&text), text.len, s->service_account_issuers, &c, &err);
        if (r == 0 && !same)
                r = make_set(s, &c, old, &fresh, &err);
        if (fresh && wait_ready(s, fresh, &err)) {
                put_set(s, KC_TAKE(fresh));
                kc_buf_done(&s->content);
                s->content = text;
                text = KC_BUF_INIT;
                kc_log_info("reloaded authentication config", "path", s->path);
        }
        set_unref(fresh);
        set_unref(old);
        if (err.errnum)
                kc_log_error(&err, "failed to load the authentication config, keeping the former one", "path", s->path);
        if (!same)
                authn_count_reload(err.errnum == 0);
}

static void *run(void *arg)
{
        struct authn_issuers *s = arg;
        struct pollfd p[] = {{.fd = s->stop, .events = POLLIN}, {.fd = s->inotify, .events = POLLIN}};
        char events[4096];
        for (;;) {
                /* A look now and then finds also what inotify does not tell, of a file system over the network. */
                if (poll(p, 2, LOOK_MS) < 0 && errno != EINTR)
                        return NULL;
                if (p[0].revents)
                        return NULL;
                /* A file that is written in several steps is read once. What else is written there puts nothing off. */
                if (poll(p, 1, SETTLE_MS) > 0)
                        return NULL;
                while (read(s->inotify, events, sizeof(events)) > 0)
                        ;
                reload(s);
        }
}

static int follow(struct authn_issuers *s, struct kc_error *err)
{
        const char *slash = strrchr(s->path, '/');
        KC_CLEANUP(kc_freep)
        char *dir = slash ? kc_strndup(s->path, KC_MAX((size_t)(slash - s->path), 1)) : kc_strdup(".");
        s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (s->stop < 0 || s->inotify < 0 ||
            inotify_add_watch(s->inotify, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0)
                return kc_error_set(err, errno, "watch %s: %s", dir, strerror(errno));
        if (pthread_create(&s->thread, NULL, run, s) != 0)
                return kc_error_set(err, EAGAIN, "cannot start a thread");
        s->started = true;
        return 0;
}

/* --- life */

static int load(struct authn_issuers *s, const struct kc_authn_opts *o, struct kc_error *err)
{
        KC_CLEANUP(kc_authn_config_done) struct kc_authn_config c = {0};
        int r;
        if (s->path) {
                r = kc_file_read(s->path, CONFIG_MAX, &s->content, err);
                if (r == 0)
                        r = kc_authn_config_parse(
                            kc_buf_str(&s->content), s->content.len, s->service_account_issuers, &c, err);
                if (r < 0)
                        return kc_error_wrap(err, "--authentication-config");
        } else {
                r = o->oidc ? kc_authn_config_of_flags(o->oidc, s->service_account_issuers, &c, err) : 0;
        }
        if (r == 0 && c.has_anonymous && o->anonymous_given)
                r = kc_error_set(err, EINVAL,
                    "--anonymous-auth flag cannot be set when anonymous field is configured in authentication "
                    "configuration file");
        struct set *set = NULL;
        if (r == 0)
                r = make_set(s, &c, NULL, &set, err);
        if (r < 0)
                return r;
        s->set = set;
        return s->path ? follow(s, err) : 0;
}

int authn_issuers_new(
    const struct kc_authn_opts *o, struct kc_loop *loop, struct authn_issuers **ret, struct kc_error *err)
{
        struct authn_issuers *s = KC_NEW(struct authn_issuers);
        s->loop = loop;
        s->clock = o->clock;
        s->inotify = s->stop = -1;
        s->service_account_issuers = kc_strv_copy(o->service_account_issuers);
        s->path = kc_str_empty(o->config_file) ? NULL : kc_strdup(o->config_file);
        s->anonymous_flag = o->anonymous;
        pthread_mutex_init(&s->lock, NULL);
        int r = load(s, o, err);
        if (r < 0) {
                authn_issuers_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void authn_issuers_free(struct authn_issuers *s)
{
        if (!s)
                return;
        if (s->started) {
                (void)eventfd_write(s->stop, 1); /* cannot be full */
                (void)pthread_join(s->thread, NULL);
        }
        kc_closep(&s->inotify);
        kc_closep(&s->stop);
        set_unref(s->set);
        kc_buf_done(&s->content);
        kc_strv_free(s->service_account_issuers);
        kc_free(s->path);
        pthread_mutex_destroy(&s->lock);
        kc_free(s);
}

bool authn_issuers_anonymous(struct authn_issuers *s, const char *path)
{
        struct set *now = set_of(s);
        bool yes = now->anonymous && (!now->anonymous_paths || (path && kc_strv_has(now->anonymous_paths, path)));
        set_unref(now);
        return yes;
}

int authn_issuers_token(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        struct authn_issuers *s = self;
        struct set *now = set_of(s);
        KC_CLEANUP(kc_freep) char *issuer = now->n > 0 ? authn_claimed_issuer(t->text) : NULL;
        int r = 0;
        for (size_t i = 0; issuer && i < now->n; i++)
                if (strcmp(oidc_config(now->v[i])->url, issuer) == 0) {
                        r = oidc_authenticate(now->v[i], t, ret, err);
                        break;
                }
        set_unref(now);
        return r;
}
