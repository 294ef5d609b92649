/* Shared by the files of volumes. */
#pragma once

#include <sys/types.h>

#include "kubelet/volumes/volumes.h"

struct kc_tokens;

struct kc_volumes {
        char *root;
        struct kc_objcache *objects;
        struct kc_kubelet_events *events;
        const struct kc_clock *clock;
        struct kc_tokens *tokens;
        struct kc_informer *trust_bundles; /* NULL: none */
};

/* One volume of a pod while it is set up. */
struct kc_volume_ctx {
        struct kc_volumes *v;
        const struct json_object *pod, *source; /* source: what is below the field of the kind */
        const struct kc_pod_facts *facts;
        const char *ns, *uid, *name;
        char *dir;        /* where it is on disk */
        int64_t fs_group; /* -1: none */
};

struct kc_volume_plugin {
        const char *field;    /* of the volume: "configMap" */
        const char *dir_name; /* "kubernetes.io~configmap"; NULL: nothing on our disk */
        bool read_only;       /* containers never write to it */
        int (*setup)(struct kc_volume_ctx *c, struct kc_error *err);
};
/* NULL: none. *ret_source: below its field. */
const struct kc_volume_plugin *kc_volume_plugin_of(
    const struct json_object *volume, const struct json_object **ret_source);

int kc_volume_empty_dir(struct kc_volume_ctx *c, struct kc_error *err);
int kc_volume_host_path(struct kc_volume_ctx *c, struct kc_error *err);
int kc_volume_config_map(struct kc_volume_ctx *c, struct kc_error *err);
int kc_volume_secret(struct kc_volume_ctx *c, struct kc_error *err);
int kc_volume_downward_api(struct kc_volume_ctx *c, struct kc_error *err);
int kc_volume_projected(struct kc_volume_ctx *c, struct kc_error *err);

/* --- fs.c */
/* c->dir with mode 0777, its parents with 0750. */
int kc_volume_make_dir(const struct kc_volume_ctx *c, struct kc_error *err);
/* The same with a tmpfs on it, unless there is one. size: in bytes; 0: what memory allows. */
int kc_volume_make_tmpfs(const struct kc_volume_ctx *c, int64_t size, struct kc_error *err);
/* Bytes that the pod can have in memory: the least of the node's allocatable and the pod's limits; 0: not known. */
int64_t kc_volume_memory(const struct kc_volume_ctx *c);
bool kc_volume_is_mount(const char *path);
/* What fsGroup means below dir: the group, its right to read (and write), setgid directories. */
int kc_volume_own(const char *dir, int64_t fs_group, bool read_only, struct kc_error *err);

/* --- writer.c: files of a volume that change together. */
struct kc_payload_file {
        char *path;
        char *data;
        size_t len;
        mode_t mode;
        int64_t uid; /* owner; -1: root */
};
struct kc_payload {
        struct kc_payload_file *v;
        size_t n;
};
/* Replaces a file of the same path. Copies. */
void kc_payload_add(struct kc_payload *p, const char *path, const void *data, size_t len, mode_t mode, int64_t uid);
void kc_payload_done(struct kc_payload *p);
/* Makes dir show exactly these files. Nothing is written when it does so already. */
int kc_payload_write(
    const char *dir, const struct kc_payload *p, int64_t fs_group, const struct kc_clock *clock, struct kc_error *err);

/* --- tokens.c */
struct kc_tokens *kc_tokens_new(struct kc_rest *rest, const struct kc_clock *clock);
void kc_tokens_free(struct kc_tokens *t);
/* A token of the pod's service account, bound to the pod; from the cache until 80 % of its life are over. Heap. */
int kc_tokens_get(struct kc_tokens *t, const struct json_object *pod, const char *audience, int64_t expiration_seconds,
    char **ret, struct kc_error *err);
void kc_tokens_forget_pod(struct kc_tokens *t, const char *uid);

/* --- bundles.c */
/* The certificates that a clusterTrustBundle source selects, in PEM; "" if there are none and it is optional. Heap. */
int kc_trust_bundle(struct kc_informer *bundles, const struct json_object *source, char **ret, struct kc_error *err);

/* --- subpath.c */
/* A bind mount of volume_dir/sub in the pod's directory, for CRI: what sub leads to cannot be changed any more between
 * our check and the runtime's mount. Made when missing (directories). Heap. */
int kc_subpath_prepare(struct kc_volumes *v, const char *uid, const char *volume, const char *container, size_t index,
    const char *volume_dir, const char *sub, char **ret, struct kc_error *err);
