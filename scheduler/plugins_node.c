/* Plugins about what a node is: NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts, ImageLocality.
 */
#include <string.h>

#include "api/node_match.h"
#include "base/str.h"
#include "scheduler/plugin.h"
#include "scheduler/queue.h"

const struct kc_plugin *const kc_plugins[] = {
    &kc_plugin_node_unschedulable,
    &kc_plugin_node_name,
    &kc_plugin_taint_toleration,
    &kc_plugin_node_affinity,
    &kc_plugin_node_ports,
    &kc_plugin_node_resources_fit,
    &kc_plugin_balanced_allocation,
    &kc_plugin_image_locality,
};
const size_t kc_n_plugins = KC_ARRAY_LEN(kc_plugins);

void kc_reason(struct kc_reasons *r, const char *text)
{
        if (r->n < KC_MAX_REASONS)
                r->v[r->n++] = text;
}

void kc_reason_take(const struct kc_cycle *c, struct kc_reasons *r, char *take_text)
{
        char *kept = kc_map_get(c->strings, take_text);
        if (kept) {
                kc_free(take_text);
                take_text = kept;
        } else {
                kc_map_set(c->strings, take_text, take_text);
        }
        kc_reason(r, take_text);
}

void kc_normalize(int64_t *scores, size_t n, bool reverse)
{
        int64_t max = 0;

        for (size_t i = 0; i < n; i++)
                max = KC_MAX(max, scores[i]);
        for (size_t i = 0; i < n; i++) {
                if (max == 0) {
                        scores[i] = reverse ? KC_MAX_SCORE : 0;
                        continue;
                }
                scores[i] = KC_MAX_SCORE * scores[i] / max;
                if (reverse)
                        scores[i] = KC_MAX_SCORE - scores[i];
        }
}

static const struct json_object *node_of(const struct kc_cycle *c, size_t row)
{
        return kc_object_json(c->cluster->nodes[row].obj);
}

/* --- NodeUnschedulable */
static enum kc_verdict unschedulable_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        static const char taint_text[] = "{\"key\":\"node.kubernetes.io/unschedulable\",\"effect\":\"NoSchedule\"}";
        KC_CLEANUP(kc_json_freep) struct json_object *taint = NULL;

        if (!kc_json_bool_at(node_of(c, row), "spec.unschedulable", false))
                return KC_FITS;
        if (kc_json_parse(taint_text, strlen(taint_text), NULL, &taint, NULL) == 0 &&
            kc_tolerations_tolerate(kc_json_get(c->spec, "tolerations"), taint))
                return KC_FITS;
        kc_reason(reasons, "node(s) were unschedulable");
        return KC_UNRESOLVABLE;
}

const struct kc_plugin kc_plugin_node_unschedulable = {
    .name = "NodeUnschedulable",
    .wakes = KC_EVENT_NODE_ADD | KC_EVENT_NODE_TAINT,
    .filter = unschedulable_filter,
};

/* --- NodeName */
static bool node_name_skip(const struct kc_cycle *c)
{
        return kc_str_empty(kc_json_str(c->spec, "nodeName"));
}

static enum kc_verdict node_name_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        if (kc_streq(kc_json_str(c->spec, "nodeName"), c->cluster->names[row]))
                return KC_FITS;
        kc_reason(reasons, "node(s) didn't match the requested node name");
        return KC_UNRESOLVABLE;
}

const struct kc_plugin kc_plugin_node_name = {
    .name = "NodeName",
    .wakes = KC_EVENT_NODE_ADD,
    .skip = node_name_skip,
    .filter = node_name_filter,
};

/* --- TaintToleration */
static enum kc_verdict taint_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        static const char *const effects[] = {"NoSchedule", "NoExecute", NULL};

        if (!kc_untolerated_taint(
                kc_json_at(node_of(c, row), "spec.taints"), kc_json_get(c->spec, "tolerations"), effects))
                return KC_FITS;
        kc_reason(reasons, "node(s) had untolerated taint(s)");
        return KC_UNRESOLVABLE;
}

static void taint_score(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores)
{
        const struct json_object *tolerations = kc_json_get(c->spec, "tolerations");

        for (size_t i = 0; i < n; i++) {
                const struct json_object *taints = kc_json_at(node_of(c, rows[i]), "spec.taints");
                for (size_t t = 0; t < kc_json_len(taints); t++) {
                        const struct json_object *taint = kc_json_idx(taints, t);
                        if (kc_streq(kc_json_str(taint, "effect"), "PreferNoSchedule") &&
                            !kc_tolerations_tolerate(tolerations, taint))
                                scores[i]++;
                }
        }
        kc_normalize(scores, n, true);
}

