/* Static pods: manifests in a directory (or one file), watched by inotify and looked at again every file_check_usec.
 * Upstream: pkg/kubelet/config/file_linux.go and common.go (applyDefaults): the pod's uid is the MD5 of the manifest
 * and the node, its name gets "-<node>", its namespace "default" unless given, and annotations say where it comes from.
 */
#pragma once

#include "api/object.h"
#include "event/loop.h"

struct kc_file_source;

struct kc_file_source_opts {
        struct kc_loop *loop;
        const char *path; /* --pod-manifest-path */
        const char *node_name;
        int64_t file_check_usec; /* 20 s */
        const struct kc_clock *clock;
        /* On the loop: all pods that the directory holds now (borrowed; ref to keep). Called first when started, then
         * after changes. */
        void (*on_pods)(void *arg, const struct kc_objects *pods);
        void *arg;
};
int kc_file_source_new(const struct kc_file_source_opts *o, struct kc_file_source **ret, struct kc_error *err);
void kc_file_source_free(struct kc_file_source *s);
KC_DEFINE_CLEANUP(struct kc_file_source *, kc_file_source_free)
/* On the loop. */
void kc_file_source_start(struct kc_file_source *s);

/* One manifest (YAML or JSON) as a static pod: decoded, defaulted, named. */
int kc_static_pod_decode(const char *data, size_t len, const char *file, const char *node_name, kc_time now,
    struct json_object **ret, struct kc_error *err);
