/* Warnings about Services, volumes, claims and storage classes. Any thread. */
#include "api/warnings.h"

#include <string.h>
#include <sys/socket.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static bool is_mapped(const struct kc_ip *ip)
{
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
        return ip->family == AF_INET6 && memcmp(ip->b, prefix, sizeof(prefix)) == 0;
}

static struct kc_ip unmapped(const struct kc_ip *ip)
{
        struct kc_ip v4 = {.family = AF_INET};
        memcpy(v4.b, ip->b + 12, 4);
        return v4;
}

void kc_warn_ip(char ***w, const char *path, const char *text)
{
        struct kc_ip ip;
        char buf[KC_IP_LEN];
        if (!w || !text || kc_ip_parse(text, &ip) < 0)
                return;
        if (is_mapped(&ip)) {
                struct kc_ip v4 = unmapped(&ip);
                kc_strv_pushf(w,
                    "%s: non-standard IP address \"%s\" will be considered invalid in a future Kubernetes release: use "
                    "\"%s\"",
                    path, text, kc_ip_format(&v4, buf));
        } else if (ip.family == AF_INET6 && !kc_streq(kc_ip_format(&ip, buf), text)) {
                kc_strv_pushf(
                    w, "%s: IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")", path, text, buf);
        }
}

void kc_warn_cidr(char ***w, const char *path, const char *text)
{
        struct kc_cidr cidr;
        bool exact;
        char buf[KC_IP_LEN];
        if (!w || !text || kc_cidr_parse(text, &cidr, &exact) < 0)
                return;
        (void)kc_cidr_format(&cidr, buf);
        if (is_mapped(&cidr.ip) && cidr.bits >= 96) {
                struct kc_cidr v4 = {.ip = unmapped(&cidr.ip), .bits = cidr.bits - 96};
                kc_strv_pushf(w,
                    "%s: non-standard CIDR value \"%s\" will be considered invalid in a future Kubernetes release: use "
                    "\"%s\"",
                    path, text, kc_cidr_format(&v4, buf));
        } else if (!exact) {
                KC_CLEANUP(kc_freep) char *address = kc_strndup(text, strcspn(text, "/"));
                struct kc_ip ip;
                char one[KC_IP_LEN];
                if (kc_ip_parse(address, &ip) == 0)
                        kc_strv_pushf(w,
                            "%s: CIDR value \"%s\" is ambiguous in this context (should be \"%s\" or \"%s/%d\"?)", path,
                            text, buf, kc_ip_format(&ip, one), ip.family == AF_INET ? 32 : 128);
        } else if (cidr.ip.family == AF_INET6 && !kc_streq(buf, text)) {
                kc_strv_pushf(
                    w, "%s: IPv6 CIDR value \"%s\" should be in RFC 5952 canonical format (\"%s\")", path, text, buf);
        }
}

/* --- Services */

static void each_ip(char ***w, const struct json_object *spec, const char *key)
{
        const struct json_object *list = kc_json_get(spec, key);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.%s[%zu]", key, i);
                kc_warn_ip(w, path, kc_json_as_str(kc_json_idx(list, i)));
        }
}

