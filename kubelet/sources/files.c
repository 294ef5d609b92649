/* Static pods from files. Thread: the loop (manifests are small local files). */
#include "kubelet/sources/files.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/schema.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "json/yaml.h"

enum {
        MANIFEST_MAX = 10 * 1024 * 1024,
        SETTLE_USEC = 100 * 1000, /* editors write in several steps */
};

struct kc_file_source {
        struct kc_file_source_opts o;
        char *path;
        int inotify;
        struct kc_io *io;
        struct kc_timer *timer;
        struct kc_map *parsed; /* file -> struct parsed: unchanged files keep their object */
};

struct parsed {
        char *digest;
        struct kc_object *pod; /* NULL: the file is broken */
};

static void parsed_free(void *p)
{
        struct parsed *e = p;
        kc_free(e->digest);
        kc_object_unref(e->pod);
        kc_free(e);
}

static char *md5_hex(const void *data, size_t len, const char *extra)
{
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned int n = 0;
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        char *hex = NULL;
        if (ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, data, len) == 1 &&
            EVP_DigestUpdate(ctx, extra, strlen(extra)) == 1 && EVP_DigestFinal_ex(ctx, sum, &n) == 1)
                hex = kc_hex_encode(sum, n);
        EVP_MD_CTX_free(ctx);
        return hex;
}

/* What a static pod must not have: it starts before the API is there. */
static int check_static(const struct json_object *pod, struct kc_error *err)
{
        if (kc_str_empty(kc_meta_name(pod)))
                return kc_error_set(err, EINVAL, "invalid pod: metadata.name: Required value");
        if (kc_json_len(kc_json_at(pod, "spec.containers")) == 0)
                return kc_error_set(err, EINVAL, "invalid pod: spec.containers: Required value");
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                if (kc_json_get(v, "configMap") || kc_json_get(v, "secret") || kc_json_get(v, "persistentVolumeClaim"))
                        return kc_error_set(err, EINVAL,
                            "static pods can not reference API objects: volume \"%s\" is not allowed",
                            kc_json_str(v, "name"));
        }
        return 0;
}

