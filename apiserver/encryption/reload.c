/* Follows the configuration's directory by inotify: files are replaced by renaming as often as they are written. On the
 * loop; a configuration is made there, too, which blocks for no longer than reading a file takes. */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "encryption/encryption.h"
#include "event/loop.h"

enum { SETTLE_MS = 200, CONFIG_MAX = 1 << 20 };

struct kc_encryption_reload {
        char *path, *etcd_prefix;
        struct kc_store *store;
        struct kc_buf content; /* of what is in use */
        int fd;
        struct kc_io *io;
        struct kc_timer *settle;
};

static void reload(void *arg)
{
        struct kc_encryption_reload *r = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_buf content = KC_BUF_INIT;
        struct kc_transforms *t = NULL;
        bool same = false;
        int e = kc_file_read(r->path, CONFIG_MAX, &content, &err);
        if (e == 0)
                same = content.len == r->content.len && memcmp(content.data, r->content.data, content.len) == 0;
        if (e == 0 && !same)
                e = kc_encryption_load(r->path, r->etcd_prefix, &t, &err);
        if (e < 0)
                kc_log_error(&err, "Cannot reload the encryption configuration, keeping the former one");
        if (!t) {
                kc_buf_done(&content);
                return;
        }
        kc_store_set_transforms(r->store, t);
        kc_buf_done(&r->content);
        r->content = content;
        kc_log_info("Reloaded the encryption configuration", "path", r->path);
}

static void on_change(int fd, int events, void *arg)
{
        struct kc_encryption_reload *r = arg;
        char buf[4096];
        (void)events; /* only reading is asked for */
        while (read(fd, buf, sizeof(buf)) > 0)
                ;
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
        kc_closep(&r->fd);
        kc_buf_done(&r->content);
        kc_free(r->path);
        kc_free(r->etcd_prefix);
        kc_free(r);
}
