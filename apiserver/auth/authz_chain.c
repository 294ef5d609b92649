/* Chains of authorizers, and their reload: the directory of the configuration file is followed by inotify, because
 * files are replaced by renaming as often as they are written. Questions on any thread, the rest on the chains' own
 * loop. */
#include "auth/authz_chain.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "event/loop.h"

enum { SETTLE_MS = 200, CONFIG_MAX = 1 << 20 };

struct authz_chains {
        pthread_mutex_t lock;
        struct authz_chain *current; /* guarded by lock */
        struct kc_loop *loop;        /* NULL: no webhooks, no file */
        bool started;
        char *file;
        struct kc_buf text; /* on the loop: of what is in use */
        int fd;
        struct kc_io *io;
        struct kc_timer *settle;
};

/* --- one chain; on the loop */

static void chain_free(void *arg)
{
        struct authz_chain *c = arg;
        for (size_t i = 0; i < c->specs.n; i++)
                authz_webhook_free(c->webhooks[i]);
        kc_free(c->webhooks);
        authz_specs_done(&c->specs);
        kc_free(c);
}

static int chain_new(
    struct kc_loop *loop, struct authz_specs *take_specs, struct authz_chain **ret, struct kc_error *err)
{
        struct authz_chain *c = KC_NEW(struct authz_chain);
        c->specs = *take_specs;
        *take_specs = (struct authz_specs){0};
        c->refs = 1;
        c->webhooks = kc_calloc(c->specs.n + 1, sizeof(struct authz_webhook *));
        for (size_t i = 0; i < c->specs.n; i++) {
                const struct authz_spec *s = &c->specs.v[i];
                if (s->mode != AUTHZ_WEBHOOK)
                        continue;
                int r = authz_webhook_new(loop, s->name, &s->webhook, &c->webhooks[i], err);
                if (r < 0) {
                        chain_free(c);
                        return r;
                }
                c->n_webhooks++;
        }
        *ret = c;
        return 0;
}

struct authz_chain *authz_chains_get(struct authz_chains *c)
{
        pthread_mutex_lock(&c->lock);
        struct authz_chain *chain = c->current;
        __atomic_add_fetch(&chain->refs, 1, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&c->lock);
        return chain;
}

void authz_chains_put(struct authz_chains *c, struct authz_chain *chain)
{
        if (__atomic_sub_fetch(&chain->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        if (c->started)
                kc_loop_post(c->loop, chain_free, chain);
        else
                chain_free(chain);
}

/* --- the file; on the loop */

int authz_chains_read(const char *file, struct kc_buf *ret_text, struct authz_specs *ret, struct kc_error *err)
{
        int r = kc_file_read(file, CONFIG_MAX, ret_text, err);
        if (r == 0)
                r = authz_specs_parse(kc_buf_str(ret_text), ret_text->len, ret, err);
        return r < 0 ? kc_error_wrap(err, "--authorization-config: %s", file) : 0;
}

static bool has_mode(const struct authz_specs *s, enum authz_mode mode)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->v[i].mode == mode)
                        return true;
        return false;
}

/* What has an index or a file of its own is there from the start or never. */
static int check_same_modes(const struct authz_chains *c, const struct authz_specs *s, struct kc_error *err)
{
        static const enum authz_mode fixed[] = {
            AUTHZ_NODE, AUTHZ_RBAC, AUTHZ_ABAC, AUTHZ_ALWAYS_ALLOW, AUTHZ_ALWAYS_DENY};
        for (size_t i = 0; i < KC_ARRAY_LEN(fixed); i++)
                if (has_mode(&c->current->specs, fixed[i]) != has_mode(s, fixed[i]))
                        return kc_error_set(err, EINVAL,
                            "authorizer type %s must not be added or removed while the server runs",
                            authz_mode_names[fixed[i]]);
        return 0;
}

