/* Follows the configuration's directory by inotify: files are replaced by renaming as often as they are written. On the
 * loop, but for the making of a configuration, which has a thread: its KMS plugins have to be well before it is used.
 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "encryption/encryption.h"
#include "event/loop.h"
#include "event/worker.h"

enum { SETTLE_MS = 200, RETRY_S = 5, CONFIG_MAX = 1 << 20 };

struct kc_encryption_reload {
        struct kc_loop *loop;
        char *path, *etcd_prefix;
        struct kc_store *store;
        struct kc_buf content; /* of what is in use */
        int fd;
        struct kc_io *io;
        struct kc_timer *settle;
        struct kc_pool *pool;    /* of one thread */
        struct attempt *attempt; /* under way; NULL: none */
        bool changed;            /* meanwhile */
};

/* A look at the file. */
struct attempt {
        struct kc_encryption_reload *of; /* NULL: nobody waits any more */
        struct kc_loop *loop;
        struct kc_buf content;
        struct kc_transforms *t; /* NULL: none, or nothing new */
        bool again;              /* the file is good, a plugin is not */
        struct kc_error err;
};

static void attempt_free(struct attempt *a)
{
        kc_buf_wipe(&a->content);
        kc_transforms_free(a->t);
        kc_error_done(&a->err);
        kc_free(a);
}

static void finish(void *arg)
{
        struct attempt *a = arg;
        struct kc_encryption_reload *r = a->of;
        if (r) {
                r->attempt = NULL;
                if (a->err.errnum)
                        kc_log_error(&a->err, "Cannot reload the encryption configuration, keeping the former one");
                if (a->t) {
                        kc_store_set_transforms(r->store, KC_TAKE(a->t));
                        kc_buf_wipe(&r->content);
                        r->content = a->content;
                        a->content = KC_BUF_INIT;
                        kc_log_info("Reloaded the encryption configuration", "path", r->path);
                }
                if (r->changed)
                        kc_timer_arm(r->settle, SETTLE_MS * KC_MSEC);
                else if (a->again)
                        kc_timer_arm(r->settle, RETRY_S * KC_SEC);
                r->changed = false;
        }
        attempt_free(a);
}

/* On the pool. What it reads of the reload does not change while an attempt is under way. */
static void attempt_run(void *arg)
{
        struct attempt *a = arg;
        const struct kc_encryption_reload *r = a->of;
        int e = kc_file_read(r->path, CONFIG_MAX, &a->content, &a->err);
        bool same = e == 0 && a->content.len == r->content.len &&
                    (!a->content.len || memcmp(a->content.data, r->content.data, a->content.len) == 0);
        if (e == 0 && !same)
                e = kc_encryption_load(r->path, r->etcd_prefix, &a->t, &a->err);
        if (e == 0 && a->t && kc_encryption_check(a->t, &a->err) < 0) {
                kc_transforms_free(KC_TAKE(a->t));
                a->again = true;
        }
        kc_loop_post(a->loop, finish, a);
}

static void reload(void *arg)
{
        struct kc_encryption_reload *r = arg;
        if (r->attempt) {
                r->changed = true;
                return;
        }
        struct attempt *a = KC_NEW(struct attempt);
        a->of = r;
        a->loop = r->loop;
        if (kc_pool_submit(r->pool, attempt_run, a) < 0) { /* no thread: it was refused before anything was done */
                attempt_free(a);
                kc_timer_arm(r->settle, RETRY_S * KC_SEC);
                return;
        }
        r->attempt = a;
}

static void on_change(int fd, int events, void *arg)
{
        struct kc_encryption_reload *r = arg;
        char buf[4096];
        (void)events; /* only reading is asked for */
        while (read(fd, buf, sizeof(buf)) > 0)
                ;
        /* Not put off by what else is written there. */
        if (!kc_timer_armed(r->settle))
                kc_timer_arm(r->settle, SETTLE_MS * KC_MSEC);
}

int kc_encryption_reload_new(struct kc_loop *loop, const char *path, const char *etcd_prefix, struct kc_store *store,
    struct kc_encryption_reload **ret, struct kc_error *err)
{
        const char *slash = strrchr(path, '/');
        KC_CLEANUP(kc_freep) char *dir = slash ? kc_strndup(path, KC_MAX((size_t)(slash - path), 1)) : kc_strdup(".");
        struct kc_encryption_reload *r = KC_NEW(struct kc_encryption_reload);
        r->path = kc_strdup(path);
        r->etcd_prefix = kc_strdup(etcd_prefix);
        r->store = store;
        r->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (r->fd < 0 || inotify_add_watch(r->fd, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0) {
                int e = kc_error_set(err, errno, "watch %s: %s", dir, strerror(errno));
                kc_encryption_reload_free(r);
                return e;
        }
        int e = kc_file_read(path, CONFIG_MAX, &r->content, err);
        if (e < 0) {
                kc_encryption_reload_free(r);
                return e;
        }
        r->loop = loop;
        r->pool = kc_pool_new("encryption", 1, 1);
        r->settle = kc_timer_new(loop, reload, r);
        r->io = kc_io_new(loop, r->fd, KC_IO_READ, on_change, r);
        *ret = r;
        return 0;
}

void kc_encryption_reload_free(struct kc_encryption_reload *r)
{
        if (!r)
                return;
        kc_io_free(r->io);
        kc_timer_free(r->settle);
        kc_pool_free(r->pool);
        if (r->attempt) /* its end is posted, or it is that of a loop which runs no more */
                r->attempt->of = NULL;
        kc_closep(&r->fd);
        kc_buf_wipe(&r->content);
        kc_free(r->path);
        kc_free(r->etcd_prefix);
        kc_free(r);
}
