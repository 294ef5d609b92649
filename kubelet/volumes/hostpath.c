/* hostPath: what its type says has to be there, or is made. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/volumes/volumes_internal.h"

static const struct {
        const char *type;
        mode_t kind;
        const char *what;
} types[] = {
    {"DirectoryOrCreate", S_IFDIR, "a directory"},
    {"Directory", S_IFDIR, "a directory"},
    {"FileOrCreate", S_IFREG, "a file"},
    {"File", S_IFREG, "a file"},
    {"Socket", S_IFSOCK, "a socket"},
    {"CharDevice", S_IFCHR, "a character device"},
    {"BlockDevice", S_IFBLK, "a block device"},
};

static int make_file(const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || fchmod(fd, 0644) < 0)
                return kc_error_set(err, errno, "open %s: %s", path, strerror(errno));
        return 0;
}

static int make_dir(const char *path, struct kc_error *err)
{
        int r = kc_mkdir_p(path, 0755, err);
        if (r == 0 && chmod(path, 0755) < 0)
                r = kc_error_set(err, errno, "chmod %s: %s", path, strerror(errno));
        return r;
}

int kc_volume_host_path(struct kc_volume_ctx *c, struct kc_error *err)
{
        const char *path = kc_json_str(c->source, "path") ?: "", *type = kc_json_str(c->source, "type") ?: "";
        struct stat st;
        if (*path != '/')
                return kc_error_set(err, EINVAL, "hostPath \"%s\" is not an absolute path", path);
        for (const char *at = path; (at = strstr(at, "..")); at += 2)
                if (at[-1] == '/' && (at[2] == '/' || at[2] == '\0'))
                        return kc_error_set(err, EINVAL, "invalid HostPath `%s`: must not contain '..'", path);
        if (!*type)
                return 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                if (!kc_streq(type, types[i].type))
                        continue;
                bool there = stat(path, &st) == 0;
                int r = 0;
                if (!there && kc_streq(type, "DirectoryOrCreate"))
                        r = make_dir(path, err);
                else if (!there && kc_streq(type, "FileOrCreate"))
                        r = make_file(path, err);
                if (r < 0)
                        return kc_error_wrap(err, "hostPath type check failed");
                if (stat(path, &st) < 0 || (st.st_mode & S_IFMT) != types[i].kind)
                        return kc_error_set(
                            err, EINVAL, "hostPath type check failed: %s is not %s", path, types[i].what);
                return 0;
        }
        return kc_error_set(err, EINVAL, "hostPath type check failed: %s is an invalid volume type", type);
}
