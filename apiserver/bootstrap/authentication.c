/* What others need to know of our authentication: the ConfigMap extension-apiserver-authentication, by which servers
 * behind the front proxy trust whom we trust, and since when the use of legacy tokens is recorded. Worker threads. */
#include <errno.h>
#include <string.h>

#include "auth/authn.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"

#define NAMESPACE "kube-system"
#define TRUST "extension-apiserver-authentication"
#define TRACKING "kube-apiserver-legacy-service-account-token-tracking"

/* data[key], a JSON list of strings, gets what is missing of want. True: something was. */
static bool merge_list(struct json_object *data, const char *key, char *const *want)
{
        const char *text = kc_json_str(data, key);
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        bool changed = !text || kc_json_parse(text, strlen(text), NULL, &list, NULL) < 0 || !kc_json_is_arr(list);
        if (changed) {
                kc_json_free(list);
                list = json_object_new_array();
        }
        for (; want && *want; want++) {
                bool there = false;
                for (size_t i = 0; i < kc_json_len(list) && !there; i++)
                        there = kc_streq(kc_json_as_str(kc_json_idx(list, i)), *want);
                if (there)
                        continue;
                kc_json_push_str(list, *want);
                changed = true;
        }
        if (!changed)
                return false;
        KC_CLEANUP(kc_freep) char *now = kc_json_to_str(list);
        kc_json_set_str(data, key, now);
        return true;
}

static bool merge_bundle(struct json_object *data, const char *key, const char *want)
{
        const char *text = kc_json_str(data, key);
        KC_CLEANUP(kc_freep) char *merged = kc_tls_merge_bundles(text, want);
        if (kc_streq(text, merged))
                return false;
        kc_json_set_str(data, key, merged);
        return true;
}

/* The ConfigMap says all that we trust, beside what other API servers have said. */
static bool say_trust(struct json_object *obj, void *arg)
{
        const struct kc_bootstrap_opts *o = arg;
        const struct kc_authn_front_proxy *p = o->front_proxy;
        KC_CLEANUP(kc_freep) char *client_ca = kc_authn_client_ca(o->authn);
        KC_CLEANUP(kc_freep) char *proxy_ca = kc_authn_front_proxy_ca(o->authn);
        struct json_object *data = kc_json_ensure_obj(obj, "data");
        bool changed = client_ca && merge_bundle(data, "client-ca-file", client_ca);
        if (!proxy_ca)
                return changed;
        changed |= merge_bundle(data, "requestheader-client-ca-file", proxy_ca);
        changed |= merge_list(data, "requestheader-username-headers", p->username_headers);
        changed |= merge_list(data, "requestheader-uid-headers", p->uid_headers);
        changed |= merge_list(data, "requestheader-group-headers", p->group_headers);
        changed |= merge_list(data, "requestheader-extra-headers-prefix", p->extra_prefixes);
        changed |= merge_list(data, "requestheader-allowed-names", p->allowed_names);
        return changed;
}

static bool say_since(struct json_object *obj, void *arg)
{
        struct json_object *data = kc_json_ensure_obj(obj, "data");
        const struct kc_bootstrap_opts *o = arg;
        char today[KC_TIME_LEN];
        kc_time t;
        const char *since = kc_json_str(data, "since");
        KC_CLEANUP(kc_freep) char *midnight = kc_asprintf("%sT00:00:00Z", since ? since : "");
        if (kc_time_parse(midnight, &t) == 0)
                return false;
        (void)kc_time_format(kc_clock_now(kc_registry_clock(o->registry)), today);
        today[strlen("2006-01-02")] = '\0';
        kc_json_set_str(data, "since", today);
        return true;
}

static int keep(const struct kc_bootstrap_opts *o, const char *name, boot_change_fn change, struct kc_error *err)
{
        if (!boot_exists(o->registry, "", "configmaps", NAMESPACE, name)) {
                struct json_object *obj = kc_json_build("{'metadata':{'name':%s,'namespace':%s}}", name, NAMESPACE);
                (void)change(obj, (void *)(uintptr_t)o);
                return boot_create(o->registry, "", "configmaps", NAMESPACE, obj, err);
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *now = NULL;
        int r = kc_resources_get(kc_registry_resources(o->registry), "", "configmaps", NAMESPACE, name, &now, NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *copy = r == 0 ? kc_object_copy_json(now) : NULL;
        if (copy && !change(copy, (void *)(uintptr_t)o))
                return 0;
        r = boot_update(o->registry, "", "configmaps", NAMESPACE, name, change, (void *)(uintptr_t)o, err);
        return r == -ENOENT ? 0 : r; /* deleted meanwhile: made anew in the next round */
}

int boot_trust(const struct kc_bootstrap_opts *o, struct kc_error *err)
{
        return o->authn ? keep(o, TRUST, say_trust, err) : 0;
}

int boot_token_tracking(const struct kc_bootstrap_opts *o, struct kc_error *err)
{
        return keep(o, TRACKING, say_since, err);
}