const struct kc_plugin kc_plugin_taint_toleration = {
    .name = "TaintToleration",
    .weight = 3,
    .wakes = KC_EVENT_NODE_ADD | KC_EVENT_NODE_TAINT,
    .filter = taint_filter,
    .score = taint_score,
};

/* --- NodeAffinity */
static bool affinity_skip(const struct kc_cycle *c)
{
        return kc_json_n_keys(kc_json_get(c->spec, "nodeSelector")) == 0 &&
               !kc_json_at(c->spec, "affinity.nodeAffinity");
}

static enum kc_verdict affinity_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        if (kc_node_matches_pod(c->spec, node_of(c, row)))
                return KC_FITS;
        kc_reason(reasons, "node(s) didn't match Pod's node affinity/selector");
        return KC_UNRESOLVABLE;
}

static void affinity_score(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores)
{
        const struct json_object *preferred =
            kc_json_at(c->spec, "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution");

        for (size_t i = 0; i < n; i++)
                for (size_t t = 0; t < kc_json_len(preferred); t++) {
                        const struct json_object *p = kc_json_idx(preferred, t);
                        if (kc_node_selector_term_matches(kc_json_get(p, "preference"), node_of(c, rows[i])))
                                scores[i] += kc_json_int(p, "weight", 0);
                }
        kc_normalize(scores, n, false);
}

const struct kc_plugin kc_plugin_node_affinity = {
    .name = "NodeAffinity",
    .weight = 2,
    .wakes = KC_EVENT_NODE_ADD | KC_EVENT_NODE_LABEL,
    .skip = affinity_skip,
    .filter = affinity_filter,
    .score = affinity_score,
};

/* --- NodePorts */
static bool ports_skip(const struct kc_cycle *c)
{
        return c->pod->n_ports == 0;
}

static enum kc_verdict ports_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        const struct kc_sched_node *node = &c->cluster->nodes[row];

        for (size_t i = 0; i < node->n_pods; i++)
                for (size_t j = 0; j < node->pods[i]->n_ports; j++)
                        for (size_t k = 0; k < c->pod->n_ports; k++)
                                if (kc_host_port_conflicts(&node->pods[i]->ports[j], &c->pod->ports[k])) {
                                        kc_reason(
                                            reasons, "node(s) didn't have free ports for the requested pod ports");
                                        return KC_UNSCHEDULABLE;
                                }
        return KC_FITS;
}

const struct kc_plugin kc_plugin_node_ports = {
    .name = "NodePorts",
    .wakes = KC_EVENT_NODE_ADD | KC_EVENT_POD_GONE,
    .skip = ports_skip,
    .filter = ports_filter,
};

/* --- ImageLocality */
enum { IMAGE_MIN = 23 * 1024 * 1024, IMAGE_MAX_MIB = 1000 };

/* "busybox" is reported by nodes as "docker.io/library/busybox:latest"; upstream adds only the missing tag. */
static char *normalized_image(const char *image)
{
        const char *slash = strrchr(image, '/'), *tail = slash ? slash : image;
        return strchr(tail, ':') || strchr(tail, '@') ? kc_strdup(image) : kc_asprintf("%s:latest", image);
}

static int64_t sum_images(const struct kc_cycle *c, size_t row, const struct json_object *containers)
{
        int64_t sum = 0;
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const char *image = kc_json_str(kc_json_idx(containers, i), "image");
                size_t nodes = 0;
                if (!image)
                        continue;
                KC_CLEANUP(kc_freep) char *name = normalized_image(image);
                int64_t size = kc_cluster_image(c->cluster, row, name, &nodes);
                /* An image that few nodes have draws less, so that pods do not pile up there. */
                sum += (int64_t)((double)size * (double)nodes / (double)c->cluster->n_nodes);
        }
        return sum;
}

static void image_score(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores)
{
        const struct json_object *containers = kc_json_get(c->spec, "containers"),
                                 *inits = kc_json_get(c->spec, "initContainers");
        int64_t count = (int64_t)(kc_json_len(containers) + kc_json_len(inits));
        int64_t max = (int64_t)IMAGE_MAX_MIB * 1024 * 1024 * KC_MAX(count, 1);

        for (size_t i = 0; i < n; i++) {
                int64_t sum = sum_images(c, rows[i], containers) + sum_images(c, rows[i], inits);
                sum = KC_MIN(KC_MAX(sum, (int64_t)IMAGE_MIN), max);
                scores[i] = KC_MAX_SCORE * (sum - IMAGE_MIN) / (max - IMAGE_MIN);
        }
}

const struct kc_plugin kc_plugin_image_locality = {.name = "ImageLocality", .weight = 1, .score = image_score};
