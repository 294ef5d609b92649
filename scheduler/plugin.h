/* Scheduling plugins: upstream's names, messages, weights and formulas, on the columns of cluster.h. Loop thread. */
#pragma once

#include "scheduler/cluster.h"

enum kc_verdict {
        KC_FITS,
        KC_UNSCHEDULABLE, /* removing pods from the node might help */
        KC_UNRESOLVABLE,  /* it would not */
};

enum { KC_MAX_REASONS = 16, KC_MAX_SCORE = 100 };

/* Why a node does not fit; strings live until the cycle ends. */
struct kc_reasons {
        const char *v[KC_MAX_REASONS];
        size_t n;
};

struct kc_cycle {
        struct kc_cluster *cluster; /* plugins only read it */
        const struct kc_pod_info *pod;
        const struct json_object *spec; /* of the pod */
        struct kc_map *strings;         /* keeps made reasons until the cycle ends */
        bool *skipped;                  /* for each of kc_plugins: it has nothing to say */
};

struct kc_plugin {
        const char *name;
        int weight;     /* of the score */
        uint32_t wakes; /* KC_EVENT_* after which a pod that this plugin rejected may fit */
        /* True: this plugin has nothing to say about the pod. NULL: never. */
        bool (*skip)(const struct kc_cycle *c);
        /* NULL: no filter. */
        enum kc_verdict (*filter)(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons);
        /* NULL: no score. scores[i] of rows[i], 0 to KC_MAX_SCORE after normalization. */
        void (*score)(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores);
};

/* In the order in which upstream runs them. */
extern const struct kc_plugin *const kc_plugins[];
extern const size_t kc_n_plugins;

extern const struct kc_plugin kc_plugin_node_unschedulable, kc_plugin_node_name, kc_plugin_taint_toleration,
    kc_plugin_node_affinity, kc_plugin_node_ports, kc_plugin_node_resources_fit, kc_plugin_balanced_allocation,
    kc_plugin_image_locality;

void kc_reason(struct kc_reasons *r, const char *text);
/* A reason made for this node; the cycle keeps one copy of each text. */
void kc_reason_take(const struct kc_cycle *c, struct kc_reasons *r, char *take_text);
/* DefaultNormalizeScore: to 0..KC_MAX_SCORE by the largest; reverse: the smallest is best. */
void kc_normalize(int64_t *scores, size_t n, bool reverse);
