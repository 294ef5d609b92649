/* The end of a pod's volumes, from what is on disk and mounted: works for pods of an earlier run of the kubelet too. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

enum { MOUNTINFO_MAX = 64 * 1024 * 1024 };

/* mountinfo writes space, tab, newline and backslash as \ooo. In place. */
static void unescape(char *s)
{
        char *out = s;
        while (*s) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
                    s[3] <= '7') {
                        *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
                        s += 4;
                } else {
                        *out++ = *s++;
                }
        }
        *out = '\0';
}

/* Mount points below dir, in the order in which they were mounted. strv, NULL if none. */
static int mounts_below(const char *dir, char ***ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int r = kc_file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &b, err);
        if (r < 0)
                return r;
        /* The kernel shows paths without links in them. */
        char *real = realpath(dir, NULL);
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/", real ?: dir);
        free(real);
        KC_CLEANUP(kc_freep) char *text = kc_buf_take_str(&b);
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *fields = NULL, *point = strtok_r(line, " ", &fields);
                for (int i = 0; point && i < 4; i++)
                        point = strtok_r(NULL, " ", &fields);
                if (!point)
                        continue;
                unescape(point);
                if (kc_str_has_prefix(point, prefix))
                        kc_strv_push(ret, point);
        }
        return 0;
}

static int unmount_below(const char *dir, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **points = NULL;
        int r = mounts_below(dir, &points, err);
        for (size_t i = kc_strv_len(points); r == 0 && i > 0; i--)
                if (umount2(points[i - 1], UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
                        r = kc_error_set(err, errno, "unmount %s: %s", points[i - 1], strerror(errno));
        return r;
}

static char *subpaths_dir(const struct kc_volumes *v, const char *uid)
{
        KC_CLEANUP(kc_freep) char *pod = kc_pod_dir(v->root, uid);
        return kc_path_join(pod, "volume-subpaths");
}

static char *volumes_dir(const struct kc_volumes *v, const char *uid)
{
        KC_CLEANUP(kc_freep) char *pod = kc_pod_dir(v->root, uid);
        return kc_path_join(pod, "volumes");
}

int kc_volumes_teardown_pod(struct kc_volumes *v, const char *uid, struct kc_error *err)
{
        /* First the binds of parts of volumes, then the volumes. kc_rm_rf does not go into what is still mounted. */
        char *dirs[3] = {
            subpaths_dir(v, uid), volumes_dir(v, uid), kc_pod_plugin_dir(v->root, uid, "kubernetes.io~empty-dir")};
        int r = 0;
        for (size_t i = 0; r == 0 && i < KC_ARRAY_LEN(dirs); i++)
                r = unmount_below(dirs[i], err);
        for (size_t i = 0; r == 0 && i < KC_ARRAY_LEN(dirs); i++)
                r = kc_rm_rf(dirs[i], err);
        for (size_t i = 0; i < KC_ARRAY_LEN(dirs); i++)
                kc_free(KC_TAKE(dirs[i]));
        if (r < 0)
                return kc_error_wrap(err, "tear down volumes of pod %s", uid);
        kc_tokens_forget_pod(v->tokens, uid);
        return 0;
}

/* Is there anything in dir? depth: levels of directories that do not count by themselves. */
static bool has_entry(const char *dir, int depth)
{
        bool found = false;
        DIR *d = opendir(dir);
        for (struct dirent *e; d && !found && (e = readdir(d));) {
                if (kc_streq(e->d_name, ".") || kc_streq(e->d_name, ".."))
                        continue;
                KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, e->d_name);
                found = depth == 0 || has_entry(path, depth - 1);
        }
        if (d)
                closedir(d);
        return found;
}

bool kc_volumes_exist(struct kc_volumes *v, const char *uid)
{
        KC_CLEANUP(kc_freep) char *volumes = volumes_dir(v, uid);
        KC_CLEANUP(kc_freep) char *subpaths = subpaths_dir(v, uid);
        return has_entry(volumes, 1) || has_entry(subpaths, 2);
}