static int load(struct authz_chains *c, bool *ret_same, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(authz_specs_done) struct authz_specs specs = {0};
        struct authz_chain *chain = NULL;
        int r = kc_file_read(c->file, CONFIG_MAX, &text, err);
        *ret_same = r == 0 && text.len == c->text.len && memcmp(text.data, c->text.data, text.len) == 0;
        if (r < 0 || *ret_same)
                return r;
        r = authz_specs_parse(kc_buf_str(&text), text.len, &specs, err);
        if (r == 0)
                r = check_same_modes(c, &specs, err);
        if (r == 0)
                r = chain_new(c->loop, &specs, &chain, err);
        if (r < 0)
                return r;
        pthread_mutex_lock(&c->lock);
        struct authz_chain *old = c->current;
        c->current = chain;
        pthread_mutex_unlock(&c->lock);
        authz_chains_put(c, old);
        kc_buf_done(&c->text);
        c->text = text;
        text = KC_BUF_INIT;
        return 0;
}

static void reload(void *arg)
{
        struct authz_chains *c = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        bool same = false;
        if (load(c, &same, &err) < 0)
                kc_log_error(
                    &err, "Cannot reload the authorization configuration, keeping the former one", "path", c->file);
        else if (!same)
                kc_log_info("Reloaded the authorization configuration", "path", c->file);
}

static void on_change(int fd, int events, void *arg)
{
        struct authz_chains *c = arg;
        char buf[4096];
        (void)events; /* only reading is asked for */
        while (read(fd, buf, sizeof(buf)) > 0)
                ;
        /* Not put off by what else is written there. */
        if (!kc_timer_armed(c->settle))
                kc_timer_arm(c->settle, SETTLE_MS * KC_MSEC);
}

static int follow(struct authz_chains *c, struct kc_error *err)
{
        const char *slash = strrchr(c->file, '/');
        KC_CLEANUP(kc_freep)
        char *dir = slash ? kc_strndup(c->file, KC_MAX((size_t)(slash - c->file), 1)) : kc_strdup(".");
        c->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (c->fd < 0 || inotify_add_watch(c->fd, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0)
                return kc_error_set(err, errno, "watch %s: %s", dir, strerror(errno));
        int r = kc_file_read(c->file, CONFIG_MAX, &c->text, err);
        if (r < 0)
                return r;
        c->settle = kc_timer_new(c->loop, reload, c);
        c->io = kc_io_new(c->loop, c->fd, KC_IO_READ, on_change, c);
        return 0;
}

/* --- life */

static int start_loop(struct authz_chains *c, struct kc_error *err)
{
        int r = kc_loop_new("authz", &c->loop, err);
        if (r == 0 && c->file)
                r = follow(c, err);
        if (r == 0)
                r = kc_loop_start_thread(c->loop, err);
        c->started = r == 0;
        return r;
}

int authz_chains_new(
    struct authz_specs *take_specs, const char *config_file, struct authz_chains **ret, struct kc_error *err)
{
        struct authz_chains *c = KC_NEW(struct authz_chains);
        pthread_mutex_init(&c->lock, NULL);
        c->fd = -1;
        c->file = kc_strdup(config_file);
        int r = config_file || has_mode(take_specs, AUTHZ_WEBHOOK) ? start_loop(c, err) : 0;
        if (r == 0)
                r = chain_new(c->loop, take_specs, &c->current, err);
        if (r < 0) {
                authz_chains_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static void close_webhooks(void *arg)
{
        struct authz_chains *c = arg;
        kc_timer_free(KC_TAKE(c->settle));
        kc_io_free(KC_TAKE(c->io));
        for (size_t i = 0; c->current && i < c->current->specs.n; i++)
                if (c->current->webhooks[i])
                        authz_webhook_close(c->current->webhooks[i]);
}

void authz_chains_close(struct authz_chains *c)
{
        if (c->started)
                kc_loop_call(c->loop, close_webhooks, c);
}

void authz_chains_free(struct authz_chains *c)
{
        if (!c)
                return;
        authz_chains_close(c);
        if (c->started) {
                kc_loop_stop(c->loop);
                kc_loop_join(c->loop);
        }
        c->started = false;
        kc_timer_free(c->settle);
        kc_io_free(c->io);
        if (c->current)
                chain_free(c->current);
        if (c->loop)
                kc_loop_flush(c->loop); /* chains that were replaced are still posted, maybe */
        kc_loop_free(c->loop);
        kc_closep(&c->fd);
        kc_buf_done(&c->text);
        kc_free(c->file);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}