void kc_warn_service(char ***w, const struct json_object *service)
{
        static const char hints[] = "service.kubernetes.io/topology-aware-hints";
        const struct json_object *spec = kc_json_get(service, "spec");
        const struct json_object *ranges = kc_json_get(spec, "loadBalancerSourceRanges");
        const char *type = kc_v_str(spec, "type");
        bool external_ips = kc_json_len(kc_json_get(spec, "externalIPs")) > 0;
        bool headless = kc_streq(type, "ClusterIP") && kc_streq(kc_v_str(spec, "clusterIP"), "None");
        bool external_name = kc_streq(type, "ExternalName");
        if (!w)
                return;
        if (kc_json_get(kc_json_at(service, "metadata.annotations"), hints))
                kc_strv_pushf(
                    w, "annotation %s is deprecated, please use service.kubernetes.io/topology-mode instead", hints);
        if (!headless)
                each_ip(w, spec, "clusterIPs");
        if (headless && *kc_v_str(spec, "loadBalancerIP"))
                kc_strv_push(w, "spec.loadBalancerIP is ignored for headless services");
        if (headless && external_ips)
                kc_strv_push(w, "spec.externalIPs is ignored for headless services");
        if (headless && !kc_streq(kc_v_str(spec, "sessionAffinity"), "None"))
                kc_strv_push(w, "spec.SessionAffinity is ignored for headless services");
        each_ip(w, spec, "externalIPs");
        if (external_ips && !headless && !external_name)
                kc_strv_push(w, "spec.externalIPs is deprecated and may no longer be implemented in some clusters");
        kc_warn_ip(w, "spec.loadBalancerIP", kc_json_str(spec, "loadBalancerIP"));
        for (size_t i = 0; i < kc_json_len(ranges); i++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.loadBalancerSourceRanges[%zu]", i);
                kc_warn_cidr(w, path, kc_json_as_str(kc_json_idx(ranges, i)));
        }
        if (external_name && external_ips)
                kc_strv_push(w, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
        if (!external_name && *kc_v_str(spec, "externalName"))
                kc_strv_push(w, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
        if (kc_streq(kc_v_str(spec, "trafficDistribution"), "PreferClose"))
                kc_strv_push(w, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
}

/* --- Volumes, claims and classes */

#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"

void kc_warn_claim_spec(char ***w, const char *path, const struct json_object *spec)
{
        static const char *const lists[] = {"requests", "limits"};
        for (size_t i = 0; w && i < KC_ARRAY_LEN(lists); i++) {
                struct kc_quantity q;
                char buf[KC_QUANTITY_LEN];
                const struct json_object *size =
                    kc_json_get(kc_json_get(kc_json_get(spec, "resources"), lists[i]), "storage");
                if (kc_v_read_quantity(size, &q) && kc_quantity_milli(&q) % 1000 != 0)
                        kc_strv_pushf(w,
                            "%s.resources.%s[storage]: fractional byte value \"%s\" is invalid, must be an "
                            "integer",
                            path, lists[i], kc_quantity_format(&q, buf));
        }
}

static void warn_of_source(char ***w, const struct json_object *spec)
{
        static const struct {
                const char *key, *shown, *why;
        } deprecated[] = {
            {"photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
            {"scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
            {"storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
            {"glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
            {"rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"},
            {"cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(deprecated); i++)
                if (kc_json_get(spec, deprecated[i].key))
                        kc_strv_pushf(w, "spec.%s: %s", deprecated[i].shown, deprecated[i].why);
}

void kc_warn_persistent_volume(char ***w, const struct json_object *pv)
{
        const struct json_object *spec = kc_json_get(pv, "spec"), *annotations = kc_json_at(pv, "metadata.annotations");
        const struct json_object *terms = kc_json_at(spec, "nodeAffinity.required.nodeSelectorTerms");
        struct kc_quantity q;
        char buf[KC_QUANTITY_LEN];
        if (!w)
                return;
        if (kc_json_get(annotations, CLASS_ANNOTATION))
                kc_strv_push(w, "metadata.annotations[" CLASS_ANNOTATION
                                "]: deprecated since v1.8; use \"storageClassName\" attribute instead");
        if (kc_json_get(annotations, "volume.beta.kubernetes.io/mount-options"))
                kc_strv_push(w, "metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since "
                                "v1.31; use \"mountOptions\" attribute instead");
        if (kc_streq(kc_v_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
                kc_strv_push(w, "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                                "Instead, the recommended approach is to use dynamic provisioning.");
        for (size_t i = 0; i < kc_json_len(terms); i++) {
                KC_CLEANUP(kc_freep)
                char *path = kc_asprintf("spec.nodeAffinity.required.nodeSelectorTerms[%zu]", i);
                kc_warn_node_selector_term(w, path, kc_json_idx(terms, i), false);
        }
        warn_of_source(w, spec);
        if (kc_v_read_quantity(kc_json_at(spec, "capacity.storage"), &q) && kc_quantity_milli(&q) % 1000 != 0)
                kc_strv_pushf(w, "spec.capacity[storage]: fractional byte value \"%s\" is invalid, must be an integer",
                    kc_quantity_format(&q, buf));
}

void kc_warn_storage_class(char ***w, const struct json_object *sc)
{
        const struct json_object *terms = kc_json_get(sc, "allowedTopologies");
        for (size_t i = 0; w && i < kc_json_len(terms); i++) {
                const struct json_object *exprs = kc_json_get(kc_json_idx(terms, i), "matchLabelExpressions");
                for (size_t j = 0; j < kc_json_len(exprs); j++) {
                        const char *key = kc_v_str(kc_json_idx(exprs, j), "key"), *why = kc_deprecated_node_label(key);
                        if (why)
                                kc_strv_pushf(w, "allowedTopologies[%zu].matchLabelExpressions[%zu].key: %s is %s", i,
                                    j, key, why);
                }
        }
}
