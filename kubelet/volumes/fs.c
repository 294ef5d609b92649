/* Directories and tmpfs mounts of volumes, and their ownership. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/quantity.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/volumes/volumes_internal.h"

bool kc_volume_is_mount(const char *path)
{
        struct statx st;
        return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
               (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int kc_volume_make_dir(const struct kc_volume_ctx *c, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *parent = kc_strdup(c->dir);
        *strrchr(parent, '/') = '\0';
        int r = kc_mkdir_p(parent, 0750, err);
        if (r < 0)
                return r;
        if (mkdir(c->dir, 0777) < 0 && errno != EEXIST)
                return kc_error_set(err, errno, "mkdir %s: %s", c->dir, strerror(errno));
        /* mkdir's mode went through our umask. What fsGroup has added stays. */
        struct stat st;
        if (lstat(c->dir, &st) < 0 || ((st.st_mode & 0777) != 0777 && chmod(c->dir, (st.st_mode & 07777) | 0777) < 0))
                return kc_error_set(err, errno, "chmod %s: %s", c->dir, strerror(errno));
        return 0;
}

static int64_t bytes_of(const struct json_object *list)
{
        struct kc_quantity q;
        const char *s = kc_json_str(list, "memory");
        return s && kc_quantity_parse(s, &q) == 0 ? kc_quantity_value(&q) : 0;
}

int64_t kc_volume_memory(const struct kc_volume_ctx *c)
{
        int64_t allocatable = bytes_of(c->facts->allocatable), limits = 0;
        const struct json_object *list = kc_json_at(c->pod, "spec.containers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                int64_t limit = bytes_of(kc_json_at(kc_json_idx(list, i), "resources.limits"));
                if (limit == 0)
                        return allocatable;
                limits += limit;
        }
        return limits > 0 && (allocatable == 0 || limits < allocatable) ? limits : allocatable;
}

int kc_volume_make_tmpfs(const struct kc_volume_ctx *c, int64_t size, struct kc_error *err)
{
        if (kc_volume_is_mount(c->dir))
                return 0;
        int r = kc_volume_make_dir(c, err);
        if (r < 0)
                return r;
        if (size == 0)
                size = kc_volume_memory(c);
        KC_CLEANUP(kc_freep) char *options = size > 0 ? kc_asprintf("size=%lld", (long long)size) : kc_strdup("");
        /* What is secret stays out of swap, where the kernel (6.4) can do that. */
        KC_CLEANUP(kc_freep) char *noswap = kc_asprintf("%s%snoswap", options, *options ? "," : "");
        if (mount("tmpfs", c->dir, "tmpfs", 0, noswap) < 0 &&
            (errno != EINVAL || mount("tmpfs", c->dir, "tmpfs", 0, options) < 0))
                return kc_error_set(err, errno, "mount tmpfs on %s: %s", c->dir, strerror(errno));
        return 0;
}

static int own_one(const FTSENT *e, gid_t gid, bool read_only)
{
        if (lchown(e->fts_accpath, (uid_t)-1, gid) < 0)
                return -errno;
        if (S_ISLNK(e->fts_statp->st_mode))
                return 0;
        mode_t mode = e->fts_statp->st_mode & 07777;
        mode |= read_only ? 0440 : 0660;
        if (S_ISDIR(e->fts_statp->st_mode))
                mode |= S_ISGID | 0110;
        return chmod(e->fts_accpath, mode) < 0 ? -errno : 0;
}

int kc_volume_own(const char *dir, int64_t fs_group, bool read_only, struct kc_error *err)
{
        if (fs_group < 0)
                return 0;
        char *const paths[] = {(char *)dir, NULL};
        FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
        if (!fts)
                return kc_error_set(err, errno, "open %s: %s", dir, strerror(errno));
        int r = 0;
        for (FTSENT *e; r == 0 && (e = fts_read(fts));) {
                if (e->fts_info == FTS_DP)
                        continue;
                if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR || e->fts_info == FTS_NS)
                        r = -e->fts_errno;
                else
                        r = own_one(e, (gid_t)fs_group, read_only);
                if (r < 0)
                        kc_error_set(err, -r, "applyFSGroup failed for %s: %s", e->fts_path, strerror(-r));
        }
        fts_close(fts);
        return r;
}