static void apply_static(struct json_object *pod, const char *file, const char *node_name, const char *uid, kc_time now)
{
        struct json_object *meta = kc_json_ensure_obj(pod, "metadata");
        KC_CLEANUP(kc_freep) char *lower = kc_asprintf("%s-%s", kc_meta_name(pod), node_name);
        for (char *p = lower; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p += 'a' - 'A';
        kc_json_set_str(meta, "name", lower);
        if (!kc_meta_namespace(pod))
                kc_json_set_str(meta, "namespace", "default");
        if (kc_str_empty(kc_meta_uid(pod)))
                kc_json_set_str(meta, "uid", uid);
        kc_json_set_str(kc_json_ensure_obj(pod, "spec"), "nodeName", node_name);
        kc_meta_set_annotation(pod, KC_ANNOTATION_CONFIG_HASH, kc_meta_uid(pod));
        kc_meta_set_annotation(pod, KC_ANNOTATION_CONFIG_SOURCE, "file");
        char seen[KC_TIME_LEN];
        kc_meta_set_annotation(pod, KC_ANNOTATION_CONFIG_SEEN, kc_time_format_nano(now, seen));
        /* Node failures do not evict what only this node can run. */
        struct json_object *tolerations = kc_json_ensure_arr(pod, "spec.tolerations");
        kc_json_push(tolerations, kc_json_build("{'operator':'Exists','effect':'NoExecute'}"));
        kc_json_set(pod, "status", kc_json_build("{'phase':'Pending'}"));
        (void)file;
}

int kc_static_pod_decode(const char *data, size_t len, const char *file, const char *node_name, kc_time now,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        int r = kc_yaml_parse(data, len, NULL, &pod, err);
        if (r < 0)
                return r;
        if (!kc_streq(kc_json_str(pod, "kind"), "Pod") || !kc_streq(kc_json_str(pod, "apiVersion"), "v1"))
                return kc_error_set(err, EINVAL, "invalid pod: kind \"%s\" of \"%s\" is not a v1 Pod",
                    kc_json_str(pod, "kind") ?: "", kc_json_str(pod, "apiVersion") ?: "");
        const struct kc_resource *resource = kc_schema_resource("", "v1", "pods");
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        r = kc_codec_decode(pod, resource->type, &unknown, err);
        if (r < 0)
                return r;
        r = check_static(pod, err);
        if (r < 0)
                return r;
        kc_codec_default(pod, resource->type);
        kc_default_object(pod, resource);
        KC_CLEANUP(kc_freep) char *extra = kc_asprintf("host:%sfile:%s", node_name, file);
        KC_CLEANUP(kc_freep) char *uid = md5_hex(data, len, extra);
        if (!uid)
                return kc_error_set(err, ENOTSUP, "no MD5 in this OpenSSL");
        apply_static(pod, file, node_name, uid, now);
        *ret = KC_TAKE(pod);
        return 0;
}

/* The pod of a file, from the cache if the file is the same. */
static struct kc_object *load(struct kc_file_source *s, const char *file, struct kc_map *seen)
{
        struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        struct parsed *e = NULL;
        if (kc_file_read(file, MANIFEST_MAX, &b, &err) < 0) {
                kc_log_error(&err, "Could not read manifest, ignoring", "path", file);
                kc_error_done(&err);
                kc_buf_done(&b);
                return NULL;
        }
        KC_CLEANUP(kc_freep) char *digest = md5_hex(kc_buf_str(&b), b.len, "");
        e = kc_map_steal(s->parsed, file);
        if (!e || !kc_streq(e->digest, digest)) {
                if (e)
                        parsed_free(e);
                e = KC_NEW(struct parsed);
                e->digest = KC_TAKE(digest);
                struct json_object *pod = NULL;
                if (kc_static_pod_decode(
                        kc_buf_str(&b), b.len, file, s->o.node_name, kc_clock_now(s->o.clock), &pod, &err) < 0)
                        kc_log_error(&err, "Could not process manifest file, ignoring", "path", file);
                else
                        e->pod = kc_object_new(pod);
                kc_error_done(&err);
        }
        kc_buf_done(&b);
        kc_map_set(seen, file, e);
        return e->pod ? kc_object_ref(e->pod) : NULL;
}

static void load_all(struct kc_file_source *s, struct kc_objects *pods)
{
        struct kc_map *seen = kc_map_new(parsed_free);
        KC_CLEANUP(kc_strv_freep) char **files = NULL;
        struct stat st;
        if (stat(s->path, &st) == 0 && S_ISREG(st.st_mode))
                kc_strv_push(&files, s->path);
        DIR *d = files ? NULL : opendir(s->path);
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                KC_CLEANUP(kc_freep) char *file = kc_path_join(s->path, e->d_name);
                if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
                        kc_strv_push(&files, file);
        }
        if (d)
                closedir(d);
        kc_strv_sort_uniq(files);
        for (char **f = files; f && *f; f++) {
                struct kc_object *pod = load(s, *f, seen);
                if (pod)
                        kc_objects_push_take(pods, pod);
        }
        kc_map_free(s->parsed);
        s->parsed = seen;
}

static void rescan(void *arg)
{
        struct kc_file_source *s = arg;
        struct kc_objects pods = {0};
        load_all(s, &pods);
        s->o.on_pods(s->o.arg, &pods);
        kc_objects_done(&pods);
        kc_timer_arm(s->timer, s->o.file_check_usec);
}

static void on_inotify(int fd, int events, void *arg)
{
        struct kc_file_source *s = arg;
        char buf[4096] __attribute__((aligned(8)));
        (void)events;
        while (read(fd, buf, sizeof(buf)) > 0)
                ;
        kc_timer_arm(s->timer, SETTLE_USEC);
}

int kc_file_source_new(const struct kc_file_source_opts *o, struct kc_file_source **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_file_source_freep) struct kc_file_source *s = KC_NEW(struct kc_file_source);
        s->o = *o;
        s->path = kc_strdup(o->path);
        s->parsed = kc_map_new(parsed_free);
        s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (s->inotify < 0)
                return kc_error_set(err, errno, "inotify");
        if (inotify_add_watch(s->inotify, s->path,
                IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB) < 0)
                kc_log_warn("Unable to watch the manifest path, looking at it from time to time", "path", s->path,
                    "err", strerror(errno));
        *ret = KC_TAKE(s);
        return 0;
}

void kc_file_source_free(struct kc_file_source *s)
{
        if (!s)
                return;
        kc_io_free(s->io);
        kc_timer_free(s->timer);
        if (s->inotify >= 0)
                close(s->inotify);
        kc_map_free(s->parsed);
        kc_free(s->path);
        kc_free(s);
}

void kc_file_source_start(struct kc_file_source *s)
{
        s->io = kc_io_new(s->o.loop, s->inotify, KC_IO_READ, on_inotify, s);
        s->timer = kc_timer_new(s->o.loop, rescan, s);
        rescan(s);
}
