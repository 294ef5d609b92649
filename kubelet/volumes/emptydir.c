/* emptyDir: a directory, or memory. Once made, a "ready" file in the pod's plugin directory says so, and what
 * containers did to it is left alone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "api/quantity.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

static int64_t size_of(const struct kc_volume_ctx *c)
{
        struct kc_quantity q;
        const char *limit = kc_json_str(c->source, "sizeLimit");
        int64_t memory = kc_volume_memory(c);
        if (!limit || kc_quantity_parse(limit, &q) < 0 || q.nano <= 0)
                return memory;
        int64_t size = kc_quantity_value(&q);
        return memory > 0 && memory < size ? memory : size;
}

/* "HugePages-2Mi" -> "pagesize=2M"; without a size the one that the pod asks for. */
static int make_hugepages(const struct kc_volume_ctx *c, const char *medium, struct kc_error *err)
{
        const char *size = kc_str_has_prefix(medium, "HugePages-") ? medium + strlen("HugePages-") : NULL;
        const struct json_object *list = kc_json_at(c->pod, "spec.containers");
        for (size_t i = 0; !size && i < kc_json_len(list); i++) {
                const struct json_object *limits = kc_json_at(kc_json_idx(list, i), "resources.limits");
                KC_JSON_FOREACH(limits, key, val)
                {
                        (void)val;
                        if (!size && kc_str_has_prefix(key, "hugepages-"))
                                size = key + strlen("hugepages-");
                }
        }
        struct kc_quantity q;
        if (!size || kc_quantity_parse(size, &q) < 0)
                return kc_error_set(err, EINVAL, "medium %s: no page size in the pod's limits", medium);
        int r = kc_volume_make_dir(c, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *options = kc_asprintf("pagesize=%lld", (long long)kc_quantity_value(&q));
        if (!kc_volume_is_mount(c->dir) && mount("nodev", c->dir, "hugetlbfs", 0, options) < 0)
                return kc_error_set(err, errno, "mount hugetlbfs on %s: %s", c->dir, strerror(errno));
        return 0;
}

int kc_volume_empty_dir(struct kc_volume_ctx *c, struct kc_error *err)
{
        const char *medium = kc_json_str(c->source, "medium") ?: "";
        KC_CLEANUP(kc_freep) char *plugin = kc_pod_plugin_dir(c->v->root, c->uid, "kubernetes.io~empty-dir");
        KC_CLEANUP(kc_freep) char *meta = kc_path_join(plugin, c->name);
        KC_CLEANUP(kc_freep) char *ready = kc_path_join(meta, "ready");
        bool mounted = *medium != '\0';
        if (kc_path_exists(ready) && (mounted ? kc_volume_is_mount(c->dir) : kc_path_exists(c->dir)))
                return 0;
        int r;
        if (!mounted)
                r = kc_volume_make_dir(c, err);
        else if (kc_streq(medium, "Memory"))
                r = kc_volume_make_tmpfs(c, size_of(c), err);
        else if (kc_str_has_prefix(medium, "HugePages"))
                r = make_hugepages(c, medium, err);
        else
                r = kc_error_set(err, EINVAL, "unknown storage medium \"%s\"", medium);
        if (r == 0)
                r = kc_volume_own(c->dir, c->fs_group, false, err);
        if (r == 0)
                r = kc_mkdir_p(meta, 0750, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_closep) int fd = open(ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        return fd < 0 ? kc_error_set(err, errno, "create %s: %s", ready, strerror(errno)) : 0;
}
